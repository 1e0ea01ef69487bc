package client

import (
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"pgregory.net/rapid"
)

// Goal: a reader is given every record of its partitions in order and without
// a gap, a group's members share the partitions and lose none of them, and a
// commit never runs ahead of what was handed out.
// Method: producers and consumers against the toy cluster, with faults.

// readLog is a consumer's observer that holds it to its contract.
type readLog struct {
	t         failer
	next      map[TopicPartition]int64 // by partition, of what this reader was given last
	owned     map[TopicPartition]bool
	seen      map[TopicPartition]map[int64]uint64 // shared by a group: offset to batch
	delivered int64
	dup       int64
	commits   int
	lists     int
	stopped   string
}

func newReadLog(t failer, seen map[TopicPartition]map[int64]uint64) *readLog {
	return &readLog{t: t, next: map[TopicPartition]int64{}, owned: map[TopicPartition]bool{}, seen: seen}
}

func (l *readLog) Delivered(d *Delivery) {
	p := TopicPartition{d.Topic, d.Partition}
	if !l.owned[p] {
		l.t.Fatalf("delivered %v which is not assigned", p)
	}
	if at, ok := l.next[p]; !ok || at != d.BaseOffset {
		l.t.Fatalf("delivered %v from %d, expected %d (%v)", p, d.BaseOffset, at, ok)
	}
	if d.Count != recordsOf(d.Intended) || d.Count < 1 || d.FirstIndex+d.Count > d.BatchCount {
		l.t.Fatalf("delivery %+v", d)
	}
	if l.seen[p] == nil {
		l.seen[p] = map[int64]uint64{}
	}
	for i := range d.Count {
		o := d.BaseOffset + int64(i)
		if b, ok := l.seen[p][o]; ok {
			l.dup++
			if b != d.BatchID {
				l.t.Fatalf("%v@%d holds %x and %x", p, o, b, d.BatchID)
			}
		}
		l.seen[p][o] = d.BatchID
	}
	l.next[p] += int64(d.Count)
	l.delivered += int64(d.Count)
}
func (l *readLog) HighWatermark(int32, TopicPartition, int64, int32) {}
func (l *readLog) Position(_ int32, p TopicPartition, offset int64, _ PositionReason) {
	l.next[p] = offset
}
func (l *readLog) PassedOver(o *PassedOver) {
	l.t.Fatalf("passed over %+v: nothing compacts here", *o)
}
func (l *readLog) CommitInvoked(c *Commit) {
	p := TopicPartition{c.Topic, c.Partition}
	if !l.owned[p] || c.Offset > l.next[p] {
		l.t.Fatalf("commits %+v, was given up to %d", c, l.next[p])
	}
}
func (l *readLog) Committed(_ *Commit, ok bool, _ int16) {
	if ok {
		l.commits++
	}
}
func (l *readLog) FetchInvoked(int32, TopicPartition)                       {}
func (l *readLog) FetchAnswered(int32, TopicPartition, int64, uint64, bool) {}
func (l *readLog) Assigned(_, _ int32, _ string, ps []TopicPartition) {
	for _, p := range ps {
		if l.owned[p] {
			l.t.Fatalf("%v is assigned twice", p)
		}
		l.owned[p] = true
		delete(l.next, p)
	}
}
func (l *readLog) Revoked(_, _ int32, _ string, ps []TopicPartition) {
	for _, p := range ps {
		if !l.owned[p] {
			l.t.Fatalf("%v is revoked and was not assigned", p)
		}
		delete(l.owned, p)
	}
}
func (l *readLog) Lost(a, b int32, c string, ps []TopicPartition) { l.Revoked(a, b, c, ps) }
func (l *readLog) Corrupt(_ int32, p TopicPartition, o int64, w string) {
	l.t.Fatalf("corrupt %v@%d: %s", p, o, w)
}
func (l *readLog) ListedEnd(*ListedEnd)                             { l.lists-- }
func (l *readLog) ListInvoked(int32, TopicPartition, clock.Instant) { l.lists++ }
func (l *readLog) Stopped(_ int32, _ int16, reason string)          { l.stopped = reason }

func testConsumer(w *toy, l *readLog, index int32, change func(*ConsumerConfig)) *Consumer {
	s := clientconfig.DefaultConsumer()
	s.AutoOffsetReset = clientconfig.ResetEarliest
	cfg := ConsumerConfig{Identity: Identity{Name: "c", Bootstrap: w.addresses(), Seed: uint64(index)}, Index: index, Settings: s,
		Topics: []Topic{{"orders", 5}}, Stop: clock.Never, Observer: l}
	change(&cfg)
	c := NewConsumer(cfg)
	w.add(c)
	return c
}

func (w *toy) all(topic string) (n int64) {
	for _, p := range w.topics[topic].partitions {
		n += p.end
	}
	return n
}

func unique(seen map[TopicPartition]map[int64]uint64) (n int64) {
	for _, m := range seen {
		n += int64(len(m))
	}
	return n
}

func TestConsumerAssigned(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newToy(rapid.Uint64().Draw(t, "seed"), 3)
		w.topic("orders", rapid.IntRange(1, 6).Draw(t, "partitions"))
		p := testProducer(w, newLedger(t), Load{Kind: ConstantRate, Rate: Rate{2000, time.Second}, End: clock.Instant(time.Second)}, nil)
		w.dropBefore = rapid.IntRange(0, 20).Draw(t, "drop before")
		w.dropAfter = rapid.IntRange(0, 20).Draw(t, "drop after")
		w.move = rapid.IntRange(0, 20).Draw(t, "move")
		l := newReadLog(t, map[TopicPartition]map[int64]uint64{})
		c := testConsumer(w, l, 1, func(cfg *ConsumerConfig) {
			cfg.Assign = true
			cfg.Ends = 100 * time.Millisecond
			cfg.Settings.MaxPollRecords = rapid.SampledFrom([]int64{500, 7}).Draw(t, "poll")
			cfg.ProcessingTime = time.Duration(rapid.IntRange(0, 100).Draw(t, "processing")) * time.Microsecond
		})
		if !w.run(clock.Instant(5*time.Minute), func() bool { return p.Drained() && l.delivered >= w.all("orders") }) {
			t.Fatalf("read %d of %d: %+v %s", l.delivered, w.all("orders"), c.Stats(), l.stopped)
		}
		if l.dup > 0 || unique(l.seen) != w.all("orders") {
			t.Fatalf("%d doubles", l.dup)
		}
	})
}

func TestConsumerGroup(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newToy(rapid.Uint64().Draw(t, "seed"), 3)
		w.topic("orders", rapid.IntRange(1, 6).Draw(t, "partitions"))
		p := testProducer(w, newLedger(t), Load{Kind: ConstantRate, Rate: Rate{100, time.Second}, End: clock.Instant(15 * time.Second)}, nil)
		w.dropBefore = rapid.IntRange(0, 10).Draw(t, "drop before")
		w.dropAfter = rapid.IntRange(0, 5).Draw(t, "drop after")
		w.move = rapid.IntRange(0, 2).Draw(t, "move")
		assignor := clientconfig.Assignor(rapid.IntRange(0, 3).Draw(t, "assignor"))
		auto := rapid.Bool().Draw(t, "auto commit")
		seen := map[TopicPartition]map[int64]uint64{}
		var logs []*readLog
		var consumers []*Consumer
		for i := range rapid.IntRange(1, 4).Draw(t, "members") {
			l := newReadLog(t, seen)
			logs = append(logs, l)
			consumers = append(consumers, testConsumer(w, l, int32(i), func(cfg *ConsumerConfig) {
				cfg.Settings.GroupID = "billing"
				cfg.Settings.EnableAutoCommit = auto
				cfg.CommitAfterPoll = !auto
				cfg.Settings.Assignors = clientconfig.Assignors{Count: 1, List: [clientconfig.AssignorsMax]clientconfig.Assignor{assignor}}
				cfg.Start = clock.Instant(i) * clock.Instant(time.Second) * 2
				if i > 0 && rapid.Bool().Draw(t, "stops") {
					cfg.Stop = clock.Instant(12 * time.Second)
				}
			}))
		}
		done := func() bool { return p.Drained() && unique(seen) >= w.all("orders") }
		if !w.run(clock.Instant(5*time.Minute), done) {
			for i, c := range consumers {
				t.Logf("%d: %+v group %+v app %d %s", i, c.Stats(), c.group, c.app, logs[i].stopped)
			}
			t.Fatalf("read %d of %d at %v; group %+v", unique(seen), w.all("orders"), w.now, w.groups)
		}
		for i := range logs {
			if logs[i].stopped != "" {
				t.Fatalf("member %d stopped: %s", i, logs[i].stopped)
			}
		}
	})
}
