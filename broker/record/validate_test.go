package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func setLength(b Batch) {
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-LogOverhead))
	b.writeCRC()
}

// Goal: each rule of a leader's validation refuses what breaks that rule alone,
// with the right kind. Method: one good batch, one alteration, the CRC redone.
func TestValidateRefuses(t *testing.T) {
	put32 := func(at int, v int32) func(Batch) Batch {
		return func(b Batch) Batch { binary.BigEndian.PutUint32(b[at:], uint32(v)); return b }
	}
	attributes := func(a Attributes) func(Batch) Batch {
		return func(b Batch) Batch { b.setAttributes(a); return b }
	}
	// Each record is 9 bytes: length, attributes, two deltas, null key, the value's
	// length and two bytes, header count.
	recordAt := func(n int) int { return HeaderBytes + n*9 }
	for _, c := range []struct {
		name   string
		alter  func(Batch) Batch
		limits Limits
		want   error
		index  int32 // of the record named by an InvalidRecordError, or -1
	}{
		{"good", nil, Limits{}, nil, -1},
		{"count above delta", put32(atCount, 4), Limits{}, ErrInvalid, -1},
		{"count zero", put32(atCount, 0), Limits{}, ErrInvalid, -1},
		{"count negative", put32(atCount, -3), Limits{}, ErrInvalid, -1},
		{"last delta negative", put32(atLastOffsetDelta, -1), Limits{}, ErrInvalid, -1},
		{"last delta max", put32(atLastOffsetDelta, math.MaxInt32), Limits{}, ErrInvalid, -1},
		{"fewer records than count", func(b Batch) Batch { return put32(atCount, 4)(put32(atLastOffsetDelta, 3)(b)) }, Limits{}, ErrInvalid, -1},
		{"more records than count", func(b Batch) Batch { return put32(atCount, 2)(put32(atLastOffsetDelta, 1)(b)) }, Limits{}, ErrInvalid, -1},
		{"offset delta repeats", func(b Batch) Batch { b[recordAt(1)+3] = 0; return b }, Limits{}, ErrInvalid, 1},
		{"record length too long", func(b Batch) Batch { b[recordAt(2)] = 100; return b }, Limits{}, ErrInvalid, -1},
		{"record length negative", func(b Batch) Batch { b[recordAt(0)] = 1; return b }, Limits{}, ErrInvalid, -1},
		{"value runs past record", func(b Batch) Batch { b[recordAt(0)+5] = 20; return b }, Limits{}, ErrInvalid, -1},
		{"header count beyond bytes", func(b Batch) Batch { b[recordAt(0)+8] = 20; return b }, Limits{}, ErrInvalid, -1},
		{"header count negative", func(b Batch) Batch { b[recordAt(0)+8] = 1; return b }, Limits{}, ErrInvalid, -1},
		{"control", attributes(attrControl), Limits{}, ErrInvalid, -1},
		{"codec 5", attributes(5), Limits{}, ErrInvalid, -1},
		{"not gzip", attributes(Attributes(Gzip)), Limits{}, ErrCorrupt, -1},
		{"not snappy", attributes(Attributes(Snappy)), Limits{}, ErrCorrupt, -1},
		{"not lz4", attributes(Attributes(Lz4)), Limits{}, ErrCorrupt, -1},
		{"not zstd", attributes(Attributes(Zstd)), Limits{}, ErrCorrupt, -1},
		{"producer without sequence", func(b Batch) Batch { b[atProducerID] = 0; return b }, Limits{}, ErrInvalid, -1},
		{"too large", nil, Limits{MaxMessageBytes: 80}, ErrTooLarge, -1},
		{"large enough", nil, Limits{MaxMessageBytes: 88}, nil, -1},
		{"keyless", nil, Limits{RequireKeys: true}, ErrInvalid, 0},
		{"too new", nil, Limits{TimestampMax: 1001}, ErrTimestamp, 2},
		{"too old", nil, Limits{TimestampMin: 1001}, ErrTimestamp, 0},
		{"in bounds", nil, Limits{TimestampMin: 1000, TimestampMax: 1002}, nil, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var scratch Scratch
			b := buildBatch(new(Builder), NoProducer(None), []testRecord{
				{Timestamp: 1000, Value: []byte("v0")}, {Timestamp: 1001, Value: []byte("v1")}, {Timestamp: 1002, Value: []byte("v2")}})
			if len(b) != recordAt(3) {
				t.Fatalf("batch of %d bytes, expected %d", len(b), recordAt(3))
			}
			if c.alter != nil {
				b = c.alter(b)
				b.writeCRC()
			}
			err := b.Validate(&scratch, &c.limits)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			var named *InvalidRecordError
			if got := int32(-1); errors.As(err, &named) && named.Index != c.index || named == nil && got != c.index {
				t.Fatalf("got %v, want record %d named", err, c.index)
			}
		})
	}
}

func TestInspectFindsMaxTimestamp(t *testing.T) {
	var scratch Scratch
	var sum Summary
	b := buildBatch(new(Builder), NoProducer(Zstd), []testRecord{{Timestamp: 10}, {Timestamp: 30}, {Timestamp: 30}, {Timestamp: 20}})
	if err := b.Inspect(&scratch, &Limits{}, &sum); err != nil {
		t.Fatal(err)
	}
	if sum.MaxTimestamp != 30 || sum.MaxTimestampOffsetDelta != 1 {
		t.Fatalf("%+v", sum)
	}
	b.SetMaxTimestamp(99)
	if err := b.Inspect(&scratch, &Limits{}, &sum); err != nil || sum.MaxTimestamp != 30 {
		t.Fatalf("%v %+v", err, sum)
	}
	b.SetLogAppendTime(77)
	if err := b.Inspect(&scratch, &Limits{}, &sum); err != nil || sum.MaxTimestamp != 77 || sum.MaxTimestampOffsetDelta != 3 {
		t.Fatalf("%v %+v", err, sum)
	}
}

// TestBombsAreBounded gives each codec a small payload of very many zeros.
func TestBombsAreBounded(t *testing.T) {
	zeros := make([]byte, 1<<20)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	for range DecompressedBytesMax>>20 + 1 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var zs bytes.Buffer
	z, err := zstd.NewWriter(&zs, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for range DecompressedBytesMax>>20 + 1 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	snap := binary.AppendUvarint(nil, DecompressedBytesMax+1)
	liar := append(binary.AppendUvarint(nil, DecompressedBytesMax-1), 0, 0)
	for _, c := range []struct {
		codec   Codec
		payload []byte
	}{{Gzip, gz.Bytes()}, {Zstd, zs.Bytes()}, {Snappy, snap}, {Snappy, liar}} {
		var scratch Scratch
		b := buildBatch(new(Builder), NoProducer(None), []testRecord{{Timestamp: 1}})
		b = append(b[:HeaderBytes:HeaderBytes], c.payload...)
		b.setAttributes(Attributes(c.codec))
		setLength(b)
		if err := b.Validate(&scratch, &Limits{}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", c.codec, err)
		}
		if len(c.payload) < 100 && cap(scratch.plain) > 1<<20 {
			t.Errorf("%s: allocated %d bytes for a lie", c.codec, cap(scratch.plain))
		}
	}
}
