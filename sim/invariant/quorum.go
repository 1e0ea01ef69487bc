package invariant

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
)

const (
	imagesKept = 512 // by offset; whoever lags more is compared by a sweep only
	termsKept  = 64
)

// termLeader is who led the quorum at a term; term 0 is none.
type termLeader struct {
	term int32
	node int32
}

func (c *Checker) controllerStepped(s int32, k *controller.Controller) {
	n := &c.nodes[s]
	if k == nil || !k.Ready() {
		return
	}
	if k.Term() == n.term && k.Role() == n.role && k.Applied() == n.applied && k.IsActive() == n.active {
		return
	}
	c.controllerChanged(s, quorumView{k.Role(), k.Term(), k.Applied(), k.IsActive()}, k.Image())
}

// quorumView is a controller as it is after a step.
type quorumView struct {
	role    controller.Role
	term    int32
	applied int64
	active  bool
}

func (c *Checker) controllerChanged(s int32, v quorumView, image *meta.Image) {
	c.checks++
	n := &c.nodes[s]
	if !c.quorumVoid {
		c.termRises(n, &v)
		c.oneController(s, &v)
	}
	moved := v.applied != n.applied
	n.role, n.term, n.applied, n.active = v.role, v.term, v.applied, v.active
	if moved && image != nil {
		c.sameImage(n, image)
		if image.Offset > c.newest.Offset {
			c.metadataMoved(image)
		}
	}
}

// termRises: within one life of a controller neither its term nor what it has
// applied goes back. Across lives both may: a term is visible before it is
// synced, and replay starts at a snapshot.
func (c *Checker) termRises(n *nodeState, v *quorumView) {
	if v.term < n.term {
		c.violated(ruleTermRises, nil, "controller %s goes from term %d back to %d", n.Name, n.term, v.term)
	}
	if v.applied < n.applied {
		c.violated(ruleTermRises, nil, "controller %s goes from applied offset %d back to %d", n.Name, n.applied, v.applied)
	}
}

// oneController: a term has at most one leader of the quorum, for ever, because
// a vote is synced before it is sent. The active controller leads its term.
func (c *Checker) oneController(s int32, v *quorumView) {
	n := &c.nodes[s]
	if v.active && v.role != controller.Leader {
		c.violated(ruleOneController, nil, "%s is the active controller as a %s at term %d", n.Name, v.role, v.term)
	}
	if v.role != controller.Leader {
		return
	}
	t := &c.terms[v.term%termsKept]
	switch {
	case t.term < v.term:
		*t = termLeader{v.term, s}
	case t.term == v.term && t.node != s:
		c.violated(ruleOneController, nil, "%s leads the quorum at term %d, which %s led", n.Name, v.term, c.nodes[t.node].Name)
	}
}

// sameImage: at one offset of the metadata log there is one image, whoever has
// it and however it got there, by replay, from a snapshot or as a prediction.
// Images are compared, not hashed, which is exact and costs no memory. An offset
// that nobody stopped at cannot be compared.
func (c *Checker) sameImage(n *nodeState, image *meta.Image) {
	if c.quorumVoid || image.Offset < 0 {
		return
	}
	c.checks++
	kept := &c.images[image.Offset%imagesKept]
	switch {
	case *kept == nil || (*kept).Offset < image.Offset:
		*kept = image
	case (*kept).Offset == image.Offset && *kept != image && !(*kept).Equal(image):
		c.violated(ruleSameImage, nil, "%s has an image with hash %016x at offset %d, epoch %d; another node had %016x, epoch %d",
			n.Name, image.Hash(), image.Offset, image.Epoch, (*kept).Hash(), (*kept).Epoch)
	}
}

// brokerImage looks at new metadata of a broker.
func (c *Checker) brokerImage(n *nodeState, image *meta.Image) {
	n.image = image
	b := image.Broker(n.ID)
	n.acts = b != nil && b.Epoch > n.bootAt
	c.sameImage(n, image)
	// Controllers are seen before any broker can hear of what they applied.
	if !c.quorumVoid && image.Offset > c.newest.Offset {
		c.violated(ruleCommittedMetadata, nil, "%s acts upon offset %d, no controller has applied more than %d",
			n.Name, image.Offset, c.newest.Offset)
	}
}

// metadataMoved takes in a newer committed image and checks what has changed.
func (c *Checker) metadataMoved(image *meta.Image) {
	old := c.newest
	c.newest = image
	c.brokerEpochsRise(old, image)
	i, j := 0, 0
	for i < len(old.Topics) || j < len(image.Topics) {
		switch {
		case j == len(image.Topics) || i < len(old.Topics) && old.Topics[i].Name < image.Topics[j].Name:
			c.topicGone(old.Topics[i])
			i++
		case i == len(old.Topics) || image.Topics[j].Name < old.Topics[i].Name:
			c.topicMoved(nil, image.Topics[j])
			j++
		default:
			before, after := old.Topics[i], image.Topics[j]
			if before.ID != after.ID {
				c.topicGone(before)
				before = nil
			}
			if before != after {
				c.topicMoved(before, after)
			}
			i, j = i+1, j+1
		}
	}
}

// brokerEpochsRise: a registration's epoch is the offset of its record, so it
// rises; producer ids are handed out once.
func (c *Checker) brokerEpochsRise(old, image *meta.Image) {
	if c.quorumVoid {
		return
	}
	for _, b := range image.Brokers {
		if was := old.Broker(b.ID); was != nil && b.Epoch < was.Epoch {
			c.violated(ruleEpochsRise, nil, "broker %d goes from epoch %d back to %d", b.ID, was.Epoch, b.Epoch)
		}
	}
	if image.NextProducerID < old.NextProducerID {
		c.violated(ruleEpochsRise, nil, "the next producer id goes from %d back to %d", old.NextProducerID, image.NextProducerID)
	}
}

func (c *Checker) topicGone(t *meta.Topic) {
	for i := range t.Partitions {
		if l := c.byTopic[ledgerKey{t.ID, int32(i)}]; l != nil {
			l.gone, l.reg = true, nil
		}
	}
}

func (c *Checker) topicMoved(before, after *meta.Topic) {
	for i, reg := range after.Partitions {
		if before != nil && i < len(before.Partitions) && before.Partitions[i] == reg {
			continue
		}
		l := c.ledger(log.Partition{Topic: after.Name, Index: int32(i)}, after.ID)
		c.registered(l, reg)
	}
}

// registered takes in a partition's newer registration.
func (c *Checker) registered(l *ledger, reg *meta.Partition) {
	c.checks++
	old := l.reg
	l.reg = reg
	if c.quorumVoid {
		return
	}
	c.wellFormed(l, reg)
	c.ledLeader(l, reg.LeaderEpoch, reg.Leader, "the controller")
	if old != nil {
		c.epochsRise(l, old, reg)
		c.cleanElection(l, old, reg)
		c.reassigned(l, old, reg)
		if c.uncleanly(old, reg) {
			c.forget(l, reg)
		}
	}
	c.membersHold(l)
}

// wellFormed: a leader is in its ISR, the ISR is a subset of the replicas, and
// who is in sync is not merely eligible (KIP-966).
func (c *Checker) wellFormed(l *ledger, reg *meta.Partition) {
	if reg.Leader != meta.NoLeader && !slices.Contains(reg.ISR, reg.Leader) {
		c.violated(ruleRegistration, l, "leader %d is not in the ISR %v", reg.Leader, reg.ISR)
	}
	for i, id := range reg.ISR {
		if !slices.Contains(reg.Replicas, id) || slices.Contains(reg.ISR[:i], id) || slices.Contains(reg.ELR, id) {
			c.violated(ruleRegistration, l, "ISR %v with replicas %v and eligible replicas %v", reg.ISR, reg.Replicas, reg.ELR)
		}
	}
}

// epochsRise: every change of a registration raises the partition epoch, every
// change of the leader the leader epoch, and neither ever falls.
func (c *Checker) epochsRise(l *ledger, old, reg *meta.Partition) {
	switch {
	case reg.PartitionEpoch <= old.PartitionEpoch && !reg.Equal(old), reg.LeaderEpoch < old.LeaderEpoch,
		reg.Leader != old.Leader && reg.LeaderEpoch == old.LeaderEpoch:
		c.violated(ruleEpochsRise, l, "leader %d, leader epoch %d, partition epoch %d after leader %d, leader epoch %d, partition epoch %d",
			reg.Leader, reg.LeaderEpoch, reg.PartitionEpoch, old.Leader, old.LeaderEpoch, old.PartitionEpoch)
	}
}

// cleanElection: a new leader comes from the ISR or the eligible replicas
// (KIP-966). Others may lead, marked as recovering, where unclean election is on,
// and the last known leader when no eligible replica is left. It is asserted when
// one single change lies between the two registrations: of several, the ones in
// between are not seen.
func (c *Checker) cleanElection(l *ledger, old, reg *meta.Partition) {
	switch {
	case reg.Leader == old.Leader, reg.Leader == meta.NoLeader, reg.PartitionEpoch != old.PartitionEpoch+1,
		slices.Contains(old.ISR, reg.Leader), slices.Contains(old.ELR, reg.Leader):
		return
	case reassigning(old) && !reassigning(reg) && contains(reg.ISR, reg.Replicas):
		return // the old leader has proposed it in the very change that ended its term
	case reg.Recovering && (l.unclean || slices.Contains(old.LastKnownELR, reg.Leader)):
		return
	}
	c.violated(ruleCleanElection, l, "broker %d is elected at leader epoch %d (recovering: %t) from ISR %v, eligible replicas %v, last known %v",
		reg.Leader, reg.LeaderEpoch, reg.Recovering, old.ISR, old.ELR, old.LastKnownELR)
}

func reassigning(p *meta.Partition) bool { return len(p.AddingReplicas)+len(p.RemovingReplicas) > 0 }

// contains tells whether list has all of the ids.
func contains(list, ids []int32) bool {
	return !slices.ContainsFunc(ids, func(id int32) bool { return !slices.Contains(list, id) })
}

// reassigned: a reassignment ends when all that it was to lead to is in sync
// (KAFKA-15665), or back where it began; and whoever is no replica any more is
// fenced by a new leader epoch. As above, single changes are judged.
func (c *Checker) reassigned(l *ledger, old, reg *meta.Partition) {
	if reg.PartitionEpoch != old.PartitionEpoch+1 {
		return
	}
	if !contains(reg.Replicas, old.Replicas) && reg.LeaderEpoch == old.LeaderEpoch {
		c.violated(ruleReassignment, l, "replicas go from %v to %v in leader epoch %d", old.Replicas, reg.Replicas, reg.LeaderEpoch)
	}
	if !reassigning(old) || reassigning(reg) || contains(reg.ISR, reg.Replicas) {
		return
	}
	original := slices.DeleteFunc(slices.Clone(old.Replicas), func(id int32) bool { return slices.Contains(old.AddingReplicas, id) })
	if !contains(original, reg.Replicas) || !contains(reg.Replicas, original) {
		c.violated(ruleReassignment, l, "replicas go from %v (adding %v, removing %v) to %v, and of those only %v are in sync",
			old.Replicas, old.AddingReplicas, old.RemovingReplicas, reg.Replicas, reg.ISR)
	}
}

// uncleanly tells whether a leader was elected that may lack committed records; it may
// have gone again between the two registrations.
func (c *Checker) uncleanly(old, reg *meta.Partition) bool {
	switch {
	case !reg.Recovering || reg.LeaderEpoch == old.LeaderEpoch:
		return false
	case !old.Recovering:
		return true
	}
	return reg.Leader != meta.NoLeader && !slices.Contains(old.ISR, reg.Leader) && !slices.Contains(old.ELR, reg.Leader)
}

// forget ends all promises about what was committed before an unclean election,
// if there may be a loss: either unclean election is configured, or a replica
// has lost unsynced data. If all that happened were killed processes, the last
// known leader still holds everything, and must prove it.
func (c *Checker) forget(l *ledger, reg *meta.Partition) {
	if !l.unclean && !c.anyTailLost(reg.Replicas) {
		return
	}
	l.committed, l.floor = 0, reg.LeaderEpoch
	l.resets++
}

func (c *Checker) anyTailLost(ids []int32) bool {
	for _, id := range ids {
		if s := c.server(id); s >= 0 && c.nodes[s].tailLost {
			return true
		}
	}
	return false
}
