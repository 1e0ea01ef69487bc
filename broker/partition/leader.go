package partition

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// unknownOffset is a follower's log end before its first fetch of an epoch.
const unknownOffset = int64(-1)

// follower is what a leader knows of one other replica, all of it from that
// replica's fetches.
type follower struct {
	id          int32
	endOffset   int64 // its fetch offset: all below it is written there
	startOffset int64
	brokerEpoch int64 // of the fetch that told (KIP-903); -1 before the first

	caughtUp     bool          // has been caught up within this leader's term
	lastCaughtUp clock.Instant // when it last had all that the leader had
	lastFetch    clock.Instant
	// endAtLastFetch is the leader's log end at lastFetch.
	endAtLastFetch int64
	// session is whose fetches speak for this follower, also for the partitions
	// that they leave out because nothing changed.
	session *session
}

// becomeLeader leads the partition at the registration's epochs.
func (m *Manager) becomeLeader(c *step.Context, p *Partition, reg *meta.Partition) {
	newEpoch := reg.LeaderEpoch > p.leaderEpoch
	wasLeader := p.role == Leader
	if !wasLeader {
		m.stopFetching(c, p)
	}
	p.adopt(reg)
	p.role = Leader
	if newEpoch || !wasLeader {
		m.beginEpoch(c, p)
	}
	m.syncFollowers(c, p)
	m.expandEligible(c, p)
	m.advance(c, p)
}

// beginEpoch records the epoch and the log end at which it begins, before any
// write of the epoch: a follower may ask for it at once (KIP-101, KIP-279).
//
// What followers held in an earlier epoch counts for nothing, even if this
// broker led then: images may be skipped, and under a leader in between, of
// which it never heard, a follower may have truncated what it had fetched here.
func (m *Manager) beginEpoch(c *step.Context, p *Partition) {
	// Writes in flight were accepted in earlier epochs and will land.
	p.epochStart = p.log.AppendEnd()
	p.log.AssignEpoch(c, p.leaderEpoch, p.epochStart)
	for i := range p.followers {
		p.followers[i] = p.newFollower(c, p.followers[i].id)
	}
}

// syncFollowers makes the follower states match the assigned replicas.
func (m *Manager) syncFollowers(c *step.Context, p *Partition) {
	p.followers = slices.DeleteFunc(p.followers, func(f follower) bool {
		return !slices.Contains(p.replicas, f.id)
	})
	for _, id := range p.replicas {
		if id == m.brokerID || p.follower(id) != nil {
			continue
		}
		p.followers = append(p.followers, p.newFollower(c, id))
	}
}

// newFollower is a follower of which nothing is known. Members of the ISR get a
// whole replica.lag.time.max.ms to show up.
func (p *Partition) newFollower(c *step.Context, id int32) follower {
	return follower{
		id: id, endOffset: unknownOffset, startOffset: unknownOffset, brokerEpoch: -1,
		endAtLastFetch: p.epochStart, caughtUp: p.inISR(id), lastCaughtUp: c.Now, lastFetch: c.Now,
	}
}

// stepDown ends leadership: whoever waits for it is told to look elsewhere.
func (m *Manager) stepDown(c *step.Context, p *Partition) {
	if p.role != Leader {
		return
	}
	p.pending = pendingISR{isr: p.pending.isr[:0]}
	p.followers = p.followers[:0]
	m.failAcks(c, p, errNotLeaderOrFollower)
}

func (p *Partition) follower(id int32) *follower {
	for i := range p.followers {
		if p.followers[i].id == id {
			return &p.followers[i]
		}
	}
	return nil
}

// replicaFetched takes in a follower's position from its fetch, which has passed
// every check of epochs and divergence.
func (m *Manager) replicaFetched(c *step.Context, p *Partition, f *follower, at replicaPosition) {
	end := p.log.EndOffset()
	switch {
	case at.fetchOffset >= end:
		f.caughtUp, f.lastCaughtUp = true, c.Now
	case at.fetchOffset >= f.endAtLastFetch && f.lastFetch > f.lastCaughtUp:
		// It has all that there was when it asked before.
		f.caughtUp, f.lastCaughtUp = true, f.lastFetch
	}
	moved := at.fetchOffset != f.endOffset || at.startOffset != f.startOffset
	f.endOffset, f.startOffset, f.brokerEpoch = at.fetchOffset, at.startOffset, at.brokerEpoch
	f.endAtLastFetch, f.lastFetch, f.session = end, c.Now, at.session
	m.maybeExpand(c, p, f)
	if moved {
		m.wakeDeletes()
		m.advance(c, p)
	}
}

// replicaPosition is where a follower's fetch says that it stands.
type replicaPosition struct {
	fetchOffset int64
	startOffset int64
	brokerEpoch int64
	session     *session
}

// endOffsetMoved runs when local writes have ended.
func (m *Manager) endOffsetMoved(c *step.Context, p *Partition) {
	switch p.role {
	case Leader:
		m.advance(c, p)
		m.answerWritten(c, p)
	case Follower:
		m.followerWritten(c, p)
	}
	p.wakeEnd(m)
}

// beforeAppend notes, for followers that had everything, until when they did:
// while a partition is idle their fetches leave it out, but each of them still
// says that nothing is missing.
func (p *Partition) beforeAppend() {
	end := p.log.EndOffset()
	for i := range p.followers {
		f := &p.followers[i]
		if f.endOffset == end && f.session != nil && f.session.lastUsed > f.lastCaughtUp {
			f.lastCaughtUp, f.lastFetch = f.session.lastUsed, f.session.lastUsed
		}
	}
}
