package group

import (
	"maps"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What the coordinator's runtime calls: Manager is a coordinator.Machine.
var _ coordinator.Machine[op] = (*Manager)(nil)

// opKind says what a write is for.
type opKind uint8

const (
	opCommit        opKind = iota + 1 // OffsetCommit
	opAssign                          // the leader's SyncGroup
	opReplace                         // a static member that came back to a stable group
	opRename                          // static members that came back in a rebalance
	opEmpty                           // the group has emptied; perhaps a LeaveGroup waits
	opExpire                          // offsets or groups that are no more
	opDelete                          // DeleteGroups
	opDeleteOffsets                   // OffsetDelete
)

// op is what waits for a write.
type op struct {
	kind       opKind
	group      uint64 // serial; 0 if it is about several
	request    parked
	commit     *kmsg.OffsetCommitResponse
	leave      *kmsg.LeaveGroupResponse
	generation int32
	replaced   *replaced
	deletion   *deletion
	index      int // of the group in the deletion
	offsets    *offsetDeletion
}

// Loading begins a shard's state anew.
func (m *Manager) Loading(_ *step.Context, index int32) {
	m.shards[index] = &shard{
		index: index, groups: make(map[string]*group), store: store{groups: make(map[string]*stored)},
	}
}

// Replay applies one record of the log.
func (m *Manager) Replay(c *step.Context, index int32, r coordinator.Record) {
	s := m.shards[index]
	if _, err := s.store.replay(r.Key, r.Value); err != nil {
		// One bad record must not take the whole partition's groups away.
		c.Logf(edge.Error, "skipping a record of %s-%d: %v", offsetsTopic, index, err)
	}
}

// Loaded makes the groups of the log live. Their members are given a whole
// session to be heard from.
func (m *Manager) Loaded(c *step.Context, index int32) {
	s := m.shards[index]
	ids := slices.Sorted(maps.Keys(s.store.groups))
	for _, id := range ids {
		g := m.revive(c, s, id)
		if int64(len(g.members)) > m.cfg.GroupMaxSize {
			m.rebalance(c, g)
		}
	}
	m.setExpiryTimer(c, index)
	c.Logf(edge.Info, "coordinating %d groups of %s-%d", len(ids), offsetsTopic, index)
}

// revive makes one group live from what the log says of it.
func (m *Manager) revive(c *step.Context, s *shard, id string) *group {
	g := m.newGroup(c, s, id)
	v := s.store.groups[id].metadata
	if v == nil {
		g.since = unknownSince
		return g
	}
	g.generation, g.protocolType, g.protocol = v.Generation, v.ProtocolType, v.Protocol
	g.since = unknownSince
	if v.Version >= 2 {
		g.since = clock.Wall(v.CurrentStateTimestamp)
	}
	if v.Leader != nil {
		g.leader = *v.Leader
	}
	for i := range v.Members {
		m.serial++
		mb := reviveMember(&v.Members[i], g.protocolName(), v.Version)
		mb.serial = m.serial
		g.members = append(g.members, mb)
		m.heardFrom(c, g, mb)
	}
	if len(g.members) > 0 {
		g.state = Stable
	}
	return g
}

func reviveMember(v *kmsg.GroupMetadataValueMember, protocolName string, version int16) *member {
	mb := &member{
		id: v.MemberID, instance: v.InstanceID, clientID: v.ClientID, clientHost: v.ClientHost,
		rebalanceTimeout: duration(v.RebalanceTimeoutMillis), sessionTimeout: duration(v.SessionTimeoutMillis),
		protocols: []protocol{{protocolName, v.Subscription}}, assignment: v.Assignment,
	}
	if version < 1 || v.RebalanceTimeoutMillis < 0 {
		mb.rebalanceTimeout = mb.sessionTimeout
	}
	return mb
}

// Unloaded forgets a shard; whoever waits for one of its groups looks elsewhere.
func (m *Manager) Unloaded(c *step.Context, index int32) {
	s := m.shards[index]
	for _, g := range s.sorted() {
		for _, mb := range g.members {
			m.answerJoinError(c, &mb.join, mb.id, errNotCoordinator)
			m.answerSyncError(c, &mb.sync, errNotCoordinator)
		}
		m.forget(c, g)
	}
	c.Timers.Cancel(expiryTimer(index))
	delete(m.shards, index)
}

// Decided ends a write.
func (m *Manager) Decided(c *step.Context, index int32, w *op, code int16, unknown bool) {
	g := m.groups[w.group]
	switch w.kind {
	case opCommit:
		m.commitDecided(c, w, code)
	case opAssign:
		if g != nil {
			m.assignDecided(c, g, w, code)
		}
	case opReplace:
		if g != nil {
			m.replaceDecided(c, g, w, code, unknown)
		}
	case opRename:
		if g != nil {
			m.renameDecided(c, g, code)
		}
	case opEmpty:
		m.emptyDecided(c, w, code)
	case opExpire:
		m.expireDecided(c, index, g)
	case opDelete:
		m.expireDecided(c, index, g)
		m.deletionDecided(c, w.deletion, w.index, code)
	case opDeleteOffsets:
		m.expireDecided(c, index, g)
		m.offsetDeletionDecided(c, w.offsets, code)
	}
}

// Landed counts the writes of a group that are in flight.
func (m *Manager) Landed(c *step.Context, index int32, w *op) {
	if g := m.groups[w.group]; g != nil {
		g.writes--
		if w.kind == opCommit {
			m.sweepCommit(c, m.shards[index], g, w.commit)
		}
	}
}

// write appends what is in m.records.
func (m *Manager) write(c *step.Context, s *shard, g *group, w op) {
	if g != nil {
		g.writes++
		w.group = g.serial
	}
	m.runtime.Write(c, s.index, &m.records, w)
	m.records.Reset()
}

func expiryTimer(index int32) timer.ID {
	return timer.ID{Owner: step.OwnerGroup, Kind: timerExpiry, A: uint32(index)}
}
