package invariant

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
)

// ledgerKey outlives a topic's name: a recreated topic has a new id (KIP-516).
type ledgerKey struct {
	id    meta.TopicID
	index int32
}

// ledger is all that is remembered of one partition.
type ledger struct {
	key     log.Partition
	id      meta.TopicID
	minISR  int
	unclean bool // unclean election is configured
	gone    bool // the topic is deleted

	reg     *meta.Partition // newest committed registration; nil: none
	leaders [leadersKept]epochLeader

	committed int64 // the committed end
	floor     int32 // leader epochs below it ended in an unclean election
	resets    int   // of the committed end
	replicas  []replica
	batches   []seenBatch // by a hash of the base offset; made with the first write
}

const leadersKept = 8

// epochLeader is who leads at a leader epoch; at is epoch+1, so that 0 is none.
type epochLeader struct {
	at     int32
	leader int32
}

// replica is what is remembered of one broker's replica.
type replica struct {
	life    uint32 // of the node when it was last seen; 0: never
	removed bool   // the broker gave it up: a topic deleted, a replica moved
	view    view
	// peak is the highest log end that this replica has had and has not itself
	// truncated; a crash leaves it as it is. It is what a leader may have been
	// told, by fetches that are still on their way.
	peak        int64
	peakFlushed int64
	// highest is the highest log end that it has ever had: with acks=1 that is
	// what it may have acknowledged.
	highest        int64
	highestFlushed int64
}

// view is a replica as it is after a step.
type view struct {
	role           partition.Role
	leader         int32
	leaderEpoch    int32
	partitionEpoch int32
	latestEpoch    int32 // the newest in the log's epoch cache
	isrSize        int
	replicaCount   int
	usable         bool
	start, hw, end int64
	appendEnd      int64
	flushed        int64
	maximalISR     []int32 // the partition's own; valid during the step
}

func look(p *partition.Partition) view {
	l := p.Log()
	return view{
		role: p.Role(), leader: p.LeaderID(), leaderEpoch: p.LeaderEpoch(), partitionEpoch: p.PartitionEpoch(),
		latestEpoch: l.LatestEpoch(), isrSize: len(p.ISR()), replicaCount: len(p.Replicas()), usable: l.Usable(),
		start: l.StartOffset(), hw: l.HighWatermark(), end: l.EndOffset(), appendEnd: l.AppendEnd(),
		flushed: l.FlushedOffset(), maximalISR: p.MaximalISR(),
	}
}

// topicLedgers are those of the topic that has a name now, by partition. There
// are few topics, and what is asked for most often is one of them: looking
// through their names costs less than hashing one.
type topicLedgers struct {
	name       string
	partitions []*ledger
}

// named returns the ledger of the partition that has the name, or nil.
func (c *Checker) named(topic string, index int32) *ledger {
	for i := range c.byName {
		if t := &c.byName[i]; t.name == topic && int(index) < len(t.partitions) {
			return t.partitions[index]
		}
	}
	return nil
}

// setNamed gives a name to a ledger, or to none.
func (c *Checker) setNamed(key log.Partition, l *ledger) {
	at := slices.IndexFunc(c.byName, func(t topicLedgers) bool { return t.name == key.Topic })
	if at < 0 {
		at = len(c.byName)
		c.byName = append(c.byName, topicLedgers{name: key.Topic})
	}
	t := &c.byName[at]
	for int(key.Index) >= len(t.partitions) {
		t.partitions = append(t.partitions, nil)
	}
	t.partitions[key.Index] = l
}

// server returns a node's place by its id; -1 for one that is not watched.
func (c *Checker) server(id int32) int32 {
	if int(uint32(id)) >= len(c.byID) {
		return -1
	}
	return c.byID[id]
}

func (c *Checker) ledger(key log.Partition, id meta.TopicID) *ledger {
	if l := c.named(key.Topic, key.Index); l != nil && l.id == id {
		return l
	}
	k := ledgerKey{id, key.Index}
	if l := c.byTopic[k]; l != nil {
		return l
	}
	l := &ledger{key: key, id: id, minISR: 1, replicas: make([]replica, len(c.nodes))}
	if c.cfg.MinInsyncReplicas != nil {
		l.minISR = c.cfg.MinInsyncReplicas(key.Topic)
	}
	if c.cfg.UncleanElection != nil {
		l.unclean = c.cfg.UncleanElection(key.Topic)
	}
	c.byTopic[k] = l
	c.setNamed(key, l)
	c.ledgers = append(c.ledgers, l)
	return l
}

func (c *Checker) brokerStepped(s int32, process *broker.Node, e *edge.Effects) {
	n := &c.nodes[s]
	if image := process.Image(); image != n.image {
		c.brokerImage(n, image)
	}
	m := process.Partitions()
	if m == nil {
		return
	}
	if len(e.Disk) > 0 {
		c.wrote(n, process.Logs(), e)
	}
	c.touched = m.TakeTouched(c.touched[:0])
	for _, p := range c.touched {
		c.look(s, m, p)
		if c.cfg.Touched != nil {
			c.cfg.Touched(n.Host, p)
		}
	}
}

// look checks one replica of a broker.
func (c *Checker) look(s int32, m *partition.Manager, p *partition.Partition) {
	l := c.ledger(p.Key(), p.TopicID())
	if p.Role() == partition.Offline && m.Get(p.Key()) != p { // what is removed stays Offline
		// An acknowledgement of what it held may still be on its way.
		r := &l.replicas[s]
		*r = replica{removed: true, highest: r.highest, highestFlushed: r.highestFlushed}
		return
	}
	v := look(p)
	c.observe(l, s, &v)
}

// observe checks a replica as it is now against all that is remembered.
func (c *Checker) observe(l *ledger, s int32, v *view) {
	c.checks++
	n, r := &c.nodes[s], &l.replicas[s]
	known := r.life == n.life
	inTerm := known && r.view.role == partition.Leader && v.role == partition.Leader && r.view.leaderEpoch == v.leaderEpoch
	if inTerm {
		c.termMonotone(l, n, &r.view, v)
	}
	if known {
		c.replicaEpochsRise(l, n, &r.view, v)
	}
	c.offsetOrder(l, n, v)
	raised := inTerm && v.hw > r.view.hw
	r.see(v, known, n.life)
	if v.role == partition.Leader {
		c.leads(l, s, v, raised)
	}
	c.memberHolds(l, s)
}

// see remembers a view.
func (r *replica) see(v *view, known bool, life uint32) {
	if known && v.end < r.view.end {
		r.peak = v.end
	}
	if known && v.flushed < r.view.flushed {
		r.peakFlushed = v.flushed
	}
	r.peak, r.peakFlushed = max(r.peak, v.end), max(r.peakFlushed, v.flushed)
	r.highest, r.highestFlushed = max(r.highest, v.end), max(r.highestFlushed, v.flushed)
	r.view, r.life, r.removed = *v, life, false
	r.view.maximalISR = nil
}

// termMonotone: within one leader's term the high watermark never falls (it is
// what consumers have been shown), and the leader never truncates. Followers'
// high watermarks and logs may fall: they follow. A truncation that was under way
// at the election ends first.
func (c *Checker) termMonotone(l *ledger, n *nodeState, old, v *view) {
	if v.hw < old.hw {
		c.violated(ruleHighWatermarkFalls, l, "leader %s at leader epoch %d: the high watermark falls from %d to %d",
			n.Name, v.leaderEpoch, old.hw, v.hw)
	}
	if v.end < old.end && old.usable {
		c.violated(ruleLeaderEndFalls, l, "leader %s at leader epoch %d: the log end falls from %d to %d",
			n.Name, v.leaderEpoch, old.end, v.end)
	}
}

// replicaEpochsRise: within a life, a replica never returns to an older leader
// or partition epoch, whatever order metadata and replies come in. A new life
// may begin with metadata older than the last one knew.
func (c *Checker) replicaEpochsRise(l *ledger, n *nodeState, old, v *view) {
	if v.leaderEpoch < old.leaderEpoch || v.partitionEpoch < old.partitionEpoch {
		c.violated(ruleReplicaEpochs, l, "replica %s goes from leader epoch %d, partition epoch %d back to %d, %d",
			n.Name, old.leaderEpoch, old.partitionEpoch, v.leaderEpoch, v.partitionEpoch)
	}
}

// offsetOrder: log start <= high watermark <= log end <= what is being written,
// and no more is synced than is written. It holds for every role, always.
func (c *Checker) offsetOrder(l *ledger, n *nodeState, v *view) {
	if v.start > v.hw || v.hw > v.end || v.end > v.appendEnd || v.flushed > v.end {
		c.violated(ruleOffsetOrder, l, "%s %s: log start %d, high watermark %d, log end %d, append end %d, flushed %d",
			v.role, n.Name, v.start, v.hw, v.end, v.appendEnd, v.flushed)
	}
}

// leads checks a leader and takes its high watermark for the committed end.
func (c *Checker) leads(l *ledger, s int32, v *view, raised bool) {
	n := &c.nodes[s]
	if c.quorumVoid || !n.acts {
		return
	}
	c.ledLeader(l, v.leaderEpoch, n.ID, n.Name)
	c.epochRecorded(l, n, v)
	if v.leaderEpoch < l.floor {
		return // deposed by an unclean election: what it commits is lost
	}
	c.belowISREnds(l, n, v)
	if raised {
		c.underMinISR(l, n, v)
	}
	if v.hw > l.committed && !n.corrupted {
		l.committed = v.hw
		c.membersHold(l)
	}
	c.leaderHolds(l, n, v)
}

// ledLeader: a leader epoch of a partition has one leader, be it nobody. A
// broker may claim one before the checker has seen the registration only if
// nobody else ever does.
func (c *Checker) ledLeader(l *ledger, epoch, leader int32, who string) {
	if epoch < 0 {
		return
	}
	e := &l.leaders[epoch%leadersKept]
	switch {
	case e.at < epoch+1:
		*e = epochLeader{epoch + 1, leader}
	case e.at == epoch+1 && e.leader != leader:
		c.violated(ruleOneLeader, l, "%s says that broker %d leads at leader epoch %d, which was broker %d's", who, leader, epoch, e.leader)
	}
}

// epochRecorded: a leader's log knows its leader epoch before anything is
// written in it, or a follower could not tell where logs diverge (KIP-101). While
// the log is being truncated it is still to come.
func (c *Checker) epochRecorded(l *ledger, n *nodeState, v *view) {
	if v.usable && v.latestEpoch != v.leaderEpoch {
		c.violated(ruleEpochRecorded, l, "leader %s at leader epoch %d: the newest epoch in its log is %d", n.Name, v.leaderEpoch, v.latestEpoch)
	}
}

// belowISREnds: a leader's high watermark is at most the log end of every member
// of its maximal ISR (KIP-497), and with FlushBeforeAck at most what each has
// synced. Each member counts with its peak, as what it has told may still be on
// its way when it crashes; whether it is still entitled to be in the ISR then is
// memberHolds' matter. It holds for a deposed leader that does not know it yet,
// too: its ISR contains whoever was elected, and who was elected had fetched
// what it counts before the election.
func (c *Checker) belowISREnds(l *ledger, n *nodeState, v *view) {
	for _, id := range v.maximalISR {
		s := c.server(id)
		if s < 0 {
			continue
		}
		r := &l.replicas[s]
		if r.removed {
			continue
		}
		if v.hw > r.peak {
			c.violated(ruleBelowISREnds, l, "leader %s at leader epoch %d: high watermark %d, but in-sync replica %s has never held more than %d",
				n.Name, v.leaderEpoch, v.hw, c.nodes[s].Name, r.peak)
		}
		if c.cfg.FlushBeforeAck && v.hw > r.peakFlushed && v.hw > v.start {
			c.violated(ruleStable, l, "leader %s at leader epoch %d: high watermark %d, but in-sync replica %s has never synced more than %d",
				n.Name, v.leaderEpoch, v.hw, c.nodes[s].Name, r.peakFlushed)
		}
	}
}

// underMinISR: the high watermark does not rise while fewer than
// min.insync.replicas replicas are in sync (KAFKA-15583); eligible leader
// replicas are eligible only because of it (KIP-966). It concerns acks=1 as well.
func (c *Checker) underMinISR(l *ledger, n *nodeState, v *view) {
	if v.isrSize < min(l.minISR, v.replicaCount) {
		c.violated(ruleUnderMinISR, l, "leader %s at leader epoch %d raises the high watermark to %d with %d in sync, min.insync.replicas is %d",
			n.Name, v.leaderEpoch, v.hw, v.isrSize, l.minISR)
	}
}

// leaderHolds: the leader of the newest leader epoch has a log that reaches the
// committed end. A deposed leader need not. After an unclean election the
// committed end starts anew.
func (c *Checker) leaderHolds(l *ledger, n *nodeState, v *view) {
	if l.reg == nil || n.corrupted || l.reg.Leader != n.ID || l.reg.LeaderEpoch != v.leaderEpoch {
		return
	}
	if v.end < l.committed {
		c.violated(ruleLeaderHolds, l, "leader %s at leader epoch %d: its log ends at %d, committed is %d", n.Name, v.leaderEpoch, v.end, l.committed)
	}
}

// memberHolds: whoever the controller counts as in sync, and acts, holds all
// that is committed, since any of them may be elected next. This is also "nothing
// is truncated below the committed end" and "the committed end never falls". A
// replica that lost its tail in a crash acts again only after its registration,
// which takes it out of the ISR in the same record (KIP-966); it is back in when
// it has fetched what it lacks, in this life (KIP-903).
func (c *Checker) memberHolds(l *ledger, s int32) {
	n, r := &c.nodes[s], &l.replicas[s]
	if l.reg == nil || c.quorumVoid || !n.acts || n.corrupted || r.life != n.life || r.view.leaderEpoch < l.floor ||
		r.view.end >= l.committed || !slices.Contains(l.reg.ISR, n.ID) {
		return
	}
	c.violated(ruleMemberHolds, l, "%s %s is in the ISR %v of partition epoch %d: its log ends at %d, committed is %d",
		r.view.role, n.Name, l.reg.ISR, l.reg.PartitionEpoch, r.view.end, l.committed)
}

// membersHold checks all members of the ISR, after it or the committed end has
// changed.
func (c *Checker) membersHold(l *ledger) {
	if l.reg == nil {
		return
	}
	for _, id := range l.reg.ISR {
		if s := c.server(id); s >= 0 {
			c.memberHolds(l, s)
		}
	}
}
