package group

import (
	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetCommit (key 8, versions 2 to 10): a member, or a consumer that belongs
// to no group, stores how far it has read. The answer comes when the offsets are
// in the log below the high watermark.
//
//   - 2 to 4 may bring an expiry of their own, which newer ones cannot (KIP-211).
//   - 6 and later: the leader epoch. 7 and later: static members.
//   - 9: an unknown group is GROUP_ID_NOT_FOUND instead of ILLEGAL_GENERATION.
//   - 10: topic ids instead of names (KIP-848).

const (
	groupNotFoundVersion = 9
	commitTopicIDVersion = 10
)

// OffsetCommit answers when the offsets are committed, or at once.
func (m *Manager) OffsetCommit(c *step.Context, r *conn.Request) {
	var req kmsg.OffsetCommitRequest
	if !m.decode(c, r, &req) {
		return
	}
	resp, known := m.commitResponse(r, &req)
	if known == 0 {
		m.responder.Respond(c, r.ID, resp)
		return
	}
	s, code := m.find(req.Group)
	var g *group
	if code == errNone {
		g, code = m.mayCommit(c, s, &req)
	}
	if code == errNone && m.runtime.Full(s.index) {
		code = errNotAvailable
	}
	if code != errNone {
		failCommit(resp, code)
		m.responder.Respond(c, r.ID, resp)
		return
	}
	m.records.Reset()
	m.putCommit(c, &req, resp)
	if m.records.Len() == 0 {
		m.responder.Respond(c, r.ID, resp)
		return
	}
	m.write(c, s, g, op{kind: opCommit, request: parked{r.ID, r.Version}, commit: resp})
}

// commitResponse prepares the answer: topics that do not exist, or may not be
// read, already bear their error, as do partitions that a topic does not have, and the request is
// given the names that belong to its ids. It returns how many topics are known.
func (m *Manager) commitResponse(r *conn.Request, req *kmsg.OffsetCommitRequest) (resp *kmsg.OffsetCommitResponse, known int) {
	resp = kmsg.NewPtrOffsetCommitResponse()
	resp.SetVersion(req.Version)
	mayRead := m.mayGroup(r, acl.Read, req.Group)
	for i := range req.Topics {
		t := &req.Topics[i]
		code := errNone
		if req.Version >= commitTopicIDVersion {
			if topic := m.image.TopicByID(t.TopicID); topic != nil {
				t.Topic = topic.Name
			} else {
				code = errUnknownTopicID
			}
		}
		switch {
		case !mayRead:
			code = errGroupAuthorization
		case code != errNone:
		case !m.mayTopic(r, acl.Read, t.Topic):
			code = errTopicAuthorization
		case m.image.Topic(t.Topic) == nil:
			code = errUnknownTopic
		}
		partitions := 0
		if code == errNone {
			known++
			partitions = len(m.image.Topic(t.Topic).Partitions)
		}
		out := kmsg.NewOffsetCommitResponseTopic()
		out.Topic, out.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, code
			if code == errNone && (p.Partition < 0 || int(p.Partition) >= partitions) {
				part.ErrorCode = errUnknownTopic
			}
			out.Partitions = append(out.Partitions, part)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, known
}

// mayCommit decides whether the request speaks for the group. A commit without
// a generation is one of a consumer that chooses its partitions itself, and
// makes its group if need be.
func (m *Manager) mayCommit(c *step.Context, s *shard, req *kmsg.OffsetCommitRequest) (*group, int16) {
	g := s.groups[req.Group]
	if g == nil {
		switch {
		case req.Generation < 0:
			return m.newGroup(c, s, req.Group), errNone
		case req.Version >= groupNotFoundVersion:
			return nil, errGroupNotFound
		}
		return nil, errIllegalGeneration
	}
	if req.Generation < 0 && g.state == Empty {
		return g, errNone
	}
	if req.Generation < 0 && req.MemberID == "" && req.InstanceID == nil {
		// Somebody else's group: members are at work.
		return nil, errUnknownMember
	}
	if m.cfg.Bugs.Has(bugs.AcceptStaleGeneration) {
		return g, errNone
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != errNone {
		return nil, code
	}
	if req.Generation != g.generation {
		return nil, errIllegalGeneration
	}
	if g.state == CompletingRebalance {
		// The member has its new generation but not its assignment, so that the
		// partitions may be somebody else's by now.
		return nil, errRebalanceInProgress
	}
	m.heardFrom(c, g, g.member(req.MemberID))
	return g, errNone
}

// putCommit collects the records of what may be committed and notes in the
// response what may not.
func (m *Manager) putCommit(c *step.Context, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) {
	for i := range req.Topics {
		t := &req.Topics[i]
		for k := range t.Partitions {
			p, out := &t.Partitions[k], &resp.Topics[i].Partitions[k]
			if out.ErrorCode != errNone {
				continue
			}
			entry := committed{
				offset: p.Offset, leaderEpoch: p.LeaderEpoch, topicID: meta.TopicID(t.TopicID),
				timestamp: int64(c.Wall), expires: -1,
			}
			if p.Metadata != nil {
				entry.metadata = *p.Metadata
			}
			if int64(len(entry.metadata)) > m.cfg.OffsetMetadataMaxBytes {
				out.ErrorCode = errOffsetMetadataTooLong
				continue
			}
			if req.Version < 6 {
				entry.leaderEpoch = -1
			}
			if req.Version <= 4 && req.RetentionTimeMillis >= 0 {
				entry.expires = int64(c.Wall) + req.RetentionTimeMillis
			}
			putOffset(&m.records, req.Group, topicPartition{t.Topic, p.Partition}, &entry)
		}
	}
}

func (m *Manager) commitDecided(c *step.Context, w *op, code int16) {
	if code == errMessageTooLarge {
		code = errInvalidOffsetSize
	}
	if code != errNone {
		failCommit(w.commit, code)
	}
	m.responder.Respond(c, w.request.id, w.commit)
}

// failCommit gives all that has no error yet the same one.
func failCommit(resp *kmsg.OffsetCommitResponse, code int16) {
	for i := range resp.Topics {
		for k := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[k]; p.ErrorCode == errNone {
				p.ErrorCode = code
			}
		}
	}
}
