package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SyncGroup (key 14, versions 0 to 5): a member asks for its assignment; the
// leader brings everybody's along. Nobody gets any before all of them are in the
// log below the high watermark, since another coordinator must hand out the same.
//
//   - 3 and later: static members. 5 and later: the member has to say which protocol
//     it thinks was chosen.

const syncProtocolVersion = 5

// SyncGroup answers when the leader's assignment is in the log, or at once.
func (m *Manager) SyncGroup(c *step.Context, r *conn.Request) {
	var req kmsg.SyncGroupRequest
	if !m.decode(c, r, &req) {
		return
	}
	to := parked{r.ID, r.Version}
	s, code := m.find(req.Group)
	if req.Version >= syncProtocolVersion && (req.ProtocolType == nil || req.Protocol == nil) {
		code = errInconsistentProtocol
	}
	if req.Group == "" {
		code = errInvalidGroupID
	}
	if code == errLoadInProgress {
		// The member knows a generation that may not have been written; joining
		// again is cheaper than finding out.
		code = errRebalanceInProgress
	}
	if !m.mayGroup(r, acl.Read, req.Group) {
		code = errGroupAuthorization
	}
	if code != errNone {
		m.answerSyncError(c, &to, code)
		return
	}
	g := s.groups[req.Group]
	if g == nil {
		m.answerSyncError(c, &to, errUnknownMember)
		return
	}
	if code := g.checkSync(&req); code != errNone {
		m.answerSyncError(c, &to, code)
		return
	}
	mb := g.member(req.MemberID)
	switch g.state {
	case PreparingRebalance:
		m.answerSyncError(c, &to, errRebalanceInProgress)
	case CompletingRebalance:
		m.answerSyncError(c, &mb.sync, errRebalanceInProgress) // void, see update
		mb.sync = to
		m.synced(c, g, mb)
		if g.leader == mb.id && g.assigning != g.generation {
			m.assign(c, g, req.GroupAssignment)
		}
	case Stable:
		m.synced(c, g, mb)
		m.answerSync(c, g, mb, &to)
	default:
		m.answerSyncError(c, &to, errUnknownMember)
	}
}

func (g *group) checkSync(req *kmsg.SyncGroupRequest) int16 {
	if code := g.validate(req.MemberID, req.InstanceID); code != errNone {
		return code
	}
	if req.Generation != g.generation {
		return errIllegalGeneration
	}
	if req.ProtocolType != nil && *req.ProtocolType != g.protocolType ||
		req.Protocol != nil && g.protocol != nil && *req.Protocol != *g.protocol {
		return errInconsistentProtocol
	}
	return errNone
}

func (m *Manager) synced(c *step.Context, g *group, mb *member) {
	mb.unsynced = false
	if g.allSynced() {
		c.Timers.Cancel(groupTimer(timerSync, g))
	}
}

// assign writes the leader's decision. A member that it left out gets nothing to
// do, which is not the same as no answer.
func (m *Manager) assign(c *step.Context, g *group, decided []kmsg.SyncGroupRequestGroupAssignment) {
	g.assigning = g.generation
	assignments := make([][]byte, len(g.members))
	for i, mb := range g.members {
		assignments[i] = []byte{}
		for k := range decided {
			if decided[k].MemberID == mb.id {
				assignments[i] = decided[k].MemberAssignment
			}
		}
	}
	m.records.Reset()
	putMetadata(&m.records, g, assignments)
	m.write(c, g.shard, g, op{kind: opAssign, generation: g.generation})
}

// assignDecided makes the generation stable with what the log says.
func (m *Manager) assignDecided(c *step.Context, g *group, w *op, code int16) {
	if g.state != CompletingRebalance || g.generation != w.generation {
		return // there is another rebalance already
	}
	if code != errNone {
		m.dropAssignments(c, g, metadataCode(code))
		m.rebalance(c, g)
		return
	}
	v := g.shard.store.groups[g.id].metadata
	for _, mb := range g.members {
		mb.assignment = nil
		for i := range v.Members {
			if v.Members[i].MemberID == mb.id {
				mb.assignment = v.Members[i].Assignment
			}
		}
	}
	g.enter(Stable, c.Wall)
	for _, mb := range g.members {
		if mb.sync.waiting() {
			m.heardFrom(c, g, mb)
			m.answerSync(c, g, mb, &mb.sync)
		}
	}
}

// dropAssignments sends away those who wait for an assignment that will not come.
func (m *Manager) dropAssignments(c *step.Context, g *group, code int16) {
	for _, mb := range g.members {
		mb.assignment = nil
		if mb.sync.waiting() {
			m.heardFrom(c, g, mb)
			m.answerSyncError(c, &mb.sync, code)
		}
	}
}

func (m *Manager) answerSync(c *step.Context, g *group, mb *member, to *parked) {
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.SetVersion(to.version)
	resp.ProtocolType, resp.Protocol = &g.protocolType, g.protocol
	resp.MemberAssignment = mb.assignment
	m.responder.Respond(c, to.id, resp)
	*to = parked{}
}

// answerSyncError ends a request, if there is one.
func (m *Manager) answerSyncError(c *step.Context, to *parked, code int16) {
	if !to.waiting() {
		return
	}
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.SetVersion(to.version)
	resp.ErrorCode = code
	m.responder.Respond(c, to.id, resp)
	*to = parked{}
}
