package api

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeUserScramCredentials (key 50, version 0) shows which mechanisms users
// have credentials for, and nothing that would help to guess a password
// (KIP-554). No users, or null, are all of them. AlterUserScramCredentials (51)
// is forwarded.
//
// Authorisation: DESCRIBE on the cluster; ALTER for the other.

func (s *Server) describeUserScramCredentials(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeUserSCRAMCredentialsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeUserSCRAMCredentialsResponse()
	resp.SetVersion(r.Version)
	resp.ErrorMessage = kmsg.StringPtr("") // not null if nothing is wrong; so of each user
	if !s.gate.MayCluster(r.Session, acl.Describe) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		resp.ErrorMessage = kmsg.StringPtr(kerr.ClusterAuthorizationFailed.Description)
		s.responder.Respond(c, r.ID, resp)
		return
	}
	asked := make([]string, 0, len(req.Users))
	for i := range req.Users {
		asked = append(asked, req.Users[i].Name)
	}
	if len(asked) == 0 {
		for i := range s.image.ScramUsers {
			asked = append(asked, s.image.ScramUsers[i].Name)
		}
		asked = slices.Compact(asked) // the image is sorted by name
	}
	count := make(map[string]int)
	for _, name := range asked {
		count[name]++
	}
	for _, name := range asked {
		if n := count[name]; n != 0 {
			resp.Results = append(resp.Results, s.scramUser(name, n > 1))
			count[name] = 0 // answered once
		}
	}
	s.responder.Respond(c, r.ID, resp)
}

func (s *Server) scramUser(name string, twice bool) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	out := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	out.User, out.ErrorMessage = name, kmsg.StringPtr("")
	if twice {
		out.ErrorCode = kerr.DuplicateResource.Code
		out.ErrorMessage = kmsg.StringPtr("Cannot describe SCRAM credentials for the same user twice in a single request: " + name)
		return out
	}
	for i := range s.image.ScramUsers {
		if u := &s.image.ScramUsers[i]; u.Name == name {
			info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
			info.Mechanism, info.Iterations = int8(u.Mechanism), u.Credential.Iterations
			out.CredentialInfos = append(out.CredentialInfos, info)
		}
	}
	if len(out.CredentialInfos) == 0 {
		out.ErrorCode = kerr.ResourceNotFound.Code
		out.ErrorMessage = kmsg.StringPtr("Attempt to describe a user credential that does not exist: " + name)
	}
	return out
}
