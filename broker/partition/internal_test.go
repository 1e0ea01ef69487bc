package partition

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// A coordinator's append is decided once: below the high watermark, when
// leadership goes, or at once when it cannot be taken; and can be read back
// before it is committed.
func TestAppendInternal(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.run()
	leader := w.node(1)
	key := log.Partition{Topic: worldTopic}
	appendOne := func(n *node, kind uint8) (int64, int16) {
		b := edge.NewBuffer(batch(int64(n.context().Wall), record.NoProducer(record.None), "x"))
		base, code := n.parts.AppendInternal(n.context(), key, b, edge.Token{Owner: step.OwnerGroup, Kind: kind})
		n.flow()
		return base, code
	}
	w.hold = func(m *message) bool { return true }
	if base, code := appendOne(leader, 1); base != 0 || code != 0 {
		t.Fatalf("append: offset %d, code %d", base, code)
	}
	if got := leader.parts.TakeInternal(nil); len(got) != 0 {
		t.Fatalf("decided before it was replicated: %+v", got)
	}
	r := leader.parts.ReadInternal(leader.context(), key, 0, 1<<20, edge.Token{}, nil)
	if r.Err != nil || r.Next != 1 {
		t.Fatalf("read: %+v", r)
	}
	release(r.Slices)
	w.hold = nil
	w.run()
	w.hold = func(m *message) bool { return true }
	appendOne(leader, 2)
	appendOne(w.node(2), 3)
	w.elect(2)
	w.publish()
	got := append(leader.parts.TakeInternal(nil), w.node(2).parts.TakeInternal(nil)...)
	token := func(kind uint8) edge.Token { return edge.Token{Owner: step.OwnerGroup, Kind: kind} }
	want := []InternalResult{
		{Kind: InternalAppended, Token: token(1), BaseOffset: 0, LastOffset: 0},
		{Kind: InternalAppended, Token: token(2), Error: errNotLeaderOrFollower, BaseOffset: 1, LastOffset: 1},
		{Kind: InternalAppended, Token: token(3), Error: errNotLeaderOrFollower, BaseOffset: -1, LastOffset: -1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// When a produce times out its undecided partitions are told so, and only these.
func TestProduceTimesOutInPart(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.run()
	w.hold = func(m *message) bool { return true }
	n := w.node(1)
	b := batch(int64(n.context().Wall), record.NoProducer(record.None), "x")
	req := n.parts.NewProduce()
	req.Request, req.Version, req.Acks, req.TimeoutMillis, req.Frame = 1, 9, -1, 200, edge.NewBuffer(b)
	req.AddPart(worldTopic, meta.TopicID{}, 5, 0, len(b))
	req.AddPart(worldTopic, meta.TopicID{}, 0, 0, len(b))
	n.parts.Produce(n.context(), req)
	n.flow()
	w.advance(200 * time.Millisecond)
	want := []string{"produce 1: error=3 base=-1", "produce 1: error=7 base=-1 start=0"}
	if diff := cmp.Diff(want, w.said); diff != "" {
		t.Fatal(diff)
	}
}

// A topic that is deleted takes its replica and whoever waits with it.
func TestTopicDeleted(t *testing.T) {
	w := newWorld(t, 3, 2)
	w.run()
	w.hold = func(m *message) bool { return true }
	w.node(1).produce(1, -1, time.Minute, record.NoProducer(record.None), "x")
	image := *w.image
	image.Offset++
	image.Topics = nil
	w.image = &image
	w.publish()
	w.hold = nil
	w.run()
	if diff := cmp.Diff([]string{"produce 1: error=6 base=-1"}, w.said); diff != "" {
		t.Fatal(diff)
	}
	for _, n := range w.nodes {
		if n.partition() != nil || len(n.logs.Logs()) != 0 {
			t.Errorf("broker %d still has a replica", n.id)
		}
	}
	w.advance(2 * time.Minute)
}

// BenchmarkReplicatedProduce is one batch through leader and two followers, the
// toy world's own costs (copies, a disk in memory, wire decoding) included.
func BenchmarkReplicatedProduce(b *testing.B) {
	w := newWorld(b, 3, 2)
	w.run()
	frame := batch(1_700_000_000_000, record.NoProducer(record.None), "x")
	n := w.node(1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		req := n.parts.NewProduce()
		req.Request, req.Version, req.Acks, req.TimeoutMillis = 1, 9, -1, 30000
		req.Frame = edge.NewBuffer(append([]byte(nil), frame...))
		req.AddPart(worldTopic, w.topic, 0, 0, len(frame))
		n.parts.Produce(n.context(), req)
		n.flow()
		w.run()
		w.said = w.said[:0]
	}
}

// Sessions remember no more partitions together than they may: who comes late
// fetches without one, who outgrows his has to begin anew, and what is forgotten
// makes room.
func TestPartitionsOfSessionsAreBounded(t *testing.T) {
	n := newWorld(t, 3, 2).node(1)
	m, q := n.parts, &n.parts.sessions
	q.partsMax = 5
	asks := func(parts ...int32) (list []FetchAsk) {
		for _, index := range parts {
			list = append(list, FetchAsk{Topic: worldTopic, Partition: index})
		}
		return list
	}
	open := func(want bool, parts ...int32) *session {
		t.Helper()
		f := &Fetch{ReplicaID: -1, SessionEpoch: sessionEpochInitial, Asks: asks(parts...)}
		s, code := m.openSession(n.context(), f)
		if code != errNone || (s.id != 0) != want || q.parts > q.partsMax {
			t.Fatalf("session of %d partitions: id %d, error %d, %d in all", len(parts), s.id, code, q.parts)
		}
		return s
	}
	three := open(true, 0, 1, 2)
	open(false, 0, 1, 2)
	open(true, 3, 4)
	outgrown := &Fetch{ReplicaID: -1, SessionID: three.id, SessionEpoch: 1, Asks: asks(2, 9)}
	if _, code := m.openSession(n.context(), outgrown); code != errFetchSessionIDNotFound || q.parts != 2 {
		t.Fatalf("a partition too many: error %d, %d in all", code, q.parts)
	}
	three = open(true, 0, 1, 2)
	fewer := &Fetch{ReplicaID: -1, SessionID: three.id, SessionEpoch: 1, Forgotten: []FetchForgotten{{Topic: worldTopic, Partition: 1}}}
	if _, code := m.openSession(n.context(), fewer); code != errNone || q.parts != 4 {
		t.Fatalf("a partition fewer: error %d, %d in all", code, q.parts)
	}
	open(true, 5)
}
