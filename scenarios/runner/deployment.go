package runner

import (
	"cmp"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// deployment stops and starts consumers as their pauses say: with SIGTERM, upon which
// they leave their group, and in another process. One that has not stopped by then is
// killed, as orchestrators do.
type deployment struct {
	orders []order // in the order of their time
	next   int
}

type order struct {
	at    clock.Instant
	host  netsim.HostID
	start bool
}

func newDeployment(s *scenarios.Scenario, l *layout, origin clock.Instant) *deployment {
	d := &deployment{}
	for i := range l.hosts {
		h := &l.hosts[i]
		if h.role != roleConsumer {
			continue
		}
		for _, p := range s.Workload.Consumers[h.group].Pauses {
			d.orders = append(d.orders, order{origin.Add(p.At), netsim.HostID(i), false},
				order{origin.Add(p.At + p.For), netsim.HostID(i), true})
		}
	}
	slices.SortStableFunc(d.orders, func(a, b order) int { return cmp.Compare(a.at, b.at) })
	return d
}

// Next implements sim.Timeline.
func (d *deployment) Next() clock.Instant {
	if d.next == len(d.orders) {
		return clock.Never
	}
	return d.orders[d.next].at
}

// Act implements sim.Timeline.
func (d *deployment) Act(now clock.Instant, w *sim.World) {
	for ; d.next < len(d.orders) && d.orders[d.next].at <= now; d.next++ {
		o := &d.orders[d.next]
		if !o.start {
			w.Shutdown(o.host, 0)
			continue
		}
		w.Kill(o.host)
		w.Start(o.host, 0)
	}
}
