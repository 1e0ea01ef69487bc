package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/lifecycle"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions (key 18, versions 0 to 5) is answered from the table in server.go.

func (s *Server) apiVersions(c *step.Context, r *conn.Request) {
	var req kmsg.ApiVersionsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(r.Version)
	for i := range keys {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = keys[i].Key, keys[i].Min, keys[i].Max
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	if r.Version >= 3 {
		for _, f := range lifecycle.Features {
			if f.Max == 0 {
				continue
			}
			supported := kmsg.NewApiVersionsResponseSupportedFeature()
			supported.Name, supported.MinVersion, supported.MaxVersion = f.Name, f.Min, f.Max
			resp.SupportedFeatures = append(resp.SupportedFeatures, supported)
		}
		for _, f := range s.image.Features {
			finalized := kmsg.NewApiVersionsResponseFinalizedFeature()
			finalized.Name, finalized.MaxVersionLevel, finalized.MinVersionLevel = f.Name, f.Level, f.Level
			resp.FinalizedFeatures = append(resp.FinalizedFeatures, finalized)
		}
		resp.FinalizedFeaturesEpoch = s.image.Offset
	}
	s.responder.Respond(c, r.ID, resp)
}

// apiVersionsUnsupported answers a version that we do not know in version 0,
// with the range that we do, so that the client can ask again (KIP-511).
func (s *Server) apiVersionsUnsupported(c *step.Context, r *conn.Request) {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(0)
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = r.Key, byKey[r.Key].Min, byKey[r.Key].Max
	resp.ApiKeys = append(resp.ApiKeys, k)
	s.responder.Respond(c, r.ID, resp)
}
