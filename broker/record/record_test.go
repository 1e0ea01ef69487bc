package record

import (
	"bytes"
	"errors"
	"hash/crc32"
	"math"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/klauspost/compress/snappy"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Goal: a batch that we build is the one that Kafka's other implementations
// build, and no bytes at all make the package panic, read beyond the batch or
// accept what was altered. Method: franz-go's independent codec as the oracle,
// rapid for round trips, Go fuzzing for hostile bytes.

type testRecord struct {
	Timestamp  int64
	Key, Value []byte
	Headers    []Header
}

func buildBatch(b *Builder, o Options, records []testRecord) Batch {
	b.Reset(nil, o)
	for _, r := range records {
		b.Append(r.Timestamp, r.Key, r.Value, r.Headers)
	}
	return b.Finish()
}

// kmsgBatch encodes the same batch by franz-go's structs.
func kmsgBatch(o Options, base int64, records []testRecord) []byte {
	var body []byte
	maxTime := NoTimestamp
	for i, r := range records {
		k := kmsg.Record{OffsetDelta: int32(i), TimestampDelta64: r.Timestamp - base, Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			k.Headers = append(k.Headers, kmsg.Header{Key: string(h.Key), Value: h.Value})
		}
		probe := k.AppendTo(nil) // with length 0, which takes one byte
		k.Length = int32(len(probe) - 1)
		body = k.AppendTo(body)
		maxTime = max(maxTime, r.Timestamp)
	}
	k := kmsg.RecordBatch{
		FirstOffset:          o.BaseOffset,
		Length:               int32(HeaderBytes - LogOverhead + len(body)),
		PartitionLeaderEpoch: o.LeaderEpoch,
		Magic:                2,
		Attributes:           int16(o.attributes()),
		LastOffsetDelta:      int32(len(records) - 1),
		FirstTimestamp:       base,
		MaxTimestamp:         maxTime,
		ProducerID:           o.ProducerID,
		ProducerEpoch:        o.ProducerEpoch,
		FirstSequence:        o.BaseSequence,
		NumRecords:           int32(len(records)),
		Records:              body,
	}
	raw := k.AppendTo(nil)
	k.CRC = int32(crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return k.AppendTo(nil)
}

func bytesOrNil(t *rapid.T, label string) []byte {
	if rapid.Bool().Draw(t, label+" is null") {
		return nil
	}
	n := rapid.IntRange(0, 200).Draw(t, label+" size")
	return bytes.Repeat([]byte{rapid.Byte().Draw(t, label)}, n)
}

func drawRecords(t *rapid.T) []testRecord {
	n := rapid.IntRange(1, 40).Draw(t, "records")
	base := rapid.Int64Range(1, 1<<41).Draw(t, "base time")
	records := make([]testRecord, n)
	for i := range records {
		r := &records[i]
		r.Timestamp = base + rapid.Int64Range(-1<<33, 1<<33).Draw(t, "delta")
		r.Key = bytesOrNil(t, "key")
		r.Value = bytesOrNil(t, "value")
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			key := []byte(rapid.StringN(0, 8, 32).Draw(t, "header key"))
			r.Headers = append(r.Headers, Header{Key: key, Value: bytesOrNil(t, "header value")})
		}
	}
	return records
}

func drawOptions(t *rapid.T) Options {
	return Options{
		Codec:         rapid.SampledFrom([]Codec{None, Gzip, Snappy, Lz4, Zstd}).Draw(t, "codec"),
		BaseOffset:    rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "base offset"),
		LeaderEpoch:   rapid.Int32().Draw(t, "leader epoch"),
		ProducerID:    rapid.Int64Range(-1, math.MaxInt64).Draw(t, "producer id"),
		ProducerEpoch: rapid.Int16Range(-1, math.MaxInt16).Draw(t, "producer epoch"),
		BaseSequence:  rapid.Int32Range(0, math.MaxInt32).Draw(t, "sequence"),
		Transactional: rapid.Bool().Draw(t, "transactional"),
	}
}

func readAll(t interface{ Fatalf(string, ...any) }, b Batch, s *Scratch) []testRecord {
	var r Reader
	if err := r.Reset(b, s); err != nil {
		t.Fatalf("reset: %v", err)
	}
	var out []testRecord
	for {
		rec, ok, err := r.Next()
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		if !ok {
			return out
		}
		if want := b.BaseOffset() + int64(r.Index()); r.Offset() != want {
			t.Fatalf("record %d has offset %d, want %d", r.Index(), r.Offset(), want)
		}
		out = append(out, testRecord{r.Timestamp(), rec.Key, rec.Value, append([]Header(nil), rec.Headers...)})
	}
}

func TestGoldenAgainstFranz(t *testing.T) {
	var builder Builder
	rapid.Check(t, func(t *rapid.T) {
		records, o := drawRecords(t), drawOptions(t)
		o.Codec = None
		got := buildBatch(&builder, o, records)
		want := kmsgBatch(o, records[0].Timestamp, records)
		if d := cmp.Diff(want, []byte(got)); d != "" {
			t.Fatalf("batch differs from franz-go's (-want +got):\n%s", d)
		}
	})
}

func TestRoundTripEveryCodec(t *testing.T) {
	var builder Builder
	var scratch Scratch
	seen := map[Codec]bool{}
	rapid.Check(t, func(t *rapid.T) {
		records, o := drawRecords(t), drawOptions(t)
		seen[o.Codec] = true
		b := buildBatch(&builder, o, records)
		if err := b.Validate(&scratch, &Limits{}); err != nil {
			t.Fatalf("validate: %v", err)
		}
		got, rest, err := Next(append(append([]byte(nil), b...), 'x'))
		if err != nil || string(rest) != "x" {
			t.Fatalf("next: %v, rest %q", err, rest)
		}
		if d := cmp.Diff(records, readAll(t, got, &scratch)); d != "" {
			t.Fatalf("records (-want +got):\n%s", d)
		}
		to := rapid.SampledFrom([]Codec{None, Gzip, Snappy, Lz4, Zstd}).Draw(t, "recompress to")
		again, err := scratch.Recompress(nil, b, to, 0)
		if err != nil {
			t.Fatalf("recompress: %v", err)
		}
		if err := again.Validate(&scratch, &Limits{}); err != nil {
			t.Fatalf("validate recompressed: %v", err)
		}
		if d := cmp.Diff(records, readAll(t, again, &scratch)); d != "" {
			t.Fatalf("recompressed records (-want +got):\n%s", d)
		}
		// What one codec's state holds must not change the next batch's bytes.
		o.Codec = to
		if fresh := buildBatch(new(Builder), o, records); !bytes.Equal(fresh, again) {
			t.Fatalf("a used %s encoder and a fresh one differ", to)
		}
	})
	for _, codec := range Codecs() {
		if !seen[codec] {
			t.Fatalf("%s was never drawn", codec)
		}
	}
}

func TestLevels(t *testing.T) {
	var builder Builder
	var scratch Scratch
	records := []testRecord{{Timestamp: 5, Value: bytes.Repeat([]byte("level "), 3000)}}
	for _, c := range Codecs() {
		for level := -2; level < 24; level++ {
			if CheckLevel(c, level) != nil || c == Zstd && level%5 != 0 {
				continue // zstd's levels fall into four, and an encoder each is slow to make
			}
			o := NoProducer(c)
			o.Level = level
			b := buildBatch(&builder, o, records)
			if d := cmp.Diff(records, readAll(t, b, &scratch), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s level %d: %s", c, level, d)
			}
		}
	}
	if CheckLevel(Gzip, 10) == nil || CheckLevel(Lz4, 18) == nil || CheckLevel(Zstd, 23) == nil || CheckLevel(None, 1) == nil {
		t.Fatal("an impossible level was accepted")
	}
}

func TestHeaderFields(t *testing.T) {
	o := Options{Codec: None, BaseOffset: 1000, LeaderEpoch: 7, ProducerID: 42, ProducerEpoch: 3,
		BaseSequence: math.MaxInt32 - 1, Transactional: true, LogAppendTime: true}
	b := buildBatch(new(Builder), o, []testRecord{{Timestamp: 50}, {Timestamp: 70}, {Timestamp: 60}})
	type header struct {
		Base, Last, Next, BaseTime, MaxTime, PID int64
		Epoch, Delta, Seq, LastSeq, Count        int32
		PEpoch                                   int16
		Codec                                    Codec
		Append, Txn, Control, Horizon            bool
	}
	got := header{b.BaseOffset(), b.LastOffset(), b.NextOffset(), b.BaseTimestamp(), b.MaxTimestamp(), b.ProducerID(),
		b.LeaderEpoch(), b.LastOffsetDelta(), b.BaseSequence(), b.LastSequence(), b.Count(), b.ProducerEpoch(),
		b.Attributes().Codec(), b.Attributes().LogAppendTime(), b.Attributes().Transactional(),
		b.Attributes().Control(), b.Attributes().HasDeleteHorizon()}
	want := header{1000, 1002, 1003, 50, 70, 42, 7, 2, math.MaxInt32 - 1, 0, 3, 3, None, true, true, false, false}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	crc := b.CRC()
	b.SetBaseOffset(5)
	b.SetLeaderEpoch(9)
	if err := b.CheckCRC(); err != nil || b.CRC() != crc || b.BaseOffset() != 5 || b.LeaderEpoch() != 9 {
		t.Fatalf("after patching: %v, crc %x, offset %d, epoch %d", err, b.CRC(), b.BaseOffset(), b.LeaderEpoch())
	}
	b.SetLogAppendTime(12345)
	if err := b.CheckCRC(); err != nil || b.MaxTimestamp() != 12345 || b.CRC() == crc {
		t.Fatalf("after SetLogAppendTime: %v, %d", err, b.MaxTimestamp())
	}
}

func TestSequenceWraps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.Int32Range(0, math.MaxInt32).Draw(t, "sequence")
		by := rapid.Int32Range(0, math.MaxInt32).Draw(t, "by")
		want := int32((int64(s) + int64(by)) % (1 << 31))
		if got := IncrementSequence(s, by); got != want {
			t.Fatalf("%d + %d is %d, want %d", s, by, got, want)
		}
		if got := DecrementSequence(want, by); got != s {
			t.Fatalf("%d - %d is %d, want %d", want, by, got, s)
		}
	})
	if !InSequence(math.MaxInt32, 0) || InSequence(math.MaxInt32, 1) {
		t.Fatal("2^31-1 is followed by 0 alone")
	}
}

func TestNextRefuses(t *testing.T) {
	good := buildBatch(new(Builder), NoProducer(None), []testRecord{{Timestamp: 1, Value: []byte("v")}})
	alter := func(at int, to ...byte) []byte {
		b := append([]byte(nil), good...)
		copy(b[at:], to)
		return b
	}
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, ErrShort},
		{"torn", good[:len(good)-1], ErrShort},
		{"negative length", alter(atLength, 0xff, 0xff, 0xff, 0xff), ErrCorrupt},
		{"length below a header", alter(atLength, 0, 0, 0, 48), ErrCorrupt},
		{"huge length", alter(atLength, 0x7f, 0xff, 0xff, 0xff), ErrShort},
		{"magic 0", alter(atMagic, 0), ErrOldMagic},
		{"magic 1", alter(atMagic, 1), ErrOldMagic},
		{"magic 3", alter(atMagic, 3), ErrCorrupt},
	} {
		_, rest, err := Next(c.in)
		if !errors.Is(err, c.want) || len(rest) != len(c.in) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for n := range good {
		if _, _, err := Next(good[:n]); !errors.Is(err, ErrShort) {
			t.Fatalf("prefix of %d bytes: %v", n, err)
		}
	}
}

// TestFlipsAreDetected flips every bit that the CRC covers, and the CRC itself.
func TestFlipsAreDetected(t *testing.T) {
	var builder Builder
	var scratch Scratch
	for _, c := range Codecs() {
		b := buildBatch(&builder, NoProducer(c), []testRecord{{Timestamp: 1, Value: bytes.Repeat([]byte("abc"), 50)}})
		for at := atCRC; at < len(b); at++ {
			for bit := range 8 {
				b[at] ^= 1 << bit
				if err := b.CheckCRC(); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%s: flip of bit %d at %d: %v", c, bit, at, err)
				}
				if err := b.Validate(&scratch, &Limits{AllowControl: true}); err == nil {
					t.Fatalf("%s: flip of bit %d at %d passed Validate", c, bit, at)
				}
				b[at] ^= 1 << bit
			}
		}
	}
}

func TestSnappyFramings(t *testing.T) {
	records := []testRecord{{Timestamp: 9, Key: []byte("k"), Value: bytes.Repeat([]byte("xerial "), 20000)}}
	var scratch Scratch
	plain := buildBatch(new(Builder), NoProducer(None), records)
	framed := buildBatch(new(Builder), NoProducer(Snappy), records)
	if !bytes.HasPrefix(framed.Payload(), []byte(xerialHeader)) {
		t.Fatal("the builder does not write Java's framing")
	}
	if n := (len(plain.Payload()) + xerialBlockBytes - 1) / xerialBlockBytes; n < 2 {
		t.Fatalf("the test wants several blocks, has %d", n)
	}
	raw := append([]byte(nil), plain[:HeaderBytes]...)
	raw = append(raw, snappy.Encode(nil, plain.Payload())...)
	batch := Batch(raw)
	batch.setAttributes(Attributes(Snappy))
	setLength(batch)
	for name, b := range map[string]Batch{"framed": framed, "raw": batch} {
		if err := b.Validate(&scratch, &Limits{}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(records, readAll(t, b, &scratch), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s: %s", name, d)
		}
	}
}

func TestCompactedBatches(t *testing.T) {
	var b Builder
	var scratch Scratch
	for _, c := range Codecs() {
		b.Reset(nil, NoProducer(c))
		b.AppendAt(3, 10, []byte("a"), []byte("1"), nil)
		b.AppendAt(7, 11, []byte("b"), []byte("2"), nil)
		thin := b.FinishAt(9)
		if thin.LastOffset() != 9 || thin.Count() != 2 {
			t.Fatalf("last offset %d, count %d", thin.LastOffset(), thin.Count())
		}
		var r Reader
		var offsets []int64
		if err := r.Reset(thin, &scratch); err != nil {
			t.Fatal(err)
		}
		for _, ok, err := r.Next(); ok || err != nil; _, ok, err = r.Next() {
			if err != nil {
				t.Fatal(err)
			}
			offsets = append(offsets, r.Offset())
		}
		if d := cmp.Diff([]int64{3, 7}, offsets); d != "" {
			t.Fatal(d)
		}
		if err := thin.Validate(&scratch, &Limits{}); !errors.Is(err, ErrInvalid) {
			t.Fatalf("a producer may not leave gaps: %v", err)
		}
		b.Reset(nil, NoProducer(c))
		empty := b.FinishAt(4)
		if len(empty) != HeaderBytes || empty.LastOffset() != 4 {
			t.Fatalf("%s: empty batch of %d bytes, last offset %d", c, len(empty), empty.LastOffset())
		}
		empty.setAttributes(Attributes(c))
		if err := r.Reset(empty, &scratch); err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		if _, ok, err := r.Next(); ok || err != nil {
			t.Fatalf("%s: empty batch: %v %v", c, ok, err)
		}
	}
}

func TestMarkers(t *testing.T) {
	var b Builder
	var scratch Scratch
	m := Marker{ProducerID: 9, ProducerEpoch: 2, Type: ControlCommit, CoordinatorEpoch: 77, TimestampMs: 5}
	batch := b.AppendMarker(nil, m)
	if err := batch.Validate(&scratch, &Limits{}); !errors.Is(err, ErrInvalid) {
		t.Fatalf("a client's control batch: %v", err)
	}
	if err := batch.Validate(&scratch, &Limits{AllowControl: true}); err != nil {
		t.Fatal(err)
	}
	var r Reader
	if err := r.Reset(batch, &scratch); err != nil {
		t.Fatal(err)
	}
	rec, _, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	typ, epoch, err := ParseMarker(rec)
	if err != nil || typ != ControlCommit || epoch != 77 {
		t.Fatalf("%v %d %v", typ, epoch, err)
	}
}

// TestNoGoroutines holds the codecs to the core's rule.
func TestNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	var b Builder
	var scratch Scratch
	for _, c := range Codecs() {
		batch := buildBatch(&b, NoProducer(c), []testRecord{{Timestamp: 1, Value: bytes.Repeat([]byte("g"), 1<<20)}})
		if err := batch.Validate(&scratch, &Limits{}); err != nil {
			t.Fatal(err)
		}
		if n := runtime.NumGoroutine(); n != before {
			t.Fatalf("%s started %d goroutines", c, n-before)
		}
	}
}
