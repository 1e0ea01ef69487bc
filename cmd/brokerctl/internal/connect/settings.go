// Package connect turns what the user said (flags, environment variables, a
// profile) into a Kafka client, and what went wrong on the way into one line
// that names the place and the cure. It sends no request but the first ping.
package connect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/seed-604ea8f1/windtunnel/units"
)

// Setting is one thing that can be said about a connection: as a flag and a key
// of a profile by Name, and as the environment variable Env.
type Setting struct {
	Name    string
	Short   string // one letter, or none
	Env     string
	Bool    bool
	Secret  bool
	File    bool     // a path, which a profile keeps from the root
	Words   []string // the values allowed, when there are few
	Default string
	Doc     string
}

// mechanisms are the SASL mechanisms of sasl-mechanism.
var mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}

// Settings lists every setting in the order of the help.
var Settings = []Setting{
	{Name: "brokers", Short: "b", Env: "BROKERCTL_BROKERS", Default: "localhost:9092", Doc: "`host:port,...` of some brokers; the others are learned from them"},
	{Name: "timeout", Env: "BROKERCTL_TIMEOUT", Default: "10s", Doc: "how long a request may take with all its retries, such as 500ms or 1m (`duration`)"},
	{Name: "tls", Env: "BROKERCTL_TLS_ENABLED", Bool: true, Doc: "speak TLS; implied by the other --tls settings"},
	{Name: "tls-ca", File: true, Env: "BROKERCTL_TLS_CA", Doc: "PEM `file` with the authorities to trust instead of the system's"},
	{Name: "tls-cert", File: true, Env: "BROKERCTL_TLS_CERT", Doc: "PEM `file` with the client's certificate, for mutual TLS"},
	{Name: "tls-key", File: true, Env: "BROKERCTL_TLS_KEY", Doc: "PEM `file` with the key of the client's certificate"},
	{Name: "tls-server-name", Env: "BROKERCTL_TLS_SERVER_NAME", Doc: "`name` that the broker's certificate must carry instead of the host's"},
	{Name: "tls-skip-verify", Env: "BROKERCTL_TLS_SKIP_VERIFY", Bool: true, Doc: "accept any certificate; whoever sits between may read and change everything"},
	{Name: "sasl-mechanism", Env: "BROKERCTL_SASL_MECHANISM", Words: mechanisms, Doc: "`mechanism`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER; with a user and nothing said, SCRAM-SHA-256"},
	{Name: "sasl-user", Env: "BROKERCTL_SASL_USER", Doc: "`name` to log in with"},
	{Name: "sasl-password", Env: "BROKERCTL_SASL_PASSWORD", Secret: true, Doc: "`password`; others on this machine can read it here, so prefer the variable, a file or a profile"},
	{Name: "sasl-password-file", File: true, Env: "BROKERCTL_SASL_PASSWORD_FILE", Doc: "`file` whose first line is the password"},
	{Name: "sasl-token", Env: "BROKERCTL_SASL_TOKEN", Secret: true, Doc: "`token` for OAUTHBEARER"},
	{Name: "sasl-token-file", File: true, Env: "BROKERCTL_SASL_TOKEN_FILE", Doc: "`file` whose first line is the token for OAUTHBEARER"},
}

// Lookup finds a setting by its name.
func Lookup(name string) (Setting, error) {
	names := make([]string, len(Settings))
	for i, s := range Settings {
		if s.Name == name {
			return s, nil
		}
		names[i] = s.Name
	}
	if near := config.Nearest(name, names); near != "" {
		return Setting{}, fmt.Errorf("unknown setting %q; nearest is %q", name, near)
	}
	return Setting{}, fmt.Errorf("unknown setting %q; known are: %s", name, strings.Join(names, ", "))
}

// check says what is wrong with the text of a setting, or nothing.
func (s Setting) check(text string) error {
	switch {
	case s.Bool:
		if _, err := strconv.ParseBool(text); err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
	case s.Words != nil:
		if !slices.Contains(s.Words, strings.ToUpper(text)) {
			return fmt.Errorf("unknown %q; known are: %s", text, strings.Join(s.Words, ", "))
		}
	case s.Name == "timeout":
		return checkTimeout(text)
	case s.Name == "brokers":
		_, err := parseBrokers(text)
		return err
	}
	return nil
}

// timeoutMin lets a request cross a network; timeoutMax is Kafka's own limit
// for a blocked client.
const (
	timeoutMin = 10 * time.Millisecond
	timeoutMax = 15 * time.Minute
)

func checkTimeout(text string) error {
	timeout, err := units.ParseDuration(text)
	if err == nil && (timeout < timeoutMin || timeout > timeoutMax) {
		err = fmt.Errorf("%s is not between %s and %s", text, timeoutMin, timeoutMax)
	}
	return err
}

// Value is what a setting was set to, and where.
type Value struct {
	Text   string
	Place  string // such as --brokers, BROKERCTL_BROKERS, profile "prod"
	source source
}

// source is a kind of place, the strongest last.
type source uint8

const (
	fromDefault source = iota
	fromProfile
	fromEnv
	fromFlag
)

// Values are the settings in force by their name.
type Values map[string]Value

// Sources are the places where settings are looked for, strongest first.
type Sources struct {
	Flag        func(name string) (string, bool)
	Env         func(name string) string
	Profile     map[string]string
	ProfileName string
}

// Resolve finds the value of every setting and checks it.
func Resolve(from Sources) (Values, error) {
	values := Values{}
	for name := range from.Profile {
		if _, err := Lookup(name); err != nil {
			return nil, problem.Input("profile %q: %w", from.ProfileName, err)
		}
	}
	for _, s := range Settings {
		value := Value{s.Default, "default of --" + s.Name, fromDefault}
		if text, ok := from.Flag(s.Name); ok {
			value = Value{text, "--" + s.Name, fromFlag}
		} else if text := from.Env(s.Env); text != "" {
			value = Value{text, s.Env, fromEnv}
		} else if text, ok := from.Profile[s.Name]; ok {
			value = Value{text, fmt.Sprintf("profile %q: %s", from.ProfileName, s.Name), fromProfile}
		}
		if value.Text == "" {
			continue
		}
		if err := s.check(value.Text); err != nil {
			return nil, problem.Input("%s: %w", value.Place, err)
		}
		values[s.Name] = value
	}
	return values, nil
}

func (v Values) text(name string) string { return v[name].Text }

// enabled reads a setting that check has accepted as a boolean.
func (v Values) enabled(name string) bool {
	on, err := strconv.ParseBool(v.text(name))
	return err == nil && on
}

// Timeout is how long a request may take with all its retries.
func (v Values) Timeout() time.Duration {
	timeout, err := units.ParseDuration(v.text("timeout"))
	if err != nil {
		panic("connect: timeout was not checked: " + err.Error())
	}
	return timeout
}
