// Package record owns the bytes of Kafka's record batch, version 2: reading its
// header in place, checking it as a broker must, iterating and building its
// records, and the five codecs. It never holds a log, an offset index or a
// clock, and it performs no I/O; everything in it is a function of bytes.
//
// Message sets of magic 0 and 1 are refused: Kafka 4 has dropped them (KIP-724).
package record

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

const (
	// HeaderBytes is the size of a version 2 batch header, from the base offset
	// to the record count.
	HeaderBytes = 61
	// LogOverhead is the size of what precedes the bytes that the batch length
	// counts: the base offset and the length itself.
	LogOverhead = 12
	// Magic is the only format version that this package accepts.
	Magic = 2
)

const (
	// EmptyProducerID stands for "no producer id" in a batch header.
	EmptyProducerID int64 = -1
	// EmptyProducerEpoch stands for "no producer epoch".
	EmptyProducerEpoch int16 = -1
	// EmptySequence stands for "no sequence".
	EmptySequence int32 = -1
	// NoTimestamp stands for "no timestamp", in milliseconds.
	NoTimestamp int64 = -1
	// NoLeaderEpoch is what producers write where the broker later patches in
	// the leader epoch.
	NoLeaderEpoch int32 = -1
)

// Where the header's fields lie.
const (
	atBaseOffset      = 0
	atLength          = 8
	atLeaderEpoch     = 12
	atMagic           = 16
	atCRC             = 17
	atAttributes      = 21
	atLastOffsetDelta = 23
	atBaseTimestamp   = 27
	atMaxTimestamp    = 35
	atProducerID      = 43
	atProducerEpoch   = 51
	atBaseSequence    = 53
	atCount           = 57
)

var (
	// ErrShort says that the bytes end before the batch does: a torn tail in a
	// log, the last and partial batch in a fetch response.
	ErrShort = errors.New("record batch is truncated")
	// ErrCorrupt says that the bytes are not what was written (a wrong CRC, an
	// impossible length); Kafka's CORRUPT_MESSAGE.
	ErrCorrupt = errors.New("record batch is corrupt")
	// ErrInvalid says that the bytes are what was written but that a broker may
	// not accept them; Kafka's INVALID_RECORD.
	ErrInvalid = errors.New("record batch is invalid")
	// ErrTooLarge says that a batch exceeds max.message.bytes; Kafka's
	// MESSAGE_TOO_LARGE.
	ErrTooLarge = errors.New("record batch is too large")
	// ErrTimestamp says that a record's timestamp is out of the bounds of
	// message.timestamp.before.max.ms and after.max.ms; Kafka's
	// INVALID_TIMESTAMP.
	ErrTimestamp = errors.New("record timestamp is out of range")
	// ErrOldMagic says that the bytes are a message set of magic 0 or 1. It is
	// also an ErrCorrupt for those who need not know.
	ErrOldMagic = fmt.Errorf("%w: message sets of magic 0 and 1 are not supported since Kafka 4.0", ErrCorrupt)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is exactly one encoded version 2 batch, header included. Its methods
// read the header in place and panic on fewer than HeaderBytes bytes, which
// Next never returns. A Batch may alias a larger buffer.
type Batch []byte

// Next splits the first whole batch off b without copying. The error is ErrShort
// when b ends before the batch does, and wraps ErrCorrupt, with the reason, when
// no continuation of b could be a batch. Next does not look at the CRC.
func Next(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) > atMagic {
		if magic := int8(b[atMagic]); magic != Magic {
			if magic == 0 || magic == 1 {
				return nil, b, ErrOldMagic
			}
			return nil, b, fmt.Errorf("%w: magic %d, want %d", ErrCorrupt, magic, Magic)
		}
	}
	if len(b) < LogOverhead {
		return nil, b, ErrShort
	}
	length := int32(binary.BigEndian.Uint32(b[atLength:]))
	if length < HeaderBytes-LogOverhead {
		return nil, b, fmt.Errorf("%w: length %d is below the header's %d", ErrCorrupt, length, HeaderBytes-LogOverhead)
	}
	size := int64(length) + LogOverhead
	if int64(len(b)) < size {
		return nil, b, ErrShort
	}
	return Batch(b[:size:size]), b[size:], nil
}

// BaseOffset is the offset that the record with delta 0 has, or had before
// compaction took it away.
func (b Batch) BaseOffset() int64 { return int64(binary.BigEndian.Uint64(b[atBaseOffset:])) }

// LastOffset is the offset of the last record that the batch was written with;
// compaction keeps it even when the record itself is gone.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the first offset after the batch.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// LastOffsetDelta is LastOffset less BaseOffset.
func (b Batch) LastOffsetDelta() int32 {
	return int32(binary.BigEndian.Uint32(b[atLastOffsetDelta:]))
}

// Length is the batch length field: the bytes that follow it, LogOverhead less
// than len(b).
func (b Batch) Length() int32 { return int32(binary.BigEndian.Uint32(b[atLength:])) }

// LeaderEpoch is the epoch of the leader that appended the batch.
func (b Batch) LeaderEpoch() int32 { return int32(binary.BigEndian.Uint32(b[atLeaderEpoch:])) }

// Attributes returns the batch's flag bits.
func (b Batch) Attributes() Attributes {
	return Attributes(binary.BigEndian.Uint16(b[atAttributes:]))
}

// BaseTimestamp, in milliseconds, is what record timestamp deltas count from; it
// is the delete horizon when Attributes.HasDeleteHorizon.
func (b Batch) BaseTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[atBaseTimestamp:])) }

// MaxTimestamp is the largest record timestamp in milliseconds, or the time of
// the append when Attributes.LogAppendTime.
func (b Batch) MaxTimestamp() int64 { return int64(binary.BigEndian.Uint64(b[atMaxTimestamp:])) }

// ProducerID is EmptyProducerID for a producer that is not idempotent.
func (b Batch) ProducerID() int64 { return int64(binary.BigEndian.Uint64(b[atProducerID:])) }

// ProducerEpoch is EmptyProducerEpoch for a producer that is not idempotent.
func (b Batch) ProducerEpoch() int16 { return int16(binary.BigEndian.Uint16(b[atProducerEpoch:])) }

// BaseSequence is the sequence of the first record, EmptySequence if none.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b[atBaseSequence:])) }

// LastSequence is the sequence of the last record: BaseSequence plus
// LastOffsetDelta, which follows 2^31-1 by 0. EmptySequence if there is none.
func (b Batch) LastSequence() int32 {
	base := b.BaseSequence()
	if base == EmptySequence {
		return EmptySequence
	}
	return IncrementSequence(base, b.LastOffsetDelta())
}

// Count is the number of records that the header declares.
func (b Batch) Count() int32 { return int32(binary.BigEndian.Uint32(b[atCount:])) }

// CRC is the CRC32-C that the header declares, over everything from the
// attributes on.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[atCRC:]) }

// Payload is the records section as encoded: compressed unless the codec is None.
func (b Batch) Payload() []byte { return b[HeaderBytes:] }

// SetBaseOffset patches the base offset, which the CRC does not cover, so that a
// leader can assign offsets in place.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[atBaseOffset:], uint64(offset))
}

// SetLeaderEpoch patches the leader epoch, which the CRC does not cover.
func (b Batch) SetLeaderEpoch(epoch int32) {
	binary.BigEndian.PutUint32(b[atLeaderEpoch:], uint32(epoch))
}

// SetLogAppendTime turns the batch into one of log append time: it sets the
// timestamp type bit and the maximum timestamp (milliseconds), which is what
// readers then report for every record, and recomputes the CRC. Like the other
// setters it writes into b, so it comes before anyone else shares the bytes.
func (b Batch) SetLogAppendTime(ms int64) {
	b.setAttributes(b.Attributes() | attrLogAppendTime)
	b.SetMaxTimestamp(ms)
}

// SetMaxTimestamp corrects the maximum timestamp (milliseconds) and the CRC. A
// leader does so when a producer's header understates its records, as lookup by
// time trusts the header.
func (b Batch) SetMaxTimestamp(ms int64) {
	binary.BigEndian.PutUint64(b[atMaxTimestamp:], uint64(ms))
	b.writeCRC()
}

// ForgetProducer makes the batch that of a producer that is not idempotent, and
// corrects the CRC: in another cluster the id may be somebody else's.
func (b Batch) ForgetProducer() {
	if b.ProducerID() == EmptyProducerID {
		return
	}
	none := int64(EmptyProducerID) // all three are -1
	binary.BigEndian.PutUint64(b[atProducerID:], uint64(none))
	binary.BigEndian.PutUint16(b[atProducerEpoch:], uint16(none))
	binary.BigEndian.PutUint32(b[atBaseSequence:], uint32(none))
	b.writeCRC()
}

func (b Batch) setAttributes(a Attributes) {
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(a))
}

func (b Batch) computeCRC() uint32 { return crc32.Checksum(b[atAttributes:], castagnoli) }

func (b Batch) writeCRC() { binary.BigEndian.PutUint32(b[atCRC:], b.computeCRC()) }

// CheckCRC recomputes the CRC32-C over everything from the attributes on. Its
// error wraps ErrCorrupt and gives the declared and the computed value.
func (b Batch) CheckCRC() error { return b.checkSum(b.computeCRC()) }

// CheckCRCAt is CheckCRC of a batch that lies at a place of a buffer, which others
// may share and have checked already.
func (b Batch) CheckCRCAt(buffer *edge.Buffer, at int32) error {
	return b.checkSum(edge.Slice{Buffer: buffer, From: at + atAttributes, To: at + int32(len(b))}.CRC32C())
}

func (b Batch) checkSum(got uint32) error {
	if want := b.CRC(); want != got {
		return fmt.Errorf("%w: crc is %08x, header says %08x (base offset %d, %d bytes)",
			ErrCorrupt, got, want, b.BaseOffset(), len(b))
	}
	return nil
}
