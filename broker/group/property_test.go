package group

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// Goal: whatever clients, time and failing coordinators do,
//   - a member's assignment in a generation is in the log before it hears of it,
//     never changes, and is no other member's;
//   - a committed offset that was acknowledged or seen is never taken back, and one
//     that was deleted never comes back;
//   - what a coordinator knows when all is quiet is what its successor reads;
//   - every request is answered, and nothing is left when everybody has gone;
//   - nobody waits for what has come already, or for what nothing will bring.
//
// Method: clients that follow the protocol with random whims, on a log that
// holds back, refuses and loses what is not committed.
func TestRandomLives(t *testing.T) {
	for range 10 { // one check is a hundred lives
		rapid.Check(t, func(rt *rapid.T) {
			l := newLives(rt)
			for range rapid.IntRange(20, 150).Draw(rt, "steps") {
				l.step()
				l.nobodyWaitsInVain()
			}
			l.quiet()
			l.compareWithSuccessor()
			l.end()
		})
	}
}

type lives struct {
	*world
	t       *rapid.T
	clients []*lifeClient
	waiting map[conn.RequestID]*lifeClient
	given   map[string]string // group/generation/member -> assignment
	owner   map[string]string // assignment -> member, or instance
	issued  int64             // offsets are committed in rising order
	floor   map[string]int64  // group -> what may not be taken back
	gone    map[string]int64  // group -> up to which commit all have been deleted
	doubt   map[string]int64  // group -> and up to which they may have been
	before  map[conn.RequestID]deleting
}

// deleting is what was there when a deletion was sent.
type deleting struct{ floor, doubt, issued int64 }

// lifeClient is a consumer as a client library would run it, but for its whims.
type lifeClient struct {
	group, name string
	instance    *string
	version     int16
	member      string
	generation  int32
	members     []string
	busy        bool
	rebalance   int32 // milliseconds that it wants for joining again
}

func newLives(t *rapid.T) *lives {
	l := &lives{world: newWorld(), t: t, waiting: make(map[conn.RequestID]*lifeClient), given: make(map[string]string),
		owner: make(map[string]string), floor: make(map[string]int64),
		gone: make(map[string]int64), doubt: make(map[string]int64), before: make(map[conn.RequestID]deleting)}
	l.answered = l.answer
	l.cfg.GroupInitialRebalanceDelayMillis = rapid.SampledFrom([]int64{0, 3000}).Draw(t, "delay")
	l.cfg.GroupMaxSize = rapid.SampledFrom([]int64{2, 100}).Draw(t, "max size")
	l.start()
	for i := range 5 {
		cl := &lifeClient{group: []string{"g", "h"}[i/3], name: fmt.Sprintf("c%d", i), generation: -1,
			version: rapid.SampledFrom([]int16{3, 9}).Draw(t, "version"), rebalance: rapid.SampledFrom([]int32{30_000, 30_000, 0}).Draw(t, "rebalance")}
		if rapid.Bool().Draw(t, "static") {
			name := fmt.Sprintf("i%d", i)
			cl.instance, cl.version = &name, 9
		}
		l.clients = append(l.clients, cl)
	}
	return l
}

func (l *lives) step() {
	switch op := rapid.IntRange(0, 41).Draw(l.t, "op"); {
	case op < 3:
		l.advance(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, 3 * time.Second, 20 * time.Second}).Draw(l.t, "time"))
	case op == 3:
		l.log.hold = true
	case op < 6:
		l.log.hold = false
		l.log.commit()
		l.settle()
	case op == 6:
		l.log.refuse = rapid.SampledFrom([]int16{0, 6, 10, 19}).Draw(l.t, "refuse")
	case op < 9:
		l.log.refuse = 0
	case op == 9:
		l.failover(rapid.Bool().Draw(l.t, "lose"), rapid.Bool().Draw(l.t, "lag"))
	case op == 10:
		l.log.doubt()
		l.settle()
	case op == 40:
		l.forget(rapid.SampledFrom([]string{"g", "h"}).Draw(l.t, "group"), rapid.Bool().Draw(l.t, "whole"))
	case op < 13:
		l.fetch(rapid.SampledFrom([]string{"g", "h"}).Draw(l.t, "group"))
	default:
		l.act(rapid.SampledFrom(l.clients).Draw(l.t, "client"))
	}
}

// act lets a client do what comes next, or something else.
func (l *lives) act(cl *lifeClient) {
	whim := rapid.IntRange(0, 9).Draw(l.t, "whim")
	switch {
	case whim == 0:
		l.giveUp(cl)
		cl.member, cl.generation = "", -1 // it restarts
	case whim == 9 && cl.busy:
		l.giveUp(cl)
	case cl.busy:
	case whim == 1 && cl.member != "":
		r := kmsg.NewPtrLeaveGroupRequest()
		r.SetVersion(5)
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.InstanceID = cl.member, cl.instance
		r.Group, r.Members = cl.group, append(r.Members, m)
		l.ask(cl, r)
	case cl.generation < 0 && cl.member == "" && whim > 7:
		l.commit(cl)
	case cl.generation < 0 || whim == 2:
		l.join(cl)
	case whim < 5:
		r := kmsg.NewPtrHeartbeatRequest()
		r.SetVersion(4)
		r.Group, r.MemberID, r.InstanceID, r.Generation = cl.group, cl.member, cl.instance, cl.generation
		l.ask(cl, r)
	case whim < 7:
		r := kmsg.NewPtrSyncGroupRequest()
		r.SetVersion(4)
		r.Group, r.MemberID, r.InstanceID, r.Generation = cl.group, cl.member, cl.instance, cl.generation
		for _, id := range cl.members {
			l.issued++
			a := kmsg.NewSyncGroupRequestGroupAssignment()
			a.MemberID, a.MemberAssignment = id, fmt.Appendf(nil, "%d", l.issued)
			r.GroupAssignment = append(r.GroupAssignment, a)
		}
		l.ask(cl, r)
	default:
		l.commit(cl)
	}
}

// commit is of a member, or of a consumer that chooses its partitions itself.
func (l *lives) commit(cl *lifeClient) {
	l.issued++
	r := kmsg.NewPtrOffsetCommitRequest()
	r.SetVersion(9)
	r.Group, r.MemberID, r.Generation = cl.group, cl.member, cl.generation
	if cl.member != "" {
		r.InstanceID = cl.instance
	}
	t := kmsg.NewOffsetCommitRequestTopic()
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	t.Topic, p.Offset = "orders", l.issued
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	l.ask(cl, r)
}

// giveUp is a client that does not wait for its answer any more.
func (l *lives) giveUp(cl *lifeClient) {
	cl.busy = false
	for id, other := range l.waiting {
		if other == cl {
			l.waiting[id] = nil
		}
	}
}

func (l *lives) join(cl *lifeClient) {
	r := kmsg.NewPtrJoinGroupRequest()
	r.SetVersion(cl.version)
	r.Group, r.MemberID, r.InstanceID, r.ProtocolType = cl.group, cl.member, cl.instance, "consumer"
	r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 10_000, cl.rebalance
	for _, name := range rapid.SampledFrom([][]string{{"range"}, {"range", "sticky"}, {"sticky", "range"}}).Draw(l.t, "protocols") {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = name, []byte(cl.name)
		r.Protocols = append(r.Protocols, p)
	}
	l.ask(cl, r)
}

func (l *lives) ask(cl *lifeClient, r kmsg.Request) {
	cl.busy = true
	l.waiting[l.lastID+1] = cl
	l.send(cl.name, r)
}

func (l *lives) fetch(group string) {
	r := kmsg.NewPtrOffsetFetchRequest()
	r.SetVersion(8)
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	r.Groups = append(r.Groups, g)
	l.send("admin", r)
}

// forget deletes a group, or its one offset. Until the answer says otherwise that
// may have happened.
func (l *lives) forget(group string, whole bool) {
	var req kmsg.Request
	if whole {
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.SetVersion(2)
		r.Groups = []string{group}
		req = r
	} else {
		r := kmsg.NewPtrOffsetDeleteRequest()
		t, p := kmsg.NewOffsetDeleteRequestTopic(), kmsg.NewOffsetDeleteRequestTopicPartition()
		t.Topic, t.Partitions = "orders", append(t.Partitions, p)
		r.Group, r.Topics = group, append(r.Topics, t)
		req = r
	}
	l.before[l.lastID+1] = deleting{l.floor[group], l.doubt[group], l.issued}
	l.floor[group], l.doubt[group] = 0, l.issued
	l.send("admin", req)
}

// forgotten is how that ended.
func (l *lives) forgotten(id conn.RequestID, group string, code int16) {
	was := l.before[id]
	delete(l.before, id)
	switch code {
	case errNone:
		l.gone[group] = max(l.gone[group], was.issued)
	case errNonEmptyGroup, errSubscribedToTopic:
		if l.doubt[group] == was.issued { // no other deletion is under way
			l.floor[group], l.doubt[group] = max(l.floor[group], was.floor), was.doubt
		}
	case errGroupNotFound:
		if was.floor > l.gone[group] {
			l.t.Fatalf("%s is not known, and the offset was %d", group, was.floor)
		}
	}
}

// answer checks a response and lets the client follow it. A client that has
// restarted meanwhile does not hear it, but it counts.
func (l *lives) answer(id conn.RequestID, req kmsg.Request, resp kmsg.Response) {
	cl := l.waiting[id]
	delete(l.waiting, id)
	if cl == nil {
		cl = &lifeClient{}
	}
	cl.busy = false
	switch r := resp.(type) {
	case *kmsg.JoinGroupResponse:
		cl.follow(r.ErrorCode)
		if r.ErrorCode == 0 || r.ErrorCode == errMemberIDRequired {
			cl.member = r.MemberID
		}
		if r.ErrorCode == 0 {
			cl.generation, cl.members = r.Generation, nil
			for _, m := range r.Members {
				cl.members = append(cl.members, m.MemberID)
			}
			if r.SkipAssignment {
				cl.members = nil
			}
		}
	case *kmsg.SyncGroupResponse:
		cl.follow(r.ErrorCode)
		if r.ErrorCode == 0 {
			l.assigned(req.(*kmsg.SyncGroupRequest), string(r.MemberAssignment))
		}
	case *kmsg.HeartbeatResponse:
		cl.follow(r.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		cl.member, cl.generation = "", -1
	case *kmsg.OffsetCommitResponse:
		code := r.Topics[0].Partitions[0].ErrorCode
		cl.follow(code)
		if c := req.(*kmsg.OffsetCommitRequest); code == 0 {
			l.seen(c.Group, c.Topics[0].Partitions[0].Offset)
		}
	case *kmsg.DeleteGroupsResponse:
		l.forgotten(id, r.Groups[0].Group, r.Groups[0].ErrorCode)
	case *kmsg.OffsetDeleteResponse:
		code := r.ErrorCode
		if len(r.Topics) > 0 && code == errNone {
			code = r.Topics[0].Partitions[0].ErrorCode
		}
		l.forgotten(id, req.(*kmsg.OffsetDeleteRequest).Group, code)
	case *kmsg.OffsetFetchResponse:
		g := &r.Groups[0]
		if g.ErrorCode == errLoadInProgress {
			return
		}
		if g.ErrorCode != 0 {
			l.t.Fatalf("fetch of %s: %s", g.Group, code(g.ErrorCode))
		}
		if len(g.Topics) == 0 {
			if l.floor[g.Group] > 0 {
				l.t.Fatalf("the offset of %s is gone, was %d", g.Group, l.floor[g.Group])
			}
			return
		}
		l.seen(g.Group, g.Topics[0].Partitions[0].Offset)
	}
}

// follow is what consumers do about errors.
func (cl *lifeClient) follow(code int16) {
	switch code {
	case errUnknownMember, errFencedInstance, errGroupMaxSize:
		cl.member, cl.generation = "", -1
	case errIllegalGeneration, errRebalanceInProgress, errInconsistentProtocol:
		cl.generation = -1
	}
}

func (l *lives) seen(group string, offset int64) {
	if offset <= l.gone[group] {
		l.t.Fatalf("the offset of %s is %d, and all up to %d have been deleted", group, offset, l.gone[group])
	}
	if offset < l.floor[group] {
		l.t.Fatalf("the offset of %s is %d, was %d", group, offset, l.floor[group])
	}
	if offset > l.doubt[group] {
		l.floor[group] = offset
	}
}

func (l *lives) assigned(r *kmsg.SyncGroupRequest, assignment string) {
	if assignment == "" {
		return // the leader left it out: it joined under an id of its own too late
	}
	v := l.m.shards[0].store.groups[r.Group].metadata
	if v == nil || v.Generation != r.Generation {
		l.t.Fatalf("%s is assigned %s in generation %d of %s, which is not in the log", r.MemberID, assignment, r.Generation, r.Group)
	}
	key := fmt.Sprintf("%s/%d/%s", r.Group, r.Generation, r.MemberID)
	if was, ok := l.given[key]; ok && was != assignment {
		l.t.Fatalf("%s is assigned %s, was %s", key, assignment, was)
	}
	l.given[key] = assignment
	who := r.MemberID
	if r.InstanceID != nil {
		who = *r.InstanceID
	}
	if was, ok := l.owner[assignment]; ok && was != who {
		l.t.Fatalf("%s of %s is assigned to %s and to %s", assignment, key, was, who)
	}
	l.owner[assignment] = who
}

// nobodyWaitsInVain looks at what each group waits for.
func (l *lives) nobodyWaitsInVain() {
	for _, g := range l.m.groups { //lint:maporder any of them will do
		_, join := l.timers.Pending(groupTimer(timerJoin, g))
		_, sync := l.timers.Pending(groupTimer(timerSync, g))
		leader := g.member(g.leader)
		switch {
		case g.state == PreparingRebalance && !join && !g.renaming:
			l.t.Fatalf("nothing ends the join phase of %s", g.id)
		case g.state == PreparingRebalance && g.previous != Empty && g.allJoined() && !g.renaming:
			l.t.Fatalf("all members of %s have joined, and it waits for more", g.id)
		case g.renaming && g.writes == 0:
			l.t.Fatalf("%s waits for new ids to be written, and nothing is in flight", g.id)
		case g.state != PreparingRebalance && join:
			l.t.Fatalf("%s is %s, and a timer of its join phase runs", g.id, g.state)
		case !g.allSynced() && g.state == CompletingRebalance && !sync:
			l.t.Fatalf("nothing ends the sync phase of %s", g.id)
		case g.state == CompletingRebalance && leader.sync.waiting() && g.assigning != g.generation:
			l.t.Fatalf("the leader of %s has assigned, and nothing is written", g.id)
		case g.state == CompletingRebalance && g.assigning == g.generation && g.writes == 0:
			l.t.Fatalf("%s waits for an assignment that is not in flight", g.id)
		}
		for _, mb := range g.members {
			if mb.join.waiting() && mb.sync.waiting() {
				l.t.Fatalf("%s of %s waits for both answers", mb.id, g.id)
			}
			if _, ok := l.timers.Pending(sessionTimer(mb.serial)); !ok && !mb.excused() {
				l.t.Fatalf("%s of %s may be silent for ever", mb.id, g.id)
			}
		}
	}
}

// quiet lets everything in flight land.
func (l *lives) quiet() {
	l.log.hold, l.log.refuse = false, 0
	l.log.commit()
	l.settle()
}

// compareWithSuccessor reads the log with a fresh coordinator.
func (l *lives) compareWithSuccessor() {
	before := l.m
	next := newManager(l.cfg, &l.log, l)
	c := l.context()
	c.Timers = new(timer.Queue)
	next.Apply(c, l.image, l.image)
	next.Settle(c)
	if diff := cmp.Diff(before.shards[0].store.groups, next.shards[0].store.groups,
		cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
		l.t.Fatalf("the successor's state differs (-predecessor +successor):\n%s", diff)
	}
	for _, v := range before.Groups() {
		if v.State != Stable {
			continue
		}
		got, _ := next.Group(v.ID)
		for i := range v.Members {
			v.Members[i].ClientID, got.Members[i].ClientID = "", ""
		}
		if diff := cmp.Diff(v, got); diff != "" {
			l.t.Fatalf("a stable group differs (-predecessor +successor):\n%s", diff)
		}
	}
}

// end: everybody falls silent for two weeks.
func (l *lives) end() {
	l.advance(14 * 24 * time.Hour)
	if len(l.requests) > 0 {
		l.t.Fatalf("requests are never answered: %v", l.requests)
	}
	if v := l.m.Groups(); len(v) > 0 || len(l.m.sessions) > 0 || len(l.m.groups) > 0 || len(l.m.shards[0].store.groups) > 0 {
		l.t.Fatalf("left behind: groups %v, sessions %d, serials %d, stored %d", v, len(l.m.sessions), len(l.m.groups),
			len(l.m.shards[0].store.groups))
	}
	if n := l.timers.Len(); n != 1 { // the next expiry
		l.t.Fatalf("%d timers are left", n)
	}
}

// Goal: PartitionFor is Java's. Method: hashes that the JDK computes, negative
// ones, one outside the basic plane, and the one that has no absolute value.
func TestPartitionFor(t *testing.T) {
	var got []int32
	for _, id := range []string{"", "a", "group", "my-group", "billing", "gr\U0001f600up", "polygenelubricants"} {
		got = append(got, PartitionFor(id, 50))
	}
	if diff := cmp.Diff([]int32{0, 47, 47, 12, 9, 29, 0}, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}
