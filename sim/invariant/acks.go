package invariant

import (
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Acked says that a producer has learned that its batch lies at [base,
// base+count). A base below 0 (the broker gave no offset) says nothing.
func (c *Checker) Acked(topic string, index int32, base int64, count int32, acksAll bool, at clock.Instant) {
	l := c.named(topic, index)
	if base < 0 || l == nil || l.resets > 0 || l.unclean || l.gone || c.quorumVoid {
		return
	}
	c.now = at
	c.checks++
	end := base + int64(count)
	if acksAll {
		c.ackCommitted(l, end)
	}
	c.ackReplicated(l, end, acksAll)
}

// ackCommitted: with acks=all a leader answers once its high watermark has
// passed the batch, so the committed end has. Not asserted where unclean election
// is on or the committed end was ever reset: the ack may be older than that.
func (c *Checker) ackCommitted(l *ledger, end int64) {
	if end > l.committed {
		c.violated(ruleAckCommitted, l, "offsets up to %d are acked with acks=all, committed is %d", end, l.committed)
	}
}

// ackReplicated: what is acked with acks=all has been on min.insync.replicas
// replicas (as far as there are so many), what is acked with acks=1 on one. A
// replica that has crashed since counts: the ack was right when it was given,
// and may have travelled for long. So does with acks=1 one that has truncated its
// log since, as a leader does that was cut off and has found its successor, or has been
// removed. That enough of them still hold it is memberHolds' matter. Synced counts instead where FlushBeforeAck says so.
func (c *Checker) ackReplicated(l *ledger, end int64, acksAll bool) {
	need, has := 1, 0
	if acksAll && l.reg != nil {
		need = min(l.minISR, len(l.reg.Replicas))
	}
	for i := range l.replicas {
		r := &l.replicas[i]
		held, flushed := r.peak, r.peakFlushed
		if !acksAll {
			held, flushed = r.highest, r.highestFlushed
		}
		if c.cfg.FlushBeforeAck {
			held = flushed
		}
		if held >= end {
			has++
		}
	}
	if has < need {
		c.violated(ruleAckReplicated, l, "offsets up to %d are acked (acks=all: %t) and on %d replicas, %d are needed", end, acksAll, has, need)
	}
}

// GroupCommitted says that the commit of an offset of this partition by a group
// of consumers has succeeded.
func (c *Checker) GroupCommitted(topic string, index int32, offset int64, at clock.Instant) {
	l := c.named(topic, index)
	if l == nil || l.resets > 0 || l.unclean || l.gone || c.quorumVoid {
		return
	}
	c.now = at
	c.checks++
	c.groupOffset(l, offset)
}

// groupOffset: a consumer commits what it has been given, which is below the
// high watermark. Kafka does not check it, so it holds for consumers that do not
// invent offsets, and not after an unclean election.
func (c *Checker) groupOffset(l *ledger, offset int64) {
	if offset > l.committed {
		c.violated(ruleGroupOffset, l, "offset %d is committed by a group, the partition is committed up to %d", offset, l.committed)
	}
}

// CommittedEnd returns a partition's committed end, 0 if it is not known.
func (c *Checker) CommittedEnd(topic string, index int32) int64 {
	if l := c.named(topic, index); l != nil {
		return l.committed
	}
	return 0
}
