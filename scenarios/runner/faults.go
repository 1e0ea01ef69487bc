package runner

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/invariant"
)

// faults carries out the timeline: it is the only place that disturbs the world.
type faults struct {
	view     *view
	events   []scenarios.Event
	random   *rand.PCG
	origin   clock.Instant // the scenario's time zero
	actions  []action      // sorted by time, then order in the file, ends after begins
	saved    []savedDisk
	next     int
	roll     *rolling
	restarts []restarts
	operate  operator
	done     []span             // as carried out, in the order of their beginning
	missed   []string           // what did nothing, one sentence each: such a run proves nothing
	inside   *invariant.Checker // told of what disks lose or get wrong
	// stormReplicas is how many replicas the topics of an admin_storm have.
	stormReplicas int16
}

// action is a moment of an event.
type action struct {
	at    clock.Instant
	event int
	what  moment
}

type moment uint8

const (
	begins moment = iota
	ends
	saves // the copy of a disk that the event restores
)

// span is an event that has been carried out.
type span struct {
	event    int
	from, to clock.Instant // equal for an instant; to is Never while it lasts without an end
	hosts    []netsim.HostID
	damage   []string // what it did that its options do not say, for people
	held     int64    // hold_rpc: frames that the network had held before
}

// over tells whether the event has ended.
func (s *span) over(now clock.Instant) bool { return s.to <= now }

func newFaults(v *view, s *scenarios.Scenario, random *rand.PCG, origin clock.Instant) *faults {
	f := &faults{view: v, events: s.Timeline, random: random, origin: origin, stormReplicas: int16(s.Cluster.StormReplicas())}
	for i := range s.Timeline {
		e := &s.Timeline[i]
		f.actions = append(f.actions, action{at: origin.Add(e.At), event: i})
		if e.End() > e.At {
			f.actions = append(f.actions, action{at: origin.Add(e.End()), event: i, what: ends})
		}
		if e.Operator == "restore_backup" {
			f.actions = append(f.actions, action{at: origin.Add(e.At - e.Age), event: i, what: saves})
		}
	}
	slices.SortStableFunc(f.actions, func(a, b action) int { return int(min(max(a.at-b.at, -1), 1)) })
	return f
}

// Next implements sim.Timeline.
func (f *faults) Next() clock.Instant {
	at := clock.Never
	if f.next < len(f.actions) {
		at = f.actions[f.next].at
	}
	if f.roll != nil {
		at = min(at, f.roll.next)
	}
	for i := range f.restarts {
		at = min(at, f.restarts[i].next)
	}
	return min(at, f.operate.wants())
}

// Act implements sim.Timeline.
func (f *faults) Act(now clock.Instant, w *sim.World) {
	for f.next < len(f.actions) && f.actions[f.next].at <= now {
		a := f.actions[f.next]
		f.next++
		e := &f.events[a.event]
		switch a.what {
		case begins:
			f.begin(now, w, a.event, e)
		case ends:
			f.end(now, w, a.event, e)
		case saves:
			f.save(w, a.event, e)
		}
	}
	if f.roll != nil && f.roll.next <= now && f.roll.advance(now, w, f.view) {
		f.done[f.roll.span].to = now
		f.roll = nil
	}
	for i := 0; i < len(f.restarts); i++ {
		if r := &f.restarts[i]; r.next <= now && r.over(now, w, f.view, f.operate.gone) {
			f.done[r.span].to = now
			f.restarts = slices.Delete(f.restarts, i, i+1)
			i--
		}
	}
	if f.operate.wants() <= now {
		f.operate.look(now, w, f.view, f.done)
	}
}

// nothing notes that an event did nothing.
func (f *faults) nothing(now clock.Instant, e *scenarios.Event, why string) {
	f.missed = append(f.missed, fmt.Sprintf("%s at %s did nothing: %s", e.Verb(), now.Sub(f.origin), why))
}

// unfinished tells which of an operator's actions have not come to their end.
func (f *faults) unfinished() (out []string) {
	if f.roll != nil {
		out = append(out, fmt.Sprintf("the rolling restart of %s was still waiting for %s at the end",
			f.names(f.roll.hosts), f.names(f.roll.hosts[max(0, f.roll.index):][:1])))
	}
	for i := range f.restarts {
		out = append(out, fmt.Sprintf("the restart of %s was not over at the end", f.names(f.done[f.restarts[i].span].hosts)))
	}
	return append(out, f.operate.unfinished(f.view)...)
}

func (f *faults) begin(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	hosts := f.resolve(&e.Target, e.HitsClients())
	if len(hosts) == 0 && e.Target.Kind != scenarios.TargetNone {
		f.nothing(now, e, "the target "+e.Target.Text+" was nobody")
		return
	}
	switch e.Operator {
	case "move_leader", "reassign":
		f.move(now, w, index, e)
		return
	case "add_partitions":
		f.grow(now, w, index, e)
		return
	case "admin_storm":
		f.storm(now, w, index, e)
		return
	case "add_brokers":
		f.join(now, w, index, e)
		return
	case "decommission":
		f.leave(now, w, index, e, hosts[0])
		return
	}
	if e.Operator == "rolling_restart" && f.roll != nil {
		f.nothing(now, e, "another rolling restart was still under way")
		return
	}
	if e.Operator == "restart" {
		f.restart(now, w, index, e, hosts)
		return
	}
	w.Note(e.Verb() + " " + f.names(hosts))
	s := span{event: index, from: now, to: now, hosts: hosts}
	if e.End() > e.At {
		s.to = f.origin.Add(e.End())
	} else if e.Fault == "kill" || e.Fault == "power_loss" {
		s.to = clock.Never
	}
	if e.Operator == "rolling_restart" {
		if e.Target.Kind == scenarios.TargetNone {
			s.hosts = f.brokersNow()
		}
		f.roll = &rolling{hosts: s.hosts, gap: e.Gap, next: now.Add(pollEvery), span: len(f.done), index: -1}
		s.to = clock.Never
	}
	f.done = append(f.done, s)
	f.inflict(now, w, &f.done[len(f.done)-1], e)
}

// restart begins a restart of nodes together, which lasts until all serve again.
func (f *faults) restart(now clock.Instant, w *sim.World, index int, e *scenarios.Event, hosts []netsim.HostID) {
	w.Note(e.Verb() + " " + f.names(hosts))
	r := restarts{next: now.Add(pollEvery), span: len(f.done)}
	s := span{event: index, from: now, to: clock.Never}
	for _, h := range hosts {
		if state := w.State(h); state != sim.Running && state != sim.Paused {
			f.nothing(now, e, w.Name(h)+" was down")
			continue
		}
		r.nodes = append(r.nodes, beginRestart(w, f.view, h, atOnce))
		s.hosts = append(s.hosts, h)
	}
	if len(r.nodes) > 0 {
		f.done = append(f.done, s)
		f.restarts = append(f.restarts, r)
	}
}

// move begins a reassignment, which lasts until it is complete.
func (f *faults) move(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	to := f.resolve(&e.To, false)
	if len(to) == 0 && e.To.Kind != scenarios.TargetNone {
		f.nothing(now, e, "the broker "+e.To.Text+" was nobody")
		return
	}
	w.Note(e.Verb() + " " + e.Partition + " " + f.names(to))
	if why := f.operate.begin(now, w, f.view, e, to, f.done); why != "" {
		f.nothing(now, e, why)
		return
	}
	f.done = append(f.done, span{event: index, from: now, to: clock.Never, hosts: to})
}

// grow begins an addition of partitions, which lasts until they have leaders.
func (f *faults) grow(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	w.Note(fmt.Sprintf("%s %s to %d", e.Verb(), e.Topic, e.Partitions))
	if why := f.operate.grow(now, w, e, f.done); why != "" {
		f.nothing(now, e, why)
		return
	}
	f.done = append(f.done, span{event: index, from: now, to: clock.Never})
}

func (f *faults) end(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	at := slices.IndexFunc(f.done, func(s span) bool { return s.event == index })
	if at < 0 {
		return // it did nothing
	}
	w.Note("end of " + e.Verb() + " " + f.names(f.done[at].hosts))
	f.withdraw(now, w, &f.done[at], e)
}

// takesDown tells whether an event stops processes for as long as it lasts.
func takesDown(e *scenarios.Event) bool {
	return e.Fault == "kill" || e.Fault == "power_loss" || e.Fault == "zone_outage" && e.Mode != "network"
}

// held tells whether another event than s, not over yet, does to a host what
// kind says: the end of one must not undo the other.
func (f *faults) held(now clock.Instant, s *span, h netsim.HostID, kind func(*scenarios.Event) bool) bool {
	return slices.ContainsFunc(f.done, func(o span) bool {
		return o.event != s.event && !o.over(now) && kind(&f.events[o.event]) && slices.Contains(o.hosts, h)
	})
}
