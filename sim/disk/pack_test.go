package disk

import (
	"bytes"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"pgregory.net/rapid"
)

// Goal: packing old contents is invisible. Method: a file of several megabytes
// under random appends, overwrites, truncations, syncs and crashes, compared
// with a plain byte slice; large steps, so that blocks are packed and unpacked, and
// all that a file has of them while its process is down.
func TestPackingIsInvisible(t *testing.T) {
	packed := 0
	rapid.Check(t, func(t *rapid.T) {
		r := newDriver(Defaults(), rapid.Uint64().Draw(t, "seed"))
		r.d.archive.plainBytesMax = 0
		file := edge.FileID(1)
		r.do(edge.DiskOp{Kind: edge.OpOpen, File: file, Path: "log"})
		r.do(edge.DiskOp{Kind: edge.OpSyncDir, Path: ""})
		var model []byte
		write := func(off int, n int, fill byte) {
			b := bytes.Repeat([]byte{fill, fill + 1, fill ^ 7}, n/3+1)[:n]
			r.do(edge.DiskOp{Kind: edge.OpWrite, File: file, Offset: int64(off), Data: data(string(b))})
			model = append(model[:off:off], append(b, model[min(len(model), off+n):]...)...)
		}
		steps := rapid.IntRange(1, 25).Draw(t, "steps")
		for range steps {
			crashed := false
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2, 3:
				write(len(model), rapid.IntRange(1, 3<<19).Draw(t, "append"), rapid.Byte().Draw(t, "fill"))
			case 4:
				if len(model) > 0 {
					off := rapid.IntRange(0, len(model)-1).Draw(t, "off")
					write(off, rapid.IntRange(1, min(len(model)-off, 1000)).Draw(t, "over"), 9)
				}
			case 5:
				size := rapid.IntRange(0, len(model)).Draw(t, "size")
				r.do(edge.DiskOp{Kind: edge.OpTruncate, File: file, Length: int64(size)})
				model = model[:size]
			case 6, 7:
				r.do(edge.DiskOp{Kind: edge.OpSync, File: file})
			case 8:
				off, n := 0, len(model)
				if n > 0 {
					off = rapid.IntRange(0, n-1).Draw(t, "from")
				}
				got := r.do(edge.DiskOp{Kind: edge.OpRead, File: file, Offset: int64(off), Length: 300 << 10})
				if want := model[off:min(n, off+300<<10)]; n > 0 && !bytes.Equal(got.Data.Bytes(), want) {
					t.Fatalf("read of %d bytes at %d differs", len(want), off)
				}
			case 9:
				crashed = true
				if rapid.Bool().Draw(t, "power") {
					r.do(edge.DiskOp{Kind: edge.OpSync, File: file})
					r.d.PowerLoss()
				} else {
					r.d.Kill()
				}
				file++
				r.do(edge.DiskOp{Kind: edge.OpOpen, File: file, Path: "log"})
			}
			packed += len(r.d.lookup("log").packed)
			if n := r.d.lookup("log"); crashed && n.packedEnd()+packedBlock <= n.filled && len(n.pending) == 0 {
				t.Fatalf("%d of %d bytes are packed after a crash", n.packedEnd(), n.size)
			}
			if got, _ := r.d.Contents("log"); !bytes.Equal(got, model) {
				t.Fatalf("contents differ: %d bytes, want %d", len(got), len(model))
			}
		}
	})
	if packed == 0 {
		t.Fatal("nothing was ever packed: the test proves nothing")
	}
}

// Goal: disks that share an archive keep equal blocks once, and forget them with
// the last file. Method: two disks with the same file, one of which then differs.
func TestReplicasShareBlocks(t *testing.T) {
	archive := NewArchive()
	var drivers [2]*driver
	for i := range drivers {
		r := newDriver(Defaults(), uint64(i))
		r.d.Share(archive, new(edge.Pool))
		r.d.archive.plainBytesMax = 0
		r.do(edge.DiskOp{Kind: edge.OpOpen, File: 1, Path: "log"})
		for k := range 3 + packedAfter/packedBlock {
			b := bytes.Repeat([]byte{byte(k), 3, 5, 7}, packedBlock/4)
			r.do(edge.DiskOp{Kind: edge.OpWrite, File: 1, Offset: int64(k) * packedBlock, Data: data(string(b))})
		}
		drivers[i] = r
	}
	blocks := func(want int) {
		t.Helper()
		if got := len(archive.blocks); got != want {
			t.Fatalf("%d blocks in the archive, want %d", got, want)
		}
	}
	blocks(3)
	before, _ := drivers[0].d.Contents("log")
	drivers[1].do(edge.DiskOp{Kind: edge.OpWrite, File: 1, Offset: 2*packedBlock + 1, Data: data("other")})
	blocks(3)
	if after, _ := drivers[0].d.Contents("log"); !bytes.Equal(before, after) {
		t.Fatal("a write to one disk is seen on the other")
	}
	for _, r := range drivers {
		r.do(edge.DiskOp{Kind: edge.OpClose, File: 1})
		r.do(edge.DiskOp{Kind: edge.OpRemove, Path: "log"})
		r.do(edge.DiskOp{Kind: edge.OpSyncDir, Path: ""})
	}
	blocks(0)
}
