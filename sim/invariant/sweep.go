package invariant

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
)

// Sweep looks at every replica of every running broker, touched or not, and
// compares replicas with each other. The checker does so every SweepEvery events;
// the runner does it at the end.
func (c *Checker) Sweep() {
	c.nextSweep = c.steps + c.cfg.SweepEvery
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.process == nil || n.Controller || n.process.Partitions() == nil {
			continue
		}
		if image := n.process.Image(); image != n.image {
			c.brokerImage(n, image)
		}
		m := n.process.Partitions()
		for _, p := range m.Partitions() {
			c.look(int32(i), m, p)
		}
	}
	c.prune()
	for _, l := range c.ledgers {
		c.membersHold(l)
		c.epochCaches(l)
	}
}

// prune forgets deleted topics once no running broker has them.
func (c *Checker) prune() {
	kept := c.ledgers[:0]
	for _, l := range c.ledgers {
		if l.gone && !c.held(l) {
			delete(c.byTopic, ledgerKey{l.id, l.key.Index})
			if c.named(l.key.Topic, l.key.Index) == l {
				c.setNamed(l.key, nil)
			}
			continue
		}
		kept = append(kept, l)
	}
	clear(c.ledgers[len(kept):])
	c.ledgers = kept
}

func (c *Checker) held(l *ledger) bool {
	for i := range c.nodes {
		if c.replicaOf(l, i) != nil {
			return true
		}
	}
	return false
}

// replicaOf returns a running broker's replica, or nil.
func (c *Checker) replicaOf(l *ledger, node int) *partition.Partition {
	n := &c.nodes[node]
	if n.process == nil || n.Controller || n.process.Partitions() == nil {
		return nil
	}
	if p := n.process.Partitions().Get(l.key); p != nil && p.TopicID() == l.id {
		return p
	}
	return nil
}

// epochsCompared bounds how many epochs of a partition a sweep compares.
const epochsCompared = 16

// epochCaches: below the least high watermark two replicas agree on which leader
// epoch each offset belongs to, hence on where each epoch begins; with one
// content per offset and epoch, that makes the replicas equal. Replicas that do
// not act, or whose disk was corrupted, or that still hold what an unclean
// election undid, are left out, and so is whatever lies below a log start.
func (c *Checker) epochCaches(l *ledger) {
	if c.quorumVoid {
		return
	}
	var first *partition.Partition
	var firstName string
	for i := range c.nodes {
		p := c.comparable(l, i)
		if p == nil {
			continue
		}
		if first == nil {
			first, firstName = p, c.nodes[i].Name
			continue
		}
		c.checks++
		c.compareEpochs(l, epochSide{firstName, first.Log()}, epochSide{c.nodes[i].Name, p.Log()})
	}
}

// comparable returns a replica whose committed part is the partition's, or nil.
func (c *Checker) comparable(l *ledger, node int) *partition.Partition {
	n := &c.nodes[node]
	p := c.replicaOf(l, node)
	if p == nil || !n.acts || n.corrupted || !p.Log().Usable() || p.LeaderEpoch() < l.floor {
		return nil
	}
	// After an unclean election only the new ISR is known to be reconciled.
	if l.floor > 0 && !slices.Contains(p.ISR(), n.ID) {
		return nil
	}
	return p
}

// epochLog is what is compared of a log; *log.Log has it.
type epochLog interface {
	StartOffset() int64
	HighWatermark() int64
	EpochAt(offset int64) int32
	EpochStart(epoch int32) (int64, bool)
}

var _ epochLog = (*log.Log)(nil)

type epochSide struct {
	name string
	log  epochLog
}

func (c *Checker) compareEpochs(l *ledger, a, b epochSide) {
	low := max(a.log.StartOffset(), b.log.StartOffset())
	at := min(a.log.HighWatermark(), b.log.HighWatermark()) - 1
	for range epochsCompared {
		if at < low {
			return
		}
		x, y := a.log.EpochAt(at), b.log.EpochAt(at)
		if x < 0 || y < 0 {
			return
		}
		xs, _ := a.log.EpochStart(x)
		ys, _ := b.log.EpochStart(y)
		xs, ys = max(xs, low), max(ys, low)
		if x != y || xs != ys {
			c.violated(ruleEpochCaches, l, "offset %d is of leader epoch %d (from %d) on %s, of %d (from %d) on %s",
				at, x, xs, a.name, y, ys, b.name)
			return
		}
		at = xs - 1
	}
}
