package partition

import (
	"math"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Session epochs with a meaning of their own (KIP-227).
const (
	sessionEpochInitial int32 = 0  // a full fetch that wants a session
	sessionEpochFinal   int32 = -1 // a full fetch that wants none, and closes the one it names
)

// sessionEvictionAge is min.incremental.fetch.session.eviction.ms: how long a
// session is safe from a larger one, and how long an unused one is kept.
const sessionEvictionAge = 120 * time.Second

// session is the state of an incremental fetch (KIP-227): what the client last
// asked of each partition and what it was last told. A fetch without a session
// gets one for the time of its wait.
//
// Beyond Kafka's, it knows which of its partitions may have something to say
// (dirty), so that a fetch costs what has changed and not what is subscribed.
// A partition is clean only if looking at it again would add nothing to the
// response until either the client or the replica changes it.
type session struct {
	id       int32 // 0: not cached
	epoch    int32 // that the next request must carry
	byID     bool  // topics are named by their ids
	replica  int32 // the follower's broker id, or -1
	created  clock.Instant
	lastUsed clock.Instant

	parts  map[partKey]*sessionPart // of a cached session
	near   [nearParts]*sessionPart  // some of them, by the low bits of the index; see part
	dirty  []*sessionPart
	spare  []*sessionPart // memory for the next dirty list
	moved  []*sessionPart // returned records in this pass
	free   []*sessionPart // of a session that is reused
	parked *Fetch
}

// partKey names a partition as its client does: by topic id or by name.
type partKey struct {
	id    meta.TopicID
	name  string
	index int32
}

// sessionPart is one partition of a session.
type sessionPart struct {
	key     partKey
	topic   string // as resolved; the name asked for, or empty
	p       *Partition
	looked  uint32 // Manager.topology at which p was looked up, plus one
	isDirty bool
	removed bool

	// What the client asks.
	offset         int64
	maxBytes       int32
	leaderEpoch    int32
	lastEpoch      int32
	followerStart  int64
	positionUnread bool // a follower's position not yet taken in

	// What the client was told last.
	sentMark  int64
	sentStart int64
}

// watcher is a session's interest in a replica.
type watcher struct {
	s  *session
	sp *sessionPart
}

// nearParts is how many partitions a session finds without hashing.
const nearParts = 64

// part returns a cached session's partition, or nil.
func (s *session) part(key *partKey) *sessionPart {
	at := &s.near[uint32(key.index)%nearParts]
	if sp := *at; sp != nil && !sp.removed && sp.key == *key {
		return sp
	}
	sp := s.parts[*key]
	if sp != nil {
		*at = sp
	}
	return sp
}

// markDirty makes the next look at the session include the partition.
func (s *session) markDirty(sp *sessionPart) {
	if !sp.isDirty && !sp.removed {
		sp.isDirty = true
		s.dirty = append(s.dirty, sp)
	}
}

// wake tells every session that something about the replica has changed.
func (p *Partition) wake(m *Manager) {
	for i := range p.watchers {
		w := &p.watchers[i]
		w.s.markDirty(w.sp)
		m.unpark(w.s)
	}
	if len(m.internal.loading) > 0 {
		m.internal.loaded(p)
	}
	if p.lists > 0 {
		m.lists.woken = true
	}
}

// wakeEnd tells the followers that there is more to fetch.
func (p *Partition) wakeEnd(m *Manager) {
	for i := range p.watchers {
		if w := &p.watchers[i]; w.s.replica >= 0 {
			w.s.markDirty(w.sp)
			m.unpark(w.s)
		}
	}
}

// wakeMark tells the consumers that there is more to fetch. Followers learn of
// a new high watermark with their next response, but do not wait for it.
func (p *Partition) wakeMark(m *Manager) {
	for i := range p.watchers {
		w := &p.watchers[i]
		w.s.markDirty(w.sp)
		if w.s.replica < 0 {
			m.unpark(w.s)
		}
	}
}

func (p *Partition) unwatch(sp *sessionPart) {
	for i := range p.watchers {
		if p.watchers[i].sp == sp {
			last := len(p.watchers) - 1
			p.watchers[i] = p.watchers[last]
			p.watchers[last] = watcher{}
			p.watchers = p.watchers[:last]
			return
		}
	}
}

// resolve finds the replica of a session's partition, again whenever replicas
// have come or gone, and follows it.
func (m *Manager) resolve(s *session, sp *sessionPart) {
	if sp.looked == m.topology+1 {
		return
	}
	sp.looked = m.topology + 1
	sp.topic = sp.key.name
	if s.byID {
		sp.topic = ""
		if t := m.topicNames[sp.key.id]; t != nil {
			sp.topic = t.Name
		}
	}
	var p *Partition
	if sp.topic != "" {
		p = m.replicas.get(sp.topic, sp.key.index)
	}
	if p == sp.p {
		return
	}
	if sp.p != nil {
		sp.p.unwatch(sp)
	}
	sp.p = p
	if p != nil {
		p.watchers = append(p.watchers, watcher{s, sp})
		sp.sentMark, sp.sentStart = -1, -1
	}
}

// forget ends a session's interest in a partition.
func (s *session) forget(sp *sessionPart) {
	if sp.p != nil {
		sp.p.unwatch(sp)
		sp.p = nil
	}
	sp.removed = true
}

// update takes in what a request says of one partition.
func (s *session) update(sp *sessionPart, ask *FetchAsk) {
	if sp.leaderEpoch != ask.LeaderEpoch {
		// A follower ignores what an answer says of an older epoch than its own,
		// so nothing counts as told.
		sp.sentMark, sp.sentStart = -1, -1
	}
	sp.offset, sp.maxBytes = ask.Offset, ask.MaxBytes
	sp.leaderEpoch, sp.lastEpoch = ask.LeaderEpoch, ask.LastFetchedEpoch
	sp.followerStart, sp.positionUnread = ask.LogStartOffset, true
	s.markDirty(sp)
}

func (s *session) newPart(key partKey) *sessionPart {
	var sp *sessionPart
	if n := len(s.free); n > 0 {
		sp = s.free[n-1]
		s.free = s.free[:n-1]
	} else {
		sp = &sessionPart{}
	}
	*sp = sessionPart{key: key, topic: key.name, sentMark: -1, sentStart: -1}
	return sp
}

// sessionPartsMax bounds the partitions that all sessions together remember, a few
// hundred bytes each: slots bounds the sessions only, and a request may name a
// hundred thousand. Who comes late fetches without one.
const sessionPartsMax = 1 << 19

// sessionCache holds the sessions of max.incremental.fetch.session.cache.slots.
type sessionCache struct {
	slots    int
	parts    int // of all sessions together, at most partsMax
	partsMax int
	byID     map[int32]*session
	list     []*session // in the order of creation
	spare    []*session // of fetches without a session
}

func (q *sessionCache) init(slots int) {
	q.slots, q.partsMax = slots, sessionPartsMax
	q.byID = make(map[int32]*session)
}

// create makes room for and returns a new session; nil if none may be evicted.
func (m *Manager) createSession(c *step.Context, replica int32, parts int, byID bool) *session {
	q := &m.sessions
	if (len(q.list) >= q.slots || q.parts+parts > q.partsMax) && !m.evictSession(c.Now, replica >= 0, parts) ||
		q.parts+parts > q.partsMax {
		return nil
	}
	id := c.Random.Int32N(math.MaxInt32) + 1
	for q.byID[id] != nil {
		id = c.Random.Int32N(math.MaxInt32) + 1
	}
	s := &session{id: id, epoch: 1, byID: byID, replica: replica, created: c.Now, lastUsed: c.Now,
		parts: make(map[partKey]*sessionPart, parts)}
	q.byID[id] = s
	q.list = append(q.list, s)
	return s
}

// evictSession removes the least recently used session if it is stale, or else
// one that is worth less than the new one: followers count for more than
// consumers, then larger ones for more than smaller ones.
func (m *Manager) evictSession(now clock.Instant, privileged bool, parts int) bool {
	var stale, least *session
	for _, s := range m.sessions.list {
		if stale == nil || s.lastUsed < stale.lastUsed {
			stale = s
		}
		old := now.Sub(s.created) > sessionEvictionAge
		if s.replica >= 0 && (!privileged || !old) || s.replica < 0 && !privileged && !old {
			continue
		}
		if least == nil || s.worthLess(least) {
			least = s
		}
	}
	switch {
	case stale == nil:
		return false
	case now.Sub(stale.lastUsed) > sessionEvictionAge:
		m.dropSession(stale)
	case least != nil && (least.replica < 0 && privileged || len(least.parts) < parts):
		m.dropSession(least)
	default:
		return false
	}
	return true
}

func (s *session) worthLess(t *session) bool {
	if (s.replica >= 0) != (t.replica >= 0) {
		return s.replica < 0
	}
	return len(s.parts) < len(t.parts)
}

// dropSession removes a session from the cache. A fetch parked on it is still
// answered from what it holds.
func (m *Manager) dropSession(s *session) {
	q := &m.sessions
	delete(q.byID, s.id)
	if s.id != 0 {
		q.parts -= len(s.parts)
	}
	if i := slices.Index(q.list, s); i >= 0 {
		q.list = slices.Delete(q.list, i, i+1)
	}
	if s.parked == nil {
		m.sessionOver(s)
	}
	s.id = 0
}

// sessionOver takes a session's partitions off the replicas' lists of watchers.
// The order does not matter: each list is searched for its own entry.
func (m *Manager) sessionOver(s *session) {
	for _, sp := range s.all() {
		s.forget(sp)
	}
	s.dirty = s.dirty[:0]
}

// all lists a session's partitions in the order of their keys.
func (s *session) all() []*sessionPart {
	if s.parts == nil {
		return s.dirty
	}
	list := make([]*sessionPart, 0, len(s.parts))
	for _, sp := range s.parts { //lint:maporder sorted below
		list = append(list, sp)
	}
	slices.SortFunc(list, func(a, b *sessionPart) int {
		if d := slices.Compare(a.key.id[:], b.key.id[:]); d != 0 {
			return d
		}
		return compareKeys(log.Partition{Topic: a.key.name, Index: a.key.index},
			log.Partition{Topic: b.key.name, Index: b.key.index})
	})
	return list
}

// transient returns a session for one fetch.
func (m *Manager) transientSession(replica int32, byID bool) *session {
	q := &m.sessions
	if n := len(q.spare); n > 0 {
		s := q.spare[n-1]
		q.spare = q.spare[:n-1]
		s.replica, s.byID = replica, byID
		return s
	}
	return &session{replica: replica, byID: byID}
}

// endTransient reuses the session of a fetch that had none.
func (m *Manager) endTransient(s *session) {
	for _, sp := range s.dirty {
		s.forget(sp)
		s.free = append(s.free, sp)
	}
	clear(s.dirty)
	s.dirty, s.parked = s.dirty[:0], nil
	if len(m.sessions.spare) < spareRequestsMax && len(s.free) <= sparePartsMax {
		m.sessions.spare = append(m.sessions.spare, s)
	}
}

// nextEpoch follows 2^31-1 by 1: 0 asks for a new session.
func nextEpoch(epoch int32) int32 {
	if epoch == math.MaxInt32 {
		return 1
	}
	return epoch + 1
}
