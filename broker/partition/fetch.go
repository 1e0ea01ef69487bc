package partition

import (
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Fetch is one fetch request of a consumer or a follower. The first part is the
// request, as broker/api decoded it; the second is the answer.
type Fetch struct {
	Request       conn.RequestID
	Session       *security.Session // who asks
	Version       int16
	ReplicaID     int32 // a follower's broker id; -1 for consumers
	ReplicaEpoch  int64 // its broker epoch (KIP-903); -1 if unknown
	MaxWaitMillis int32
	MinBytes      int32
	MaxBytes      int32
	ReadCommitted bool
	SessionID     int32
	SessionEpoch  int32
	Rack          string // of the consumer (KIP-392)
	Asks          []FetchAsk
	Forgotten     []FetchForgotten

	ErrorCode    int16 // of the whole request; then there are no results
	OutSessionID int32 // 0: no session
	Results      []FetchResult
	Records      []edge.Slice // whole batches of all results

	session   *session
	expect    int32 // session epoch, unless another fetch comes between
	full      bool  // every partition is in the response
	bytes     int
	reached   int  // what min.bytes is compared with
	immediate bool // something that must not wait: an error, a truncation, a redirection
	loading   bool // a cold read is under way
	deadline  clock.Instant
	slot      uint32 // in fetchTable while parked
	woken     bool
}

// FetchAsk is one partition that is new in a request or has changed.
type FetchAsk struct {
	Topic            string       // up to version 12
	TopicID          meta.TopicID // from version 13
	Partition        int32
	LeaderEpoch      int32 // current_leader_epoch; -1: unknown (KIP-320)
	LastFetchedEpoch int32 // -1: none (KIP-595)
	Offset           int64
	LogStartOffset   int64 // a follower's
	MaxBytes         int32
}

// FetchForgotten is a partition that leaves a session.
type FetchForgotten struct {
	Topic     string
	TopicID   meta.TopicID
	Partition int32
}

// FetchResult is one partition of an answer.
type FetchResult struct {
	Topic            string
	TopicID          meta.TopicID
	Partition        int32
	ErrorCode        int16
	HighWatermark    int64 // -1 on an error, as the two below
	LastStableOffset int64
	LogStartOffset   int64
	DivergingEpoch   int32 // -1: the follower's log does not diverge
	DivergingEnd     int64
	LeaderID         int32 // whom to ask instead (KIP-951); -1
	LeaderEpoch      int32
	PreferredReplica int32 // whom to fetch from (KIP-392); -1
	From, To         int   // the batches' place in Fetch.Records
	Bytes            int

	part *sessionPart
	more bool // there is more to read than was taken
}

// look examines one partition of a fetch and appends what may be read of it.
func (m *Manager) look(c *step.Context, f *Fetch, sp *sessionPart) FetchResult {
	r := FetchResult{Topic: sp.topic, TopicID: sp.key.id, Partition: sp.key.index, DivergingEpoch: -1, DivergingEnd: -1,
		HighWatermark: -1, LastStableOffset: -1, LogStartOffset: -1, LeaderID: -1, LeaderEpoch: -1, PreferredReplica: -1,
		From: len(f.Records), To: len(f.Records), part: sp}
	p := sp.p
	if r.ErrorCode = m.fetchCheck(f, sp); r.ErrorCode != errNone {
		m.hintFetch(&r)
		return r
	}
	// One reading of each bound serves all that follows (KAFKA-9807): what is
	// returned lies below the bound that is reported.
	mark, start, end := p.log.HighWatermark(), p.log.StartOffset(), p.log.EndOffset()
	r.HighWatermark, r.LastStableOffset, r.LogStartOffset = mark, min(mark, p.lastStableOffset()), start
	if m.diverges(sp, &r) {
		return r
	}
	if f.ReplicaID < 0 {
		if r.PreferredReplica = m.preferredReplica(p, f, sp.offset); r.PreferredReplica >= 0 {
			return r
		}
	}
	if sp.offset < start || sp.offset > end {
		r.ErrorCode, r.HighWatermark, r.LastStableOffset, r.LogStartOffset = errOffsetOutOfRange, -1, -1, -1
		return r
	}
	if f.ReplicaID >= 0 && sp.positionUnread {
		// Only a fetch that passed every check says what the follower holds.
		sp.positionUnread = false
		m.replicaFetched(c, p, p.follower(f.ReplicaID), replicaPosition{
			fetchOffset: sp.offset, startOffset: sp.followerStart, brokerEpoch: f.ReplicaEpoch, session: followerSession(f)})
	}
	m.read(c, f, sp, &r, readLimit(f, end, &r))
	return r
}

// followerSession is the session that speaks for a follower while its partitions
// do not change; a fetch without one always names them all.
func followerSession(f *Fetch) *session {
	if f.session.parts == nil {
		return nil
	}
	return f.session
}

// readLimit is the offset that a fetch may read up to: consumers see what is
// committed, followers all that is written.
func readLimit(f *Fetch, end int64, r *FetchResult) int64 {
	switch {
	case f.ReplicaID >= 0:
		return end
	case f.ReadCommitted:
		return r.LastStableOffset
	}
	return r.HighWatermark
}

// read takes batches below the limit, as far as the response has room. The first
// batch of a response is returned whole, however large (KIP-74).
func (m *Manager) read(c *step.Context, f *Fetch, sp *sessionPart, r *FetchResult, limit int64) {
	if sp.offset >= limit {
		return
	}
	room := min(int(f.MaxBytes)-f.bytes, int(sp.maxBytes))
	if room <= 0 && f.bytes > 0 {
		r.more = true
		return
	}
	got := sp.p.log.Read(c, sp.offset, max(room, 0), limit, f.bytes == 0, f.Records)
	switch {
	case got.Err != nil:
		r.ErrorCode = readError(got.Err)
	case got.Loading:
		f.loading, r.more = true, true
	default:
		f.Records = got.Slices
		r.To, r.Bytes, r.more = len(got.Slices), got.Bytes, true
		f.bytes += got.Bytes
		f.reached += got.Bytes
		if got.Full {
			// As much as the client wants of it is there, though batches are not
			// cut in order to return exactly that.
			f.reached += max(room-got.Bytes, 0)
		}
	}
}

// fetchCheck decides whether the fetcher may read the partition here at all.
func (m *Manager) fetchCheck(f *Fetch, sp *sessionPart) int16 {
	if !m.admitsFetch(f, sp.topic) {
		return errTopicAuthorizationFailed
	}
	p := sp.p
	if p == nil {
		if f.session.byID && sp.topic == "" {
			return errUnknownTopicID
		}
		return m.absent(sp.topic, sp.key.index)
	}
	if code := p.checkEpoch(sp.leaderEpoch); code != errNone {
		return code
	}
	// Consumers that know about racks may read from any replica (KIP-392).
	leaderOnly := f.ReplicaID >= 0 || f.Version < 11
	if p.role != Leader && leaderOnly {
		return errNotLeaderOrFollower
	}
	if !p.log.Usable() {
		return errNotLeaderOrFollower // being truncated: again in a moment
	}
	if f.ReplicaID >= 0 {
		return m.checkReplica(p, f)
	}
	return errNone
}

// admitsFetch asks the gate, with every look and of whoever asks now: an incremental
// session outlives an ACL, and its id may be guessed by others. To say that one
// is a follower takes the right to act for the cluster, since what a follower
// asks for counts as replicated (CVE-2018-1288). Of an id that nobody knows
// there is nothing to hide.
func (m *Manager) admitsFetch(f *Fetch, topic string) bool {
	switch {
	case m.gate == nil || topic == "":
		return true
	case f.ReplicaID >= 0:
		return m.gate.MayCluster(f.Session, acl.ClusterAction)
	}
	return m.gate.May(f.Session, acl.Read, acl.Topic, topic)
}

// checkEpoch fences those who follow an older leader, and asks those who know of
// a newer one to wait (KIP-320). -1 is a client that does not know.
func (p *Partition) checkEpoch(asked int32) int16 {
	switch {
	case asked == -1 || asked == p.leaderEpoch:
		return errNone
	case asked < p.leaderEpoch:
		return errFencedLeaderEpoch
	}
	return errUnknownLeaderEpoch
}

// checkReplica accepts a follower's fetch only from a registered broker, in its
// present incarnation, to which the partition is assigned: the fetch offset
// counts as replication (CVE-2018-1288, KIP-903).
func (m *Manager) checkReplica(p *Partition, f *Fetch) int16 {
	b := m.image.Broker(f.ReplicaID)
	if b == nil || b.Epoch != f.ReplicaEpoch {
		return errNotLeaderOrFollower
	}
	if p.follower(f.ReplicaID) == nil {
		// Assigned by an image that has not come here yet.
		return errUnknownLeaderEpoch
	}
	return errNone
}

// diverges compares the fetcher's last epoch with this log: where it ends here
// earlier than there, the fetcher must truncate (KIP-595). The answer is the
// largest epoch not above the one asked, with its end (KIP-279).
func (m *Manager) diverges(sp *sessionPart, r *FetchResult) bool {
	if sp.lastEpoch < 0 {
		return false
	}
	epoch, end := sp.p.log.EndOffsetForEpoch(sp.lastEpoch)
	if epoch < 0 || end < 0 {
		// Nothing here is as old as that.
		r.ErrorCode, r.HighWatermark, r.LastStableOffset, r.LogStartOffset = errOffsetOutOfRange, -1, -1, -1
		return true
	}
	if epoch < sp.lastEpoch || end < sp.offset {
		r.DivergingEpoch, r.DivergingEnd = epoch, end
		return true
	}
	return false
}

// hintFetch names the leader to those who asked the wrong broker.
func (m *Manager) hintFetch(r *FetchResult) {
	if r.ErrorCode == errNotLeaderOrFollower || r.ErrorCode == errFencedLeaderEpoch {
		r.LeaderID, r.LeaderEpoch = m.hint(r.Topic, r.Partition)
	}
}

// preferredReplica is Kafka's RackAwareReplicaSelector: of the replicas in the
// consumer's rack that have the offset, the leader or else the one that has
// most. Only those in the ISR and not fenced are offered (KAFKA-14372). -1 says
// to read here.
func (m *Manager) preferredReplica(p *Partition, f *Fetch, offset int64) int32 {
	if p.role != Leader || f.Rack == "" || f.Version < 11 || m.cfg.ReplicaSelector != config.SelectRackAware {
		return -1
	}
	if own := m.image.Broker(m.brokerID); own != nil && own.Rack == f.Rack {
		return -1
	}
	best, bestEnd := int32(-1), int64(-1)
	for i := range p.followers {
		r := &p.followers[i]
		b := m.image.Broker(r.id)
		if b == nil || b.Fenced || b.Rack != f.Rack || !p.inISR(r.id) {
			continue
		}
		if r.endOffset < offset || r.startOffset > offset {
			continue
		}
		if r.endOffset > bestEnd || r.endOffset == bestEnd && r.id < best {
			best, bestEnd = r.id, r.endOffset
		}
	}
	return best
}
