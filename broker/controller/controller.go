// Package controller owns the metadata quorum and the controller state machine:
// the raft log under __cluster_metadata-0, the election of the active
// controller, and everything that it alone may decide: registrations, fences,
// leaders, in-sync replicas, topics, configurations, producer ids.
//
// It never moves a byte of a partition's data and never reads a clock or a
// random number other than the step's. Whoever is not the active controller
// answers NOT_CONTROLLER and replays.
package controller

import (
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The private API keys on the controller listener. Their version is 0.
const (
	KeyMetadataFetch int16 = 32000 // meta.FetchRequest, meta.FetchResponse
	KeyRaft          int16 = 32001 // a group of raft messages; the response is empty
)

// Dir is where the quorum's files are, relative to the data directory.
const Dir = "__cluster_metadata-0"

// Queue is the disk queue of the quorum's files. All of their operations are
// in this one queue. Ids begin with their owner's number, as everywhere.
const Queue = edge.QueueID(step.OwnerController) << 24

// firstFile is the first file id that the quorum uses; each segment takes the
// next one.
const firstFile = edge.FileID(step.OwnerController) << 24

// Voter is one node of the quorum.
type Voter struct {
	ID   int32
	Host string
	Port int32
}

// Config is what a controller is told once.
type Config struct {
	NodeID    int32
	ClusterID string
	Voters    []Voter          // the same on every node, this one included
	Listener  string           // the name of the quorum's listener
	Users     []meta.ScramUser // of a new cluster
	Broker    config.Broker    // the cluster's defaults
	Overrides []config.KV      // Broker as it was written, for CreateTopics' answer
	// InFlightBytes is the memory for requests; see wire.StructureBytesMax.
	InFlightBytes int64
}

// Role is a node's place in the quorum.
type Role uint8

// The roles, in KRaft's words.
const (
	Unattached Role = iota // no leader is known
	Follower
	Candidate // also a prospective one (pre-vote)
	Leader
)

func (r Role) String() string { return [...]string{"unattached", "follower", "candidate", "leader"}[r] }

// Controller is one node of the quorum. Its parts:
//
//	quorum   the raft node and its timers           (quorum.go, messages.go)
//	journal  the raft log on disk                   (journal.go, frame.go, recover.go)
//	active   what only the active controller has    (active.go, sessions.go)
//	handlers (head image, request) -> records, response: one file per subject
type Controller struct {
	cfg       Config
	sender    caller.Sender
	responder conn.Responder
	gate      *security.Gate

	quorum  quorum
	journal journal
	image   *meta.Image // committed and applied
	applied int64
	active  *active // nil on all but the active controller
	fetches []metadataFetch
	halted  bool
}

// New returns a controller that waits for Boot.
func New(cfg Config, sender caller.Sender, responder conn.Responder) *Controller {
	k := &Controller{cfg: cfg, sender: sender, responder: responder, image: meta.Empty()}
	k.quorum = quorum{leader: -1, snapshotEntries: snapshotEntriesMax, keptEntries: keptEntries}
	return k
}

// SetGate names who decides what is done for whom; nil lets everybody.
func (k *Controller) SetGate(g *security.Gate) { k.gate = g }

// Boot starts to recover the raft log. Until Ready, requests are refused and
// raft messages dropped.
func (k *Controller) Boot(c *step.Context) { k.boot(c) }

// Ready tells whether the log has been recovered.
func (k *Controller) Ready() bool { return k.quorum.node != nil }

// Role returns this node's place in the quorum.
func (k *Controller) Role() Role { return k.quorum.role }

// Term returns the current raft term, which is the controller epoch.
func (k *Controller) Term() int32 { return int32(k.quorum.term) }

// Applied returns the offset up to which this node has applied the log. After
// a restart it starts at the last snapshot.
func (k *Controller) Applied() int64 { return k.applied }

// Image returns the image at Applied, never nil.
func (k *Controller) Image() *meta.Image { return k.image }

// IsActive tells whether this node is the active controller: it leads the
// quorum and has applied all that was written before its term.
func (k *Controller) IsActive() bool { return k.active != nil }

// ActiveController returns the leader of the quorum as far as this node knows,
// -1 if it knows none.
func (k *Controller) ActiveController() int32 { return k.quorum.leader }

// Disk takes the result of one of the quorum's disk operations.
func (k *Controller) Disk(c *step.Context, r *edge.DiskResult) { k.disk(c, r) }

// Timer takes a due timer.
func (k *Controller) Timer(c *step.Context, id timer.ID) {
	if k.halted || !k.Ready() {
		return
	}
	switch id.Kind {
	case timerElection:
		k.electionTimer(c)
	case timerTick:
		k.tick(c)
	case timerSession:
		k.sessionTimer(c)
	case timerBalance:
		k.balanceTimer(c)
	case timerUnclean:
		k.uncleanTimer(c)
	case timerFetch:
		k.fetchTimer(c)
	}
}

// Handle takes a request from the controller listener. It answers now or, when
// the answer depends on a commit, later.
func (k *Controller) Handle(c *step.Context, r *conn.Request) {
	switch r.Key {
	case KeyRaft, KeyMetadataFetch:
		k.gate.SetBindings(k.image.ACLs)
		if !k.gate.MayCluster(r.Session, acl.ClusterAction) {
			c.Logf(edge.Warn, "controller: closing connection of %s at %s, who may not take part in the quorum", r.Session.Principal, r.Peer)
			k.responder.Disconnect(c, r.ID)
			return
		}
	}
	switch r.Key {
	case int16(kmsg.Envelope):
		k.envelope(c, r)
	case KeyRaft:
		if k.halted || !k.Ready() {
			k.received(c, r)
			return
		}
		k.receive(c, r)
	case KeyMetadataFetch:
		k.fetch(c, r)
	default:
		k.request(c, r)
	}
}
