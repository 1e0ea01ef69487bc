package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat (key 12, versions 0 to 4): a member says that it lives, and learns
// whether it must join again. 3 and later: static members.

// Heartbeat answers at once.
func (m *Manager) Heartbeat(c *step.Context, r *conn.Request) {
	var req kmsg.HeartbeatRequest
	if !m.decode(c, r, &req) {
		return
	}
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.SetVersion(r.Version)
	if m.mayGroup(r, acl.Read, req.Group) {
		resp.ErrorCode = m.heartbeat(c, &req)
	} else {
		resp.ErrorCode = errGroupAuthorization
	}
	m.responder.Respond(c, r.ID, resp)
}

func (m *Manager) heartbeat(c *step.Context, req *kmsg.HeartbeatRequest) int16 {
	if req.Group == "" {
		return errInvalidGroupID
	}
	s, code := m.find(req.Group)
	if code == errLoadInProgress {
		return errNone // nobody knows better yet, and every session starts anew
	}
	if code != errNone {
		return code
	}
	g := s.groups[req.Group]
	if g == nil {
		return errUnknownMember
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != errNone {
		return code
	}
	if req.Generation != g.generation {
		return errIllegalGeneration
	}
	switch g.state {
	case PreparingRebalance:
		m.heardFrom(c, g, g.member(req.MemberID))
		return errRebalanceInProgress
	case CompletingRebalance, Stable:
		m.heardFrom(c, g, g.member(req.MemberID))
		return errNone
	}
	return errUnknownMember
}
