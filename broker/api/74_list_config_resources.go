package api

import (
	"slices"
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListConfigResources (key 74, versions 0 and 1) names what can be configured
// (KIP-1142). Version 0 knows client metrics only, of which there are none here,
// nor have brokers loggers or groups configurations of their own.
//
// Authorisation: DESCRIBE_CONFIGS on the cluster.

// configResources are the types that Kafka lists, in its order.
var configResources = []kmsg.ConfigResourceType{
	kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger,
	kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig,
}

func (s *Server) listConfigResources(c *step.Context, r *conn.Request) {
	var req kmsg.ListConfigResourcesRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrListConfigResourcesResponse()
	resp.SetVersion(r.Version)
	add := func(kind kmsg.ConfigResourceType, name string) {
		out := kmsg.NewListConfigResourcesResponseConfigResource()
		out.Type, out.Name = int8(kind), name
		resp.ConfigResources = append(resp.ConfigResources, out)
	}
	if !s.gate.MayCluster(r.Session, acl.DescribeConfigs) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		s.responder.Respond(c, r.ID, resp)
		return
	}
	if r.Version == 0 {
		s.responder.Respond(c, r.ID, resp)
		return
	}
	for _, kind := range req.ResourceTypes {
		if !slices.Contains(configResources, kmsg.ConfigResourceType(kind)) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
			s.responder.Respond(c, r.ID, resp)
			return
		}
	}
	asked := func(kind kmsg.ConfigResourceType) bool {
		return len(req.ResourceTypes) == 0 || slices.Contains(req.ResourceTypes, int8(kind))
	}
	if asked(kmsg.ConfigResourceTypeTopic) {
		for _, t := range s.image.Topics {
			add(kmsg.ConfigResourceTypeTopic, t.Name)
		}
	}
	if asked(kmsg.ConfigResourceTypeBroker) {
		for _, b := range s.image.Brokers {
			if !b.Fenced {
				add(kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(b.ID)))
			}
		}
	}
	s.responder.Respond(c, r.ID, resp)
}
