package client

import "github.com/seed-604ea8f1/windtunnel/clock"

// Batch is a producer's batch as its observer sees it.
type Batch struct {
	Producer  int32
	Topic     int32
	Partition int32
	ID        uint64 // producer index << 40 | number of the batch; rises with each batch that is closed
	Count     int32
	Bytes     int // encoded, header included
	Acks      int8
	// ProducerID is -1 without idempotence; Epoch and Sequence are then -1 too.
	ProducerID int64
	Epoch      int16
	Sequence   int32
	Attempts   int32 // sent so often, the present one included
	Leader     int32 // the broker that the last attempt went to
	Intended   []Due // when the records were due, in their order
	Keys       []Key // of the records, in their order; empty where none has a key
	Now        clock.Instant
}

// Due is a run of consecutive records that were due at the same instant: a load
// that sends as fast as it can has thousands of them, which then cost no more
// than one.
type Due struct {
	At    clock.Instant
	Count int32
}

// appendDue adds records to a list of runs.
func appendDue(list []Due, at clock.Instant, count int32) []Due {
	if n := len(list); n > 0 && list[n-1].At == at {
		list[n-1].Count += count
		return list
	}
	return append(list, Due{at, count})
}

// ProducerObserver is told what becomes of batches. The calls are made inside
// Step; what they are given is valid during the call only. Every batch that is
// Invoked ends with exactly one call of Acked or Failed, or is Split.
type ProducerObserver interface {
	// Invoked is the first time that the batch goes on the wire.
	Invoked(b *Batch)
	// Acked says that the broker has the batch. The offset is -1 if it gave
	// none (acks=0, or a duplicate whose offset it no longer knows).
	Acked(b *Batch, baseOffset int64)
	// Failed gives the batch up. It is definite when no attempt can have been
	// appended; otherwise the records may be there, or appear later.
	Failed(b *Batch, code int16, reason string, definite bool)
	// Dropped counts records that were never sent: no buffer or metadata within
	// max.block.ms, or the delivery time-out before the first attempt.
	Dropped(count int, reason string)
	// Retried says that the batch will be sent again.
	Retried(b *Batch, code int16)
	// Split says that the broker found the batch too large and that its records
	// go on in batches with ids of their own; definite is as in Failed.
	Split(b *Batch, definite bool)
}

// Delivery is a run of consecutive records of one producer's batch that the
// application is given.
type Delivery struct {
	Reader      int32
	Topic       int32
	Partition   int32
	BaseOffset  int64
	Count       int32
	BatchID     uint64
	FirstIndex  int32 // of the first record of the run, within the producer's batch
	BatchCount  int32 // records of the producer's batch
	Intended    []Due // of the run's records, in their order
	Keys        []Key // of the run's records, if ConsumerConfig.Keys asks for them
	LeaderEpoch int32 // of the stored batch
	FetchAnswer
	Now clock.Instant
}

// FetchAnswer is where records come from. The application may get them later.
type FetchAnswer struct {
	Asked   clock.Instant // when the request was sent
	Fetched clock.Instant // when the answer came
	Broker  int32         // that was asked,
	Epoch   int32         // as of this leader epoch
}

// PositionReason says why a position was set other than by reading on.
type PositionReason uint8

// The reasons.
const (
	PositionCommitted  PositionReason = iota // taken from the group's committed offset
	PositionReset                            // nothing was committed: auto.offset.reset
	PositionOutOfRange                       // the offset was out of range: auto.offset.reset
	PositionTruncated                        // the log was truncated behind the consumer (KIP-320)
)

func (r PositionReason) String() string {
	return [...]string{"committed", "reset", "out of range", "truncated"}[r]
}

// PassedOver is a stretch without records up to an offset, behind what was
// delivered before.
type PassedOver struct {
	Reader    int32
	Topic     int32
	Partition int32
	To        int64 // the new position
	FetchAnswer
}

// Commit is a commit of one partition's offset.
type Commit struct {
	Reader     int32
	Topic      int32
	Partition  int32
	Offset     int64
	Generation int32 // -1 without a group's generation
	// Token is the commit's metadata: no two attempts of the run share one.
	Token uint64
	Now   clock.Instant
}

// ListedEnd is an answer of ListOffsets for the end of a partition.
type ListedEnd struct {
	Reader    int32
	Topic     int32
	Partition int32
	Offset    int64
	Invoked   clock.Instant // when the question was sent
	Now       clock.Instant
}

// ConsumerObserver is told what a consumer sees. The calls are made inside
// Step; what they are given is valid during the call only.
type ConsumerObserver interface {
	Delivered(d *Delivery)
	// HighWatermark is what each answer to a fetch claims. The leader's epoch is -1
	// if a follower answered, whose high watermark comes later (KIP-392).
	HighWatermark(reader int32, p TopicPartition, highWatermark int64, leaderEpoch int32)
	Position(reader int32, p TopicPartition, offset int64, reason PositionReason)
	// PassedOver says that the position has moved to an offset over some at which
	// there is no record: compaction has emptied a batch, or cut off its end.
	PassedOver(o *PassedOver)
	// CommitInvoked comes before the request is sent, Committed with its
	// outcome. ok false with an empty code 0 is a lost answer: unknown.
	CommitInvoked(c *Commit)
	Committed(c *Commit, ok bool, code int16)
	// FetchInvoked comes before the committed offset of a partition is asked for,
	// FetchAnswered with the answer: the offset (-1 for none) and the token of the
	// commit that put it there. ok false is a lost answer or an error.
	FetchInvoked(reader int32, p TopicPartition)
	FetchAnswered(reader int32, p TopicPartition, offset int64, token uint64, ok bool)
	// Assigned, Revoked and Lost are the calls of a rebalance listener.
	Assigned(reader, generation int32, memberID string, partitions []TopicPartition)
	Revoked(reader, generation int32, memberID string, partitions []TopicPartition)
	Lost(reader, generation int32, memberID string, partitions []TopicPartition)
	// Corrupt is a wrong CRC, payload header or filler: always a violation.
	Corrupt(reader int32, p TopicPartition, offset int64, what string)
	// ListedEnd is a read of the end; the broker must not answer with less than
	// what was acked before it was invoked (KIP-207).
	ListedEnd(l *ListedEnd)
	// ListInvoked comes before a ListOffsets is sent for the partition.
	ListInvoked(reader int32, p TopicPartition, now clock.Instant)
	// Stopped says that the consumer gave up: a fatal error, or auto.offset.reset
	// is none.
	Stopped(reader int32, code int16, reason string)
}

// AdminObserver is told what an administrator has done.
type AdminObserver interface {
	Created(topic string, code int16)
	// Operated ends an operation; the code is that of its last try.
	Operated(o *Operation, code int16)
	// Refused comes when the cluster would not create or delete a topic of a storm.
	Refused(topic string, code int16)
	// Probed comes when a probe falls due, and when it is done.
	Probed(intended, now clock.Instant, done bool)
}

// ProducerStats counts records unless said otherwise.
type ProducerStats struct {
	Due            int64 // came into being
	Late           int64 // of those, found no buffer or no metadata when they were due
	Dropped        int64
	Sent           int64 // went on the wire at least once
	Acked          int64
	Failed         int64 // definitely
	Unknown        int64 // given up, may have been appended
	RetriedBatches int64
	Batches        int64
	Requests       int64 // Produce requests
	Disconnects    int64
	EpochBumps     int64
	BufferedBytes  int64 // of buffer.memory in use
	InFlight       int64 // requests without an answer
}

// ConsumerStats counts over all of a consumer's life.
type ConsumerStats struct {
	Records     int64
	Batches     int64
	Fetches     int64
	Polls       int64
	Commits     int64
	Rebalances  int64
	Disconnects int64
	Lag         int64 // known ends less positions, over the assigned partitions
	Assigned    int64 // partitions
}
