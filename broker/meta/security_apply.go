package meta

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
)

func (a *applier) ownACLs() {
	if !a.aclsOwned {
		a.m.ACLs = slices.Clone(a.m.ACLs)
		a.aclsOwned = true
	}
}

func (a *applier) addACL(b *acl.Binding) {
	i, ok := slices.BinarySearchFunc(a.m.ACLs, b, compareACL)
	if ok {
		panic(fmt.Sprintf("meta: ACL %v exists", b))
	}
	a.ownACLs()
	a.m.ACLs = slices.Insert(a.m.ACLs, i, *b)
}

func (a *applier) removeACL(b *acl.Binding) {
	i, ok := slices.BinarySearchFunc(a.m.ACLs, b, compareACL)
	if !ok {
		panic(fmt.Sprintf("meta: remove ACL: %v does not exist", b))
	}
	a.ownACLs()
	a.m.ACLs = slices.Delete(a.m.ACLs, i, i+1)
}

func (a *applier) ownScramUsers() {
	if !a.usersOwned {
		a.m.ScramUsers = slices.Clone(a.m.ScramUsers)
		a.usersOwned = true
	}
}

func (a *applier) setScramUser(u *ScramUser) {
	a.ownScramUsers()
	i, ok := a.m.scramUser(u.Name, u.Mechanism)
	if ok {
		a.m.ScramUsers[i] = *u
		return
	}
	a.m.ScramUsers = slices.Insert(a.m.ScramUsers, i, *u)
}

func (a *applier) removeScramUser(r *RemoveUserScramCredentialRecord) {
	i, ok := a.m.scramUser(r.Name, r.Mechanism)
	if !ok {
		panic(fmt.Sprintf("meta: remove SCRAM credential: user %q has none of %s", r.Name, r.Mechanism))
	}
	a.ownScramUsers()
	a.m.ScramUsers = slices.Delete(a.m.ScramUsers, i, i+1)
}

func (m *Image) scramUser(name string, mechanism sasl.ScramMechanism) (int, bool) {
	return slices.BinarySearchFunc(m.ScramUsers, name, func(u ScramUser, name string) int {
		return cmp.Or(cmp.Compare(u.Name, name), cmp.Compare(u.Mechanism, mechanism))
	})
}

// HasACL tells whether an ACL exists.
func (m *Image) HasACL(b *acl.Binding) bool {
	_, ok := slices.BinarySearchFunc(m.ACLs, b, compareACL)
	return ok
}

// ScramCredential finds a user's credential, or nil.
func (m *Image) ScramCredential(name string, mechanism sasl.ScramMechanism) *sasl.ScramCredential {
	if i, ok := m.scramUser(name, mechanism); ok {
		return &m.ScramUsers[i].Credential
	}
	return nil
}

func compareACL(a acl.Binding, b *acl.Binding) int { return acl.Compare(&a, b) }
