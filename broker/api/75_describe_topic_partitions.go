package api

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeTopicPartitions (key 75, version 0) is Metadata in pages, with the
// eligible leader replicas (KIP-966). Topics come by name; a page holds so many
// partitions as the client and max.request.partition.size.limit allow, and a
// cursor says where the next begins.
//
// Authorisation: DESCRIBE on each topic; those without it are left out when all
// are asked for.

func (s *Server) describeTopicPartitions(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeTopicPartitionsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	resp.SetVersion(r.Version)
	if req.Cursor != nil && req.Cursor.Partition < 0 {
		// The response has no room for an error of the whole.
		s.responder.Disconnect(c, r.ID)
		return
	}
	room := int(max(1, min(int64(req.ResponsePartitionLimit), s.cfg.MaxRequestPartitionSizeLimit)))
	for _, name := range s.pageTopics(r, &req) {
		first := int32(0)
		if req.Cursor != nil && req.Cursor.Topic == name {
			first = req.Cursor.Partition
		}
		if room <= 0 {
			next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
			next.Topic, next.Partition = name, first
			resp.NextCursor = &next
			break
		}
		out, rest := s.pageOf(r, name, first, room)
		resp.Topics = append(resp.Topics, out)
		room -= len(out.Partitions)
		if rest >= 0 {
			next := kmsg.NewDescribeTopicPartitionsResponseNextCursor()
			next.Topic, next.Partition = name, rest
			resp.NextCursor = &next
			break
		}
	}
	s.responder.Respond(c, r.ID, resp)
}

// pageTopics lists the topics asked for from the cursor on; none means all.
func (s *Server) pageTopics(r *conn.Request, req *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for i := range req.Topics {
		names = append(names, req.Topics[i].Topic)
	}
	if len(names) == 0 {
		for _, t := range s.image.Topics {
			if s.gate.May(r.Session, acl.Describe, acl.Topic, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor != nil {
		names = slices.DeleteFunc(names, func(name string) bool { return name < req.Cursor.Topic })
	}
	return names
}

// pageOf describes a topic's partitions from first on; rest is the first that
// found no room, or -1.
func (s *Server) pageOf(r *conn.Request, name string, first int32, room int) (out kmsg.DescribeTopicPartitionsResponseTopic, rest int32) {
	out = kmsg.NewDescribeTopicPartitionsResponseTopic()
	out.Topic, out.IsInternal, out.AuthorizedOperations = &name, partition.IsInternalTopic(name), authorizedUnknown
	if !s.gate.May(r.Session, acl.Describe, acl.Topic, name) {
		out.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return out, -1
	}
	// What one may do to a topic does not depend on whether there is one.
	out.AuthorizedOperations = s.gate.Operations(r.Session, acl.Topic, name)
	t := s.image.Topic(name)
	switch {
	case meta.ValidateTopicName(name) != nil:
		out.ErrorCode = kerr.InvalidTopicException.Code
		return out, -1
	case t == nil:
		out.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return out, -1
	}
	out.TopicID = t.ID
	for i := first; int(i) < len(t.Partitions); i++ {
		if len(out.Partitions) == room {
			return out, i
		}
		p := t.Partitions[i]
		q := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		q.Partition, q.LeaderID, q.LeaderEpoch = i, s.liveLeader(p), p.LeaderEpoch
		q.Replicas, q.ISR, q.OfflineReplicas = p.Replicas, p.ISR, s.offline(p)
		// Null would mean that this cluster has no eligible leader replicas.
		q.EligibleLeaderReplicas, q.LastKnownELR = append([]int32{}, p.ELR...), append([]int32{}, p.LastKnownELR...)
		out.Partitions = append(out.Partitions, q)
	}
	return out, -1
}

// liveLeader is the leader, or -1 if its broker is fenced or gone.
func (s *Server) liveLeader(p *meta.Partition) int32 {
	if b := s.image.Broker(p.Leader); b == nil || b.Fenced {
		return meta.NoLeader
	}
	return p.Leader
}

// offline lists the replicas whose brokers are fenced or gone.
func (s *Server) offline(p *meta.Partition) (ids []int32) {
	for _, id := range p.Replicas {
		if b := s.image.Broker(id); b == nil || b.Fenced {
			ids = append(ids, id)
		}
	}
	return ids
}
