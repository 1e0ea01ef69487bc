package log

import (
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// AdvanceStart moves the log start up to offset, bounded by EndOffset: what
// DeleteRecords asks for (the caller checks the high watermark), and what a
// follower copies from its leader. Whole segments below go at the next retention
// check.
func (l *Log) AdvanceStart(c *step.Context, offset int64) {
	offset = min(offset, l.end)
	if l.state != usable || offset <= l.start {
		return
	}
	l.start = offset
	l.highWatermark = max(l.highWatermark, offset)
	if l.epochs.truncateStart(offset) {
		l.checkpointEpochs(c)
	}
	l.m.changed(l, StartOffsetMoved)
}

// Retention deletes segments, oldest first: those below the log start, and,
// where cleanup.policy has delete, those older than retention.ms or beyond
// retention.bytes, up to the high watermark. The active segment is rolled first
// if its time has come, so that an idle log empties.
func (l *Log) Retention(c *step.Context) {
	if l.state != usable || l.m.stopping {
		return
	}
	del := l.cfg.CleanupPolicy.Has(config.CleanupDelete)
	size := l.Size()
	n := 0
	for n < len(l.segments) {
		s := l.segments[n]
		if s.size == 0 || s.end > l.highWatermark {
			break
		}
		old := del && l.cfg.RetentionMillis >= 0 && int64(c.Wall)-s.youngest() > l.cfg.RetentionMillis
		// As Kafka: a segment goes only if what remains still has retention.bytes.
		big := del && l.cfg.RetentionBytes >= 0 && size-s.size >= l.cfg.RetentionBytes
		// As Kafka: the active segment goes by age or size only, not when DeleteRecords
		// has deleted all that is in it.
		below := s.end <= l.start && n < len(l.segments)-1
		if !below && !old && !big {
			break
		}
		size -= s.size
		n++
	}
	if n == 0 {
		return
	}
	if n == len(l.segments) {
		if l.end < l.appendEnd {
			n-- // writes in flight; the next check takes it
		} else {
			l.roll(c)
		}
	}
	l.deleteSegments(c, n)
}

// deleteSegments buries the n oldest segments and moves the log start.
func (l *Log) deleteSegments(c *step.Context, n int) {
	if n == 0 {
		return
	}
	for _, s := range l.segments[:n] {
		l.bury(c, s)
		// Each is gone for good before the next: of what comes back in a power loss a
		// recovery would keep what joins, and throw away the rest of the log behind it.
		// And the log start must not fall back after a crash.
		l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	}
	l.segments = append(l.segments[:0], l.segments[n:]...)
	first := l.segments[0].base
	for i := l.tail.head; i < len(l.tail.entries) && l.tail.entries[i].base < first; i = l.tail.head {
		l.tailDropOldest()
		if len(l.tail.entries) == 0 {
			break
		}
	}
	l.dropSnapshots(c, -1, first)
	l.flushed = max(l.flushed, min(first, l.end))
	l.advanceFlushed()
	if first > l.start {
		l.AdvanceStart(c, first)
	}
}
