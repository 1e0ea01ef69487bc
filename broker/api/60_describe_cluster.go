package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster (key 60, versions 0 to 2): version 2 can also show fenced
// brokers (KIP-1073).

func (s *Server) describeCluster(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeClusterRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.SetVersion(r.Version)
	resp.ClusterID, resp.ControllerID = s.self.ClusterID, s.aliveBroker()
	resp.EndpointType = 1
	resp.ClusterAuthorizedOperations = authorizedUnknown
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = s.clusterOperations(r)
	}
	for _, b := range s.image.Brokers {
		if b.Fenced && !req.IncludeFencedBrokers {
			continue
		}
		e, ok := s.endpoint(b, r.Listener)
		if !ok {
			continue
		}
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Host, out.Port, out.Rack, out.IsFenced = b.ID, e.Host, e.Port, rackPtr(b.Rack), b.Fenced
		resp.Brokers = append(resp.Brokers, out)
	}
	s.responder.Respond(c, r.ID, resp)
}
