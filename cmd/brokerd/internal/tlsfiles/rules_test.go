package tlsfiles

import "testing"

func TestPrincipalMappingRules(t *testing.T) {
	const steve = "CN=Steve,OU=Ops,O=Example,C=CH"
	for _, c := range []struct{ rules, subject, want string }{
		{"DEFAULT", steve, steve},
		{"", steve, steve},
		{"RULE:^CN=(.*?),.*$/$1/L", steve, "steve"},
		{"RULE:^CN=(.*?),OU=(.*?),.*$/$1@$2/U,DEFAULT", steve, "STEVE@OPS"},
		{"RULE:^CN=(\\w+),OU=Dev.*$/$1/, RULE:^.*OU=(\\w+),.*$/$1x/", steve, "Opsx"},
		{"RULE:^CN=nobody$/x/,DEFAULT", steve, steve},
		{"RULE:^CN=(.*)\\/(.*)$/$2\\/$1/", "CN=a/b", "b/a"},
	} {
		rules, err := ParseRules(c.rules)
		if err != nil {
			t.Errorf("%s: %v", c.rules, err)
			continue
		}
		if got := rules.Name(c.subject); got != c.want {
			t.Errorf("%s makes %q of %q, want %q", c.rules, got, c.subject, c.want)
		}
	}
	for _, bad := range []string{"RULE:a", "RULE:(/x/", "DEFAULT DEFAULT", "x"} {
		if _, err := ParseRules(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
