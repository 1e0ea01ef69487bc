package log

import (
	"encoding/binary"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// scanBytes is how much one read of a scan asks for, unless a batch is larger.
const scanBytes = 1 << 20

// scanKind says what a scan looks for.
type scanKind uint8

const (
	scanRecover scanKind = iota // check everything, rebuild indexes, epochs and producers
	scanTail                    // the same behind the last index entry of a clean log
	scanLocate                  // find where an offset lies
	scanReplay                  // feed the producers' state
)

// verdict is what a scan thinks of a batch.
type verdict uint8

const (
	scanOn verdict = iota
	scanStop
	scanInvalid
)

// scanner reads a log from disk, batch by batch, through its last segment. One
// read is in flight at a time. It ends at the end of the log, where visit stops
// it, or at the first bytes that are no batch: then reason is set.
type scanner struct {
	kind             scanKind
	segment          int
	position, length int64
	next             int64 // the offset that the next batch must have
	epoch            int32 // the lowest leader epoch that it may have
	from, until      int64 // scanReplay: what to replay; scanLocate: until is the offset sought
	reason           string
}

func (l *Log) startScan(c *step.Context, s scanner) {
	l.scan = s
	l.scan.length = l.m.limits.scanBytes
	l.scanNext(c)
}

// scanNext issues the next read, or ends the scan.
func (l *Log) scanNext(c *step.Context) {
	x := &l.scan
	for x.segment < len(l.segments) && x.position >= l.segments[x.segment].size {
		if x.kind == scanLocate {
			break
		}
		x.segment, x.position = x.segment+1, 0
		if x.segment < len(l.segments) && !l.enterSegment(c, l.segments[x.segment]) {
			l.scanEnd(c)
			return
		}
	}
	if x.segment == len(l.segments) || x.position >= l.segments[x.segment].size {
		l.scanEnd(c)
		return
	}
	s := l.segments[x.segment]
	l.op(c, edge.DiskOp{
		Kind: edge.OpRead, File: s.file, Offset: x.position, Length: min(x.length, s.size-x.position),
		Token: edge.Token{B: uint64(s.file)},
	}, tokenScan)
	s.ops++
}

// enterSegment says whether the scan goes on in a segment: when it recovers,
// segments must join without a gap, but for one that compaction made. Ours keeps
// the last batch of a segment, Kafka's does not.
func (l *Log) enterSegment(c *step.Context, s *segment) bool {
	x := &l.scan
	if x.kind != scanRecover && x.kind != scanTail {
		return true
	}
	if s.base < x.next || s.base > x.next && l.gaps != gapsKnown {
		x.reason = "segment does not continue the one before"
		return false
	}
	l.segments[x.segment-1].end, x.next = s.base, s.base
	s.reset()
	if l.recovery.unclean {
		l.writeSnapshot(c, s.base)
	}
	return true
}

// scanned handles the result of a scan's read.
func (l *Log) scanned(c *step.Context, r *edge.DiskResult) {
	s := l.segmentOf(edge.FileID(r.Token.B))
	s.ops--
	if l.state == deleted {
		r.Data.Release()
		return
	}
	goOn := l.scanBytes(s, r.Data.Bytes())
	r.Data.Release()
	if goOn {
		l.scanNext(c)
	} else {
		l.scanEnd(c)
	}
}

// scanBytes visits the whole batches of what was read and says whether to go on.
func (l *Log) scanBytes(s *segment, data []byte) bool {
	x := &l.scan
	rest := data
	for len(rest) > 0 {
		b, after, err := record.Next(rest)
		if err == record.ErrShort {
			if len(rest) < len(data) {
				break
			}
			need := int64(record.LogOverhead)
			if len(rest) >= record.LogOverhead {
				need = batchBytes(rest)
			}
			if need <= int64(len(rest)) || x.position+need > s.size {
				x.reason = "batch is torn"
				return false
			}
			x.length = need
			return true
		}
		if err != nil {
			x.reason = err.Error()
			return false
		}
		switch l.visit(s, b) {
		case scanStop:
			return false
		case scanInvalid:
			return false
		}
		x.position += int64(len(b))
		rest = after
	}
	if len(data) == 0 {
		x.reason = "file is shorter than its directory said"
		return false
	}
	x.length = l.m.limits.scanBytes
	return true
}

// batchBytes is the length that a batch whose header begins b says it has.
func batchBytes(b []byte) int64 {
	return record.LogOverhead + int64(int32(binary.BigEndian.Uint32(b[8:])))
}

// visit handles one batch of a scan.
func (l *Log) visit(s *segment, b record.Batch) verdict {
	x := &l.scan
	if x.kind == scanLocate {
		if b.LastOffset() >= x.until {
			// The log ends with the batch before, not in a gap that compaction has
			// left behind it: a recovery would find that end, too.
			return scanStop
		}
		if ts := b.MaxTimestamp(); ts > s.maxTimestamp {
			s.maxTimestamp, s.maxOffset = ts, b.LastOffset()
		}
		x.next = b.NextOffset()
		return scanOn
	}
	if x.kind == scanReplay {
		if b.BaseOffset() >= x.until {
			return scanStop
		}
		if b.BaseOffset() >= x.from {
			l.producers.update(b)
		}
		return scanOn
	}
	if x.reason = l.unfit(s, b); x.reason != "" {
		return scanInvalid
	}
	if b.LeaderEpoch() > l.epochs.latest() {
		l.epochs.assign(b.LeaderEpoch(), b.BaseOffset())
		l.recovery.epochsChanged = true
	}
	if b.BaseOffset() >= x.from {
		l.producers.update(b)
	}
	size := s.size // of the file: it tells the scan where to end
	s.size = x.position
	s.add(b, l.cfg.IndexIntervalBytes)
	s.size = size
	x.next, x.epoch = b.NextOffset(), max(x.epoch, b.LeaderEpoch())
	return scanOn
}

// unfit says why a batch cannot be part of the log here, if so.
func (l *Log) unfit(s *segment, b record.Batch) string {
	x := &l.scan
	if e := s.offsets.entries; x.kind == scanTail && len(e) > 0 && x.position == s.indexed() {
		x.next = s.base + int64(e[len(e)-1].relative) - int64(b.LastOffsetDelta())
	}
	switch {
	case b.BaseOffset() < x.next || b.BaseOffset() > x.next && l.gaps != gapsKnown:
		return "offsets do not continue"
	case b.LastOffsetDelta() < 0 || b.LastOffset() < b.BaseOffset() || b.LastOffset()-s.base > relativeMax:
		return "last offset is impossible"
	case b.LeaderEpoch() < x.epoch && x.epoch >= 0:
		return "leader epoch falls"
	}
	if err := b.CheckCRC(); err != nil {
		return err.Error()
	}
	return ""
}

// reset empties what a scan of the whole segment rebuilds; size stays that of
// the file.
func (s *segment) reset() {
	s.offsets, s.times, s.sinceIndex = offsetIndex{}, timeIndex{}, 0
	s.firstTimestamp, s.maxTimestamp, s.maxOffset, s.end = -1, -1, s.base, s.base
}

// scanEnd passes a finished scan on to who started it.
func (l *Log) scanEnd(c *step.Context) {
	switch l.scan.kind {
	case scanLocate:
		l.located(c, l.scan.position, l.scan.next)
	case scanReplay:
		l.replayed(c)
	default:
		l.scanRecovered(c)
	}
}
