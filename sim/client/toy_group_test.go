package client

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// toyGroups is one group coordinator, on broker 1, and the fetch sessions.
type toyGroups struct {
	state      string // "", joining, syncing, stable
	generation int32
	next       int
	members    []*toyMember
	leader     string
	protocol   string
	closesAt   clock.Instant
	offsets    map[string]int64
	sessions   map[int32]*toySession
	nextID     int32
	ticking    bool
}

type toyMember struct {
	id         string
	protocols  []kmsg.JoinGroupRequestProtocol
	join, sync *toyWait
	assignment []byte
	deadline   clock.Instant
}

type toyWait struct {
	conn        edge.ConnID
	correlation int32
	resp        kmsg.Response
}

type toySession struct {
	epoch   int32
	broker  int
	offsets map[[2]int32]int64 // topic number, partition
}

func (w *toy) send(x *toyWait) { w.reply(x.conn, wire.AppendResponse(nil, x.correlation, x.resp)) }

func (g *toyGroups) member(id string) *toyMember {
	for _, m := range g.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (w *toy) serveConsumer(conn edge.ConnID, _ *toyConn, correlation int32, r kmsg.Request, resp kmsg.Response) bool {
	g := &w.groups
	wait := &toyWait{conn, correlation, resp}
	switch r := r.(type) {
	case *kmsg.FindCoordinatorRequest:
		a := resp.(*kmsg.FindCoordinatorResponse)
		x := kmsg.NewFindCoordinatorResponseCoordinator()
		x.NodeID, x.Host, x.Port, x.Key = 1, "broker-1", 9092, r.CoordinatorKeys[0]
		a.Coordinators = append(a.Coordinators, x)
	case *kmsg.JoinGroupRequest:
		w.joinGroup(r, wait)
		return true
	case *kmsg.SyncGroupRequest:
		w.syncGroup(r, wait)
		return true
	case *kmsg.HeartbeatRequest:
		m := g.member(r.MemberID)
		switch a := resp.(*kmsg.HeartbeatResponse); {
		case m == nil:
			a.ErrorCode = codeUnknownMember
		case r.Generation != g.generation:
			a.ErrorCode = codeIllegalGeneration
		case g.state == "joining":
			a.ErrorCode = codeRebalanceInProgress
		}
		if m != nil {
			m.deadline = w.now.Add(45 * time.Second)
		}
	case *kmsg.LeaveGroupRequest:
		for i := range r.Members {
			w.removeMember(r.Members[i].MemberID)
		}
	case *kmsg.OffsetCommitRequest:
		w.offsetCommit(r, resp.(*kmsg.OffsetCommitResponse))
	case *kmsg.OffsetFetchRequest:
		a := resp.(*kmsg.OffsetFetchResponse)
		x := kmsg.NewOffsetFetchResponseGroup()
		x.Group = r.Groups[0].Group
		for i := range r.Groups[0].Topics {
			t := kmsg.NewOffsetFetchResponseGroupTopic()
			t.Topic = r.Groups[0].Topics[i].Topic
			for _, p := range r.Groups[0].Topics[i].Partitions {
				y := kmsg.NewOffsetFetchResponseGroupTopicPartition()
				y.Partition, y.Offset = p, -1
				if at, ok := g.offsets[fmt.Sprint(t.Topic, p)]; ok {
					y.Offset = at
				}
				t.Partitions = append(t.Partitions, y)
			}
			x.Topics = append(x.Topics, t)
		}
		a.Groups = append(a.Groups, x)
	case *kmsg.ListOffsetsRequest:
		a := resp.(*kmsg.ListOffsetsResponse)
		for i := range r.Topics {
			t := kmsg.NewListOffsetsResponseTopic()
			t.Topic = r.Topics[i].Topic
			for _, q := range r.Topics[i].Partitions {
				y := kmsg.NewListOffsetsResponseTopicPartition()
				y.Partition, y.Offset = q.Partition, 0
				if q.Timestamp == listLatest {
					y.Offset = w.topics[t.Topic].partitions[q.Partition].end
				}
				t.Partitions = append(t.Partitions, y)
			}
			a.Topics = append(a.Topics, t)
		}
	case *kmsg.OffsetForLeaderEpochRequest:
		a := resp.(*kmsg.OffsetForLeaderEpochResponse)
		for i := range r.Topics {
			t := kmsg.NewOffsetForLeaderEpochResponseTopic()
			t.Topic = r.Topics[i].Topic
			for _, q := range r.Topics[i].Partitions {
				y := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				y.Partition, y.LeaderEpoch = q.Partition, q.LeaderEpoch
				p := w.topics[t.Topic].partitions[q.Partition]
				y.EndOffset = 0
				for _, b := range p.batches {
					if b.LeaderEpoch() <= q.LeaderEpoch {
						y.EndOffset, y.LeaderEpoch = b.NextOffset(), b.LeaderEpoch()
					}
				}
				t.Partitions = append(t.Partitions, y)
			}
			a.Topics = append(a.Topics, t)
		}
	default:
		return false
	}
	w.send(wait)
	return true
}

// expireMembers removes those whose session is over, every second.
func (w *toy) expireMembers() {
	for _, m := range slices.Clone(w.groups.members) {
		if m.deadline < w.now && m.deadline > 0 {
			w.removeMember(m.id)
		}
	}
	w.push(toyEvent{at: w.now.Add(time.Second), call: w.expireMembers})
}

func (w *toy) removeMember(id string) {
	g := &w.groups
	if g.member(id) == nil {
		return
	}
	g.members = slices.DeleteFunc(g.members, func(m *toyMember) bool { return m.id == id })
	w.rebalance()
}

func (w *toy) rebalance() {
	g := &w.groups
	for _, m := range g.members {
		if m.sync != nil {
			m.sync.resp.(*kmsg.SyncGroupResponse).ErrorCode = codeRebalanceInProgress
			w.send(m.sync)
			m.sync = nil
		}
	}
	if g.state != "joining" {
		g.state, g.closesAt = "joining", w.now.Add(5*time.Second)
		w.push(toyEvent{at: g.closesAt, call: w.closeJoin})
	}
	w.tryJoin()
}

// closeJoin ends a rebalance without those who have not joined again.
func (w *toy) closeJoin() {
	g := &w.groups
	if g.state == "joining" && w.now >= g.closesAt {
		g.members = slices.DeleteFunc(g.members, func(m *toyMember) bool { return m.join == nil })
		w.tryJoin()
	}
}

func (w *toy) joinGroup(r *kmsg.JoinGroupRequest, wait *toyWait) {
	g := &w.groups
	a := wait.resp.(*kmsg.JoinGroupResponse)
	if r.MemberID == "" {
		g.next++
		m := &toyMember{id: fmt.Sprintf("m%d", g.next)}
		g.members = append(g.members, m)
		a.ErrorCode, a.MemberID = codeMemberIDRequired, m.id
		w.send(wait)
		return
	}
	m := g.member(r.MemberID)
	if m == nil {
		a.ErrorCode = codeUnknownMember
		w.send(wait)
		return
	}
	m.protocols, m.join = r.Protocols, wait
	m.deadline = w.now.Add(45 * time.Second)
	if !g.ticking {
		g.ticking = true
		w.expireMembers()
	}
	w.rebalance()
}

func (w *toy) tryJoin() {
	g := &w.groups
	for _, m := range g.members {
		if m.join == nil {
			return
		}
	}
	if len(g.members) == 0 {
		g.state = ""
		return
	}
	g.generation++
	g.state, g.leader = "syncing", g.members[0].id
	g.protocol = g.members[0].protocols[0].Name
	for _, m := range g.members {
		a := m.join.resp.(*kmsg.JoinGroupResponse)
		a.Generation, a.LeaderID, a.MemberID, a.Protocol = g.generation, g.leader, m.id, kmsg.StringPtr(g.protocol)
		if m.id == g.leader {
			for _, x := range g.members {
				y := kmsg.NewJoinGroupResponseMember()
				y.MemberID, y.ProtocolMetadata = x.id, x.protocols[0].Metadata
				a.Members = append(a.Members, y)
			}
		}
		w.send(m.join)
		m.join = nil
	}
}

func (w *toy) syncGroup(r *kmsg.SyncGroupRequest, wait *toyWait) {
	g := &w.groups
	a := wait.resp.(*kmsg.SyncGroupResponse)
	m := g.member(r.MemberID)
	switch {
	case m == nil:
		a.ErrorCode = codeUnknownMember
	case r.Generation != g.generation:
		a.ErrorCode = codeIllegalGeneration
	case g.state == "joining":
		a.ErrorCode = codeRebalanceInProgress
	default:
		m.sync = wait
		for i := range r.GroupAssignment {
			if x := g.member(r.GroupAssignment[i].MemberID); x != nil {
				x.assignment = r.GroupAssignment[i].MemberAssignment
			}
			g.state = "stable"
		}
		if g.state == "stable" {
			for _, x := range g.members {
				if x.sync != nil {
					x.sync.resp.(*kmsg.SyncGroupResponse).MemberAssignment = x.assignment
					w.send(x.sync)
					x.sync = nil
				}
			}
		}
		return
	}
	w.send(wait)
}

func (w *toy) offsetCommit(r *kmsg.OffsetCommitRequest, a *kmsg.OffsetCommitResponse) {
	g := &w.groups
	if g.offsets == nil {
		g.offsets = map[string]int64{}
	}
	code := codeNone
	switch {
	case r.Generation < 0:
	case g.member(r.MemberID) == nil:
		code = codeUnknownMember
	case r.Generation != g.generation:
		code = codeIllegalGeneration
	}
	for i := range r.Topics {
		t := kmsg.NewOffsetCommitResponseTopic()
		t.Topic = r.Topics[i].Topic
		for _, p := range r.Topics[i].Partitions {
			y := kmsg.NewOffsetCommitResponseTopicPartition()
			y.Partition, y.ErrorCode = p.Partition, code
			t.Partitions = append(t.Partitions, y)
			if code == codeNone {
				g.offsets[fmt.Sprint(t.Topic, p.Partition)] = p.Offset
			}
		}
		a.Topics = append(a.Topics, t)
	}
}

// fetch answers at once, or after the longest wait when there is nothing.
func (w *toy) fetch(conn edge.ConnID, c *toyConn, h *wire.RequestHeader, body []byte) {
	var req wire.FetchRequest
	req.Reset(h.Version)
	if err := req.ReadFrom(body); err != nil {
		panic(err)
	}
	g := &w.groups
	if g.sessions == nil {
		g.sessions = map[int32]*toySession{}
	}
	var resp wire.FetchResponse
	resp.Reset(h.Version)
	s := g.sessions[req.SessionID]
	switch {
	case req.SessionEpoch == 0:
		delete(g.sessions, req.SessionID)
		g.nextID++
		s = &toySession{epoch: 1, broker: c.broker, offsets: map[[2]int32]int64{}}
		g.sessions[g.nextID] = s
		resp.SessionID = g.nextID
	case s == nil || s.broker != c.broker:
		resp.ErrorCode = codeFetchSessionNotFound
	case s.epoch != req.SessionEpoch:
		resp.ErrorCode = codeInvalidFetchEpoch
	default:
		s.epoch++
		resp.SessionID = req.SessionID
	}
	if resp.ErrorCode != 0 {
		w.reply(conn, wire.AppendResponse(nil, h.CorrelationID, &resp))
		return
	}
	for i := range req.Topics {
		for _, p := range req.Topics[i].Partitions {
			s.offsets[[2]int32{int32(req.Topics[i].TopicID[7]), p.Partition}] = p.FetchOffset
		}
	}
	for i := range req.Forgotten {
		for _, p := range req.Forgotten[i].Partitions {
			delete(s.offsets, [2]int32{int32(req.Forgotten[i].TopicID[7]), p})
		}
	}
	w.answerFetch(conn, c, h.CorrelationID, s, &resp, w.now.Add(time.Duration(req.MaxWaitMillis)*time.Millisecond), req.SessionEpoch == 0)
}

func (w *toy) answerFetch(conn edge.ConnID, c *toyConn, correlation int32, s *toySession, resp *wire.FetchResponse, until clock.Instant, full bool) {
	var keys [][2]int32
	for k := range s.offsets {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [2]int32) int { return slices.Compare(a[:], b[:]) })
	any := full && w.now >= until
	for _, k := range keys {
		var t *toyTopic
		for _, x := range w.topics {
			if int32(x.id[7]) == k[0] {
				t = x
			}
		}
		p := t.partitions[k[1]]
		if w.chance(w.move) {
			p.leader, p.epoch = int32(1+w.rng.IntN(w.brokers)), p.epoch+1
		}
		a := wire.FetchPartitionResponse{}
		var records [][]byte
		code := codeNone
		switch offset := s.offsets[k]; {
		case p.leader != int32(c.broker):
			code = codeNotLeader
		case offset > p.end:
			code = codeOffsetOutOfRange
		default:
			size := 0
			for _, b := range p.batches {
				if b.NextOffset() > offset && size < 100_000 {
					records = append(records, b)
					size += len(b)
				}
			}
		}
		_ = a
		if code != codeNone || len(records) > 0 || full && w.now >= until {
			any = true
			x := resp.AddTopic(t.name, t.id).AddPartition(k[1])
			x.ErrorCode, x.HighWatermark, x.LastStableOffset, x.Records = code, p.end, p.end, records
		}
	}
	if any || w.now >= until {
		if w.chance(w.dropAfter) {
			w.cut(conn)
			return
		}
		w.reply(conn, wire.AppendResponse(nil, correlation, resp))
		return
	}
	w.push(toyEvent{at: w.now.Add(5 * time.Millisecond), call: func() {
		if w.conns[conn-1].open {
			w.answerFetch(conn, c, correlation, s, resp, until, full)
		}
	}})
}
