package log

import (
	"math/rand/v2"
	"testing"

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

// verify compares what the log serves with what was appended.
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
		r.Slices[0].Buffer.Release()
		from = r.Next
	}
}
