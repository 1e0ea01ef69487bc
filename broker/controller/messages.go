package controller

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// receive steps the messages of one KeyRaft request. Raft does not need the answer,
// which is empty; the sender's connection does. Without one, nothing but TCP's quarter
// of an hour would tell that it leads to an address where nobody is any more.
func (k *Controller) receive(c *step.Context, r *conn.Request) {
	body := r.Body
	for i := 0; len(body) > 0 && i < raftGroupMax; i++ {
		n, used := binary.Uvarint(body)
		if used <= 0 || n > uint64(len(body)-used) {
			c.Logf(edge.Warn, "metadata log: raft messages from %s are cut short", r.Peer)
			break
		}
		m := new(pb.Message)
		err := proto.Unmarshal(body[used:used+int(n)], m)
		body = body[used+int(n):]
		if err != nil || !k.acceptable(m) {
			c.Logf(edge.Warn, "metadata log: a raft message of type %s from %d to %d by %s is refused: %v", m.GetType(), m.GetFrom(), m.GetTo(), r.Peer, err)
			continue
		}
		k.stepMessage(c, m)
	}
	k.received(c, r) // the frame, and with it the body, is given back
	k.drive(c)
}

func (k *Controller) received(c *step.Context, r *conn.Request) {
	k.responder.RespondEncoded(c, r.ID, edge.Send{Head: k.responder.ResponseHead(r.ID, c.Out.Head())})
}

// acceptable keeps from raft what it would panic about.
func (k *Controller) acceptable(m *pb.Message) bool {
	q := &k.quorum
	if m.GetTo() != raftID(k.cfg.NodeID) || m.GetFrom() == m.GetTo() || !slices.Contains(q.ids, m.GetFrom()) {
		return false
	}
	switch m.GetType() {
	case pb.MsgApp:
		for i, e := range m.GetEntries() {
			if e.GetIndex() != m.GetIndex()+uint64(i)+1 || e.GetType() != pb.EntryNormal {
				return false
			}
		}
		return true
	case pb.MsgSnap:
		s := m.GetSnapshot().GetMetadata()
		return s.GetIndex() > 0 && slices.Equal(s.GetConfState().GetVoters(), q.ids)
	case pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgHeartbeat, pb.MsgHeartbeatResp:
		return true
	}
	return false
}

func (k *Controller) stepMessage(c *step.Context, m *pb.Message) {
	q := &k.quorum
	switch m.GetType() {
	case pb.MsgHeartbeat:
		if last := k.lastIndex(); m.GetCommit() > last {
			k.protest(c, m)
			m.Commit = new(last)
		}
	case pb.MsgApp:
		q.target = max(q.target, m.GetCommit())
	case pb.MsgSnap:
		q.target = max(q.target, m.GetSnapshot().GetMetadata().GetIndex())
	case pb.MsgVote, pb.MsgPreVote:
		if q.fresh && m.GetIndex() > firstIndex {
			return
		}
	}
	// An error says that raft has dropped the message, which a network may do too.
	_ = q.node.Step(m)
	k.observe(c)
	switch m.GetType() {
	case pb.MsgApp, pb.MsgHeartbeat, pb.MsgSnap:
		if q.role == Follower && q.leader == nodeID(m.GetFrom()) && q.term == m.GetTerm() {
			k.armElection(c, true)
		}
	}
}

// protest tells a leader that remembers more of our log than we have, because
// our disk was replaced: raft would never send it again under the same leader.
// An answer from a later term makes it stand for election anew, with no
// assumptions about us. Once per boot is enough.
func (k *Controller) protest(c *step.Context, m *pb.Message) {
	if k.quorum.protested {
		return
	}
	k.quorum.protested = true
	c.Logf(edge.Warn, "metadata log: the leader knows us to have offset %d, we have %d: the disk was replaced",
		m.GetCommit(), k.lastIndex())
	k.send(c, []*pb.Message{{
		Type: pb.MsgAppResp.Enum(), From: m.To, To: m.From, Term: new(m.GetTerm() + 1), Reject: new(true),
	}})
}

// send groups the messages of one Ready by receiver. A snapshot goes its own way: what
// is behind it would not arrive in time.
func (k *Controller) send(c *step.Context, messages []*pb.Message) {
	for _, id := range k.quorum.ids {
		var body, snapshot []byte
		for _, m := range messages {
			if m.GetTo() != id {
				continue
			}
			b := marshal(m)
			to := &body
			if m.GetType() == pb.MsgSnap {
				to = &snapshot
				// Whether it arrives shows in the answer to the next append.
				k.quorum.node.ReportSnapshot(id, raft.SnapshotFinish)
			}
			*to = binary.AppendUvarint(*to, uint64(len(b)))
			*to = append(*to, b...)
		}
		call := caller.Call{To: nodeID(id), Key: KeyRaft, Token: edge.Token{Owner: step.OwnerController}}
		if call.Channel, call.Body = caller.ChannelSnapshot, snapshot; len(snapshot) > 0 {
			k.sender.Send(c, call)
		}
		call.Timeout = millis(k.cfg.Broker.ControllerQuorumRequestTimeoutMillis)
		if call.Channel, call.Body = caller.ChannelRaft, body; len(body) > 0 {
			k.sender.Send(c, call)
		}
	}
}

// silent drops raft's own log lines; observe logs what matters. Panics stay
// panics: they are assertions.
type silent struct{}

func (silent) Debug(...any)                   {}
func (silent) Debugf(string, ...any)          {}
func (silent) Info(...any)                    {}
func (silent) Infof(string, ...any)           {}
func (silent) Warning(...any)                 {}
func (silent) Warningf(string, ...any)        {}
func (silent) Error(...any)                   {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (silent) Fatalf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
func (silent) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (silent) Panicf(format string, v ...any) { panic(fmt.Sprintf(format, v...)) }
