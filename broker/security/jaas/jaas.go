// Package jaas reads the one kind of JAAS configuration that Kafka's properties
// hold: a login module with a control flag and options.
//
//	org.apache.kafka.common.security.plain.PlainLoginModule required
//	  username="admin" password="admin-secret" user_alice="alice-secret";
//
// It is strict: what it does not understand is an error, since a user that was
// silently left out would be noticed too late.
package jaas

import (
	"fmt"
	"strings"
)

// The login modules, by mechanism.
const (
	PlainModule = "org.apache.kafka.common.security.plain.PlainLoginModule"
	ScramModule = "org.apache.kafka.common.security.scram.ScramLoginModule"
	OAuthModule = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
)

// Entry is one login module.
type Entry struct {
	Module   string
	Username string // empty: none
	Password string
	// Users are the passwords that a PLAIN server accepts, by name.
	Users map[string]string
}

// optionsMax bounds the options of an entry.
const optionsMax = 10_000

// Parse reads an entry. Errors never show a password.
func Parse(text string) (*Entry, error) {
	p := parser{text: text}
	e := &Entry{Module: p.word(), Users: make(map[string]string)}
	switch e.Module {
	case PlainModule, ScramModule, OAuthModule:
	case "":
		return nil, fmt.Errorf("expected a login module, such as %s", PlainModule)
	default:
		return nil, fmt.Errorf("login module %q is unknown; there are %s, %s and %s", e.Module, PlainModule, ScramModule, OAuthModule)
	}
	switch flag := p.word(); flag {
	case "required", "requisite", "sufficient", "optional":
	default:
		return nil, fmt.Errorf("expected the control flag %q behind the login module, got %q", "required", flag)
	}
	seen := make(map[string]bool)
	for !p.end() {
		name, value, err := p.option()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("option %q is given twice", name)
		}
		if seen[name] = true; len(seen) > optionsMax {
			return nil, fmt.Errorf("more than %d options", optionsMax)
		}
		if err := e.set(name, value); err != nil {
			return nil, err
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	if (e.Username == "") != (e.Password == "") {
		return nil, fmt.Errorf("options username and password go together")
	}
	return e, nil
}

func (e *Entry) set(name, value string) error {
	user, isUser := strings.CutPrefix(name, "user_")
	switch {
	case value == "":
		return fmt.Errorf("option %q is empty", name)
	case name == "username" && e.Module != OAuthModule:
		e.Username = value
	case name == "password" && e.Module != OAuthModule:
		e.Password = value
	case isUser && user != "" && e.Module == PlainModule:
		e.Users[user] = value
	default:
		return fmt.Errorf("option %q is not one of %s's", name, e.Module)
	}
	return nil
}

// parser walks over the text.
type parser struct {
	text string
	err  error
}

func (p *parser) space() { p.text = strings.TrimLeft(p.text, " \t\r\n") }

// word reads up to white space, "=", ";" or a quote.
func (p *parser) word() string {
	p.space()
	n := strings.IndexAny(p.text, " \t\r\n=;\"")
	if n < 0 {
		n = len(p.text)
	}
	w := p.text[:n]
	p.text = p.text[n:]
	return w
}

// end tells whether the entry ends here: with a semicolon and nothing behind it.
func (p *parser) end() bool {
	p.space()
	switch {
	case p.text == "":
		p.err = fmt.Errorf("the entry must end with a semicolon")
	case p.text[0] != ';':
		return false
	case strings.TrimSpace(p.text[1:]) != "":
		p.err = fmt.Errorf("there is text behind the semicolon: a property holds one login module")
	}
	return true
}

func (p *parser) option() (name, value string, err error) {
	name = p.word()
	if name == "" {
		return "", "", fmt.Errorf("expected an option such as username=\"admin\"")
	}
	p.space()
	if !strings.HasPrefix(p.text, "=") {
		return "", "", fmt.Errorf("expected = behind option %q", name)
	}
	p.text = p.text[1:]
	p.space()
	if !strings.HasPrefix(p.text, `"`) {
		if value = p.word(); value == "" {
			return "", "", fmt.Errorf("option %q has no value", name)
		}
		if strings.Contains(value, "'") || strings.HasPrefix(p.text, `"`) || strings.HasPrefix(p.text, "=") {
			return "", "", fmt.Errorf("the value of option %q needs double quotes around it", name)
		}
		return name, value, nil
	}
	var b strings.Builder
	for i := 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.text = p.text[i+1:]
			return name, b.String(), nil
		case c == '\\' && i+1 < len(p.text):
			i++
			b.WriteByte(p.text[i])
		case c == '\\':
		default:
			b.WriteByte(c)
		}
	}
	return "", "", fmt.Errorf("the quotation mark of option %q is not closed", name)
}
