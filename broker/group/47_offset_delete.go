package group

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetDelete (key 47, version 0) forgets what a group has committed for single
// partitions (KIP-496). A group that balances partitions among its members keeps
// those of the topics that they read; any other group must be without members.
//
// Authorisation: DELETE on the group, READ on each topic.

// offsetDeletion is an OffsetDelete whose write is in flight.
type offsetDeletion struct {
	request parked
	resp    *kmsg.OffsetDeleteResponse
	waiting int // writes not yet decided, and one while the request is handled
}

// consumerProtocol is the protocol type of groups that balance partitions.
const consumerProtocol = "consumer"

// OffsetDelete answers when the tombstones are in the log, or at once.
func (m *Manager) OffsetDelete(c *step.Context, r *conn.Request) {
	var req kmsg.OffsetDeleteRequest
	if !m.decode(c, r, &req) {
		return
	}
	d := &offsetDeletion{request: parked{r.ID, r.Version}, resp: kmsg.NewPtrOffsetDeleteResponse(), waiting: 1}
	d.resp.SetVersion(r.Version)
	s, g, code := m.mayDeleteOffsets(req.Group)
	if !m.mayGroup(r, acl.Delete, req.Group) {
		code = errGroupAuthorization
	}
	if code == errNone {
		m.deleteOffsets(c, r, s, g, &req, d)
	}
	m.offsetDeletionDecided(c, d, code)
}

func (m *Manager) mayDeleteOffsets(id string) (*shard, *group, int16) {
	if id == "" {
		return nil, nil, errInvalidGroupID
	}
	s, code := m.find(id)
	if code != errNone {
		return nil, nil, code
	}
	g := s.groups[id]
	switch {
	case g == nil || g.state == Dead:
		return nil, nil, errGroupNotFound
	case g.state != Empty && g.protocolType != consumerProtocol:
		return nil, nil, errNonEmptyGroup
	}
	return s, g, errNone
}

// deleteOffsets writes a tombstone for each partition that may be forgotten. A
// partition without a committed offset is a success.
func (m *Manager) deleteOffsets(c *step.Context, r *conn.Request, s *shard, g *group, req *kmsg.OffsetDeleteRequest, d *offsetDeletion) {
	w := op{kind: opDeleteOffsets, offsets: d}
	m.records.Reset()
	for i := range req.Topics {
		rt := &req.Topics[i]
		topic := m.image.Topic(rt.Topic)
		subscribed := topic != nil && g.subscribedTo(rt.Topic)
		allowed := m.mayTopic(r, acl.Read, rt.Topic)
		out := kmsg.NewOffsetDeleteResponseTopic()
		out.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetDeleteResponseTopicPartition()
			p.Partition = rp.Partition
			at := topicPartition{rt.Topic, rp.Partition}
			_, known := s.store.offset(g.id, at)
			switch {
			case !allowed:
				p.ErrorCode = errTopicAuthorization
			case topic == nil || rp.Partition < 0 || int(rp.Partition) >= len(topic.Partitions):
				p.ErrorCode = errUnknownTopic
			case subscribed:
				p.ErrorCode = errSubscribedToTopic
			case known || g.writes > 0: // a commit may be in flight
				deleteOffset(&m.records, g.id, at)
			}
			out.Partitions = append(out.Partitions, p)
			if m.records.Len() == expireRecordsMax {
				d.waiting++
				m.write(c, s, g, w)
			}
		}
		d.resp.Topics = append(d.resp.Topics, out)
	}
	if m.records.Len() > 0 {
		d.waiting++
		m.write(c, s, g, w)
	}
}

// subscribedTo tells whether a member reads a topic. When that cannot be known,
// because there is no common protocol yet or a subscription cannot be read, a
// group that balances partitions counts as reading it.
func (g *group) subscribedTo(topic string) bool {
	switch {
	case g.protocolType != consumerProtocol || len(g.members) == 0:
		return false
	case g.protocol == nil:
		return true
	}
	for _, mb := range g.members {
		var subscription kmsg.ConsumerMemberMetadata
		if subscription.ReadFrom(mb.metadata(*g.protocol)) != nil || slices.Contains(subscription.Topics, topic) {
			return true
		}
	}
	return false
}

// offsetDeletionDecided notes how one write ended and answers with the last.
func (m *Manager) offsetDeletionDecided(c *step.Context, d *offsetDeletion, code int16) {
	if code != errNone {
		d.resp.ErrorCode = metadataCode(code)
	}
	if d.waiting--; d.waiting == 0 {
		m.responder.Respond(c, d.request.id, d.resp)
	}
}
