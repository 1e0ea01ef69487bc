package log

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// scanRecovered ends the scan of a recovery: what follows the last good batch
// is cut off.
func (l *Log) scanRecovered(c *step.Context) {
	x, scan := l.recovery, &l.scan
	if x.tail && (scan.reason != "" || x.replayFrom > scan.next) {
		// A clean log is not what its files say: trust nothing of its last segment.
		c.Logf(edge.Error, "log %s: clean shutdown, but: %s (log ends at %d, snapshot at %d)",
			l.partition, scan.reason, scan.next, x.replayFrom)
		x.unclean = true
		x.flushed = l.active().base
		x.badIndex[len(l.segments)-1] = true
		l.recoverPlan(c)
		return
	}
	i := min(scan.segment, len(l.segments)-1)
	if scan.reason != "" {
		c.Logf(edge.Warn, "log %s: %s at byte %d of segment %d: the log ends at %d",
			l.partition, scan.reason, scan.position, l.segments[i].base, scan.next)
		if l.segments[i].base != scan.next && scan.position == 0 && i > 0 {
			i-- // the segment itself is out of place
		}
	}
	l.recoverCut(c, i)
	for k := x.whole; k < len(l.segments)-1; k++ {
		l.segments[k].seal()
		l.writeIndexes(c, l.segments[k])
	}
	l.recoverDone(c)
}

// recoverCut ends the log in segment i: all later ones go, and what follows the
// segment's last good batch.
func (l *Log) recoverCut(c *step.Context, i int) {
	scan := &l.scan
	if i+1 < len(l.segments) {
		l.takeAway(c, i+1, func(s *segment) {
			l.op(c, edge.DiskOp{Kind: edge.OpClose, File: s.file}, tokenPlain)
			for _, suffix := range [...]string{logSuffix, indexSuffix, timeSuffix} {
				l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: segmentPath(l.dir, s.base, suffix)}, tokenPlain)
			}
		})
		l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	}
	s := l.segments[i]
	position := s.size
	if scan.segment == i {
		position = scan.position
	}
	if position < s.size {
		l.fileOp(c, s, edge.DiskOp{Kind: edge.OpTruncate, Length: position}, tokenFile)
		l.fileOp(c, s, edge.DiskOp{Kind: edge.OpSync}, tokenFile)
	}
	s.end = max(s.base, scan.next)
	s.cut(position, s.end)
	l.dropSnapshots(c, s.end+1, 1<<63-1)
}

// recoverDone fixes the log's offsets and, after an unclean shutdown, makes what
// was found stable before anybody relies on it.
func (l *Log) recoverDone(c *step.Context) {
	x := l.recovery
	l.end = l.active().end
	l.start = max(x.start, l.segments[0].base)
	if l.start > l.end {
		c.Logf(edge.Error, "log %s: ends at %d, below its start %d: it starts anew there", l.partition, l.end, l.start)
		l.recoverStartOver(c)
	}
	l.appendEnd = l.end
	l.cleaned = min(l.cleaned, l.end)
	l.highWatermark = max(l.start, min(x.highWatermark, l.end))
	point := min(x.flushed, l.end)
	if !x.unclean {
		point = l.end
	}
	for _, s := range l.segments {
		s.issued = s.end
		s.synced = min(s.end, max(s.base, point))
	}
	l.flushed = max(min(point, l.end), min(l.segments[0].base, l.end))
	end := l.end
	if l.start == end && end > 0 {
		// All records are deleted. The epoch of the last one begins here now, and without
		// it no leader could tell that it has never had them.
		end++
	}
	changed := l.epochs.truncateEnd(end)
	if l.epochs.truncateStart(l.start) || changed || x.epochsChanged {
		l.checkpointEpochs(c)
	}
	x.phase = recoverSync
	if x.unclean {
		l.writeSnapshot(c, l.end)
		for _, s := range l.segments {
			if s.synced < s.end || s == l.active() {
				l.issueSync(c, s, false)
			}
		}
	}
	l.recoverStep(c)
}

func (l *Log) recoverStartOver(c *step.Context) {
	l.buryFrom(c, 0)
	l.openSegment(c, l.start)
	l.producers.reset()
	l.dropSnapshots(c, -1, 1<<63-1)
	l.end = l.start
}

// recoverStep opens the log when all is stable.
func (l *Log) recoverStep(c *step.Context) {
	if l.recovery.phase != recoverSync || l.inflightHead < len(l.inflight) {
		return
	}
	l.expireProducers(c)
	l.recovery = nil
	l.state = usable
	l.m.boot.active--
	l.m.recoverNext(c)
}
