package api

import (
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeConfigs (key 32, versions 1 to 4) shows topics and this broker, each
// property with its source, synonyms and, on request, its documentation.

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
		entries, code, message := s.configEntries(asked)
		if out.ErrorCode = code; code != 0 {
			out.ErrorMessage = &message
		}
		for j := range entries {
			out.Configs = append(out.Configs, configEntry(&entries[j], &req))
		}
		resp.Resources = append(resp.Resources, out)
	}
	s.responder.Respond(c, r.ID, resp)
}

func (s *Server) configEntries(asked *kmsg.DescribeConfigsRequestResource) ([]config.Entry, int16, string) {
	switch asked.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if meta.ValidateTopicName(asked.ResourceName) != nil {
			return nil, kerr.InvalidTopicException.Code, "the topic name is not valid"
		}
		if s.image.Topic(asked.ResourceName) == nil {
			return nil, kerr.UnknownTopicOrPartition.Code, "this server does not host this topic"
		}
		var overrides []config.KV
		for _, v := range s.image.TopicConfig(asked.ResourceName) {
			overrides = append(overrides, config.KV{Name: v.Name, Value: v.Value})
		}
		return config.DescribeTopic(overrides, s.overrides, asked.ConfigNames), 0, ""
	case kmsg.ConfigResourceTypeBroker:
		if asked.ResourceName != strconv.Itoa(int(s.self.NodeID)) {
			return nil, kerr.InvalidRequest.Code, "this broker has the id " + strconv.Itoa(int(s.self.NodeID))
		}
		return config.DescribeBroker(s.overrides, asked.ConfigNames), 0, ""
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
