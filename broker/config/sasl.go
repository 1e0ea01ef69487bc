package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/security/jaas"
	"github.com/seed-604ea8f1/windtunnel/broker/security/jwt"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
)

// Sasl holds how the peers of one listener prove who they are, and how this node
// does to those that it connects to.
type Sasl struct {
	EnabledMechanisms    Words
	InterBrokerMechanism string // empty: not set
	ControllerMechanism  string // empty: not set
	MaxReauthMillis      int64  // 0: a session does not end
	ReceiveBytesMax      int64  // of a request before the peer is known
	FailureDelayMillis   int64  // between a failed exchange and its answer

	Plain, ScramSHA256, ScramSHA512, OAuthBearer Jaas

	ExpectedAudience Words
	ExpectedIssuer   string // empty: any
	ClockSkewSeconds int64
	SubClaim         string
	ScopeClaim       string
	Keys             Jwks
	Token            BearerToken

	// Of keys that are fetched over the network.
	KeysRefreshMillis    int64
	KeysBackoffMillis    int64
	KeysBackoffMaxMillis int64

	// Bootstrap are the SCRAM users of a new cluster.
	Bootstrap BootstrapUsers
}

// Login returns the entry of a mechanism, or nil if there is none.
func (s *Sasl) Login(mechanism sasl.Mechanism) *jaas.Entry {
	switch mechanism {
	case sasl.Plain:
		return s.Plain.Entry
	case sasl.ScramSHA256:
		return s.ScramSHA256.Entry
	case sasl.ScramSHA512:
		return s.ScramSHA512.Entry
	}
	return nil
}

// Words is a list of texts.
type Words []string

// Parse implements Parser.
func (w *Words) Parse(text string) error {
	*w = splitList(text)
	return nil
}

func (w *Words) String() string { return strings.Join(*w, ",") }

// Jaas is a JAAS entry; it is never shown.
type Jaas struct{ *jaas.Entry }

// Parse implements Parser.
func (j *Jaas) Parse(text string) error {
	entry, err := jaas.Parse(text)
	if err != nil {
		return fmt.Errorf("is no JAAS entry: %w", err)
	}
	j.Entry = entry
	return nil
}

func (j *Jaas) String() string { return hidden }

// Jwks is a set of public keys and where it comes from. Those that a data: URL
// holds are there at once; others the host fetches, since the core cannot.
type Jwks struct {
	*jwt.KeySet // nil: not fetched, or no URL
	URL         string
}

// Parse implements Parser.
func (j *Jwks) Parse(text string) error {
	*j = Jwks{URL: text}
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "data":
		return j.inline(rest)
	case "file", "http", "https":
		if u, err := url.Parse(text); err != nil || u.Path == "" || (scheme == "file") != (u.Host == "") {
			return errors.New("is no URL of a file, such as file:///path/jwks.json or https://host/path")
		}
		return nil
	}
	return errors.New("must be file:///path/jwks.json, https://host/path or a data URL")
}

func (j *Jwks) inline(text string) error {
	kind, data, ok := strings.Cut(text, ",")
	if !ok {
		return errors.New("has no comma before its data")
	}
	var body []byte
	var err error
	if strings.HasSuffix(kind, ";base64") {
		body, err = base64.StdEncoding.DecodeString(data)
	} else {
		var plain string
		plain, err = url.PathUnescape(data)
		body = []byte(plain)
	}
	if err != nil {
		return fmt.Errorf("has data that cannot be decoded: %w", err)
	}
	if j.KeySet, err = jwt.ParseKeySet(body); err != nil {
		return fmt.Errorf("has no keys: %w", err)
	}
	return nil
}

func (j *Jwks) String() string { return j.URL }

// BearerToken is the token of this node itself and the file that it is in, which
// the host reads, since the core cannot.
type BearerToken struct {
	Path, Value string // empty: not set, or not read
}

// Parse implements Parser.
func (b *BearerToken) Parse(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "file" || u.Host != "" || u.Path == "" {
		return errors.New("must be file:///path/token; tokens are not fetched from an issuer")
	}
	*b = BearerToken{Path: u.Path}
	return nil
}

func (b *BearerToken) String() string {
	if b.Path == "" {
		return ""
	}
	return "file://" + b.Path
}

// BootstrapUser is a SCRAM user of a new cluster.
type BootstrapUser struct {
	Mechanism      sasl.ScramMechanism
	Name, Password string
	Iterations     int32
}

// BootstrapUsers are written in the way of kafka-storage's --add-scram,
// separated by semicolons:
//
//	SCRAM-SHA-256=[name=admin,password=secret,iterations=8192]; ...
type BootstrapUsers []BootstrapUser

// Parse implements Parser. Errors never show a password.
func (b *BootstrapUsers) Parse(text string) error {
	*b = nil
	for i, item := range strings.Split(text, ";") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		user, err := parseBootstrapUser(item)
		if err != nil {
			return fmt.Errorf("has an error in item %d, which must be like SCRAM-SHA-256=[name=admin,password=...]: %w", i+1, err)
		}
		if slices.ContainsFunc(*b, func(u BootstrapUser) bool { return u.Name == user.Name && u.Mechanism == user.Mechanism }) {
			return fmt.Errorf("names user %q twice", user.Name)
		}
		*b = append(*b, user)
	}
	return nil
}

func parseBootstrapUser(item string) (u BootstrapUser, err error) {
	name, rest, _ := strings.Cut(item, "=")
	mechanism, ok := sasl.ScramMechanismOf(strings.TrimSpace(name))
	if !ok {
		return u, fmt.Errorf("it must begin with %s or %s", sasl.ScramSHA256, sasl.ScramSHA512)
	}
	u.Mechanism, u.Iterations = mechanism, sasl.IterationsMin
	fields, ok := strings.CutPrefix(strings.TrimSpace(rest), "[")
	fields, ok2 := strings.CutSuffix(fields, "]")
	if !ok || !ok2 {
		return u, errors.New("brackets are missing")
	}
	for _, field := range strings.Split(fields, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch strings.TrimSpace(key) {
		case "name":
			u.Name = value
		case "password":
			u.Password = value
		case "iterations":
			n, err := strconv.ParseInt(value, 10, 32)
			if err != nil || int32(n) < sasl.IterationsMin || int32(n) > sasl.IterationsMax {
				return u, fmt.Errorf("iterations must be in %d .. %d", sasl.IterationsMin, sasl.IterationsMax)
			}
			u.Iterations = int32(n)
		default:
			return u, errors.New("it has fields other than name, password and iterations")
		}
	}
	if u.Name == "" || u.Password == "" {
		return u, errors.New("name or password is missing")
	}
	return u, nil
}

func (b *BootstrapUsers) String() string { return hidden }

var mechanismNames = []string{sasl.Plain, sasl.ScramSHA256, sasl.ScramSHA512, sasl.OAuthBearer, "GSSAPI"}

var saslTable = NewTable("sasl property", []Row[Sasl]{
	{Property{Name: "connection.failed.authentication.delay.ms", Type: TypeInt, Default: "100", Max: maxInt, Effect: true,
		Doc: "How long the answer to a failed authentication is held back, and the connection with it."}, func(s *Sasl) any { return &s.FailureDelayMillis }},
	{Property{Name: "connections.max.reauth.ms", Type: TypeLong, Default: "0", Max: maxLong, Effect: true,
		Doc: "How long a session lasts before the client must authenticate again; 0 is for ever, or as long as its token (KIP-368)."},
		func(s *Sasl) any { return &s.MaxReauthMillis }},
	{Property{Name: "sasl.enabled.mechanisms", Type: TypeList, Null: true, Valid: mechanismNames, NotYet: []string{"GSSAPI"}, Effect: true,
		Doc: "The mechanisms that clients may use. Kafka's default, GSSAPI, is not spoken here, so it must be set where a listener is SASL."},
		func(s *Sasl) any { return &s.EnabledMechanisms }},
	{Property{Name: "sasl.mechanism.inter.broker.protocol", Type: TypeString, Null: true, Valid: mechanismNames, NotYet: []string{"GSSAPI"}, Effect: true,
		Doc: "The mechanism by which this node authenticates itself to brokers, with the name and password of the JAAS entry of their listener, or with a token."},
		func(s *Sasl) any { return &s.InterBrokerMechanism }},
	{Property{Name: "sasl.mechanism.controller.protocol", Type: TypeString, Null: true, Valid: mechanismNames, NotYet: []string{"GSSAPI"}, Effect: true,
		Doc: "The same towards controllers."}, func(s *Sasl) any { return &s.ControllerMechanism }},
	{Property{Name: "sasl.server.max.receive.size", Type: TypeInt, Default: "524288", Min: 1, Max: maxInt, Effect: true,
		Doc: "The largest request of a client that has not authenticated itself yet."}, func(s *Sasl) any { return &s.ReceiveBytesMax }},
	{Property{Name: "plain.sasl.jaas.config", Type: TypePassword, Null: true, Effect: true,
		Doc: "For a listener: PlainLoginModule required username=\"..\" password=\"..\" user_NAME=\"..\"; the users that may log in, and as whom this node does."},
		func(s *Sasl) any { return &s.Plain }},
	{Property{Name: "scram-sha-256.sasl.jaas.config", Type: TypePassword, Null: true, Effect: true,
		Doc: "For a listener: ScramLoginModule required username=\"..\" password=\"..\"; as whom this node logs in."}, func(s *Sasl) any { return &s.ScramSHA256 }},
	{Property{Name: "scram-sha-512.sasl.jaas.config", Type: TypePassword, Null: true, Effect: true,
		Doc: "The same for SCRAM-SHA-512."}, func(s *Sasl) any { return &s.ScramSHA512 }},
	{Property{Name: "oauthbearer.sasl.jaas.config", Type: TypePassword, Null: true, Effect: true,
		Doc: "For a listener: OAuthBearerLoginModule required; it has no options here."}, func(s *Sasl) any { return &s.OAuthBearer }},
	{Property{Name: "sasl.oauthbearer.clock.skew.seconds", Type: TypeInt, Default: "30", Max: maxInt, Effect: true,
		Doc: "By how much the clock of a token's issuer may differ."}, func(s *Sasl) any { return &s.ClockSkewSeconds }},
	{Property{Name: "sasl.oauthbearer.expected.audience", Type: TypeList, Null: true, Effect: true,
		Doc: "One of these must be in a token's claim aud."}, func(s *Sasl) any { return &s.ExpectedAudience }},
	{Property{Name: "sasl.oauthbearer.expected.issuer", Type: TypeString, Null: true, Effect: true,
		Doc: "What a token's claim iss must be."}, func(s *Sasl) any { return &s.ExpectedIssuer }},
	{Property{Name: "sasl.oauthbearer.jwks.endpoint.url", Type: TypeString, Null: true, Effect: true,
		Doc: "The public keys of the tokens' issuer: file:///path/to/jwks.json, https://host/path, or a data: URL."},
		func(s *Sasl) any { return &s.Keys }},
	{Property{Name: "sasl.oauthbearer.jwks.endpoint.refresh.ms", Type: TypeLong, Default: "3600000", Min: 1, Max: maxLong, Effect: true,
		Doc: "How often keys are fetched again that are fetched over the network."}, func(s *Sasl) any { return &s.KeysRefreshMillis }},
	{Property{Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Type: TypeLong, Default: "100", Min: 1, Max: maxLong, Effect: true,
		Doc: "How long to wait after a first fetch that failed; each further one doubles it."}, func(s *Sasl) any { return &s.KeysBackoffMillis }},
	{Property{Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Type: TypeLong, Default: "10000", Min: 1, Max: maxLong, Effect: true,
		Doc: "The longest such wait."}, func(s *Sasl) any { return &s.KeysBackoffMaxMillis }},
	{Property{Name: "sasl.oauthbearer.scope.claim.name", Type: TypeString, Default: "scope", Effect: true,
		Doc: "The claim with a token's scope."}, func(s *Sasl) any { return &s.ScopeClaim }},
	{Property{Name: "sasl.oauthbearer.sub.claim.name", Type: TypeString, Default: "sub", Effect: true,
		Doc: "The claim that names the principal."}, func(s *Sasl) any { return &s.SubClaim }},
	{Property{Name: "sasl.oauthbearer.token.endpoint.url", Type: TypeString, Null: true, Effect: true,
		Doc: "The file with the token by which this node logs in where the mechanism between nodes is OAUTHBEARER: file:///path/token. It is read again as it changes."},
		func(s *Sasl) any { return &s.Token }},
	{Property{Name: "windtunnel.bootstrap.scram", Type: TypePassword, Null: true, Effect: true,
		Doc: "The SCRAM users of a new cluster, as SCRAM-SHA-256=[name=admin,password=..];.., what kafka-storage's --add-scram is in Kafka. " +
			"The same on every controller; without effect once the cluster exists."},
		func(s *Sasl) any { return &s.Bootstrap }},
})

// jaasSuffix ends the properties that make sense for one listener only.
const jaasSuffix = ".sasl.jaas.config"

// nodeWide tells whether a SASL property makes no sense for one listener.
func nodeWide(name string) bool {
	switch name {
	case "sasl.mechanism.inter.broker.protocol", "sasl.mechanism.controller.protocol", "windtunnel.bootstrap.scram":
		return true
	}
	return false
}

// SASLProperties is the table of the SASL properties, by name.
func SASLProperties() []*Property { return saslTable.All() }

// ParseSasl returns Kafka's defaults changed by overrides. The error is an *Error.
func ParseSasl(overrides []KV) (Sasl, error) {
	s := saslTable.Defaults()
	if err := saslTable.Apply(overrides, &s); err != nil {
		return Sasl{}, err
	}
	return s, nil
}
