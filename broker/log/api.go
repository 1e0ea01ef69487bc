// Package log owns the partition logs of one broker: segments, indexes, the
// leader epoch cache, producer state, checkpoints, retention and recovery, all
// in Kafka's file formats and under Kafka's file names. A Manager holds every
// log of one data directory.
//
// It never performs I/O: what it wants of the disk goes into step.Context.Out as
// edge.DiskOp, and results come back through Manager.Disk. It never decides who
// leads, what the high watermark is, or whether a batch's records are valid.
package log

import (
	"errors"
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// Partition is the key of a log; its directory is String.
type Partition struct {
	Topic string
	Index int32
}

// String is Kafka's name for the partition and its directory: "topic-index".
func (p Partition) String() string { return fmt.Sprintf("%s-%d", p.Topic, p.Index) }

// Compare orders partitions by topic, then index.
func (p Partition) Compare(q Partition) int {
	switch {
	case p.Topic < q.Topic:
		return -1
	case p.Topic > q.Topic:
		return 1
	case p.Index < q.Index:
		return -1
	case p.Index > q.Index:
		return 1
	}
	return 0
}

// ChangeKind says what happened to a log.
type ChangeKind uint8

// The kinds of Change.
const (
	// EndOffsetMoved: EndOffset has risen, because writes have ended.
	EndOffsetMoved ChangeKind = iota + 1
	// Flushed: FlushedOffset has risen.
	Flushed
	// Loaded: a cold read has ended; every reader that was told Loading on this
	// log reads again.
	Loaded
	// Truncated: TruncateTo or TruncateFullyAndStartAt is complete and the log
	// takes appends and reads again.
	Truncated
	// StartOffsetMoved: StartOffset has risen.
	StartOffsetMoved
)

func (k ChangeKind) String() string {
	names := [...]string{"none", "end offset moved", "flushed", "loaded", "truncated", "start offset moved"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Change is one thing that happened to a log without its caller doing it in
// that very call.
type Change struct {
	Log  *Log
	Kind ChangeKind
}

var (
	// ErrDuplicate: the batch is one of the producer's last five; AppendInfo
	// holds the offsets of the original. Nothing was appended. Kafka answers
	// success with the original offsets.
	ErrDuplicate = errors.New("duplicate of a batch already appended")
	// ErrDuplicateSequence is Kafka's DUPLICATE_SEQUENCE_NUMBER: the batch is in the
	// log, but further back than those whose offsets are remembered. AppendInfo
	// holds no base offset; LastOffset is no lower than the original's. Nothing was
	// appended. Clients take the answer for success. Kafka's brokers have forgotten
	// such batches and answer OUT_OF_ORDER_SEQUENCE_NUMBER, upon which a producer
	// may bump its epoch and write them again.
	ErrDuplicateSequence = errors.New("duplicate of a batch appended long ago")
	// ErrOutOfOrderSequence is Kafka's OUT_OF_ORDER_SEQUENCE_NUMBER.
	ErrOutOfOrderSequence = errors.New("sequence number out of order")
	// ErrInvalidProducerEpoch is Kafka's INVALID_PRODUCER_EPOCH: a newer epoch of
	// this producer id has written to this log.
	ErrInvalidProducerEpoch = errors.New("producer epoch is older than the log's")
	// ErrUnknownProducer is Kafka's UNKNOWN_PRODUCER_ID. Kafka's leaders since 2.4
	// accept any sequence of a producer without state instead (KIP-360), so that
	// Append never returns it; it is here for callers that map errors.
	ErrUnknownProducer = errors.New("unknown producer id")
	// ErrRebuilding: the log is being truncated and its producer state rebuilt;
	// the caller retries after Change Truncated. Kafka's NOT_LEADER_OR_FOLLOWER
	// or KAFKA_STORAGE_ERROR, both retriable.
	ErrRebuilding = errors.New("log is being truncated")
	// ErrDeleted: the log has been deleted.
	ErrDeleted = errors.New("log is deleted")
	// ErrStopped: the manager has shut down; no more appends.
	ErrStopped = errors.New("log manager is shutting down")
	// ErrOffsetGap: AppendFollower's first batch does not start at AppendEnd.
	ErrOffsetGap = errors.New("batch does not continue the log")
	// ErrOffsetOutOfRange is Kafka's OFFSET_OUT_OF_RANGE.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrCorrupt: what lies in the log is no batch; Kafka's CORRUPT_MESSAGE.
	ErrCorrupt = errors.New("log is corrupt")
	// ErrTooLarge: a batch exceeds segment.bytes; Kafka's RECORD_LIST_TOO_LARGE.
	ErrTooLarge = errors.New("batch is larger than segment.bytes")
)

// AppendInfo tells where a batch went. With ErrDuplicate it is the original's,
// with ErrDuplicateSequence a bound for it.
type AppendInfo struct {
	BaseOffset int64
	LastOffset int64
	// LogAppendTime is the batch's timestamp in milliseconds if it bears the time
	// of the append, -1 otherwise, as in a produce response.
	LogAppendTime int64
}

// ReadResult is what Read found. Slices is dst with whole batches appended, each
// slice holding one or more whole batches; they are retained for the caller, who
// releases each slice's buffer once (handing them to edge.Send does).
type ReadResult struct {
	Slices []edge.Slice
	Bytes  int   // in Slices, those of this read only
	Next   int64 // the offset after the last batch returned; from if there is none
	// Loading: nothing (or less than there is) is in memory; a disk read is under
	// way and Change Loaded follows. Then Slices gained nothing.
	Loading bool
	// Full: a batch below the limit was left out, since maxBytes has no room for it.
	Full bool
	// Err is ErrOffsetOutOfRange (from below StartOffset or above EndOffset),
	// ErrRebuilding, ErrDeleted or ErrCorrupt.
	Err error
}

// TimeResult is the answer of OffsetForTime and MaxTimestampOffset.
type TimeResult struct {
	Offset    int64 // -1 when not Found
	Timestamp int64 // milliseconds; -1 when not Found
	Epoch     int32 // of the record's leader; -1 when not known
	Found     bool
	Loading   bool // not known yet: call again after Change Loaded
	Err       error
}
