package controller

import (
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// scramUsersMax bounds the credentials of a cluster, as aclsMax does entries.
	scramUsersMax = 100_000
	// scramNameMax and scramSaltMax bound the parts of a credential, in bytes.
	scramNameMax = 1<<15 - 1
	scramSaltMax = 1 << 10
)

// alterUserScramCredentials is AlterUserScramCredentials (51): users fail one by
// one, and for one that fails nothing is changed.
func (t *change) alterUserScramCredentials(req *kmsg.AlterUserSCRAMCredentialsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
	a := scramAlteration{seen: make(map[scramKey]struct{}), asked: make(map[string]struct{}), failures: make(map[string]*failure)}
	for i := range req.Deletions {
		d := &req.Deletions[i]
		m := sasl.ScramMechanism(d.Mechanism)
		if a.check(d.Name, m) && t.image.ScramCredential(d.Name, m) == nil {
			a.fail(d.Name, fail(kerr.ResourceNotFound, "Attempt to delete a user credential that does not exist"))
		}
	}
	for i := range req.Upsertions {
		u := &req.Upsertions[i]
		if a.check(u.Name, sasl.ScramMechanism(u.Mechanism)) {
			a.fail(u.Name, checkUpsertion(u))
		}
	}
	var records []meta.Record
	for i := range req.Deletions {
		if d := &req.Deletions[i]; a.failures[d.Name] == nil {
			records = append(records, &meta.RemoveUserScramCredentialRecord{Name: d.Name, Mechanism: sasl.ScramMechanism(d.Mechanism)})
		}
	}
	for i := range req.Upsertions {
		u := &req.Upsertions[i]
		if a.failures[u.Name] == nil && len(t.image.ScramUsers)+len(records) >= scramUsersMax {
			a.fail(u.Name, fail(kerr.UnacceptableCredential, "A cluster can have %d credentials.", scramUsersMax))
		}
		if a.failures[u.Name] == nil {
			m := sasl.ScramMechanism(u.Mechanism)
			records = append(records, &meta.UserScramCredentialRecord{Name: u.Name, Mechanism: m,
				ScramCredential: sasl.ScramCredentialOf(m, u.SaltedPassword, string(u.Salt), u.Iterations)})
		}
	}
	t.add(records...)
	for _, name := range a.users {
		out := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		out.User = name
		if f := a.failures[name]; f != nil {
			out.ErrorCode, out.ErrorMessage = f.Code, &f.message
		}
		resp.Results = append(resp.Results, out)
	}
	return resp
}

type scramKey struct {
	name      string
	mechanism sasl.ScramMechanism
}

// scramAlteration collects what is wrong with a request, by user.
type scramAlteration struct {
	users    []string // in the order of the request
	asked    map[string]struct{}
	seen     map[scramKey]struct{}
	failures map[string]*failure
}

// fail keeps a user's first failure; nil is none.
func (a *scramAlteration) fail(name string, f *failure) {
	if f != nil && a.failures[name] == nil {
		a.failures[name] = f
	}
}

// check is what deletions and upsertions have in common; false if the item has
// failed.
func (a *scramAlteration) check(name string, m sasl.ScramMechanism) bool {
	if _, known := a.asked[name]; !known {
		a.asked[name] = struct{}{}
		a.users = append(a.users, name)
	}
	_, twice := a.seen[scramKey{name, m}]
	a.seen[scramKey{name, m}] = struct{}{}
	var f *failure
	switch {
	case name == "" || len(name) > scramNameMax:
		f = fail(kerr.UnacceptableCredential, "Username must not be empty, nor longer than %d bytes", scramNameMax)
	case !m.Valid():
		f = fail(kerr.UnsupportedSaslMechanism, "Unknown SCRAM mechanism")
	case twice:
		f = fail(kerr.DuplicateResource, "A user credential cannot be altered twice in the same request")
	}
	a.fail(name, f)
	return f == nil
}

func checkUpsertion(u *kmsg.AlterUserSCRAMCredentialsRequestUpsertion) *failure {
	m := sasl.ScramMechanism(u.Mechanism)
	switch {
	case u.Iterations < sasl.IterationsMin:
		return fail(kerr.UnacceptableCredential, "Too few iterations")
	case u.Iterations > sasl.IterationsMax:
		return fail(kerr.UnacceptableCredential, "Too many iterations")
	case len(u.Salt) == 0 || len(u.Salt) > scramSaltMax:
		return fail(kerr.UnacceptableCredential, "The salt must have 1 to %d bytes", scramSaltMax)
	case len(u.SaltedPassword) != m.Size():
		return fail(kerr.UnacceptableCredential, "The salted password must have %d bytes", m.Size())
	}
	return nil
}
