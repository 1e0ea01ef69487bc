package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster (key 60, versions 0 to 2): version 1 can ask for controllers
// (KIP-919), of whom a broker's listener does not tell; version 2 can also show
// fenced brokers (KIP-1073).

const (
	endpointBrokers     = 1
	endpointControllers = 2
)

func (s *Server) describeCluster(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeClusterRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.SetVersion(r.Version)
	if code := wrongEndpoint(req.EndpointType); code != nil {
		resp.ErrorCode, resp.ErrorMessage = code.Code, kmsg.StringPtr(code.Description)
		resp.EndpointType, resp.ClusterAuthorizedOperations, resp.ControllerID = endpointBrokers, authorizedUnknown, -1
		s.responder.Respond(c, r.ID, resp)
		return
	}
	resp.ClusterID, resp.ControllerID = s.self.ClusterID, s.aliveBroker()
	resp.EndpointType = endpointBrokers
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

func wrongEndpoint(asked int8) *kerr.Error {
	switch asked {
	case endpointBrokers:
		return nil
	case endpointControllers:
		return kerr.MismatchedEndpointType
	}
	return kerr.UnsupportedEndpointType
}
