// Package acl owns what an access control entry is and what a set of them
// permits: Kafka's resource patterns, implied operations, and the rule that a
// denial wins. It never keeps the entries (metadata does) and never learns who a
// principal really is (authentication has decided that before).
package acl

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The words of an entry, with Kafka's numbers.
type (
	ResourceType = kmsg.ACLResourceType
	PatternType  = kmsg.ACLResourcePatternType
	Operation    = kmsg.ACLOperation
	Permission   = kmsg.ACLPermissionType
)

// The words that this broker uses by name.
const (
	Topic           = kmsg.ACLResourceTypeTopic
	Group           = kmsg.ACLResourceTypeGroup
	Cluster         = kmsg.ACLResourceTypeCluster
	TransactionalID = kmsg.ACLResourceTypeTransactionalId
	DelegationToken = kmsg.ACLResourceTypeDelegationToken
	User            = kmsg.ACLResourceTypeUser

	Literal  = kmsg.ACLResourcePatternTypeLiteral
	Prefixed = kmsg.ACLResourcePatternTypePrefixed

	All             = kmsg.ACLOperationAll
	Read            = kmsg.ACLOperationRead
	Write           = kmsg.ACLOperationWrite
	Create          = kmsg.ACLOperationCreate
	Delete          = kmsg.ACLOperationDelete
	Alter           = kmsg.ACLOperationAlter
	Describe        = kmsg.ACLOperationDescribe
	ClusterAction   = kmsg.ACLOperationClusterAction
	DescribeConfigs = kmsg.ACLOperationDescribeConfigs
	AlterConfigs    = kmsg.ACLOperationAlterConfigs
	IdempotentWrite = kmsg.ACLOperationIdempotentWrite

	Allow = kmsg.ACLPermissionTypeAllow
	Deny  = kmsg.ACLPermissionTypeDeny
)

const (
	// ClusterName is the one name of a resource of type Cluster.
	ClusterName = "kafka-cluster"
	// Wildcard is the literal name that stands for all, and the host that does.
	Wildcard = "*"
	// AnyPrincipal is the principal of an entry for everybody.
	AnyPrincipal = "User:*"
	// nameBytesMax bounds each text of an entry: Kafka's metadata records have
	// 16-bit lengths.
	nameBytesMax = 1<<15 - 1
)

// Resource is what an entry is about: a name, the names with a prefix, or all
// (the literal "*").
type Resource struct {
	Type    ResourceType
	Pattern PatternType // Literal or Prefixed
	Name    string
}

// Binding is one access control entry. It is a comparable value: two equal ones
// are the same entry.
type Binding struct {
	Resource
	Principal  string // "User:alice"
	Host       string // an address, or "*"
	Operation  Operation
	Permission Permission // Allow or Deny
}

func (b *Binding) String() string {
	return fmt.Sprintf("(%s %s:%s:%s, %s from %s, %s)", b.Permission, b.Type, b.Pattern, b.Name, b.Principal, b.Host, b.Operation)
}

// Check says what is wrong with a binding that is to be stored.
func (b *Binding) Check() error {
	switch {
	case b.Type < Topic || b.Type > User:
		return fmt.Errorf("invalid resource type %d", b.Type)
	case b.Pattern != Literal && b.Pattern != Prefixed:
		return fmt.Errorf("invalid pattern type %d: it must be LITERAL or PREFIXED", b.Pattern)
	case b.Operation < All || b.Operation > kmsg.ACLOperationDescribeTokens:
		return fmt.Errorf("invalid operation %d", b.Operation)
	case b.Permission != Allow && b.Permission != Deny:
		return fmt.Errorf("invalid permission type %d: it must be ALLOW or DENY", b.Permission)
	case b.Name == "":
		return fmt.Errorf("the resource name must not be empty")
	case b.Type == Cluster && b.Name != ClusterName:
		return fmt.Errorf("the only valid name for a CLUSTER resource is %q", ClusterName)
	case b.Host == "":
		return fmt.Errorf("the host must not be empty")
	case max(len(b.Name), len(b.Principal), len(b.Host)) > nameBytesMax:
		return fmt.Errorf("names may have %d bytes", nameBytesMax)
	}
	if kind, name, ok := strings.Cut(b.Principal, ":"); !ok || kind == "" || name == "" {
		return fmt.Errorf("expected a principal of the form principalType:principalName, got %q", b.Principal)
	}
	return nil
}

// Compare orders bindings by their resource first.
func Compare(a, b *Binding) int {
	return cmp.Or(CompareResource(&a.Resource, &b.Resource),
		cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Host, b.Host),
		cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Permission, b.Permission))
}

// CompareResource orders resources by type, pattern and name.
func CompareResource(a, b *Resource) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Name, b.Name))
}

// Filter chooses bindings, as DescribeAcls and DeleteAcls do (KIP-290). A nil
// text and the word ANY match everything.
type Filter struct {
	Type       ResourceType
	Pattern    PatternType // also MATCH: all patterns that affect the name
	Name       *string
	Principal  *string
	Host       *string
	Operation  Operation
	Permission Permission
}

// Check says what is wrong with a filter.
func (f *Filter) Check() error {
	switch {
	case f.Type < kmsg.ACLResourceTypeAny || f.Type > User:
		return fmt.Errorf("unknown resource type %d in the filter", f.Type)
	case f.Pattern < kmsg.ACLResourcePatternTypeAny || f.Pattern > Prefixed:
		return fmt.Errorf("unknown pattern type %d in the filter", f.Pattern)
	case f.Operation < kmsg.ACLOperationAny || f.Operation > kmsg.ACLOperationDescribeTokens:
		return fmt.Errorf("unknown operation %d in the filter", f.Operation)
	case f.Permission < kmsg.ACLPermissionTypeAny || f.Permission > Allow:
		return fmt.Errorf("unknown permission type %d in the filter", f.Permission)
	}
	return nil
}

// Matches tells whether the filter chooses a binding.
func (f *Filter) Matches(b *Binding) bool {
	text := func(want *string, have string) bool { return want == nil || *want == have }
	return (f.Type == kmsg.ACLResourceTypeAny || f.Type == b.Type) && f.matchesName(&b.Resource) &&
		text(f.Principal, b.Principal) && text(f.Host, b.Host) &&
		(f.Operation == kmsg.ACLOperationAny || f.Operation == b.Operation) &&
		(f.Permission == kmsg.ACLPermissionTypeAny || f.Permission == b.Permission)
}

func (f *Filter) matchesName(r *Resource) bool {
	wide := f.Pattern == kmsg.ACLResourcePatternTypeAny || f.Pattern == kmsg.ACLResourcePatternTypeMatch
	switch {
	case !wide && f.Pattern != r.Pattern:
		return false
	case f.Name == nil:
		return true
	case f.Pattern != kmsg.ACLResourcePatternTypeMatch:
		return *f.Name == r.Name
	case r.Pattern == Literal:
		return r.Name == *f.Name || r.Name == Wildcard
	}
	return strings.HasPrefix(*f.Name, r.Name)
}
