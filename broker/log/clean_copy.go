package log

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// fate is what compaction does with a batch.
type fate uint8

const (
	fateKeep fate = iota // as it is
	fateThin             // some records go, or it gets a delete horizon
	fateGo
)

// cleanCopy looks at the batches that were read of the source. Until one of them
// changes, nothing is written; then the segment is begun anew.
func (m *Manager) cleanCopy(c *step.Context, data *edge.Buffer) (reason string) {
	x := &m.clean
	var out []edge.Slice
	bytes := int64(0)
	for rest := data.Bytes(); len(rest) > 0; {
		b, done, reason := x.whole(rest, len(rest) == data.Len())
		if reason == "" && !done {
			var f fate
			f, reason = m.cleanFate(b)
			if reason == "" && f != fateKeep && x.phase == cleanReading {
				m.cleanOpen(c)
				return ""
			}
			if reason == "" && x.phase == cleanCopying && f != fateGo {
				from := data.Len() - len(rest)
				s := edge.Slice{Buffer: data, From: int32(from), To: int32(from + len(b))}
				kept := b
				if f == fateThin {
					kept = m.thinned()
					s = edge.NewBuffer(append([]byte(nil), kept...)).All()
				} else {
					data.Retain()
				}
				out = append(out, s)
				bytes += int64(len(kept))
				x.out.add(kept, x.log.cfg.IndexIntervalBytes)
			}
		}
		if reason != "" {
			release(out)
			return reason
		}
		if done {
			break
		}
		x.position += int64(len(b))
		rest = rest[len(b):]
	}
	if len(out) == 0 {
		m.cleanRead(c)
		return ""
	}
	x.out.ops++
	x.log.besideOp(c, queueReads, edge.DiskOp{Kind: edge.OpWrite, File: x.out.file, Offset: x.out.size - bytes, Data: out,
		Token: edge.Token{B: uint64(x.out.file)}}, tokenCleanDone)
	return ""
}

func release(slices []edge.Slice) {
	for i := range slices {
		slices[i].Buffer.Release()
	}
}

// cleanFate decides about a batch; of one that is to be thinned out the builder
// then holds what stays.
//
// Kafka's rules: of each key the newest record stays, offsets never change, and
// a tombstone gets a delete horizon when it is compacted first, and goes when
// that has passed. A batch that loses all records goes, unless it is the last of
// a producer, whose sequence numbers are needed: then its header stays. Beyond
// Kafka's rules so do those of the first batch of a leader epoch, which followers
// learn the epoch's start from, and of the last one of a segment, so that readers
// get across the offsets that are gone.
func (m *Manager) cleanFate(b record.Batch) (f fate, reason string) {
	x := &m.clean
	a := b.Attributes()
	if b.BaseOffset() >= x.until || a.Control() || a.Transactional() {
		return fateKeep, ""
	}
	o := record.Options{
		Codec: a.Codec(), BaseOffset: b.BaseOffset(), LeaderEpoch: b.LeaderEpoch(), BaseTimestamp: b.BaseTimestamp(),
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(),
		LogAppendTime: a.LogAppendTime(), DeleteHorizon: a.HasDeleteHorizon(),
	}
	kept, tombstones, reason := m.cleanCount(b)
	if reason != "" {
		return fateKeep, reason
	}
	fresh := tombstones > 0 && !a.HasDeleteHorizon()
	switch {
	case kept == 0 && !m.cleanNeeds(b):
		return fateGo, ""
	case kept == b.Count() && !fresh:
		return fateKeep, ""
	}
	if fresh {
		from := x.now
		if m.cfg.Bugs.Has(bugs.TombstonesByAge) {
			from = b.MaxTimestamp()
		}
		// The longest retention is one without an end.
		o.DeleteHorizon, o.BaseTimestamp = true, from+min(x.log.cfg.DeleteRetentionMillis, math.MaxInt64-max(from, 0))
	}
	return fateThin, m.cleanBuild(b, o)
}

// cleanNeeds says whether an empty batch must stay.
func (m *Manager) cleanNeeds(b record.Batch) bool {
	x := &m.clean
	if start, ok := x.log.epochs.start(b.LeaderEpoch()); b.NextOffset() >= x.source.end || ok && start == b.BaseOffset() {
		return true
	}
	e := x.log.producers.get(b.ProducerID())
	return e != nil && e.last() != nil && e.last().lastOffset == b.LastOffset()
}

// stays says whether compaction keeps the record that the reader is at.
func (m *Manager) stays(b record.Batch, rec *record.Record) bool {
	x := &m.clean
	if rec.Key == nil || m.reader.Offset() < x.keys.newest(rec.Key) {
		return false
	}
	return rec.Value != nil || !b.Attributes().HasDeleteHorizon() || b.BaseTimestamp() >= x.now
}

func (m *Manager) cleanCount(b record.Batch) (kept, tombstones int32, reason string) {
	if err := m.reader.Reset(b, &m.scratch); err != nil {
		return 0, 0, err.Error()
	}
	for {
		rec, ok, err := m.reader.Next()
		switch {
		case err != nil:
			return 0, 0, err.Error()
		case !ok:
			return kept, tombstones, ""
		case m.stays(b, rec):
			kept++
			if rec.Value == nil {
				tombstones++
			}
		}
	}
}

// cleanBuild writes what stays of a batch into the builder.
func (m *Manager) cleanBuild(b record.Batch, o record.Options) (reason string) {
	x := &m.clean
	x.builder.Reset(x.scratch, o)
	if err := m.reader.Reset(b, &m.scratch); err != nil {
		return err.Error()
	}
	for {
		rec, ok, err := m.reader.Next()
		switch {
		case err != nil:
			return err.Error()
		case !ok:
			out := x.builder.FinishAt(b.LastOffsetDelta())
			if out.Count() == 0 {
				out.SetMaxTimestamp(b.MaxTimestamp()) // by which producers expire
			}
			x.scratch = out
			return ""
		case m.stays(b, rec):
			x.builder.AppendAt(rec.OffsetDelta, m.reader.Timestamp(), rec.Key, rec.Value, rec.Headers)
		}
	}
}

// thinned is the batch that cleanFate has built; it is overwritten by the next.
func (m *Manager) thinned() record.Batch { return record.Batch(m.clean.scratch) }

// cleanOpen begins the segment that will take the source's place.
func (m *Manager) cleanOpen(c *step.Context) {
	x := &m.clean
	s := x.source
	x.phase = cleanOpening
	x.out = &segment{
		base: s.base, end: s.base, file: m.nextFile(), created: s.created, jitter: s.jitter,
		firstTimestamp: -1, maxTimestamp: -1, maxOffset: s.base, entrySynced: true,
	}
	path := segmentPath(x.log.dir, s.base, logSuffix) + cleanedSuffix
	x.log.fileOp(c, x.out, edge.DiskOp{Kind: edge.OpOpen, Path: path}, tokenCleanDone)
}

// cleanDone handles the end of an operation on the new segment.
func (m *Manager) cleanDone(c *step.Context, l *Log, file edge.FileID) {
	x := &m.clean
	if x.out == nil || x.out.file != file {
		l.segmentOf(file).ops-- // the compaction that asked has ended
		return
	}
	x.out.ops--
	if !x.intact() {
		m.cleanAbort(c)
		return
	}
	switch x.phase {
	case cleanOpening:
		x.phase = cleanCopying
		x.enter(x.source)
		m.cleanRead(c)
	case cleanCopying:
		x.out.written = x.out.size
		m.cleanRead(c)
	case cleanSyncing:
		m.cleanReplace(c)
	}
}

// cleanReplaced goes on when the new segment has its name on the disk. Earlier, a
// crash could leave the old one in a part of the log that counts as compacted:
// then a tombstone would go some day, and what it has deleted would be back.
func (m *Manager) cleanReplaced(c *step.Context, l *Log, file edge.FileID) {
	x := &m.clean
	s := l.segmentOf(file)
	s.ops--
	switch {
	case x.phase != cleanReplacing || x.source != s:
		return // the compaction has ended
	case !x.intact():
		m.cleanAbort(c)
	case m.cleanFollowing(c):
		m.cleanRead(c)
	}
}

// cleanReplace puts the new segment in the place of the old one. Its name
// replaces the old one's in one rename, so that a crash leaves one or the other.
// The indexes go before, durably: they say where batches lie in the old file. A
// recovery that finds none builds them anew.
func (m *Manager) cleanReplace(c *step.Context) {
	x := &m.clean
	l, old, s := x.log, x.source, x.out
	s.seal()
	s.end, s.issued, s.synced, s.written = old.end, old.end, old.end, s.size
	path := segmentPath(l.dir, s.base, logSuffix)
	for _, suffix := range [...]string{indexSuffix, timeSuffix} {
		l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: segmentPath(l.dir, s.base, suffix)}, tokenPlain)
	}
	l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir}, tokenPlain)
	l.op(c, edge.DiskOp{Kind: edge.OpRename, Path: path + cleanedSuffix, NewPath: path}, tokenPlain)
	s.ops++
	l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: l.dir, Token: edge.Token{B: uint64(s.file)}}, tokenCleanReplaced)
	l.writeIndexes(c, s)
	l.segments[l.segmentAt(s.base)] = s
	// Batches in memory say where they lie in the file.
	for len(l.tail.live()) > 0 && l.tail.live()[0].base < s.end {
		l.tailDropOldest()
	}
	x.phase, x.source, x.out = cleanReplacing, s, nil
	l.dropFile(c, old)
}
