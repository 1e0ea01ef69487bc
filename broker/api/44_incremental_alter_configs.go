package api

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// AlterConfigs (key 33, versions 0 to 2) and IncrementalAlterConfigs (key 44,
// versions 0 and 1) are decided by the controller. A broker's own properties
// must be sent to that broker, or under an empty name, for all, to any: what
// names another broker is refused here and the rest forwarded, as Kafka does.
//
// Authorisation: ALTER_CONFIGS on the topic, or on the cluster for a broker.

// refusedConfig is a resource that this broker refused before forwarding.
type refusedConfig struct {
	kind    kmsg.ConfigResourceType
	name    string
	message string
}

// refusesConfig tells whether a resource is another broker's, and notes why it is
// refused then.
func (s *Server) refusesConfig(kind kmsg.ConfigResourceType, name string, refused *[]refusedConfig) bool {
	if kind != kmsg.ConfigResourceTypeBroker || name == "" || name == strconv.Itoa(int(s.self.NodeID)) {
		return false
	}
	*refused = append(*refused, refusedConfig{kind, name, fmt.Sprintf("Unexpected broker id, expected %d, but received %s", s.self.NodeID, name)})
	return true
}

func (s *Server) alterConfigs(c *step.Context, r *conn.Request) {
	var req kmsg.AlterConfigsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	var refused []refusedConfig
	req.Resources = slices.DeleteFunc(req.Resources, func(x kmsg.AlterConfigsRequestResource) bool {
		return s.refusesConfig(x.ResourceType, x.ResourceName, &refused)
	})
	s.forwardRest(c, r, &req, len(req.Resources), refused)
}

func (s *Server) incrementalAlterConfigs(c *step.Context, r *conn.Request) {
	var req kmsg.IncrementalAlterConfigsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	var refused []refusedConfig
	req.Resources = slices.DeleteFunc(req.Resources, func(x kmsg.IncrementalAlterConfigsRequestResource) bool {
		return s.refusesConfig(x.ResourceType, x.ResourceName, &refused)
	})
	s.forwardRest(c, r, &req, len(req.Resources), refused)
}

// forwardRest forwards what has not been refused.
func (s *Server) forwardRest(c *step.Context, r *conn.Request, rest kmsg.Request, n int, refused []refusedConfig) {
	switch {
	case len(refused) == 0:
		s.forward(c, r)
	case n == 0:
		s.respondAltered(c, r.ID, rest.ResponseKind(), refused)
	default:
		s.forwardBody(c, r, rest.AppendTo(nil), refused)
	}
}

// alteredReply adds what was refused here to the controller's answer.
func (s *Server) alteredReply(c *step.Context, f *forward, body []byte) {
	resp := kmsg.ResponseForKey(f.key)
	resp.SetVersion(f.version)
	if err := resp.ReadFrom(body); err != nil {
		c.Logf(edge.Error, "the controller's answer to %s: %v", kmsg.NameForKey(f.key), err)
		s.responder.Disconnect(c, f.request)
		return
	}
	s.respondAltered(c, f.request, resp, f.refused)
}

func (s *Server) respondAltered(c *step.Context, id conn.RequestID, resp kmsg.Response, refused []refusedConfig) {
	for i := range refused {
		f := &refused[i]
		switch resp := resp.(type) {
		case *kmsg.AlterConfigsResponse:
			out := kmsg.NewAlterConfigsResponseResource()
			out.ResourceType, out.ResourceName, out.ErrorCode, out.ErrorMessage = f.kind, f.name, kerr.InvalidRequest.Code, &f.message
			resp.Resources = append(resp.Resources, out)
		case *kmsg.IncrementalAlterConfigsResponse:
			out := kmsg.NewIncrementalAlterConfigsResponseResource()
			out.ResourceType, out.ResourceName, out.ErrorCode, out.ErrorMessage = f.kind, f.name, kerr.InvalidRequest.Code, &f.message
			resp.Resources = append(resp.Resources, out)
		}
	}
	s.responder.Respond(c, id, resp)
}
