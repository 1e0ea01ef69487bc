package runner

import (
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
)

// operator carries out the verbs that a real operator's tool would send to the
// cluster: through the simulated administrator, in real frames.
type operator struct {
	admin *client.Admin
	host  netsim.HostID
	moves []move        // and additions, which are not complete
	next  clock.Instant // when they are looked at

	arrivals   []arrival
	departures []departure
	storms     []storm
	calm       []storm         // storms that are over
	gone       []netsim.HostID // decommissioned
}

// move is a reassignment, a leader's move or an addition of partitions that has
// been asked for.
type move struct {
	span      int // index in faults.done
	verb      string
	topic     string
	partition int32 // add_partitions: the last of those to come
	// target are the replicas to come, the leader first; nil cancels.
	target []int32
}

// begin asks for what an event says; the text says why it does nothing, if so.
func (o *operator) begin(now clock.Instant, w *sim.World, v *view, e *scenarios.Event, to []netsim.HostID, done []span) string {
	topic, index, _ := scenarios.ParsePartition(e.Partition)
	p := v.partition(topic, index)
	switch {
	case o.admin == nil:
		return "the administrator was not up"
	case p == nil:
		return "there was no partition " + e.Partition
	}
	m := move{span: len(done), verb: e.Verb(), topic: topic, partition: index}
	for _, h := range to {
		m.target = append(m.target, v.layout.hosts[h].nodeID)
	}
	if m.verb == "move_leader" {
		leader := m.target[0]
		if !slices.Contains(p.Replicas, leader) {
			return fmt.Sprintf("%s was no replica of %s", w.Name(to[0]), e.Partition)
		}
		m.target = append([]int32{leader}, slices.DeleteFunc(slices.Clone(p.Replicas), func(id int32) bool { return id == leader })...)
	}
	// A newer order takes the place of what an older one was to reach.
	o.moves = slices.DeleteFunc(o.moves, func(old move) bool {
		same := old.verb != "add_partitions" && old.topic == topic && old.partition == index
		if same {
			done[old.span].to = now
		}
		return same
	})
	o.ask(now, w, m, client.Operation{Kind: client.Reassign, Topic: topic, Partitions: []int32{index}, Replicas: m.target})
	if m.verb == "move_leader" {
		o.admin.Do(client.Operation{Kind: client.ElectPreferred, Topic: topic, Partitions: []int32{index}})
	}
	return ""
}

// grow asks for more partitions of a topic; the text says why it does nothing.
func (o *operator) grow(now clock.Instant, w *sim.World, e *scenarios.Event, done []span) string {
	if o.admin == nil {
		return "the administrator was not up"
	}
	o.ask(now, w, move{span: len(done), verb: e.Verb(), topic: e.Topic, partition: int32(e.Partitions) - 1},
		client.Operation{Kind: client.AddPartitions, Topic: e.Topic, Count: int32(e.Partitions)})
	return ""
}

// ask hands an operation to the administrator and keeps an eye on what it is to
// reach.
func (o *operator) ask(now clock.Instant, w *sim.World, m move, operation client.Operation) {
	o.moves = append(o.moves, m)
	o.do(w, operation)
	o.next = now.Add(pollEvery)
}

// do hands an operation to the administrator.
func (o *operator) do(w *sim.World, operation client.Operation) {
	o.admin.Do(operation)
	w.Wake(o.host)
}

// wants is when the moves must be looked at next.
func (o *operator) wants() clock.Instant {
	if len(o.moves)+len(o.arrivals)+len(o.departures)+len(o.storms) == 0 {
		return clock.Never
	}
	return o.next
}

// look goes on with what takes several steps, and ends the spans of what is
// complete.
func (o *operator) look(now clock.Instant, w *sim.World, v *view, done []span) {
	o.next = now.Add(pollEvery)
	ended := func(complete bool, span int) bool {
		if complete {
			done[span].to = now
		}
		return complete
	}
	o.moves = slices.DeleteFunc(o.moves, func(m move) bool { return ended(m.complete(v), m.span) })
	o.arrivals = slices.DeleteFunc(o.arrivals, func(a arrival) bool { return ended(a.complete(v), a.span) })
	for i := range o.departures {
		d := &o.departures[i]
		ended(d.advance(w, v, o), d.span)
	}
	o.storms = slices.DeleteFunc(o.storms, func(s storm) bool {
		over := ended(s.rest(w, v, o) == "", s.span)
		if over {
			_, created, deleted := o.admin.Calm(s.number)
			done[s.span].damage = []string{fmt.Sprintf("%d created, %d deleted", created, deleted)}
			o.calm = append(o.calm, s)
		}
		return over
	})
	o.departures = slices.DeleteFunc(o.departures, func(d departure) bool { return done[d.span].to != clock.Never })
}

func (m *move) complete(v *view) bool {
	p := v.partition(m.topic, m.partition)
	switch {
	case m.verb == "add_partitions":
		return p != nil && v.led(m.topic)
	case p == nil || len(p.AddingReplicas)+len(p.RemovingReplicas) > 0:
		return false
	case m.verb == "move_leader":
		return p.Leader == m.target[0]
	}
	return m.target == nil || slices.Equal(p.Replicas, m.target)
}

// unfinished says what was never reached: such a run proves nothing about it.
func (o *operator) unfinished(v *view) (list []string) {
	for _, a := range o.arrivals {
		list = append(list, fmt.Sprintf("add_brokers: not all of the %d brokers served at the end", len(a.hosts)))
	}
	for _, d := range o.departures {
		list = append(list, d.text(v))
	}
	for i := range o.storms {
		list = append(list, fmt.Sprintf("admin_storm: at the end %s", o.storms[i].rest(v.world, v, o)))
	}
	for _, m := range o.moves {
		if m.verb == "add_partitions" {
			list = append(list, fmt.Sprintf("%s: %s did not have %d partitions with a leader each at the end", m.verb, m.topic, m.partition+1))
			continue
		}
		list = append(list, fmt.Sprintf("%s of %s/%d to %v was not complete at the end", m.verb, m.topic, m.partition, m.target))
	}
	return list
}
