package api

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Metadata (key 3, versions 0 to 13) is answered from the broker's own image,
// which may lag behind the controller's. Null topics means all of them; from
// version 12 on a topic may be named by its id. One that is named twice is
// answered once.

// authorizedUnknown stands for "authorized operations were not asked for".
const authorizedUnknown = -2147483648

// listenerNotFoundVersion is from where on clients know LISTENER_NOT_FOUND, which
// a partition has whose leader cannot be reached as the client has reached us.
const listenerNotFoundVersion = 6

// topicIDVersion is from where on topics may be named by their ids. Versions 10 and
// 11 have the field already, and it is refused there (KAFKA-12701).
const topicIDVersion = 12

func byID(t kmsg.MetadataRequestTopic) bool { return t.Topic == nil || t.TopicID != [16]byte{} }

// refuseIDs answers a request that names topics in a way that its version does not
// have: nothing in it is told.
func refuseIDs(resp *kmsg.MetadataResponse, asked []kmsg.MetadataRequestTopic) {
	resp.ControllerID, resp.AuthorizedOperations = -1, authorizedUnknown
	for i := range asked {
		t := kmsg.NewMetadataResponseTopic()
		t.ErrorCode, t.AuthorizedOperations, t.TopicID = kerr.InvalidRequest.Code, authorizedUnknown, asked[i].TopicID
		if t.Topic = asked[i].Topic; t.Topic == nil {
			t.Topic = kmsg.StringPtr("")
		}
		resp.Topics = append(resp.Topics, t)
	}
}

func (s *Server) metadata(c *step.Context, r *conn.Request) {
	var req kmsg.MetadataRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrMetadataResponse()
	resp.SetVersion(r.Version)
	if r.Version < topicIDVersion && slices.ContainsFunc(req.Topics, byID) {
		refuseIDs(resp, req.Topics)
		s.responder.Respond(c, r.ID, resp)
		return
	}
	resp.ClusterID = kmsg.StringPtr(s.self.ClusterID)
	resp.ControllerID = s.aliveBroker()
	resp.AuthorizedOperations = authorizedUnknown
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = s.clusterOperations(r)
	}
	for _, b := range s.image.Brokers {
		if b.Fenced {
			continue
		}
		e, ok := s.endpoint(b, r.Listener)
		if !ok {
			continue
		}
		out := kmsg.NewMetadataResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack = b.ID, e.Host, e.Port, rackPtr(b.Rack)
		resp.Brokers = append(resp.Brokers, out)
	}
	// Version 0 has no null: an empty list means all topics there.
	if req.Topics == nil || r.Version == 0 && len(req.Topics) == 0 {
		for _, t := range s.image.Topics {
			if s.gate.May(r.Session, acl.Describe, acl.Topic, t.Name) {
				resp.Topics = append(resp.Topics, s.topicMetadata(t, r.Version, r.Listener))
			}
		}
	}
	var asked once
	for i := range req.Topics {
		out := s.requestedTopic(c, r, &req, &req.Topics[i])
		name := onceKey{id: out.TopicID}
		if out.Topic != nil {
			name = onceKey{topic: *out.Topic}
		}
		if _, again := asked.place(name); !again {
			resp.Topics = append(resp.Topics, out)
		}
	}
	if req.IncludeTopicAuthorizedOperations {
		for i := range resp.Topics {
			// What one may do to a topic does not depend on whether there is one.
			if t := &resp.Topics[i]; t.Topic != nil && t.ErrorCode != kerr.TopicAuthorizationFailed.Code {
				t.AuthorizedOperations = s.gate.Operations(r.Session, acl.Topic, *t.Topic)
			}
		}
	}
	s.responder.Respond(c, r.ID, resp)
}

// clusterOperations is what the client may do to the cluster; none if it may not
// even describe it.
func (s *Server) clusterOperations(r *conn.Request) int32 {
	if !s.gate.MayCluster(r.Session, acl.Describe) {
		return 0
	}
	return s.gate.Operations(r.Session, acl.Cluster, acl.ClusterName)
}

// requestedTopic does not tell a client whether a topic exists that it may not
// describe.
func (s *Server) requestedTopic(c *step.Context, r *conn.Request, req *kmsg.MetadataRequest, asked *kmsg.MetadataRequestTopic) kmsg.MetadataResponseTopic {
	missing := kmsg.NewMetadataResponseTopic()
	missing.AuthorizedOperations = authorizedUnknown
	if asked.Topic == nil {
		missing.TopicID = asked.TopicID
		if t := s.image.TopicByID(asked.TopicID); t != nil && s.gate.May(r.Session, acl.Describe, acl.Topic, t.Name) {
			return s.topicMetadata(t, req.Version, r.Listener)
		}
		missing.ErrorCode = kerr.UnknownTopicID.Code
		return missing
	}
	missing.Topic = asked.Topic
	if !s.gate.May(r.Session, acl.Describe, acl.Topic, *asked.Topic) {
		missing.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return missing
	}
	if t := s.image.Topic(*asked.Topic); t != nil {
		return s.topicMetadata(t, req.Version, r.Listener)
	}
	missing.IsInternal = partition.IsInternalTopic(*asked.Topic)
	switch {
	case meta.ValidateTopicName(*asked.Topic) != nil:
		missing.ErrorCode = kerr.InvalidTopicException.Code
	case s.cfg.AutoCreateTopicsEnable && (req.AllowAutoTopicCreation || req.Version < 4):
		if !s.gate.MayCluster(r.Session, acl.Create) && !s.gate.May(r.Session, acl.Create, acl.Topic, *asked.Topic) {
			missing.ErrorCode = kerr.TopicAuthorizationFailed.Code
			break
		}
		if *asked.Topic == OffsetsTopic {
			s.createOffsetsTopic(c)
		} else {
			s.createTopic(c, *asked.Topic, -1, -1)
		}
		missing.ErrorCode = kerr.UnknownTopicOrPartition.Code
	default:
		missing.ErrorCode = kerr.UnknownTopicOrPartition.Code
	}
	return missing
}

func (s *Server) topicMetadata(t *meta.Topic, version int16, listener edge.Listener) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	out.Topic, out.TopicID = kmsg.StringPtr(t.Name), t.ID
	out.IsInternal = partition.IsInternalTopic(t.Name)
	out.AuthorizedOperations = authorizedUnknown
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(t.Partitions))
	for i, p := range t.Partitions {
		q := &out.Partitions[i]
		q.Default()
		q.Partition, q.Leader, q.LeaderEpoch = int32(i), p.Leader, p.LeaderEpoch
		q.Replicas, q.ISR = p.Replicas, p.ISR
		q.OfflineReplicas = s.offline(p)
		leader := s.image.Broker(p.Leader)
		if p.Leader == meta.NoLeader || leader == nil || leader.Fenced && version > 0 {
			q.ErrorCode = kerr.LeaderNotAvailable.Code
			q.Leader = meta.NoLeader
		} else if _, ok := s.endpoint(leader, listener); !ok {
			q.ErrorCode = kerr.LeaderNotAvailable.Code
			if version >= listenerNotFoundVersion {
				q.ErrorCode = kerr.ListenerNotFound.Code
			}
			q.Leader = meta.NoLeader
		}
	}
	return out
}

// aliveBroker is what clients are told as the controller: any live broker, since
// brokers forward admin requests (KIP-590). It spreads by this broker's id.
func (s *Server) aliveBroker() int32 {
	if b := s.image.Broker(s.self.NodeID); b != nil && !b.Fenced {
		return b.ID
	}
	for _, b := range s.image.Brokers {
		if !b.Fenced {
			return b.ID
		}
	}
	return -1
}

func rackPtr(rack string) *string {
	if rack == "" {
		return nil
	}
	return &rack
}
