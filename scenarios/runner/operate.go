package runner

import (
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
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
	moves []move
	next  clock.Instant // when the moves are looked at
}

// move is a reassignment, or a leader's move, that has been asked for.
type move struct {
	span      int // index in faults.done
	verb      string
	topic     string
	partition int32
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
		same := old.topic == topic && old.partition == index
		if same {
			done[old.span].to = now
		}
		return same
	})
	o.moves = append(o.moves, m)
	o.admin.Do(client.Operation{Kind: client.Reassign, Topic: topic, Partitions: []int32{index}, Replicas: m.target})
	if m.verb == "move_leader" {
		o.admin.Do(client.Operation{Kind: client.ElectPreferred, Topic: topic, Partitions: []int32{index}})
	}
	w.Wake(o.host)
	o.next = now.Add(pollEvery)
	return ""
}

// wants is when the moves must be looked at next.
func (o *operator) wants() clock.Instant {
	if len(o.moves) == 0 {
		return clock.Never
	}
	return o.next
}

// look ends the spans of the moves that are complete.
func (o *operator) look(now clock.Instant, v *view, done []span) {
	o.next = now.Add(pollEvery)
	o.moves = slices.DeleteFunc(o.moves, func(m move) bool {
		if !m.complete(v.partition(m.topic, m.partition)) {
			return false
		}
		done[m.span].to = now
		return true
	})
}

func (m *move) complete(p *meta.Partition) bool {
	switch {
	case p == nil || len(p.AddingReplicas)+len(p.RemovingReplicas) > 0:
		return false
	case m.verb == "move_leader":
		return p.Leader == m.target[0]
	}
	return m.target == nil || slices.Equal(p.Replicas, m.target)
}

// unfinished says what was never reached: such a run proves nothing about it.
func (o *operator) unfinished() (list []string) {
	for _, m := range o.moves {
		list = append(list, fmt.Sprintf("%s of %s/%d to %v was not complete at the end", m.verb, m.topic, m.partition, m.target))
	}
	return list
}
