package client

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"pgregory.net/rapid"
)

// Goal: between its arrival and its outcome no record is lost or doubled, and
// with idempotence the order of a partition is kept, whatever the cluster does.
// Method: random loads and settings against a toy cluster that drops
// connections, answers with errors and moves leaders; its logs are then read
// back and compared with what the observer was told.

// ledger is a producer's observer that holds it to its contract.
type ledger struct {
	t       failer
	invoked map[uint64]*ledgerBatch
	order   []uint64
	dropped int
	retried int
}

type ledgerBatch struct {
	partition, count int32
	outcome          string
	offset           int64
	intended         []Due
}

type failer interface {
	Fatalf(format string, args ...any)
}

func newLedger(t failer) *ledger { return &ledger{t: t, invoked: map[uint64]*ledgerBatch{}} }

func recordsOf(list []Due) (n int32) {
	for _, due := range list {
		n += due.Count
	}
	return n
}

func (l *ledger) Invoked(b *Batch) {
	if l.invoked[b.ID] != nil || b.Count != recordsOf(b.Intended) || b.Count < 1 {
		l.t.Fatalf("invoked batch %x with %d records and %d instants again", b.ID, b.Count, len(b.Intended))
	}
	l.invoked[b.ID] = &ledgerBatch{partition: b.Partition, count: b.Count, intended: slices.Clone(b.Intended)}
	l.order = append(l.order, b.ID)
}

func (l *ledger) end(b *Batch, outcome string, offset int64) {
	x := l.invoked[b.ID]
	if x == nil || x.outcome != "" {
		l.t.Fatalf("batch %x ends as %s: %+v", b.ID, outcome, x)
	}
	x.outcome, x.offset = outcome, offset
}

func (l *ledger) Acked(b *Batch, offset int64) { l.end(b, "acked", offset) }
func (l *ledger) Failed(b *Batch, _ int16, _ string, definite bool) {
	l.end(b, map[bool]string{true: "failed", false: "unknown"}[definite], -1)
}
func (l *ledger) Dropped(count int, _ string) { l.dropped += count }
func (l *ledger) Retried(*Batch, int16)       { l.retried++ }
func (l *ledger) Split(b *Batch, definite bool) {
	l.end(b, map[bool]string{true: "split", false: "unknown split"}[definite], -1)
}

func testProducer(w *toy, l *ledger, load Load, change func(*clientconfig.Producer)) *Producer {
	s := clientconfig.DefaultProducer()
	if change != nil {
		change(&s)
	}
	load.Instances = max(load.Instances, 1)
	if load.MessageSizeBytes == 0 {
		load.MessageSizeBytes = 100
	}
	if load.End == 0 {
		load.End = clock.Never
	}
	p := NewProducer(ProducerConfig{Identity: Identity{Name: "p", Bootstrap: w.addresses(), Seed: 7}, Index: 3, Settings: s,
		Topic: Topic{"orders", 5}, Load: load, Observer: l})
	w.add(p)
	return p
}

// found is where batches lie in the logs.
func (w *toy) found(t failer, topic string) (at map[uint64][]int64, order map[int32][]uint64) {
	at, order = map[uint64][]int64{}, map[int32][]uint64{}
	var scratch record.Scratch
	for i, p := range w.topics[topic].partitions {
		for _, b := range p.batches {
			var r record.Reader
			if err := r.Reset(b, &scratch); err != nil {
				t.Fatalf("%v", err)
			}
			id, n := uint64(0), uint32(0)
			for {
				rec, ok, err := r.Next()
				if err != nil {
					t.Fatalf("%v", err)
				}
				if !ok {
					break
				}
				var v payloadReader
				if problem := v.read(identityOf(rec)); problem != "" {
					t.Fatalf("p%d@%d: %s", i, r.Offset(), problem)
				}
				if v.index != n || n > 0 && v.batch != id || int32(v.count) != b.Count() || v.topic != 5 || v.partition != int32(i) {
					t.Fatalf("p%d@%d: %+v", i, r.Offset(), v)
				}
				id = v.batch
				n++
			}
			at[id] = append(at[id], b.BaseOffset())
			order[int32(i)] = append(order[int32(i)], id)
		}
	}
	return at, order
}

func TestProducerSmoke(t *testing.T) {
	w := newToy(1, 3)
	w.topic("orders", 4)
	l := newLedger(t)
	p := testProducer(w, l, Load{Kind: ConstantRate, Rate: Rate{1000, time.Second}, End: clock.Instant(2 * time.Second)}, nil)
	if !w.run(clock.Instant(time.Minute), p.Drained) {
		t.Fatalf("not drained: %+v", p.Stats())
	}
	s := p.Stats()
	if s.Due != 2000 || s.Acked != 2000 || s.Dropped != 0 || s.BufferedBytes != 0 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

func TestProducerKeepsRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newToy(rapid.Uint64().Draw(t, "seed"), 3)
		topic := w.topic("orders", rapid.IntRange(1, 5).Draw(t, "partitions"))
		w.dropBefore = rapid.IntRange(0, 60).Draw(t, "drop before")
		w.dropAfter = rapid.IntRange(0, 60).Draw(t, "drop after")
		w.errorsPer = rapid.IntRange(0, 100).Draw(t, "errors")
		w.move = rapid.IntRange(0, 50).Draw(t, "move")
		load := Load{Kind: LoadKind(rapid.IntRange(0, 3).Draw(t, "kind")), Rate: Rate{rapid.Int64Range(1, 5000).Draw(t, "rate"), time.Second},
			Stages: []Stage{{time.Second, Rate{3000, time.Second}}, {time.Second, Rate{100, time.Second}}},
			VUs:    rapid.Int64Range(1, 50).Draw(t, "vus"), Records: rapid.Int64Range(1, 5000).Draw(t, "records"),
			BatchRecords: rapid.SampledFrom([]int32{0, 0, 1, 7}).Draw(t, "batch"), End: clock.Instant(2 * time.Second),
			Keys: Keys{KeyDistribution(rapid.IntRange(0, 4).Draw(t, "keys")), 100, 99, 500_000, rapid.SampledFrom([]int64{0, 200_000}).Draw(t, "tombstones")}}
		if load.Kind == SharedIterations {
			load.End = clock.Never
		}
		w.batchMax = rapid.SampledFrom([]int{0, 0, 3000, 500}).Draw(t, "batch max")
		idempotent := rapid.Bool().Draw(t, "idempotent")
		inFlight := rapid.Int64Range(1, 5).Draw(t, "in flight")
		l := newLedger(t)
		p := testProducer(w, l, load, func(s *clientconfig.Producer) {
			s.EnableIdempotence = idempotent
			s.MaxInFlight = inFlight
			s.DeliveryTimeoutMillis = rapid.SampledFrom([]int64{120_000, 40_000, 2_000}).Draw(t, "delivery")
			s.RequestTimeoutMillis = 1000
			s.LingerMillis = rapid.SampledFrom([]int64{0, 5, 100}).Draw(t, "linger")
			s.BatchSizeBytes = rapid.SampledFrom([]int64{16384, 1000}).Draw(t, "size")
			s.BufferMemoryBytes = rapid.SampledFrom([]int64{32 << 20, 40_000}).Draw(t, "memory")
			s.MaxBlockMillis = rapid.SampledFrom([]int64{60_000, 50}).Draw(t, "block")
			s.Compression = clientconfig.Compression(rapid.SampledFrom([]int{0, 0, 2, 3}).Draw(t, "codec"))
			s.CompressionLevels.Lz4 = rapid.SampledFrom([]int64{0, 1, 9, 12}).Draw(t, "lz4 level")
		})
		// What was given up on the wire keeps its memory until the answer.
		if !w.run(clock.Instant(10*time.Minute), func() bool { return p.Drained() && p.Stats().InFlight == 0 }) {
			t.Fatalf("not drained at %v: %+v", w.now, p.Stats())
		}
		s := p.Stats()
		total := int64(0)
		at, order := w.found(t, "orders")
		for id, b := range l.invoked {
			if b.outcome != "split" && b.outcome != "unknown split" { // its records go on under other ids
				total += int64(b.count)
			}
			places := at[id]
			switch b.outcome {
			case "acked":
				if len(places) == 0 {
					t.Fatalf("batch %x acked and not there", id)
				}
				if topic.partitions[b.partition] == nil || b.offset >= 0 && !contains(places, b.offset) {
					t.Fatalf("batch %x acked at %d, is at %v", id, b.offset, places)
				}
			case "failed", "split":
				if len(places) != 0 {
					t.Fatalf("batch %x failed for certain, is at %v", id, places)
				}
			case "unknown", "unknown split":
			default:
				t.Fatalf("batch %x ended as %q", id, b.outcome)
			}
			if idempotent && len(places) > 1 && s.EpochBumps == 0 {
				t.Fatalf("batch %x is at %v", id, places)
			}
		}
		for id := range at {
			if l.invoked[id] == nil {
				t.Fatalf("batch %x appeared from nowhere", id)
			}
		}
		if once := idempotent && s.EpochBumps == 0; once || !idempotent && inFlight == 1 {
			for p, ids := range order {
				for i := 1; i < len(ids); i++ {
					if ids[i] < ids[i-1] || once && ids[i] == ids[i-1] {
						t.Fatalf("p%d: batch %x after %x", p, ids[i], ids[i-1])
					}
				}
			}
		}
		if got := total + int64(l.dropped); got != s.Due || s.Acked+s.Failed+s.Unknown+s.Dropped != s.Due || s.BufferedBytes != 0 || s.InFlight != 0 {
			t.Fatalf("records: %d seen, %+v", got, s)
		}
		if load.Kind == SharedIterations && s.Due != load.Records {
			t.Fatalf("%d of %d records", s.Due, load.Records)
		}
	})
}

func contains(list []int64, x int64) bool {
	for _, y := range list {
		if y == x {
			return true
		}
	}
	return false
}

// Without idempotence and with several requests in flight a retry overtakes:
// the trap that a scenario shows. With idempotence, or one in flight, it cannot.
func TestInFlightReorder(t *testing.T) {
	reordered := func(idempotent bool, inFlight int64) (n int) {
		for seed := range uint64(20) {
			w := newToy(seed, 1)
			w.topic("orders", 1)
			w.errorsPer = 100
			p := testProducer(w, newLedger(t), Load{Kind: ConstantRate, Rate: Rate{2000, time.Second}, End: clock.Instant(time.Second)},
				func(s *clientconfig.Producer) {
					s.EnableIdempotence, s.MaxInFlight, s.LingerMillis, s.BatchSizeBytes = idempotent, inFlight, 0, 300
				})
			if !w.run(clock.Instant(10*time.Minute), p.Drained) {
				t.Fatalf("not drained: %+v", p.Stats())
			}
			_, order := w.found(t, "orders")
			highest := uint64(0)
			for _, id := range order[0] {
				if id < highest {
					n++
				}
				highest = max(highest, id)
			}
		}
		return n
	}
	if n := reordered(true, 5); n != 0 {
		t.Errorf("%d batches out of order with idempotence", n)
	}
	if reordered(false, 5) == 0 {
		t.Error("no batch out of order without idempotence: kinder than Kafka")
	}
}

func TestAdmin(t *testing.T) {
	w := newToy(4, 3)
	w.dropBefore = 200
	a := NewAdmin(AdminConfig{Identity: Identity{Name: "a", Bootstrap: w.addresses(), Seed: 2}, Common: DefaultCommon(),
		Topics:     []NewTopic{{Name: "orders", Partitions: 6, ReplicationFactor: 3}, {Name: "other", Partitions: 1, ReplicationFactor: 3}},
		Operations: []Operation{{At: clock.Instant(5 * time.Second), Topic: "orders", Partitions: []int32{0}}}})
	w.add(a)
	if !w.run(clock.Instant(time.Minute), a.Ready) || len(w.topics) != 2 {
		t.Fatalf("not ready; topics %d", len(w.topics))
	}
	if !w.run(clock.Instant(time.Minute), func() bool { return a.operation == 1 }) {
		t.Error("no election")
	}
}

// A run is a function of its seed.
func TestRepeats(t *testing.T) {
	run := func() (int, clock.Instant, ProducerStats) {
		w := newToy(9, 3)
		w.topic("orders", 5)
		w.dropBefore, w.dropAfter, w.errorsPer, w.move = 20, 20, 30, 10
		p := testProducer(w, newLedger(t), Load{Kind: ConstantRate, Rate: Rate{3000, time.Second}, End: clock.Instant(time.Second)}, nil)
		w.run(clock.Instant(10*time.Minute), p.Drained)
		return w.steps, w.now, p.Stats()
	}
	a, b, c := run()
	x, y, z := run()
	if a != x || b != y || c != z {
		t.Errorf("%d %v %+v and %d %v %+v", a, b, c, x, y, z)
	}
}
