package kafka

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/grafana/sobek"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.k6.io/k6/js/promises"
)

// producerConfig is xk6-kafka's WriterConfig, as far as it has an effect.
type producerConfig struct {
	connection
	Topic           string   `json:"topic"`           // for messages that name none
	AutoCreateTopic bool     `json:"autoCreateTopic"` // the broker must allow it too
	Balancer        string   `json:"balancer"`        // of records without a partition
	RequiredAcks    *int     `json:"requiredAcks"`    // -1 all in-sync replicas, the default; 1 the leader; 0 nobody
	Idempotence     *bool    `json:"idempotence"`     // on unless requiredAcks is not -1
	Compression     string   `json:"compression"`
	BatchBytes      int32    `json:"batchBytes"`      // largest batch, default 1 MB
	BatchTimeout    duration `json:"batchTimeout"`    // linger; default none
	MaxAttempts     int      `json:"maxAttempts"`     // tries of a record; default no limit but the time-out
	DeliveryTimeout duration `json:"deliveryTimeout"` // how long a record is tried, default 10 s
	WriteTimeout    duration `json:"writeTimeout"`    // of one request, default 10 s
	TransactionalID string   `json:"transactionalId"`
}

// Producer writes records. Producers with the same configuration share one
// client over all VUs, except transactional ones.
type Producer struct {
	i       *instance
	cfg     producerConfig
	client  *client
	acks    float64
	mu      sync.Mutex
	pending int
}

func (i *instance) newProducer(call sobek.ConstructorCall) *sobek.Object {
	p := &Producer{i: i, acks: -1}
	if err := decode(call.Arguments, "Producer", &p.cfg); err != nil {
		i.throw(err)
	}
	opts, err := p.cfg.options()
	if err != nil {
		i.throw(err)
	}
	if p.cfg.RequiredAcks != nil {
		p.acks = float64(*p.cfg.RequiredAcks)
	}
	if p.cfg.TransactionalID != "" {
		p.client = i.root.clients.own(p.cfg.Brokers, opts)
	} else {
		key, err := json.Marshal(p.cfg)
		if err != nil {
			i.throw(err)
		}
		p.client = i.root.clients.share("producer "+string(key), p.cfg.Brokers, opts)
	}
	return i.object(call, p)
}

func (c *producerConfig) options() ([]kgo.Opt, error) {
	opts, err := c.connection.options("Producer")
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.RecordDeliveryTimeout(c.DeliveryTimeout.or(deliveryTimeoutDefault)),
		kgo.ProduceRequestTimeout(c.WriteTimeout.or(deliveryTimeoutDefault)))
	acks := -1
	if c.RequiredAcks != nil {
		acks = *c.RequiredAcks
	}
	switch acks {
	case -1:
		if c.Idempotence != nil && !*c.Idempotence {
			opts = append(opts, kgo.DisableIdempotentWrite())
		}
	case 0, 1:
		if c.Idempotence != nil && *c.Idempotence || c.TransactionalID != "" {
			return nil, errors.New("Producer: idempotence and transactions need requiredAcks -1")
		}
		level := kgo.LeaderAck()
		if acks == 0 {
			level = kgo.NoAck()
		}
		opts = append(opts, kgo.RequiredAcks(level), kgo.DisableIdempotentWrite())
	default:
		return nil, fmt.Errorf("Producer: requiredAcks %d is none of -1, 0, 1", acks)
	}
	codec, ok := map[string]kgo.CompressionCodec{"": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[c.Compression]
	if !ok {
		return nil, fmt.Errorf("Producer: compression %q is none of CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD", c.Compression)
	}
	opts = append(opts, kgo.ProducerBatchCompression(codec))
	partitioner, err := c.partitioner()
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.RecordPartitioner(partitioner))
	if c.AutoCreateTopic {
		opts = append(opts, kgo.AllowAutoTopicCreation())
	}
	if c.BatchBytes > 0 {
		opts = append(opts, kgo.ProducerBatchMaxBytes(c.BatchBytes))
	}
	opts = append(opts, kgo.ProducerLinger(max(0, time.Duration(c.BatchTimeout))))
	if c.MaxAttempts > 0 {
		opts = append(opts, kgo.RecordRetries(c.MaxAttempts-1))
	}
	if c.TransactionalID != "" {
		opts = append(opts, kgo.TransactionalID(c.TransactionalID))
	}
	return opts, nil
}

// partitioner honours a record's own partition and uses the balancer for others.
func (c *producerConfig) partitioner() (kgo.Partitioner, error) {
	var otherwise kgo.Partitioner
	switch c.Balancer {
	case "", "balancer_murmur2":
		otherwise = kgo.StickyKeyPartitioner(nil)
	case "balancer_roundrobin":
		otherwise = kgo.RoundRobinPartitioner()
	default:
		return nil, fmt.Errorf("Producer: balancer %q is none of BALANCER_MURMUR2, BALANCER_ROUND_ROBIN", c.Balancer)
	}
	return &explicitPartitioner{otherwise}, nil
}

// anyPartition marks a record whose partition the balancer chooses.
const anyPartition = -1

type explicitPartitioner struct{ kgo.Partitioner }

// ForTopic implements kgo.Partitioner.
func (p *explicitPartitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return &explicitTopicPartitioner{p.Partitioner.ForTopic(topic)}
}

type explicitTopicPartitioner struct{ kgo.TopicPartitioner }

// RequiresConsistency implements kgo.TopicPartitioner.
func (p *explicitTopicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition != anyPartition || p.TopicPartitioner.RequiresConsistency(r)
}

// OnNewBatch implements kgo.TopicPartitionerOnNewBatch, for balancers that stick
// to a partition until a batch is full.
func (p *explicitTopicPartitioner) OnNewBatch() {
	if sticky, ok := p.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		sticky.OnNewBatch()
	}
}

// Partition implements kgo.TopicPartitioner.
func (p *explicitTopicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition != anyPartition {
		return int(r.Partition)
	}
	return p.TopicPartitioner.Partition(r, n)
}

// Produce writes {messages: [...]} and returns when the fate of all is known; it
// throws if one of them failed.
func (p *Producer) Produce(config sobek.Value) error {
	records, err := p.records(config)
	if err != nil {
		return err
	}
	return p.send(p.i.vu.Context(), records)
}

// ProduceAsync is Produce as a promise.
func (p *Producer) ProduceAsync(config sobek.Value) (*sobek.Promise, error) {
	records, err := p.records(config)
	if err != nil {
		return nil, err
	}
	promise, resolve, reject := promises.New(p.i.vu)
	go func() {
		if err := p.send(p.i.vu.Context(), records); err != nil {
			reject(err)
			return
		}
		resolve(sobek.Undefined())
	}()
	return promise, nil
}

// records reads the messages. Their bytes are copied: JavaScript may change its
// own while records are on their way.
func (p *Producer) records(config sobek.Value) ([]*kgo.Record, error) {
	outer, ok := export(config).(map[string]any)
	if !ok {
		return nil, errors.New("produce takes { messages: [ ... ] }")
	}
	list, ok := outer["messages"].([]any)
	if !ok || len(outer) != 1 {
		return nil, errors.New("produce takes { messages: [ ... ] } and nothing else")
	}
	records := make([]*kgo.Record, 0, len(list))
	for n, m := range list {
		r, err := p.record(m)
		if err != nil {
			return nil, fmt.Errorf("produce: messages[%d]: %w", n, err)
		}
		records = append(records, r)
	}
	return records, nil
}

func (p *Producer) record(m any) (r *kgo.Record, err error) {
	fields, ok := m.(map[string]any)
	if !ok {
		return nil, errors.New("is no object")
	}
	r = &kgo.Record{Topic: p.cfg.Topic, Partition: anyPartition}
	for name, v := range fields {
		switch name {
		case "topic":
			r.Topic, ok = v.(string)
		case "partition":
			var n int64
			if n, ok = v.(int64); ok {
				r.Partition = int32(n)
			}
		case "key":
			r.Key, ok = bytesOf(v)
		case "value":
			r.Value, ok = bytesOf(v)
		case "time":
			r.Timestamp, ok = v.(time.Time)
		case "headers":
			r.Headers, ok = headersOf(v)
		case "offset", "highwaterMark":
			ok = true // of a message that was consumed and is sent on
		default:
			return nil, fmt.Errorf("%s is not known", name)
		}
		if !ok {
			return nil, fmt.Errorf("%s has the wrong type %T", name, v)
		}
	}
	if r.Topic == "" {
		return nil, errors.New("names no topic, and neither does the Producer")
	}
	return r, nil
}

func headersOf(v any) (headers []kgo.RecordHeader, ok bool) {
	fields, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	for key, value := range fields {
		b, ok := bytesOf(value)
		if !ok {
			return nil, false
		}
		headers = append(headers, kgo.RecordHeader{Key: key, Value: b})
	}
	return headers, true
}

// bytesOf copies text, an ArrayBuffer or an Uint8Array; null is null.
func bytesOf(v any) (b []byte, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return []byte(v), true
	case []byte:
		return append([]byte{}, v...), true
	case sobek.ArrayBuffer:
		return append([]byte{}, v.Bytes()...), true
	}
	return nil, false
}

func export(v sobek.Value) any {
	if v == nil {
		return nil
	}
	return v.Export()
}

// batch is what became of records that were sent together.
type batch struct {
	mu       sync.Mutex
	messages int
	bytes    int
	errors   int
	first    error
	longest  time.Duration
}

func (b *batch) add(r *kgo.Record, latency time.Duration, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.errors++
		if b.first == nil {
			b.first = fmt.Errorf("produce to %s: %w", r.Topic, err)
		}
		return
	}
	b.messages++
	b.bytes += len(r.Key) + len(r.Value)
	b.longest = max(b.longest, latency)
}

func (p *Producer) send(ctx context.Context, records []*kgo.Record) error {
	cl, err := p.client.get(ctx)
	if err != nil {
		p.report(&batch{errors: len(records)}, p.topicOf(records))
		return err
	}
	var b batch
	var group sync.WaitGroup
	group.Add(len(records))
	p.await(len(records))
	begin := time.Now()
	for _, r := range records {
		cl.Produce(ctx, r, func(r *kgo.Record, err error) {
			latency := time.Since(begin)
			if err == nil {
				p.i.root.latencies.produce.record(latency)
			}
			b.add(r, latency, err)
			p.await(-1)
			group.Done()
		})
	}
	group.Wait()
	p.report(&b, p.topicOf(records))
	return b.first
}

func (p *Producer) topicOf(records []*kgo.Record) string {
	if len(records) > 0 {
		return records[0].Topic
	}
	return p.cfg.Topic
}

func (p *Producer) await(n int) {
	p.mu.Lock()
	p.pending += n
	p.mu.Unlock()
}

// report gives k6 one sample a batch.
func (p *Producer) report(b *batch, topic string) {
	m := p.i.metrics
	values := []value{
		{m.writeCount, 1}, {m.writerMessages, float64(b.messages)}, {m.writerBytes, float64(b.bytes)},
		{m.writerErrors, float64(b.errors)}, {m.batchSize, float64(b.messages + b.errors)}, {m.acksRequired, p.acks},
	}
	if b.messages > 0 {
		values = append(values, value{m.batchSeconds, milliseconds(b.longest)})
	}
	p.i.push(topic, values...)
}

// Flush waits until nothing of this client is on its way, at most the delivery
// time-out.
func (p *Producer) Flush() error {
	cl, err := p.client.get(p.i.vu.Context())
	if err != nil {
		return err
	}
	return cl.Flush(p.i.vu.Context())
}

// Stats returns how many records await their fate.
func (p *Producer) Stats() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return map[string]int{"pending": p.pending}
}

// Close ends a transactional producer. The client of others is shared and ends
// with the test; what this one sent has been answered already.
func (p *Producer) Close() {
	if p.cfg.TransactionalID != "" {
		p.i.root.clients.end(p.client)
	}
}

// BeginTransaction starts a transaction; the Producer needs a transactionalId of
// its own, such as `orders-${__VU}`.
func (p *Producer) BeginTransaction() error {
	cl, err := p.transactional()
	if err != nil {
		return err
	}
	return cl.BeginTransaction()
}

// CommitTransaction commits what was produced since BeginTransaction.
func (p *Producer) CommitTransaction() error { return p.endTransaction(kgo.TryCommit) }

// AbortTransaction aborts it.
func (p *Producer) AbortTransaction() error { return p.endTransaction(kgo.TryAbort) }

func (p *Producer) endTransaction(how kgo.TransactionEndTry) error {
	cl, err := p.transactional()
	if err != nil {
		return err
	}
	if err := cl.Flush(p.i.vu.Context()); err != nil {
		return fmt.Errorf("flush before the transaction's end: %w", err)
	}
	return cl.EndTransaction(p.i.vu.Context(), how)
}

func (p *Producer) transactional() (*kgo.Client, error) {
	if p.cfg.TransactionalID == "" {
		return nil, errors.New("the Producer has no transactionalId; give it one of its own, such as `orders-${__VU}`")
	}
	return p.client.get(p.i.vu.Context())
}
