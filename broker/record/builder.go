package record

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Options are the header fields that a Builder cannot work out by itself. The
// zero value is a batch of producer id 0, epoch 0, sequence 0: start from
// NoProducer for a batch of a producer that is not idempotent.
type Options struct {
	Codec Codec
	Level int // compression.<codec>.level; 0 is the codec's default

	BaseOffset  int64
	LeaderEpoch int32

	// BaseTimestamp is what deltas count from, in milliseconds. With 0 the
	// first record's timestamp is taken, as Java's producer does.
	BaseTimestamp int64

	ProducerID    int64
	ProducerEpoch int16
	BaseSequence  int32

	Transactional bool
	Control       bool
	LogAppendTime bool
	DeleteHorizon bool // BaseTimestamp is the delete horizon (KIP-534)
}

// NoProducer returns the options of a batch without producer id and with
// NoLeaderEpoch, as a plain producer sends it.
func NoProducer(codec Codec) Options {
	return Options{
		Codec:         codec,
		LeaderEpoch:   NoLeaderEpoch,
		ProducerID:    EmptyProducerID,
		ProducerEpoch: EmptyProducerEpoch,
		BaseSequence:  EmptySequence,
	}
}

func (o *Options) attributes() Attributes {
	a := Attributes(o.Codec) & attrCodecMask
	if o.LogAppendTime {
		a |= attrLogAppendTime
	}
	if o.Transactional {
		a |= attrTransactional
	}
	if o.Control {
		a |= attrControl
	}
	if o.DeleteHorizon {
		a |= attrDeleteHorizon
	}
	return a
}

// Builder encodes one batch at a time. It keeps its encoders and buffers, so a
// reused Builder with a reused destination does not allocate.
type Builder struct {
	o       Options
	dst     []byte // header and, when not compressing, records
	plain   []byte // records to compress
	count   int32
	last    int32 // offset delta of the last record
	maxTime int64
	packer  compressor
}

// Reset starts a batch that is written over dst, from its start; Finish returns
// a larger slice when dst's capacity does not suffice. A compression level that
// CheckLevel refuses is the caller's bug.
func (b *Builder) Reset(dst []byte, o Options) {
	if !o.Codec.Known() {
		panic(fmt.Sprintf("build a batch with %s", o.Codec))
	}
	if err := CheckLevel(o.Codec, o.Level); err != nil {
		panic(err)
	}
	b.o = o
	b.dst = append(dst[:0], zeroHeader[:]...)
	b.plain = b.plain[:0]
	b.count, b.last, b.maxTime = 0, -1, NoTimestamp
}

var zeroHeader [HeaderBytes]byte

// Append adds a record at the next offset delta. Its timestamp is in
// milliseconds; a nil key or value is null.
func (b *Builder) Append(timestampMs int64, key, value []byte, headers []Header) {
	b.AppendAt(b.last+1, timestampMs, key, value, headers)
}

// AppendAt adds a record at a given offset delta, which must exceed the one
// before: the cleaner keeps offsets while it drops records between them.
func (b *Builder) AppendAt(offsetDelta int32, timestampMs int64, key, value []byte, headers []Header) {
	if offsetDelta <= b.last {
		panic(fmt.Sprintf("append offset delta %d after %d", offsetDelta, b.last))
	}
	if b.count == 0 && b.o.BaseTimestamp == 0 {
		b.o.BaseTimestamp = timestampMs
	}
	b.count++
	b.last = offsetDelta
	if timestampMs > b.maxTime {
		b.maxTime = timestampMs
	}
	delta := timestampMs - b.o.BaseTimestamp
	if b.o.Codec == None {
		b.dst = appendRecord(b.dst, offsetDelta, delta, key, value, headers)
	} else {
		b.plain = appendRecord(b.plain, offsetDelta, delta, key, value, headers)
	}
}

// Len is the encoded size so far, header included; for a compressed batch, its
// size before compression.
func (b *Builder) Len() int { return len(b.dst) + len(b.plain) }

// Count is the number of records so far.
func (b *Builder) Count() int32 { return b.count }

// Finish completes the header and the CRC and returns the batch, which aliases
// the destination given to Reset. The Builder needs a Reset before it is used
// again.
func (b *Builder) Finish() Batch { return b.FinishAt(b.last) }

// FinishAt is Finish with a last offset delta beyond the last record's: a batch
// that compaction has thinned out, or emptied, keeps the offsets it covered.
func (b *Builder) FinishAt(lastOffsetDelta int32) Batch {
	if lastOffsetDelta < b.last {
		panic(fmt.Sprintf("finish at offset delta %d before the last record's %d", lastOffsetDelta, b.last))
	}
	if b.count == 0 {
		b.o.Codec = None // as Kafka's cleaner writes it: a bare header
	}
	if b.o.Codec != None {
		b.dst = b.packer.append(b.dst, b.plain, b.o.Codec, b.o.Level)
	}
	batch := Batch(b.dst)
	b.putHeader(batch, lastOffsetDelta)
	b.dst = nil
	return batch
}

func (b *Builder) putHeader(h Batch, lastOffsetDelta int32) {
	be := binary.BigEndian
	be.PutUint64(h[atBaseOffset:], uint64(b.o.BaseOffset))
	be.PutUint32(h[atLength:], uint32(len(h)-LogOverhead))
	be.PutUint32(h[atLeaderEpoch:], uint32(b.o.LeaderEpoch))
	h[atMagic] = Magic
	be.PutUint16(h[atAttributes:], uint16(b.o.attributes()))
	be.PutUint32(h[atLastOffsetDelta:], uint32(lastOffsetDelta))
	be.PutUint64(h[atBaseTimestamp:], uint64(b.o.BaseTimestamp))
	be.PutUint64(h[atMaxTimestamp:], uint64(b.maxTime))
	be.PutUint64(h[atProducerID:], uint64(b.o.ProducerID))
	be.PutUint16(h[atProducerEpoch:], uint16(b.o.ProducerEpoch))
	be.PutUint32(h[atBaseSequence:], uint32(b.o.BaseSequence))
	be.PutUint32(h[atCount:], uint32(b.count))
	h.writeCRC()
}

// RecordBytes is the encoded size of a record, its length prefix included: what
// Append adds to Len.
func RecordBytes(offsetDelta int32, timestampDelta int64, key, value []byte, headers []Header) int {
	n := recordBodyBytes(offsetDelta, timestampDelta, key, value, headers)
	return varint32Bytes(int32(n)) + n
}

func recordBodyBytes(offsetDelta int32, timestampDelta int64, key, value []byte, headers []Header) int {
	n := 1 + varint64Bytes(timestampDelta) + varint32Bytes(offsetDelta) +
		nullableBytes(key) + nullableBytes(value) + varint32Bytes(int32(len(headers)))
	for i := range headers {
		h := &headers[i]
		n += varint32Bytes(int32(len(h.Key))) + len(h.Key) + nullableBytes(h.Value)
	}
	return n
}

func nullableBytes(b []byte) int {
	if b == nil {
		return 1
	}
	return varint32Bytes(int32(len(b))) + len(b)
}

func appendRecord(dst []byte, offsetDelta int32, timestampDelta int64, key, value []byte, headers []Header) []byte {
	n := recordBodyBytes(offsetDelta, timestampDelta, key, value, headers)
	// Exactly what is needed: a destination that was sized with RecordBytes must
	// not be left behind for a larger one.
	dst = slices.Grow(dst, varint32Bytes(int32(n))+n)
	dst = appendVarint32(dst, int32(n))
	dst = append(dst, 0)
	dst = appendVarint64(dst, timestampDelta)
	dst = appendVarint32(dst, offsetDelta)
	dst = appendNullableBytes(dst, key)
	dst = appendNullableBytes(dst, value)
	dst = appendVarint32(dst, int32(len(headers)))
	for i := range headers {
		h := &headers[i]
		dst = appendVarint32(dst, int32(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendNullableBytes(dst, h.Value)
	}
	return dst
}

func appendNullableBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // zigzag of -1
	}
	dst = appendVarint32(dst, int32(len(b)))
	return append(dst, b...)
}
