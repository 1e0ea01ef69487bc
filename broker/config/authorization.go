package config

import (
	"fmt"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/security"
)

// Authorization says whether and how requests are authorized.
type Authorization struct {
	Authorizer    Authorizer
	SuperUsers    Principals
	AllowEveryone bool // allow.everyone.if.no.acl.found
}

// Gate returns the gate that the settings ask for; nil without authorizer.
func (a *Authorization) Gate() *security.Gate {
	if a.Authorizer == NoAuthorizer {
		return nil
	}
	return security.NewGate(a.SuperUsers, a.AllowEveryone)
}

// Authorizer is authorizer.class.name, by what the class does.
type Authorizer uint8

// The values of Authorizer.
const (
	NoAuthorizer Authorizer = iota
	// StandardAuthorizer decides by the ACLs in the metadata log (KIP-801).
	StandardAuthorizer
)

var authorizerNames = [...]string{"", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}

// String is the Java class name, or empty for none.
func (a Authorizer) String() string { return nameOf(authorizerNames[:], int(a)) }

// Set implements Choice.
func (a *Authorizer) Set(text string) bool { return setByName(a, authorizerNames[:], text) }

// Principals is a list of principals, separated by semicolons because a name
// from a certificate holds commas.
type Principals []security.Principal

// Parse implements Parser.
func (p *Principals) Parse(text string) error {
	*p = nil
	for _, word := range strings.Split(text, ";") {
		if word = strings.TrimSpace(word); word == "" {
			continue
		}
		principal, err := security.ParsePrincipal(word)
		if err != nil {
			return fmt.Errorf("must be a list such as User:alice;User:bob: %w", err)
		}
		*p = append(*p, principal)
	}
	return nil
}

func (p *Principals) String() string {
	words := make([]string, len(*p))
	for i := range *p {
		words[i] = (*p)[i].String()
	}
	return strings.Join(words, ";")
}

func authorizationRows() []Row[Broker] {
	return []Row[Broker]{
		{Property{Name: "allow.everyone.if.no.acl.found", Type: TypeBoolean, Default: "false", Effect: true,
			Doc: "Whether a resource that no ACL is about is open to everybody, once there is an authorizer."}, func(b *Broker) any { return &b.Authorization.AllowEveryone }},
		{Property{Name: "authorizer.class.name", Type: TypeString, Null: true, Valid: authorizerNames[1:], Effect: true,
			Doc: "Who decides what a principal may do. Once it is set, everything is denied that no ACL allows, but to super.users."}, func(b *Broker) any { return &b.Authorization.Authorizer }},
		{Property{Name: "super.users", Type: TypeString, Default: "", Effect: true,
			Doc: "Principals that may do everything, separated by semicolons: User:admin;User:broker. Brokers and controllers must be among them, or have CLUSTER_ACTION on the cluster."}, func(b *Broker) any { return &b.Authorization.SuperUsers }},
	}
}
