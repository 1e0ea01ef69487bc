// Package invariant watches a simulated cluster from where nobody in it can
// stand: it sees every node at once, after every step, and states which of
// Kafka's internal promises has been broken, when and by whom.
//
// It owns the rules about the inside of the cluster: leaders and epochs, high
// watermarks and in-sync replicas, the contents of replicas, the controllers'
// quorum. What clients see is linearizability's. It changes nothing, draws no
// random number, and reads nodes through their accessors only.
//
// A rule that cries wolf is worse than none, so each states in its comment when
// it does not apply. Two words recur. A broker acts when its own metadata shows
// the registration of its present life: before that it may hold an image in which
// it still leads what it has lost in a crash, and serves nobody. The committed
// end of a partition is the highest high watermark that an acting leader has
// reached; an unclean election resets it.
//
// Liveness is not asserted: a replica that never catches up breaks none of these
// rules. Nor are transactions (last stable offset, markers) and the generations
// of groups, which nodes do not show.
package invariant

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// Node is one server of the cluster.
type Node struct {
	Host       netsim.HostID
	Name       string
	ID         int32 // node id; unique over brokers and controllers
	Controller bool  // else a broker
}

// Config says what is watched.
type Config struct {
	Nodes []Node
	// MinInsyncReplicas is a topic's min.insync.replicas, the least that is in
	// force during the run; nil is 1 for all.
	MinInsyncReplicas func(topic string) int
	// UncleanElection is a topic's unclean.leader.election.enable, true if it is
	// ever on during the run; nil is false for all. Where it is on, Kafka
	// promises nothing across such an election, and nothing is asserted.
	UncleanElection func(topic string) bool
	// Compacted says whether a topic is compacted: then replicas agree on the newest
	// record of each key, not on every batch. Nil is none.
	Compacted func(topic string) bool
	// Resurrects says whether a replica of a compacted topic may have been away for so
	// long that it holds values whose tombstones are gone. Nil is none.
	Resurrects func(topic string) bool
	// FlushBeforeAck says that flush.messages is 1: then all that counts towards
	// the high watermark must be on stable storage.
	FlushBeforeAck bool
	// ProducersExpire says that the run is longer than producer.id.expiration.ms.
	ProducersExpire bool
	// SweepEvery is after how many events all partitions are looked at instead
	// of the touched ones; 0 is SweepEveryDefault.
	SweepEvery uint64
	// Events returns the number of the present event, for violations; nil counts
	// the steps that were observed.
	Events func() uint64
	// Touched is handed every replica that a step has touched, after it has been
	// checked: partition.Manager.TakeTouched gives each only once. May be nil.
	Touched func(h netsim.HostID, p *partition.Partition)
}

const (
	// SweepEveryDefault keeps sweeps below a percent of a run of 1,000 partitions.
	SweepEveryDefault = 1 << 16
	// violationsMax bounds the violations that are kept, violationsPerRule those
	// of one rule: a broken state is seen again with every event.
	violationsMax     = 64
	violationsPerRule = 8
)

// Violation is one broken promise.
type Violation struct {
	Invariant string // the rule's name (see Names)
	Topic     string // empty when it is about the quorum or a node
	Partition int32
	Text      string // who did what, with all values
	Time      clock.Instant
	Event     uint64
}

func (v Violation) String() string {
	where := ""
	if v.Topic != "" {
		where = fmt.Sprintf(" %s-%d", v.Topic, v.Partition)
	}
	return fmt.Sprintf("%s%s: %s (event %d, %v)", v.Invariant, where, v.Text, v.Event, v.Time)
}

// Checker is a sim.Observer. It is not safe for concurrent use.
type Checker struct {
	cfg     Config
	node    func(netsim.HostID) *broker.Node
	hosts   []int32 // index into nodes by host; -1: a client
	byID    []int32 // index into nodes by node id; -1: none
	nodes   []nodeState
	touched []*partition.Partition

	ledgers []*ledger // in the order in which they were first seen
	byTopic map[ledgerKey]*ledger
	byName  []topicLedgers

	newest *meta.Image // the highest committed image that a controller has had
	images [imagesKept]*meta.Image
	terms  [termsKept]termLeader
	// quorumVoid: a controller lost what it had promised to keep. Raft then
	// promises nothing, and no rule that leans on the metadata is asserted.
	quorumVoid bool

	now        clock.Instant
	steps      uint64
	nextSweep  uint64
	violations []Violation
	perRule    [ruleCount]uint64
	total      uint64
	checks     uint64
	rotation   int    // where CompareContents goes on
	window     []byte // into which it reads
}

var _ sim.Observer = (*Checker)(nil)

// nodeState is what is known of one server.
type nodeState struct {
	Node
	process *broker.Node // of the present life; nil when none runs
	life    uint32       // number of the present or last life, from 1
	bootAt  int64        // broker epoch that was registered when this life began
	acts    bool         // registered in this life, and knows it
	image   *meta.Image  // the broker's, when last seen
	files   map[edge.FileID]logFile

	role    controller.Role
	term    int32
	applied int64
	active  bool

	tailLost  bool // unsynced data was lost at least once
	corrupted bool // data was changed behind its back: nothing is asserted of its logs
}

// New returns a checker. node gives the present process of a host, nil if none
// runs (sim.World.Machine).
func New(cfg Config, node func(netsim.HostID) *broker.Node) *Checker {
	if cfg.SweepEvery == 0 {
		cfg.SweepEvery = SweepEveryDefault
	}
	c := &Checker{
		cfg: cfg, node: node, byTopic: make(map[ledgerKey]*ledger),
		newest: meta.Empty(), nextSweep: cfg.SweepEvery,
	}
	for i, n := range cfg.Nodes {
		for int(n.Host) >= len(c.hosts) {
			c.hosts = append(c.hosts, -1)
		}
		c.hosts[n.Host] = int32(i)
		for int(n.ID) >= len(c.byID) {
			c.byID = append(c.byID, -1)
		}
		c.byID[n.ID] = int32(i)
		c.nodes = append(c.nodes, nodeState{Node: n, bootAt: -1})
	}
	return c
}

// Stepped implements sim.Observer: it looks at what this step of a server has
// touched.
func (c *Checker) Stepped(now clock.Instant, h netsim.HostID, _ *edge.Event, e *edge.Effects) {
	c.steps++
	if int(h) >= len(c.hosts) || c.hosts[h] < 0 {
		return
	}
	c.now = now
	s := c.hosts[h]
	n := &c.nodes[s]
	process := c.node(h)
	if process != n.process {
		c.born(n, process)
	}
	if process == nil {
		return
	}
	if n.Controller {
		c.controllerStepped(s, process.Controller())
	} else {
		c.brokerStepped(s, process, e)
	}
	if c.steps >= c.nextSweep {
		c.Sweep()
	}
}

// Changed implements sim.Observer: it notes deaths and what they have cost.
func (c *Checker) Changed(now clock.Instant, h netsim.HostID, state sim.State, why string) {
	if int(h) >= len(c.hosts) || c.hosts[h] < 0 {
		return
	}
	c.now = now
	n := &c.nodes[c.hosts[h]]
	switch state {
	case sim.Off:
		c.born(n, nil)
		if !n.Controller && !c.cfg.FlushBeforeAck {
			n.tailLost = true
		}
	case sim.Exited:
		c.born(n, nil)
	}
}

// born begins a life, or ends one if there is no process.
func (c *Checker) born(n *nodeState, process *broker.Node) {
	n.process, n.acts, n.image = process, false, nil
	n.role, n.term, n.applied, n.active = controller.Unattached, 0, -1, false
	clear(n.files)
	if process == nil {
		return
	}
	n.life++
	n.bootAt = -1
	if b := c.newest.Broker(n.ID); b != nil {
		n.bootAt = b.Epoch
	}
}

// LostTail says that a host has lost writes that it had not synced, or its whole
// disk, other than by sim.World.PowerLoss, which is noticed without this call:
// after a failed sync, say. Kafka handles it on brokers (KIP-966). A
// controller's log is always synced: one that loses it voids the quorum's rules.
func (c *Checker) LostTail(h netsim.HostID) {
	n := &c.nodes[c.hosts[h]]
	n.tailLost = true
	c.quorumVoid = c.quorumVoid || n.Controller
}

// Corrupted says that data at rest was changed: a bit flip, a torn write behind
// a sync. Kafka finds it only when it reads, so nothing is asserted about this
// host's logs any more; a corrupted controller voids the quorum's rules.
func (c *Checker) Corrupted(h netsim.HostID) {
	n := &c.nodes[c.hosts[h]]
	n.tailLost, n.corrupted = true, true
	c.quorumVoid = c.quorumVoid || n.Controller
}

// Violations returns the first ones of each rule, in the order of events; the
// slice is the checker's own.
func (c *Checker) Violations() []Violation { return c.violations }

// Total counts all violations, those that were not kept included.
func (c *Checker) Total() uint64 { return c.total }

// Checks counts the replicas, images and controllers that were looked at: a run
// with none has shown nothing.
func (c *Checker) Checks() uint64 { return c.checks }

// violated notes a violation; l is nil when it is about no partition.
func (c *Checker) violated(r rule, l *ledger, format string, args ...any) {
	c.total++
	c.perRule[r]++
	if len(c.violations) >= violationsMax || c.perRule[r] > violationsPerRule {
		return
	}
	v := Violation{Invariant: r.String(), Partition: -1, Text: fmt.Sprintf(format, args...), Time: c.now, Event: c.steps}
	if c.cfg.Events != nil {
		v.Event = c.cfg.Events()
	}
	if l != nil {
		v.Topic, v.Partition = l.key.Topic, l.key.Index
	}
	c.violations = append(c.violations, v)
}
