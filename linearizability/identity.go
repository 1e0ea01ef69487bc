package linearizability

import "fmt"

// Partition names one log: the index of its topic in the run and the partition
// number within the topic. Both are >= 0.
type Partition struct {
	Topic int32
	Index int32
}

func (p Partition) String() string { return fmt.Sprintf("t%d-%d", p.Topic, p.Index) }

func (p Partition) key() uint64 { return uint64(uint32(p.Topic))<<32 | uint64(uint32(p.Index)) }

const sequenceBits = 40

// BatchID identifies one producer batch over the whole run: the producer in the
// high 24 bits, its sequence in the low 40. A producer numbers its batches in the
// order of their records, those that are parts of a larger one too, so that two ids of
// one producer in one partition compare in program order. All attempts of a batch
// share its id. Never zero.
type BatchID uint64

// NewBatchID packs a producer (0 to 2^24-1) and a sequence (1 to 2^40-1).
// Sequence 0 is not used, so that no id is zero.
func NewBatchID(producer uint32, sequence uint64) BatchID {
	if producer >= 1<<(64-sequenceBits) || sequence == 0 || sequence >= 1<<sequenceBits {
		panic(fmt.Sprintf("batch id out of range: producer %d sequence %d", producer, sequence))
	}
	return BatchID(uint64(producer)<<sequenceBits | sequence)
}

// Producer is the producer that sent the batch.
func (b BatchID) Producer() uint32 { return uint32(b >> sequenceBits) }

// Sequence is the batch's place in its producer's program order.
func (b BatchID) Sequence() uint64 { return uint64(b) & (1<<sequenceBits - 1) }

func (b BatchID) String() string { return fmt.Sprintf("p%d#%d", b.Producer(), b.Sequence()) }

// Asserted says which of the claims that these checkers can decide were made.
// What is not asserted is counted as permitted and never reported as a violation.
type Asserted struct {
	NoLostAcks             bool
	NoDuplicates           bool
	NoReorder              bool
	HighWatermarkMonotonic bool
	NewestKept             bool
	CompactionLags         bool
	NoResurrectedKeys      bool
}

// AssertAll makes every claim: acks=all, idempotent, no planned data loss.
func AssertAll() Asserted {
	return Asserted{
		NoLostAcks: true, NoDuplicates: true, NoReorder: true, HighWatermarkMonotonic: true,
		NewestKept: true, CompactionLags: true, NoResurrectedKeys: true,
	}
}

// LogStartReason says why a log start moved. Zero is not a reason.
type LogStartReason uint8

const (
	// RetentionReason is deletion by retention.ms or retention.bytes.
	RetentionReason LogStartReason = iota + 1
	// DeleteRecordsReason is a DeleteRecords request (KIP-107).
	DeleteRecordsReason
)
