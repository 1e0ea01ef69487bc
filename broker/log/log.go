package log

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// logState says what a log can do. Transitions: recovering -> usable;
// usable <-> rebuilding; any -> deleted.
type logState uint8

const (
	recovering logState = iota
	usable
	rebuilding // truncation under way: no appends, no reads
	deleted
)

// Log is one partition's log. Its offsets are, from low to high:
//
//	start <= flushed <= end <= appendEnd      and start <= highWatermark <= end
//
// (flushed may lie below start after retention or DeleteRecords).
type Log struct {
	m         *Manager
	id        uint32
	partition Partition
	dir       string
	topicID   meta.TopicID
	cfg       config.Topic
	state     logState
	queue     edge.QueueID // ordered; queue+1 takes cold reads and background syncs

	segments []*segment // by base; the last is active
	dead     []*segment // renamed, their file still to be closed and removed

	start, end, appendEnd int64
	flushed               int64
	highWatermark         int64
	cleaned               int64 // all below has been compacted; the cleaner's checkpoint
	gaps                  gaps
	uncleanable           bool // something in it is no batch: compaction leaves it alone
	// What the checkpoint files say, and what a write of theirs in flight says.
	checkpointed, checkpointing checkpointedOffsets
	changes                     uint8 // kinds of Change not yet taken

	epochs    epochCache
	producers producerState
	snapshots []int64 // offsets of the snapshot files, rising

	tail       tail
	loads      []load
	generation uint32 // of the contents: rises with each truncation

	pending      []pendingBatch // accepted, no write issued yet; from pendingHead on
	pendingHead  int
	inflight     []inflightOp // writes and syncs on queue, in order; from inflightHead on
	inflightHead int
	freeSlices   [][]edge.Slice

	truncation *truncation
	recovery   *recovery
	scan       scanner
}

// Partition is the log's key.
func (l *Log) Partition() Partition { return l.partition }

// Number tells the logs of a boot apart, also one from a later one of the same
// partition. It counts from 1.
func (l *Log) Number() uint32 { return l.id }

// TopicID is the id of the topic that the log was created for (KIP-516).
func (l *Log) TopicID() meta.TopicID { return l.topicID }

// Config is the topic's configuration in force; do not change it through the pointer.
func (l *Log) Config() *config.Topic { return &l.cfg }

// SetConfig replaces the topic's configuration. Recovered logs have the broker's
// defaults until it is called.
func (l *Log) SetConfig(cfg config.Topic) { l.cfg = cfg }

// StartOffset is the first offset that readers may ask for.
func (l *Log) StartOffset() int64 { return l.start }

// EndOffset is Kafka's log end offset: all below it is written to the page
// cache, or synced where flush.messages is 1.
func (l *Log) EndOffset() int64 { return l.end }

// AppendEnd is the next offset to assign; writes in flight are below it.
func (l *Log) AppendEnd() int64 { return l.appendEnd }

// FlushedOffset is the recovery point: all below it is on stable storage.
func (l *Log) FlushedOffset() int64 { return l.flushed }

// HighWatermark is what SetHighWatermark was told, or the checkpoint after a boot.
func (l *Log) HighWatermark() int64 { return l.highWatermark }

// SetHighWatermark notes the high watermark, for retention and the checkpoint.
// It is kept between StartOffset and EndOffset.
func (l *Log) SetHighWatermark(offset int64) {
	l.highWatermark = max(l.start, min(offset, l.end))
}

// Segment tells where the segment that holds an offset ends, and whether it is the
// active one.
func (l *Log) Segment(offset int64) (end int64, active bool) {
	i := l.segmentAt(offset)
	return l.segments[i].end, i == len(l.segments)-1
}

// Usable says whether the log takes appends and reads; not so while it is being
// truncated or after its deletion.
func (l *Log) Usable() bool { return l.state == usable }

// Size is the bytes of all segments, writes in flight included.
func (l *Log) Size() int64 {
	n := int64(0)
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// LatestEpoch is the newest leader epoch that the log knows, UndefinedEpoch if none.
func (l *Log) LatestEpoch() int32 { return l.epochs.latest() }

// EpochStart returns the first offset of an epoch, if the log knows it.
func (l *Log) EpochStart(epoch int32) (int64, bool) { return l.epochs.start(epoch) }

// EpochAt returns the leader epoch that an offset belongs to, UndefinedEpoch if
// it is not known.
func (l *Log) EpochAt(offset int64) int32 { return l.epochs.at(offset) }

// EndOffsetForEpoch answers OffsetForLeaderEpoch (KIP-101, KIP-279): the largest
// epoch at or below the one asked for and the offset where it ends, AppendEnd
// for the latest. Both are undefined (-1) for an epoch above the latest.
func (l *Log) EndOffsetForEpoch(epoch int32) (int32, int64) {
	return l.epochs.end(epoch, l.appendEnd)
}

// Producer is what a log knows of one producer.
type Producer struct {
	ID               int64
	Epoch            int16
	LastSequence     int32 // -1 without one
	LastTimestamp    int64 // milliseconds
	CoordinatorEpoch int32 // of the last transaction marker, -1
	TxnStart         int64 // where its open transaction begins, -1
}

// Producers lists the producers that the log knows, by id.
func (l *Log) Producers() []Producer {
	list := make([]Producer, 0, len(l.producers.entries))
	for i := range l.producers.entries {
		e := &l.producers.entries[i]
		p := Producer{ID: e.id, Epoch: e.epoch, LastSequence: -1, LastTimestamp: e.lastTimestamp,
			CoordinatorEpoch: e.coordinatorEpoch, TxnStart: e.txnFirst}
		if last := e.last(); last != nil {
			p.LastSequence = last.lastSequence
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Producer) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// AssignEpoch notes that a leader epoch begins at startOffset, at the election
// and before anything is written in it. The checkpoint is on its way to the
// disk before any later write of this log.
func (l *Log) AssignEpoch(c *step.Context, epoch int32, startOffset int64) {
	if l.state == deleted {
		return
	}
	if epoch < 0 {
		panic(fmt.Sprintf("log %s: assign epoch %d", l.partition, epoch))
	}
	if l.epochs.assign(epoch, startOffset) {
		l.checkpointEpochs(c)
	}
}

func (l *Log) appendable() error {
	switch {
	case l.state == deleted:
		return ErrDeleted
	case l.state != usable:
		return ErrRebuilding
	case l.m.stopping:
		return ErrStopped
	}
	return nil
}

// Append appends a leader's batch: exactly one, [from, to) of b, already
// validated. It checks the producer's sequence, patches offset and leader epoch
// in place, retains b, and queues the write. The batch has its offsets at once;
// it is written when Change EndOffsetMoved has brought EndOffset above it.
//
// Errors wrap ErrDuplicate or ErrDuplicateSequence (AppendInfo tells of the original),
// ErrOutOfOrderSequence, ErrInvalidProducerEpoch, ErrTooLarge, ErrRebuilding,
// ErrDeleted or ErrStopped; nothing has been appended then.
func (l *Log) Append(c *step.Context, b *edge.Buffer, from, to int, leaderEpoch int32) (AppendInfo, error) {
	if err := l.appendable(); err != nil {
		return AppendInfo{}, err
	}
	batch := record.Batch(b.Bytes()[from:to])
	stamp := batch.Attributes().LogAppendTime()
	if info, err := l.checkProducer(batch); err != nil {
		if !stamp {
			info.LogAppendTime = record.NoTimestamp
		}
		return info, err
	}
	if int64(len(batch)) > l.cfg.SegmentBytes {
		return AppendInfo{}, fmt.Errorf("%w: %d bytes, segment.bytes is %d", ErrTooLarge, len(batch), l.cfg.SegmentBytes)
	}
	batch.SetBaseOffset(l.appendEnd)
	batch.SetLeaderEpoch(leaderEpoch)
	info := AppendInfo{BaseOffset: l.appendEnd, LastOffset: batch.LastOffset(), LogAppendTime: record.NoTimestamp}
	if stamp {
		info.LogAppendTime = batch.MaxTimestamp()
	}
	l.place(c, b, from, to)
	l.pump(c)
	return info, nil
}

// checkProducer holds a batch against what its producer has sent before.
func (l *Log) checkProducer(batch record.Batch) (AppendInfo, error) {
	info, err := l.producers.check(batch, l.start == 0)
	switch {
	case err == nil:
	case l.m.cfg.Bugs.Has(bugs.NoSequenceCheck):
		return AppendInfo{}, nil
	case l.m.cfg.Bugs.Has(bugs.RejectInsteadOfDeduplicate) && (errors.Is(err, ErrDuplicate) || errors.Is(err, ErrDuplicateSequence)):
		return AppendInfo{}, fmt.Errorf("%w: producer %d sends %d again", ErrOutOfOrderSequence, batch.ProducerID(), batch.BaseSequence())
	}
	return info, err
}

// AppendFollower appends batches as the leader wrote them; each slice holds whole
// ones. The first must start at AppendEnd, or be the first of the log and hold it; the
// others continue it. A torn tail is the caller's to cut off, CRCs are the caller's to
// check, sequences and sizes were the leader's: segment.bytes may have been more when it
// took a batch. Errors wrap ErrOffsetGap, ErrCorrupt, ErrRebuilding, ErrDeleted or
// ErrStopped; batches before the bad one stay appended, as in Kafka.
func (l *Log) AppendFollower(c *step.Context, records []edge.Slice) error {
	if err := l.appendable(); err != nil {
		return err
	}
	defer l.pump(c)
	if l.m.cfg.Bugs.Has(bugs.ForgetProducersOfLeader) {
		defer l.producers.reset()
	}
	// An epoch that this broker led without writing gives way to what the new
	// leader wrote.
	if l.epochs.truncateEnd(l.appendEnd) {
		l.checkpointEpochs(c)
	}
	l.beginWith(c, records)
	for _, s := range records {
		if err := l.placeAll(c, s); err != nil {
			return err
		}
	}
	return nil
}

// beginWith lets an empty log begin with a batch in whose middle it starts: DeleteRecords
// has moved the leader's log start into it, and batches are copied as they are
// (KAFKA-6975). The log start stays, as it is at the leader.
func (l *Log) beginWith(c *step.Context, records []edge.Slice) {
	if len(records) == 0 || len(l.segments) > 1 || l.active().size > 0 {
		return
	}
	batch, _, err := record.Next(records[0].Bytes())
	if err != nil || batch.BaseOffset() >= l.appendEnd || batch.LastOffset() < l.appendEnd {
		return
	}
	base := batch.BaseOffset()
	l.buryFrom(c, 0)
	l.openSegment(c, base)
	l.dropSnapshots(c, base+1, 1<<63-1)
	l.appendEnd, l.flushed = base, min(l.flushed, base)
	l.m.writeCheckpoint(c, checkpointStart) // the file's name does not say it any more
}

func (l *Log) placeAll(c *step.Context, s edge.Slice) error {
	for from, to := int(s.From), int(s.To); from < to; {
		batch, _, err := record.Next(s.Buffer.Bytes()[from:to])
		if err != nil {
			return fmt.Errorf("%w: append to %s at %d: %v", ErrCorrupt, l.partition, l.appendEnd, err)
		}
		switch {
		case batch.BaseOffset() < l.appendEnd || batch.BaseOffset() > l.appendEnd && !l.mayCopyGap(c):
			return fmt.Errorf("%w: %s ends at %d, batch starts at %d", ErrOffsetGap, l.partition, l.appendEnd, batch.BaseOffset())
		case batch.LastOffsetDelta() < 0:
			return fmt.Errorf("%w: last offset delta %d", ErrCorrupt, batch.LastOffsetDelta())
		case batch.LeaderEpoch() < l.epochs.latest():
			return fmt.Errorf("%w: leader epoch %d after %d", ErrCorrupt, batch.LeaderEpoch(), l.epochs.latest())
		}
		l.place(c, s.Buffer, from, from+len(batch))
		from += len(batch)
	}
	return nil
}

// place makes an accepted batch the log's last.
func (l *Log) place(c *step.Context, b *edge.Buffer, from, to int) {
	batch := record.Batch(b.Bytes()[from:to])
	s := l.active()
	if s.full(&l.cfg, batch, batch.LastOffset(), c.Wall) {
		s = l.roll(c)
	}
	if epoch := batch.LeaderEpoch(); epoch >= 0 && epoch != l.epochs.latest() && l.epochs.assign(epoch, batch.BaseOffset()) {
		l.checkpointEpochs(c)
	}
	l.producers.update(batch)
	position := s.size
	s.add(batch, l.cfg.IndexIntervalBytes)
	slice := b.Slice(from, to)
	l.tailAdd(tailEntry{base: batch.BaseOffset(), next: batch.NextOffset(), position: position, slice: slice})
	l.queueBatch(pendingBatch{segment: s, slice: slice, next: batch.NextOffset()})
	l.appendEnd = batch.NextOffset()
	if l.cfg.FlushMillis < maxMillis {
		l.m.armFlush(c, l)
	}
}
