package controller

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// authorize asks the gate whether a request may be carried out. What concerns
// the cluster is refused as a whole. What concerns topics is refused topic by
// topic: those that the sender may not touch leave the request and come back in
// denied, to be joined to the answer for the others.
func (t *change) authorize(s *security.Session, req kmsg.Request) (denied kmsg.Response, whole bool) {
	k := t.k
	if k.gate == nil {
		return nil, false
	}
	k.gate.SetBindings(k.image.ACLs)
	switch req := req.(type) {
	case *kmsg.CreateTopicsRequest:
		if k.gate.MayCluster(s, acl.Create) {
			return nil, false
		}
		out := *req
		req.Topics, out.Topics = split(req.Topics, func(rt *kmsg.CreateTopicsRequestTopic) bool {
			return k.gate.May(s, acl.Create, acl.Topic, rt.Topic)
		})
		return refuse(&out, kerr.TopicAuthorizationFailed), false
	case *kmsg.CreatePartitionsRequest:
		out := *req
		req.Topics, out.Topics = split(req.Topics, func(rt *kmsg.CreatePartitionsRequestTopic) bool {
			return k.gate.May(s, acl.Alter, acl.Topic, rt.Topic)
		})
		return refuse(&out, kerr.TopicAuthorizationFailed), false
	case *kmsg.DeleteTopicsRequest:
		return t.authorizeDeletions(s, req), false
	case *kmsg.IncrementalAlterConfigsRequest:
		out := *req
		req.Resources, out.Resources = split(req.Resources, func(r *kmsg.IncrementalAlterConfigsRequestResource) bool {
			return t.mayAlterConfigs(s, r.ResourceType, r.ResourceName)
		})
		return refuse(&out, kerr.ClusterAuthorizationFailed), false
	case *kmsg.AlterConfigsRequest:
		out := *req
		req.Resources, out.Resources = split(req.Resources, func(r *kmsg.AlterConfigsRequestResource) bool {
			return t.mayAlterConfigs(s, r.ResourceType, r.ResourceName)
		})
		return refuse(&out, kerr.ClusterAuthorizationFailed), false
	}
	if !k.gate.MayCluster(s, clusterOperation(kmsg.Key(req.Key()))) {
		return refuse(req, kerr.ClusterAuthorizationFailed), true
	}
	return nil, false
}

// clusterOperation is what a request that concerns the cluster does to it. One
// that is not listed alters it, so that forgetting one locks it.
func clusterOperation(key kmsg.Key) acl.Operation {
	switch key {
	case kmsg.AlterPartition, kmsg.BrokerRegistration, kmsg.BrokerHeartbeat, kmsg.AllocateProducerIDs:
		return acl.ClusterAction
	case kmsg.DescribeQuorum, kmsg.ListPartitionReassignments:
		return acl.Describe
	case kmsg.AlterClientQuotas:
		return acl.AlterConfigs
	}
	return acl.Alter
}

// split parts a list in two, in its order.
func split[T any](list []T, may func(*T) bool) (allowed, denied []T) {
	for i := range list {
		if may(&list[i]) {
			allowed = append(allowed, list[i])
		} else {
			denied = append(denied, list[i])
		}
	}
	return allowed, denied
}

// authorizeDeletions: an id that is denied is answered without its name, unless
// the sender may know it.
func (t *change) authorizeDeletions(s *security.Session, req *kmsg.DeleteTopicsRequest) kmsg.Response {
	out := *req
	may := func(name string) bool { return t.k.gate.May(s, acl.Delete, acl.Topic, name) }
	req.TopicNames, out.TopicNames = split(req.TopicNames, func(name *string) bool { return may(*name) })
	req.Topics, out.Topics = split(req.Topics, func(rt *kmsg.DeleteTopicsRequestTopic) bool {
		if rt.Topic != nil {
			return may(*rt.Topic)
		}
		topic := t.image.TopicByID(rt.TopicID)
		return topic == nil || may(topic.Name) // an unknown id is for the handler
	})
	return refuse(&out, kerr.TopicAuthorizationFailed)
}

func (t *change) mayAlterConfigs(s *security.Session, kind kmsg.ConfigResourceType, name string) bool {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return t.k.gate.May(s, acl.AlterConfigs, acl.Topic, name)
	case kmsg.ConfigResourceTypeGroupConfig:
		return t.k.gate.May(s, acl.AlterConfigs, acl.Group, name)
	}
	return t.k.gate.MayCluster(s, acl.AlterConfigs)
}

// join adds to a response what was denied, and takes from it what the sender may
// not see.
func (t *change) join(s *security.Session, resp, denied kmsg.Response) kmsg.Response {
	if created, ok := resp.(*kmsg.CreateTopicsResponse); ok {
		t.hideConfigs(s, created)
	}
	switch denied := denied.(type) {
	case *kmsg.CreateTopicsResponse:
		resp := resp.(*kmsg.CreateTopicsResponse)
		resp.Topics = slices.Concat(resp.Topics, denied.Topics)
	case *kmsg.CreatePartitionsResponse:
		resp := resp.(*kmsg.CreatePartitionsResponse)
		resp.Topics = slices.Concat(resp.Topics, denied.Topics)
	case *kmsg.DeleteTopicsResponse:
		resp := resp.(*kmsg.DeleteTopicsResponse)
		resp.Topics = slices.Concat(resp.Topics, denied.Topics)
	case *kmsg.IncrementalAlterConfigsResponse:
		resp := resp.(*kmsg.IncrementalAlterConfigsResponse)
		resp.Resources = slices.Concat(resp.Resources, denied.Resources)
	case *kmsg.AlterConfigsResponse:
		resp := resp.(*kmsg.AlterConfigsResponse)
		resp.Resources = slices.Concat(resp.Resources, denied.Resources)
	}
	return resp
}

// hideConfigs: a new topic's configuration is shown to those who may see it
// (KIP-525).
func (t *change) hideConfigs(s *security.Session, resp *kmsg.CreateTopicsResponse) {
	for i := range resp.Topics {
		rt := &resp.Topics[i]
		if rt.ErrorCode == 0 && !t.k.gate.May(s, acl.DescribeConfigs, acl.Topic, rt.Topic) {
			rt.Configs, rt.NumPartitions, rt.ReplicationFactor = nil, -1, -1
			rt.ConfigErrorCode = kerr.TopicAuthorizationFailed.Code
		}
	}
}
