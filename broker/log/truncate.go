package log

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// truncationPhase is how far a truncation has come. Transitions, each skipped
// when there is nothing to do: draining -> locating -> reading snapshots ->
// replaying -> waiting for the checkpoints -> over.
type truncationPhase uint8

const (
	truncDraining      truncationPhase = iota // writes in flight, which the cut must come behind
	truncLocating                             // the batch at the offset is sought
	truncSnapshot                             // a producer snapshot is read
	truncReplaying                            // the batches behind the snapshot are read
	truncCheckpointing                        // the recovery point on disk lies too high
)

// truncation is one in progress.
type truncation struct {
	phase truncationPhase
	// offset is where the log is to end; fully drops everything and starts there.
	offset int64
	fully  bool
	// next is what was asked for while this one had gone too far to be changed.
	next       int64
	nextFully  bool
	hasNext    bool
	checkpoint bool // a checkpoint must reach the disk before the end
}

// TruncateTo cuts the log so that it ends at offset, or before the batch that
// holds it. The offsets move at once; until Change Truncated the log answers
// ErrRebuilding, since producer state may have to be read from disk. An offset
// at or above AppendEnd changes nothing (and still reports Truncated); one below
// the first segment empties the log.
func (l *Log) TruncateTo(c *step.Context, offset int64) {
	l.truncateStart(c, offset, offset < l.segments[0].base)
}

// TruncateFullyAndStartAt empties the log, which then begins and ends at offset.
// The offsets move at once; Change Truncated follows.
func (l *Log) TruncateFullyAndStartAt(c *step.Context, offset int64) {
	l.truncateStart(c, offset, true)
}

func (l *Log) truncateStart(c *step.Context, offset int64, fully bool) {
	if offset < 0 {
		panic(fmt.Sprintf("log %s: truncate to %d", l.partition, offset))
	}
	switch l.state {
	case deleted:
		return
	case recovering:
		panic(fmt.Sprintf("log %s: truncate to %d during recovery", l.partition, offset))
	case rebuilding:
		t := l.truncation
		if !fully && offset >= l.appendEnd {
			return
		}
		l.clamp(c, offset, fully)
		if t.phase == truncDraining && !t.fully {
			t.offset, t.fully = offset, fully
			return
		}
		if t.phase == truncCheckpointing {
			*t = truncation{offset: offset, fully: fully}
			l.truncationStep(c)
			return
		}
		t.hasNext, t.next, t.nextFully = true, offset, fully || t.nextFully
		return
	}
	if !fully && offset >= l.appendEnd {
		// This broker may have led an epoch in which it wrote nothing, while the
		// new leader's log goes on with older ones: then the entry is wrong.
		if l.epochs.truncateEnd(l.appendEnd) {
			l.checkpointEpochs(c)
		}
		l.m.changed(l, Truncated)
		return
	}
	l.pumpAll(c)
	l.clamp(c, offset, fully)
	l.state = rebuilding
	l.truncation = &truncation{offset: offset, fully: fully}
	l.truncationStep(c)
}

// clamp moves the log's offsets to where they will be and forgets cached data
// above.
func (l *Log) clamp(c *step.Context, offset int64, fully bool) {
	l.generation++
	cut := offset
	if fully {
		cut = -1
	}
	l.tailCut(cut)
	for _, s := range l.segments {
		l.m.forget(s.file, cut)
	}
	l.appendEnd = min(l.appendEnd, offset)
	l.end, l.flushed = min(l.end, offset), min(l.flushed, offset)
	// What will be written above has not been compacted (KAFKA-3330).
	l.cleaned = min(l.cleaned, offset)
	l.start, l.highWatermark = min(l.start, offset), min(l.highWatermark, offset)
	for i := l.inflightHead; i < len(l.inflight); i++ {
		l.inflight[i].next = min(l.inflight[i].next, offset)
		if fully {
			l.inflight[i].moveEnd = false
		}
	}
	if fully {
		l.start, l.end, l.appendEnd, l.highWatermark = offset, offset, offset, offset
	}
}

// truncationStep goes on once nothing is in flight on the ordered queue.
func (l *Log) truncationStep(c *step.Context) {
	t := l.truncation
	if t.phase != truncDraining || l.inflightHead < len(l.inflight) {
		return
	}
	if t.fully {
		l.startOver(c)
		return
	}
	s := l.segments[l.segmentAt(t.offset)]
	if t.offset >= s.end {
		l.located(c, s.size, s.end)
		return
	}
	s.trim(t.offset)
	if s.base == t.offset {
		l.located(c, 0, s.base)
		return
	}
	if l.locateInTail(c, s) {
		return
	}
	t.phase = truncLocating
	l.startScan(c, scanner{
		kind: scanLocate, segment: l.segmentAt(t.offset), position: s.indexed(), until: t.offset, next: s.base,
	})
}

// locateInTail does without a read if all batches behind the last index entry
// are in memory. The tail has been cut already: it ends below the offset.
func (l *Log) locateInTail(c *step.Context, s *segment) bool {
	live := l.tail.live()
	from := len(live)
	for from > 0 && live[from-1].base >= s.base && live[from-1].position >= s.indexed() {
		from--
	}
	if from == len(live) || live[from].position != s.indexed() {
		return false
	}
	for _, e := range live[from:] {
		if ts := record.Batch(e.slice.Bytes()).MaxTimestamp(); ts > s.maxTimestamp {
			s.maxTimestamp, s.maxOffset = ts, e.next-1
		}
	}
	last := &live[len(live)-1]
	l.located(c, last.position+int64(last.slice.Len()), last.next)
	return true
}

// located cuts the files where the batch that would hold offset begins.
func (l *Log) located(c *step.Context, position, offset int64) {
	t := l.truncation
	i := l.segmentAt(t.offset)
	s := l.segments[i]
	t.offset = min(t.offset, offset)
	l.buryFrom(c, i+1)
	l.dropSnapshots(c, t.offset+1, 1<<63-1)
	// A later segment must not come back after a crash, behind other data, nor a
	// snapshot that tells of batches which are gone.
	l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	if position < s.size {
		l.fileOp(c, s, edge.DiskOp{Kind: edge.OpTruncate, Length: position}, tokenFile)
		l.fileOp(c, s, edge.DiskOp{Kind: edge.OpSync}, tokenFile)
	}
	s.cut(position, t.offset)
	l.clamp(c, t.offset, false)
	if l.epochs.truncateEnd(t.offset) {
		l.checkpointEpochs(c)
	}
	l.awaitCheckpoint(c)
	if l.producers.lastOffset() < t.offset {
		l.truncationDone(c)
		return
	}
	l.rebuildProducers(c)
}

// startOver replaces all segments by an empty one.
func (l *Log) startOver(c *step.Context) {
	t := l.truncation
	l.buryFrom(c, 0)
	l.openSegment(c, t.offset).entrySynced = true
	l.producers.reset()
	l.dropSnapshots(c, -1, 1<<63-1)
	l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	l.flushed = t.offset
	l.epochs.entries = l.epochs.entries[:0]
	l.checkpointEpochs(c)
	l.awaitCheckpoint(c)
	l.truncationDone(c)
}

// awaitCheckpoint keeps the log closed until no checkpoint on disk says more than is
// true of it: else a recovery would trust what is written now without looking at it,
// and a compaction leave it out.
func (l *Log) awaitCheckpoint(c *step.Context) {
	for kind := range checkpointKinds {
		if !l.trusted(kind) {
			l.m.writeCheckpoint(c, kind)
		}
	}
	l.truncation.checkpoint = !l.trustedAll()
}

// rebuildProducers reloads the newest snapshot at or below the end and replays
// what follows it.
func (l *Log) rebuildProducers(c *step.Context) {
	t := l.truncation
	l.producers.reset()
	if n := len(l.snapshots); n > 0 {
		t.phase = truncSnapshot
		path := segmentPath(l.dir, l.snapshots[n-1], snapshotSuffix)
		l.op(c, edge.DiskOp{Kind: edge.OpReadFile, Path: path, Length: checkpointBytesMax}, tokenScanSnapshot)
		return
	}
	l.replayFrom(c, l.segments[0].base)
}

// snapshotRead handles the result of rebuildProducers.
func (l *Log) snapshotRead(c *step.Context, r *edge.DiskResult) {
	if l.state != rebuilding {
		if r.Data != nil {
			r.Data.Release()
		}
		return
	}
	newest := l.snapshots[len(l.snapshots)-1]
	err := fmt.Errorf("producer snapshot is missing")
	if r.Err == edge.DiskOK {
		err = l.producers.decodeSnapshot(r.Data.Bytes())
		r.Data.Release()
	}
	if err != nil {
		c.Logf(edge.Warn, "log %s: snapshot %d: %v", l.partition, newest, err)
		l.dropSnapshots(c, newest, newest+1)
		l.rebuildProducers(c)
		return
	}
	l.replayFrom(c, newest)
}

func (l *Log) replayFrom(c *step.Context, offset int64) {
	t := l.truncation
	t.phase = truncReplaying
	i := l.segmentAt(offset)
	position := int64(0)
	if s := l.segments[i]; offset > s.base {
		position = s.offsets.floor(s.base, offset)
	}
	l.startScan(c, scanner{kind: scanReplay, segment: i, position: position, from: offset, until: t.offset})
}

func (l *Log) replayed(c *step.Context) {
	if l.scan.reason != "" {
		c.Logf(edge.Error, "log %s: producer state is rebuilt up to byte %d of segment %d only: %s",
			l.partition, l.scan.position, l.segments[l.scan.segment].base, l.scan.reason)
	}
	l.truncationDone(c)
}

// truncationDone opens the log again, or goes on with what was asked for
// meanwhile.
func (l *Log) truncationDone(c *step.Context) {
	t := l.truncation
	t.phase = truncCheckpointing
	if t.hasNext {
		*t = truncation{offset: t.next, fully: t.nextFully || t.next < l.segments[0].base}
		l.clamp(c, t.offset, t.fully) // this one has ended where its last batch does
		l.truncationStep(c)
		return
	}
	if t.checkpoint {
		return // the manager calls again when it is on disk
	}
	l.expireProducers(c)
	l.truncation = nil
	l.state = usable
	l.m.changed(l, Truncated)
}

// checkpointsWritten is told that one of the checkpoints is on disk.
func (l *Log) checkpointsWritten(c *step.Context) {
	if t := l.truncation; t != nil && t.checkpoint && l.trustedAll() {
		t.checkpoint = false
		if t.phase == truncCheckpointing {
			l.truncationDone(c)
		}
	}
}
