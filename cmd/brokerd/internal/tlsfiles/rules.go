package tlsfiles

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"regexp"
	"strings"
)

// Rules are ssl.principal.mapping.rules (KIP-371): the first that fits a
// certificate's subject makes a name of it. A subject that none fits has itself
// as its name here; Kafka refuses the connection.
type Rules []rule

type rule struct {
	pattern     *regexp.Regexp // nil is DEFAULT
	replacement string
	change      func(string) string // of case; nil is none
}

// ruleParts takes RULE:pattern/replacement/[LU] apart. A slash inside is \/.
var ruleParts = regexp.MustCompile(`^RULE:((?:\\.|[^\\/])*)/((?:\\.|[^\\/])*)/([LU]?)`)

// ParseRules reads a list of rules, separated by commas.
func ParseRules(text string) (Rules, error) {
	var rules Rules
	rest := strings.TrimSpace(text)
	for rest != "" {
		switch m := ruleParts.FindStringSubmatch(rest); {
		case m != nil:
			r, err := newRule(m[1], m[2], m[3])
			if err != nil {
				return nil, err
			}
			rules = append(rules, r)
			rest = rest[len(m[0]):]
		case strings.HasPrefix(rest, "DEFAULT"):
			rules = append(rules, rule{})
			rest = rest[len("DEFAULT"):]
		default:
			return nil, fmt.Errorf("%q: want DEFAULT or RULE:pattern/replacement/ with L or U behind it", rest)
		}
		rest = strings.TrimSpace(rest)
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("%q: want a comma between two rules", rest)
		}
		rest = strings.TrimSpace(rest[1:])
	}
	return rules, nil
}

var javaGroup = regexp.MustCompile(`\$(\d+)`)

func newRule(pattern, replacement, change string) (rule, error) {
	re, err := regexp.Compile("^(?:" + strings.ReplaceAll(pattern, `\/`, "/") + ")$")
	if err != nil {
		return rule{}, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	// $1x is group 1 and an x in Java, and a group named 1x in Go.
	r := rule{pattern: re, replacement: javaGroup.ReplaceAllString(strings.ReplaceAll(replacement, `\/`, "/"), "$${$1}")}
	switch change {
	case "L":
		r.change = strings.ToLower
	case "U":
		r.change = strings.ToUpper
	}
	return r, nil
}

// Name is what the rules make of a subject.
func (rules Rules) Name(subject string) string {
	for _, r := range rules {
		if r.pattern == nil {
			return subject
		}
		m := r.pattern.FindStringSubmatchIndex(subject)
		if m == nil {
			continue
		}
		name := string(r.pattern.ExpandString(nil, r.replacement, subject, m))
		if r.change != nil {
			name = r.change(name)
		}
		return name
	}
	return subject
}

// subject is a certificate's subject as Java prints it (RFC 2253): the most
// specific part first.
func subject(c *x509.Certificate) string {
	var names pkix.RDNSequence
	if _, err := asn1.Unmarshal(c.RawSubject, &names); err != nil {
		return c.Subject.String() // it has been parsed before, so this does not happen
	}
	return names.String()
}
