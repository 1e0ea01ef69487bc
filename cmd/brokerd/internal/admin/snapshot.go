// Package admin serves what operators look at: metrics under the names that
// existing Kafka dashboards use, health, and profiles. It reads a node between
// two of its steps, and never changes it.
package admin

import (
	"net"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/group"
	"github.com/seed-604ea8f1/windtunnel/broker/lifecycle"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
)

// snapshot is what a node was at one instant. It is copied out on the node's own
// goroutine, which is kept no longer than that takes.
type snapshot struct {
	ready       bool
	state       lifecycle.State
	brokers     map[int32]string // alive, as far as this node knows, and their addresses
	active      int              // 1 on the active controller
	cluster     clusterState
	traffic     partition.Traffic
	isrChanges  partition.ISRChanges
	requests    map[string]uint64
	connections int
	inFlight    int
	partitions  []partitionState
	groups      []groupState
}

// clusterState is what the active controller knows; nothing on another node.
type clusterState struct {
	topics, partitions int
	leaderless         int // partitions
	misled             int // partitions whose leader is not their first replica
	active, fenced     int // brokers
}

type partitionState struct {
	topic      string
	index      int32
	leader     int32
	leading    bool
	preferred  bool // led by its first replica
	start, end int64
	mark       int64 // high watermark
	replicas   int
	inSync     int
	minISR     int
	bytes      int64
	traffic    partition.Traffic
}

type groupState struct {
	id      string
	state   group.State
	members int
	offsets []groupOffset
}

type groupOffset struct {
	topic     string
	partition int32
	offset    int64
	end       int64 // high watermark, -1 if this node has no replica
}

// lag is how many records of the partition the group has not committed, or -1
// if this node cannot know.
func (o *groupOffset) lag() int64 {
	if o.end < 0 {
		return -1
	}
	return max(0, o.end-o.offset)
}

// take copies what is to be shown. It runs on the node's goroutine.
func take(n *broker.Node) *snapshot {
	s := &snapshot{ready: n.Ready(), state: n.State(), brokers: make(map[int32]string), requests: make(map[string]uint64)}
	image := n.Image()
	if c := n.Controller(); c != nil {
		if c.IsActive() {
			s.active = 1
			image = c.Image()
			s.takeCluster(image)
		}
	}
	for _, b := range image.Brokers {
		if !b.Fenced && len(b.Endpoints) > 0 {
			s.brokers[b.ID] = net.JoinHostPort(b.Endpoints[0].Host, strconv.Itoa(int(b.Endpoints[0].Port)))
		}
	}
	table := n.Requests()
	s.connections, s.inFlight = table.Len(), table.InFlight()
	for key := range int16(kmsg.MaxKey + 1) {
		if count := table.Admitted(key); count > 0 {
			s.requests[requestName(key)] = count
		}
	}
	if m := n.Partitions(); m != nil {
		s.takePartitions(m)
		s.takeGroups(n.Groups(), m)
	}
	return s
}

// requestName is an API's name as Kafka writes it, which is not quite kmsg's.
func requestName(key int16) string {
	return kafkasSpelling.Replace(kmsg.NameForKey(key))
}

var kafkasSpelling = strings.NewReplacer("SASL", "Sasl", "ACLs", "Acls", "SCRAM", "Scram", "ProducerID", "ProducerId")

func (s *snapshot) takeCluster(image *meta.Image) {
	for _, t := range image.Topics {
		s.cluster.topics++
		for _, p := range t.Partitions {
			s.cluster.partitions++
			if p.Leader == meta.NoLeader {
				s.cluster.leaderless++
			}
			if p.Leader != p.Replicas[0] {
				s.cluster.misled++
			}
		}
	}
	for _, b := range image.Brokers {
		if b.Fenced {
			s.cluster.fenced++
		} else {
			s.cluster.active++
		}
	}
}

func (s *snapshot) takePartitions(m *partition.Manager) {
	s.traffic, s.isrChanges = m.Traffic(), m.ISRChanges()
	for _, p := range m.Partitions() {
		replicas := p.Replicas()
		s.partitions = append(s.partitions, partitionState{
			topic: p.Key().Topic, index: p.Key().Index, leader: p.LeaderID(), leading: p.Role() == partition.Leader,
			preferred: len(replicas) > 0 && replicas[0] == p.LeaderID(),
			start:     p.StartOffset(), end: p.EndOffset(), mark: p.HighWatermark(),
			replicas: len(replicas), inSync: len(p.ISR()),
			minISR: int(p.Log().Config().MinInsyncReplicas),
			bytes:  p.Log().Size(), traffic: p.Traffic(),
		})
	}
}

func (s *snapshot) takeGroups(groups *group.Manager, m *partition.Manager) {
	for _, v := range groups.Groups() {
		g := groupState{id: v.ID, state: v.State, members: len(v.Members)}
		for _, c := range groups.Offsets(v.ID) {
			o := groupOffset{topic: c.Topic, partition: c.Partition, offset: c.Offset, end: -1}
			if p := m.Get(log.Partition{Topic: c.Topic, Index: c.Partition}); p != nil {
				o.end = p.HighWatermark()
			}
			g.offsets = append(g.offsets, o)
		}
		s.groups = append(s.groups, g)
	}
}
