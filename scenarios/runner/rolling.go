package runner

import (
	"slices"
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
	// atOnce is how long it takes an orchestrator to see that a process has ended.
	atOnce = 10 * time.Millisecond
)

// restart is a node that is stopped in the controlled way and started again.
type restart struct {
	host    netsim.HostID
	boots   int   // before it
	applied int64 // what the active controller had applied then
}

func beginRestart(w *sim.World, v *view, h netsim.HostID, down time.Duration) restart {
	r := restart{host: h, boots: w.Boots(h)}
	if c, _ := v.activeController(); c != nil {
		r.applied = c.Applied()
	}
	w.Shutdown(h, down)
	return r
}

// serves: a broker serves again; a controller follows an active one and has
// applied what was there before its restart.
func (r *restart) serves(w *sim.World, v *view) bool {
	n := v.node(r.host)
	if n == nil || w.Boots(r.host) == r.boots {
		return false
	}
	if v.layout.hosts[r.host].role == roleController {
		active, _ := v.activeController()
		k := n.Controller()
		return active != nil && k.Ready() && k.Applied() >= r.applied
	}
	return n.State() == lifecycle.Running
}

// restarts is nodes that are restarted all together, as an orchestrator does it
// that does not look at the cluster: some may only just be starting.
type restarts struct {
	nodes []restart
	next  clock.Instant
	span  int // index in faults.done
}

// over looks whether all of them serve again, but for those that have been
// decommissioned meanwhile.
func (r *restarts) over(now clock.Instant, w *sim.World, v *view, gone []netsim.HostID) bool {
	r.next = now.Add(pollEvery)
	return !slices.ContainsFunc(r.nodes, func(n restart) bool { return !slices.Contains(gone, n.host) && !n.serves(w, v) })
}

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
	current    restart
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
	w.Note("rolling restart of " + w.Name(h))
	r.restarting, r.current = true, beginRestart(w, v, h, downFor)
	return false
}

// recovered: the node serves again and, if it is a broker, every replica is in sync.
func (r *rolling) recovered(w *sim.World, v *view) bool {
	return r.current.serves(w, v) && (v.layout.hosts[r.current.host].role == roleController ||
		v.health(func(string) int { return 0 }).underReplicated == 0)
}
