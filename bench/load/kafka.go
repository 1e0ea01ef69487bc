package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	// dialSeconds is how long a missing broker is waited for.
	dialSeconds = 5
	// reachEvery is the pause between two attempts to reach one.
	reachEvery = 100 * time.Millisecond
	// deliverySeconds is how long a message is tried; Kafka's delivery.timeout.ms.
	deliverySeconds = 120
	// topicReadySeconds is how long new topics may be without leaders.
	topicReadySeconds = 30
	// groupReadySeconds is how long a consumer may wait for its group.
	groupReadySeconds = 60
)

// Kafka is a cluster that speaks Kafka's protocol.
type Kafka struct {
	name               string
	seeds              []string
	replicationFactor  int16
	topicConfig        []kmsg.CreateTopicsRequestTopicConfig
	common             []kgo.Opt
	producer, consumer []kgo.Opt
}

var _ Target = (*Kafka)(nil)

// NewKafka returns the cluster behind the seed brokers (host:port), with clients
// configured as the driver says.
func NewKafka(name string, seeds []string, d *Driver) (*Kafka, error) {
	k := &Kafka{name: name, seeds: seeds, replicationFactor: int16(d.ReplicationFactor)}
	k.common = []kgo.Opt{kgo.SeedBrokers(seeds...), kgo.ClientID("windtunnel-bench"), kgo.DialTimeout(dialSeconds * time.Second)}
	k.producer = []kgo.Opt{kgo.RecordDeliveryTimeout(deliverySeconds * time.Second), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(0)} // unless the driver has linger.ms: what is measured is the system, not a pause of the client
	if err := k.configure(d); err != nil {
		return nil, err
	}
	return k, nil
}

// Name implements Target.
func (k *Kafka) Name() string { return k.name }

func (k *Kafka) configure(d *Driver) error {
	var s security
	table := s.table()
	table[bootstrapKey] = func(string) error { return nil }             // a --target is stronger
	table["default.api.timeout.ms"] = func(string) error { return nil } // topics and groups have times of their own here
	table["request.timeout.ms"] = number(100, 1<<31-1, func(n int) error {
		k.producer = append(k.producer, kgo.ProduceRequestTimeout(time.Duration(n)*time.Millisecond))
		return nil
	})
	if err := properties("commonConfig", d.CommonConfig, table); err != nil {
		return err
	}
	opts, err := s.options()
	if err != nil {
		return fmt.Errorf("commonConfig: %w", err)
	}
	k.common = append(k.common, opts...)
	if err := properties("producerConfig", d.ProducerConfig, k.producerTable()); err != nil {
		return err
	}
	if err := properties("consumerConfig", d.ConsumerConfig, k.consumerTable()); err != nil {
		return err
	}
	return lines("topicConfig", d.TopicConfig, func(key, value string) {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = key, kmsg.StringPtr(value)
		k.topicConfig = append(k.topicConfig, c)
	})
}

// lines reads properties that the broker will judge.
func lines(block, text string, add func(key, value string)) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("%s: %q is not key=value", block, line)
		}
		add(strings.TrimSpace(key), strings.TrimSpace(value))
	}
	return nil
}

func (k *Kafka) producerTable() map[string]func(string) error {
	add := func(o ...kgo.Opt) error { k.producer = append(k.producer, o...); return nil }
	return map[string]func(string) error{
		"acks": func(v string) error {
			switch v {
			case "all", "-1":
				return nil
			case "1":
				return add(kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
			case "0":
				return add(kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
			}
			return errors.New("is none of all, 1, 0")
		},
		"linger.ms": number(0, 60_000, func(n int) error {
			return add(kgo.ProducerLinger(time.Duration(n) * time.Millisecond))
		}),
		"batch.size":    number(1, 1<<30, func(n int) error { return add(kgo.ProducerBatchMaxBytes(int32(n))) }),
		"buffer.memory": number(1, 1<<40, func(n int) error { return add(kgo.MaxBufferedBytes(n)) }),
		"compression.type": func(v string) error {
			codec, ok := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(),
				"snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[v]
			if !ok {
				return errors.New("is none of none, gzip, snappy, lz4, zstd")
			}
			return add(kgo.ProducerBatchCompression(codec))
		},
		"enable.idempotence": func(v string) error {
			on, err := strconv.ParseBool(v)
			if err == nil && !on {
				return add(kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(5))
			}
			return err
		},
	}
}

func (k *Kafka) consumerTable() map[string]func(string) error {
	add := func(o ...kgo.Opt) error { k.consumer = append(k.consumer, o...); return nil }
	return map[string]func(string) error{
		"auto.offset.reset": func(v string) error {
			if v != "earliest" && v != "latest" {
				return errors.New("is none of earliest, latest")
			}
			return nil // a run reads all that it sends, from a topic of its own
		},
		"enable.auto.commit": func(v string) error {
			on, err := strconv.ParseBool(v)
			if err == nil && !on {
				return add(kgo.DisableAutoCommit())
			}
			return err
		},
		"fetch.min.bytes":   number(1, 1<<30, func(n int) error { return add(kgo.FetchMinBytes(int32(n))) }),
		"fetch.max.bytes":   number(1, 1<<30, func(n int) error { return add(kgo.FetchMaxBytes(int32(n))) }),
		"fetch.max.wait.ms": number(1, 60_000, func(n int) error { return add(kgo.FetchMaxWait(time.Duration(n) * time.Millisecond)) }),
		"max.partition.fetch.bytes": number(1, 1<<30, func(n int) error {
			return add(kgo.FetchMaxPartitionBytes(int32(n)))
		}),
	}
}

func number(low, high int, apply func(int) error) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("is no whole number in %d..%d", low, high)
		}
		return apply(n)
	}
}

// security is how clients connect, with librdkafka's property names.
type security struct{ protocol, mechanism, username, password, caFile, certificateFile, keyFile string }

func (s *security) table() map[string]func(string) error {
	set := func(field *string) func(string) error { return func(v string) error { *field = v; return nil } }
	return map[string]func(string) error{
		"security.protocol": set(&s.protocol), "sasl.mechanism": set(&s.mechanism), "ssl.ca.location": set(&s.caFile),
		"ssl.certificate.location": set(&s.certificateFile), "ssl.key.location": set(&s.keyFile),
		"sasl.username": set(&s.username), "sasl.password": set(&s.password),
	}
}

func (s *security) options() (opts []kgo.Opt, err error) {
	switch s.protocol {
	case "", "PLAINTEXT", "SASL_PLAINTEXT":
	case "SSL", "SASL_SSL":
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if s.caFile != "" {
			pem, err := os.ReadFile(s.caFile)
			if err != nil {
				return nil, fmt.Errorf("ssl.ca.location: %w", err)
			}
			if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("ssl.ca.location: %s holds no certificate in PEM", s.caFile)
			}
		}
		if s.certificateFile != "" || s.keyFile != "" {
			pair, err := tls.LoadX509KeyPair(s.certificateFile, s.keyFile)
			if err != nil {
				return nil, fmt.Errorf("ssl.certificate.location and ssl.key.location: %w", err)
			}
			config.Certificates = []tls.Certificate{pair}
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	default:
		return nil, fmt.Errorf("security.protocol=%s is none of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL", s.protocol)
	}
	if !strings.HasPrefix(s.protocol, "SASL_") {
		return opts, nil
	}
	switch s.mechanism {
	case "PLAIN":
		return append(opts, kgo.SASL(plain.Auth{User: s.username, Pass: s.password}.AsMechanism())), nil
	case "SCRAM-SHA-256":
		return append(opts, kgo.SASL(scram.Auth{User: s.username, Pass: s.password}.AsSha256Mechanism())), nil
	case "SCRAM-SHA-512":
		return append(opts, kgo.SASL(scram.Auth{User: s.username, Pass: s.password}.AsSha512Mechanism())), nil
	}
	return nil, fmt.Errorf("sasl.mechanism=%s is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", s.mechanism)
}

// reach returns once a broker answers: one that was started just before this
// program listens before it serves.
func (k *Kafka) reach(ctx context.Context, cl *kgo.Client) error {
	within, cancel := context.WithTimeout(ctx, dialSeconds*time.Second)
	defer cancel()
	again := time.NewTicker(reachEvery)
	defer again.Stop()
	cause := error(context.DeadlineExceeded)
	for {
		err := cl.Ping(within)
		if err == nil {
			return nil
		}
		if within.Err() != nil {
			return cause // of the attempt before: the last one was only cut short
		}
		cause = err
		select {
		case <-within.Done():
			return cause
		case <-again.C:
		}
	}
}

// Prepare implements Target. It returns when every partition has a leader.
func (k *Kafka) Prepare(ctx context.Context, topics []string, partitions int) error {
	cl, err := kgo.NewClient(k.common...)
	if err != nil {
		return err
	}
	defer cl.Close()
	if err := k.reach(ctx, cl); err != nil {
		return fmt.Errorf("no broker of %s answers at %s: %w", k.name, strings.Join(k.seeds, ","), err)
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = topicReadySeconds * 1000
	for _, name := range topics {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor, t.Configs = name, int32(partitions), k.replicationFactor, k.topicConfig
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("create topics on %s: %w", k.name, err)
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			detail := ""
			if t.ErrorMessage != nil {
				detail = ": " + *t.ErrorMessage
			}
			return fmt.Errorf("create topic %s on %s: %w%s", t.Topic, k.name, err, detail)
		}
	}
	return k.awaitLeaders(ctx, cl, topics, partitions)
}

func (k *Kafka) awaitLeaders(ctx context.Context, cl *kgo.Client, topics []string, partitions int) error {
	ctx, cancel := context.WithTimeout(ctx, topicReadySeconds*time.Second)
	defer cancel()
	for {
		req := kmsg.NewPtrMetadataRequest()
		for _, name := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = kmsg.StringPtr(name)
			req.Topics = append(req.Topics, t)
		}
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return fmt.Errorf("wait for the leaders of %d topics on %s: %w", len(topics), k.name, err)
		}
		ready := 0
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == 0 && p.Leader >= 0 {
					ready++
				}
			}
		}
		if ready == len(topics)*partitions {
			return nil
		}
		pause := time.NewTimer(20 * time.Millisecond)
		select {
		case <-ctx.Done():
			return fmt.Errorf("only %d of %d partitions of %s have a leader after %d s", ready, len(topics)*partitions, k.name, topicReadySeconds)
		case <-pause.C:
		}
	}
}

// Remove implements Target.
func (k *Kafka) Remove(ctx context.Context, topics []string) error {
	cl, err := kgo.NewClient(k.common...)
	if err != nil {
		return err
	}
	defer cl.Close()
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TimeoutMillis = topicReadySeconds * 1000
	req.TopicNames = topics
	for _, name := range topics {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return fmt.Errorf("delete the topics of the run on %s: %w", k.name, err)
	}
	for _, t := range resp.Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("delete topic %s on %s: %w", *t.Topic, k.name, err)
		}
	}
	return nil
}

// with returns the cluster's options and more, leaving the former alone.
func (k *Kafka) with(more ...kgo.Opt) []kgo.Opt {
	return append(append([]kgo.Opt(nil), k.common...), more...)
}

type kafkaProducer struct {
	client *kgo.Client
	topic  string
	done   func(*kgo.Record, error)
	pool   sync.Pool
}

// Produce implements Target.
func (k *Kafka) Produce(topic string, acked func(payload []byte, err error)) (Producer, error) {
	cl, err := kgo.NewClient(append(k.with(), k.producer...)...)
	if err != nil {
		return nil, err
	}
	p := &kafkaProducer{client: cl, topic: topic}
	p.done = func(r *kgo.Record, err error) {
		acked(r.Value, err)
		*r = kgo.Record{}
		p.pool.Put(r)
	}
	return p, nil
}

// Send implements Producer.
func (p *kafkaProducer) Send(key, payload []byte) {
	r, _ := p.pool.Get().(*kgo.Record)
	if r == nil {
		r = new(kgo.Record)
	}
	r.Topic, r.Key, r.Value = p.topic, key, payload
	p.client.Produce(context.Background(), r, p.done)
}

// Flush implements Producer.
func (p *kafkaProducer) Flush(ctx context.Context) error { return p.client.Flush(ctx) }

// Close implements Producer.
func (p *kafkaProducer) Close() { p.client.Close() }

type kafkaConsumer struct {
	client   *kgo.Client
	assigned chan struct{} // closed once it has been given its partitions
	done     chan struct{}
}

// Consume implements Target. A topic of the run's own is read from its start, so
// that a consumer that joins late misses nothing.
func (k *Kafka) Consume(_ context.Context, topic, subscription string, received func(payload []byte)) (Consumer, error) {
	c := &kafkaConsumer{assigned: make(chan struct{}), done: make(chan struct{})}
	// Called after every rebalance, also with nothing new.
	once := sync.OnceFunc(func() { close(c.assigned) })
	opts := k.with(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(topic+"-"+subscription),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { once() }))
	cl, err := kgo.NewClient(append(opts, k.consumer...)...)
	if err != nil {
		return nil, err
	}
	c.client = cl
	go func() {
		defer close(c.done)
		for {
			fetches := cl.PollFetches(context.Background())
			if fetches.IsClientClosed() {
				return
			}
			fetches.EachRecord(func(r *kgo.Record) { received(r.Value) })
		}
	}()
	return c, nil
}

// Ready implements Consumer.
func (c *kafkaConsumer) Ready(ctx context.Context) error {
	timer := time.NewTimer(groupReadySeconds * time.Second)
	defer timer.Stop()
	select {
	case <-c.assigned:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("a consumer was given no partitions by its group within %d s", groupReadySeconds)
	}
}

// Close implements Consumer.
func (c *kafkaConsumer) Close() {
	c.client.Close()
	<-c.done
}
