package partition

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// Role is what this broker is for a partition.
type Role uint8

// The roles. A replica starts as Offline and moves between all three as the
// metadata says; a deleted one stays Offline.
const (
	Offline Role = iota // no leader is known, or the replica is being removed
	Leader
	Follower
)

func (r Role) String() string { return [...]string{"offline", "leader", "follower"}[r] }

// Partition is this broker's replica of one partition.
//
// Legal transitions, each on a new image only: any role to Leader at a higher
// leader epoch; any role to Follower or Offline at a higher one; within one
// leader epoch only the ISR and the replica set move, each with a higher
// partition epoch.
type Partition struct {
	key  log.Partition
	id   meta.TopicID
	log  *log.Log
	cfg  config.Topic
	role Role

	leader         int32 // NoLeader if there is none
	leaderEpoch    int32
	partitionEpoch int32
	replicas       []int32 // as the image lists them
	isr            []int32 // committed by the controller

	// Of a leader.
	epochStart int64 // log end when this leader epoch began
	followers  []follower
	pending    pendingISR
	acks       ackQueue // produces that wait for the high watermark
	writes     ackQueue // produces that wait for the local write

	// Of a follower.
	fetch fetchState

	traffic  Traffic
	watchers []watcher // fetch sessions that hold the partition
	lists    int       // ListOffsets that wait for a cold read
	touched  bool
}

// Key names the partition.
func (p *Partition) Key() log.Partition { return p.key }

// TopicID is the topic's id.
func (p *Partition) TopicID() meta.TopicID { return p.id }

// Role is what this broker is for the partition.
func (p *Partition) Role() Role { return p.role }

// LeaderID is the leader's broker id, or meta.NoLeader.
func (p *Partition) LeaderID() int32 { return p.leader }

// LeaderEpoch is the epoch of the present leader's election.
func (p *Partition) LeaderEpoch() int32 { return p.leaderEpoch }

// PartitionEpoch rises with every change of the registration.
func (p *Partition) PartitionEpoch() int32 { return p.partitionEpoch }

// ISR is the in-sync set as the controller has committed it, as far as this
// replica knows; read only.
func (p *Partition) ISR() []int32 { return p.isr }

// MaximalISR is ISR and, while an expansion is pending, the replica being added:
// whom the high watermark counts (KIP-497); read only.
func (p *Partition) MaximalISR() []int32 {
	if p.pending.kind == expanding {
		return p.pending.isr
	}
	return p.isr
}

// Replicas is the assigned replica set; read only.
func (p *Partition) Replicas() []int32 { return p.replicas }

// Log is the replica's log.
func (p *Partition) Log() *log.Log { return p.log }

// StartOffset is the first offset that may be read.
func (p *Partition) StartOffset() int64 { return p.log.StartOffset() }

// EndOffset is Kafka's log end offset.
func (p *Partition) EndOffset() int64 { return p.log.EndOffset() }

// HighWatermark is the first offset that consumers may not read.
func (p *Partition) HighWatermark() int64 { return p.log.HighWatermark() }

// EpochStart is the log end when the leader epoch began; leader only.
func (p *Partition) EpochStart() int64 { return p.epochStart }

// lastStableOffset bounds what read_committed consumers see. There are no
// transactions yet, hence nothing open below the high watermark.
func (p *Partition) lastStableOffset() int64 { return p.log.HighWatermark() }

// Apply makes the replicas follow a new image. The node calls it once the logs
// have recovered, for every image in order; old is the image of the call before
// (nil at first).
func (m *Manager) Apply(c *step.Context, old, image *meta.Image) {
	if old == nil {
		old = &meta.Image{Offset: -1}
	}
	m.image = image
	changed := configsChanged(old, image)
	i, j := 0, 0
	for i < len(old.Topics) || j < len(image.Topics) {
		switch {
		case j == len(image.Topics) || i < len(old.Topics) && old.Topics[i].Name < image.Topics[j].Name:
			m.topicGone(c, old.Topics[i])
			i++
		case i == len(old.Topics) || image.Topics[j].Name < old.Topics[i].Name:
			m.applyTopic(c, nil, image.Topics[j])
			j++
		default:
			before, after := old.Topics[i], image.Topics[j]
			if before.ID != after.ID {
				m.topicGone(c, before)
				before = nil
			}
			if before != after {
				m.applyTopic(c, before, after)
			}
			i, j = i+1, j+1
		}
	}
	if changed {
		m.applyConfigs()
	}
	if !slices.Equal(old.Brokers, image.Brokers) {
		m.brokersChanged(c)
	}
	m.wakeDeletes()
	m.settle(c)
}

// applyTopic handles one topic that is new (before is nil) or has changed.
func (m *Manager) applyTopic(c *step.Context, before, after *meta.Topic) {
	m.topicNames[after.ID] = after
	m.replicas.topic = nil
	for index, reg := range after.Partitions {
		if before != nil && index < len(before.Partitions) && before.Partitions[index] == reg {
			continue
		}
		key := log.Partition{Topic: after.Name, Index: int32(index)}
		if !slices.Contains(reg.Replicas, m.brokerID) {
			m.remove(c, key)
			continue
		}
		m.applyPartition(c, m.ensure(c, key, after.ID), reg)
	}
}

func (m *Manager) topicGone(c *step.Context, t *meta.Topic) {
	delete(m.topicNames, t.ID)
	m.replicas.topic = nil
	for index := range t.Partitions {
		m.remove(c, log.Partition{Topic: t.Name, Index: int32(index)})
	}
}

// ensure returns the replica, made with its log if it is new. A log of the same
// name but another topic id is of a deleted topic (KIP-516).
func (m *Manager) ensure(c *step.Context, key log.Partition, id meta.TopicID) *Partition {
	at, ok := m.find(key)
	if ok {
		return m.partitions[at]
	}
	cfg := m.topicConfig(key.Topic)
	l := m.logs.Get(key)
	if l != nil && l.TopicID() != id {
		m.logs.Delete(c, key)
		l = nil
	}
	if l == nil {
		l = m.logs.Create(c, key, id, cfg)
	} else {
		l.SetConfig(cfg)
	}
	p := &Partition{
		key: key, id: id, log: l, cfg: cfg,
		leader: meta.NoLeader, leaderEpoch: -1, partitionEpoch: -1,
	}
	m.partitions = slices.Insert(m.partitions, at, p)
	m.replicas.put(p)
	for int(l.Number()) >= len(m.byLog) {
		m.byLog = append(m.byLog, nil)
	}
	m.byLog[l.Number()] = p
	m.topology++
	return p
}

// remove drops a replica that the broker no longer has: its topic is deleted, or
// it was reassigned.
func (m *Manager) remove(c *step.Context, key log.Partition) {
	at, ok := m.find(key)
	if !ok {
		return
	}
	p := m.partitions[at]
	m.stepDown(c, p)
	m.stopFetching(c, p)
	p.role, p.leader = Offline, meta.NoLeader
	m.touch(p)
	m.topology++
	p.wake(m)
	m.partitions = slices.Delete(m.partitions, at, at+1)
	m.replicas.remove(p)
	m.byLog[p.log.Number()] = nil
	m.logs.Delete(c, key)
}

// RemoveStrays deletes the logs that the image gives to nobody or to others: a
// topic deleted, or a replica moved, while this broker was down. The node calls
// it once, when its image has caught up with the controller; earlier, an image
// that is merely old would cost data.
func (m *Manager) RemoveStrays(c *step.Context) {
	if m.cfg.Bugs.Has(bugs.KeepStrays) {
		return
	}
	var strays []log.Partition
	for _, l := range m.logs.Logs() {
		if m.ofLog(l) == nil {
			strays = append(strays, l.Partition())
		}
	}
	for _, key := range strays {
		m.logs.Delete(c, key)
	}
}

// applyPartition brings one replica to its registration. A registration that is
// older than what an AlterPartition reply has told already is ignored.
func (m *Manager) applyPartition(c *step.Context, p *Partition, reg *meta.Partition) {
	if reg.PartitionEpoch < p.partitionEpoch {
		return
	}
	m.touch(p)
	switch {
	case reg.Leader == m.brokerID:
		m.becomeLeader(c, p, reg)
	default:
		m.becomeFollower(c, p, reg)
	}
	p.wake(m)
}

// adopt copies what every role takes over from a registration.
func (p *Partition) adopt(reg *meta.Partition) {
	p.leader, p.leaderEpoch, p.partitionEpoch = reg.Leader, reg.LeaderEpoch, reg.PartitionEpoch
	p.replicas = append(p.replicas[:0], reg.Replicas...)
	p.isr = append(p.isr[:0], reg.ISR...)
	p.pending = pendingISR{isr: p.pending.isr[:0]}
}

// brokersChanged follows registrations and fencing: fetchers stop asking a
// broker that moved, and replicas become eligible for the ISR again.
func (m *Manager) brokersChanged(c *step.Context) {
	for _, p := range m.partitions {
		switch p.role {
		case Leader:
			m.expandEligible(c, p)
			// A replica that just became ineligible no longer holds it back.
			m.advance(c, p)
		case Follower:
			m.assignFetcher(c, p)
		}
	}
}

func (m *Manager) applyConfigs() {
	name := ""
	var cfg config.Topic
	for _, p := range m.partitions {
		if p.key.Topic != name || name == "" {
			name = p.key.Topic
			cfg = m.topicConfig(name)
		}
		if p.cfg != cfg {
			p.cfg = cfg
			p.log.SetConfig(cfg)
		}
	}
}

func configsChanged(old, image *meta.Image) bool {
	equal := func(a, b meta.ResourceConfig) bool {
		return a.Resource == b.Resource && slices.Equal(a.Values, b.Values)
	}
	return !slices.EqualFunc(old.TopicConfigs, image.TopicConfigs, equal) ||
		!slices.EqualFunc(old.BrokerConfigs, image.BrokerConfigs, equal)
}
