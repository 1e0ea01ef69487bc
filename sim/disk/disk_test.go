package disk

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// driver runs one operation after the other and keeps the time.
type driver struct {
	d     *Disk
	now   clock.Instant
	files map[string]edge.FileID
	next  edge.FileID
	token uint64
	saved *Backup
}

func newDriver(cfg Config, seed uint64) *driver {
	return &driver{d: New(cfg, seed), files: map[string]edge.FileID{}}
}

func data(s string) []edge.Slice { return []edge.Slice{edge.NewBuffer([]byte(s)).All()} }

func (r *driver) submit(op edge.DiskOp) {
	r.token++
	op.Token.B = r.token
	r.d.Submit(r.now, &op)
}

// drain pops until nothing that was submitted is pending.
func (r *driver) drain(f func(edge.DiskResult)) {
	for r.d.Pending() > 0 {
		r.now = max(r.now, r.d.Next())
		if res, ok := r.d.Pop(r.now); ok && f != nil {
			f(res)
		}
	}
}

func (r *driver) do(op edge.DiskOp) edge.DiskResult {
	var last edge.DiskResult
	r.submit(op)
	r.drain(func(res edge.DiskResult) { last = res })
	return last
}

func (r *driver) open(path string) edge.DiskResult {
	r.next++
	res := r.do(edge.DiskOp{Kind: edge.OpOpen, File: r.next, Path: path})
	if res.Err == edge.DiskOK {
		r.files[path] = r.next
	}
	return res
}

func (r *driver) file(path string) edge.FileID {
	if _, ok := r.files[path]; !ok {
		r.open(path)
	}
	return r.files[path]
}

func (r *driver) crashed() { r.files = map[string]edge.FileID{} }

func constant() Config {
	c := Defaults()
	c.Spread = nil
	return c
}

// TestTranscripts replays testdata/transcripts: each command is a disk operation or a
// fault, each answer the result and its time, so that timing, durability and
// write-back can be read as a story.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		var r *driver
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			if td.Cmd == "new" {
				c := constant()
				var seed uint64 = 1
				td.MaybeScanArgs(t, "seed", &seed)
				td.MaybeScanArgs(t, "capacity", &c.Capacity)
				td.MaybeScanArgs(t, "cache", &c.CacheBytes)
				td.MaybeScanArgs(t, "dirty", &c.DirtyBytesMax)
				r = newDriver(c, seed)
				return ""
			}
			return r.command(t, td)
		})
	})
}

func (r *driver) command(t *testing.T, td *datadriven.TestData) string {
	var out strings.Builder
	switch td.Cmd {
	case "ops":
		for line := range strings.Lines(td.Input) {
			r.submit(r.parse(strings.Fields(line)))
		}
		r.drain(func(res edge.DiskResult) { fmt.Fprintln(&out, r.format(res)) })
	case "submit":
		for line := range strings.Lines(td.Input) {
			r.submit(r.parse(strings.Fields(line)))
		}
	case "kill":
		r.d.Kill()
		r.crashed()
	case "powerloss":
		r.d.PowerLoss()
		r.crashed()
	case "lose":
		r.d.Lose()
		r.crashed()
	case "backup":
		r.saved = r.d.Backup()
	case "restore":
		r.d.Restore(r.saved)
		r.crashed()
	case "full":
		r.d.SetFull(td.HasArg("on"))
	case "error":
		var ppm uint32
		td.ScanArgs(t, "ppm", &ppm)
		r.d.SetError(AllKinds, edge.ErrIO, ppm)
	case "slow":
		var micros int64
		td.ScanArgs(t, "micros", &micros)
		r.d.SetLatency(KindsOf(edge.OpSync), time.Duration(micros)*time.Microsecond)
	case "flip", "truncate":
		var pattern string
		td.ScanArgs(t, "pattern", &pattern)
		c, ok := Corruption{}, false
		if td.Cmd == "truncate" {
			var bytes int64
			td.ScanArgs(t, "bytes", &bytes)
			c, ok = r.d.TruncateFile(pattern, bytes)
		} else {
			c, ok = r.d.FlipBit(pattern)
		}
		fmt.Fprintln(&out, c.Path, c.Offset, c.Bit, ok)
	case "wait":
		var seconds int64
		td.ScanArgs(t, "seconds", &seconds)
		end := r.now.Add(time.Duration(seconds) * time.Second)
		for at := r.d.Next(); at <= end; at = r.d.Next() {
			fmt.Fprintf(&out, "%v the kernel works\n", at)
			if res, ok := r.d.Pop(at); ok {
				fmt.Fprintln(&out, r.format(res))
			}
		}
		r.now = end
	case "tree":
	default:
		t.Fatalf("unknown command %s", td.Cmd)
	}
	if td.HasArg("tree") || td.Cmd == "tree" {
		r.d.Walk(func(f FileInfo) {
			c, _ := r.d.Contents(f.Path)
			if len(c) > 40 {
				c = fmt.Appendf(nil, "%s...", c[:37])
			}
			fmt.Fprintf(&out, "%s %d bytes, stable %v, %d changes: %q\n", f.Path, f.Size, f.Stable, f.Dirty, c)
		})
		fmt.Fprintf(&out, "%d bytes used, %d dirty\n", r.d.UsedBytes(), r.d.DirtyBytes())
	}
	return out.String()
}

// decimal reads a number of a transcript.
func decimal(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (r *driver) parse(f []string) edge.DiskOp {
	op := edge.DiskOp{}
	if q, ok := strings.CutPrefix(f[0], "q"); ok {
		op.Queue = edge.QueueID(decimal(q))
		f = f[1:]
	}
	number := func(i int) int64 { return decimal(f[i]) }
	repeated := func(i int) []edge.Slice {
		s := f[i]
		if len(f) > i+1 {
			s = strings.Repeat(s, int(number(i+1)))
		}
		return data(s)
	}
	switch f[0] {
	case "mkdir":
		op.Kind, op.Path = edge.OpMkdir, f[1]
	case "list":
		op.Kind, op.Path = edge.OpList, f[1]
	case "open":
		r.next++
		op.Kind, op.Path, op.File = edge.OpOpen, f[1], r.next
		r.files[f[1]] = r.next
	case "close":
		op.Kind, op.File = edge.OpClose, r.files[f[1]]
		delete(r.files, f[1])
	case "write":
		op.Kind, op.File, op.Offset, op.Data = edge.OpWrite, r.files[f[1]], number(2), repeated(3)
	case "read":
		op.Kind, op.File, op.Offset, op.Length = edge.OpRead, r.files[f[1]], number(2), number(3)
	case "cut":
		op.Kind, op.File, op.Length = edge.OpTruncate, r.files[f[1]], number(2)
	case "allocate":
		op.Kind, op.File, op.Length = edge.OpAllocate, r.files[f[1]], number(2)
	case "sync":
		op.Kind, op.File = edge.OpSync, r.files[f[1]]
	case "syncdir":
		op.Kind, op.Path = edge.OpSyncDir, f[1]
	case "rename":
		op.Kind, op.Path, op.NewPath = edge.OpRename, f[1], f[2]
	case "remove":
		op.Kind, op.Path = edge.OpRemove, f[1]
	case "volume":
		op.Kind = edge.OpVolume
	case "readfile":
		op.Kind, op.Path, op.Length = edge.OpReadFile, f[1], 1<<20
	case "replace":
		op.Kind, op.Path, op.Data = edge.OpReplaceFile, f[1], repeated(2)
	default:
		panic(f[0])
	}
	return op
}

func (r *driver) format(res edge.DiskResult) string {
	s := fmt.Sprintf("%v #%d %v: %v", r.now, res.Token.B, res.Op, res.Err)
	switch res.Op {
	case edge.OpVolume:
		s += fmt.Sprintf(" %d of %d", res.Length, res.Total)
	case edge.OpOpen, edge.OpWrite:
		s += fmt.Sprintf(" %d", res.Length)
	case edge.OpRead, edge.OpReadFile:
		if res.Data != nil {
			b := res.Data.Bytes()
			s += fmt.Sprintf(" %d %q", len(b), b[:min(20, len(b))])
			res.Data.Release()
		}
	case edge.OpList:
		for _, e := range res.Entries {
			s += fmt.Sprintf(" %s(%d,%v)", e.Name, e.Size, e.Dir)
		}
	}
	return s
}
