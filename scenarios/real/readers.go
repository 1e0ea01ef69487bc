package real

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// positions is where one reader goes on, by partition; a partition that is not
// there has been assigned anew.
type positions struct {
	mu sync.Mutex
	at map[lin.Partition]int64
}

func (p *positions) forget(w *workload, revoked map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for topic, partitions := range revoked {
		for _, index := range partitions {
			delete(p.at, lin.Partition{Topic: w.topic(topic), Index: index})
		}
	}
}

func (w *workload) topic(name string) int32 {
	for t := range w.scenario.Topics {
		if w.scenario.Topics[t].Name == name {
			return int32(t)
		}
	}
	return -1
}

// consumes is one consumer of a group, through its stops and starts.
func (w *workload) consumes(ctx context.Context, group *scenarios.Consumer, name, zone string, reader int32) {
	from := group.StartAt
	if from == 0 {
		from = -warmUp
	}
	for _, pause := range group.Pauses {
		w.memberUntil(ctx, group, name, zone, reader, from, pause.At)
		from = pause.At + pause.For
	}
	stop := group.StopAt
	if stop == 0 {
		stop = w.scenario.Duration + 2*settleTime + auditWait // the context ends it before
	}
	w.memberUntil(ctx, group, name, zone, reader, from, stop)
}

// memberUntil is the time between two stops, in which a consumer may leave its group
// and join it again.
func (w *workload) memberUntil(ctx context.Context, group *scenarios.Consumer, name, zone string, reader int32, from, to time.Duration) {
	for from < to && ctx.Err() == nil {
		from = w.member(ctx, group, name, zone, reader, from, to)
	}
}

// member is one membership: from joining to leaving. It returns when the consumer is
// there again: at the end, or earlier if it did not poll for max.poll.interval.ms.
// Java's consumer leaves its group then; franz-go knows no such property, and has to
// be told to.
func (w *workload) member(ctx context.Context, group *scenarios.Consumer, name, zone string, reader int32, from, to time.Duration) time.Duration {
	if !sleep(ctx, from-w.ledger.now()) {
		return to
	}
	at := &positions{at: map[lin.Partition]int64{}}
	cl, err := w.reader(name, w.memberOptions(group, name, zone, at)...)
	if err != nil {
		w.ledger.told("consume", err)
		return to
	}
	defer cl.CloseAllowingRebalance()
	ctx, cancel := context.WithTimeout(ctx, max(0, to-w.ledger.now()))
	defer cancel()
	limit := time.Duration(group.Settings.MaxPollIntervalMillis) * time.Millisecond
	for ctx.Err() == nil {
		if back := w.rest(ctx, limit, stallOf(group, w.ledger.now())); back > 0 {
			return back
		}
		poll, end := context.WithTimeout(ctx, untilStall(group, w.ledger.now()))
		fetches := cl.PollRecords(poll, int(group.Settings.MaxPollRecords))
		end()
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil && !errors.Is(e.Err, context.DeadlineExceeded) {
				w.ledger.told("consume", e.Err)
			}
		}
		n := w.hand(reader, group.Group, at, fetches)
		if back := w.rest(ctx, limit, time.Duration(n)*group.ProcessingTime); back > 0 {
			return back
		}
		if n > 0 && !group.Settings.EnableAutoCommit {
			if err := cl.CommitUncommittedOffsets(ctx); err != nil && ctx.Err() == nil {
				w.ledger.told("commit", err)
			}
		}
		cl.AllowRebalance()
	}
	return to
}

// untilStall is how long a poll may take: until the next stall, or for pollTime.
func untilStall(group *scenarios.Consumer, now time.Duration) time.Duration {
	for _, stall := range group.Stalls {
		if stall.At > now {
			return min(stall.At-now, pollTime)
		}
	}
	return pollTime
}

// pollTime is what an application gives to poll.
const pollTime = time.Second

// rest passes time without a poll, up to the limit. It returns when a consumer that
// rests for longer will be back, or 0.
func (w *workload) rest(ctx context.Context, limit, d time.Duration) (back time.Duration) {
	sleep(ctx, min(d, limit))
	if d <= limit {
		return 0
	}
	return w.ledger.now() + d - limit
}

// stallOf is how much longer a consumer does not poll, 0 if it does.
func stallOf(group *scenarios.Consumer, now time.Duration) time.Duration {
	for _, stall := range group.Stalls {
		if end := stall.At + stall.For; now >= stall.At && now < end {
			return end - now
		}
	}
	return 0
}

func (w *workload) memberOptions(group *scenarios.Consumer, name, zone string, at *positions) []kgo.Opt {
	s := &group.Settings
	millis := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	opts := []kgo.Opt{
		kgo.ConsumerGroup(group.Group), kgo.ConsumeTopics(group.Topics...), kgo.BlockRebalanceOnPoll(), kgo.Rack(cmp.Or(s.ClientRack, zone)),
		kgo.SessionTimeout(millis(s.SessionTimeoutMillis)), kgo.HeartbeatInterval(millis(s.HeartbeatIntervalMillis)),
		kgo.RebalanceTimeout(millis(s.MaxPollIntervalMillis)), // as Java's JoinGroup says it
		kgo.MetadataMaxAge(metadataAge(&s.Common)), kgo.FetchMaxWait(millis(s.FetchMaxWaitMillis)), kgo.RequestTimeoutOverhead(millis(s.RequestTimeoutMillis)),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { w.ledger.rebalanced() }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { at.forget(w, lost) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { at.forget(w, lost) }),
	}
	if !s.EnableAutoCommit {
		opts = append(opts, kgo.DisableAutoCommit())
	}
	if s.AutoOffsetReset == clientconfig.ResetEarliest {
		opts = append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	} else {
		opts = append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	}
	if group.InstanceIDs {
		opts = append(opts, kgo.InstanceID(name))
	}
	var balancers []kgo.GroupBalancer
	for _, a := range s.Assignors.All() {
		balancers = append(balancers, [...]kgo.GroupBalancer{kgo.RangeBalancer(), kgo.RoundRobinBalancer(), kgo.StickyBalancer(),
			kgo.CooperativeStickyBalancer()}[a])
	}
	return append(opts, kgo.Balancers(balancers...))
}

// hand gives the ledger what a reader got. A partition is read on from where it
// was; only what has been assigned anew may begin elsewhere.
func (w *workload) hand(reader int32, group string, at *positions, fetches kgo.Fetches) (n int) {
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		p := lin.Partition{Topic: w.topic(f.Topic), Index: f.Partition}
		if p.Topic < 0 {
			return // an error of the client itself
		}
		w.ledger.logStart(p, f.LogStartOffset)
		for _, r := range f.Records {
			i, err := readRecord(r, p)
			if err != nil {
				w.ledger.broken(p, r.Offset, err.Error())
				continue
			}
			at.mu.Lock()
			_, known := at.at[p]
			at.at[p] = r.Offset + 1
			at.mu.Unlock()
			w.ledger.delivered(&delivery{identity: i, reader: reader, group: group, offset: r.Offset, reset: !known, seen: seenOf(r)})
			n++
		}
	})
	return n
}

// auditWait bounds how long the auditor reads without getting on.
const auditWait = 30 * time.Second

// audit reads every partition from its first record to its end, after everything
// has come to rest. Without it a lost record would not be noticed.
func (w *workload) audit(ctx context.Context) error {
	reader := w.readers
	w.readers++
	admin, err := w.client("auditor")
	if err != nil {
		return err
	}
	starts, err := w.list(ctx, admin, -2)
	if err != nil {
		return err
	}
	ends, err := w.listStrictly(ctx, admin, reader)
	if err != nil {
		return err
	}
	from := map[string]map[int32]kgo.Offset{}
	at := &positions{at: map[lin.Partition]int64{}}
	left := 0
	for p, start := range starts {
		w.ledger.logStart(p, start)
		w.ledger.mu.Lock()
		w.ledger.checker.ReaderReset(reader, p, start, w.ledger.tick())
		w.ledger.mu.Unlock()
		at.at[p] = start
		if ends[p] > start {
			topic := w.scenario.Topics[p.Topic].Name
			if from[topic] == nil {
				from[topic] = map[int32]kgo.Offset{}
			}
			from[topic][p.Index] = kgo.NewOffset().At(start)
			left++
		}
	}
	if left > 0 {
		cl, err := w.reader("auditor", kgo.ConsumePartitions(from))
		if err != nil {
			return err
		}
		if err := w.readTo(ctx, cl, reader, at, ends); err != nil {
			return err
		}
	}
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for p, end := range ends {
		w.ledger.checker.Drained(reader, p, end, w.ledger.tick())
	}
	return nil
}

func (w *workload) readTo(ctx context.Context, cl *kgo.Client, reader int32, at *positions, ends map[lin.Partition]int64) error {
	missing := func() int64 {
		var sum int64
		for p, end := range ends {
			sum += max(0, end-at.at[p])
		}
		return sum
	}
	for missing() > 0 {
		poll, cancel := context.WithTimeout(ctx, auditWait)
		n := w.hand(reader, "", at, cl.PollFetches(poll))
		cancel()
		if n == 0 {
			return fmt.Errorf("the auditor got nothing for %v with %d records left", auditWait, missing())
		}
	}
	return nil
}

// listStrictly asks for the ends, which must cover what was acknowledged before
// (KIP-207).
func (w *workload) listStrictly(ctx context.Context, cl *kgo.Client, reader int32) (map[lin.Partition]int64, error) {
	w.ledger.mu.Lock()
	for t := range w.scenario.Topics {
		for p := range int32(w.scenario.PartitionsAtEnd(&w.scenario.Topics[t])) {
			w.ledger.checker.InvokeRead(reader, lin.Partition{Topic: int32(t), Index: p}, w.ledger.tick())
		}
	}
	w.ledger.mu.Unlock()
	ends, err := w.list(ctx, cl, -1)
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for p, end := range ends {
		w.ledger.checker.HighWatermark(reader, p, end, -1, true, w.ledger.tick())
	}
	return ends, err
}

// list asks every leader for its offsets: -1 for the end, -2 for the start.
func (w *workload) list(ctx context.Context, cl *kgo.Client, timestamp int64) (map[lin.Partition]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	for t := range w.scenario.Topics {
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = w.scenario.Topics[t].Name
		for p := range int32(w.scenario.PartitionsAtEnd(&w.scenario.Topics[t])) {
			part := kmsg.NewListOffsetsRequestTopicPartition()
			part.Partition, part.Timestamp = p, timestamp
			topic.Partitions = append(topic.Partitions, part)
		}
		req.Topics = append(req.Topics, topic)
	}
	out := map[lin.Partition]int64{}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, fmt.Errorf("list offsets: %w", shard.Err)
		}
		for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range topic.Partitions {
				if p.ErrorCode != 0 {
					return nil, fmt.Errorf("list offsets of %s-%d: error %d", topic.Topic, p.Partition, p.ErrorCode)
				}
				out[lin.Partition{Topic: w.topic(topic.Topic), Index: p.Partition}] = p.Offset
			}
		}
	}
	return out, nil
}
