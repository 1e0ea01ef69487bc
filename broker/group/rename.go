package group

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A static member may hear of its new member id only when the log has it: else
// the next coordinator knows the id before, and fences the member for good. So a
// join phase in which one has come back ends after a write of the group as the
// log has it, with the new id:
//
//	completeJoin -> renameReturned -> renameDecided -> completeJoin
//
// Kafka does so only for a group that stays stable (KAFKA-13435).

// renameReturned writes the ids that the log does not have yet and tells whether
// there is anything to wait for.
func (m *Manager) renameReturned(c *step.Context, g *group) (waits bool) {
	if g.renaming {
		return true
	}
	logged := g.shard.store.groups[g.id]
	if logged == nil || logged.metadata == nil {
		return false
	}
	v := *logged.metadata
	v.Members = slices.Clone(v.Members)
	for i := range v.Members {
		out := &v.Members[i]
		mb := g.returned(out)
		if mb == nil {
			continue
		}
		if v.Leader != nil && *v.Leader == out.MemberID {
			leader := mb.id
			v.Leader = &leader
		}
		out.MemberID, waits = mb.id, true
	}
	if !waits {
		return false
	}
	g.renaming = true
	m.records.Reset()
	m.records.Put(&kmsg.GroupMetadataKey{Version: keyGroupMetadata, Group: g.id}, &v)
	m.write(c, g.shard, g, op{kind: opRename})
	return true
}

// returned is the static member that waits to hear of another id than the log has
// for it, if it does.
func (g *group) returned(logged *kmsg.GroupMetadataValueMember) *member {
	if logged.InstanceID == nil {
		return nil
	}
	mb := g.static(*logged.InstanceID)
	if mb == nil || !mb.join.waiting() || mb.id == logged.MemberID {
		return nil
	}
	return mb
}

// renameDecided goes on with the join phase. If the write failed, whoever has come
// back is sent away without an id and comes once more.
func (m *Manager) renameDecided(c *step.Context, g *group, code int16) {
	g.renaming = false
	if g.state != PreparingRebalance {
		return
	}
	if code == errNone {
		m.completeJoin(c, g)
		return
	}
	if logged := g.shard.store.groups[g.id]; logged != nil && logged.metadata != nil {
		for i := range logged.metadata.Members {
			if mb := g.returned(&logged.metadata.Members[i]); mb != nil {
				m.answerJoinError(c, &mb.join, "", metadataCode(code))
				m.heardFrom(c, g, mb)
			}
		}
	}
	c.Timers.Set(groupTimer(timerJoin, g), c.Now.Add(max(g.rebalanceTimeout(), joinAgainMin)))
}
