package log

import (
	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

const (
	// cleanBytes is how much of a segment one step of a compaction looks at,
	// unless a batch is larger.
	cleanBytes = 256 << 10
	// cleanSlotBytes and its load are Kafka's: an MD5 and an offset a key, in nine
	// tenths of log.cleaner.dedupe.buffer.size.
	cleanSlotBytes = 24
	cleanedSuffix  = ".cleaned"
)

// cleanPhase is how far the compaction of a log has come:
//
//	mapping     the newest offset of each key in the dirty part is collected
//	reading     a segment is read: does it hold anything that can go?
//	opening     it does, so it is written anew beside the old one,
//	copying     from its start,
//	syncing     made stable,
//	replacing   and takes the old one's place, durably; then the next segment
//
// Whatever changes the log beneath it (a truncation, retention, the end of the
// log or of the process) ends it, and the next round begins anew.
type cleanPhase uint8

const (
	cleanIdle cleanPhase = iota
	cleanMapping
	cleanReading
	cleanOpening
	cleanCopying
	cleanSyncing
	cleanReplacing
)

// cleaner is the compaction in progress: of one log at a time, one operation in
// flight at a time.
type cleaner struct {
	phase      cleanPhase
	log        *Log
	generation uint32 // of the log's contents
	first      int64  // the dirty part is [first, until)
	until      int64
	bound      int64 // until may not pass it
	now        int64 // wall clock at the beginning, milliseconds
	keys       keyMap

	source   *segment
	position int64
	length   int64
	out      *segment
	builder  record.Builder
	scratch  []byte
}

// armCleaner looks for work again after log.cleaner.backoff.ms.
func (m *Manager) armCleaner(c *step.Context) {
	m.after(c, timerCleaner, m.cfg.LogCleanerBackoffMillis)
}

// cleanNext starts to compact the log that needs it most, if there is one and
// none is being compacted.
func (m *Manager) cleanNext(c *step.Context) {
	if m.clean.phase != cleanIdle || m.stopping {
		return
	}
	var best *Log
	var most dirt
	for _, l := range m.logs {
		if d := l.dirt(int64(c.Wall)); d.due && l.mayHaveGaps(c) && (best == nil || d.ratio > most.ratio) {
			best, most = l, d
		}
	}
	if best == nil {
		return
	}
	x := &m.clean
	*x = cleaner{
		phase: cleanMapping, log: best, generation: best.generation, first: most.first, until: most.first, bound: most.bound,
		now: int64(c.Wall), keys: newKeyMap(m.cfg.LogCleanerDedupeBufferBytes * 9 / 10 / cleanSlotBytes),
		builder: x.builder, scratch: x.scratch,
	}
	x.enter(best.segments[best.segmentAt(x.first)])
	m.cleanRead(c)
}

// dirt is what there is to compact of a log.
type dirt struct {
	due          bool
	first, bound int64 // of the dirty part that may be compacted
	ratio        config.Ratio
}

// dirt measures a log: sealed segments below the high watermark whose records
// are older than min.compaction.lag.ms, as far as they come without a gap.
func (l *Log) dirt(now int64) dirt {
	if !l.cfg.CleanupPolicy.Has(config.CleanupCompact) || l.state != usable || l.uncleanable {
		return dirt{}
	}
	d := dirt{first: max(l.cleaned, l.segments[0].base)}
	d.bound = d.first
	var clean, dirty int64
	oldest := int64(-1)
	for _, s := range l.segments[:len(l.segments)-1] {
		if s.end <= d.first {
			clean += s.size
			continue
		}
		young := l.cfg.MinCompactionLagMillis > 0 && s.maxTimestamp > now-l.cfg.MinCompactionLagMillis
		uncommitted := s.end > l.highWatermark && !l.m.cfg.Bugs.Has(bugs.CompactPastHighWatermark)
		if uncommitted || s.synced < s.end || s.syncing || s.awaitsSync || young {
			break
		}
		if oldest < 0 {
			oldest = s.firstTimestamp
		}
		dirty += s.size
		d.bound = s.end
	}
	if dirty == 0 {
		return dirt{}
	}
	const whole = 1_000_000
	d.ratio = config.Ratio(dirty * whole / (clean + dirty))
	overdue := oldest >= 0 && now-oldest > l.cfg.MaxCompactionLagMillis
	d.due = d.ratio >= l.cfg.MinCleanableDirtyRatio || overdue
	return d
}

func (x *cleaner) enter(s *segment) { x.source, x.position, x.length = s, 0, cleanBytes }

// intact says whether the log is still what the compaction began with.
func (x *cleaner) intact() bool {
	return x.log.state == usable && x.log.generation == x.generation && x.source.closing == 0
}

// cleanRead reads on in the source, or goes on to what follows it.
func (m *Manager) cleanRead(c *step.Context) {
	x := &m.clean
	for x.position >= x.source.size {
		if !m.cleanSourceDone(c) {
			return
		}
	}
	l := x.log
	x.source.ops++
	l.besideOp(c, queueReads, edge.DiskOp{
		Kind: edge.OpRead, File: x.source.file, Offset: x.position, Length: min(x.length, x.source.size-x.position),
		Token: edge.Token{B: uint64(x.source.file)},
	}, tokenCleanRead)
}

// cleanSourceDone ends a segment; it tells whether another one is to be read now.
func (m *Manager) cleanSourceDone(c *step.Context) bool {
	x := &m.clean
	l := x.log
	switch x.phase {
	case cleanMapping:
		if x.source.end <= x.bound {
			x.until = max(x.until, x.source.end) // behind the last batch there may be a gap
		}
		if x.source.end < x.bound {
			x.enter(l.segments[l.segmentAt(x.source.end)])
			return true
		}
		return m.cleanMapped(c)
	case cleanCopying:
		x.phase = cleanSyncing
		x.out.ops++
		l.besideOp(c, queueReads, edge.DiskOp{Kind: edge.OpSync, File: x.out.file, Token: edge.Token{B: uint64(x.out.file)}}, tokenCleanDone)
		return false
	}
	return m.cleanFollowing(c)
}

// cleanMapped goes from the map to the first segment of the log.
func (m *Manager) cleanMapped(c *step.Context) bool {
	x := &m.clean
	if x.until == x.first {
		m.cleanAbort(c) // not one batch: nothing that could be done differently next time
		return false
	}
	x.phase = cleanReading
	x.enter(x.log.segments[0])
	return true
}

// cleanFollowing goes on with the next segment below until, or ends.
func (m *Manager) cleanFollowing(c *step.Context) bool {
	x := &m.clean
	l := x.log
	i := l.segmentAt(x.source.base) + 1
	if i < len(l.segments)-1 && l.segments[i].base < x.until {
		x.phase = cleanReading
		x.enter(l.segments[i])
		return true
	}
	c.Logf(edge.Info, "log %s: compacted up to offset %d", l.partition, x.until)
	l.cleaned = x.until
	x.phase, x.log, x.source, x.out, x.keys = cleanIdle, nil, nil, nil, keyMap{}
	m.writeCheckpoint(c, checkpointCleaner)
	m.cleanNext(c)
	return false
}

// cleanHasRead handles what was read of the source.
func (m *Manager) cleanHasRead(c *step.Context, l *Log, r *edge.DiskResult) {
	x := &m.clean
	s := l.segmentOf(edge.FileID(r.Token.B))
	s.ops--
	if x.phase == cleanIdle || x.log != l || x.source != s {
		r.Data.Release()
		return
	}
	if !x.intact() {
		r.Data.Release()
		m.cleanAbort(c)
		return
	}
	var reason string
	switch x.phase {
	case cleanMapping:
		reason = m.cleanMap(c, r.Data)
	default:
		reason = m.cleanCopy(c, r.Data)
	}
	r.Data.Release()
	if reason != "" {
		// As Kafka does, the log is left alone from now on; its readers will see
		// for themselves what is wrong with it.
		c.Logf(edge.Error, "log %s cannot be compacted: segment %d, byte %d: %s", l.partition, s.base, x.position, reason)
		l.uncleanable = true
		m.cleanAbort(c)
	}
}

// whole takes the next whole batch of data that was read at x.position. done
// says that there is none; the read is then repeated, longer, or goes on.
func (x *cleaner) whole(data []byte, first bool) (b record.Batch, done bool, reason string) {
	b, _, err := record.Next(data)
	switch {
	case err == record.ErrShort && first && len(data) >= record.LogOverhead:
		need := batchBytes(data)
		if need > x.source.size-x.position {
			return nil, true, "a batch is cut off"
		}
		x.length = need
		return nil, true, ""
	case err == record.ErrShort && !first:
		return nil, true, ""
	case err != nil:
		return nil, true, err.Error()
	}
	x.length = cleanBytes
	return b, false, ""
}

// cleanMap notes the newest offset of each key.
func (m *Manager) cleanMap(c *step.Context, data *edge.Buffer) (reason string) {
	x := &m.clean
	for rest := data.Bytes(); len(rest) > 0; {
		b, done, reason := x.whole(rest, len(rest) == data.Len())
		if reason != "" {
			return reason
		}
		if done {
			break
		}
		if b.NextOffset() > x.first && !b.Attributes().Control() {
			if !x.keys.room(int64(b.Count())) && x.until > x.first {
				x.position = x.source.size // the map is full; the next round goes on here
				x.bound = x.until
				m.cleanRead(c)
				return ""
			}
			if reason := m.cleanMapBatch(b); reason != "" {
				return reason
			}
		}
		x.until = max(x.until, b.NextOffset())
		x.position += int64(len(b))
		rest = rest[len(b):]
	}
	m.cleanRead(c)
	return ""
}

func (m *Manager) cleanMapBatch(b record.Batch) (reason string) {
	if err := m.reader.Reset(b, &m.scratch); err != nil {
		return err.Error()
	}
	for {
		rec, ok, err := m.reader.Next()
		switch {
		case err != nil:
			return err.Error()
		case !ok:
			return ""
		case rec.Key != nil:
			m.clean.keys.put(rec.Key, m.reader.Offset())
		}
	}
}

// cleanAbort ends a compaction; what it has put in place stays.
func (m *Manager) cleanAbort(c *step.Context) {
	x := &m.clean
	if x.phase == cleanIdle {
		return
	}
	if x.out != nil {
		l := x.log
		l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: segmentPath(l.dir, x.out.base, logSuffix) + cleanedSuffix}, tokenPlain)
		l.dropFile(c, x.out)
	}
	x.phase, x.log, x.source, x.out, x.keys = cleanIdle, nil, nil, nil, keyMap{}
}

// dropFile closes a file that has no name of its own any more, once nobody reads it.
func (l *Log) dropFile(c *step.Context, s *segment) {
	s.nameless, s.closing = true, c.Now
	l.dead = append(l.dead, s)
	l.m.forget(s.file, -1)
	l.removeDead(c)
}
