package invariant

import (
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/netsim"
)

// Goal: watching costs no memory once everything has been seen. Method: count
// allocations of untouched steps, of a touched leader and of a sweep.
func TestNoAllocations(t *testing.T) {
	k := newCluster(plan{seed: 1, minISR: 2})
	k.run(12 * time.Second)
	var none edge.Effects
	now := k.world.Now()
	for name, f := range map[string]func(){
		"untouched steps": func() {
			for h := range clientHost + 1 {
				k.checker.Stepped(now, h, nil, &none)
			}
		},
		"a look at every replica": k.checker.Sweep,
		"an ack":                  func() { k.checker.Acked(testTopic, 0, 0, 1, true, now) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if k.checker.Total() != 0 {
		t.Error(k.checker.Violations())
	}
}

func BenchmarkUntouchedStep(b *testing.B) {
	k := newCluster(plan{seed: 1, minISR: 2})
	k.run(8 * time.Second)
	k.checker.cfg.SweepEvery = 1 << 60
	k.checker.nextSweep = 1 << 60
	var none edge.Effects
	h := netsim.HostID(0)
	b.ReportAllocs()
	for b.Loop() {
		k.checker.Stepped(k.world.Now(), h, nil, &none)
		if h++; h > clientHost {
			h = 0
		}
	}
}

func BenchmarkTouchedReplica(b *testing.B) {
	k := newCluster(plan{seed: 1, minISR: 2})
	k.run(8 * time.Second)
	m := k.checker.node(3).Partitions()
	var p *partition.Partition
	for _, p = range m.Partitions() {
		if p.Role() == partition.Leader {
			break
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		k.checker.look(3, m, p)
	}
}
