package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeProducers (key 61, version 0) shows what a partition's leader knows of
// the producers that wrote to it (KIP-664).
//
// Authorisation: READ on each topic.

func (s *Server) describeProducers(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeProducersRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeProducersResponse()
	resp.SetVersion(r.Version)
	for i := range req.Topics {
		t := kmsg.NewDescribeProducersResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, index := range req.Topics[i].Partitions {
			t.Partitions = append(t.Partitions, s.producersOf(r, t.Topic, index))
		}
		resp.Topics = append(resp.Topics, t)
	}
	s.responder.Respond(c, r.ID, resp)
}

func (s *Server) producersOf(r *conn.Request, topic string, index int32) kmsg.DescribeProducersResponseTopicPartition {
	out := kmsg.NewDescribeProducersResponseTopicPartition()
	out.Partition = index
	producers, code := s.data.Partitions.Producers(topic, index)
	if meta.ValidateTopicName(topic) != nil {
		code = kerr.InvalidTopicException.Code
	}
	if !s.gate.May(r.Session, acl.Read, acl.Topic, topic) {
		code = kerr.TopicAuthorizationFailed.Code
	}
	if out.ErrorCode = code; code != 0 {
		out.ErrorMessage = kmsg.StringPtr(kerr.ErrorForCode(code).Error())
		return out
	}
	for _, p := range producers {
		q := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		q.ProducerID, q.ProducerEpoch, q.LastSequence, q.LastTimestamp = p.ID, int32(p.Epoch), p.LastSequence, p.LastTimestamp
		q.CoordinatorEpoch, q.CurrentTxnStartOffset = p.CoordinatorEpoch, p.TxnStart
		out.ActiveProducers = append(out.ActiveProducers, q)
	}
	return out
}
