// Package partition owns the broker's replicas: who leads, the in-sync set, the
// high watermark, the requests that wait for either, and the fetchers that copy
// other brokers' partitions. It is Kafka's ReplicaManager, Partition, purgatories
// and replica fetchers in one room.
//
// It never touches a file (broker/log does), never parses a client's request
// (broker/api does) and never chooses a leader (broker/controller does).
package partition

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Answerer receives decided requests, to encode and send their answers. The
// argument is valid during the call only: the manager reuses it afterwards.
type Answerer interface {
	AnswerProduce(c *step.Context, p *Produce)
	// AnswerFetch owns one reference to every buffer in the results' records.
	AnswerFetch(c *step.Context, f *Fetch)
	AnswerListOffsets(c *step.Context, l *ListOffsets)
	AnswerDeleteRecords(c *step.Context, d *DeleteRecords)
}

// Manager holds every replica of one broker.
type Manager struct {
	cfg         config.Broker
	brokerID    int32
	brokerEpoch int64
	logs        *log.Manager
	sender      caller.Sender
	answerer    Answerer
	gate        *security.Gate

	image      *meta.Image
	partitions []*Partition // sorted by topic, index
	byLog      []*Partition // by log.Log.Number; nil where there is none
	topicNames map[meta.TopicID]*meta.Topic
	replicas   replicaIndex
	// topology changes whenever a partition comes or goes, so that what has
	// been looked up once is looked up again.
	topology uint32

	alter    alterQueue
	produces produceTable
	fetches  fetchTable
	sessions sessionCache
	lists    listTable
	deletes  deleteTable
	fetchers []*fetcher // sorted by leader
	internal internalQueue
	probes   probeTable

	traffic    Traffic
	isrChanges ISRChanges
	touched    []*Partition // changed since TakeTouched
	scratch    record.Scratch
	squeeze    []byte // recompressed batch
}

// NewManager makes the manager of a broker that holds no replica yet.
func NewManager(cfg config.Broker, brokerID int32, logs *log.Manager, sender caller.Sender) *Manager {
	m := &Manager{
		cfg: cfg, brokerID: brokerID, brokerEpoch: -1, logs: logs, sender: sender,
		image:      &meta.Image{Offset: -1},
		topicNames: make(map[meta.TopicID]*meta.Topic),
	}
	m.sessions.init(int(cfg.MaxIncrementalFetchSessionCacheSlots))
	return m
}

// SetAnswerer names who encodes answers; it must be set before any request.
func (m *Manager) SetAnswerer(a Answerer) { m.answerer = a }

// SetConfig takes up changed dynamic properties. Apply, with the image that
// brought them, passes them on to the replicas of topics that inherit them.
func (m *Manager) SetConfig(cfg config.Broker) { m.cfg = cfg }

// SetGate names who decides what a client may produce to and fetch from; nil
// lets everybody.
func (m *Manager) SetGate(g *security.Gate) { m.gate = g }

// SetBrokerEpoch tells the epoch of this broker's registration, which goes with
// every replica fetch and AlterPartition (KIP-903).
func (m *Manager) SetBrokerEpoch(epoch int64) { m.brokerEpoch = epoch }

// Start arms the periodic work: the check of the in-sync sets.
func (m *Manager) Start(c *step.Context) {
	c.Timers.Set(timer.ID{Owner: step.OwnerPartition, Kind: timerShrink}, c.Now.Add(m.shrinkInterval()))
}

// shrinkInterval is half of replica.lag.time.max.ms, so that a replica is out of
// the ISR at most one and a half times that after it was last caught up.
func (m *Manager) shrinkInterval() time.Duration {
	return max(clock.Span(m.cfg.ReplicaLagTimeMaxMillis, time.Millisecond)/2, time.Millisecond)
}

// The kinds of timer under step.OwnerPartition and step.OwnerFetcher, and of
// token in calls.
const (
	timerShrink  uint8 = iota + 1 // look for replicas that lag
	timerProduce                  // A: slot of a Produce that waits
	timerFetch                    // A: slot of a Fetch that waits
	timerAlter                    // send AlterPartition again
	timerFetcher                  // B: leader id; a fetcher's back-off ends
	timerDelete                   // A: serial of a DeleteRecords that waits
	tokenAlter
	tokenFetch     // A: generation, B: leader id
	tokenEndOffset // A: probe id
)

// Timer handles a due timer of step.OwnerPartition or step.OwnerFetcher.
func (m *Manager) Timer(c *step.Context, id timer.ID) {
	switch id.Kind {
	case timerShrink:
		m.Start(c)
		for _, p := range m.partitions {
			m.maybeShrink(c, p)
		}
	case timerProduce:
		m.produceTimeout(c, id.A)
	case timerFetch:
		m.fetchTimeout(c, id.A)
	case timerAlter:
		m.sendAlter(c)
	case timerDelete:
		m.deleteTimeout(c, id.A)
	case timerFetcher:
		m.fetcherTimer(c, int32(id.B))
	}
	m.settle(c)
}

// Reply handles the end of a call sent with step.OwnerPartition or
// step.OwnerFetcher.
func (m *Manager) Reply(c *step.Context, r *caller.Reply) {
	switch r.Token.Kind {
	case tokenAlter:
		m.alterReply(c, r)
	case tokenFetch:
		m.fetchReply(c, r)
	case tokenEndOffset:
		m.listReply(c, r)
	}
	m.settle(c)
}

// LogChanges handles what happened to the logs since the last call. The node
// calls it after every event that may have reached the log manager.
func (m *Manager) LogChanges(c *step.Context, changes []log.Change) {
	for i := range changes {
		p := m.ofLog(changes[i].Log)
		if p == nil {
			continue // being deleted
		}
		m.touch(p)
		switch changes[i].Kind {
		case log.EndOffsetMoved:
			m.endOffsetMoved(c, p)
		case log.Truncated:
			m.truncated(c, p)
			p.wake(m)
		case log.Loaded, log.StartOffsetMoved:
			p.wake(m)
		}
	}
	m.settle(c)
}

// settle re-examines the requests that were woken and sends what became due.
// Every public entry ends with it, so that one event's changes are seen at once.
func (m *Manager) settle(c *step.Context) {
	m.retryWoken(c)
	m.retryDeletes(c)
	if m.alter.dirty && !m.alter.inFlight {
		m.sendAlter(c)
	}
	for _, f := range m.fetchers {
		if f.due {
			m.fetchNext(c, f)
		}
	}
}

// Get returns the replica of a partition, or nil.
func (m *Manager) Get(key log.Partition) *Partition { return m.replicas.get(key.Topic, key.Index) }

// ofLog returns the replica that a log belongs to; nil if it is being deleted.
func (m *Manager) ofLog(l *log.Log) *Partition {
	if n := int(l.Number()); n < len(m.byLog) {
		return m.byLog[n]
	}
	return nil
}

// Partitions returns every replica, sorted by topic and index; the slice is the
// manager's own.
func (m *Manager) Partitions() []*Partition { return m.partitions }

// Leaders counts the partitions led by this broker: a controlled shutdown waits
// until there are none.
func (m *Manager) Leaders() int {
	n := 0
	for _, p := range m.partitions {
		if p.role == Leader {
			n++
		}
	}
	return n
}

// TakeTouched appends the replicas whose role, epochs, ISR, offsets or high
// watermark may have changed since the last call; each once. Whoever never calls
// it pays nothing: the list is bounded by the number of replicas.
func (m *Manager) TakeTouched(dst []*Partition) []*Partition {
	for i, p := range m.touched {
		p.touched = false
		dst = append(dst, p)
		m.touched[i] = nil
	}
	m.touched = m.touched[:0]
	return dst
}

func (m *Manager) touch(p *Partition) {
	if !p.touched {
		p.touched = true
		m.touched = append(m.touched, p)
	}
}

// find returns the position of key in m.partitions, or where it belongs.
func (m *Manager) find(key log.Partition) (int, bool) {
	return slices.BinarySearchFunc(m.partitions, key, func(p *Partition, key log.Partition) int {
		return compareKeys(p.key, key)
	})
}

func compareKeys(a, b log.Partition) int {
	if d := strings.Compare(a.Topic, b.Topic); d != 0 {
		return d
	}
	return int(a.Index) - int(b.Index)
}

// Resolve returns the topic that a request names by id, or nil.
func (m *Manager) Resolve(id meta.TopicID) *meta.Topic {
	if t := m.replicas.topic; t != nil && t.ID == id {
		return t
	}
	t := m.topicNames[id]
	if t != nil {
		m.replicas.topic = t
	}
	return t
}

// Image is the metadata that the replicas act upon.
func (m *Manager) Image() *meta.Image { return m.image }

// waitFrom turns a client's milliseconds into a deadline.
func waitFrom(now clock.Instant, ms int32) clock.Instant {
	return now.Add(time.Duration(max(ms, 0)) * time.Millisecond)
}

// release gives up the references of slices that will not be sent.
func release(slices []edge.Slice) {
	for i := range slices {
		slices[i].Buffer.Release()
		slices[i] = edge.Slice{}
	}
}
