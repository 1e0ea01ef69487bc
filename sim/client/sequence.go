package client

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producerIdentity is the idempotent producer's id and epoch.
//
//	none --InitProducerId--> known --gap in a partition--> known, next epoch
//	known --epochs exhausted--> none
//
// The epoch of a producer without a transactional id is bumped without asking
// anybody, as the Java client's TransactionManager does (KIP-360).
type producerIdentity struct {
	id         int64
	epoch      int16
	asking     bool
	attempts   int32
	bump       bool    // a partition asks for another epoch
	rewrite    []int32 // those that do
	unresolved int     // partitions with an unresolved sequence
}

// sequences are one partition's.
type sequences struct {
	id         int64 // under which the sequences below were given out
	epoch      int16
	next       int32
	lastAcked  int32 // sequence; -1 is none
	lastOffset int64
	inflight   []*batch // sent or waiting to be sent again, by sequence
	unresolved int32    // the sequence behind a batch that was given up; -1 is none
}

func newSequences() sequences {
	return sequences{id: record.EmptyProducerID, epoch: record.EmptyProducerEpoch, lastAcked: noSequence, lastOffset: -1, unresolved: noSequence}
}

func (s *sequences) isNext(sequence int32) bool {
	return s.lastAcked == noSequence && sequence == 0 || s.lastAcked != noSequence && record.InSequence(s.lastAcked, sequence)
}

func (s *sequences) acked(b *batch, baseOffset int64) {
	if last := b.lastSequence(); last > s.lastAcked {
		s.lastAcked = last
	}
	if baseOffset >= 0 {
		s.lastOffset = max(s.lastOffset, baseOffset+int64(b.view.Count)-1)
	}
	s.remove(b)
}

func (s *sequences) remove(b *batch) {
	for i := range s.inflight {
		if s.inflight[i] == b {
			s.inflight = append(s.inflight[:i], s.inflight[i+1:]...)
			return
		}
	}
}

func (s *sequences) add(b *batch) {
	at := len(s.inflight)
	for at > 0 && s.inflight[at-1].view.Sequence > b.view.Sequence {
		at--
	}
	s.inflight = append(s.inflight, nil)
	copy(s.inflight[at+1:], s.inflight[at:])
	s.inflight[at] = b
}

// fromZero begins the partition's sequences anew, those of batches in flight
// included.
func (s *sequences) fromZero(id int64, epoch int16) {
	s.id, s.epoch, s.next, s.lastAcked = id, epoch, 0, noSequence
	for _, b := range s.inflight {
		b.view.ProducerID, b.view.Epoch, b.view.Sequence = id, epoch, s.next
		b.stale, b.sequenceReset = true, true
		s.next = record.IncrementSequence(s.next, b.view.Count)
	}
}

// assign gives a batch that is about to be sent first its sequence.
func (p *Producer) assign(q *partitionQueue, b *batch) {
	if b.hasSequence() {
		return
	}
	i := &p.identity
	if (q.id != i.id || q.epoch != i.epoch) && len(q.inflight) == 0 {
		q.fromZero(i.id, i.epoch)
	}
	b.view.ProducerID, b.view.Epoch, b.view.Sequence = q.id, q.epoch, q.next
	q.next = record.IncrementSequence(q.next, b.view.Count)
	q.add(b)
}

// held tells whether the order of sequences forbids to send the partition's
// first batch now. Nothing bounds how many batches go to a new leader while the
// old one has yet to answer: max.in.flight.requests.per.connection holds for each
// connection. librdkafka and franz-go let the old one drain; the Java client does
// not.
func (p *Producer) held(q *partitionQueue, b *batch) bool {
	i := &p.identity
	if i.id < 0 {
		return true
	}
	if !b.hasSequence() {
		if len(q.inflight) > 0 && (q.id != i.id || q.epoch != i.epoch) {
			return true // the old epoch's batches end first
		}
		return q.unresolved != noSequence
	}
	return len(q.inflight) > 0 && q.inflight[0] != b && q.inflight[0].view.Sequence != b.view.Sequence
}

// requestBump asks for the next epoch on behalf of a partition.
func (p *Producer) requestBump(partition int32) {
	p.identity.bump = true
	for _, x := range p.identity.rewrite {
		if x == partition {
			return
		}
	}
	p.identity.rewrite = append(p.identity.rewrite, partition)
}

func (p *Producer) markUnresolved(b *batch) {
	q := &p.partitions[b.view.Partition]
	if q.unresolved == noSequence {
		p.identity.unresolved++
	}
	q.unresolved = max(q.unresolved, record.IncrementSequence(b.lastSequence(), 1))
}

// maintainIdentity does what the Java sender does at the start of each round:
// resolve, bump, and ask for an id.
func (p *Producer) maintainIdentity() {
	i := &p.identity
	if i.unresolved > 0 {
		for k := range p.partitions {
			q := &p.partitions[k]
			if q.unresolved == noSequence || len(q.inflight) > 0 {
				continue
			}
			if q.isNext(q.next) {
				q.unresolved = noSequence
				i.unresolved--
			} else {
				p.requestBump(int32(k))
			}
		}
	}
	if i.bump {
		p.bumpEpoch()
	}
	if i.id < 0 && !i.asking {
		p.askIdentity()
	}
}

func (p *Producer) bumpEpoch() {
	i := &p.identity
	i.bump = false
	if i.epoch == math.MaxInt16 {
		i.id, i.epoch = record.EmptyProducerID, record.EmptyProducerEpoch
		// The sequences begin anew when the new id is there.
	} else {
		i.epoch++
	}
	p.stats.EpochBumps++
	for _, partition := range i.rewrite {
		q := &p.partitions[partition]
		if i.id >= 0 {
			q.fromZero(i.id, i.epoch)
		}
		if q.unresolved != noSequence {
			q.unresolved = noSequence
			i.unresolved--
		}
	}
	if i.id >= 0 {
		i.rewrite = i.rewrite[:0]
	}
}

func (p *Producer) askIdentity() {
	n := &p.net
	if at, ok := n.timers.Pending(timer.ID{Owner: ownerClient, Kind: timerProducerID}); ok && at > n.now {
		return
	}
	to, _ := n.leastLoaded(p.meta.brokers, int(p.settings.MaxInFlight))
	if to == nil || !n.ready(to, int(p.settings.MaxInFlight)) {
		return
	}
	req := kmsg.NewPtrInitProducerIDRequest()
	req.SetVersion(max(to.version(kmsg.InitProducerID), 0))
	req.ProducerID, req.ProducerEpoch = record.EmptyProducerID, record.EmptyProducerEpoch
	req.TransactionTimeoutMillis = math.MaxInt32
	p.identity.asking = true
	n.send(to, req, callInitProducerID, 0, n.requestTimeout())
}

func (p *Producer) identified(c *call, body []byte) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.SetVersion(c.version)
	if err := resp.ReadFrom(body); err != nil || resp.ErrorCode != 0 || resp.ProducerID < 0 {
		p.identityFailed()
		return
	}
	i := &p.identity
	i.asking, i.attempts = false, 0
	i.id, i.epoch = resp.ProducerID, resp.ProducerEpoch
	for _, partition := range i.rewrite {
		p.partitions[partition].fromZero(i.id, i.epoch)
	}
	i.rewrite = i.rewrite[:0]
}

func (p *Producer) identityFailed() {
	i, n := &p.identity, &p.net
	i.asking = false
	n.timers.Set(timer.ID{Owner: ownerClient, Kind: timerProducerID},
		n.now.Add(n.backoff(n.common.RetryBackoffMillis, n.common.RetryBackoffMaxMillis, i.attempts)))
	i.attempts++
}

// mayRetry is TransactionManager.canRetry for a producer without transactions:
// whether an idempotent batch is sent again after the error.
func (p *Producer) mayRetry(q *partitionQueue, b *batch, code int16, logStart int64) bool {
	switch code {
	case codeUnknownProducerID:
		switch {
		case logStart == -1 || b.sequenceReset:
		case q.lastOffset < logStart:
			p.requestBump(b.view.Partition)
		case b.view.ProducerID == p.identity.id && b.view.Epoch == p.identity.epoch:
			p.requestBump(b.view.Partition)
		}
		return true
	case codeOutOfOrderSequence:
		if q.unresolved == noSequence && (b.sequenceReset || !q.isNext(b.view.Sequence)) {
			return true
		}
		if q.unresolved == noSequence || q.unresolved == b.view.Sequence {
			p.requestBump(b.view.Partition)
		}
		return true
	}
	return retriable(code)
}
