package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeAcls (key 29, versions 1 to 3) shows the entries that a filter chooses,
// grouped by resource. CreateAcls (30) and DeleteAcls (31) are forwarded.
//
// Authorisation: DESCRIBE on the cluster; ALTER for the other two.

func (s *Server) describeACLs(c *step.Context, r *conn.Request) {
	var req kmsg.DescribeACLsRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrDescribeACLsResponse()
	resp.SetVersion(r.Version)
	f := acl.Filter{Type: req.ResourceType, Pattern: req.ResourcePatternType, Name: req.ResourceName,
		Principal: req.Principal, Host: req.Host, Operation: req.Operation, Permission: req.PermissionType}
	invalid := f.Check()
	switch {
	case s.gate == nil:
		resp.ErrorCode = kerr.SecurityDisabled.Code
		resp.ErrorMessage = kmsg.StringPtr("No Authorizer is configured.")
	case !s.gate.MayCluster(r.Session, acl.Describe):
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		resp.ErrorMessage = kmsg.StringPtr(kerr.ClusterAuthorizationFailed.Description)
	case invalid != nil:
		resp.ErrorCode, resp.ErrorMessage = kerr.InvalidRequest.Code, kmsg.StringPtr(invalid.Error())
	default:
		s.fillACLs(&f, resp)
	}
	s.responder.Respond(c, r.ID, resp)
}

func (s *Server) fillACLs(f *acl.Filter, resp *kmsg.DescribeACLsResponse) {
	var last acl.Resource
	for i := range s.image.ACLs {
		b := &s.image.ACLs[i]
		if !f.Matches(b) {
			continue
		}
		if b.Resource != last { // the image is sorted by resource
			last = b.Resource
			out := kmsg.NewDescribeACLsResponseResource()
			out.ResourceType, out.ResourcePatternType, out.ResourceName = b.Type, b.Pattern, b.Name
			resp.Resources = append(resp.Resources, out)
		}
		entry := kmsg.NewDescribeACLsResponseResourceACL()
		entry.Principal, entry.Host, entry.Operation, entry.PermissionType = b.Principal, b.Host, b.Operation, b.Permission
		out := &resp.Resources[len(resp.Resources)-1]
		out.ACLs = append(out.ACLs, entry)
	}
}
