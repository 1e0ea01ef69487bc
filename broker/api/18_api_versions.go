package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/lifecycle"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions (key 18, versions 0 to 5) is answered from the table in server.go.
//
//   - 3 and later: the client says what it is (KIP-511), in words that can stand in
//     the name of a metric.
//   - 4 and later: of all features, also of those that are supported from level 0 on.
//   - 5: the client may say which cluster and node it means; if that is not us, what
//     it knows of the cluster is of no use (KIP-1242).

const noNodeMeant = -1

// featureFromZeroVersion is from where on clients can read that a feature is
// supported from level 0 on. Java's before cannot, and give the connection up
// (KAFKA-17011, KAFKA-17492).
const featureFromZeroVersion = 4

// clientWord is what the name and the version of a client's software consist of.
func clientWord(word string) bool {
	for i := range len(word) {
		b := word[i]
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
		inner := i > 0 && i < len(word)-1 && (b == '-' || b == '.')
		if !letter && !inner {
			return false
		}
	}
	return word != ""
}

// misdirected tells what is wrong with who asks and whom.
func (s *Server) misdirected(req *kmsg.ApiVersionsRequest) *kerr.Error {
	switch {
	case req.Version >= 3 && !(clientWord(req.ClientSoftwareName) && clientWord(req.ClientSoftwareVersion)),
		(req.ClusterID == nil) != (req.NodeID == noNodeMeant):
		return kerr.InvalidRequest
	case req.ClusterID != nil && (*req.ClusterID != s.self.ClusterID || req.NodeID != s.self.NodeID):
		return kerr.RebootstrapRequired
	}
	return nil
}

func (s *Server) apiVersions(c *step.Context, r *conn.Request) {
	var req kmsg.ApiVersionsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(r.Version)
	if wrong := s.misdirected(&req); wrong != nil {
		resp.ErrorCode = wrong.Code
		s.responder.Respond(c, r.ID, resp)
		return
	}
	for i := range keys {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = keys[i].Key, keys[i].Min, keys[i].Max
		if kmsg.Key(k.ApiKey) == kmsg.SASLHandshake && r.Session.Proof == nil {
			k.MinVersion = 1 // where nothing is to prove no token follows, with a header or without
		}
		resp.ApiKeys = append(resp.ApiKeys, k)
	}
	if r.Version >= 3 {
		for _, f := range lifecycle.Features {
			if f.Max == 0 || f.Min == 0 && r.Version < featureFromZeroVersion {
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
