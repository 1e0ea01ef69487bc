package load

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Workload is an OpenMessaging Benchmark workload file, with that project's key
// names. What the generator cannot carry out is refused when the file is read.
type Workload struct {
	Name                   string  `yaml:"name"`
	Topics                 int     `yaml:"topics"`             // how many are made
	PartitionsPerTopic     int     `yaml:"partitionsPerTopic"` // of each
	KeyDistributor         string  `yaml:"keyDistributor"`     // NO_KEY, KEY_ROUND_ROBIN or RANDOM_NANO
	MessageSize            int     `yaml:"messageSize"`        // bytes, at least messageSizeMin
	UseRandomizedPayloads  bool    `yaml:"useRandomizedPayloads"`
	RandomBytesRatio       float64 `yaml:"randomBytesRatio"` // 0 to 1: the part of a payload that does not compress
	RandomizedPayloadPool  int     `yaml:"randomizedPayloadPoolSize"`
	PayloadFile            string  `yaml:"payloadFile"` // accepted and not opened: payloads carry the time of their send
	SubscriptionsPerTopic  int     `yaml:"subscriptionsPerTopic"`
	ConsumerPerSubscripton int     `yaml:"consumerPerSubscription"`
	ProducersPerTopic      int     `yaml:"producersPerTopic"`
	ProducerRate           int     `yaml:"producerRate"` // messages a second of all producers; 0 is as many as are acknowledged
	ConsumerBacklogSizeGB  int64   `yaml:"consumerBacklogSizeGB"`
	TestDurationMinutes    float64 `yaml:"testDurationMinutes"`
	WarmupDurationMinutes  float64 `yaml:"warmupDurationMinutes"`
}

const (
	// messageSizeMin holds the intended and the real time of the send.
	messageSizeMin = payloadHeaderBytes
	messageSizeMax = 16 << 20
	topicsMax      = 10_000
	clientsMax     = 10_000
)

// keyDistributors are the ways in which keys are chosen.
var keyDistributors = []string{"NO_KEY", "KEY_ROUND_ROBIN", "RANDOM_NANO"}

// ReadWorkload reads a workload file. An error names the file, the line and
// what would be right.
func ReadWorkload(path string) (*Workload, error) {
	w := &Workload{
		KeyDistributor: "NO_KEY", Topics: 1, PartitionsPerTopic: 1, SubscriptionsPerTopic: 1,
		ConsumerPerSubscripton: 1, ProducersPerTopic: 1, WarmupDurationMinutes: 1,
	}
	if err := readYAML(path, w); err != nil {
		return nil, err
	}
	if err := w.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

func (w *Workload) check() error {
	for _, bound := range []struct {
		key             string
		value, min, max int
	}{
		{"topics", w.Topics, 1, topicsMax},
		{"partitionsPerTopic", w.PartitionsPerTopic, 1, topicsMax},
		{"messageSize", w.MessageSize, messageSizeMin, messageSizeMax},
		{"subscriptionsPerTopic", w.SubscriptionsPerTopic, 0, clientsMax},
		{"consumerPerSubscription", w.ConsumerPerSubscripton, 0, clientsMax},
		{"producersPerTopic", w.ProducersPerTopic, 1, clientsMax},
		{"producerRate", w.ProducerRate, 0, 1 << 30},
	} {
		if bound.value < bound.min || bound.value > bound.max {
			return fmt.Errorf("%s: %d is not in %d..%d", bound.key, bound.value, bound.min, bound.max)
		}
	}
	switch {
	case w.TestDurationMinutes <= 0:
		return errors.New("testDurationMinutes: must be more than 0")
	case w.WarmupDurationMinutes < 0:
		return errors.New("warmupDurationMinutes: must not be negative")
	case w.ConsumerBacklogSizeGB != 0:
		return errors.New("consumerBacklogSizeGB: building a backlog first is not carried out; leave it out")
	case w.RandomBytesRatio < 0 || w.RandomBytesRatio > 1:
		return fmt.Errorf("randomBytesRatio: %v is not in 0..1", w.RandomBytesRatio)
	}
	for _, known := range keyDistributors {
		if w.KeyDistributor == known {
			return nil
		}
	}
	return fmt.Errorf("keyDistributor: %q is none of %s", w.KeyDistributor, strings.Join(keyDistributors, ", "))
}

func (w *Workload) duration() time.Duration { return minutes(w.TestDurationMinutes) }
func (w *Workload) warmup() time.Duration   { return minutes(w.WarmupDurationMinutes) }

func minutes(m float64) time.Duration { return time.Duration(m * float64(time.Minute)) }

// Driver is an OpenMessaging Benchmark driver file for Kafka: what its topics
// and clients are configured with, in Kafka's own property names.
type Driver struct {
	Name              string `yaml:"name"`
	DriverClass       string `yaml:"driverClass"` // accepted: the driver is always franz-go
	ReplicationFactor int    `yaml:"replicationFactor"`
	Reset             bool   `yaml:"reset"` // accepted: every run makes topics of its own and deletes them
	TopicConfig       string `yaml:"topicConfig"`
	CommonConfig      string `yaml:"commonConfig"`
	ProducerConfig    string `yaml:"producerConfig"`
	ConsumerConfig    string `yaml:"consumerConfig"`
}

// ReadDriver reads a driver file; an empty path is the default driver: acks of
// all, one replica.
func ReadDriver(path string) (*Driver, error) {
	d := &Driver{Name: "Kafka", ReplicationFactor: 1}
	if path == "" {
		return d, nil
	}
	if err := readYAML(path, d); err != nil {
		return nil, err
	}
	if d.ReplicationFactor < 1 || d.ReplicationFactor > 1<<15-1 {
		return nil, fmt.Errorf("%s: replicationFactor: %d is not in 1..32767", path, d.ReplicationFactor)
	}
	return d, nil
}

// bootstrapKey is where a driver file of the benchmark's own says what to load.
const bootstrapKey = "bootstrap.servers"

// target is what the file names to be loaded, as a --target would.
func (d *Driver) target() string {
	for line := range strings.Lines(d.CommonConfig) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.TrimSpace(key) == bootstrapKey {
			return d.Name + "=" + strings.TrimSpace(value)
		}
	}
	return targetDefault
}

func readYAML(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := yaml.UnmarshalWithOptions(text, into, yaml.Strict()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// property is one line of a block of properties.
type property struct{ key, value string }

// properties reads a block of key=value lines. Each key must be known; apply is
// called with each, in order.
func properties(block, text string, known map[string]func(value string) error) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		p := property{strings.TrimSpace(key), strings.TrimSpace(value)}
		if !ok {
			return fmt.Errorf("%s: %q is not key=value", block, line)
		}
		apply := known[p.key]
		if apply == nil {
			return fmt.Errorf("%s: %s is not known%s", block, p.key, meant(p.key, known))
		}
		if err := apply(p.value); err != nil {
			return fmt.Errorf("%s: %s=%s: %w", block, p.key, p.value, err)
		}
	}
	return nil
}

func meant(key string, known map[string]func(string) error) string {
	if n := config.Nearest(key, sortedKeys(known)); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}
