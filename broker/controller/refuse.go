package controller

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refuse answers a request as a whole with one error: at the top where the
// response has room for it, for each of its items otherwise.
func refuse(req kmsg.Request, e *kerr.Error) kmsg.Response {
	resp := req.ResponseKind()
	code, message := e.Code, &e.Description
	switch resp := resp.(type) {
	case *kmsg.BrokerRegistrationResponse:
		resp.ErrorCode, resp.BrokerEpoch = code, -1
	case *kmsg.BrokerHeartbeatResponse:
		resp.ErrorCode, resp.IsFenced = code, true
	case *kmsg.UnregisterBrokerResponse:
		resp.ErrorCode, resp.ErrorMessage = code, message
	case *kmsg.AlterPartitionResponse:
		resp.ErrorCode = code
	case *kmsg.AllocateProducerIDsResponse:
		resp.ErrorCode, resp.ProducerIDStart = code, -1
	case *kmsg.ElectLeadersResponse:
		refuseElection(req.(*kmsg.ElectLeadersRequest), resp, code)
	case *kmsg.AlterPartitionAssignmentsResponse:
		resp.ErrorCode, resp.ErrorMessage = code, message
	case *kmsg.ListPartitionReassignmentsResponse:
		resp.ErrorCode, resp.ErrorMessage = code, message
	case *kmsg.UpdateFeaturesResponse:
		resp.ErrorCode, resp.ErrorMessage = code, message
	case *kmsg.DescribeQuorumResponse:
		resp.ErrorCode, resp.ErrorMessage = code, message
	case *kmsg.CreateACLsResponse:
		for range req.(*kmsg.CreateACLsRequest).Creations {
			resp.Results = append(resp.Results, kmsg.CreateACLsResponseResult{ErrorCode: code, ErrorMessage: message})
		}
	case *kmsg.DeleteACLsResponse:
		for range req.(*kmsg.DeleteACLsRequest).Filters {
			resp.Results = append(resp.Results, kmsg.DeleteACLsResponseResult{ErrorCode: code, ErrorMessage: message})
		}
	case *kmsg.AlterUserSCRAMCredentialsResponse:
		refuseScram(req.(*kmsg.AlterUserSCRAMCredentialsRequest), resp, code, message)
	case *kmsg.CreateTopicsResponse:
		for _, t := range req.(*kmsg.CreateTopicsRequest).Topics {
			rt := kmsg.NewCreateTopicsResponseTopic()
			rt.Topic, rt.ErrorCode, rt.ErrorMessage = t.Topic, code, message
			resp.Topics = append(resp.Topics, rt)
		}
	case *kmsg.DeleteTopicsResponse:
		for _, t := range deletions(req.(*kmsg.DeleteTopicsRequest)) {
			rt := kmsg.NewDeleteTopicsResponseTopic()
			rt.Topic, rt.TopicID, rt.ErrorCode, rt.ErrorMessage = t.Topic, t.TopicID, code, message
			resp.Topics = append(resp.Topics, rt)
		}
	case *kmsg.CreatePartitionsResponse:
		for _, t := range req.(*kmsg.CreatePartitionsRequest).Topics {
			rt := kmsg.NewCreatePartitionsResponseTopic()
			rt.Topic, rt.ErrorCode, rt.ErrorMessage = t.Topic, code, message
			resp.Topics = append(resp.Topics, rt)
		}
	case *kmsg.IncrementalAlterConfigsResponse:
		for _, r := range req.(*kmsg.IncrementalAlterConfigsRequest).Resources {
			rr, e := kmsg.NewIncrementalAlterConfigsResponseResource(), ofConfig(r.ResourceType, e)
			rr.ResourceType, rr.ResourceName, rr.ErrorCode, rr.ErrorMessage = r.ResourceType, r.ResourceName, e.Code, &e.Description
			resp.Resources = append(resp.Resources, rr)
		}
	case *kmsg.AlterConfigsResponse:
		for _, r := range req.(*kmsg.AlterConfigsRequest).Resources {
			rr, e := kmsg.NewAlterConfigsResponseResource(), ofConfig(r.ResourceType, e)
			rr.ResourceType, rr.ResourceName, rr.ErrorCode, rr.ErrorMessage = r.ResourceType, r.ResourceName, e.Code, &e.Description
			resp.Resources = append(resp.Resources, rr)
		}
	}
	return resp
}

// ofConfig is the error for a resource's configuration: who may not alter it is
// told so of the resource.
func ofConfig(kind kmsg.ConfigResourceType, e *kerr.Error) *kerr.Error {
	switch {
	case e != kerr.ClusterAuthorizationFailed:
		return e
	case kind == kmsg.ConfigResourceTypeTopic:
		return kerr.TopicAuthorizationFailed
	case kind == kmsg.ConfigResourceTypeGroupConfig:
		return kerr.GroupAuthorizationFailed
	}
	return e
}

// refuseElection fills both places: version 0 has no error at the top.
func refuseElection(req *kmsg.ElectLeadersRequest, resp *kmsg.ElectLeadersResponse, code int16) {
	resp.ErrorCode = code
	for _, t := range req.Topics {
		rt := kmsg.NewElectLeadersResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			rp := kmsg.NewElectLeadersResponseTopicPartition()
			rp.Partition, rp.ErrorCode = p, code
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
}

// refuseScram answers once for each user.
func refuseScram(req *kmsg.AlterUserSCRAMCredentialsRequest, resp *kmsg.AlterUserSCRAMCredentialsResponse, code int16, message *string) {
	seen := make(map[string]bool)
	add := func(user string) {
		if !seen[user] {
			seen[user] = true
			resp.Results = append(resp.Results, kmsg.AlterUserSCRAMCredentialsResponseResult{User: user, ErrorCode: code, ErrorMessage: message})
		}
	}
	for i := range req.Deletions {
		add(req.Deletions[i].Name)
	}
	for i := range req.Upsertions {
		add(req.Upsertions[i].Name)
	}
}
