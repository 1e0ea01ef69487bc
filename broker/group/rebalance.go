package group

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinAgainMin is how long at least a join phase that could not be completed waits
// before it is tried again: members may have said that they need no time at all.
const joinAgainMin = 100 * time.Millisecond

// leaving is a LeaveGroup whose answer waits until the log knows that the group
// has emptied.
type leaving struct {
	request parked
	resp    *kmsg.LeaveGroupResponse
}

// rebalanceOrJoin lets a change of the membership take effect: it begins a
// rebalance, or may complete the one that is under way.
func (m *Manager) rebalanceOrJoin(c *step.Context, g *group) {
	if g.canRebalance() {
		m.rebalance(c, g)
		return
	}
	m.maybeCompleteJoin(c, g)
}

// rebalance begins the join phase. Members learn of it from their heartbeats.
func (m *Manager) rebalance(c *step.Context, g *group) {
	if g.state == CompletingRebalance {
		m.dropAssignments(c, g, errRebalanceInProgress)
	}
	c.Timers.Cancel(groupTimer(timerSync, g))
	initial := g.state == Empty
	g.enter(PreparingRebalance, c.Wall)
	switch {
	case initial:
		// The first members of a group come in a burst (KIP-134).
		g.newMember = false
		g.delay = time.Duration(m.cfg.GroupInitialRebalanceDelayMillis) * time.Millisecond
		g.remaining = max(g.rebalanceTimeout()-g.delay, 0)
		c.Timers.Set(groupTimer(timerJoin, g), c.Now.Add(g.delay))
	case g.allJoined():
		m.completeJoin(c, g)
	default:
		c.Timers.Set(groupTimer(timerJoin, g), c.Now.Add(g.rebalanceTimeout()))
	}
}

// maybeCompleteJoin ends the join phase once all are in. The first one lasts as
// long as its timer says.
func (m *Manager) maybeCompleteJoin(c *step.Context, g *group) {
	if g.state == PreparingRebalance && g.previous != Empty && g.allJoined() {
		m.completeJoin(c, g)
	}
}

func (m *Manager) joinTimeout(c *step.Context, g *group) {
	if g.state != PreparingRebalance {
		return
	}
	if g.previous == Empty && g.newMember && g.remaining > 0 {
		waited := g.delay
		g.newMember = false
		g.delay = min(time.Duration(m.cfg.GroupInitialRebalanceDelayMillis)*time.Millisecond, g.remaining)
		g.remaining = max(g.remaining-waited, 0)
		c.Timers.Set(groupTimer(timerJoin, g), c.Now.Add(g.delay))
		return
	}
	m.completeJoin(c, g)
}

// completeJoin ends the join phase: whoever has not joined is out, unless it is
// static, and the others hear of their generation.
func (m *Manager) completeJoin(c *step.Context, g *group) {
	c.Timers.Cancel(groupTimer(timerJoin, g))
	if m.renameReturned(c, g) {
		return
	}
	for i := 0; i < len(g.members); {
		if mb := g.members[i]; !mb.join.waiting() && mb.instance == nil {
			m.endSession(c, mb.serial)
			g.remove(mb)
			continue
		}
		i++
	}
	if len(g.members) > 0 && !g.electLeader() {
		// Only static members are left, and none is here. Their sessions will
		// end this, or one comes back.
		c.Timers.Set(groupTimer(timerJoin, g), c.Now.Add(max(g.rebalanceTimeout(), joinAgainMin)))
		return
	}
	g.nextGeneration(c.Wall)
	if g.state == Empty {
		m.writeEmpty(c, g)
		return
	}
	for _, mb := range g.members {
		mb.unsynced, mb.fresh = true, false
		if mb.join.waiting() {
			m.answerJoin(c, g, mb, &mb.join, mb.id == g.leader)
		}
		m.heardFrom(c, g, mb)
	}
	c.Timers.Set(groupTimer(timerSync, g), c.Now.Add(g.rebalanceTimeout()))
}

// writeEmpty tells the log that a group has emptied, which is when its offsets
// begin to age (KIP-211).
func (m *Manager) writeEmpty(c *step.Context, g *group) {
	w := op{kind: opEmpty}
	if l := g.leaving; l != nil {
		w.request, w.leave = l.request, l.resp
		g.leaving = nil
	}
	m.records.Reset()
	putMetadata(&m.records, g, nil)
	m.write(c, g.shard, g, w)
}

func (m *Manager) emptyDecided(c *step.Context, w *op, code int16) {
	if w.leave == nil {
		return
	}
	if code != errNone {
		w.leave.ErrorCode, w.leave.Members = metadataCode(code), nil
	}
	m.responder.Respond(c, w.request.id, w.leave)
}

// syncTimeout puts out those who were told of the generation and did not ask for
// their assignment.
func (m *Manager) syncTimeout(c *step.Context, g *group) {
	if g.state != CompletingRebalance && g.state != Stable || g.allSynced() {
		return
	}
	for i := 0; i < len(g.members); {
		mb := g.members[i]
		if !mb.unsynced {
			i++
			continue
		}
		c.Logf(edge.Info, "group %s: member %s did not sync in time", g.id, mb.id)
		m.answerJoinError(c, &mb.join, mb.id, errUnknownMember)
		m.endSession(c, mb.serial)
		g.remove(mb)
	}
	m.rebalance(c, g)
}

// sessionExpired is a member, or the holder of a fresh member id, that has not
// been heard from.
func (m *Manager) sessionExpired(c *step.Context, serial uint64) {
	s, ok := m.sessions[serial]
	if !ok {
		return
	}
	g := s.group
	if s.member == nil {
		for _, p := range g.pending {
			if p.serial == serial {
				m.removePending(c, g, p.id)
				break
			}
		}
		m.maybeCompleteJoin(c, g)
		return
	}
	if s.member.excused() {
		return // the answer it waits for starts a new session
	}
	c.Logf(edge.Info, "group %s: the session of member %s has expired in %s", g.id, s.member.id, g.state)
	m.removeMember(c, g, s.member)
	m.rebalanceOrJoin(c, g)
}

// removeMember takes a member out. What that means for the others is up to the
// caller.
func (m *Manager) removeMember(c *step.Context, g *group, mb *member) {
	m.endSession(c, mb.serial)
	m.answerJoinError(c, &mb.join, "", errUnknownMember)
	m.answerSyncError(c, &mb.sync, errUnknownMember)
	g.remove(mb)
}
