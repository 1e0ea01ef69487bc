package partition

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// Timestamps with a meaning of their own in ListOffsets.
const (
	TimestampLatest         int64 = -1 // the high watermark, or the last stable offset
	TimestampEarliest       int64 = -2
	TimestampMax            int64 = -3 // the record with the largest timestamp (KIP-734)
	TimestampEarliestLocal  int64 = -4 // there is no remote storage: as earliest (KIP-405)
	TimestampLatestTiered   int64 = -5 // nothing is tiered: -1 (KIP-1005)
	TimestampEarliestUpload int64 = -6 // nothing waits for upload: -1 (KIP-1023)
)

// offsetNotAvailableVersion is from where on clients know OFFSET_NOT_AVAILABLE
// (KIP-207). Others would take it for the last word.
const offsetNotAvailableVersion = 5

// ListOffsets is one request; the results stand beside what was asked.
type ListOffsets struct {
	Request       conn.RequestID
	Version       int16
	ReplicaID     int32 // -1 for consumers
	ReadCommitted bool
	Parts         []ListPart
}

// ListPart is one partition of a ListOffsets request, and its result.
type ListPart struct {
	Topic       string
	Partition   int32
	LeaderEpoch int32 // current_leader_epoch; -1: unknown
	Timestamp   int64 // milliseconds, or one of the constants

	ErrorCode       int16
	Offset          int64 // -1: there is none
	OffsetTimestamp int64 // milliseconds; -1
	OffsetEpoch     int32 // of the leader that wrote it; -1

	done    bool
	waitsOn *Partition
}

// Refuse decides a part before the request is handed over.
func (part *ListPart) Refuse(code int16) {
	part.ErrorCode, part.done = code, true
	part.Offset, part.OffsetTimestamp, part.OffsetEpoch = -1, -1, -1
}

// listTable holds requests that wait for a cold read.
type listTable struct {
	waiting []*ListOffsets
	spare   []*ListOffsets
	woken   bool
}

// NewListOffsets returns an empty request to be filled in.
func (m *Manager) NewListOffsets() *ListOffsets {
	t := &m.lists
	if n := len(t.spare); n > 0 {
		l := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return l
	}
	return &ListOffsets{ReplicaID: -1}
}

// ListOffsets answers through the Answerer, now or after a read from the disk.
func (m *Manager) ListOffsets(c *step.Context, l *ListOffsets) {
	if !m.tryList(c, l) {
		m.lists.waiting = append(m.lists.waiting, l)
	}
	m.settle(c)
}

// tryList decides the parts that it can, and answers when all are decided.
func (m *Manager) tryList(c *step.Context, l *ListOffsets) bool {
	all := true
	for i := range l.Parts {
		part := &l.Parts[i]
		if part.done {
			continue
		}
		if part.waitsOn != nil {
			part.waitsOn.lists--
			part.waitsOn = nil
		}
		p := m.replicas.get(part.Topic, part.Partition)
		part.Offset, part.OffsetTimestamp, part.OffsetEpoch = -1, -1, -1
		part.done = true
		if p == nil {
			part.ErrorCode = m.absent(part.Topic, part.Partition)
			continue
		}
		if m.listPart(c, p, l, part) {
			part.done, all = false, false
			part.waitsOn = p
			p.lists++
		}
	}
	if !all {
		return false
	}
	m.answerer.AnswerListOffsets(c, l)
	*l = ListOffsets{ReplicaID: -1, Parts: l.Parts[:0]}
	if len(m.lists.spare) < spareRequestsMax {
		m.lists.spare = append(m.lists.spare, l)
	}
	return true
}

// retryLists looks again at what waited for the disk.
func (m *Manager) retryLists(c *step.Context) {
	if !m.lists.woken {
		return
	}
	m.lists.woken = false
	m.lists.waiting = slices.DeleteFunc(m.lists.waiting, func(l *ListOffsets) bool { return m.tryList(c, l) })
}

// listPart answers one partition; true if it must wait for the disk.
func (m *Manager) listPart(c *step.Context, p *Partition, l *ListOffsets, part *ListPart) (loading bool) {
	if part.ErrorCode = p.checkEpoch(part.LeaderEpoch); part.ErrorCode != errNone {
		return false
	}
	if p.role != Leader || !p.log.Usable() {
		part.ErrorCode = errNotLeaderOrFollower
		return false
	}
	// A replica asks for the log itself, a consumer for what it may read.
	limit := p.log.EndOffset()
	if l.ReplicaID < 0 {
		limit = p.log.HighWatermark()
		if l.ReadCommitted {
			limit = min(limit, p.lastStableOffset())
		}
		if part.Timestamp != TimestampEarliest && part.Timestamp != TimestampEarliestLocal && !p.highWatermarkIsCurrent() {
			part.ErrorCode = errOffsetNotAvailable
			if l.Version < offsetNotAvailableVersion {
				part.ErrorCode = errLeaderNotAvailable
			}
			return false
		}
	}
	return p.offsetAt(c, part, limit)
}

// offsetAt looks a timestamp up below a limit.
func (p *Partition) offsetAt(c *step.Context, part *ListPart, limit int64) (loading bool) {
	switch part.Timestamp {
	case TimestampLatest:
		part.Offset, part.OffsetEpoch = limit, p.leaderEpoch
		return false
	case TimestampEarliest, TimestampEarliestLocal:
		part.Offset = p.log.StartOffset()
		part.OffsetEpoch = p.log.EpochAt(part.Offset)
		return false
	case TimestampLatestTiered, TimestampEarliestUpload:
		return false
	}
	var r log.TimeResult
	if part.Timestamp == TimestampMax {
		r = p.log.MaxTimestampOffset(c, limit)
	} else {
		r = p.log.OffsetForTime(c, part.Timestamp, limit)
	}
	switch {
	case r.Err != nil:
		part.ErrorCode = readError(r.Err)
	case r.Loading:
		return true
	case r.Found:
		part.Offset, part.OffsetTimestamp, part.OffsetEpoch = r.Offset, r.Timestamp, r.Epoch
	}
	return false
}

// EpochEnd is the answer to OffsetForLeaderEpoch.
type EpochEnd struct {
	ErrorCode   int16
	LeaderEpoch int32 // the largest not above the one asked; -1
	EndOffset   int64 // -1
}

// EndOffsetForEpoch answers OffsetForLeaderEpoch for one partition: only a leader
// does, and for the largest epoch not above the one asked (KIP-101, KIP-279).
func (m *Manager) EndOffsetForEpoch(key log.Partition, currentLeaderEpoch, epoch int32) EpochEnd {
	r := EpochEnd{LeaderEpoch: -1, EndOffset: -1}
	p := m.Get(key)
	if p == nil {
		r.ErrorCode = m.absent(key.Topic, key.Index)
		return r
	}
	if r.ErrorCode = p.checkEpoch(currentLeaderEpoch); r.ErrorCode != errNone {
		return r
	}
	if p.role != Leader || !p.log.Usable() {
		r.ErrorCode = errNotLeaderOrFollower
		return r
	}
	r.LeaderEpoch, r.EndOffset = p.log.EndOffsetForEpoch(epoch)
	return r
}
