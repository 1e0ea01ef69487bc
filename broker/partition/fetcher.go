package partition

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// replicaFetchVersion is the version of Fetch between brokers.
const replicaFetchVersion int16 = 17

// fetcher copies the partitions that one other broker leads: one fetch in
// flight, within an incremental session (KIP-227). As in Kafka's fetcher thread,
// the next fetch goes out when the batches of the last have been written, since
// its offsets tell the leader what is written here.
type fetcher struct {
	leader int32
	parts  []*Partition // sorted

	sessionID    int32
	sessionEpoch int32 // 0: the next fetch is a full one
	changed      []*Partition
	forgotten    []forgottenPart

	inFlight   bool
	generation uint32
	due        bool // something may be sent
	writing    int  // partitions whose batches are being written
	backoff    clock.Instant

	req  wire.FetchRequest
	body []byte // of the last request, encoded
	resp wire.FetchResponse
}

type forgottenPart struct {
	id    meta.TopicID
	index int32
}

func (m *Manager) fetcherOf(leader int32) *fetcher {
	at, ok := slices.BinarySearchFunc(m.fetchers, leader, func(f *fetcher, id int32) int { return int(f.leader) - int(id) })
	if !ok {
		m.fetchers = slices.Insert(m.fetchers, at, &fetcher{leader: leader})
	}
	return m.fetchers[at]
}

// change notes that a partition's place in the next request is not that in the
// last.
func (f *fetcher) change(p *Partition) {
	f.due = true
	if !p.fetch.changed {
		p.fetch.changed = true
		f.changed = append(f.changed, p)
	}
}

func (f *fetcher) setTimer(c *step.Context, at clock.Instant) {
	id := timer.ID{Owner: step.OwnerFetcher, Kind: timerFetcher, B: uint64(f.leader)}
	if pending, ok := c.Timers.Pending(id); !ok || at < pending {
		c.Timers.Set(id, at)
	}
}

// fetcherTimer ends delays that are over.
func (m *Manager) fetcherTimer(c *step.Context, leader int32) {
	f := m.fetcherOf(leader)
	next := clock.Never
	if f.backoff > c.Now {
		next = f.backoff
	} else {
		f.backoff, f.due = 0, true
	}
	for _, p := range f.parts {
		switch {
		case p.fetch.delayed == 0:
		case p.fetch.delayed <= c.Now:
			p.fetch.delayed = 0
			f.change(p)
		default:
			next = min(next, p.fetch.delayed)
		}
	}
	if next != clock.Never {
		f.setTimer(c, next)
	}
}

// fetchNext sends the next fetch if one may be sent and there is a partition to
// fetch.
func (m *Manager) fetchNext(c *step.Context, f *fetcher) {
	if !m.registered() {
		return // and still due
	}
	f.due = false
	if f.inFlight || f.writing > 0 || f.backoff != 0 {
		return
	}
	if !m.buildFetch(f) {
		return
	}
	f.inFlight = true
	f.generation++
	f.body = f.req.AppendTo(f.body[:0])
	m.sender.Send(c, caller.Call{
		To: f.leader, Channel: caller.ChannelFetch, Key: wire.KeyFetch, Version: replicaFetchVersion,
		Body:    f.body,
		Token:   edge.Token{Owner: step.OwnerFetcher, Kind: tokenFetch, A: f.generation, B: uint64(f.leader)},
		Timeout: time.Duration(m.cfg.ReplicaSocketTimeoutMillis) * time.Millisecond,
	})
}

// registered says that this broker has its epoch and sees it in the image. A
// leader refuses fetches of any other epoch (KIP-903).
func (m *Manager) registered() bool {
	self := m.image.Broker(m.brokerID)
	return self != nil && self.Epoch == m.brokerEpoch
}

// buildFetch fills f.req: in a session with what has changed since the last
// request, else with everything. It is false when there is nothing to fetch.
func (m *Manager) buildFetch(f *fetcher) bool {
	r := &f.req
	r.Reset(replicaFetchVersion)
	r.ReplicaID, r.ReplicaEpoch = m.brokerID, m.brokerEpoch
	r.MaxWaitMillis = int32(m.cfg.ReplicaFetchWaitMaxMillis)
	r.MinBytes = int32(m.cfg.ReplicaFetchMinBytes)
	r.MaxBytes = int32(min(m.cfg.ReplicaFetchResponseMaxBytes, math.MaxInt32))
	r.SessionID, r.SessionEpoch = f.sessionID, f.sessionEpoch
	any := false
	if f.sessionEpoch == sessionEpochInitial {
		// The leader forgets the old session when it is named here.
		f.forgotten = f.forgotten[:0]
		for _, p := range f.parts {
			p.fetch.inSession = p.fetch.ready()
			if p.fetch.inSession {
				m.addFetch(r, p)
				any = true
			}
		}
	} else {
		for _, p := range f.changed {
			switch {
			case p.fetch.ready():
				p.fetch.inSession = true
				m.addFetch(r, p)
				// It may have left and come back since the last request; the
				// leader takes partitions in before it forgets any.
				f.forgotten = slices.DeleteFunc(f.forgotten, func(g forgottenPart) bool {
					return g == forgottenPart{p.id, p.key.Index}
				})
			case p.fetch.inSession:
				p.fetch.inSession = false
				f.forgotten = append(f.forgotten, forgottenPart{p.id, p.key.Index})
			}
		}
		for _, p := range f.parts {
			any = any || p.fetch.inSession
		}
	}
	for _, p := range f.changed {
		p.fetch.changed = false
	}
	clear(f.changed)
	f.changed = f.changed[:0]
	if !any {
		// Nothing is left to fetch; the session, if any, is given up.
		f.sessionEpoch = sessionEpochInitial
		return false
	}
	for _, g := range f.forgotten {
		t := r.AddForgotten("", g.id)
		t.Partitions = append(t.Partitions, g.index)
	}
	f.forgotten = f.forgotten[:0]
	return true
}

// addFetch adds a partition at its present position.
func (m *Manager) addFetch(r *wire.FetchRequest, p *Partition) {
	n := len(r.Topics)
	var t *wire.FetchTopic
	if n > 0 && r.Topics[n-1].TopicID == p.id {
		t = &r.Topics[n-1]
	} else {
		t = r.AddTopic("", p.id)
	}
	a := t.AddPartition(p.key.Index)
	a.FetchOffset = p.log.EndOffset()
	a.CurrentLeaderEpoch = p.leaderEpoch
	a.LastFetchedEpoch = p.log.LatestEpoch()
	a.LogStartOffset = p.log.StartOffset()
	a.MaxBytes = int32(min(m.cfg.ReplicaFetchMaxBytes, math.MaxInt32))
	p.fetch.askedEpoch, p.fetch.askedAt = p.leaderEpoch, a.FetchOffset
}

// fetchReply handles a leader's answer, or that there was none.
func (m *Manager) fetchReply(c *step.Context, r *caller.Reply) {
	f := m.fetcherOf(int32(r.Token.B))
	if !f.inFlight || f.generation != r.Token.A {
		return
	}
	f.inFlight, f.due = false, true
	if r.Status != caller.OK {
		m.fetchFailed(c, f)
		return
	}
	resp, err := f.decode(c, r)
	if err != nil {
		c.Logf(edge.Warn, "fetch response of broker %d: %v", f.leader, err)
		m.fetchFailed(c, f)
		return
	}
	switch resp.ErrorCode {
	case errNone:
	case errFetchSessionIDNotFound, errInvalidFetchSessionEpoch, errFetchSessionTopicID:
		// The session was evicted, or the leader restarted: a full fetch, at once
		// the first time, since that cannot fail in this way again.
		f.resetSession()
		return
	default:
		m.fetchFailed(c, f)
		return
	}
	switch {
	case resp.SessionID == 0:
		f.resetSession()
	default:
		f.sessionID, f.sessionEpoch = resp.SessionID, nextEpoch(f.sessionEpoch)
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			m.fetched(c, f, t.TopicID, &t.Partitions[j])
		}
	}
	// Nothing of the frame may be held here.
	resp.Reset(replicaFetchVersion)
}

func (f *fetcher) resetSession() { f.sessionID, f.sessionEpoch = 0, sessionEpochInitial }

// fetchFailed begins again with a full fetch after replica.fetch.backoff.ms.
func (m *Manager) fetchFailed(c *step.Context, f *fetcher) {
	f.resetSession()
	f.backoff = c.Now.Add(m.fetchBackoff())
	f.setTimer(c, f.backoff)
}

// fetched handles one partition of a response. One that was asked for in an
// older leader epoch, or that has moved since, is ignored: what it says of
// divergence is of another leader's time (KAFKA-13207).
func (m *Manager) fetched(c *step.Context, f *fetcher, id meta.TopicID, r *wire.FetchPartitionResponse) {
	t := m.Resolve(id)
	if t == nil {
		return
	}
	p := m.replicas.get(t.Name, r.Partition)
	if p == nil || p.fetch.fetcher != f || p.role != Follower || !p.fetch.inSession || !p.fetch.ready() ||
		p.fetch.askedEpoch != p.leaderEpoch || p.fetch.askedAt != p.log.EndOffset() {
		return
	}
	switch r.ErrorCode {
	case errNone:
	case errOffsetOutOfRange:
		m.probe(c, p)
		return
	default:
		// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER and
		// the like: one of us has not seen the newest image yet.
		m.delay(c, p)
		return
	}
	if r.DivergingEpoch.Epoch >= 0 {
		// The leader's high watermark in this response is about offsets that
		// hold something else here: truncate first (KAFKA-14704).
		m.truncateDiverging(c, p, r.DivergingEpoch.Epoch, r.DivergingEpoch.EndOffset)
		f.change(p)
		return
	}
	p.fetch.leaderMark, p.fetch.leaderStart = r.HighWatermark, r.LogStartOffset
	if len(r.Slices) > 0 && !m.appendFetched(c, p, r.Slices) {
		m.delay(c, p)
		return
	}
	start := p.log.StartOffset()
	p.followLeader(c, m)
	if p.log.StartOffset() != start {
		f.change(p)
	}
}

// checkBatches checks what a leader sent, batch by batch, as far as the step's
// verdict does not know already, and cuts off what follows the last whole one: the
// fetch's limit may have torn it.
func checkBatches(c *step.Context, records []edge.Slice, leaderEpoch int32) ([]edge.Slice, error) {
	verdict, _ := c.Verdict.(*FetchVerdict)
	for i := range records {
		s := &records[i]
		end := s.From
		for rest := s.Bytes(); len(rest) > 0; {
			batch, after, err := record.Next(rest)
			if err == record.ErrShort {
				if s.To = end; s.Len() == 0 {
					return records[:i], nil
				}
				return records[:i+1], nil
			}
			if err != nil {
				return nil, err
			}
			if !verdict.vouches(s.Buffer, end) {
				if err := batch.CheckCRCAt(s.Buffer, end); err != nil {
					return nil, err
				}
			}
			if batch.LeaderEpoch() > leaderEpoch {
				return nil, fmt.Errorf("%w: batch of leader epoch %d from a leader of epoch %d",
					record.ErrInvalid, batch.LeaderEpoch(), leaderEpoch)
			}
			end += int32(len(batch))
			rest = after
		}
	}
	return records, nil
}
