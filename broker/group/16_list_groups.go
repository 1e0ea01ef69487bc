package group

import (
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListGroups (key 16, versions 0 to 5): the groups of this coordinator, sorted by
// name. 4 and later filter by state (KIP-518), 5 and later by type (KIP-848):
// all groups here are classic.

const groupType = "classic"

// ListGroups answers at once.
func (m *Manager) ListGroups(c *step.Context, r *conn.Request) {
	var req kmsg.ListGroupsRequest
	if !m.decode(c, r, &req) {
		return
	}
	resp := kmsg.NewPtrListGroupsResponse()
	resp.SetVersion(r.Version)
	for _, sh := range m.Shards() {
		if m.runtime.Check(sh.Partition) == errLoadInProgress {
			resp.ErrorCode = errLoadInProgress // half a list would be taken for the whole
		}
	}
	if resp.ErrorCode == errNone {
		all := m.gate.MayCluster(r.Session, acl.Describe)
		for _, v := range m.Groups() {
			if !all && !m.mayGroup(r, acl.Describe, v.ID) {
				continue
			}
			if !listed(req.StatesFilter, v.State.String()) || !listed(req.TypesFilter, groupType) {
				continue
			}
			out := kmsg.NewListGroupsResponseGroup()
			out.Group, out.ProtocolType, out.GroupState, out.GroupType = v.ID, v.ProtocolType, v.State.String(), groupType
			resp.Groups = append(resp.Groups, out)
		}
	}
	m.responder.Respond(c, r.ID, resp)
}

// listed: an empty filter lets everything through, and case does not matter.
func listed(filter []string, value string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, value) })
}
