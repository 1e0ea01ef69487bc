package log

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// op puts an operation on the log's ordered queue. The token's B is the
// operation's own.
func (l *Log) op(c *step.Context, op edge.DiskOp, kind uint8) {
	op.Queue = l.queue
	op.Token.Owner, op.Token.Kind, op.Token.A = step.OwnerLog, kind, l.id
	c.Out.Disk = append(c.Out.Disk, op)
}

// The queues of a log: its own is ordered, and two take what may overtake it,
// which is operations on open files only.
const (
	queueReads   edge.QueueID = 1 // cold reads, in order among themselves
	queueSyncs   edge.QueueID = 2 // syncs of sealed segments
	queuesPerLog              = 3
)

// besideOp puts an operation beside the ordered queue.
func (l *Log) besideOp(c *step.Context, queue edge.QueueID, op edge.DiskOp, kind uint8) {
	op.Queue = l.queue + queue
	op.Token.Owner, op.Token.Kind, op.Token.A = step.OwnerLog, kind, l.id
	c.Out.Disk = append(c.Out.Disk, op)
}

// fileOp puts an operation on a segment's file on the ordered queue; its result
// must take one off segment.ops.
func (l *Log) fileOp(c *step.Context, s *segment, op edge.DiskOp, kind uint8) {
	op.File = s.file
	op.Token.B = uint64(s.file)
	s.ops++
	l.op(c, op, kind)
}

// replace writes a small file of the partition's directory, in order.
func (l *Log) replace(c *step.Context, path string, data []byte) {
	l.op(c, replaceOp(path, data), tokenPlain)
}

func replaceOp(path string, data []byte) edge.DiskOp {
	return edge.DiskOp{Kind: edge.OpReplaceFile, Path: path, Data: []edge.Slice{edge.NewBuffer(data).All()}}
}

func (l *Log) checkpointEpochs(c *step.Context) {
	l.replace(c, l.dir+"/"+epochFile, l.epochs.encode())
}

func (l *Log) writeIndexes(c *step.Context, s *segment) {
	l.replace(c, segmentPath(l.dir, s.base, indexSuffix), s.offsets.encode())
	l.replace(c, segmentPath(l.dir, s.base, timeSuffix), s.times.encode())
}

// writeSnapshot keeps the producers' state as of offset, which must be what has
// been appended so far.
func (l *Log) writeSnapshot(c *step.Context, offset int64) {
	if n := len(l.snapshots); n > 0 && l.snapshots[n-1] >= offset {
		return
	}
	l.snapshots = append(l.snapshots, offset)
	l.replace(c, segmentPath(l.dir, offset, snapshotSuffix), l.producers.encodeSnapshot())
}

// expireProducers forgets the producers that have been idle for
// producer.id.expiration.ms.
func (l *Log) expireProducers(c *step.Context) {
	l.producers.expire(int64(c.Wall) - l.m.cfg.ProducerIDExpirationMillis)
}

// dropSnapshots removes the snapshots in [from, to).
func (l *Log) dropSnapshots(c *step.Context, from, to int64) {
	kept := l.snapshots[:0]
	for _, o := range l.snapshots {
		if o < from || o >= to {
			kept = append(kept, o)
			continue
		}
		l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: segmentPath(l.dir, o, snapshotSuffix)}, tokenPlain)
	}
	l.snapshots = kept
}

// bury renames a segment's files to .deleted; they are removed after
// file.delete.delay.ms, and when nobody reads them any more. The caller takes
// the segment out of l.segments.
func (l *Log) bury(c *step.Context, s *segment) {
	for _, suffix := range [...]string{logSuffix, indexSuffix, timeSuffix} {
		path := segmentPath(l.dir, s.base, suffix)
		l.op(c, edge.DiskOp{Kind: edge.OpRename, Path: path, NewPath: path + deletedSuffix}, tokenRename)
	}
	s.closing = c.Now.Add(clock.Span(l.cfg.FileDeleteDelayMillis, time.Millisecond))
	l.dead = append(l.dead, s)
	l.m.forget(s.file, -1)
	l.m.armTimer(c, timerDead, l.id, s.closing)
}

// buryFrom buries all segments from the i-th on.
func (l *Log) buryFrom(c *step.Context, i int) {
	l.takeAway(c, i, func(s *segment) { l.bury(c, s) })
}

// takeAway takes the segments from the i-th on out of the log, the last one first, each
// gone for good before the next: what a crash leaves then is a beginning of the log. A
// recovery would miss none in the middle, below the recovery point or where offsets may
// be missing.
func (l *Log) takeAway(c *step.Context, i int, away func(*segment)) {
	for k := len(l.segments) - 1; k >= i; k-- {
		away(l.segments[k])
		l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	}
	clear(l.segments[i:])
	l.segments = l.segments[:i]
}

// removeDead closes and removes the buried segments whose time has come.
func (l *Log) removeDead(c *step.Context) {
	kept := l.dead[:0]
	next := clock.Never
	for _, s := range l.dead {
		if s.closing > c.Now || s.ops > 0 {
			if s.closing > c.Now {
				next = min(next, s.closing)
			}
			kept = append(kept, s)
			continue
		}
		l.op(c, edge.DiskOp{Kind: edge.OpClose, File: s.file}, tokenPlain)
		if l.state == deleted || s.nameless || l.reborn(s) {
			continue // the directory goes as a whole; or a newer grave has the same name
		}
		for _, suffix := range [...]string{logSuffix, indexSuffix, timeSuffix} {
			l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: segmentPath(l.dir, s.base, suffix) + deletedSuffix}, tokenPlain)
		}
	}
	clear(l.dead[len(kept):])
	l.dead = kept
	if next != clock.Never {
		l.m.armTimer(c, timerDead, l.id, next)
	}
}

// reborn says whether a later dead segment has the same name: truncation and
// regrowth bury a base offset twice.
func (l *Log) reborn(s *segment) bool {
	for _, t := range l.dead {
		if t != s && t != nil && !t.nameless && t.base == s.base && t.file > s.file {
			return true
		}
	}
	return false
}

// Disk handles the result of an operation of one of the logs.
func (l *Log) disk(c *step.Context, r *edge.DiskResult) {
	switch r.Token.Kind {
	case tokenPlain, tokenRename:
	case tokenWrite, tokenSync:
		l.written(c, r.Token.Kind == tokenSync)
	case tokenBackgroundSync:
		l.backgroundSynced(r)
	case tokenFile:
		l.segmentOf(edge.FileID(r.Token.B)).ops--
	case tokenTrim:
		l.trimmed(c, l.segmentOf(edge.FileID(r.Token.B)))
	case tokenLoad:
		l.loaded(c, r)
	case tokenScan:
		l.scanned(c, r)
	case tokenScanSnapshot:
		l.snapshotRead(c, r)
	case tokenRecovery:
		l.recovered(c, r)
	case tokenCleanRead:
		l.m.cleanHasRead(c, l, r)
	case tokenCleanDone:
		l.m.cleanDone(c, l, edge.FileID(r.Token.B))
	case tokenCleanReplaced:
		l.m.cleanReplaced(c, l, edge.FileID(r.Token.B))
	}
	if len(l.dead) > 0 {
		l.removeDead(c)
	}
}

func (l *Log) backgroundSynced(r *edge.DiskResult) {
	s := l.segmentOf(edge.FileID(r.Token.B))
	s.ops--
	if s.cutSyncs > 0 {
		s.cutSyncs-- // they end in order
		return
	}
	s.syncing = false
	s.synced = max(s.synced, s.issued)
	l.advanceFlushed()
}
