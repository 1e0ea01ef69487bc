package api

import (
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/group"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FindCoordinator (key 10, versions 0 to 6): the leader of the partition of
// __consumer_offsets that the group's name hashes to. From version 4 on it
// takes several keys (KIP-699).

// OffsetsTopic is the log of the group coordinators.
const OffsetsTopic = "__consumer_offsets"

const coordinatorTypeGroup = 0

func (s *Server) findCoordinator(c *step.Context, r *conn.Request) {
	var req kmsg.FindCoordinatorRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrFindCoordinatorResponse()
	resp.SetVersion(r.Version)
	asked := req.CoordinatorKeys
	if r.Version < 4 {
		asked = []string{req.CoordinatorKey}
	}
	for _, key := range asked {
		broker, code := s.coordinator(c, r, req.CoordinatorType, key)
		var e meta.Endpoint
		if code == 0 {
			var ok bool
			if e, ok = s.endpoint(broker, r.Listener); !ok {
				code = kerr.CoordinatorNotAvailable.Code
			}
		}
		found := kmsg.NewFindCoordinatorResponseCoordinator()
		found.Key, found.ErrorCode, found.NodeID, found.Port = key, code, -1, -1
		if code != 0 {
			found.ErrorMessage = kmsg.StringPtr(kerr.ErrorForCode(code).Error())
		} else {
			found.NodeID, found.Host, found.Port = broker.ID, e.Host, e.Port
		}
		resp.Coordinators = append(resp.Coordinators, found)
	}
	if r.Version < 4 {
		f := resp.Coordinators[0]
		resp.ErrorCode, resp.ErrorMessage, resp.NodeID, resp.Host, resp.Port = f.ErrorCode, f.ErrorMessage, f.NodeID, f.Host, f.Port
		resp.Coordinators = nil
	}
	s.responder.Respond(c, r.ID, resp)
}

func (s *Server) coordinator(c *step.Context, r *conn.Request, kind int8, key string) (*meta.Broker, int16) {
	if kind != coordinatorTypeGroup {
		return nil, kerr.InvalidRequest.Code
	}
	if !s.gate.May(r.Session, acl.Describe, acl.Group, key) {
		return nil, kerr.GroupAuthorizationFailed.Code
	}
	topic := s.image.Topic(OffsetsTopic)
	if topic == nil {
		s.createOffsetsTopic(c)
		return nil, kerr.CoordinatorNotAvailable.Code
	}
	p := topic.Partitions[group.PartitionFor(key, len(topic.Partitions))]
	b := s.image.Broker(p.Leader)
	if b == nil || b.Fenced {
		return nil, kerr.CoordinatorNotAvailable.Code
	}
	return b, 0
}

// createOffsetsTopic asks for the coordinators' log as offsets.topic.* say. With the
// defaults of other topics retention would take commits away.
func (s *Server) createOffsetsTopic(c *step.Context) {
	s.createTopic(c, OffsetsTopic, int32(s.cfg.OffsetsTopicPartitions), int16(s.cfg.OffsetsTopicReplicationFactor),
		config.KV{Name: "cleanup.policy", Value: "compact"},
		config.KV{Name: "segment.bytes", Value: strconv.FormatInt(s.cfg.OffsetsTopicSegmentBytes, 10)})
}
