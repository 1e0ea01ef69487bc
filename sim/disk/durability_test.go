package disk

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Goal: what a sync makes stable, exactly: the contents of its file as they were when
// it began, or the entries of its directory as they were then, a rename between two
// directories in both or in none. Method: a power loss that takes all that is not
// stable, after short stories with two directories and with two queues, of which one
// goes on while the other one's sync is under way.
func TestWhatASyncMakesStable(t *testing.T) {
	sync := func(r *driver, path string) edge.DiskOp { return edge.DiskOp{Kind: edge.OpSync, File: r.file(path)} }
	syncDir := func(path string) edge.DiskOp { return edge.DiskOp{Kind: edge.OpSyncDir, Path: path} }
	write := func(r *driver, path string, at int64, text string) edge.DiskOp {
		return edge.DiskOp{Kind: edge.OpWrite, File: r.file(path), Offset: at, Data: data(text)}
	}
	rename := func(from, to string) edge.DiskOp {
		return edge.DiskOp{Kind: edge.OpRename, Path: from, NewPath: to}
	}
	// both lets the second operation happen while the first is under way.
	both := func(r *driver, first, second edge.DiskOp) {
		first.Queue, second.Queue = 1, 2
		r.submit(first)
		r.submit(second)
		r.drain(nil)
	}
	stable := func(r *driver, path string) {
		r.do(write(r, path, 0, "one"))
		r.do(sync(r, path))
	}
	for name, c := range map[string]struct {
		story func(r *driver)
		want  map[string]string
	}{
		"a write during a sync": {func(r *driver) {
			r.do(write(r, "x/f", 0, "one"))
			r.do(syncDir("x"))
			both(r, sync(r, "x/f"), write(r, "x/f", 3, "two"))
		}, map[string]string{"x/f": "one"}},
		"an overwrite during a sync": {func(r *driver) {
			r.do(write(r, "x/f", 0, "one"))
			r.do(syncDir("x"))
			both(r, sync(r, "x/f"), write(r, "x/f", 1, "other"))
		}, map[string]string{"x/f": "one"}},
		"a truncation during a sync": {func(r *driver) {
			r.do(write(r, "x/f", 0, "one"))
			r.do(syncDir("x"))
			both(r, sync(r, "x/f"), edge.DiskOp{Kind: edge.OpTruncate, File: r.file("x/f"), Length: 1})
		}, map[string]string{"x/f": "one"}},
		"a write after a truncation": {func(r *driver) {
			stable(r, "x/f")
			r.do(syncDir("x"))
			r.do(edge.DiskOp{Kind: edge.OpTruncate, File: r.file("x/f"), Length: 1})
			r.do(write(r, "x/f", 1, "other"))
		}, map[string]string{"x/f": "one"}},
		"a write after a truncation to nothing": {func(r *driver) {
			stable(r, "x/f")
			r.do(syncDir("x"))
			r.do(edge.DiskOp{Kind: edge.OpTruncate, File: r.file("x/f")})
			r.do(write(r, "x/f", 0, "other"))
		}, map[string]string{"x/f": "one"}},
		"the next sync": {func(r *driver) {
			r.do(syncDir("x"))
			both(r, write(r, "x/f", 0, "one"), syncDir("x"))
			both(r, sync(r, "x/f"), write(r, "x/f", 3, "two"))
			r.do(syncDir("x"))
			r.do(sync(r, "x/f"))
		}, map[string]string{"x/f": "onetwo"}},
		"a file without its entry": {func(r *driver) { stable(r, "x/f") }, map[string]string{}},
		"an entry without its file": {func(r *driver) {
			r.do(write(r, "x/f", 0, "one"))
			r.do(syncDir("x"))
		}, map[string]string{"x/f": ""}},
		"an entry that comes during a sync": {func(r *driver) {
			stable(r, "x/f")
			r.next++
			both(r, syncDir("x"), edge.DiskOp{Kind: edge.OpOpen, File: r.next, Path: "x/g"})
		}, map[string]string{"x/f": "one"}},
		"the same name in another directory": {func(r *driver) {
			stable(r, "y/f")
			stable(r, "x/f")
			r.do(syncDir("x"))
		}, map[string]string{"x/f": "one"}},
		"a rename, and where it goes": {func(r *driver) {
			stable(r, "x/f")
			r.do(syncDir("x"))
			r.do(rename("x/f", "y/g"))
			r.do(syncDir("y"))
		}, map[string]string{"y/g": "one"}},
		"a rename, and whence it comes": {func(r *driver) {
			stable(r, "x/f")
			r.do(syncDir("x"))
			r.do(rename("x/f", "y/g"))
			r.do(syncDir("x"))
		}, map[string]string{"y/g": "one"}},
		"a rename that nobody syncs": {func(r *driver) {
			stable(r, "x/f")
			r.do(syncDir("x"))
			r.do(rename("x/f", "y/g"))
		}, map[string]string{"x/f": "one"}},
		"a rename of what was not stable": {func(r *driver) {
			stable(r, "x/f")
			r.do(rename("x/f", "y/g"))
			r.do(syncDir("y"))
			r.do(syncDir("x"))
		}, map[string]string{"y/g": "one"}},
		"a removal": {func(r *driver) {
			stable(r, "x/f")
			stable(r, "x/g")
			r.do(syncDir("x"))
			r.do(edge.DiskOp{Kind: edge.OpRemove, Path: "x/f"})
			r.do(syncDir("x"))
			r.do(edge.DiskOp{Kind: edge.OpRemove, Path: "x/g"})
		}, map[string]string{"x/g": "one"}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				r := newDriver(worst(), seed)
				r.do(edge.DiskOp{Kind: edge.OpMkdir, Path: "x"})
				r.do(edge.DiskOp{Kind: edge.OpMkdir, Path: "y"})
				r.do(syncDir(""))
				c.story(r)
				r.d.PowerLoss()
				got := map[string]string{}
				r.d.Walk(func(f FileInfo) {
					contents, _ := r.d.Contents(f.Path)
					got[f.Path] = string(contents)
				})
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Fatalf("seed %d, after a power loss (-want +got):\n%s", seed, diff)
				}
			}
		})
	}
}

// manual is a disk on which nothing becomes stable by itself; worst loses all that is
// not.
func manual() Config {
	cfg := constant()
	cfg.DirtyExpire, cfg.FlushInterval, cfg.JournalCommit = 0, 0, 0
	return cfg
}

func worst() Config {
	cfg := manual()
	cfg.LoseUnsynced = true
	return cfg
}

// Goal: after a sync that failed, one that succeeds may prove nothing, as on Linux: what
// was written is lost in some runs and kept in others. After the power loss the file is
// as good as any.
func TestASyncAfterAFailedOne(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(40) {
		r := newDriver(worst(), seed)
		write := func(at int, text string) {
			r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file("f"), Offset: int64(at), Data: data(text)})
		}
		r.file("f")
		r.do(edge.DiskOp{Kind: edge.OpSyncDir})
		write(0, "one")
		r.d.SetError(KindsOf(edge.OpSync), edge.ErrIO, 1e6)
		if res := r.do(edge.DiskOp{Kind: edge.OpSync, File: r.file("f")}); res.Err != edge.ErrIO {
			t.Fatalf("seed %d: the sync ended with %v", seed, res.Err)
		}
		r.d.SetError(0, edge.DiskOK, 0)
		if res := r.do(edge.DiskOp{Kind: edge.OpSync, File: r.file("f")}); res.Err != edge.DiskOK {
			t.Fatalf("seed %d: the next sync ended with %v", seed, res.Err)
		}
		r.d.PowerLoss()
		r.crashed()
		left, _ := r.d.Contents("f")
		seen[string(left)] = true
		write(len(left), "two")
		r.do(edge.DiskOp{Kind: edge.OpSync, File: r.file("f")})
		r.d.PowerLoss()
		if got, _ := r.d.Contents("f"); string(got) != string(left)+"two" {
			t.Fatalf("seed %d: %q after %q", seed, got, left)
		}
	}
	if diff := cmp.Diff(map[string]bool{"one": true, "": true}, seen); diff != "" {
		t.Error(diff)
	}
}

// Goal: what the kernel is writing back when the power goes may be lost, or not.
func TestPowerLossDuringWriteBack(t *testing.T) {
	seen := map[int]bool{}
	for seed := range uint64(100) {
		r := newDriver(constant(), seed)
		r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file("f"), Data: data("written")})
		r.do(edge.DiskOp{Kind: edge.OpSyncDir})
		for r.d.running.next() == clock.Never { // the flusher has not begun
			r.d.Pop(r.d.Next())
		}
		r.d.PowerLoss()
		left, _ := r.d.Contents("f")
		seen[len(left)] = true
	}
	if diff := cmp.Diff(map[int]bool{0: true, len("written"): true}, seen); diff != "" {
		t.Error(diff)
	}
}

// Goal: a directory change is never without an earlier one of the same entry, and every
// other outcome of a power loss happens. Method: many seeds of one story, in which a
// name is given away and taken again.
func TestDirectoryChangesThatDependOnEachOther(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(200) {
		r := newDriver(manual(), seed)
		r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file("a"), Data: data("old")})
		r.do(edge.DiskOp{Kind: edge.OpSync, File: r.file("a")})
		r.do(edge.DiskOp{Kind: edge.OpSyncDir})
		r.do(edge.DiskOp{Kind: edge.OpRename, Path: "a", NewPath: "b"})
		r.open("a")
		r.d.PowerLoss()
		seen[describe(r.d)]++
	}
	legal := []string{"a(3) ", "b(3) ", "a(0) b(3) "}
	for _, outcome := range legal {
		if seen[outcome] == 0 {
			t.Errorf("%q has never happened", outcome)
		}
		delete(seen, outcome)
	}
	if len(seen) > 0 {
		t.Errorf("illegal: %v", seen)
	}
}

// Goal: a power loss may tear what was not stable at any sector, and leave sectors of
// zeros where the file had grown before its data came, or where zeros were stable;
// what was stable and not written since stays as it was, and each of this happens.
// Method: many seeds of writes of four sectors behind, over data, and over zeros. A
// hole is a sector that has not come, before one that has.
func TestTornWrites(t *testing.T) {
	const sectors = 4
	block := func(b string) string { return strings.Repeat(b, sectors*sector) }
	for name, c := range map[string]struct {
		story func(r *driver)
		at    int    // of the write
		was   string // what a sector of it may be, by its first byte, besides new
		all   string // every outcome, of the sectors that there are
	}{
		"appended":  {func(r *driver) {}, sectors * sector, "\x00", "new, shorter, hole"},
		"over data": {func(r *driver) {}, 0, "A", "new, old, mixed"},
		"over zeros": {func(r *driver) {
			r.do(edge.DiskOp{Kind: edge.OpAllocate, File: r.file("f"), Length: 2 * sectors * sector})
			r.do(edge.DiskOp{Kind: edge.OpSync, File: r.file("f")})
		}, sectors * sector, "\x00", "new, old, mixed, hole"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{}
			for seed := range uint64(300) {
				r := newDriver(manual(), seed)
				r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file("f"), Data: data(block("A"))})
				r.do(edge.DiskOp{Kind: edge.OpSync, File: r.file("f")})
				r.do(edge.DiskOp{Kind: edge.OpSyncDir})
				c.story(r)
				before, _ := r.d.Contents("f")
				for i := range sectors {
					r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file("f"), Offset: int64(c.at + i*sector), Data: data(strings.Repeat("B", sector))})
				}
				r.d.PowerLoss()
				got, _ := r.d.Contents("f")
				if len(got) < len(before) || len(got)%sector != 0 {
					t.Fatalf("seed %d leaves %d bytes of %d", seed, len(got), len(before))
				}
				news, olds, hole := 0, 0, false
				for off := 0; off < len(got); off += sector {
					part := string(got[off : off+sector])
					switch {
					case off >= c.at && off < c.at+len(block("B")) && part == strings.Repeat("B", sector):
						news++
						hole = hole || olds > 0
					case off >= c.at && off < c.at+len(block("B")) && part == strings.Repeat(c.was, sector):
						olds++
					case off >= len(before) || part != string(before[off:off+sector]):
						t.Fatalf("seed %d leaves %.8q at %d", seed, part, off)
					}
				}
				seen["hole"] = seen["hole"] || hole
				switch {
				case news == sectors:
					seen["new"] = true
				case news+olds < sectors && olds == 0:
					seen["shorter"] = true
				case olds == sectors:
					seen["old"] = true
				default:
					seen["mixed"] = true
				}
			}
			for _, want := range strings.Split(c.all, ", ") {
				if !seen[want] {
					t.Errorf("%q has never happened, but %v", want, seen)
				}
			}
		})
	}
}

// Goal: a replacement that fails has not happened, whatever it leaves beside it, and a
// directory takes the place of an empty one only.
func TestWhatFailsHasNotHappened(t *testing.T) {
	beside := map[string]bool{}
	for seed := range uint64(60) {
		r := newDriver(worst(), seed)
		r.do(edge.DiskOp{Kind: edge.OpReplaceFile, Path: "f", Data: data("old")})
		r.d.SetError(KindsOf(edge.OpReplaceFile), edge.ErrIO, 1e6)
		if res := r.do(edge.DiskOp{Kind: edge.OpReplaceFile, Path: "f", Data: data("newer")}); res.Err != edge.ErrIO {
			t.Fatalf("seed %d: %v", seed, res.Err)
		}
		if got, _ := r.d.Contents("f"); string(got) != "old" {
			t.Fatalf("seed %d: a replacement that failed left %q", seed, got)
		}
		beside[describe(r.d)] = true
	}
	if !beside["f(3) "] || !beside["f(3) f.tmp(5) "] || len(beside) < 3 {
		t.Errorf("a replacement fails always in the same place: %v", beside)
	}

	r := newDriver(manual(), 1)
	for _, dir := range []string{"x", "full", "empty"} {
		r.do(edge.DiskOp{Kind: edge.OpMkdir, Path: dir})
	}
	r.file("full/f")
	for to, want := range map[string]edge.DiskError{"full": edge.ErrIO, "empty": edge.DiskOK} {
		if res := r.do(edge.DiskOp{Kind: edge.OpRename, Path: "x", NewPath: to}); res.Err != want {
			t.Errorf("rename to %s: %v, want %v", to, res.Err, want)
		}
		r.do(edge.DiskOp{Kind: edge.OpMkdir, Path: "x"})
	}
}

// Goal: damage is as told: one bit is inverted on the disk and in no buffer of the
// writer's, a file that is cut stays cut when the power goes, and errors of one kind
// of operation are errors of no other.
func TestDamageIsAsTold(t *testing.T) {
	for seed := range uint64(20) {
		r := newDriver(worst(), seed)
		written := edge.NewBuffer([]byte(strings.Repeat("\xff", 2*largeWrite)))
		r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file("f"), Data: []edge.Slice{written.Retain().All()}})
		r.d.SetError(KindsOf(edge.OpRead), edge.ErrIO, 1e6)
		for _, op := range []edge.DiskOp{{Kind: edge.OpSync, File: r.file("f")}, {Kind: edge.OpSyncDir}} {
			if res := r.do(op); res.Err != edge.DiskOK {
				t.Fatalf("%v failed where reads should: %v", op.Kind, res.Err)
			}
		}
		flipped, _ := r.d.FlipBit("f")
		cut, _ := r.d.TruncateFile("f", 7)
		r.d.PowerLoss()
		want := []byte(strings.Repeat("\xff", 2*largeWrite))
		if string(written.Bytes()) != string(want) {
			t.Fatalf("seed %d: the writer's buffer was damaged", seed)
		}
		want[flipped.Offset] ^= 1 << flipped.Bit
		if got, _ := r.d.Contents("f"); string(got) != string(want[:len(want)-7]) || cut.Offset != int64(len(got)) {
			t.Fatalf("seed %d: %d bytes, told were %+v and %+v", seed, len(got), flipped, cut)
		}
	}
}
