package client

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"pgregory.net/rapid"
)

// Goal: the leaves are right by themselves. Method: known vectors, other
// implementations (the record builder, the wire codec), and the rules' own
// properties.

// The vectors are those of the Java client's own unit test.
func TestMurmur2(t *testing.T) {
	for text, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	} {
		if got := int32(murmur2([]byte(text))); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestEncoderAgainstBuilder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e encoder
		e.size = rapid.IntRange(PayloadHeaderBytes, 300).Draw(t, "size")
		b := &batch{size: record.HeaderBytes, wall: clock.Wall(rapid.Int64Range(1, 1<<40).Draw(t, "wall"))}
		b.view.ID, b.view.Topic, b.view.Partition = rapid.Uint64().Draw(t, "id"), 7, 9
		b.view.ProducerID, b.view.Epoch, b.view.Sequence = 77, 3, 1234
		keyed := rapid.Bool().Draw(t, "keyed")
		b.tombstones = keyed && rapid.Bool().Draw(t, "tombstones")
		at := clock.Instant(0)
		for run := range rapid.IntRange(1, 4).Draw(t, "runs") {
			at += clock.Instant(rapid.Int64Range(1, 1e8).Draw(t, "step"))
			count := rapid.SampledFrom([]int{1, 2, 63, 64, 65, 130, 8200}).Draw(t, "count")
			b.view.Intended = appendDue(b.view.Intended, at, int32(count))
			if !keyed {
				b.size += e.recordsBytes(int(b.view.Count), count, b.timestamp(run)-int64(b.wall), NoKey)
			} else {
				key, every := Key(rapid.Int64Range(0, 1e6).Draw(t, "key")), rapid.IntRange(1, 40).Draw(t, "tombstone every")
				for i := range count {
					k := key + Key(i)
					if b.tombstones && i%every == 0 {
						k |= tombstoneBit
					}
					b.keys = append(b.keys, k)
					b.size += e.recordBytes(int(b.view.Count)+i, b.timestamp(run)-int64(b.wall), k)
				}
			}
			b.view.Count += int32(count)
		}
		e.encode(b)
		var builder record.Builder
		o := record.NoProducer(record.None)
		o.ProducerID, o.ProducerEpoch, o.BaseSequence = 77, 3, 1234
		builder.Reset(nil, o)
		i := 0
		for run, due := range b.view.Intended {
			for range due.Count {
				value := make([]byte, PayloadHeaderBytes)
				p := e.payloadOf(b, i, due.At)
				putPayload(value, &p)
				var key []byte
				if keyed {
					key = binary.BigEndian.AppendUint64(nil, uint64(b.keys[i].Number()))
				}
				if b.key(i).Tombstone() {
					builder.Append(b.timestamp(run), key, nil, []record.Header{{Key: []byte("id"), Value: value}})
				} else {
					builder.Append(b.timestamp(run), key, appendFiller(value, e.size), nil)
				}
				i++
			}
		}
		if want := builder.Finish(); !bytes.Equal(want, b.buffer.Bytes()) {
			t.Fatal(cmp.Diff([]byte(want), b.buffer.Bytes()))
		}
	})
}

func TestProduceFrameAgainstWire(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	topic := topicMeta{name: "orders", id: [16]byte{1, 2, 3}}
	for version := wire.ProduceVersionMin; version <= wire.ProduceVersionMax; version++ {
		for count := range 4 {
			req := wire.ProduceRequest{}
			req.Reset(version)
			req.Acks, req.TimeoutMillis = -1, 30000
			wt := req.AddTopic(topic.name, topic.id)
			var batches []*batch
			for i := range count + 1 {
				b := &batch{buffer: edge.NewBuffer(make([]byte, rng.IntN(40000)))}
				b.view.Partition = int32(i * 3)
				wt.AddPartition(b.view.Partition, b.buffer.Bytes())
				batches = append(batches, b)
			}
			h := wire.RequestHeader{Key: 0, Version: version, CorrelationID: 9, ClientID: "me", HasClientID: true}
			var s edge.Send
			produceFrame(&h, &topic, -1, 30000, batches, &s)
			var got []byte
			at := 0
			for i := range s.Body {
				got = append(append(got, s.Head[at:s.Pieces[i]]...), s.Body[i].Bytes()...)
				at = int(s.Pieces[i])
			}
			got = append(got, s.Head[at:]...)
			if want := wire.AppendRequest(nil, 9, "me", &req); !bytes.Equal(want, got) {
				t.Errorf("version %d with %d batches:\n%x\n%x", version, count+1, want[:40], got[:40])
			}
		}
	}
}

func TestPayloadDamage(t *testing.T) {
	p := payload{batch: 5, index: 1, count: 2, intended: 99, topic: 3, partition: 65535}
	value := make([]byte, PayloadHeaderBytes)
	putPayload(value, &p)
	value = appendFiller(value, 100_000)
	for at := range value {
		if at > 2*PayloadHeaderBytes && at%997 != 0 && at != 65535 && at != 65536 && at != 99_999 {
			continue
		}
		var cold, warm payloadReader
		if problem := warm.read(value); problem != "" || warm.payload != p {
			t.Fatalf("%s %+v", problem, warm.payload)
		}
		value[at] ^= 1
		if cold.read(value) == "" || warm.read(value) == "" {
			t.Errorf("a flipped bit at %d is not noticed", at)
		}
		value[at] ^= 1
		if problem := warm.read(value); problem != "" || warm.payload != p {
			t.Fatalf("after a flipped bit at %d: %s %+v", at, problem, warm.payload)
		}
	}
}

// A reader that knows the header before reads the same as one that does not.
func TestPayloadsInTurn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var warm payloadReader
		p := payload{batch: 1, count: 1 << 30}
		for range 40 {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				p.batch = rapid.Uint64().Draw(t, "batch")
			case 1:
				p.intended = clock.Instant(rapid.Int64().Draw(t, "intended"))
			default:
				p.index = rapid.Uint32().Draw(t, "index")
			}
			value := make([]byte, PayloadHeaderBytes)
			putPayload(value, &p)
			if problem := warm.read(value); problem != "" || warm.payload != p {
				t.Fatalf("%s: %+v, want %+v", problem, warm.payload, p)
			}
		}
	})
}

// The instances of a load take the records of one, at the same instants.
func TestArrivalsAreShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		load := Load{Kind: LoadKind(rapid.IntRange(0, 1).Draw(t, "kind")), Start: clock.Instant(rapid.Int64Range(0, 1e9).Draw(t, "start")),
			Rate: Rate{rapid.Int64Range(0, 3000).Draw(t, "rate"), rapid.SampledFrom([]time.Duration{time.Second, time.Minute}).Draw(t, "per")}, Instances: 1}
		load.End = load.Start.Add(2 * time.Second)
		for range rapid.IntRange(0, 3).Draw(t, "stages") {
			load.Stages = append(load.Stages, Stage{time.Duration(rapid.Int64Range(1, 900).Draw(t, "for")) * time.Millisecond,
				Rate{rapid.Int64Range(0, 3000).Draw(t, "to"), time.Second}})
		}
		list := func(l Load) (out []clock.Instant) {
			a := newArrivals(&l)
			for a.next() != clock.Never {
				if k := int64(len(out)) % 5; a.ahead(k, clock.Never) < a.next() {
					t.Fatalf("%d ahead is before the next", k)
				}
				out = append(out, a.next())
				a.take(1)
			}
			return out
		}
		want := list(load)
		n := rapid.Int64Range(1, 4).Draw(t, "instances")
		var got []clock.Instant
		for k := range n {
			part := load
			part.Instance, part.Instances = k, n
			got = append(got, list(part)...)
		}
		slices.Sort(got)
		if !slices.IsSorted(want) || !slices.Equal(want, got) {
			t.Fatalf("one: %d %v, %d instances: %d %v", len(want), want[:min(8, len(want))], n, len(got), got[:min(8, len(got))])
		}
	})
}

func TestRampCountsTheStraightLine(t *testing.T) {
	load := Load{Kind: RampingRate, Rate: Rate{0, time.Second}, Stages: []Stage{{10 * time.Second, Rate{1000, time.Second}}},
		Instances: 1, End: clock.Instant(11 * time.Second)}
	a := newArrivals(&load)
	byEnd, half := 0, 0
	for ; a.next() != clock.Never; a.take(1) {
		if a.next() <= clock.Instant(5*time.Second) {
			half++
		}
		byEnd++
	}
	if half != 1250 || byEnd != 6000 && byEnd != 5999 {
		t.Errorf("%d after half, %d in all", half, byEnd)
	}
}

func TestConstantInstants(t *testing.T) {
	load := Load{Kind: ConstantRate, Rate: Rate{3, time.Second}, Instance: 1, Instances: 2, End: clock.Instant(2 * time.Second)}
	a := newArrivals(&load)
	var got []clock.Instant
	for ; a.next() != clock.Never; a.take(1) {
		got = append(got, a.next())
	}
	if diff := cmp.Diff([]clock.Instant{333_333_333, 1_000_000_000, 1_666_666_666}, got); diff != "" {
		t.Error(diff)
	}
}

func TestZipf(t *testing.T) {
	s := newKeySource(Keys{Distribution: ZipfKeys, Cardinality: 1_000_000, Exponent: 100}, 1)
	if got := power(1024, 100); got>>20 != 1<<10-1 && got>>20 != 1<<10 {
		t.Errorf("1024^-1 * 2^40 = %d", got)
	}
	// Of 10^6 keys with exponent 1 the first has 1/H(10^6) = 6.95 %, the first
	// ten 20.4 %.
	first, ten := 0, 0
	for range 200_000 {
		switch k := s.draw(); {
		case k < 0 || k >= 1_000_000:
			t.Fatalf("key %d", k)
		case k == 0:
			first++
			fallthrough
		case k < 10:
			ten++
		}
	}
	if first < 13_400 || first > 14_400 || ten < 39_900 || ten > 41_500 {
		t.Errorf("first %d, ten %d of 200000", first, ten)
	}
}

// The guide leads to the bucket that a search through all of them finds.
func TestZipfGuide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newKeySource(Keys{ZipfKeys, rapid.SampledFrom([]int64{1, 2, 7, 5000, 1_000_000}).Draw(t, "keys"),
			rapid.Int64Range(1, exponentMax).Draw(t, "exponent"), 0, 0}, 1)
		total := s.zipf[len(s.zipf)-1].end
		at := rapid.Uint64Range(0, total-1).Draw(t, "at")
		if rapid.Bool().Draw(t, "edge") {
			at = s.zipf[rapid.IntRange(0, len(s.zipf)-1).Draw(t, "bucket")].end - 1
		}
		want := slices.IndexFunc(s.zipf, func(b zipfBucket) bool { return b.end > at })
		if got := s.bucket(at); got != want {
			t.Fatalf("bucket %d, want %d", got, want)
		}
	})
}

func TestAssignors(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := map[string]int32{"a": rapid.Int32Range(0, 12).Draw(t, "a"), "b": rapid.Int32Range(0, 7).Draw(t, "b")}
		count := func(topic string) int32 { return counts[topic] }
		same := rapid.Bool().Draw(t, "same")
		var members []assignMember
		for i := range rapid.IntRange(1, 6).Draw(t, "members") {
			m := assignMember{id: fmt.Sprintf("m%d", i), topics: []string{"a", "b"}, generation: 3}
			if !same {
				m.topics = rapid.SampledFrom([][]string{{"a"}, {"b"}, {"a", "b"}}).Draw(t, "topics")
			}
			members = append(members, m)
		}
		protocol := rapid.SampledFrom([]string{"range", "roundrobin", "sticky", "cooperative-sticky"}).Draw(t, "protocol")
		first := dealt(t, protocol, members, count)
		for i := range members {
			members[i].owned = first[i]
		}
		again := dealt(t, protocol, members, count)
		if diff := cmp.Diff(first, again, cmp.AllowUnexported(namedPartition{})); diff != "" {
			t.Fatalf("%s moves partitions without a reason:\n%s", protocol, diff)
		}
		if protocol != "sticky" && protocol != "cooperative-sticky" || len(members) < 2 {
			return
		}
		// One leaves: nobody else gives anything up.
		left := dealt(t, protocol, members[1:], count)
		for i, m := range members[1:] {
			for _, p := range m.owned {
				if same && !slices.Contains(left[i], p) {
					t.Fatalf("%s takes %v from %s when another leaves", protocol, p, m.id)
				}
			}
		}
		// It comes back: the cooperative assignor gives it only what nobody
		// holds, and the next round deals the rest.
		for i := range left {
			members[i+1].owned = left[i]
		}
		members[0].owned, members[0].generation = nil, -1
		if protocol == "cooperative-sticky" {
			round, _ := assign(protocol, members, count)
			for _, p := range round[0] {
				for i := range left {
					if slices.Contains(left[i], p) {
						t.Fatalf("%v has two owners", p)
					}
				}
			}
			for i := range round {
				members[i].owned, members[i].generation = round[i], 4
			}
		}
		dealt(t, protocol, members, count)
	})
}

// dealt assigns and checks that every partition that has a reader is dealt
// once, to a reader, and evenly.
func dealt(t *rapid.T, protocol string, members []assignMember, count func(string) int32) [][]namedPartition {
	out, err := assign(protocol, members, count)
	if err != nil {
		t.Fatal(err)
	}
	if protocol == "cooperative-sticky" {
		// What was withheld in the first round is dealt in the second.
		members = slices.Clone(members)
		for i := range members {
			members[i].owned, members[i].generation = out[i], 100
		}
		if out, err = assign(protocol, members, count); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[namedPartition]int{}
	for i := range out {
		for _, p := range out[i] {
			seen[p]++
			if !slices.Contains(members[i].topics, p.topic) || seen[p] > 1 {
				t.Fatalf("%v dealt to %s, %d times", p, members[i].id, seen[p])
			}
		}
	}
	for _, topic := range topicsOf(members) {
		for p := range count(topic) {
			if seen[namedPartition{topic, p}] != 1 {
				t.Fatalf("%s: %s-%d is dealt to nobody: %v", protocol, topic, p, out)
			}
		}
	}
	if protocol == "sticky" || protocol == "cooperative-sticky" {
		for i := range out {
			for _, p := range out[i] {
				for k := range out {
					if slices.Contains(members[k].topics, p.topic) && len(out[k])+1 < len(out[i]) {
						t.Fatalf("%s has %d and %s could take of its %d", members[k].id, len(out[k]), members[i].id, len(out[i]))
					}
				}
			}
		}
	}
	return out
}

// hundred is a batch of 100 records of 100 bytes, due apart in time.
func hundred(e *encoder, apart time.Duration) *batch {
	e.size = 100
	x := &batch{size: record.HeaderBytes}
	x.view.ProducerID, x.view.Epoch, x.view.Sequence = 1, 1, 1
	for i := range 100 {
		x.view.Intended = appendDue(x.view.Intended, clock.Instant(apart)*clock.Instant(i), 1)
		x.size += e.recordBytes(i, 0, NoKey)
		x.view.Count++
	}
	return x
}

func BenchmarkEncode(b *testing.B) {
	for _, due := range []struct {
		name  string
		apart time.Duration
	}{{"together", 0}, {"apart", 1}} {
		b.Run(due.name, func(b *testing.B) {
			var e encoder
			x := hundred(&e, due.apart)
			b.ReportAllocs()
			for b.Loop() {
				e.encode(x)
				x.buffer.Release()
				x.buffer = nil
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/record")
		})
	}
}

func BenchmarkPayload(b *testing.B) {
	var e encoder
	e.size = 100
	x := hundred(&e, 0)
	var r payloadReader
	var values [][]byte
	for i := range 100 {
		p := e.payloadOf(x, i, 0)
		value := make([]byte, PayloadHeaderBytes)
		putPayload(value, &p)
		values = append(values, appendFiller(value, e.size))
	}
	for b.Loop() {
		for i := range values {
			if problem := r.read(values[i]); problem != "" {
				b.Fatal(problem)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/record")
}
