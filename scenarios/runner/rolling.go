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

// rolling is a rolling restart as an operator's script does it: stop a node in
// the controlled way, start it, wait until every replica is in sync, wait the
// gap, go on.
//
//	waiting --next--> restarting --recovered--> waiting, or done after the last
type rolling struct {
	hosts []netsim.HostID
	gap   time.Duration
	next  clock.Instant
	span  int // index in faults.done
	index int // of the host in work, or of the one restarted last; -1 before the first
	// restarting is whether that one is not back yet.
	restarting bool
	boots      int   // of that host before its restart
	applied    int64 // what the active controller had applied then
}

// advance takes the next step and tells whether all is done.
func (r *rolling) advance(now clock.Instant, w *sim.World, v *view) bool {
	r.next = now.Add(pollEvery)
	if r.restarting {
		if !r.recovered(w, v) {
			return false
		}
		r.restarting = false
		if r.index+1 < len(r.hosts) {
			r.next = now.Add(max(pollEvery, r.gap))
			return false
		}
		return true
	}
	r.index++
	h := r.hosts[r.index]
	r.restarting, r.boots, r.applied = true, w.Boots(h), 0
	if c, _ := v.activeController(); c != nil {
		r.applied = c.Applied()
	}
	w.Note("rolling restart of " + w.Name(h))
	w.Shutdown(h, downFor)
	return false
}

// recovered: a broker serves again and every replica is in sync; a controller
// follows an active one and has applied what was there before its restart.
func (r *rolling) recovered(w *sim.World, v *view) bool {
	h := r.hosts[r.index]
	n := v.node(h)
	if n == nil || w.Boots(h) == r.boots {
		return false
	}
	if v.layout.hosts[h].role == roleController {
		active, _ := v.activeController()
		k := n.Controller()
		return active != nil && k.Ready() && k.Applied() >= r.applied
	}
	return n.State() == lifecycle.Running && v.health(func(string) int { return 0 }).underReplicated == 0
}
