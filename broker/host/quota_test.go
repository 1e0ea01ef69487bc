package host

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// A directory with a quota is as full as its files are long: a write that does
// not fit leaves nothing, what is removed makes room, and so does another quota.
func TestAQuotaIsAFullDisk(t *testing.T) {
	f := newFiles(t.TempDir(), new(edge.Pool), slog.New(slog.DiscardHandler))
	defer f.closeAll()
	do := func(want edge.DiskError, op edge.DiskOp) {
		t.Helper()
		var r edge.DiskResult
		if f.perform(&op, &r); r.Err != want {
			t.Errorf("%v of %s: %v, want %v", op.Kind, op.Path, r.Err, want)
		}
	}
	bytes := func(n int) []edge.Slice {
		return []edge.Slice{edge.NewBuffer(make([]byte, n)).Slice(0, n)}
	}
	write := func(want edge.DiskError, file edge.FileID, offset int64, n int) {
		t.Helper()
		do(want, edge.DiskOp{Kind: edge.OpWrite, File: file, Path: fmt.Sprint(file), Offset: offset, Data: bytes(n)})
	}
	room := func() (left, total int64) {
		t.Helper()
		var r edge.DiskResult
		if f.perform(&edge.DiskOp{Kind: edge.OpVolume}, &r); r.Err != edge.DiskOK {
			t.Error(r.Err)
		}
		return r.Length, r.Total
	}
	whole, total := room()
	if total != -1 && (whole < 1000 || total < whole) {
		t.Fatalf("%d bytes are left of %d; the test needs a few", whole, total)
	}
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpMkdir, Path: "d"})
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpOpen, File: 1, Path: "d/1"})
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpOpen, File: 2, Path: "2"})
	write(edge.DiskOK, 1, 0, 60)
	f.quota.set(100)
	if left, total := room(); left != 40 || total != 100 {
		t.Errorf("%d bytes are left of %d, want 40 of 100", left, total)
	}
	write(edge.DiskOK, 2, 0, 40)
	write(edge.ErrNoSpace, 2, 40, 1)
	do(edge.ErrNoSpace, edge.DiskOp{Kind: edge.OpReplaceFile, Path: "3", Data: bytes(1)})
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpTruncate, File: 2, Length: 0})
	for range 10 { // written over, it takes no more room
		write(edge.DiskOK, 2, 0, 20)
	}
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpClose, File: 1})
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpRemove, Path: "d"})
	write(edge.DiskOK, 2, 20, 80)
	write(edge.ErrNoSpace, 2, 100, 1)
	f.quota.set(101)
	write(edge.DiskOK, 2, 100, 1)
	f.quota.set(0)
	write(edge.DiskOK, 2, 101, 1000)
	f.quota.set(2000)
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpOpen, File: 3, Path: "3"})
	do(edge.ErrNoSpace, edge.DiskOp{Kind: edge.OpAllocate, File: 3, Length: 900})
	if left, _ := room(); left != 899 {
		t.Errorf("%d bytes are left, want the 899 that were there before", left)
	}
	do(edge.DiskOK, edge.DiskOp{Kind: edge.OpAllocate, File: 3, Length: 899})
	for range 10 { // what is allocated is there to be written, more is not
		write(edge.DiskOK, 3, 0, 899)
	}
	write(edge.ErrNoSpace, 3, 899, 1)
}
