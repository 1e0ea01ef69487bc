package runner

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
	"github.com/seed-604ea8f1/windtunnel/sim/invariant"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// faults carries out the timeline: it is the only place that disturbs the world.
type faults struct {
	view    *view
	events  []scenarios.Event
	random  *rand.PCG
	origin  clock.Instant // the scenario's time zero
	actions []action      // sorted by time, then order in the file, ends after begins
	next    int
	roll    *rolling
	done    []span // as carried out, in the order of their beginning
	missed  []string
	inside  *invariant.Checker // told of what disks lose or get wrong
}

// action is the beginning or the end of an event.
type action struct {
	at    clock.Instant
	event int
	end   bool
}

// span is an event that has been carried out.
type span struct {
	event    int
	from, to clock.Instant // equal for an instant; to is Never while it lasts without an end
	hosts    []netsim.HostID
}

func newFaults(v *view, s *scenarios.Scenario, random *rand.PCG, origin clock.Instant) *faults {
	f := &faults{view: v, events: s.Timeline, random: random, origin: origin}
	for i := range s.Timeline {
		e := &s.Timeline[i]
		f.actions = append(f.actions, action{at: origin.Add(e.At), event: i})
		if e.End() > e.At {
			f.actions = append(f.actions, action{at: origin.Add(e.End()), event: i, end: true})
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
	return at
}

// Act implements sim.Timeline.
func (f *faults) Act(now clock.Instant, w *sim.World) {
	for f.next < len(f.actions) && f.actions[f.next].at <= now {
		a := f.actions[f.next]
		f.next++
		e := &f.events[a.event]
		if a.end {
			f.end(now, w, a.event, e)
		} else {
			f.begin(now, w, a.event, e)
		}
	}
	if f.roll != nil && f.roll.next <= now && f.roll.advance(now, w, f.view) {
		f.done[f.roll.span].to = now
		f.roll = nil
	}
}

// network tells whether a fault is one of the network's, which hits clients too.
func network(e *scenarios.Event) bool {
	switch e.Fault {
	case "partition", "link", "reset_connections", "hold_rpc":
		return true
	case "zone_outage":
		return e.Mode == "network"
	}
	return false
}

func (f *faults) begin(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	hosts := f.resolve(&e.Target, network(e))
	if len(hosts) == 0 && e.Target.Kind != scenarios.TargetNone {
		f.missed = append(f.missed, "the target "+e.Target.Text+" of "+e.Verb()+" was nobody at "+now.String())
		return
	}
	if e.Operator == "move_leader" {
		f.missed = append(f.missed, "move_leader is not carried out yet: Kafka moves a leader by reassignment, which this broker lacks")
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
			s.hosts = slices.Clone(f.view.layout.brokers)
		}
		f.roll = &rolling{hosts: s.hosts, gap: e.Gap, next: now.Add(pollEvery), span: len(f.done), index: -1}
		s.to = clock.Never
	}
	f.done = append(f.done, s)
	f.inflict(now, w, index, e, hosts)
}

func (f *faults) inflict(now clock.Instant, w *sim.World, index int, e *scenarios.Event, hosts []netsim.HostID) {
	switch e.Fault {
	case "zone_outage":
		switch e.Mode {
		case "network":
			others := f.others(hosts)
			w.Network().CutPairs(netsim.CutID(index), both(hosts, others))
		case "kill":
			each(hosts, w.Kill)
		default:
			each(hosts, w.PowerLoss)
		}
	case "kill":
		each(hosts, w.Kill)
	case "power_loss":
		each(hosts, w.PowerLoss)
	case "pause":
		each(hosts, w.Pause)
	case "partition":
		w.Network().CutPairs(netsim.CutID(index), f.cut(e, hosts))
	case "link":
		a, b := f.ends(e)
		d := netsim.Degradation{
			Latency: e.Latency, Jitter: e.Jitter, LossPPM: int32(e.Loss), DuplicatePPM: int32(e.Duplicate),
			ReorderPPM: int32(e.Reorder), BytesPerSecond: int64(e.Bandwidth),
		}
		w.Network().Degrade(netsim.DegradeID(2*index), a, b, d)
		w.Network().Degrade(netsim.DegradeID(2*index+1), b, a, d)
	case "reset_connections":
		w.Network().ResetConnections(now, hosts, f.others(hosts))
	case "hold_rpc":
		from, to := f.resolve(&e.From, true), f.resolve(&e.To, true)
		w.Network().Hold(netsim.HoldID(index), from, to, netsim.Match{API: apiKey(e.API)})
	case "disk":
		f.disks(w, e, hosts)
	case "clock":
		for _, h := range hosts {
			if e.Bump != 0 {
				w.BumpClock(h, e.Bump)
			}
			if e.Strobe != 0 {
				w.SetClockStrobe(h, clock.Strobe{From: now, Until: now.Add(e.For), Period: e.Period, Delta: e.Strobe})
			}
		}
	}
}

func (f *faults) end(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	at := slices.IndexFunc(f.done, func(s span) bool { return s.event == index })
	if at < 0 {
		return // its target was nobody
	}
	hosts := f.done[at].hosts
	w.Note("end of " + e.Verb() + " " + f.names(hosts))
	switch e.Fault {
	case "zone_outage":
		if e.Mode == "network" {
			w.Network().Heal(netsim.CutID(index))
			return
		}
		each(hosts, func(h netsim.HostID) { w.Start(h, 0) })
	case "kill", "power_loss":
		each(hosts, func(h netsim.HostID) { w.Start(h, 0) })
	case "pause":
		each(hosts, w.Resume)
	case "partition":
		w.Network().Heal(netsim.CutID(index))
	case "link":
		w.Network().Restore(netsim.DegradeID(2 * index))
		w.Network().Restore(netsim.DegradeID(2*index + 1))
	case "hold_rpc":
		w.Network().Release(now, netsim.HoldID(index))
	case "disk":
		for _, h := range hosts {
			d := w.Disk(h)
			d.SetLatency(everyOp, 0)
			d.SetError(everyOp, edge.DiskOK, 0)
			d.SetFull(false)
			w.Start(h, 0) // a broker that its disk has halted
		}
	case "clock":
		if e.Bump != 0 {
			each(hosts, func(h netsim.HostID) { w.BumpClock(h, -e.Bump) })
		}
	}
}

// everyOp is all that a disk does.
var everyOp = disk.KindsOf(edge.OpMkdir, edge.OpList, edge.OpOpen, edge.OpRead, edge.OpWrite, edge.OpTruncate, edge.OpSync,
	edge.OpSyncDir, edge.OpRename, edge.OpRemove, edge.OpReadFile, edge.OpReplaceFile)

func (f *faults) disks(w *sim.World, e *scenarios.Event, hosts []netsim.HostID) {
	for _, h := range hosts {
		d := w.Disk(h)
		if e.Latency > 0 {
			d.SetLatency(everyOp, e.Latency)
		}
		if e.Full {
			d.SetFull(true)
		}
		if e.Error > 0 {
			d.SetError(everyOp, edge.ErrIO, uint32(e.Error))
			f.inside.LostTail(h) // a failed sync may lose what it was to save
		}
		if e.BitFlip > 0 || e.Truncate > 0 {
			f.inside.Corrupted(h)
		}
		for range e.BitFlip {
			d.FlipBit("*.log")
		}
		if e.Truncate > 0 {
			d.TruncateFile("*.log")
		}
		if e.Lose {
			w.LoseDisk(h)
			f.inside.LostTail(h)
		}
	}
}

// cut returns the pairs between which packets vanish.
func (f *faults) cut(e *scenarios.Event, hosts []netsim.HostID) []netsim.Pair {
	if e.Shape != "" && e.Shape != "isolate" {
		return f.shape(e)
	}
	var a, b []netsim.HostID
	if len(e.Between) > 0 {
		a, b = f.ends(e)
	} else {
		a, b = hosts, f.others(hosts)
	}
	switch e.Direction {
	case "to":
		return pairs(b, a)
	case "from":
		return pairs(a, b)
	}
	return both(a, b)
}

// shape draws a partition over whole zones, or over brokers where there is one
// zone only: each host of a zone stands where its zone does.
func (f *faults) shape(e *scenarios.Event) (out []netsim.Pair) {
	shape := map[string]netsim.Shape{
		"halves": netsim.Halves, "majority": netsim.Majority, "bridge": netsim.Bridge, "majorities-ring": netsim.MajoritiesRing,
	}[e.Shape]
	var zones []string
	for _, h := range f.view.layout.hosts {
		if !slices.Contains(zones, h.zone) {
			zones = append(zones, h.zone)
		}
	}
	if len(zones) < 2 {
		return shape.Pairs(f.view.layout.brokers, f.random)
	}
	points := make([]netsim.HostID, len(zones))
	for i := range zones {
		points[i] = netsim.HostID(i)
	}
	for _, p := range shape.Pairs(points, f.random) {
		out = append(out, pairs(f.zone(zones[p.From], true), f.zone(zones[p.To], true))...)
	}
	return out
}

// ends returns the two sets of hosts that an event lies between.
func (f *faults) ends(e *scenarios.Event) (a, b []netsim.HostID) {
	switch {
	case len(e.Between) == 2:
		return f.named(e.Between[0], true), f.named(e.Between[1], true)
	case len(e.Zones) == 2:
		return f.zone(e.Zones[0], true), f.zone(e.Zones[1], true)
	case len(e.Zones) == 1:
		a = f.zone(e.Zones[0], true)
		return a, f.others(a)
	}
	var all []netsim.HostID
	for i := range f.view.layout.hosts {
		all = append(all, netsim.HostID(i))
	}
	return all, all
}

func (f *faults) names(hosts []netsim.HostID) string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = f.view.layout.hosts[h].name
	}
	return strings.Join(out, ",")
}

// report is what has been carried out, for people.
func (f *faults) report(end clock.Instant) (out []reports.Fault) {
	for _, s := range f.done {
		e := &f.events[s.event]
		target := e.Target.Text
		if len(s.hosts) > 0 {
			target = f.names(s.hosts)
		}
		out = append(out, reports.Fault{
			Name: e.Verb(), Target: target, Detail: detail(e),
			FromSeconds: seconds(s.from - f.origin), ToSeconds: seconds(min(s.to, end) - f.origin),
		})
	}
	return out
}

func detail(e *scenarios.Event) string {
	if e.Fault == "zone_outage" {
		return e.Mode
	}
	return e.Shape
}

func apiKey(name string) int16 {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if kmsg.NameForKey(key) == name {
			return key
		}
	}
	return -1
}

func each(hosts []netsim.HostID, do func(netsim.HostID)) {
	for _, h := range hosts {
		do(h)
	}
}

func pairs(a, b []netsim.HostID) (out []netsim.Pair) {
	for _, x := range a {
		for _, y := range b {
			if x != y {
				out = append(out, netsim.Pair{From: x, To: y})
			}
		}
	}
	return out
}

func both(a, b []netsim.HostID) []netsim.Pair { return append(pairs(a, b), pairs(b, a)...) }

func seconds(t clock.Instant) float64 { return float64(t) / float64(time.Second) }
