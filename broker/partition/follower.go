package partition

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// fetchState is where a follower stands with its leader. The zero value is a
// replica that fetches from nobody.
//
// A replica is ready to fetch unless it writes (a response's batches are on
// their way to the page cache), truncates (the log is being rebuilt), probes
// (asks for the leader's offsets after OFFSET_OUT_OF_RANGE) or is delayed by an
// error.
type fetchState struct {
	fetcher    *fetcher
	inSession  bool // the leader's session knows the partition
	changed    bool // in fetcher.changed
	writing    bool
	truncating bool
	probing    bool
	delayed    clock.Instant // 0: not

	askedEpoch int32 // leader epoch and offset of the last request
	askedAt    int64

	leaderMark  int64 // the leader's high watermark, as last told in this epoch; -1
	leaderStart int64 // the leader's log start; -1
}

func (s *fetchState) ready() bool {
	return !s.writing && !s.truncating && !s.probing && s.delayed == 0
}

// becomeFollower follows the registration's leader, or nobody. The log is left
// as it is: where it differs from the leader's, the leader will say. It is never
// cut to the high watermark, which a follower knows late (KIP-101).
func (m *Manager) becomeFollower(c *step.Context, p *Partition, reg *meta.Partition) {
	newEpoch := reg.LeaderEpoch > p.leaderEpoch
	m.stepDown(c, p)
	p.adopt(reg)
	p.role = Follower
	if reg.Leader == meta.NoLeader {
		p.role = Offline
	}
	if newEpoch {
		p.fetch.leaderMark, p.fetch.leaderStart = -1, -1
		p.fetch.delayed = 0
		if m.cfg.Bugs.Has(bugs.TruncateToHighWatermark) && p.log.AppendEnd() > p.log.HighWatermark() {
			m.truncate(c, p, p.log.HighWatermark())
		}
	}
	m.assignFetcher(c, p)
}

// mayFetch says that the replica is to copy from its leader. A broker in
// controlled shutdown that has left the ISR stops, so as not to return to it
// before it is gone (KIP-841).
func (m *Manager) mayFetch(p *Partition) bool {
	if p.role != Follower {
		return false
	}
	self := m.image.Broker(m.brokerID)
	return self == nil || !self.InControlledShutdown || p.inISR(m.brokerID)
}

// assignFetcher gives a follower to the fetcher of its present leader.
func (m *Manager) assignFetcher(c *step.Context, p *Partition) {
	if !m.mayFetch(p) {
		m.stopFetching(c, p)
		return
	}
	if f := p.fetch.fetcher; f != nil && f.leader == p.leader {
		if p.fetch.askedEpoch != p.leaderEpoch {
			f.change(p)
		}
		return
	}
	m.stopFetching(c, p)
	f := m.fetcherOf(p.leader)
	p.fetch.fetcher = f
	p.fetch.askedEpoch = -1
	at, _ := slices.BinarySearchFunc(f.parts, p, func(a, b *Partition) int { return compareKeys(a.key, b.key) })
	f.parts = slices.Insert(f.parts, at, p)
	// What it has appended as a leader may still be on its way to the disk; a
	// fetch from before its end would bring what does not continue the log. What
	// an earlier follower was writing says nothing: a leader may have seen its end.
	p.fetch.writing = p.log.EndOffset() < p.log.AppendEnd()
	if p.fetch.writing {
		f.writing++
	}
	f.change(p)
}

// stopFetching takes a replica from its fetcher. Answers in flight will find it
// gone.
func (m *Manager) stopFetching(c *step.Context, p *Partition) {
	f := p.fetch.fetcher
	if f == nil {
		return
	}
	if at := slices.Index(f.parts, p); at >= 0 {
		f.parts = slices.Delete(f.parts, at, at+1)
	}
	if at := slices.Index(f.changed, p); at >= 0 {
		f.changed = slices.Delete(f.changed, at, at+1)
	}
	if p.fetch.inSession {
		f.forgotten = append(f.forgotten, forgottenPart{p.id, p.key.Index})
		f.due = true
	}
	if p.fetch.writing {
		f.writing--
		f.due = true
	}
	// What the log is doing goes on; all else is over.
	p.fetch = fetchState{writing: p.fetch.writing, truncating: p.fetch.truncating, leaderMark: -1, leaderStart: -1}
}

// appendFetched checks and appends the batches of a fetch response. Every batch's
// CRC is checked: the network and the leader's disk lie between its writing and
// this.
func (m *Manager) appendFetched(c *step.Context, p *Partition, records []edge.Slice) (ok bool) {
	records, err := checkBatches(c, records, p.leaderEpoch)
	if err == nil && len(records) > 0 {
		m.countFetched(p, records)
		err = p.log.AppendFollower(c, records)
	}
	if p.log.AppendEnd() > p.fetch.askedAt {
		// Also if a later batch was refused: those before it are in the log.
		m.touch(p)
		p.fetch.writing = true
		p.fetch.fetcher.writing++
		m.followerWritten(c, p) // the log may have written at once
	}
	if err != nil {
		c.Logf(edge.Warn, "replica %s: a fetch from broker %d at offset %d brought what cannot be appended: %v",
			p.key, p.leader, p.fetch.askedAt, err)
		return false
	}
	return true
}

// followerWritten runs when writes of a follower have ended.
func (m *Manager) followerWritten(c *step.Context, p *Partition) {
	p.followLeader(c, m)
	if !p.fetch.writing || p.log.EndOffset() < p.log.AppendEnd() {
		return
	}
	p.fetch.writing = false
	if f := p.fetch.fetcher; f != nil {
		f.writing--
		f.change(p)
	}
}

// followLeader takes over the leader's high watermark and log start, as far as
// this log reaches: the high watermark is the lesser of the leader's and the own
// log end, and the start stays below it.
func (p *Partition) followLeader(c *step.Context, m *Manager) {
	if p.role != Follower || p.fetch.truncating {
		return
	}
	if mark := min(p.fetch.leaderMark, p.log.EndOffset()); mark > p.log.HighWatermark() {
		p.log.SetHighWatermark(mark)
		m.touch(p)
		p.wakeMark(m)
	}
	if start := min(p.fetch.leaderStart, p.log.HighWatermark()); start > p.log.StartOffset() {
		p.log.AdvanceStart(c, start)
		m.touch(p)
	}
}

// truncated runs when a truncation is complete.
func (m *Manager) truncated(c *step.Context, p *Partition) {
	p.fetch.truncating = false
	if p.role == Leader {
		// Elected meanwhile: the epoch's entry must stand, at the end as it is.
		p.epochStart = min(p.epochStart, p.log.AppendEnd())
		p.log.AssignEpoch(c, p.leaderEpoch, p.epochStart)
		m.advance(c, p)
	}
	if p.fetch.writing && p.log.EndOffset() >= p.log.AppendEnd() {
		m.followerWritten(c, p)
	}
	if f := p.fetch.fetcher; f != nil {
		f.change(p)
	}
}

// truncateDiverging cuts the log to where it can still agree with the leader's,
// which ends its epoch at the given offset (KIP-101, KIP-595). Where this log
// knows only an older epoch than the leader named, it is cut to that epoch's end
// and the next fetch asks on (KIP-279).
func (m *Manager) truncateDiverging(c *step.Context, p *Partition, epoch int32, end int64) {
	ownEpoch, ownEnd := p.log.EndOffsetForEpoch(epoch)
	at := min(end, p.log.AppendEnd())
	if ownEpoch >= 0 && ownEnd >= 0 {
		at = min(at, ownEnd)
	} else {
		// Not one epoch is shared: nothing of this log can be.
		at = min(at, p.log.StartOffset())
	}
	if at < p.log.AppendEnd() || p.log.LatestEpoch() <= epoch {
		m.truncate(c, p, at)
		return
	}
	// There is nothing to cut but the entries of epochs that this broker led
	// without writing anything. They would make it seem to diverge again, for
	// ever, and refuse the leader's older batches (KAFKA-10706).
	if start, ok := p.log.EpochStart(ownEpoch); ok {
		p.log.AssignEpoch(c, ownEpoch, start)
	} else {
		// No older epoch is known, hence the log is empty.
		m.restartAt(c, p, p.log.AppendEnd())
	}
}

func (m *Manager) truncate(c *step.Context, p *Partition, at int64) {
	if mark := p.log.HighWatermark(); at < mark {
		c.Logf(edge.Warn, "replica %s: truncated to %d, below the high watermark %d (an unclean election)", p.key, at, mark)
	}
	m.touch(p)
	p.fetch.truncating = true
	p.fetch.leaderMark = min(p.fetch.leaderMark, at)
	p.log.TruncateTo(c, at)
}

// restartAt throws the whole log away, epochs included, and begins at an offset.
func (m *Manager) restartAt(c *step.Context, p *Partition, start int64) {
	c.Logf(edge.Info, "replica %s: from %d to %d it starts anew at %d", p.key, p.log.StartOffset(), p.log.AppendEnd(), start)
	m.touch(p)
	p.fetch.truncating = true
	p.fetch.leaderMark = -1
	p.log.TruncateFullyAndStartAt(c, start)
}

// delay leaves a partition out of fetches for replica.fetch.backoff.ms.
func (m *Manager) delay(c *step.Context, p *Partition) {
	f := p.fetch.fetcher
	p.fetch.delayed = c.Now.Add(m.fetchBackoff())
	f.change(p)
	f.setTimer(c, p.fetch.delayed)
}

func (m *Manager) fetchBackoff() time.Duration {
	return time.Duration(m.cfg.ReplicaFetchBackoffMillis) * time.Millisecond
}
