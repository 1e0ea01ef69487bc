package meta

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
)

// AccessControlEntryRecord adds an ACL. KRaft's record bears an id, by which it
// is removed; here the binding, which occurs once, names itself.
type AccessControlEntryRecord struct{ acl.Binding }

// RemoveAccessControlEntryRecord removes an ACL.
type RemoveAccessControlEntryRecord struct{ acl.Binding }

// UserScramCredentialRecord gives a user a SCRAM credential, or replaces the
// one of the same mechanism (KIP-554).
type UserScramCredentialRecord struct {
	Name      string
	Mechanism sasl.ScramMechanism
	sasl.ScramCredential
}

// RemoveUserScramCredentialRecord takes a SCRAM credential away.
type RemoveUserScramCredentialRecord struct {
	Name      string
	Mechanism sasl.ScramMechanism
}

func (*AccessControlEntryRecord) recordType() recordType        { return typeAccessControlEntry }
func (*RemoveAccessControlEntryRecord) recordType() recordType  { return typeRemoveAccessControlEntry }
func (*UserScramCredentialRecord) recordType() recordType       { return typeUserScramCredential }
func (*RemoveUserScramCredentialRecord) recordType() recordType { return typeRemoveUserScramCredential }

func (r *AccessControlEntryRecord) encode(e *encoder)       { e.binding(&r.Binding) }
func (r *AccessControlEntryRecord) decode(d *decoder)       { r.Binding = d.binding() }
func (r *RemoveAccessControlEntryRecord) encode(e *encoder) { e.binding(&r.Binding) }
func (r *RemoveAccessControlEntryRecord) decode(d *decoder) { r.Binding = d.binding() }

func (e *encoder) binding(b *acl.Binding) {
	e.u8(uint8(b.Type))
	e.u8(uint8(b.Pattern))
	e.str(b.Name)
	e.str(b.Principal)
	e.str(b.Host)
	e.u8(uint8(b.Operation))
	e.u8(uint8(b.Permission))
}

func (d *decoder) binding() acl.Binding {
	b := acl.Binding{
		Resource:  acl.Resource{Type: acl.ResourceType(d.u8()), Pattern: acl.PatternType(d.u8()), Name: d.str()},
		Principal: d.str(), Host: d.str(), Operation: acl.Operation(d.u8()), Permission: acl.Permission(d.u8()),
	}
	if d.err == nil {
		if err := b.Check(); err != nil {
			d.fail(err)
		}
	}
	return b
}

func (r *UserScramCredentialRecord) encode(e *encoder) {
	e.str(r.Name)
	e.u8(uint8(r.Mechanism))
	e.str(r.Salt)
	e.str(r.StoredKey)
	e.str(r.ServerKey)
	e.i32(r.Iterations)
}

func (r *UserScramCredentialRecord) decode(d *decoder) {
	r.Name, r.Mechanism = d.str(), d.mechanism()
	r.Salt, r.StoredKey, r.ServerKey, r.Iterations = d.str(), d.str(), d.str(), d.i32()
}

func (r *RemoveUserScramCredentialRecord) encode(e *encoder) { e.str(r.Name); e.u8(uint8(r.Mechanism)) }
func (r *RemoveUserScramCredentialRecord) decode(d *decoder) {
	r.Name, r.Mechanism = d.str(), d.mechanism()
}

func (d *decoder) mechanism() sasl.ScramMechanism {
	m := sasl.ScramMechanism(d.u8())
	if d.err == nil && !m.Valid() {
		d.fail(fmt.Errorf("SCRAM mechanism %d is unknown", m))
	}
	return m
}
