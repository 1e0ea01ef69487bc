package partition

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// fetchTable holds the fetches that wait, by slot, and those to be reused.
type fetchTable struct {
	slots []*Fetch // slots[0] is not used
	free  []uint32
	spare []*Fetch
	woken []*Fetch
	again []*Fetch
}

// NewFetch returns an empty request to be filled in and handed to Fetch.
func (m *Manager) NewFetch() *Fetch {
	t := &m.fetches
	if n := len(t.spare); n > 0 {
		f := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return f
	}
	return &Fetch{ReplicaID: -1, ReplicaEpoch: -1}
}

// Fetch answers a fetch through the Answerer, now or when min.bytes are there,
// something must be told at once, or max.wait has passed.
func (m *Manager) Fetch(c *step.Context, f *Fetch) {
	f.deadline = waitFrom(c.Now, f.MaxWaitMillis)
	f.MaxBytes = min(f.MaxBytes, int32(m.cfg.FetchMaxBytes))
	f.MinBytes = min(f.MinBytes, f.MaxBytes) // more will never be there
	s, code := m.openSession(c, f)
	if code != errNone {
		f.ErrorCode = code
		m.answerer.AnswerFetch(c, f)
		m.putFetch(f)
		return
	}
	f.session, f.OutSessionID, f.expect = s, s.id, s.epoch
	if s.parked != nil {
		// Its client has given up on it and asked again.
		m.answerFetch(c, s.parked)
	}
	if f.ReplicaID >= 0 {
		for _, sp := range s.dirty {
			sp.positionUnread = true
		}
	}
	m.passFetch(c, f)
	m.answerOrPark(c, f)
	m.settle(c)
}

// openSession finds or makes the session of a request and takes in its changes.
func (m *Manager) openSession(c *step.Context, f *Fetch) (*session, int16) {
	byID := f.Version >= 13
	if f.SessionEpoch == sessionEpochInitial || f.SessionEpoch == sessionEpochFinal {
		f.full = true
		if old := m.sessions.byID[f.SessionID]; old != nil {
			m.dropSession(old)
		}
		return m.fullFetch(c, f, byID), errNone
	}
	s := m.sessions.byID[f.SessionID]
	switch {
	case s == nil:
		return nil, errFetchSessionIDNotFound
	case s.epoch != f.SessionEpoch:
		return nil, errInvalidFetchSessionEpoch
	case s.byID != byID:
		return nil, errFetchSessionTopicID
	}
	s.epoch, s.lastUsed = nextEpoch(s.epoch), c.Now
	for i := range f.Asks {
		ask := &f.Asks[i]
		key := partKey{ask.TopicID, ask.Topic, ask.Partition}
		sp := s.part(&key)
		if sp == nil {
			if m.sessions.parts >= m.sessions.partsMax {
				m.dropSession(s) // its client begins anew, without one
				return nil, errFetchSessionIDNotFound
			}
			sp = s.newPart(key)
			s.parts[key] = sp
			m.sessions.parts++
		}
		s.update(sp, ask)
	}
	for i := range f.Forgotten {
		key := partKey{f.Forgotten[i].TopicID, f.Forgotten[i].Topic, f.Forgotten[i].Partition}
		if sp := s.part(&key); sp != nil {
			s.forget(sp)
			delete(s.parts, key)
			m.sessions.parts--
		}
	}
	if len(s.parts) == 0 {
		m.dropSession(s) // nothing left to speak of: s.id becomes 0
	}
	return s, errNone
}

// fullFetch gives a request that names all of its partitions a session to stay
// with, if it wants one and there is room, or one for this time only.
func (m *Manager) fullFetch(c *step.Context, f *Fetch, byID bool) *session {
	var s *session
	if f.SessionEpoch == sessionEpochInitial && len(f.Asks) > 0 {
		s = m.createSession(c, f.ReplicaID, len(f.Asks), byID)
	}
	if s == nil {
		s = m.transientSession(f.ReplicaID, byID)
		s.id, s.epoch = 0, 0
	}
	for i := range f.Asks {
		ask := &f.Asks[i]
		key := partKey{ask.TopicID, ask.Topic, ask.Partition}
		sp := s.part(&key)
		if sp == nil {
			sp = s.newPart(key)
		}
		if s.parts != nil && s.parts[key] != sp {
			s.parts[key] = sp
			m.sessions.parts++
		}
		s.update(sp, ask)
	}
	return s
}

// passFetch looks at every partition that may have something to say.
func (m *Manager) passFetch(c *step.Context, f *Fetch) {
	s := f.session
	release(f.Records)
	f.Records, f.Results = f.Records[:0], f.Results[:0]
	f.bytes, f.reached, f.immediate, f.loading = 0, 0, false, false
	old := s.dirty
	s.dirty, s.moved = s.spare[:0], s.moved[:0]
	for _, sp := range old {
		if sp.removed {
			sp.isDirty = false
			continue
		}
		m.resolve(s, sp)
		r := m.look(c, f, sp)
		if r.ErrorCode != errNone || r.DivergingEpoch >= 0 || r.PreferredReplica >= 0 {
			f.immediate = true
		}
		told := f.full || r.news(sp)
		if told {
			f.Results = append(f.Results, r)
		}
		switch {
		case s.parts == nil:
			s.dirty = append(s.dirty, sp)
		case r.Bytes > 0:
			// Whoever has been served goes to the end, so that a small response
			// serves the others next time; one that merely had news does not
			// (KAFKA-12330).
			s.moved = append(s.moved, sp)
		case told || r.more || !sp.upToDate() || f.ReplicaID >= 0 && !sp.p.inISR(f.ReplicaID):
			// A follower outside the ISR is looked at with every fetch: each may
			// be the one that lets it in.
			s.dirty = append(s.dirty, sp)
		default:
			sp.isDirty = false
		}
	}
	s.dirty = append(s.dirty, s.moved...)
	clear(s.moved)
	clear(old)
	s.spare = old[:0]
}

// news says that an incremental response must include the partition.
func (r *FetchResult) news(sp *sessionPart) bool {
	return r.Bytes > 0 || r.ErrorCode != errNone || r.DivergingEpoch >= 0 || r.PreferredReplica >= 0 ||
		r.HighWatermark != sp.sentMark || r.LogStartOffset != sp.sentStart
}

// upToDate says that the client knows the replica's marks.
func (sp *sessionPart) upToDate() bool {
	return sp.p != nil && sp.p.log.HighWatermark() == sp.sentMark && sp.p.log.StartOffset() == sp.sentStart
}

// enough says that a looked-at fetch is answered now.
func (m *Manager) enough(c *step.Context, f *Fetch) bool {
	switch {
	case f.immediate, f.bytes > 0 && f.reached >= int(f.MinBytes):
		return true
	case f.session.empty():
		return true
	case f.loading && f.bytes == 0:
		return false // the disk answers, whatever max.wait says
	}
	return f.MinBytes <= 0 || c.Now >= f.deadline
}

func (s *session) empty() bool {
	if s.parts == nil {
		return len(s.dirty) == 0
	}
	return len(s.parts) == 0
}

func (m *Manager) answerOrPark(c *step.Context, f *Fetch) {
	if m.enough(c, f) {
		m.answerFetch(c, f)
		return
	}
	if f.slot == 0 {
		m.parkFetch(f)
	}
	if !f.loading || f.bytes > 0 {
		c.Timers.Set(timer.ID{Owner: step.OwnerPartition, Kind: timerFetch, A: f.slot}, max(f.deadline, c.Now))
	}
}

func (m *Manager) parkFetch(f *Fetch) {
	t := &m.fetches
	f.session.parked = f
	if len(t.slots) == 0 {
		t.slots = append(t.slots, nil)
	}
	if n := len(t.free); n > 0 {
		f.slot = t.free[n-1]
		t.free = t.free[:n-1]
		t.slots[f.slot] = f
		return
	}
	f.slot = uint32(len(t.slots))
	t.slots = append(t.slots, f)
}

// unpark has the fetch that waits on a session looked at again before the event
// is over.
func (m *Manager) unpark(s *session) {
	if f := s.parked; f != nil && !f.woken {
		f.woken = true
		m.fetches.woken = append(m.fetches.woken, f)
	}
}

// retryWoken looks again at what was woken.
func (m *Manager) retryWoken(c *step.Context) {
	for len(m.fetches.woken) > 0 {
		t := &m.fetches
		list := t.woken
		t.woken, t.again = t.again[:0], list
		for i, f := range list {
			list[i] = nil
			f.woken = false
			if f.slot != 0 {
				m.passFetch(c, f)
				m.answerOrPark(c, f)
			}
		}
	}
	m.retryLists(c)
}

func (m *Manager) fetchTimeout(c *step.Context, slot uint32) {
	if int(slot) >= len(m.fetches.slots) || m.fetches.slots[slot] == nil {
		return
	}
	f := m.fetches.slots[slot]
	m.passFetch(c, f)
	m.answerOrPark(c, f)
}

// answerFetch sends what the last look has found.
func (m *Manager) answerFetch(c *step.Context, f *Fetch) {
	s := f.session
	if f.slot != 0 {
		c.Timers.Cancel(timer.ID{Owner: step.OwnerPartition, Kind: timerFetch, A: f.slot})
	}
	if s.parked == f {
		s.parked = nil
	}
	if s.epoch != f.expect {
		// Another fetch of the session has come between: what this one would
		// tell, that one's client would never hear of (KAFKA-8052).
		f.ErrorCode = errInvalidFetchSessionEpoch
		release(f.Records)
		f.Records, f.Results = f.Records[:0], f.Results[:0]
	}
	m.countOut(f)
	for i := range f.Results {
		r := &f.Results[i]
		r.part.sentMark, r.part.sentStart = r.HighWatermark, r.LogStartOffset
		if r.DivergingEpoch >= 0 {
			// A follower truncates and heeds nothing else of this answer.
			r.part.sentMark, r.part.sentStart = -1, -1
		}
		r.part = nil
	}
	f.OutSessionID = s.id
	m.answerer.AnswerFetch(c, f)
	clear(f.Records) // handed over
	f.Records = f.Records[:0]
	switch {
	case s.parts == nil:
		m.endTransient(s)
	case s.id == 0 && s.parked == nil:
		m.sessionOver(s)
	}
	m.putFetch(f)
}

// putFetch takes a fetch back for reuse.
func (m *Manager) putFetch(f *Fetch) {
	t := &m.fetches
	if f.slot != 0 {
		t.slots[f.slot] = nil
		t.free = append(t.free, f.slot)
	}
	*f = Fetch{ReplicaID: -1, ReplicaEpoch: -1, Asks: f.Asks[:0], Forgotten: f.Forgotten[:0],
		Results: f.Results[:0], Records: f.Records[:0], woken: f.woken}
	if len(t.spare) < spareRequestsMax && max(cap(f.Asks), cap(f.Forgotten), cap(f.Results)) <= sparePartsMax {
		t.spare = append(t.spare, f)
	}
}

// inISR says whether the controller has recorded a replica as in sync.
func (p *Partition) inISR(id int32) bool { return slices.Contains(p.isr, id) }
