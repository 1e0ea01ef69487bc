package controller

import (
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// aclsMax bounds the entries of a cluster: each image holds them all, and each
// snapshot writes them in one batch.
const aclsMax = 100_000

// createACLs is CreateAcls (30). An entry that exists is created again without
// effect.
func (t *change) createACLs(req *kmsg.CreateACLsRequest) kmsg.Response {
	if t.k.gate == nil {
		return refuse(req, kerr.SecurityDisabled)
	}
	resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
	var records []meta.Record
	added := make(map[acl.Binding]struct{})
	for i := range req.Creations {
		b := creation(&req.Creations[i])
		out := kmsg.NewCreateACLsResponseResult()
		_, twice := added[b]
		var f *failure
		if err := b.Check(); err != nil {
			f = fail(kerr.InvalidRequest, "Invalid ACL: %s.", err)
		} else if len(t.image.ACLs)+len(records) >= aclsMax {
			f = fail(kerr.InvalidRequest, "A cluster can have %d ACLs.", aclsMax)
		}
		switch {
		case f != nil:
			out.ErrorCode, out.ErrorMessage = f.Code, &f.message
		case !twice && !t.image.HasACL(&b):
			added[b] = struct{}{}
			records = append(records, &meta.AccessControlEntryRecord{Binding: b})
		}
		resp.Results = append(resp.Results, out)
	}
	t.add(records...)
	return resp
}

func creation(c *kmsg.CreateACLsRequestCreation) acl.Binding {
	return acl.Binding{
		Resource:  acl.Resource{Type: c.ResourceType, Pattern: c.ResourcePatternType, Name: c.ResourceName},
		Principal: c.Principal, Host: c.Host, Operation: c.Operation, Permission: c.PermissionType,
	}
}

// deleteACLs is DeleteAcls (31). Each filter is answered with what it chooses; an
// entry that several choose is removed once.
func (t *change) deleteACLs(req *kmsg.DeleteACLsRequest) kmsg.Response {
	if t.k.gate == nil {
		return refuse(req, kerr.SecurityDisabled)
	}
	resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
	var records []meta.Record
	removed := make(map[acl.Binding]struct{})
	for i := range req.Filters {
		rf := &req.Filters[i]
		f := acl.Filter{Type: rf.ResourceType, Pattern: rf.ResourcePatternType, Name: rf.ResourceName,
			Principal: rf.Principal, Host: rf.Host, Operation: rf.Operation, Permission: rf.PermissionType}
		out := kmsg.NewDeleteACLsResponseResult()
		if err := f.Check(); err != nil {
			message := err.Error()
			out.ErrorCode, out.ErrorMessage = kerr.InvalidRequest.Code, &message
			resp.Results = append(resp.Results, out)
			continue
		}
		for j := range t.image.ACLs {
			b := t.image.ACLs[j]
			if !f.Matches(&b) {
				continue
			}
			out.MatchingACLs = append(out.MatchingACLs, matching(&b))
			if _, twice := removed[b]; !twice {
				removed[b] = struct{}{}
				records = append(records, &meta.RemoveAccessControlEntryRecord{Binding: b})
			}
		}
		resp.Results = append(resp.Results, out)
	}
	t.add(records...)
	return resp
}

func matching(b *acl.Binding) kmsg.DeleteACLsResponseResultMatchingACL {
	m := kmsg.NewDeleteACLsResponseResultMatchingACL()
	m.ResourceType, m.ResourcePatternType, m.ResourceName = b.Type, b.Pattern, b.Name
	m.Principal, m.Host, m.Operation, m.PermissionType = b.Principal, b.Host, b.Operation, b.Permission
	return m
}
