package security

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
)

// The gate adds three things to the index: super users, what is open, and a
// memory of decisions that must not outlive the entries they came from.

func entry(principal string, op acl.Operation, permission acl.Permission) acl.Binding {
	return acl.Binding{Resource: acl.Resource{Type: acl.Topic, Pattern: acl.Literal, Name: "orders"},
		Principal: principal, Host: "*", Operation: op, Permission: permission}
}

func TestGate(t *testing.T) {
	alice, root := NewSession(User("alice"), "h"), NewSession(User("root"), "h")
	g := NewGate([]Principal{User("root")}, false)
	may := func(s *Session, op acl.Operation, want bool) {
		t.Helper()
		for range 2 { // decided, then remembered
			if got := g.May(s, op, acl.Topic, "orders"); got != want {
				t.Fatalf("%s %s: %v", s.Principal, op, got)
			}
		}
	}
	may(alice, acl.Read, false)
	may(root, acl.Read, true)
	g.SetBindings([]acl.Binding{entry("User:alice", acl.Read, acl.Allow), entry("User:root", acl.Read, acl.Deny)})
	may(alice, acl.Read, true)
	may(alice, acl.Describe, true)
	may(alice, acl.Write, false)
	may(root, acl.Read, true) // whatever entries say
	if got, want := g.Operations(alice, acl.Topic, "orders"), int32(1<<acl.Read|1<<acl.Describe); got != want {
		t.Errorf("operations %b, want %b", got, want)
	}
	if !g.MaySome(alice, acl.Read, acl.Topic) || g.MaySome(alice, acl.Write, acl.Topic) || !g.MaySome(root, acl.Write, acl.Topic) {
		t.Error("some topic")
	}
	g.SetBindings(nil)
	may(alice, acl.Read, false)

	g = NewGate(nil, true)
	may(alice, acl.Read, true)
	g.SetBindings([]acl.Binding{entry("User:bob", acl.Read, acl.Allow)})
	may(alice, acl.Read, false) // there are entries about it
	if !g.May(alice, acl.Read, acl.Topic, "other") {
		t.Error("a resource without entries is open")
	}
	if g = nil; !g.May(alice, acl.Write, acl.Topic, "orders") || !g.MayCluster(alice, acl.ClusterAction) {
		t.Error("no gate")
	}
}

func TestDecisionsAreBounded(t *testing.T) {
	g, s := NewGate(nil, false), NewSession(User("alice"), "h")
	for i := range 3 * decisionsMax {
		g.May(s, acl.Read, acl.Topic, string(rune(i)))
	}
	if len(s.decisions) > decisionsMax {
		t.Fatalf("%d decisions are remembered", len(s.decisions))
	}
}

func BenchmarkMay(b *testing.B) {
	s := NewSession(User("alice"), "h")
	for name, g := range map[string]*Gate{"none": nil, "remembered": NewGate(nil, false)} {
		g.SetBindings([]acl.Binding{entry("User:alice", acl.Read, acl.Allow)})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !g.May(s, acl.Read, acl.Topic, "orders") {
					b.Fatal("denied")
				}
			}
		})
	}
}
