package log

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// simRig drives a Manager on the simulator's disk, whose power losses tear
// writes at sectors, leave holes, and lose directory entries.
type simRig struct {
	rig
	sim *disk.Disk
}

func (x *simRig) submit() {
	for i := range x.out.Disk {
		x.sim.Submit(x.c.Now, &x.out.Disk[i])
	}
	x.out.Disk = x.out.Disk[:0]
	x.changes = x.m.TakeChanges(x.changes[:0])
}

// run delivers the results of the next n instants.
func (x *simRig) run(n int) {
	for range n {
		at := x.sim.Next()
		if at == clock.Never {
			return
		}
		x.c.Now = at
		for r, ok := x.sim.Pop(at); ok; r, ok = x.sim.Pop(at) {
			x.m.Disk(&x.c, &r)
			x.submit()
		}
	}
}

// Goal: on the simulator's disk nothing flushed is lost and nothing else than
// what was appended comes back. Method: five incarnations a seed, each ended in
// the middle of its writes.
func TestSurvivesSimulatedDisk(t *testing.T) {
	const whole = 1 << 20
	for seed := range uint64(200) {
		x := &simRig{sim: disk.New(disk.Defaults(), seed), rig: *newRig(testConfig())}
		x.c.Out, x.c.Buffers, x.c.Timers = &x.out, &x.pool, &x.timers
		x.random = rand.New(rand.NewPCG(seed, 1))
		x.cfg.TopicDefaults.FlushMessages = []int64{1, 5, 1 << 62}[seed%3]
		x.cfg.TopicDefaults.Preallocate = seed%2 == 1
		var all []string
		for range 5 {
			x.out.Reset()
			x.m = NewManager(x.cfg)
			x.m.Boot(&x.c)
			x.submit()
			x.run(whole)
			if x.log() == nil {
				x.m.Create(&x.c, thePartition, [16]byte{1}, x.cfg.TopicDefaults)
				x.submit()
			}
			l := x.log()
			if int(l.EndOffset()) > len(all) {
				t.Fatalf("seed %d: log ends at %d, %d were appended", seed, l.EndOffset(), len(all))
			}
			all = all[:l.EndOffset()]
			x.verify(t, all)
			for range x.random.IntN(30) {
				b := x.batch(batchOptions{bytes: x.random.IntN(300)})
				if _, err := l.Append(&x.c, b, 0, b.Len(), 0); err != nil {
					t.Fatal(err)
				}
				all = append(all, string(b.Bytes()))
				b.Release()
				x.submit()
				x.run(x.random.IntN(3))
			}
			safe := l.FlushedOffset()
			if x.random.IntN(2) == 0 {
				x.sim.Kill()
			} else {
				x.sim.PowerLoss()
			}
			x.out.Reset()
			x.m = NewManager(x.cfg)
			x.m.Boot(&x.c)
			x.submit()
			x.run(whole)
			if !x.m.Ready() || x.log() == nil && safe > 0 || x.log() != nil && x.log().EndOffset() < safe {
				t.Fatalf("seed %d: flushed to %d, after recovery: ready %v, %s", seed, safe, x.m.Ready(), x.out.Halt)
			}
			x.sim.Kill()
		}
	}
}

// Goal: a crash in the middle of a truncation leaves a beginning of the log, also below
// the recovery point, which no recovery looks at, and where compaction may have made gaps.
// Method: kills and power losses behind any of the truncation's operations; what was
// appended is there up to the log's end, which is nowhere but at a batch's or where the log
// was to begin anew.
func TestCrashInTruncationLeavesNoHole(t *testing.T) {
	const restart = 30
	for seed := range uint64(800) {
		x := newSimRig(seed, [...]config.CleanupPolicy{config.CleanupCompact, config.CleanupDelete}[seed/400])
		all := x.fill(t)
		if seed%2 == 0 {
			x.log().TruncateTo(&x.c, 1)
		} else {
			x.log().TruncateFullyAndStartAt(&x.c, restart)
		}
		x.crashAfter(int(seed/4)%50, seed/2%2 == 0)
		l := x.log()
		if l.EndOffset() > int64(len(all)) && (l.StartOffset() != restart || l.EndOffset() != restart) {
			t.Fatalf("seed %d: the log is %d to %d", seed, l.StartOffset(), l.EndOffset())
		}
		x.verify(t, all)
	}
}

// Goal: a crash in the middle of retention leaves all that was flushed and is not deleted,
// and what comes back of the rest joins it. Method: as above.
func TestCrashInRetentionLeavesNoHole(t *testing.T) {
	const start = 15
	for seed := range uint64(400) {
		x := newSimRig(seed, config.CleanupDelete)
		all := x.fill(t)
		x.log().SetHighWatermark(start)
		x.log().AdvanceStart(&x.c, start)
		x.log().Retention(&x.c)
		x.crashAfter(int(seed/2)%50, seed%2 == 0)
		if l := x.log(); l.StartOffset() > start || l.EndOffset() != int64(len(all)) {
			t.Fatalf("seed %d: the log is %d to %d", seed, l.StartOffset(), l.EndOffset())
		}
		x.verify(t, all)
	}
}

// newSimRig starts a broker on an empty disk, with the log of a topic of that policy.
func newSimRig(seed uint64, policy config.CleanupPolicy) *simRig {
	x := &simRig{sim: disk.New(disk.Defaults(), seed), rig: *newRig(testConfig())}
	x.c.Out, x.c.Buffers, x.c.Timers = &x.out, &x.pool, &x.timers
	x.cfg.TopicDefaults.CleanupPolicy = policy
	x.start()
	x.m.Create(&x.c, thePartition, [16]byte{1}, x.cfg.TopicDefaults)
	x.settleSim()
	return x
}

// start recovers what is on the disk.
func (x *simRig) start() {
	x.out.Reset()
	x.m = NewManager(x.cfg)
	x.m.Boot(&x.c)
	x.settleSim()
}

func (x *simRig) settleSim() {
	x.submit()
	x.run(1 << 20)
}

// fill appends batches, a record each, to several segments, flushes them, and has the
// recovery point say so.
func (x *simRig) fill(t *testing.T) (all []string) {
	for range 20 {
		b := x.batch(batchOptions{bytes: 200})
		if _, err := x.log().Append(&x.c, b, 0, b.Len(), 0); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b.Bytes()))
		b.Release()
		x.submit()
	}
	x.run(1 << 20)
	x.log().Flush(&x.c)
	x.settleSim()
	x.m.checkpointNow(&x.c)
	x.settleSim()
	if n := len(x.log().segments); n < 5 {
		t.Fatalf("the log has %d segments", n)
	}
	return all
}

// crashAfter ends the process, or the machine, after some more instants, and starts it
// again.
func (x *simRig) crashAfter(instants int, kill bool) {
	x.submit()
	x.run(instants)
	if kill {
		x.sim.Kill()
	} else {
		x.sim.PowerLoss()
	}
	x.start()
}

// verify compares what the log serves with what was appended, a record a batch.
func (x *simRig) verify(t *testing.T, want []string) {
	l := x.log()
	for from := l.StartOffset(); from < l.EndOffset(); {
		r := l.Read(&x.c, from, 1, l.EndOffset(), true, nil)
		x.submit()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Loading {
			x.run(1 << 20)
			continue
		}
		if got := string(r.Slices[0].Bytes()); got != want[from] {
			t.Fatalf("batch %d differs from what was appended", from)
		}
		if r.Next != from+1 {
			t.Fatalf("batch %d is followed by %d", from, r.Next)
		}
		r.Slices[0].Buffer.Release()
		from = r.Next
	}
}

// Goal: whatever a log has gone through when the process or the power ends, what comes
// back joins, is a beginning of one of the histories that the log had since it last came
// to rest, and has all that was flushed. Method: random appends, truncations, new
// beginnings, retention and checkpoints, cut off anywhere.
func TestHistorySurvivesSimulatedDisk(t *testing.T) {
	for seed := range uint64(1500) {
		x := newSimRig(seed, config.CleanupDelete)
		x.random = rand.New(rand.NewPCG(seed, 2))
		x.cfg.TopicDefaults.FlushMessages = []int64{1, 4, 1 << 62}[seed%3]
		x.cfg.TopicDefaults.Preallocate = seed/3%2 == 1
		x.log().SetConfig(x.cfg.TopicDefaults)
		h := history{}
		for range 60 {
			h.act(t, x)
			if x.random.IntN(12) == 0 {
				h.crash(t, x, seed)
			}
		}
	}
}

// history is what a log should hold, and, in before, what it held before changes that may
// not have reached the disk. The first offset of a history is in base.
type history struct {
	now    lineage
	before []lineage
	anew   bool // one of these changes began the log anew: it may be cut anywhere
}

type lineage struct {
	base    int64
	batches []string
}

func (n lineage) end() int64 { return n.base + int64(len(n.batches)) }

func (h *history) act(t *testing.T, x *simRig) {
	l := x.log()
	offset := h.now.base + x.random.Int64N(h.now.end()-h.now.base+3)
	switch what := x.random.IntN(14); {
	case what == 0 && l.Usable():
		h.before = append(h.before, h.now)
		l.TruncateTo(&x.c, offset)
		if offset < h.now.end() {
			h.now.batches = slices.Clone(h.now.batches[:offset-h.now.base])
		}
	case what == 1 && l.Usable():
		h.before = append(h.before, h.now)
		l.TruncateFullyAndStartAt(&x.c, offset)
		h.now, h.anew = lineage{base: offset}, true
	case what == 2 && l.Usable():
		l.SetHighWatermark(l.EndOffset())
		l.AdvanceStart(&x.c, min(offset, l.EndOffset()-1))
		l.Retention(&x.c)
	case what == 3:
		l.Flush(&x.c)
	case what == 4:
		x.m.checkpointNow(&x.c)
	case what == 5:
		x.settleSim()
		h.before, h.anew = nil, false
	default:
		if !l.Usable() {
			x.settleSim()
		}
		b := x.batch(batchOptions{bytes: x.random.IntN(300), timestamp: x.random.Int64N(1 << 40)})
		if info, err := l.Append(&x.c, b, 0, b.Len(), 0); err != nil || info.BaseOffset != h.now.end() {
			t.Fatalf("append at %d: %+v %v", h.now.end(), info, err)
		}
		h.now.batches = append(h.now.batches[:len(h.now.batches):len(h.now.batches)], string(b.Bytes()))
		b.Release()
	}
	x.submit()
	x.run(x.random.IntN(4))
}

func (h *history) crash(t *testing.T, x *simRig, seed uint64) {
	flushed := x.log().FlushedOffset()
	for _, n := range append(h.before, h.now) {
		if flushed = min(flushed, n.end()); h.anew {
			flushed = 0
		}
	}
	x.crashAfter(x.random.IntN(10), x.random.IntN(2) == 0)
	l := x.log()
	x.log().SetConfig(x.cfg.TopicDefaults)
	for _, n := range append(h.before, h.now) {
		if l.StartOffset() < n.base || l.EndOffset() > n.end() || l.EndOffset() < flushed {
			continue
		}
		if from := l.StartOffset() - n.base; x.holds(l.StartOffset(), n.batches[from:l.EndOffset()-n.base]) {
			*h = history{now: lineage{n.base, n.batches[:l.EndOffset()-n.base]}}
			return
		}
	}
	if l.StartOffset() == l.EndOffset() && len(h.before) > 0 {
		*h = history{now: lineage{base: l.EndOffset()}} // between the old segments and the new one
		return
	}
	t.Fatalf("seed %d: the log is %d to %d, flushed were %d: none of %d histories", seed, l.StartOffset(), l.EndOffset(), flushed, len(h.before)+1)
}

// holds says whether the log from an offset on is these batches.
func (x *simRig) holds(from int64, want []string) bool {
	for len(want) > 0 {
		r := x.log().Read(&x.c, from, 1, x.log().EndOffset(), true, nil)
		x.submit()
		if r.Loading {
			x.run(1 << 20)
			continue
		}
		if r.Err != nil || len(r.Slices) != 1 || string(r.Slices[0].Bytes()) != want[0] {
			return false
		}
		r.Slices[0].Buffer.Release()
		from, want = r.Next, want[1:]
	}
	return true
}
