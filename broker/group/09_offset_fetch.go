package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetFetch (key 9, versions 1 to 10): what a group has committed. A group, or
// a partition, of which nothing is known has offset -1 and no error. Only what
// is below the high watermark is shown, which also makes every answer stable in
// the sense of KIP-447: there are no transactional commits yet.
//
//   - 2 and later: null topics ask for all. 2 to 7: one error for the group.
//   - 8: several groups. 9: member ids, which only the newer protocol checks.
//   - 10: topic ids instead of names (KIP-848).

const (
	fetchTopErrorVersion = 2
	fetchManyVersion     = 8
	fetchTopicIDVersion  = 10
	noOffset             = int64(-1)
)

// OffsetFetch answers at once.
func (m *Manager) OffsetFetch(c *step.Context, r *conn.Request) {
	var req kmsg.OffsetFetchRequest
	if !m.decode(c, r, &req) {
		return
	}
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.SetVersion(r.Version)
	if r.Version < fetchManyVersion {
		one := kmsg.NewOffsetFetchRequestGroup()
		one.Group = req.Group
		if req.Topics != nil {
			one.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		}
		for i := range req.Topics {
			t := kmsg.NewOffsetFetchRequestGroupTopic()
			t.Topic, t.Partitions = req.Topics[i].Topic, req.Topics[i].Partitions
			one.Topics = append(one.Topics, t)
		}
		found := m.fetchGroup(r, &one)
		fetchOne(resp, &found)
	} else {
		for i := range req.Groups {
			resp.Groups = append(resp.Groups, m.fetchGroup(r, &req.Groups[i]))
		}
	}
	m.responder.Respond(c, r.ID, resp)
}

// fetchOne turns the result for a group into the form that versions before 8 have.
func fetchOne(resp *kmsg.OffsetFetchResponse, from *kmsg.OffsetFetchResponseGroup) {
	resp.ErrorCode = from.ErrorCode
	for i := range from.Topics {
		t := kmsg.NewOffsetFetchResponseTopic()
		t.Topic = from.Topics[i].Topic
		for _, p := range from.Topics[i].Partitions {
			out := kmsg.NewOffsetFetchResponseTopicPartition()
			out.Partition, out.Offset, out.LeaderEpoch = p.Partition, p.Offset, p.LeaderEpoch
			out.Metadata, out.ErrorCode = p.Metadata, p.ErrorCode
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
}

func (m *Manager) fetchGroup(r *conn.Request, req *kmsg.OffsetFetchRequestGroup) kmsg.OffsetFetchResponseGroup {
	version := r.Version
	resp := kmsg.NewOffsetFetchResponseGroup()
	resp.Group = req.Group
	s, code := m.find(req.Group)
	if !m.mayGroup(r, acl.Describe, req.Group) {
		code = errGroupAuthorization
	}
	if code != errNone && version >= fetchTopErrorVersion {
		resp.ErrorCode = code
		return resp
	}
	if req.Topics == nil && code == errNone {
		m.fetchAll(r, s, &resp)
		return resp
	}
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewOffsetFetchResponseGroupTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		name, partCode := t.Topic, code
		if version >= fetchTopicIDVersion {
			if topic := m.image.TopicByID(t.TopicID); topic != nil {
				name = topic.Name
			} else {
				partCode = errUnknownTopicID
			}
		}
		if partCode == errNone && !m.mayTopic(r, acl.Describe, name) {
			partCode = errTopicAuthorization
		}
		for _, p := range t.Partitions {
			entry, ok := committed{}, false
			if partCode == errNone {
				entry, ok = s.store.offset(req.Group, topicPartition{name, p})
			}
			if ok && anotherTopic(entry.topicID, t.TopicID) {
				ok = false
			}
			out.Partitions = append(out.Partitions, fetched(p, &entry, ok, partCode))
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

// anotherTopic says that an offset was committed for a topic that bore the same
// name before.
func anotherTopic(a, b meta.TopicID) bool {
	return a != meta.TopicID{} && b != meta.TopicID{} && a != b
}

func (m *Manager) fetchAll(r *conn.Request, s *shard, resp *kmsg.OffsetFetchResponseGroup) {
	for _, at := range s.store.partitions(resp.Group) {
		if !m.mayTopic(r, acl.Describe, at.topic) {
			continue // that it was read is nobody else's business
		}
		entry, _ := s.store.offset(resp.Group, at)
		var id meta.TopicID
		if r.Version >= fetchTopicIDVersion {
			topic := m.image.Topic(at.topic)
			if topic == nil || anotherTopic(entry.topicID, topic.ID) {
				continue // it could not be named
			}
			id = topic.ID
		}
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != at.topic {
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic, t.TopicID = at.topic, id
			resp.Topics = append(resp.Topics, t)
		}
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, fetched(at.partition, &entry, true, errNone))
	}
}

func fetched(partition int32, entry *committed, ok bool, code int16) kmsg.OffsetFetchResponseGroupTopicPartition {
	p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	p.Partition, p.ErrorCode = partition, code
	if !ok {
		empty := ""
		p.Offset, p.LeaderEpoch, p.Metadata = noOffset, -1, &empty
		return p
	}
	metadata := entry.metadata
	p.Offset, p.LeaderEpoch, p.Metadata = entry.offset, entry.leaderEpoch, &metadata
	return p
}
