package group

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What invariants and tools see of the coordinator. All of it is copied.

// View is one group.
type View struct {
	ID           string
	State        State
	Generation   int32
	ProtocolType string
	Protocol     string // empty if none is chosen
	Leader       string // member id; empty if there is none
	Members      []MemberView
}

// MemberView is one member of a group.
type MemberView struct {
	ID         string
	InstanceID string // empty for a dynamic member
	ClientID   string
	Assignment []byte // as the leader sent it; nil before it is in the log
}

// Owner is one partition that a member of a consumer group is assigned.
type Owner struct {
	Topic     string
	Partition int32
	Member    string
}

// Committed is one committed offset, below the high watermark.
type Committed struct {
	Topic       string
	Partition   int32
	Offset      int64
	LeaderEpoch int32
	Metadata    string
	Timestamp   int64 // wall clock of the commit, in milliseconds
}

// Shard is one partition of __consumer_offsets that this broker coordinates.
type Shard struct {
	Partition int32
	State     coordinator.State
}

// Shards returns the shards led here, in the order of their partitions.
func (m *Manager) Shards() []Shard {
	var list []Shard
	for _, index := range m.runtime.Shards(nil) {
		state, _ := m.runtime.State(index)
		list = append(list, Shard{index, state})
	}
	return list
}

// Groups returns the groups of all active shards, sorted by id.
func (m *Manager) Groups() []View {
	var list []View
	for _, index := range m.runtime.Shards(nil) {
		if m.runtime.Check(index) != errNone {
			continue
		}
		for _, g := range m.shards[index].sorted() {
			list = append(list, g.view())
		}
	}
	slices.SortFunc(list, func(a, b View) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// Group returns one group of an active shard; false if there is none.
func (m *Manager) Group(id string) (View, bool) {
	s, code := m.find(id)
	if code != errNone || s.groups[id] == nil {
		return View{}, false
	}
	return s.groups[id].view(), true
}

// Offsets returns what a group of an active shard has committed, sorted by topic
// and partition.
func (m *Manager) Offsets(id string) []Committed {
	s, code := m.find(id)
	if code != errNone {
		return nil
	}
	var list []Committed
	for _, at := range s.store.partitions(id) {
		e, _ := s.store.offset(id, at)
		list = append(list, Committed{at.topic, at.partition, e.offset, e.leaderEpoch, e.metadata, e.timestamp})
	}
	return list
}

func (g *group) view() View {
	v := View{
		ID: g.id, State: g.state, Generation: g.generation, ProtocolType: g.protocolType,
		Protocol: g.protocolName(), Leader: g.leader,
	}
	for _, mb := range g.members {
		out := MemberView{ID: mb.id, ClientID: mb.clientID, Assignment: bytes.Clone(mb.assignment)}
		if mb.instance != nil {
			out.InstanceID = *mb.instance
		}
		v.Members = append(v.Members, out)
	}
	return v
}

// Owners reads the assignments of a group of protocol type "consumer", sorted by
// topic and partition. An assignment that cannot be read is an error: the
// group's leader wrote it, the coordinator only passed it on.
func (v *View) Owners() ([]Owner, error) {
	var list []Owner
	for _, mb := range v.Members {
		if len(mb.Assignment) == 0 {
			continue
		}
		var a kmsg.ConsumerMemberAssignment
		if err := a.ReadFrom(mb.Assignment); err != nil {
			return nil, err
		}
		for _, t := range a.Topics {
			for _, p := range t.Partitions {
				list = append(list, Owner{t.Topic, p, mb.ID})
			}
		}
	}
	slices.SortFunc(list, func(a, b Owner) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Member, b.Member))
	})
	return list, nil
}
