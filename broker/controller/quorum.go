package controller

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

const (
	// ticksPerFetchTimeout divides controller.quorum.fetch.timeout.ms into the
	// leader's ticks. It sends a heartbeat each tick and, after as many ticks
	// without a majority, resigns.
	ticksPerFetchTimeout = 10
	messageBytesMax      = 1 << 20 // of entries in one append
	inflightMessagesMax  = 64
	// raftGroupMax bounds how many messages one request may carry.
	raftGroupMax = 1024
	// snapshotEntriesMax is how many entries a segment collects before the image
	// is written as a checkpoint and a new segment started; MetadataSnapshotBytesMax
	// bounds its size.
	snapshotEntriesMax = 4096
	// keptEntries stay in memory behind a checkpoint, so that a follower that is
	// a little late needs no snapshot.
	keptEntries = 1024
)

// The timers, as timer.ID.Kind.
const (
	timerElection  uint8 = iota + 1
	timerTick            // leader: heartbeats
	timerSession         // active: the earliest broker session ends
	timerBalance         // active: leader.imbalance.check.interval.seconds
	timerUnclean         // active: unclean.leader.election.interval.ms
	timerFetch           // active: the earliest metadata fetch ends its wait
	timerTopicGone       // reserved
)

// persisting says which write the quorum waits for. While it does, no further
// Ready is taken: what raft promises next may depend on it.
type persisting uint8

const (
	persistNothing  persisting = iota
	persistReady               // entries and hard state of a Ready
	persistSnapshot            // a snapshot received from the leader
	persistRoll                // a checkpoint of our own
)

// quorum drives raft. Its own election timer is never ticked, because it is
// seeded from the operating system: only a leader ticks. A follower that has not
// heard from its leader for the fetch timeout forgets it, waits for a time from
// our own random numbers, and campaigns:
//
//	lease --fetch timeout--> campaign --election timeout--> (pre-)candidate
//	  ^----- a message from the leader -----'                    |
//	  ^-----------------------------------------------------------'
type quorum struct {
	node    *raft.RawNode
	storage *raft.MemoryStorage
	ids     []uint64 // of the voters, sorted
	role    Role
	term    uint64
	vote    uint64
	leader  int32 // node id, -1 if unknown
	leased  bool  // the election timer runs for the lease
	hard    *pb.HardState
	// fresh: the log began with nothing in this directory, and nothing proves
	// yet that it is not a replaced disk that held promises. Until it has all
	// that was committed when a leader first wrote to it (target), the node votes
	// only for candidates whose logs are as empty: a new cluster. KRaft tells a
	// replaced disk by its directory id (KIP-853).
	fresh     bool
	target    uint64
	protested bool
	waiting   persisting
	ready     raft.Ready
	// snapshotEntries is snapshotEntriesMax; tests lower it.
	snapshotEntries uint64
	keptEntries     uint64
}

// raftID maps a node id, which may be 0, to raft's, which may not.
func raftID(node int32) uint64 { return uint64(node) + 1 }

func nodeID(id uint64) int32 { return int32(id) - 1 }

// start runs when the journal has been recovered.
func (k *Controller) start(c *step.Context) {
	q := &k.quorum
	v := k.journal.recover
	k.journal.clean(c)
	q.ids = q.ids[:0]
	for _, voter := range k.cfg.Voters {
		q.ids = append(q.ids, raftID(voter.ID))
	}
	slices.Sort(q.ids)
	q.storage = raft.NewMemoryStorage()
	s := v.segment
	must(q.storage.ApplySnapshot(&pb.Snapshot{
		Data: v.snapshot,
		Metadata: &pb.SnapshotMetadata{
			ConfState: &pb.ConfState{Voters: q.ids}, Index: new(s.base.Index), Term: new(s.base.Term),
		},
	}))
	must(q.storage.Append(s.entries))
	q.fresh, k.journal.fresh = s.fresh, s.fresh
	q.hard = s.hard
	if q.hard == nil {
		q.hard = firstHardState()
	}
	last := s.base.Index + uint64(len(s.entries))
	q.hard.Commit = new(min(max(q.hard.GetCommit(), s.base.Index), last))
	must(q.storage.SetHardState(q.hard))
	node, err := raft.NewRawNode(&raft.Config{
		ID: raftID(k.cfg.NodeID), ElectionTick: ticksPerFetchTimeout, HeartbeatTick: 1,
		Storage: q.storage, Applied: s.base.Index,
		MaxSizePerMsg: messageBytesMax, MaxInflightMsgs: inflightMessagesMax,
		CheckQuorum: !k.cfg.Broker.Bugs.Has(bugs.QuorumWithoutCheck), PreVote: !k.cfg.Broker.Bugs.Has(bugs.QuorumWithoutPreVote), DisableProposalForwarding: true, Logger: silent{},
	})
	must(err)
	q.node, q.leader, q.term, q.vote = node, -1, q.hard.GetTerm(), q.hard.GetVote()
	k.applied = int64(s.base.Index)
	c.Logf(edge.Info, "metadata log: recovered up to offset %d, term %d", last, q.term)
	k.armElection(c, false)
	k.drive(c)
}

func must(err error) {
	if err != nil {
		panic(fmt.Sprintf("controller: raft storage: %v", err))
	}
}

func (k *Controller) setTimer(c *step.Context, kind uint8, after time.Duration) {
	c.Timers.Set(timer.ID{Owner: step.OwnerController, Kind: kind}, c.Now.Add(after))
}

func (k *Controller) cancelTimer(c *step.Context, kind uint8) {
	c.Timers.Cancel(timer.ID{Owner: step.OwnerController, Kind: kind})
}

func millis(ms int64) time.Duration { return clock.Span(ms, time.Millisecond) }

// armElection sets the election timer: to the whole fetch timeout after a
// message from the leader, to a random part of the election timeout otherwise.
func (k *Controller) armElection(c *step.Context, lease bool) {
	k.quorum.leased = lease
	if lease {
		k.setTimer(c, timerElection, millis(k.cfg.Broker.ControllerQuorumFetchTimeoutMillis))
		return
	}
	span := k.cfg.Broker.ControllerQuorumElectionTimeoutMillis
	after := time.Duration(0)
	if len(k.quorum.ids) > 1 {
		after = time.Duration(c.Random.Int64N(int64(millis(span)))) + millis(span)/10
	}
	k.setTimer(c, timerElection, after)
}

func (k *Controller) electionTimer(c *step.Context) {
	q := &k.quorum
	if q.role == Leader {
		return
	}
	if q.leased {
		must(q.node.ForgetLeader())
		k.armElection(c, false)
	} else if q.fresh && k.lastIndex() > firstIndex {
		k.armElection(c, false) // it may lack what was committed
	} else {
		must(q.node.Campaign())
		k.armElection(c, false)
		if at, ok := c.Timers.Pending(timer.ID{Owner: step.OwnerController, Kind: timerElection}); ok {
			// A round takes the election timeout before the next one may begin.
			c.Timers.Set(timer.ID{Owner: step.OwnerController, Kind: timerElection},
				at.Add(millis(k.cfg.Broker.ControllerQuorumElectionTimeoutMillis)))
		}
	}
	k.drive(c)
}

func (k *Controller) tickInterval() time.Duration {
	return millis(k.cfg.Broker.ControllerQuorumFetchTimeoutMillis) / ticksPerFetchTimeout
}

func (k *Controller) tick(c *step.Context) {
	if k.quorum.role != Leader {
		return
	}
	k.setTimer(c, timerTick, k.tickInterval())
	k.quorum.node.Tick()
	k.drive(c)
}

// lastIndex is the end of the stable log.
func (k *Controller) lastIndex() uint64 {
	last, err := k.quorum.storage.LastIndex()
	must(err)
	return last
}

// observe looks for a change of role after every step of raft.
func (k *Controller) observe(c *step.Context) {
	q := &k.quorum
	s := q.node.BasicStatus()
	role, leader := Unattached, int32(-1)
	switch s.RaftState {
	case raft.StateLeader:
		role = Leader
	case raft.StateCandidate, raft.StatePreCandidate:
		role = Candidate
	default:
		if s.Lead != raft.None {
			role = Follower
		}
	}
	if s.Lead != raft.None {
		leader = nodeID(s.Lead)
	}
	term, vote := s.GetTerm(), s.GetVote()
	if term > math.MaxInt32 {
		panic(fmt.Sprintf("controller: term %d does not fit a controller epoch", term))
	}
	was := *q
	q.role, q.leader, q.term, q.vote = role, leader, term, vote
	if k.active != nil && (role != Leader || term != uint64(k.active.term)) {
		k.resign(c)
	}
	if was.role == role && was.term == term && was.leader == leader && was.vote == vote {
		return
	}
	switch {
	case role == Leader:
		if was.role != Leader || was.term != term {
			k.cancelTimer(c, timerElection)
			k.setTimer(c, timerTick, k.tickInterval())
		}
	case role == Follower:
		k.armElection(c, true)
	case role == Unattached && (was.role != Unattached || was.term != term || was.vote != vote):
		k.armElection(c, false)
		k.cancelTimer(c, timerTick)
	}
	if role != Leader {
		k.cancelTimer(c, timerTick)
	}
	if was.role != role || was.term != term {
		c.Logf(edge.Info, "metadata quorum: %s at term %d, leader %d", role, term, leader)
	}
}

// drive takes Readys until there is none or one waits for the disk.
func (k *Controller) drive(c *step.Context) {
	q := &k.quorum
	for {
		k.observe(c)
		if k.halted || q.waiting != persistNothing || !q.node.HasReady() {
			return
		}
		rd := q.node.Ready()
		if !raft.IsEmptyHardState(rd.HardState) {
			q.hard = proto.Clone(rd.HardState).(*pb.HardState)
		}
		switch {
		case !raft.IsEmptySnap(rd.Snapshot):
			q.waiting, q.ready = persistSnapshot, rd
			k.catchUp(&rd)
			k.journal.roll(c, q.fresh, rd.Snapshot, q.hard, rd.Entries)
			return
		case rd.MustSync:
			q.waiting, q.ready = persistReady, rd
			k.catchUp(&rd)
			k.journal.append(c, q.fresh, rd.HardState, rd.Entries, k.cfg.Broker.Bugs)
			return
		}
		k.finish(c, rd)
	}
}

// persisted continues after the write that was waited for.
func (k *Controller) persisted(c *step.Context) {
	q := &k.quorum
	waited, rd := q.waiting, q.ready
	q.waiting, q.ready = persistNothing, raft.Ready{}
	switch waited {
	case persistSnapshot:
		image, err := meta.DecodeImage(rd.Snapshot.GetData())
		if err != nil {
			k.halt(c, "metadata log: snapshot from the leader: %v", err)
			return
		}
		must(q.storage.ApplySnapshot(rd.Snapshot))
		k.image, k.applied = image, int64(rd.Snapshot.GetMetadata().GetIndex())
		k.finish(c, rd)
	case persistReady:
		k.finish(c, rd)
	case persistRoll:
		k.compact()
	}
	k.drive(c)
}

// finish does what a Ready promises once it is on disk: remember, send, apply.
func (k *Controller) finish(c *step.Context, rd raft.Ready) {
	q := &k.quorum
	must(q.storage.Append(rd.Entries))
	if !raft.IsEmptyHardState(rd.HardState) {
		must(q.storage.SetHardState(rd.HardState))
	}
	k.send(c, rd.Messages)
	for _, e := range rd.CommittedEntries {
		k.apply(c, e)
		if k.halted {
			return
		}
	}
	q.node.Advance(rd)
	k.observe(c)
	k.committed(c)
	k.maybeRoll(c)
}

// catchUp ends freshness with the frame that is about to be written, so that a
// restart finds both or neither: when a majority has elected this node, or when
// the log will have all that was ever committed. An entry of the leader's own
// term comes after all that earlier leaders committed, and of its own commits
// the leader tells.
func (k *Controller) catchUp(rd *raft.Ready) {
	q := &k.quorum
	if !q.fresh {
		return
	}
	var last, term uint64
	if s := rd.Snapshot.GetMetadata(); s.GetIndex() > 0 {
		last, term = s.GetIndex(), s.GetTerm()
	} else if n := len(rd.Entries); n > 0 {
		last, term = rd.Entries[n-1].GetIndex(), rd.Entries[n-1].GetTerm()
	} else {
		last = k.lastIndex()
		var err error
		term, err = q.storage.Term(last)
		must(err)
	}
	q.fresh = q.role != Leader && (q.role != Follower || q.target == 0 || last < q.target || term != q.term)
}

// apply replays one committed entry.
func (k *Controller) apply(c *step.Context, e *pb.Entry) {
	offset := int64(e.GetIndex())
	if offset <= k.applied {
		panic(fmt.Sprintf("controller: entry %d applied after %d", offset, k.applied))
	}
	if image := k.active.speculated(offset); image != nil {
		k.image = image
	} else {
		var records []meta.Record
		if len(e.GetData()) > 0 {
			var err error
			if records, err = meta.DecodeRecords(e.GetData()); err != nil {
				k.halt(c, "metadata log: offset %d: %v", offset, err)
				return
			}
		}
		k.image = k.image.Apply(records, offset, int32(e.GetTerm()))
	}
	k.applied = offset
	if k.active == nil && k.quorum.role == Leader && e.GetTerm() == k.quorum.term && len(e.GetData()) == 0 {
		k.activate(c)
	}
}

// maybeRoll starts a new segment when the live one has become long. Everything
// after the checkpoint moves to the new segment.
func (k *Controller) maybeRoll(c *step.Context) {
	q := &k.quorum
	after := uint64(k.applied) - k.journal.id.Index
	if q.waiting != persistNothing || after == 0 ||
		after < q.snapshotEntries && k.journal.end < k.cfg.Broker.MetadataSnapshotBytesMax {
		return
	}
	snap, err := q.storage.CreateSnapshot(uint64(k.applied), nil, k.image.AppendTo(nil))
	must(err)
	var entries []*pb.Entry
	if last := k.lastIndex(); last > uint64(k.applied) {
		entries, err = q.storage.Entries(uint64(k.applied)+1, last+1, math.MaxUint64)
		must(err)
	}
	q.waiting = persistRoll
	k.journal.roll(c, q.fresh, snap, q.hard, entries)
}

// compact forgets entries that are behind the checkpoint by more than some.
func (k *Controller) compact() {
	q := &k.quorum
	first, err := q.storage.FirstIndex()
	must(err)
	if at := k.journal.id.Index; at > q.keptEntries && at-q.keptEntries >= first {
		must(q.storage.Compact(at - q.keptEntries))
	}
}
