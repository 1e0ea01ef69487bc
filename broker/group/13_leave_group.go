package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// LeaveGroup (key 13, versions 0 to 5): members leave, or an operator removes
// static ones by their instance ids alone. Up to 2 it is about one member; 3 and
// later about several, each with a result of its own (KIP-345).

const leaveManyVersion = 3

// LeaveGroup answers at once, or when the log knows that the group has emptied.
func (m *Manager) LeaveGroup(c *step.Context, r *conn.Request) {
	var req kmsg.LeaveGroupRequest
	if !m.decode(c, r, &req) {
		return
	}
	resp := kmsg.NewPtrLeaveGroupResponse()
	resp.SetVersion(r.Version)
	if r.Version < leaveManyVersion {
		one := kmsg.NewLeaveGroupRequestMember()
		one.MemberID = req.MemberID
		req.Members = []kmsg.LeaveGroupRequestMember{one}
	}
	s, code := m.find(req.Group)
	if req.Group == "" {
		code = errInvalidGroupID
	}
	if !m.mayGroup(r, acl.Read, req.Group) {
		code = errGroupAuthorization
	}
	var g *group
	if code == errNone {
		if g = s.groups[req.Group]; g == nil {
			code = m.leaveUnknown(&req, resp)
		}
	}
	if g == nil {
		resp.ErrorCode = code
		m.responder.Respond(c, r.ID, resp)
		return
	}
	left := false
	for i := range req.Members {
		out := kmsg.NewLeaveGroupResponseMember()
		out.MemberID, out.InstanceID = req.Members[i].MemberID, req.Members[i].InstanceID
		out.ErrorCode = m.leave(c, g, &req.Members[i])
		left = left || out.ErrorCode == errNone
		resp.Members = append(resp.Members, out)
	}
	if r.Version < leaveManyVersion {
		resp.ErrorCode, resp.Members = resp.Members[0].ErrorCode, nil
	}
	if left && g.state != Empty {
		g.leaving = &leaving{parked{r.ID, r.Version}, resp}
		m.rebalanceOrJoin(c, g)
		if g.leaving == nil {
			return
		}
		g.leaving = nil
	}
	m.responder.Respond(c, r.ID, resp)
}

// leaveUnknown is the result for a group that does not exist.
func (m *Manager) leaveUnknown(req *kmsg.LeaveGroupRequest, resp *kmsg.LeaveGroupResponse) int16 {
	if resp.Version < leaveManyVersion {
		return errUnknownMember
	}
	for i := range req.Members {
		out := kmsg.NewLeaveGroupResponseMember()
		out.MemberID, out.InstanceID = req.Members[i].MemberID, req.Members[i].InstanceID
		out.ErrorCode = errUnknownMember
		resp.Members = append(resp.Members, out)
	}
	return errNone
}

func (m *Manager) leave(c *step.Context, g *group, who *kmsg.LeaveGroupRequestMember) int16 {
	if who.MemberID == "" {
		if who.InstanceID == nil || g.static(*who.InstanceID) == nil {
			return errUnknownMember
		}
		m.removeMember(c, g, g.static(*who.InstanceID))
		return errNone
	}
	if m.removePending(c, g, who.MemberID) {
		return errNone
	}
	if code := g.validate(who.MemberID, who.InstanceID); code != errNone {
		return code
	}
	m.removeMember(c, g, g.member(who.MemberID))
	return errNone
}
