package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeGroups (key 15, versions 0 to 6): the members of groups and what they
// are assigned. A group that does not exist is Dead; 6 and later say
// GROUP_ID_NOT_FOUND (KIP-1043).

const describeNotFoundVersion = 6

// DescribeGroups answers at once.
func (m *Manager) DescribeGroups(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeGroupsRequest
	if !m.decode(c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeGroupsResponse()
	resp.SetVersion(r.Version)
	for _, id := range req.Groups {
		if !m.mayGroup(r, acl.Describe, id) {
			out := kmsg.NewDescribeGroupsResponseGroup()
			out.Group, out.ErrorCode = id, errGroupAuthorization
			resp.Groups = append(resp.Groups, out)
			continue
		}
		out := m.describe(id, r.Version)
		if req.IncludeAuthorizedOperations && out.ErrorCode == errNone {
			out.AuthorizedOperations = m.gate.Operations(r.Session, acl.Group, id)
		}
		resp.Groups = append(resp.Groups, out)
	}
	m.responder.Respond(c, r.ID, resp)
}

func (m *Manager) describe(id string, version int16) kmsg.DescribeGroupsResponseGroup {
	out := kmsg.NewDescribeGroupsResponseGroup()
	out.Group = id
	s, code := m.find(id)
	if code != errNone {
		out.ErrorCode = code
		return out
	}
	g := s.groups[id]
	if g == nil {
		out.State = Dead.String()
		if version >= describeNotFoundVersion {
			out.ErrorCode = errGroupNotFound
		}
		return out
	}
	out.State, out.ProtocolType = g.state.String(), g.protocolType
	if g.state == Stable {
		out.Protocol = g.protocolName()
	}
	for _, mb := range g.members {
		om := kmsg.NewDescribeGroupsResponseGroupMember()
		om.MemberID, om.InstanceID, om.ClientID, om.ClientHost = mb.id, mb.instance, mb.clientID, mb.clientHost
		if g.state == Stable {
			om.ProtocolMetadata = mb.metadata(g.protocolName())
		}
		om.MemberAssignment = mb.assignment
		out.Members = append(out.Members, om)
	}
	return out
}
