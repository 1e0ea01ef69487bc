package kafka

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/grafana/sobek"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	// dialTimeout is how long one broker may take to accept a connection, and
	// reachTimeout how long all of them together until the first answers.
	dialTimeout  = 3 * time.Second
	reachTimeout = 5 * time.Second
	// deliveryTimeoutDefault is how long a record is tried. Kafka's is two
	// minutes; a load test wants to know sooner.
	deliveryTimeoutDefault = 10 * time.Second
	maxWaitDefault         = 10 * time.Second
)

// duration is a number of nanoseconds, as xk6-kafka has it, or text with a unit.
type duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *duration) UnmarshalJSON(text []byte) error {
	var number float64
	if err := json.Unmarshal(text, &number); err == nil {
		*d = duration(number)
		return nil
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("%s is no duration: give nanoseconds or text such as \"10s\"", text)
	}
	parsed, err := time.ParseDuration(s)
	*d = duration(parsed)
	return err
}

// or returns the duration, or the default where none was given.
func (d duration) or(otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return time.Duration(d)
}

type saslConfig struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	Algorithm string `json:"algorithm"`
}

type tlsConfig struct {
	EnableTLS             bool   `json:"enableTls"`
	InsecureSkipTLSVerify bool   `json:"insecureSkipTlsVerify"`
	MinVersion            string `json:"minVersion"`
	ClientCertPem         string `json:"clientCertPem"`
	ClientKeyPem          string `json:"clientKeyPem"`
	ServerCaPem           string `json:"serverCaPem"` // PEM text, or an open()ed file
}

// connection is what every client needs.
type connection struct {
	Brokers  []string   `json:"brokers"`
	ClientID string     `json:"clientId"`
	SASL     saslConfig `json:"sasl"`
	TLS      tlsConfig  `json:"tls"`
}

// decode reads the only argument of a constructor or method. A key that is not
// known is an error: it would have no effect.
func decode(call []sobek.Value, what string, into any) error {
	if len(call) == 0 || sobek.IsUndefined(call[0]) || sobek.IsNull(call[0]) {
		return fmt.Errorf("%s takes an object with its configuration", what)
	}
	text, err := json.Marshal(call[0].Export())
	if err != nil {
		return fmt.Errorf("%s: %w (functions cannot be configured)", what, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s: %s", what, strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func (c *connection) options(what string) ([]kgo.Opt, error) {
	if len(c.Brokers) == 0 {
		return nil, fmt.Errorf("%s: brokers is empty; give [\"host:port\"]", what)
	}
	id := c.ClientID
	if id == "" {
		id = "k6"
	}
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID(id), kgo.DialTimeout(dialTimeout)}
	mechanism, secure, err := c.SASL.mechanism()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	if c.TLS.EnableTLS || secure {
		t, err := c.TLS.config()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	return opts, nil
}

// mechanism returns how to authenticate, nil for not at all; secure tells that
// the algorithm implies TLS.
func (s *saslConfig) mechanism() (m sasl.Mechanism, secure bool, err error) {
	switch s.Algorithm {
	case "", "none":
		return nil, false, nil
	case "sasl_plain":
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), false, nil
	case "sasl_ssl":
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), true, nil
	case "sasl_scram_sha256":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism(), false, nil
	case "sasl_scram_sha512":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism(), false, nil
	}
	return nil, false, fmt.Errorf("sasl.algorithm %q is none of SASL_PLAIN, SASL_SSL, SASL_SCRAM_SHA256, SASL_SCRAM_SHA512", s.Algorithm)
}

func (t *tlsConfig) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipTLSVerify} //nolint:gosec // the user asked for it
	switch t.MinVersion {
	case "", "tlsv1.2":
	case "tlsv1.3":
		c.MinVersion = tls.VersionTLS13
	default:
		return nil, fmt.Errorf("tls.minVersion %q is none of TLS_1_2, TLS_1_3", t.MinVersion)
	}
	if t.ServerCaPem != "" {
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM([]byte(t.ServerCaPem)) {
			return nil, errors.New("tls.serverCaPem holds no certificate; give the PEM text: open(\"ca.pem\")")
		}
	}
	if t.ClientCertPem != "" {
		pair, err := tls.X509KeyPair([]byte(t.ClientCertPem), []byte(t.ClientKeyPem))
		if err != nil {
			return nil, fmt.Errorf("tls.clientCertPem and clientKeyPem: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
