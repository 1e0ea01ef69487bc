package acl

import "slices"

// Index answers questions about one set of bindings. It is immutable.
type Index struct {
	literal  map[key][]rule
	prefixed map[key][]rule
	// prefixLengths are the lengths of the prefixes of each resource type,
	// ascending: a name is cut to these, instead of walking all prefixes.
	prefixLengths [User + 1][]int
	bindings      []Binding // as they were given, for AllowedByType
}

type key struct {
	kind ResourceType
	name string
}

// rule is a binding without its resource.
type rule struct {
	principal, host string
	operation       Operation
	permission      Permission
}

// NewIndex indexes bindings, which it keeps and which must not change.
func NewIndex(bindings []Binding) *Index {
	x := &Index{literal: make(map[key][]rule), prefixed: make(map[key][]rule), bindings: bindings}
	for i := range bindings {
		b := &bindings[i]
		at, k := x.literal, key{b.Type, b.Name}
		if b.Pattern == Prefixed {
			at = x.prefixed
			if lengths := &x.prefixLengths[b.Type]; !slices.Contains(*lengths, len(b.Name)) {
				*lengths = append(*lengths, len(b.Name))
			}
		}
		at[k] = append(at[k], rule{b.Principal, b.Host, b.Operation, b.Permission})
	}
	for i := range x.prefixLengths {
		slices.Sort(x.prefixLengths[i])
	}
	return x
}

// Question is what is to be decided: may a principal on a host do something to
// the resource of a type and name?
type Question struct {
	Principal string
	Host      string
	Operation Operation
	Type      ResourceType
	Name      string
}

// Answer is what the bindings say to a question.
type Answer uint8

// The answers.
const (
	Unmentioned Answer = iota // no binding is about the resource: a default decides
	Denied
	Allowed
)

// Decide looks at every binding that is about the resource. One that denies
// wins; without one that allows, the answer is no.
func (x *Index) Decide(q *Question) Answer {
	answer := Unmentioned
	if deny := consult(x.literal[key{q.Type, q.Name}], q, &answer); deny {
		return Denied
	}
	if q.Name != Wildcard {
		if deny := consult(x.literal[key{q.Type, Wildcard}], q, &answer); deny {
			return Denied
		}
	}
	for _, n := range x.prefixLengths[q.Type] {
		if n > len(q.Name) {
			break
		}
		if deny := consult(x.prefixed[key{q.Type, q.Name[:n]}], q, &answer); deny {
			return Denied
		}
	}
	return answer
}

func consult(rules []rule, q *Question, answer *Answer) (deny bool) {
	if len(rules) > 0 && *answer == Unmentioned {
		*answer = Denied // until a binding allows
	}
	for i := range rules {
		r := &rules[i]
		if !r.concerns(q) {
			continue
		}
		if r.permission == Deny {
			return true
		}
		*answer = Allowed
	}
	return false
}

// concerns: to allow reading, writing, deleting or altering allows describing as
// well; to deny them does not.
func (r *rule) concerns(q *Question) bool {
	if r.principal != q.Principal && r.principal != AnyPrincipal || r.host != q.Host && r.host != Wildcard {
		return false
	}
	if r.operation == q.Operation || r.operation == All {
		return true
	}
	if r.permission == Deny {
		return false
	}
	switch q.Operation {
	case Describe:
		return r.operation == Read || r.operation == Write || r.operation == Delete || r.operation == Alter
	case DescribeConfigs:
		return r.operation == AlterConfigs
	}
	return false
}

// AllowedByType tells whether there is any resource of the question's type on
// which the operation is allowed; its Name is not looked at. A producer that may
// write to some topic may have a producer id (KIP-679).
func (x *Index) AllowedByType(q *Question) bool {
	denied := make(map[Resource]struct{}) // denied to the principal
	var allowed []*Binding
	for i := range x.bindings {
		b := &x.bindings[i]
		r := rule{b.Principal, b.Host, b.Operation, b.Permission}
		if b.Type != q.Type || !r.concerns(q) {
			continue
		}
		if b.Permission == Deny {
			denied[b.Resource] = struct{}{}
		} else {
			allowed = append(allowed, b)
		}
	}
	if _, ok := denied[Resource{q.Type, Literal, Wildcard}]; ok {
		return false
	}
	return slices.ContainsFunc(allowed, func(b *Binding) bool { return !dominated(b, denied) })
}

// dominated: everything that the binding allows is denied by one other.
func dominated(b *Binding, denied map[Resource]struct{}) bool {
	if b.Pattern == Literal && b.Name == Wildcard {
		return false
	}
	if _, ok := denied[b.Resource]; ok {
		return true
	}
	for n := 1; n <= len(b.Name); n++ {
		if _, ok := denied[Resource{b.Type, Prefixed, b.Name[:n]}]; ok {
			return true
		}
	}
	return false
}
