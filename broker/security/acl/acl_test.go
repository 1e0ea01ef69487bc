package acl

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// The rules are a transcript (testdata/rules). The index, which looks only where
// something can be, is compared with a model that walks over every binding.

func parseBinding(t *testing.T, line string) Binding {
	f := strings.Fields(line) // allow User:alice from * READ topic literal orders
	if len(f) != 8 || f[2] != "from" {
		t.Fatalf("malformed binding %q", line)
	}
	var b Binding
	var err [4]error
	b.Permission, err[0] = kmsg.ParseACLPermissionType(f[0])
	b.Operation, err[1] = kmsg.ParseACLOperation(f[4])
	b.Type, err[2] = kmsg.ParseACLResourceType(f[5])
	b.Pattern, err[3] = kmsg.ParseACLResourcePatternType(f[6])
	b.Principal, b.Host, b.Name = f[1], f[3], f[7]
	for _, e := range err {
		if e != nil {
			t.Fatalf("%q: %v", line, e)
		}
	}
	return b
}

func TestRules(t *testing.T) {
	var bindings []Binding
	datadriven.RunTest(t, "testdata/rules", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		switch d.Cmd {
		case "acls":
			bindings = nil
			for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
				if line == "" {
					continue
				}
				b := parseBinding(t, line)
				if err := b.Check(); err != nil {
					fmt.Fprintf(&out, "%s: %v\n", line, err)
					continue
				}
				bindings = append(bindings, b)
			}
		case "ask": // User:alice HOST READ topic orders
			x := NewIndex(bindings)
			for _, line := range strings.Split(strings.TrimSpace(d.Input), "\n") {
				f := strings.Fields(line)
				op, err := kmsg.ParseACLOperation(f[2])
				if err != nil {
					t.Fatal(err)
				}
				kind, err := kmsg.ParseACLResourceType(f[3])
				if err != nil {
					t.Fatal(err)
				}
				q := Question{Principal: f[0], Host: f[1], Operation: op, Type: kind}
				if len(f) == 4 { // of any name
					fmt.Fprintf(&out, "%s: %v\n", line, x.AllowedByType(&q))
					continue
				}
				q.Name = f[4]
				fmt.Fprintf(&out, "%s: %s\n", line, [...]string{"unmentioned", "denied", "allowed"}[x.Decide(&q)])
			}
		case "filter": // topic MATCH orders
			f := strings.Fields(d.Input)
			kind, err := kmsg.ParseACLResourceType(f[0])
			pattern, err2 := kmsg.ParseACLResourcePatternType(f[1])
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			filter := Filter{Type: kind, Pattern: pattern, Operation: kmsg.ACLOperationAny, Permission: kmsg.ACLPermissionTypeAny}
			if len(f) > 2 {
				filter.Name = &f[2]
			}
			for i := range bindings {
				if filter.Matches(&bindings[i]) {
					fmt.Fprintln(&out, &bindings[i])
				}
			}
		}
		return out.String()
	})
}

var (
	names      = []string{"a", "aa", "ab", "abc", "b", "bc", "*"}
	principals = []string{"User:alice", "User:bob", AnyPrincipal}
	hosts      = []string{"h1", "h2", Wildcard}
	operations = []Operation{All, Read, Write, Delete, Alter, Describe, DescribeConfigs, AlterConfigs}
)

func drawBinding(t *rapid.T) Binding {
	return Binding{
		Resource: Resource{rapid.SampledFrom([]ResourceType{Topic, Group}).Draw(t, "type"),
			rapid.SampledFrom([]PatternType{Literal, Prefixed}).Draw(t, "pattern"), rapid.SampledFrom(names).Draw(t, "name")},
		Principal: rapid.SampledFrom(principals).Draw(t, "principal"), Host: rapid.SampledFrom(hosts).Draw(t, "host"),
		Operation:  rapid.SampledFrom(operations).Draw(t, "operation"),
		Permission: rapid.SampledFrom([]Permission{Allow, Deny}).Draw(t, "permission"),
	}
}

// naive says it as the documentation does.
func naive(bindings []Binding, q *Question) Answer {
	about, allowed := false, false
	for _, b := range bindings {
		covers := b.Pattern == Literal && (b.Name == q.Name || b.Name == "*") || b.Pattern == Prefixed && strings.HasPrefix(q.Name, b.Name)
		if b.Type != q.Type || !covers {
			continue
		}
		about = true
		if b.Principal != q.Principal && b.Principal != "User:*" || b.Host != q.Host && b.Host != "*" {
			continue
		}
		operations := []Operation{b.Operation}
		if b.Operation == All {
			operations = []Operation{q.Operation}
		}
		if b.Permission == Allow {
			switch b.Operation {
			case Read, Write, Delete, Alter:
				operations = append(operations, Describe)
			case AlterConfigs:
				operations = append(operations, DescribeConfigs)
			}
		}
		if !slices.Contains(operations, q.Operation) {
			continue
		}
		if b.Permission == Deny {
			return Denied
		}
		allowed = true
	}
	switch {
	case allowed:
		return Allowed
	case about:
		return Denied
	}
	return Unmentioned
}

func TestIndexEqualsTheNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bindings := rapid.SliceOfN(rapid.Custom(drawBinding), 0, 12).Draw(t, "bindings")
		x := NewIndex(bindings)
		for _, name := range append(names, "abcd", "") {
			for _, op := range operations[1:] {
				q := Question{Principal: "User:alice", Host: "h1", Operation: op, Type: Topic, Name: name}
				if got, want := x.Decide(&q), naive(bindings, &q); got != want {
					t.Fatalf("%+v: the index says %d, the model %d", q, got, want)
				}
			}
		}
		// If some name of ours is allowed, then something is. The converse does not
		// hold: a prefix allows names that were not asked for.
		for _, op := range operations[1:] {
			some := false
			for _, name := range names[:6] {
				some = some || naive(bindings, &Question{"User:alice", "h1", op, Topic, name}) == Allowed
			}
			if some && !x.AllowedByType(&Question{Principal: "User:alice", Host: "h1", Operation: op, Type: Topic}) {
				t.Fatalf("%s is allowed on a topic, but on no topic", op)
			}
		}
	})
}

func TestFilterMatchIsWhatAffects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := drawBinding(t)
		name := rapid.SampledFrom(names).Draw(t, "asked")
		f := Filter{Type: b.Type, Pattern: kmsg.ACLResourcePatternTypeMatch, Name: &name,
			Operation: kmsg.ACLOperationAny, Permission: kmsg.ACLPermissionTypeAny}
		about := naive([]Binding{b}, &Question{Type: b.Type, Name: name}) != Unmentioned
		if f.Matches(&b) != about {
			t.Fatalf("filter MATCH %q, binding %v: matches %v, affects %v", name, &b, f.Matches(&b), about)
		}
	})
}

func TestDecidingDoesNotAllocate(t *testing.T) {
	x := NewIndex([]Binding{{Resource{Topic, Prefixed, "ord"}, "User:alice", "*", Read, Allow}, {Resource{Topic, Literal, "*"}, "User:alice", "*", Read, Allow}})
	q := Question{"User:alice", "h", Read, Topic, "orders"}
	if n := testing.AllocsPerRun(100, func() {
		if x.Decide(&q) != Allowed {
			t.Fatal("denied")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
