package client

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// broker is one of the brokers that metadata lists.
type broker struct {
	id   int32
	host string
	port int32
	rack string
}

// partitionMeta is what is known of a partition. A leader of -1 is unknown.
type partitionMeta struct {
	leader int32
	epoch  int32
}

// topicMeta is what is known of one of the client's topics.
type topicMeta struct {
	name       string
	id         [16]byte
	code       int16 // of the last answer
	partitions []partitionMeta
}

// callMetadata is the kind of a metadata request in flight; clients' own kinds
// start behind it.
const (
	callMetadata uint8 = iota + 1
	callClient
)

// metadata owns what a client knows of brokers, topics and leaders, and asks
// again when that is old or found wrong. Leaders only change to a newer epoch,
// so that an answer of a broker that lags does not take the client back.
type metadata struct {
	net       *network
	bootstrap []Address
	brokers   []broker // by id; those of bootstrap have negative ids
	topics    []topicMeta

	wanted      bool
	inFlight    bool
	sinceWanted int32 // requests since the last one that was of use
	attemptAt   clock.Instant
	attempted   bool
	successAt   clock.Instant
	askingSince clock.Instant // when it began to need an answer; Never if it does not
	updates     int64
	version     int64 // rises with each change of leaders or brokers
}

func newMetadata(n *network, bootstrap []Address, topics []string) metadata {
	m := metadata{net: n, bootstrap: bootstrap, wanted: true, askingSince: clock.Never}
	for _, name := range topics {
		m.topics = append(m.topics, topicMeta{name: name, code: codeLeaderNotAvailable})
	}
	m.toBootstrap()
	return m
}

// toBootstrap forgets the brokers and starts from bootstrap.servers (KIP-899).
func (m *metadata) toBootstrap() {
	m.version++
	m.brokers = m.brokers[:0]
	for i, a := range m.bootstrap {
		id := int32(-1 - i)
		m.brokers = append(m.brokers, broker{id: id, host: a.Host, port: a.Port})
		m.net.address(id, a.Host, a.Port)
	}
	for i := range m.topics {
		for k := range m.topics[i].partitions {
			m.topics[i].partitions[k].leader = -1
		}
	}
}

// request asks for an update as soon as the back-off allows.
func (m *metadata) request() { m.wanted = true }

// partition returns what is known of a partition; a leader of -1 if nothing.
func (m *metadata) partition(topic int, p int32) partitionMeta {
	t := &m.topics[topic]
	if int(p) >= len(t.partitions) || m.find(t.partitions[p].leader) < 0 {
		return partitionMeta{leader: -1, epoch: -1}
	}
	return t.partitions[p]
}

func (m *metadata) find(id int32) int {
	for i := range m.brokers {
		if m.brokers[i].id == id {
			return i
		}
	}
	return -1
}

// topicByID returns the place of the topic with that id, or -1.
func (m *metadata) topicByID(id [16]byte) int {
	return slices.IndexFunc(m.topics, func(t topicMeta) bool { return t.id == id })
}

// topicByName returns the place of the topic with that name, or -1.
func (m *metadata) topicByName(name string) int {
	return slices.IndexFunc(m.topics, func(t topicMeta) bool { return t.name == name })
}

// maintain sends a request if one is due, and sets the timer for the next look.
func (m *metadata) maintain() {
	n := m.net
	id := timer.ID{Owner: ownerMetadata}
	if m.inFlight {
		return
	}
	due := m.successAt.Add(millis(n.common.MetadataMaxAgeMillis))
	if m.wanted || m.updates == 0 {
		due = n.now
		if m.attempted {
			due = max(due, m.attemptAt)
		}
	}
	if due > n.now {
		n.timers.Set(id, due)
		return
	}
	if m.askingSince == clock.Never {
		m.askingSince = n.now
	}
	p, any := n.leastLoaded(m.brokers, int(^uint(0)>>1))
	if n.common.MetadataRecovery == clientconfig.RecoveryRebootstrap && m.brokers[0].id >= 0 &&
		(!any || n.now.Sub(m.askingSince) >= millis(n.common.MetadataRebootstrapTriggerMillis)) {
		m.toBootstrap()
		m.askingSince = n.now
		p, _ = n.leastLoaded(m.brokers, int(^uint(0)>>1))
	}
	if p == nil || !n.ready(p, int(^uint(0)>>1)) {
		return // an event of a connection, or its timer, brings us back
	}
	m.send(p)
}

func (m *metadata) send(p *peer) {
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(max(p.version(kmsg.Metadata), 5))
	req.Topics = []kmsg.MetadataRequestTopic{}
	for i := range m.topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(m.topics[i].name)
		req.Topics = append(req.Topics, t)
	}
	m.inFlight, m.wanted, m.attempted = true, false, true
	m.net.send(p, req, callMetadata, 0, m.net.requestTimeout())
}

// failed notes that a request had no answer.
func (m *metadata) failed() {
	m.inFlight, m.wanted = false, true
	m.wait()
}

// wait holds the next request back: longer with each that was of no use.
func (m *metadata) wait() {
	n := m.net
	m.attemptAt = n.now.Add(n.backoff(n.common.RetryBackoffMillis, n.common.RetryBackoffMaxMillis, m.sinceWanted))
	m.sinceWanted++
	n.timers.Set(timer.ID{Owner: ownerMetadata}, m.attemptAt)
}

// answered takes an answer; it returns false if it cannot be read.
func (m *metadata) answered(c *call, body []byte) bool {
	resp := kmsg.NewPtrMetadataResponse()
	resp.SetVersion(c.version)
	m.inFlight = false
	if err := resp.ReadFrom(body); err != nil {
		m.failed()
		return false
	}
	if resp.ErrorCode == codeRebootstrapRequired {
		m.toBootstrap()
		m.failed()
		return true
	}
	if len(resp.Brokers) == 0 {
		m.failed() // as the Java client: an answer without brokers is none
		return true
	}
	changed := m.takeBrokers(resp.Brokers)
	for i := range resp.Topics {
		changed = m.takeTopic(&resp.Topics[i]) || changed
	}
	if changed {
		m.sinceWanted = 0
		m.version++
	}
	m.updates++
	m.successAt, m.askingSince = m.net.now, clock.Never
	m.wait()
	return true
}

func (m *metadata) takeBrokers(brokers []kmsg.MetadataResponseBroker) (changed bool) {
	old := slices.Clone(m.brokers)
	m.brokers = m.brokers[:0]
	for i := range brokers {
		b := &brokers[i]
		rack := ""
		if b.Rack != nil {
			rack = *b.Rack
		}
		m.brokers = append(m.brokers, broker{id: b.NodeID, host: b.Host, port: b.Port, rack: rack})
		m.net.address(b.NodeID, b.Host, b.Port)
	}
	slices.SortFunc(m.brokers, func(a, b broker) int { return int(a.id - b.id) })
	return !slices.Equal(old, m.brokers)
}

// takeTopic takes one topic of an answer and wants another answer when a
// partition has no leader.
func (m *metadata) takeTopic(r *kmsg.MetadataResponseTopic) (changed bool) {
	i := -1
	if r.Topic != nil {
		i = m.topicByName(*r.Topic)
	}
	if i < 0 {
		return false
	}
	t := &m.topics[i]
	changed = t.code != r.ErrorCode
	t.code = r.ErrorCode
	if r.ErrorCode != 0 {
		m.wanted = true
		return changed
	}
	if r.TopicID != t.id {
		// Another topic of the same name: its epochs begin anew.
		t.id, t.partitions, changed = r.TopicID, t.partitions[:0], true
	}
	for k := range r.Partitions {
		p := &r.Partitions[k]
		if p.Partition < 0 || int(p.Partition) >= len(r.Partitions) {
			continue
		}
		for int(p.Partition) >= len(t.partitions) {
			t.partitions = append(t.partitions, partitionMeta{leader: -1, epoch: -1})
			changed = true
		}
		now := &t.partitions[p.Partition]
		next := partitionMeta{leader: p.Leader, epoch: p.LeaderEpoch}
		if p.ErrorCode == codeLeaderNotAvailable {
			next.leader = -1
		}
		if next.leader < 0 {
			m.wanted = true
		}
		if next.epoch >= now.epoch && *now != next {
			*now, changed = next, true
		}
	}
	return changed
}

// leaderMoved takes a leader from the answer to a Produce or Fetch (KIP-951) if
// it is newer than what is known. It tells whether it was.
func (m *metadata) leaderMoved(topic int, partition, leader, epoch int32) bool {
	t := &m.topics[topic]
	if leader < 0 || epoch < 0 || int(partition) >= len(t.partitions) || epoch <= t.partitions[partition].epoch {
		return false
	}
	t.partitions[partition] = partitionMeta{leader: leader, epoch: epoch}
	m.version++
	return true
}

// endpoint takes a broker's address from such an answer.
func (m *metadata) endpoint(id int32, host string, port int32, rack string) {
	i := m.find(id)
	if i < 0 {
		m.brokers = append(m.brokers, broker{id: id})
		slices.SortFunc(m.brokers, func(a, b broker) int { return int(a.id - b.id) })
		i = m.find(id)
	}
	m.brokers[i] = broker{id: id, host: host, port: port, rack: rack}
	m.version++
	m.net.address(id, host, port)
}
