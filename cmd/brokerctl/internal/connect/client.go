package connect

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/cmd/brokerctl/internal/problem"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	// dialTimeout bounds one attempt to connect, so that an address that
	// swallows packets is named within seconds.
	dialTimeout = 3 * time.Second
	// requestTimeoutMin is the least that the client takes.
	requestTimeoutMin = 100 * time.Millisecond
	// brokersMax bounds the list of seeds: each is tried in turn.
	brokersMax  = 64
	defaultPort = "9092"
	// secretBytesMax bounds a password or token read from a file.
	secretBytesMax = 64 << 10
)

// Client is a Kafka client that remembers which addresses did not answer.
type Client struct {
	*kgo.Client
	values Values
	dials  *dialRecorder
}

// Open makes a client of the settings and pings the cluster once, so that
// whatever is wrong with the connection is said before anything else is tried.
func Open(ctx context.Context, values Values, more ...kgo.Opt) (*Client, error) {
	options, dials, err := options(values)
	if err != nil {
		return nil, problem.Input("%w", err)
	}
	inner, err := kgo.NewClient(append(options, more...)...)
	if err != nil {
		return nil, fmt.Errorf("prepare the client: %w", err)
	}
	c := &Client{Client: inner, values: values, dials: dials}
	ctx, cancel := context.WithTimeout(ctx, values.Timeout())
	defer cancel()
	if err := inner.Ping(ctx); err != nil {
		err = c.Explain(err)
		inner.Close()
		return nil, err
	}
	return c, nil
}

// Timeout is how long a request may take with all its retries.
func (c *Client) Timeout() time.Duration { return c.values.Timeout() }

func options(values Values) ([]kgo.Opt, *dialRecorder, error) {
	brokers, err := parseBrokers(values.text("brokers"))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", values["brokers"].Place, err)
	}
	dials := &dialRecorder{}
	options := []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("brokerctl"),
		kgo.SoftwareNameAndVersion("brokerctl", "1"),
		kgo.DialTimeout(dialTimeout),
		kgo.RetryTimeout(values.Timeout()),
		kgo.RequestTimeoutOverhead(max(values.Timeout(), requestTimeoutMin)),
		kgo.ProduceRequestTimeout(max(values.Timeout(), requestTimeoutMin)),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.DisableClientMetrics(),
		kgo.WithHooks(dials),
	}
	tlsConfig, err := values.tlsConfig()
	if err != nil {
		return nil, nil, err
	}
	if tlsConfig != nil {
		options = append(options, kgo.DialTLSConfig(tlsConfig))
	}
	mechanism, err := values.mechanism()
	if err != nil {
		return nil, nil, err
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	return options, dials, nil
}

func parseBrokers(text string) ([]string, error) {
	var out []string
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			return nil, fmt.Errorf("%q has an empty address; write host:port,host:port", text)
		}
		host, port, err := net.SplitHostPort(word)
		if err != nil {
			if strings.Contains(word, ":") && !strings.HasPrefix(word, "[") && net.ParseIP(word) == nil {
				return nil, fmt.Errorf("%q is no address; write host:port, and [address]:port for IPv6", word)
			}
			host, port = strings.Trim(word, "[]"), defaultPort
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("%q has no port between 1 and 65535", word)
		}
		if strings.Contains(host, "/") {
			return nil, fmt.Errorf("%q is a URL; write host:port", word)
		}
		out = append(out, net.JoinHostPort(host, port))
	}
	if len(out) > brokersMax {
		return nil, fmt.Errorf("%d addresses are more than %d; a few are enough, the others are learned from them", len(out), brokersMax)
	}
	return out, nil
}

// mechanism is how to log in, or nil for not at all.
func (v Values) mechanism() (sasl.Mechanism, error) {
	name, user := strings.ToUpper(v.text("sasl-mechanism")), v.text("sasl-user")
	password, err := v.secret("sasl-password")
	if err != nil {
		return nil, err
	}
	token, err := v.secret("sasl-token")
	if err != nil {
		return nil, err
	}
	switch {
	case name == "" && user == "" && token == "":
		if password != "" {
			return nil, fmt.Errorf("%s: a password without a user; add --sasl-user", v.placeOfSecret("sasl-password"))
		}
		return nil, nil
	case name == "" && user != "":
		name = "SCRAM-SHA-256"
	case name == "":
		name = "OAUTHBEARER"
	}
	if name == "OAUTHBEARER" {
		if token == "" {
			return nil, fmt.Errorf("OAUTHBEARER needs a token: --sasl-token-file or %s", "BROKERCTL_SASL_TOKEN")
		}
		return oauth.Auth{Token: token}.AsMechanism(), nil
	}
	if user == "" || password == "" {
		return nil, fmt.Errorf("%s needs a user and a password: --sasl-user with --sasl-password-file or BROKERCTL_SASL_PASSWORD", name)
	}
	switch name {
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	}
	return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
}

// secret is a setting that may also be given as the first line of a file. What
// is said in the stronger place counts; in the same place both are too much.
func (v Values) secret(name string) (string, error) {
	direct, file := v[name], v[name+"-file"]
	switch {
	case file.Text == "" || direct.Text != "" && direct.source > file.source:
		return direct.Text, nil
	case direct.Text == "" || file.source > direct.source:
		return ReadSecret(file.Text)
	}
	return "", fmt.Errorf("%s and %s are both given; keep one", direct.Place, file.Place)
}

func (v Values) placeOfSecret(name string) string {
	if v.text(name) != "" {
		return v[name].Place
	}
	return v[name+"-file"].Place
}

// ReadSecret is the first line of a file.
func ReadSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read a secret: %w", err)
	}
	line, _, _ := strings.Cut(string(data[:min(len(data), secretBytesMax)]), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("read a secret: the first line of %s is empty", path)
	}
	return line, nil
}

// Seeds are the addresses that were given.
func (c *Client) Seeds() []string {
	brokers, err := parseBrokers(c.values.text("brokers"))
	if err != nil {
		panic("connect: brokers were not checked: " + err.Error())
	}
	return slices.Clip(brokers)
}
