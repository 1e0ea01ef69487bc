package partition

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pendingKind says which way the ISR is to change.
type pendingKind uint8

const (
	unchanged pendingKind = iota
	expanding
	shrinking
)

// pendingISR is a change of the ISR that the controller has not yet recorded.
//
// queued -> sent -> committed (the reply or a newer image says so), or refused
// (the committed ISR stands), or unknown: the controller will not say more, and
// what it has recorded comes with the next image. Until then the maximal ISR
// counts.
type pendingISR struct {
	kind  pendingKind
	state pendingState
	isr   []int32 // the whole proposed set
}

type pendingState uint8

const (
	pendingQueued pendingState = iota
	pendingSent
	pendingUnknown
)

const (
	// alterBatchMax bounds the partitions in one AlterPartition request.
	alterBatchMax = 1000
	// alterBackoff is Kafka's own delay before AlterPartition is sent again.
	alterBackoff = 50 * time.Millisecond
	alterVersion = 3 // the ISR with broker epochs (KIP-903)
)

// alterQueue sends AlterPartition: one request in flight, with all that is queued.
type alterQueue struct {
	dirty      bool // some partition's change is queued
	inFlight   bool
	generation uint32
	sent       []sentAlter
}

// sentAlter is one partition of the request in flight, with the epochs that it
// was sent for.
type sentAlter struct {
	p              *Partition
	leaderEpoch    int32
	partitionEpoch int32
}

// maybeExpand proposes a follower that has caught up for the ISR.
func (m *Manager) maybeExpand(c *step.Context, p *Partition, f *follower) {
	if p.pending.kind != unchanged || slices.Contains(p.isr, f.id) || !m.holdsAll(p, f) || !m.eligible(f) {
		return
	}
	p.pending.isr = append(append(p.pending.isr[:0], p.isr...), f.id)
	p.pending.kind = expanding
	m.isrChanges.Expands++
	m.propose(p)
}

// expandEligible tries every follower whose fetches still come but leave the
// partition out, since nothing in it changes: what kept it out of the ISR may
// have changed with the image.
func (m *Manager) expandEligible(c *step.Context, p *Partition) {
	lag := clock.Span(m.cfg.ReplicaLagTimeMaxMillis, time.Millisecond)
	for i := range p.followers {
		f := &p.followers[i]
		if f.session != nil && c.Now.Sub(f.session.lastUsed) <= lag && f.endOffset == p.log.EndOffset() {
			m.maybeExpand(c, p, f)
		}
	}
}

// holdsAll says that a follower has all that may be committed: up to the high
// watermark, which in a new leader may lag the truth, and therefore also up to
// where the epoch began (KAFKA-7128).
func (m *Manager) holdsAll(p *Partition, f *follower) bool {
	return f.endOffset >= p.log.HighWatermark() && (f.endOffset >= p.epochStart || m.cfg.Bugs.Has(bugs.JoinAtHighWatermark))
}

// eligible says that the controller would accept a follower: neither fenced nor
// shutting down (KIP-841), and in the incarnation that fetched (KIP-903), so
// that a broker that lost its tail in a crash cannot return on the strength of
// a fetch from before.
func (m *Manager) eligible(f *follower) bool {
	b := m.image.Broker(f.id)
	return b != nil && !b.Fenced && !b.InControlledShutdown && (b.Epoch == f.brokerEpoch || m.cfg.Bugs.Has(bugs.IgnoreBrokerEpoch))
}

// maybeShrink proposes an ISR without those that have not been caught up for
// replica.lag.time.max.ms.
func (m *Manager) maybeShrink(c *step.Context, p *Partition) {
	if p.role != Leader {
		return
	}
	if p.pending.kind == unchanged {
		isr := p.pending.isr[:0]
		for _, id := range p.isr {
			f := p.follower(id)
			if f == nil || m.isCaughtUp(c.Now, p, f) {
				isr = append(isr, id)
			}
		}
		p.pending.isr = isr
		if len(isr) < len(p.isr) {
			p.pending.kind = shrinking
			m.isrChanges.Shrinks++
			m.propose(p)
			if m.cfg.Bugs.Has(bugs.ShrinkBeforeCommitted) {
				p.isr = append(p.isr[:0], isr...)
			}
		}
	}
	// Replicas outside the ISR that no longer keep up do not hold the high
	// watermark back any longer.
	m.advance(c, p)
}

func (m *Manager) propose(p *Partition) {
	p.pending.state = pendingQueued
	m.alter.dirty = true
	m.touch(p)
}

// sendAlter sends all that is queued, unless a request is in flight or its
// retry is being delayed.
func (m *Manager) sendAlter(c *step.Context) {
	if m.alter.inFlight {
		return
	}
	if _, waiting := c.Timers.Pending(alterTimer); waiting {
		return
	}
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = alterVersion
	req.BrokerID, req.BrokerEpoch = m.brokerID, m.brokerEpoch
	m.alter.sent, m.alter.dirty = m.alter.sent[:0], false
	for _, p := range m.partitions {
		if p.role != Leader || p.pending.kind == unchanged || p.pending.state != pendingQueued {
			continue
		}
		if len(m.alter.sent) == alterBatchMax {
			m.alter.dirty = true
			break
		}
		p.pending.state = pendingSent
		m.alter.sent = append(m.alter.sent, sentAlter{p, p.leaderEpoch, p.partitionEpoch})
		m.addAlter(req, p)
	}
	if len(m.alter.sent) == 0 {
		return
	}
	m.alter.inFlight = true
	m.alter.generation++
	token := edge.Token{Owner: step.OwnerPartition, Kind: tokenAlter, A: m.alter.generation}
	call := caller.EncodeCall(caller.ActiveController, caller.ChannelControl, req, token)
	call.Timeout = time.Duration(m.cfg.ControllerSocketTimeoutMillis) * time.Millisecond
	m.sender.Send(c, call)
}

var alterTimer = timer.ID{Owner: step.OwnerPartition, Kind: timerAlter}

// addAlter adds a partition's proposal, the broker epoch of each member beside
// it: the one whose fetch was seen, or -1 for members that have not fetched in
// this term and whose membership is not new.
func (m *Manager) addAlter(req *kmsg.AlterPartitionRequest, p *Partition) {
	n := len(req.Topics)
	if n == 0 || req.Topics[n-1].TopicID != p.id {
		t := kmsg.NewAlterPartitionRequestTopic()
		t.TopicID = p.id
		req.Topics = append(req.Topics, t)
		n++
	}
	rp := kmsg.NewAlterPartitionRequestTopicPartition()
	rp.Partition, rp.LeaderEpoch, rp.PartitionEpoch = p.key.Index, p.leaderEpoch, p.partitionEpoch
	// A leader that was elected uncleanly has nothing left to recover once it
	// leads (KIP-704): LeaderRecoveryState stays 0, recovered.
	for _, id := range p.pending.isr {
		member := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		member.BrokerID, member.BrokerEpoch = id, -1
		if f := p.follower(id); f != nil && !m.cfg.Bugs.Has(bugs.IgnoreBrokerEpoch) {
			member.BrokerEpoch = f.brokerEpoch
		} else if id == m.brokerID {
			member.BrokerEpoch = m.brokerEpoch
		}
		rp.NewEpochISR = append(rp.NewEpochISR, member)
	}
	t := &req.Topics[n-1]
	t.Partitions = append(t.Partitions, rp)
}

// alterReply handles the controller's answer, or that there was none.
func (m *Manager) alterReply(c *step.Context, r *caller.Reply) {
	if r.Token.A != m.alter.generation || !m.alter.inFlight {
		return
	}
	m.alter.inFlight = false
	resp := kmsg.NewPtrAlterPartitionResponse()
	resp.Version = r.Version
	if r.Status != caller.OK || resp.ReadFrom(r.Body) != nil || resp.ErrorCode != 0 {
		// No controller, an old broker epoch and the like: the same again later.
		if r.Status == caller.OK {
			c.Logf(edge.Warn, "AlterPartition was refused with error code %d; it will be sent again", resp.ErrorCode)
		}
		m.alterAgain(c)
		return
	}
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			m.alterDecided(c, t.TopidID, &t.Partitions[j])
		}
	}
	// What the controller did not answer is asked again.
	m.requeueSent()
}

func (m *Manager) alterAgain(c *step.Context) {
	if m.requeueSent() {
		c.Timers.Set(alterTimer, c.Now.Add(alterBackoff))
	}
}

// requeueSent queues what is still undecided.
func (m *Manager) requeueSent() bool {
	found := false
	for i := range m.alter.sent {
		s := &m.alter.sent[i]
		if s.current() {
			s.p.pending.state = pendingQueued
			m.alter.dirty, found = true, true
		}
		s.p = nil
	}
	m.alter.sent = m.alter.sent[:0]
	return found
}

// current says that the proposal is still the partition's: no image and no
// election has overtaken it.
func (s *sentAlter) current() bool {
	return s.p.role == Leader && s.p.pending.kind != unchanged && s.p.pending.state == pendingSent &&
		s.p.leaderEpoch == s.leaderEpoch && s.p.partitionEpoch == s.partitionEpoch
}

// alterDecided handles one partition's result.
func (m *Manager) alterDecided(c *step.Context, id [16]byte, r *kmsg.AlterPartitionResponseTopicPartition) {
	var p *Partition
	for i := range m.alter.sent {
		s := &m.alter.sent[i]
		if s.p.id == id && s.p.key.Index == r.Partition && s.current() {
			p = s.p
		}
	}
	if p == nil {
		return
	}
	m.touch(p)
	switch r.ErrorCode {
	case 0:
		m.alterCommitted(c, p, r)
	case errOperationNotAttempted, errIneligibleReplica:
		// Nothing was recorded, and the same would be refused again: an
		// ineligible replica becomes eligible with an image.
		p.pending = pendingISR{isr: p.pending.isr[:0]}
		m.advance(c, p)
	case errUnknownTopicOrPartition, errUnknownTopicID, errFencedLeaderEpoch, errInvalidUpdateVersion,
		errInvalidRequest, errNewLeaderElected, errNotLeaderOrFollower:
		// The controller is ahead of us, perhaps by a request of our own whose
		// answer was lost. Its image will tell; until then the proposal may be
		// in force, and counts.
		p.pending.state = pendingUnknown
	default:
		p.pending.state = pendingQueued
		m.alter.dirty = true
		c.Timers.Set(alterTimer, c.Now.Add(alterBackoff))
	}
}

// alterCommitted takes over what the controller recorded, unless an image was
// faster.
func (m *Manager) alterCommitted(c *step.Context, p *Partition, r *kmsg.AlterPartitionResponseTopicPartition) {
	if r.LeaderEpoch != p.leaderEpoch || r.PartitionEpoch < p.partitionEpoch {
		p.pending.state = pendingUnknown
		return
	}
	p.isr = append(p.isr[:0], r.ISR...)
	p.partitionEpoch = r.PartitionEpoch
	p.pending = pendingISR{isr: p.pending.isr[:0]}
	p.wakeMark(m)
	m.advance(c, p)
	m.expandEligible(c, p)
}
