package api

import (
	"fmt"
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeConfigs (key 32, versions 1 to 4) shows topics, this broker, and the
// dynamic defaults of all brokers (the broker without a name): each property
// with its source and, on request, its synonyms and documentation.

func (s *Server) describeConfigs(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeConfigsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeConfigsResponse()
	resp.SetVersion(r.Version)
	for i := range req.Resources {
		asked := &req.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		entries, code, message := s.configEntries(r, asked)
		out.ErrorCode, out.ErrorMessage = code, &message // empty, not null, if nothing is wrong
		for j := range entries {
			out.Configs = append(out.Configs, configEntry(&entries[j], &req))
		}
		resp.Resources = append(resp.Resources, out)
	}
	s.responder.Respond(c, r.ID, resp)
}

// configEntries describes one resource. Authorisation: DESCRIBE_CONFIGS on the
// topic, or on the cluster for a broker.
func (s *Server) configEntries(r *conn.Request, asked *kmsg.DescribeConfigsRequestResource) ([]config.Entry, int16, string) {
	layers := s.image.ConfigLayers(s.self.NodeID, s.overrides)
	switch asked.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if !s.gate.May(r.Session, acl.DescribeConfigs, acl.Topic, asked.ResourceName) {
			return nil, kerr.TopicAuthorizationFailed.Code, kerr.TopicAuthorizationFailed.Description
		}
		if meta.ValidateTopicName(asked.ResourceName) != nil {
			return nil, kerr.InvalidTopicException.Code, "the topic name is not valid"
		}
		if s.image.Topic(asked.ResourceName) == nil {
			return nil, kerr.UnknownTopicOrPartition.Code, "this server does not host this topic"
		}
		return config.DescribeTopic(s.image.TopicConfig(asked.ResourceName), &layers, asked.ConfigNames), 0, ""
	case kmsg.ConfigResourceTypeBroker:
		if !s.gate.MayCluster(r.Session, acl.DescribeConfigs) {
			return nil, kerr.ClusterAuthorizationFailed.Code, kerr.ClusterAuthorizationFailed.Description
		}
		switch asked.ResourceName {
		case "":
			return config.DescribeDefault(layers.Default, asked.ConfigNames), 0, ""
		case strconv.Itoa(int(s.self.NodeID)):
			return config.DescribeBroker(&layers, asked.ConfigNames), 0, ""
		}
		return nil, kerr.InvalidRequest.Code, fmt.Sprintf("Unexpected broker id, expected %d or empty string, but received %s",
			s.self.NodeID, asked.ResourceName)
	default:
		return nil, kerr.InvalidRequest.Code, "only topics and brokers can be described"
	}
}

func configEntry(e *config.Entry, req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.NewDescribeConfigsResponseResourceConfig()
	out.Name, out.ReadOnly, out.Source = e.Property.Name, e.ReadOnly, kmsg.ConfigSource(e.Source)
	out.ConfigType = kmsg.ConfigType(e.Property.Type)
	if !e.Null {
		out.Value = kmsg.StringPtr(e.Value)
	}
	if req.IncludeDocumentation {
		out.Documentation = kmsg.StringPtr(e.Property.Doc)
	}
	if !req.IncludeSynonyms {
		return out
	}
	for _, v := range e.Synonyms {
		synonym := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
		synonym.Name, synonym.Source = v.Name, kmsg.ConfigSource(v.Source)
		if !v.Null {
			synonym.Value = kmsg.StringPtr(v.Value)
		}
		out.ConfigSynonyms = append(out.ConfigSynonyms, synonym)
	}
	return out
}
