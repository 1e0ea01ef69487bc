package log

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

const (
	// writeSlicesMax and writeBytesMax bound one OpWrite; the rest waits for its
	// result and goes out together (group commit).
	writeSlicesMax = 1024
	writeBytesMax  = 8 << 20
)

// pendingBatch waits for its write; slice is retained.
type pendingBatch struct {
	segment *segment
	slice   edge.Slice
	next    int64
}

// inflightOp is a write or a sync on the log's ordered queue.
type inflightOp struct {
	segment *segment
	next    int64 // the offset behind what is written or synced
	bytes   int64
	slices  []edge.Slice // of a write: the memory is reused
	sync    bool
	moveEnd bool // EndOffset may rise to next with this result
}

// The tokens' kinds: what a result of a log's operation is for.
const (
	tokenPlain  uint8 = iota + 1 // only errors matter
	tokenRename                  // the source may be missing
	tokenWrite
	tokenSync
	tokenBackgroundSync // B: file
	tokenFile           // an operation on a file of which only the end matters; B: file
	tokenLoad           // B: file
	tokenScan           // B: file
	tokenScanSnapshot
	tokenRecovery // B: what was asked for
	tokenManagerPlain
	tokenCheckpoint // B: which checkpoint
	tokenBoot
	tokenShutdown
	tokenDirGone
	tokenCleanRead     // B: file
	tokenCleanDone     // B: file
	tokenCleanReplaced // B: file
	tokenTrim          // B: file
)

func (l *Log) queueBatch(p pendingBatch) {
	if l.pendingHead > 0 && len(l.pending) == cap(l.pending) {
		n := copy(l.pending, l.pending[l.pendingHead:])
		clear(l.pending[n:])
		l.pending, l.pendingHead = l.pending[:n], 0
	}
	p.slice.Buffer.Retain()
	l.pending = append(l.pending, p)
}

// pump issues the next write unless one is in flight: what comes meanwhile is
// collected and goes out as one.
func (l *Log) pump(c *step.Context) {
	if l.inflightHead < len(l.inflight) || l.pendingHead == len(l.pending) {
		return
	}
	l.issueWrite(c)
}

// pumpAll issues all that waits, one write behind the other: what must come
// after it can then be issued at once.
func (l *Log) pumpAll(c *step.Context) {
	for l.pendingHead < len(l.pending) {
		l.issueWrite(c)
	}
}

// issueWrite takes the pending batches of one segment, up to the limits.
func (l *Log) issueWrite(c *step.Context) {
	s := l.pending[l.pendingHead].segment
	offset := s.writeEnd(l)
	w := inflightOp{segment: s, slices: l.takeSlices()}
	for ; l.pendingHead < len(l.pending); l.pendingHead++ {
		p := &l.pending[l.pendingHead]
		n := int64(p.slice.Len())
		if p.segment != s || w.bytes > 0 && w.bytes+n > writeBytesMax || len(w.slices) == writeSlicesMax {
			break
		}
		if k := len(w.slices); k > 0 && w.slices[k-1].Buffer == p.slice.Buffer && w.slices[k-1].To == p.slice.From {
			w.slices[k-1].To = p.slice.To
			p.slice.Buffer.Release()
		} else {
			w.slices = append(w.slices, p.slice)
		}
		w.bytes += n
		w.next = p.next
		*p = pendingBatch{}
	}
	if l.pendingHead == len(l.pending) {
		l.pending, l.pendingHead = l.pending[:0], 0
	}
	each := l.cfg.FlushMessages <= 1
	w.moveEnd = !each
	s.issued = w.next
	l.fileOp(c, s, edge.DiskOp{Kind: edge.OpWrite, Offset: offset, Data: w.slices}, tokenWrite)
	l.pushInflight(w)
	if each {
		l.issueSync(c, s, true)
	}
}

// writeEnd is where the next write of the segment goes: behind those in flight.
func (s *segment) writeEnd(l *Log) int64 {
	at := s.written
	for i := l.inflightHead; i < len(l.inflight); i++ {
		if f := &l.inflight[i]; f.segment == s && !f.sync {
			at += f.bytes
		}
	}
	return at
}

// issueSync puts a sync of what has been issued so far on the ordered queue.
func (l *Log) issueSync(c *step.Context, s *segment, moveEnd bool) {
	if !s.entrySynced {
		s.entrySynced = true
		l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	}
	l.fileOp(c, s, edge.DiskOp{Kind: edge.OpSync}, tokenSync)
	l.pushInflight(inflightOp{segment: s, next: s.issued, sync: true, moveEnd: moveEnd})
}

func (l *Log) pushInflight(f inflightOp) {
	if l.inflightHead > 0 && l.inflightHead == len(l.inflight) {
		l.inflight, l.inflightHead = l.inflight[:0], 0
	}
	l.inflight = append(l.inflight, f)
}

// written handles the result of the oldest write or sync in flight.
func (l *Log) written(c *step.Context, sync bool) {
	f := l.inflight[l.inflightHead]
	if f.sync != sync {
		panic(fmt.Sprintf("log %s: result of sync=%v while sync=%v is the oldest in flight", l.partition, sync, f.sync))
	}
	l.inflight[l.inflightHead] = inflightOp{}
	l.inflightHead++
	if l.inflightHead == len(l.inflight) {
		l.inflight, l.inflightHead = l.inflight[:0], 0
	}
	f.segment.ops--
	if sync {
		f.segment.synced = max(f.segment.synced, f.next)
	} else {
		f.segment.written += f.bytes
		clear(f.slices)
		l.freeSlices = append(l.freeSlices, f.slices[:0])
	}
	if s := f.segment; s.writeEnd(l) == s.written {
		l.syncSealed(c, s)
	}
	if f.moveEnd && f.next > l.end {
		l.end = f.next
		l.m.changed(l, EndOffsetMoved)
	}
	if sync {
		l.advanceFlushed()
	}
	if l.state == deleted {
		return
	}
	switch l.state {
	case rebuilding:
		l.truncationStep(c)
		return
	case recovering:
		l.recoverStep(c)
		return
	}
	if !sync && l.cfg.FlushMessages > 1 && l.end-l.flushed >= l.cfg.FlushMessages {
		l.Flush(c)
	}
	l.pump(c)
}

func (l *Log) takeSlices() []edge.Slice {
	if n := len(l.freeSlices); n > 0 {
		s := l.freeSlices[n-1]
		l.freeSlices = l.freeSlices[:n-1]
		return s
	}
	return make([]edge.Slice, 0, 4)
}

// Flush syncs all that has been appended so far; Change Flushed tells of it.
func (l *Log) Flush(c *step.Context) {
	if l.state == deleted || l.state == recovering {
		return
	}
	l.pumpAll(c)
	for _, s := range l.segments[l.segmentAt(l.flushed):] {
		if s.synced < s.issued && !s.syncing && !l.syncInFlight(s) {
			l.issueSync(c, s, false)
		}
	}
}

// syncInFlight says whether a sync that covers all of the segment's writes is
// already on the ordered queue.
func (l *Log) syncInFlight(s *segment) bool {
	for i := l.inflightHead; i < len(l.inflight); i++ {
		if f := &l.inflight[i]; f.sync && f.segment == s && f.next >= s.issued {
			return true
		}
	}
	return false
}

// advanceFlushed moves the recovery point over what has been synced without a gap.
func (l *Log) advanceFlushed() {
	old := l.flushed
	for i := l.segmentAt(l.flushed); i < len(l.segments); i++ {
		s := l.segments[i]
		l.flushed = max(l.flushed, min(s.synced, s.end))
		if s.synced < s.end {
			break
		}
	}
	if l.flushed > old {
		l.m.changed(l, Flushed)
	}
}

// roll seals the active segment and begins a new one at AppendEnd. The old
// segment's indexes and a snapshot of the producers are written in order with
// the batches; its sync follows its last write, in the background.
func (l *Log) roll(c *step.Context) *segment {
	old := l.active()
	old.seal()
	l.pumpAll(c)
	trimmed := l.trim(c, old)
	l.writeIndexes(c, old)
	l.writeSnapshot(c, l.appendEnd)
	if l.syncInFlight(old) || old.synced >= old.end {
		if trimmed {
			// No sync is to come that would make the cut stable, and with the next
			// segment there a recovery would not look at this one.
			l.issueSync(c, old, false)
		}
		return l.openSegment(c, l.appendEnd)
	}
	// A sync covers only what has been written when it begins, and the background
	// queue overtakes this one: so it waits for the last write.
	old.syncing, old.awaitsSync = true, true
	if old.writeEnd(l) == old.written {
		l.syncSealed(c, old)
	}
	return l.openSegment(c, l.appendEnd)
}

// trim cuts the file of a segment that takes no more batches to what is in it,
// if it was created longer. The cut comes behind what has been issued on the
// ordered queue, and whoever waits for a sync of the segment waits for it.
func (l *Log) trim(c *step.Context, s *segment) bool {
	if !s.allocated {
		return false
	}
	s.allocated, s.trimming = false, true
	l.fileOp(c, s, edge.DiskOp{Kind: edge.OpTruncate, Length: s.size}, tokenTrim)
	return true
}

// trimmed handles the result of trim; all writes of the segment have ended.
func (l *Log) trimmed(c *step.Context, s *segment) {
	s.ops--
	s.trimming = false
	l.syncSealed(c, s)
}

// syncSealed begins the sync that a sealed segment waits for. Its writes have
// ended.
func (l *Log) syncSealed(c *step.Context, s *segment) {
	if s.awaitsSync && !s.trimming && l.state != deleted {
		s.awaitsSync = false
		l.backgroundSync(c, s)
	}
}

// backgroundSync syncs a sealed segment beside the ordered queue, so that
// appends do not wait for it.
func (l *Log) backgroundSync(c *step.Context, s *segment) {
	s.syncing = true
	if !s.entrySynced {
		s.entrySynced = true
		l.besideOp(c, queueSyncs, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	}
	s.ops++
	l.besideOp(c, queueSyncs, edge.DiskOp{Kind: edge.OpSync, File: s.file, Token: edge.Token{B: uint64(s.file)}}, tokenBackgroundSync)
}

// openSegment creates a file and makes it the active segment. With preallocate it
// gets its whole size at once: a full disk then shows here, and a sync need not
// make a new length stable. It is cut when the segment is sealed (trim) or the node
// stops, and by the recovery if that did not happen.
func (l *Log) openSegment(c *step.Context, base int64) *segment {
	s := &segment{
		base: base, end: base, file: l.m.nextFile(), issued: base, synced: base, created: c.Wall,
		firstTimestamp: -1, maxTimestamp: -1, maxOffset: base,
	}
	if l.cfg.SegmentJitterMillis > 0 {
		s.jitter = c.Random.Int64N(min(l.cfg.SegmentJitterMillis, l.cfg.SegmentMillis))
	}
	l.segments = append(l.segments, s)
	l.fileOp(c, s, edge.DiskOp{Kind: edge.OpOpen, Path: segmentPath(l.dir, base, logSuffix)}, tokenFile)
	if l.cfg.Preallocate {
		s.allocated = true
		l.fileOp(c, s, edge.DiskOp{Kind: edge.OpAllocate, Length: l.cfg.SegmentBytes}, tokenFile)
	}
	return s
}
