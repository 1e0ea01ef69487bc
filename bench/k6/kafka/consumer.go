package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/grafana/sobek"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.k6.io/k6/js/promises"
)

// consumerConfig is xk6-kafka's ReaderConfig, as far as it has an effect.
type consumerConfig struct {
	connection
	GroupID          string   `json:"groupId"`
	GroupIDOld       string   `json:"groupID"` // the name before v2
	GroupTopics      []string `json:"groupTopics"`
	Topic            string   `json:"topic"`
	Partition        *int32   `json:"partition"` // of a Consumer without a group; default all
	Offset           *int64   `json:"offset"`    // where that one begins
	StartOffset      string   `json:"startOffset"`
	MinBytes         int32    `json:"minBytes"`
	MaxBytes         int32    `json:"maxBytes"`
	MaxWait          duration `json:"maxWait"` // how long consume waits, default 10 s
	GroupBalancers   []string `json:"groupBalancers"`
	InstanceID       string   `json:"groupInstanceId"`
	SessionTimeout   duration `json:"sessionTimeout"`
	RebalanceTimeout duration `json:"rebalanceTimeout"`
	Heartbeat        duration `json:"heartbeatInterval"`
	CommitInterval   duration `json:"commitInterval"` // default: when commitOffsets or close is called
	IsolationLevel   string   `json:"isolationLevel"`
}

// Consumer reads records. Each has a client of its own: as many members join a
// group as there are VUs that make one.
type Consumer struct {
	i          *instance
	cfg        consumerConfig
	client     *client
	positions  map[int32]int64
	rebalances atomic.Int64
	assigned   atomic.Int64
}

func (i *instance) newConsumer(call sobek.ConstructorCall) *sobek.Object {
	c := &Consumer{i: i, positions: map[int32]int64{}}
	if err := decode(call.Arguments, "Consumer", &c.cfg); err != nil {
		i.throw(err)
	}
	opts, err := c.options()
	if err != nil {
		i.throw(err)
	}
	c.client = i.root.clients.own(c.cfg.Brokers, opts)
	return i.object(call, c)
}

func (c *Consumer) options() ([]kgo.Opt, error) {
	cfg := &c.cfg
	if cfg.GroupID == "" {
		cfg.GroupID = cfg.GroupIDOld
	}
	topics := cfg.GroupTopics
	if cfg.Topic != "" {
		topics = append(topics, cfg.Topic)
	}
	if len(topics) == 0 {
		return nil, errors.New("Consumer: names no topic")
	}
	opts, err := cfg.connection.options("Consumer")
	if err != nil {
		return nil, err
	}
	start := kgo.NewOffset().AtStart()
	switch cfg.StartOffset {
	case "", "start_offsets_first_offset":
	case "start_offsets_last_offset":
		start = kgo.NewOffset().AtEnd()
	default:
		return nil, fmt.Errorf("Consumer: startOffset %q is none of START_OFFSETS_FIRST_OFFSET, START_OFFSETS_LAST_OFFSET", cfg.StartOffset)
	}
	opts = append(opts, kgo.ConsumeResetOffset(start))
	switch cfg.IsolationLevel {
	case "", "isolation_level_read_uncommitted":
	case "isolation_level_read_committed":
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	default:
		return nil, fmt.Errorf("Consumer: isolationLevel %q is none of ISOLATION_LEVEL_READ_UNCOMMITTED, ISOLATION_LEVEL_READ_COMMITTED", cfg.IsolationLevel)
	}
	if cfg.MinBytes > 0 {
		opts = append(opts, kgo.FetchMinBytes(cfg.MinBytes))
	}
	if cfg.MaxBytes > 0 {
		opts = append(opts, kgo.FetchMaxBytes(cfg.MaxBytes))
	}
	if cfg.GroupID == "" {
		return c.withoutGroup(opts, topics, start)
	}
	if cfg.Partition != nil || cfg.Offset != nil {
		return nil, errors.New("Consumer: partition and offset are for a Consumer without a groupId")
	}
	return c.inGroup(opts, topics)
}

func (c *Consumer) withoutGroup(opts []kgo.Opt, topics []string, start kgo.Offset) ([]kgo.Opt, error) {
	cfg := &c.cfg
	if cfg.Offset != nil {
		start = kgo.NewOffset().At(*cfg.Offset)
		if cfg.Partition == nil {
			return nil, errors.New("Consumer: offset needs a partition")
		}
	}
	if cfg.Partition != nil {
		if len(topics) != 1 {
			return nil, errors.New("Consumer: partition needs one topic")
		}
		return append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topics[0]: {*cfg.Partition: start}})), nil
	}
	return append(opts, kgo.ConsumeTopics(topics...)), nil
}

func (c *Consumer) inGroup(opts []kgo.Opt, topics []string) ([]kgo.Opt, error) {
	cfg := &c.cfg
	opts = append(opts, kgo.ConsumerGroup(cfg.GroupID), kgo.ConsumeTopics(topics...), kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(cfg.CommitInterval.or(24*time.Hour)),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			c.rebalances.Add(1)
			for _, partitions := range got {
				c.assigned.Add(int64(len(partitions)))
			}
		}),
		kgo.OnPartitionsRevoked(func(ctx context.Context, cl *kgo.Client, lost map[string][]int32) {
			// What was handed out counts as read; whoever gets the partition goes on there.
			_ = cl.CommitMarkedOffsets(ctx)
			c.unassign(lost)
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { c.unassign(lost) }))
	var balancers []kgo.GroupBalancer
	for _, name := range cfg.GroupBalancers {
		b, ok := map[string]kgo.GroupBalancer{"group_balancer_range": kgo.RangeBalancer(),
			"group_balancer_round_robin": kgo.RoundRobinBalancer(), "group_balancer_cooperative_sticky": kgo.CooperativeStickyBalancer()}[name]
		if !ok {
			return nil, fmt.Errorf("Consumer: groupBalancers: %q is none of GROUP_BALANCER_RANGE, GROUP_BALANCER_ROUND_ROBIN, GROUP_BALANCER_COOPERATIVE_STICKY", name)
		}
		balancers = append(balancers, b)
	}
	if balancers != nil {
		opts = append(opts, kgo.Balancers(balancers...))
	}
	if cfg.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(cfg.InstanceID))
	}
	if cfg.SessionTimeout > 0 {
		opts = append(opts, kgo.SessionTimeout(time.Duration(cfg.SessionTimeout)))
	}
	if cfg.RebalanceTimeout > 0 {
		opts = append(opts, kgo.RebalanceTimeout(time.Duration(cfg.RebalanceTimeout)))
	}
	if cfg.Heartbeat > 0 {
		opts = append(opts, kgo.HeartbeatInterval(time.Duration(cfg.Heartbeat)))
	}
	return opts, nil
}

func (c *Consumer) unassign(lost map[string][]int32) {
	for _, partitions := range lost {
		c.assigned.Add(-int64(len(partitions)))
	}
}

// want is what consume and count take.
type want struct {
	Limit         int      `json:"limit"` // the name before v2
	MaxMessages   int      `json:"maxMessages"`
	N             int      `json:"n"`             // count's
	NanoPrecision bool     `json:"nanoPrecision"` // times as text with nanoseconds
	ExpectTimeout bool     `json:"expectTimeout"` // fewer messages are no error
	Timeout       duration `json:"timeout"`       // instead of maxWait
}

func (c *Consumer) want(config sobek.Value, what string) (*want, error) {
	w := &want{}
	if err := decode([]sobek.Value{config}, what, w); err != nil {
		return nil, err
	}
	w.MaxMessages = max(w.MaxMessages, w.Limit, w.N)
	if w.MaxMessages < 1 {
		return nil, fmt.Errorf("%s: maxMessages must be at least 1", what)
	}
	w.Timeout = duration(w.Timeout.or(c.cfg.MaxWait.or(maxWaitDefault)))
	return w, nil
}

// Consume returns maxMessages messages, each once. It waits no longer than
// maxWait; then it throws, or with expectTimeout returns what there is.
func (c *Consumer) Consume(config sobek.Value) ([]any, error) {
	w, err := c.want(config, "consume")
	if err != nil {
		return nil, err
	}
	records, err := c.read(c.i.vu.Context(), w)
	if err != nil {
		return nil, err
	}
	return c.messages(records, w), nil
}

// ConsumeAsync is Consume as a promise.
func (c *Consumer) ConsumeAsync(config sobek.Value) (*sobek.Promise, error) {
	w, err := c.want(config, "consume")
	if err != nil {
		return nil, err
	}
	return c.async(func(ctx context.Context) (any, error) {
		records, err := c.read(ctx, w)
		if err != nil {
			return nil, err
		}
		return records, nil
	}, func(v any) any { return c.messages(v.([]*kgo.Record), w) }), nil
}

// Count reads {n} records, or what comes in time, and returns how many. It makes
// no JavaScript objects of them: it is for high rates.
func (c *Consumer) Count(config sobek.Value) (int, error) {
	w, err := c.want(config, "count")
	if err != nil {
		return 0, err
	}
	return c.count(c.i.vu.Context(), w)
}

// CountAsync is Count as a promise.
func (c *Consumer) CountAsync(config sobek.Value) (*sobek.Promise, error) {
	w, err := c.want(config, "count")
	if err != nil {
		return nil, err
	}
	return c.async(func(ctx context.Context) (any, error) { return c.count(ctx, w) }, func(v any) any { return v }), nil
}

// async runs work beside the VU and makes its result JavaScript in the VU.
func (c *Consumer) async(work func(context.Context) (any, error), result func(any) any) *sobek.Promise {
	promise, resolve, reject := promises.New(c.i.vu)
	ctx := c.i.vu.Context()
	go func() {
		v, err := work(ctx)
		if err != nil {
			reject(err)
			return
		}
		resolve(result(v))
	}()
	return promise
}

func (c *Consumer) count(ctx context.Context, w *want) (n int, err error) {
	err = c.poll(ctx, w, func(records []*kgo.Record) { n += len(records) })
	return n, err
}

func (c *Consumer) read(ctx context.Context, w *want) (all []*kgo.Record, err error) {
	err = c.poll(ctx, w, func(records []*kgo.Record) { all = append(all, records...) })
	return all, err
}

// poll hands out records until there are enough or the time is over.
func (c *Consumer) poll(ctx context.Context, w *want, take func([]*kgo.Record)) error {
	cl, err := c.client.get(ctx)
	if err != nil {
		c.i.push(c.cfg.Topic, value{c.i.metrics.readerErrors, 1})
		return err
	}
	limited, cancel := context.WithTimeout(ctx, time.Duration(w.Timeout))
	defer cancel()
	begin := time.Now()
	for got := 0; got < w.MaxMessages; {
		fetches := cl.PollRecords(limited, w.MaxMessages-got)
		records := fetches.Records()
		got += len(records)
		c.report(fetches, records)
		cl.MarkCommitRecords(records...)
		take(records)
		if err := failure(fetches); err != nil {
			c.i.push(c.cfg.Topic, value{c.i.metrics.readerErrors, 1})
			return err
		}
		if got >= w.MaxMessages || limited.Err() == nil {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the test has ended with %d of %d messages", got, w.MaxMessages)
		}
		c.i.push(c.cfg.Topic, value{c.i.metrics.readerTimeouts, 1})
		if w.ExpectTimeout {
			break
		}
		return fmt.Errorf("%d of %d messages came within %v", got, w.MaxMessages, time.Duration(w.Timeout))
	}
	c.i.push(c.cfg.Topic, value{c.i.metrics.readSeconds, milliseconds(time.Since(begin))})
	return nil
}

// failure is the first error of a poll that is not its time-out.
func failure(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if !errors.Is(e.Err, context.DeadlineExceeded) && !errors.Is(e.Err, context.Canceled) {
			return fmt.Errorf("consume %s-%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}

// report records the latencies of what was read, and gives k6 one sample.
func (c *Consumer) report(fetches kgo.Fetches, records []*kgo.Record) {
	if len(records) == 0 {
		return
	}
	now := time.Now()
	m := c.i.metrics
	var size int
	var longest time.Duration
	for _, r := range records {
		latency := now.Sub(intended(r))
		c.i.root.latencies.endToEnd.record(latency)
		longest = max(longest, latency)
		size += len(r.Key) + len(r.Value)
		c.positions[r.Partition] = r.Offset + 1
	}
	var lag int64
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if n := len(p.Records); n > 0 {
			lag += max(0, p.HighWatermark-p.Records[n-1].Offset-1)
		}
	})
	last := records[len(records)-1]
	c.i.push(last.Topic, value{m.fetches, 1}, value{m.readerMessages, float64(len(records))}, value{m.readerBytes, float64(size)},
		value{m.endToEnd, milliseconds(longest)}, value{m.lag, float64(lag)}, value{m.offset, float64(last.Offset)},
		value{m.rebalances, float64(c.rebalances.Swap(0))})
}

// messages makes records JavaScript objects.
func (c *Consumer) messages(records []*kgo.Record, w *want) []any {
	rt := c.i.vu.Runtime()
	out := make([]any, 0, len(records))
	array := func(b []byte) any {
		if b == nil {
			return nil
		}
		o, err := rt.New(rt.Get("Uint8Array"), rt.ToValue(rt.NewArrayBuffer(b)))
		if err != nil {
			c.i.throw(err)
		}
		return o
	}
	layout := time.RFC3339
	if w.NanoPrecision {
		layout = time.RFC3339Nano
	}
	for _, r := range records {
		headers := map[string]any{}
		for _, h := range r.Headers {
			headers[h.Key] = array(h.Value)
		}
		out = append(out, map[string]any{
			"topic": r.Topic, "partition": r.Partition, "offset": r.Offset, "key": array(r.Key), "value": array(r.Value),
			"headers": headers, "time": r.Timestamp.Format(layout),
		})
	}
	return out
}

// Seek makes a partition of the topic go on at an offset.
func (c *Consumer) Seek(partition int32, offset int64) error {
	cl, err := c.client.get(c.i.vu.Context())
	if err != nil {
		return err
	}
	if c.cfg.GroupID != "" {
		cl.SetOffsets(map[string]map[int32]kgo.EpochOffset{c.cfg.Topic: {partition: {Epoch: -1, Offset: offset}}})
	} else {
		cl.RemoveConsumePartitions(map[string][]int32{c.cfg.Topic: {partition}})
		cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.cfg.Topic: {partition: kgo.NewOffset().At(offset)}})
	}
	c.positions[partition] = offset
	return nil
}

// Position returns the offset after the last record that was handed out of a
// partition, -1 if there was none.
func (c *Consumer) Position(partition int32) int64 {
	if offset, ok := c.positions[partition]; ok {
		return offset
	}
	return -1
}

// CommitOffsets commits what has been handed out.
func (c *Consumer) CommitOffsets() error {
	if c.cfg.GroupID == "" {
		return errors.New("commitOffsets needs a groupId")
	}
	cl, err := c.client.get(c.i.vu.Context())
	if err != nil {
		return err
	}
	return cl.CommitMarkedOffsets(c.i.vu.Context())
}

// Stats returns how many partitions the group has assigned to this Consumer.
func (c *Consumer) Stats() map[string]int64 {
	return map[string]int64{"assignments": c.assigned.Load()}
}

// Close commits what was handed out and leaves the group.
func (c *Consumer) Close() { c.i.root.clients.end(c.client) }
