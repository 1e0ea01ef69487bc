package runner

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/lifecycle"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

const (
	// pollEvery is how often an operator's script looks at the cluster.
	pollEvery = 100 * time.Millisecond
	// downFor is how long a broker is down between SIGTERM's end and its start.
	downFor = 2 * time.Second
)

// rolling is a rolling restart as an operator's script does it: stop a broker in
// the controlled way, start it, wait until every replica is in sync, go on.
type rolling struct {
	hosts []netsim.HostID
	gap   time.Duration
	next  clock.Instant
	span  int // index in faults.done
	index int // of the host in work; -1 before the first
	boots int // of that host before its restart
}

// advance takes the next step and tells whether all is done.
func (r *rolling) advance(now clock.Instant, w *sim.World, v *view) bool {
	r.next = now.Add(pollEvery)
	if r.index >= 0 && !r.recovered(w, v) {
		return false
	}
	r.index++
	if r.index == len(r.hosts) {
		return true
	}
	h := r.hosts[r.index]
	r.boots = w.Boots(h)
	w.Note("rolling restart of " + w.Name(h))
	w.Shutdown(h, downFor)
	r.next = now.Add(max(pollEvery, r.gap))
	return false
}

func (r *rolling) recovered(w *sim.World, v *view) bool {
	h := r.hosts[r.index]
	n := v.node(h)
	if n == nil || w.Boots(h) == r.boots || n.State() != lifecycle.Running {
		return false
	}
	health := v.health(func(string) int { return 0 })
	return health.underReplicated == 0
}
