// Package group owns the classic group protocol of Kafka 4.4: who is a member of
// which group, which generation a group is in, what each member is assigned,
// and what has been committed. A group lives with the leader of the partition of
// __consumer_offsets that its name hashes to; what must outlive that leader is
// in the partition's log, in Kafka's own formats.
//
// It never assigns partitions (a member does, KIP-41), looks into a member's
// subscription for OffsetDelete only, and never reads or writes any other topic. Joins, syncs
// and heartbeats live in memory only, as in Kafka: the log learns of a group
// when a generation's assignment is known and when its last member has gone.
package group

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetsTopic is the log of the group coordinators.
const offsetsTopic = "__consumer_offsets"

// Kinds of timer.
const (
	timerSession = coordinator.FirstTimer + iota // B: a member's or pending member's serial
	timerJoin                                    // B: a group's serial
	timerSync                                    // B: a group's serial
	timerExpiry                                  // A: a shard
)

// Manager is the group coordinator of one broker.
type Manager struct {
	cfg       config.Broker
	responder conn.Responder
	runtime   *coordinator.Runtime[op]
	gate      *security.Gate
	image     *meta.Image
	shards    map[int32]*shard
	groups    map[uint64]*group // by serial, all shards
	sessions  map[uint64]session
	serial    uint64 // of the last group, member or pending member
	records   coordinator.Records
}

// shard is the groups of one partition of the log.
type shard struct {
	index  int32
	store  store
	groups map[string]*group
}

// session is whom a session timer is about.
type session struct {
	group  *group
	member *member // nil for a pending member
}

// NewManager returns a coordinator that leads no group yet.
func NewManager(cfg config.Broker, partitions *partition.Manager, responder conn.Responder) *Manager {
	return newManager(cfg, replicas{partitions}, responder)
}

func newManager(cfg config.Broker, l coordinator.Log, responder conn.Responder) *Manager {
	m := &Manager{
		cfg: cfg, responder: responder, image: meta.Empty(),
		shards: make(map[int32]*shard), groups: make(map[uint64]*group), sessions: make(map[uint64]session),
	}
	m.runtime = coordinator.New[op](coordinator.Config{
		Owner: step.OwnerGroup, Topic: offsetsTopic,
		WriteTimeout: time.Duration(cfg.OffsetsCommitTimeoutMillis) * time.Millisecond,
		Bugs:         cfg.Bugs,
	}, l, m)
	return m
}

// SetGate names who decides what clients may do to groups; nil lets everybody.
func (m *Manager) SetGate(g *security.Gate) { m.gate = g }

// mayGroup asks whether the sender of a request may do something to a group.
func (m *Manager) mayGroup(r *conn.Request, operation acl.Operation, group string) bool {
	return m.gate.May(r.Session, operation, acl.Group, group)
}

// mayTopic asks whether it may do something to a topic.
func (m *Manager) mayTopic(r *conn.Request, operation acl.Operation, topic string) bool {
	return m.gate.May(r.Session, operation, acl.Topic, topic)
}

// Apply takes up and gives up coordinator shards as the metadata says, and
// forgets what was committed for topics that are no more. Call it after the
// partitions have seen the image.
func (m *Manager) Apply(c *step.Context, old, image *meta.Image) {
	m.image = image
	m.runtime.Apply(c, image)
	m.topicsDeleted(c, old, image)
}

// Settle handles what the partitions have decided; it tells whether there was
// anything.
func (m *Manager) Settle(c *step.Context) bool { return m.runtime.Settle(c) }

// Timer handles a deadline.
func (m *Manager) Timer(c *step.Context, id timer.ID) {
	if m.runtime.Timer(c, id) {
		return
	}
	switch id.Kind {
	case timerSession:
		m.sessionExpired(c, id.B)
	case timerJoin:
		if g := m.groups[id.B]; g != nil {
			m.joinTimeout(c, g)
		}
	case timerSync:
		if g := m.groups[id.B]; g != nil {
			m.syncTimeout(c, g)
		}
	case timerExpiry:
		m.expire(c, int32(id.A))
	}
}

// PartitionFor returns the partition of __consumer_offsets that holds a group,
// of n partitions: the absolute value of Java's String.hashCode, and 0 for the
// one hash that has none, as in Kafka's Utils.abs.
func PartitionFor(group string, n int) int32 {
	var h int32
	for _, r := range group {
		if r > 0xffff { // two UTF-16 code units, as Java counts
			r -= 0x10000
			h = 31*h + 0xd800 + r>>10
			h = 31*h + 0xdc00 + r&0x3ff
			continue
		}
		h = 31*h + r
	}
	switch {
	case h == math.MinInt32:
		h = 0
	case h < 0:
		h = -h
	}
	return h % int32(n)
}

// find returns the active shard of a group, or the code for the client.
func (m *Manager) find(group string) (*shard, int16) {
	topic := m.image.Topic(offsetsTopic)
	if topic == nil {
		return nil, errNotCoordinator
	}
	index := PartitionFor(group, len(topic.Partitions))
	if code := m.runtime.Check(index); code != errNone {
		return nil, code
	}
	return m.shards[index], errNone
}

// newGroup makes a group that nobody has joined yet.
func (m *Manager) newGroup(c *step.Context, s *shard, id string) *group {
	m.serial++
	g := &group{id: id, serial: m.serial, shard: s, since: c.Wall}
	s.groups[id] = g
	m.groups[g.serial] = g
	return g
}

// forget removes a group from memory. Whoever waits for it has been answered.
func (m *Manager) forget(c *step.Context, g *group) {
	g.enter(Dead, c.Wall)
	for _, mb := range g.members {
		m.endSession(c, mb.serial)
	}
	for _, p := range g.pending {
		m.endSession(c, p.serial)
	}
	c.Timers.Cancel(groupTimer(timerJoin, g))
	c.Timers.Cancel(groupTimer(timerSync, g))
	delete(m.groups, g.serial)
	delete(g.shard.groups, g.id)
}

func groupTimer(kind uint8, g *group) timer.ID {
	return timer.ID{Owner: step.OwnerGroup, Kind: kind, B: g.serial}
}

func sessionTimer(serial uint64) timer.ID {
	return timer.ID{Owner: step.OwnerGroup, Kind: timerSession, B: serial}
}

// startSession makes the member due within its session timeout, or later than
// that for one that cannot know its id yet.
func (m *Manager) startSession(c *step.Context, g *group, mb *member, within time.Duration) {
	m.sessions[mb.serial] = session{g, mb}
	c.Timers.Set(sessionTimer(mb.serial), c.Now.Add(within))
}

func (m *Manager) heardFrom(c *step.Context, g *group, mb *member) {
	m.startSession(c, g, mb, mb.sessionTimeout)
}

func (m *Manager) endSession(c *step.Context, serial uint64) {
	delete(m.sessions, serial)
	c.Timers.Cancel(sessionTimer(serial))
}

// decode reads a request's body; if it cannot be read the connection is closed,
// as Kafka does, and false returned.
func (m *Manager) decode(c *step.Context, r *conn.Request, into kmsg.Request) bool {
	into.SetVersion(r.Version)
	if err := into.ReadFrom(r.Body); err != nil {
		c.Logf(edge.Warn, "closing connection of %s: %s version %d: %v", r.Peer, kmsg.NameForKey(r.Key), r.Version, err)
		m.responder.Disconnect(c, r.ID)
		return false
	}
	return true
}

// sorted returns the shard's groups by name.
func (s *shard) sorted() []*group {
	//lint:maporder group ids are unique, so the comparison is never a tie
	return slices.SortedFunc(maps.Values(s.groups), func(a, b *group) int { return cmp.Compare(a.id, b.id) })
}
