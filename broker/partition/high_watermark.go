package partition

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// advance raises a leader's high watermark as far as the rules allow and wakes
// whoever waited for it.
func (m *Manager) advance(c *step.Context, p *Partition) {
	if p.role != Leader || !m.mayAdvance(p) {
		return
	}
	mark := m.highWatermarkTarget(c, p)
	// The high watermark never falls within a leader's term.
	if mark <= p.log.HighWatermark() {
		return
	}
	p.log.SetHighWatermark(mark)
	m.touch(p)
	m.answerReplicated(c, p)
	p.wakeMark(m)
}

// mayAdvance refuses while fewer replicas than min.insync.replicas are in sync:
// what consumers see must survive as many failures as the topic promises, and
// the eligible leader replicas rely on it (KIP-966, KAFKA-15583).
func (m *Manager) mayAdvance(p *Partition) bool {
	return !p.underMinISR() || m.cfg.Bugs.Has(bugs.AdvanceBelowMinISR)
}

// underMinISR compares the committed ISR, which is what the controller would
// elect from, with the replicas that there are to be had.
func (p *Partition) underMinISR() bool {
	return int64(len(p.isr)) < min(p.cfg.MinInsyncReplicas, int64(len(p.replicas)))
}

// highWatermarkTarget is the least log end of all that count.
func (m *Manager) highWatermarkTarget(c *step.Context, p *Partition) int64 {
	mark := p.log.EndOffset()
	isr := p.MaximalISR()
	for i := range p.followers {
		f := &p.followers[i]
		if f.endOffset < mark && (slices.Contains(isr, f.id) || m.awaitsISR(c, p, f)) {
			mark = f.endOffset
		}
	}
	return mark
}

// awaitsISR says that a replica outside the ISR is so close to joining that the
// high watermark waits for it. Otherwise a leader alone in its ISR would run
// ahead of every follower for ever.
func (m *Manager) awaitsISR(c *step.Context, p *Partition, f *follower) bool {
	return m.isCaughtUp(c.Now, p, f) && m.eligible(f)
}

// isCaughtUp says that a follower has everything, or had it less than
// replica.lag.time.max.ms ago (KIP-16).
func (m *Manager) isCaughtUp(now clock.Instant, p *Partition, f *follower) bool {
	if f.endOffset == p.log.EndOffset() {
		return true
	}
	lag := clock.Span(m.cfg.ReplicaLagTimeMaxMillis, time.Millisecond)
	return f.caughtUp && now.Sub(f.lastCaughtUp) <= lag
}

// highWatermarkIsCurrent says that the high watermark has reached this leader's
// epoch. Until then it may lag what an earlier leader has shown (KIP-207).
func (p *Partition) highWatermarkIsCurrent() bool {
	return p.log.HighWatermark() >= p.epochStart
}
