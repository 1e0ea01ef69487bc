package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteGroups (key 42, versions 0 to 3): removes groups without members, and
// what they have committed. The answer comes when all of it is in the log.

// deletion is a DeleteGroups whose writes are in flight.
type deletion struct {
	request parked
	resp    *kmsg.DeleteGroupsResponse
	waiting int // writes not yet decided, and one while the request is handled
}

// DeleteGroups answers when the groups are gone, or at once.
func (m *Manager) DeleteGroups(c *step.Context, r *conn.Request) {
	var req kmsg.DeleteGroupsRequest
	if !m.decode(c, r, &req) {
		return
	}
	d := &deletion{request: parked{r.ID, r.Version}, resp: kmsg.NewPtrDeleteGroupsResponse(), waiting: 1}
	d.resp.SetVersion(r.Version)
	asked := make(map[string]bool, len(req.Groups))
	for _, id := range req.Groups {
		if asked[id] {
			continue // answered once, as in Kafka
		}
		asked[id] = true
		out := kmsg.NewDeleteGroupsResponseGroup()
		out.Group = id
		s, g, code := m.mayDelete(id)
		if !m.mayGroup(r, acl.Delete, id) {
			code = errGroupAuthorization
		}
		out.ErrorCode = code
		d.resp.Groups = append(d.resp.Groups, out)
		if code == errNone {
			m.delete(c, s, g, d, len(d.resp.Groups)-1)
		}
	}
	m.deletionDecided(c, d, -1, errNone)
}

func (m *Manager) mayDelete(id string) (*shard, *group, int16) {
	s, code := m.find(id)
	if code != errNone {
		return nil, nil, code
	}
	g := s.groups[id]
	switch {
	case g == nil:
		return nil, nil, errGroupNotFound
	case g.state != Empty:
		return nil, nil, errNonEmptyGroup
	case g.writes > 0:
		// A commit in flight would outlive the deletion; the client tries again.
		return nil, nil, errNotAvailable
	}
	return s, g, errNone
}

func (m *Manager) delete(c *step.Context, s *shard, g *group, d *deletion, index int) {
	w := op{kind: opDelete, deletion: d, index: index}
	m.records.Reset()
	for _, at := range s.store.partitions(g.id) {
		deleteOffset(&m.records, g.id, at)
		if m.records.Len() == expireRecordsMax {
			d.waiting++
			m.write(c, s, g, w)
		}
	}
	if stored := s.store.groups[g.id]; stored != nil && stored.metadata != nil {
		deleteMetadata(&m.records, g.id)
	}
	if m.records.Len() > 0 {
		d.waiting++
		m.write(c, s, g, w)
	}
	if g.writes == 0 {
		m.forget(c, g) // the log has never heard of it
	}
}

// deletionDecided notes how one write ended and answers with the last.
func (m *Manager) deletionDecided(c *step.Context, d *deletion, index int, code int16) {
	if code != errNone {
		d.resp.Groups[index].ErrorCode = metadataCode(code)
	}
	if d.waiting--; d.waiting == 0 {
		m.responder.Respond(c, d.request.id, d.resp)
	}
}
