package security

import (
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// decisionsMax bounds the decisions that a session remembers. It begins anew
// when they are full.
const decisionsMax = 1024

// Session is one authenticated peer: of a connection, or of a request that a
// broker has forwarded. It remembers what the gate has decided about it.
type Session struct {
	Principal Principal
	Host      string // the peer's address, without port
	// Admitted is unset on a SASL listener until the peer has proved who it is.
	Admitted bool
	// ExpiresAt is when it must have proved it again (KIP-368).
	ExpiresAt clock.Instant
	// Proof is what package authn keeps of a peer; nil where nothing is to prove.
	Proof any

	name      string // of the principal
	index     *acl.Index
	decisions map[decision]bool
}

type decision struct {
	operation acl.Operation
	kind      acl.ResourceType
	name      string
}

// NewSession returns the session of a peer.
func NewSession(p Principal, host string) *Session {
	return &Session{Principal: p, Host: host, Admitted: true, ExpiresAt: clock.Never, name: p.String()}
}

// Admit lets a peer in that has proved who it is.
func (s *Session) Admit(p Principal, expiresAt clock.Instant) {
	s.Principal, s.name, s.Admitted, s.ExpiresAt = p, p.String(), true, expiresAt
	clear(s.decisions)
}

// Gate is the authorizer of a node. A nil one lets everything pass: that is the
// whole cost of a node without authorizer.
type Gate struct {
	superUsers map[string]struct{}
	open       bool // allow.everyone.if.no.acl.found
	bindings   []acl.Binding
	index      *acl.Index
}

// NewGate returns a gate without entries, which denies all but super users
// unless open.
func NewGate(superUsers []Principal, open bool) *Gate {
	g := &Gate{superUsers: make(map[string]struct{}), open: open, index: acl.NewIndex(nil)}
	for _, p := range superUsers {
		g.superUsers[p.String()] = struct{}{}
	}
	return g
}

// SetBindings gives the gate the entries of a newer image. They must not change.
func (g *Gate) SetBindings(bindings []acl.Binding) {
	if g == nil || len(bindings) == len(g.bindings) && (len(bindings) == 0 || &bindings[0] == &g.bindings[0]) {
		return
	}
	g.bindings, g.index = bindings, acl.NewIndex(bindings)
}

// May tells whether the peer may do something to a resource. Nobody, a nil
// session, may do nothing.
func (g *Gate) May(s *Session, operation acl.Operation, kind acl.ResourceType, name string) bool {
	if g == nil || s == nil {
		return g == nil
	}
	if s.index != g.index {
		s.index = g.index
		clear(s.decisions)
	}
	k := decision{operation, kind, name}
	if allowed, ok := s.decisions[k]; ok {
		return allowed
	}
	allowed := g.decide(s, operation, kind, name)
	if s.decisions == nil {
		s.decisions = make(map[decision]bool)
	} else if len(s.decisions) >= decisionsMax {
		clear(s.decisions)
	}
	k.name = strings.Clone(name) // the name may alias a frame
	s.decisions[k] = allowed
	return allowed
}

// MayCluster is May for the cluster itself.
func (g *Gate) MayCluster(s *Session, operation acl.Operation) bool {
	return g == nil || g.May(s, operation, acl.Cluster, acl.ClusterName)
}

// MaySome tells whether there is any resource of a type that the peer may do
// something to.
func (g *Gate) MaySome(s *Session, operation acl.Operation, kind acl.ResourceType) bool {
	if g == nil || s == nil {
		return g == nil
	}
	// A name that nobody has: it is allowed to super users, and to everybody
	// where a resource without entries is open.
	if g.decide(s, operation, kind, "\x00") {
		return true
	}
	return g.index.AllowedByType(&acl.Question{Principal: s.name, Host: s.Host, Operation: operation, Type: kind})
}

func (g *Gate) decide(s *Session, operation acl.Operation, kind acl.ResourceType, name string) bool {
	if _, super := g.superUsers[s.name]; super {
		return true
	}
	switch g.index.Decide(&acl.Question{Principal: s.name, Host: s.Host, Operation: operation, Type: kind, Name: name}) {
	case acl.Allowed:
		return true
	case acl.Denied:
		return false
	}
	return g.open
}

// supported are the operations that make sense for each type of resource, as
// authorized-operations fields list them (KIP-430).
var supported = [...][]acl.Operation{
	acl.Topic: {acl.Read, acl.Write, acl.Create, acl.Delete, acl.Alter, acl.Describe, acl.DescribeConfigs, acl.AlterConfigs},
	acl.Group: {acl.Read, acl.Delete, acl.Describe, acl.DescribeConfigs, acl.AlterConfigs},
	acl.Cluster: {acl.Create, acl.ClusterAction, acl.DescribeConfigs, acl.AlterConfigs, acl.IdempotentWrite, acl.Alter,
		acl.Describe},
}

// Operations returns what the peer may do to a topic, a group or the cluster, as
// a set of bits by operation (KIP-430).
func (g *Gate) Operations(s *Session, kind acl.ResourceType, name string) int32 {
	var set int32
	for _, operation := range supported[kind] {
		if g.May(s, operation, kind, name) {
			set |= 1 << operation
		}
	}
	return set
}
