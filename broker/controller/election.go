package controller

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
)

// nobody stands for no broker where a broker id is expected.
const nobody = int32(-1)

// elrFeature enables eligible leader replicas (KIP-966).
const elrFeature = "eligible.leader.replicas.version"

// electionKind says how far an election may go.
type electionKind uint8

const (
	electAny       electionKind = iota // keep a valid leader, else the first valid replica
	electPreferred                     // the first replica if it is valid
	electUnclean                       // as electAny, else any live replica
)

// transition is what happens to a broker while partitions are changed because
// of it, before the image shows it.
type transition struct {
	removed int32 // leaves every ISR: fenced, shutting down, unregistered
	unclean int32 // has lost its unsynced writes: leaves every ISR and ELR (KIP-966)
	added   int32 // counts as live: is being unfenced
}

// partitionChange computes one PartitionChangeRecord: new replicas or a new ISR
// lead to the end of a reassignment, new eligible replicas, perhaps an election.
type partitionChange struct {
	image     *meta.Image
	topic     *meta.Topic
	index     int32
	why       transition
	election  electionKind
	minISR    int
	elr       bool // the feature is on
	bugs      bugs.Set
	isr       []int32
	recovered bool // the leader has recovered from its unclean election (KIP-704)
	// What the assignment is to be, see reassignment.go.
	replicas, adding, removing []int32

	p         *meta.Partition
	elrTarget []int32
	lastKnown []int32
}

func (t *change) partitionChange(topic *meta.Topic, index int32, why transition) *partitionChange {
	p := topic.Partitions[index]
	b := &partitionChange{
		image: t.image, topic: topic, index: index, why: why, p: p, isr: slices.Clone(p.ISR),
		minISR: t.minISR(topic.Name), bugs: t.k.cfg.Broker.Bugs, elr: t.image.FeatureLevel(elrFeature) >= 1 && !t.k.cfg.Broker.Bugs.Has(bugs.TrustUncleanShutdown),
		replicas: p.Replicas, adding: p.AddingReplicas, removing: p.RemovingReplicas,
	}
	if t.uncleanAllowed(topic.Name) {
		b.election = electUnclean
	}
	b.isr = slices.DeleteFunc(b.isr, func(id int32) bool { return id == why.removed || id == why.unclean })
	if len(b.isr) == 0 && !b.elr {
		b.isr = slices.Clone(p.ISR)
	}
	return b
}

// live tells whether a broker may lead now (KIP-841).
func (b *partitionChange) live(id int32) bool {
	if id == b.why.removed || id == b.why.unclean {
		return false
	}
	return id == b.why.added || b.image.Active(id)
}

// valid tells whether a replica holds all that is committed, and is live.
func (b *partitionChange) valid(id int32) bool {
	return (slices.Contains(b.isr, id) || b.elr && slices.Contains(b.elrTarget, id)) && b.live(id)
}

// populateELR keeps who leaves the ISR eligible while the ISR is below its
// minimum: nothing can be committed without them until it is back (KIP-966).
func (b *partitionChange) populateELR() {
	if !b.elr || len(b.isr) >= min(b.minISR, len(b.replicas)) {
		b.elrTarget, b.lastKnown = nil, nil
		return
	}
	// A cancelled reassignment may have taken the last leader's replica away.
	b.lastKnown = slices.DeleteFunc(slices.Clone(b.p.LastKnownELR), func(id int32) bool { return !slices.Contains(b.replicas, id) })
	b.elrTarget = nil
	for _, list := range [][]int32{b.p.ISR, b.p.ELR} {
		for _, id := range list {
			if id != b.why.unclean && slices.Contains(b.replicas, id) && !slices.Contains(b.isr, id) && !slices.Contains(b.elrTarget, id) {
				b.elrTarget = append(b.elrTarget, id)
			}
		}
	}
	slices.Sort(b.elrTarget)
}

// elect returns the leader, and whether it may lack committed records.
func (b *partitionChange) elect() (leader int32, unclean bool) {
	if b.election == electPreferred && b.valid(b.replicas[0]) {
		return b.replicas[0], false
	}
	if b.valid(b.p.Leader) {
		return b.p.Leader, false
	}
	if i := slices.IndexFunc(b.replicas, b.valid); i >= 0 {
		return b.replicas[i], false
	}
	if b.election == electUnclean {
		if i := slices.IndexFunc(b.replicas, b.live); i >= 0 {
			return b.replicas[i], true
		}
	}
	// When every eligible replica has lost writes, the last leader has lost
	// least: Kafka's balanced recovery.
	if b.elr && len(b.isr) == 0 && len(b.elrTarget) == 0 && len(b.lastKnown) == 1 && b.live(b.lastKnown[0]) {
		return b.lastKnown[0], true
	}
	return meta.NoLeader, false
}

// build returns the record, or nil when nothing changes.
func (b *partitionChange) build() *meta.PartitionChangeRecord {
	b.completeReassignment()
	b.populateELR()
	r := &meta.PartitionChangeRecord{
		TopicID: b.topic.ID, PartitionID: b.index, Leader: meta.NoLeaderChange, Recovery: meta.RecoveryNoChange,
	}
	leader, unclean := b.elect()
	if leader != b.p.Leader {
		r.Leader = leader
	}
	if leader != meta.NoLeader && !slices.Contains(b.isr, leader) {
		b.isr = []int32{leader}
		b.completeReassignment() // the leader alone may be the whole target
		if unclean || len(b.isr) >= min(b.minISR, len(b.replicas)) {
			b.elrTarget, b.lastKnown = nil, nil
		} else {
			b.elrTarget = slices.DeleteFunc(b.elrTarget, func(id int32) bool { return id == leader })
		}
		if unclean {
			r.Recovery = meta.Recovering
		}
	} else if b.recovered && b.p.Recovering {
		r.Recovery = meta.Recovered
	}
	if b.elr && len(b.isr) == 0 && slices.Contains(b.replicas, b.p.Leader) {
		b.lastKnown = []int32{b.p.Leader}
	}
	if r.Leader == meta.NoLeaderChange && !contains(b.replicas, b.p.Replicas) {
		// A replica has left: the same leader in a new epoch fences it.
		r.Leader = b.p.Leader
	}
	r.Replicas = changed(b.p.Replicas, b.replicas)
	r.AddingReplicas = changed(b.p.AddingReplicas, b.adding)
	r.RemovingReplicas = changed(b.p.RemovingReplicas, b.removing)
	r.ISR = changed(b.p.ISR, b.isr)
	r.ELR = changed(b.p.ELR, b.elrTarget)
	r.LastKnownELR = changed(b.p.LastKnownELR, b.lastKnown)
	if r.ISR == nil && r.ELR == nil && r.LastKnownELR == nil && r.Leader == meta.NoLeaderChange &&
		r.Recovery == meta.RecoveryNoChange && r.Replicas == nil && r.AddingReplicas == nil && r.RemovingReplicas == nil {
		return nil
	}
	return r
}

// changed returns target as a change record wants it: nil if it is the same.
func changed(current, target []int32) []int32 {
	if slices.Equal(current, target) {
		return nil
	}
	if target == nil {
		return []int32{}
	}
	return target
}

// changePartitions generates leader and ISR changes for a broker's transition,
// in the order of the image.
func (t *change) changePartitions(why transition) {
	var records []meta.Record
	for _, topic := range t.image.Topics {
		for i, p := range topic.Partitions {
			if !concerns(p, why) {
				continue
			}
			if r := t.partitionChange(topic, int32(i), why).build(); r != nil {
				records = append(records, r)
			}
		}
	}
	t.add(records...)
}

func concerns(p *meta.Partition, why transition) bool {
	switch {
	case why.added != nobody && p.Leader == meta.NoLeader && slices.Contains(p.Replicas, why.added):
		return true
	case why.removed != nobody && (p.Leader == why.removed || slices.Contains(p.ISR, why.removed)):
		return true
	case why.unclean != nobody:
		return slices.Contains(p.ISR, why.unclean) || slices.Contains(p.ELR, why.unclean)
	}
	return false
}

// setting finds a topic property that the controller itself decides on, by
// Kafka's precedence: the topic's override, then the cluster's default.
func (t *change) setting(topic, name string) (string, bool) {
	if v, ok := meta.Lookup(t.image.TopicConfig(topic), name); ok {
		return v, true
	}
	return meta.Lookup(t.image.BrokerConfig(""), name)
}

const minISRName = "min.insync.replicas"

func (t *change) minISR(topic string) int {
	if v, ok := t.setting(topic, minISRName); ok {
		if n, err := strconv.Atoi(v); err == nil && n > 0 {
			return n
		}
	}
	return int(t.k.cfg.Broker.TopicDefaults.MinInsyncReplicas)
}

func (t *change) uncleanAllowed(topic string) bool {
	if v, ok := t.setting(topic, "unclean.leader.election.enable"); ok {
		return strings.EqualFold(v, "true")
	}
	return t.k.cfg.Broker.TopicDefaults.UncleanLeaderElection
}
