package partition

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"pgregory.net/rapid"
)

// TestNothingAcknowledgedIsLost has three replicas live through random elections
// (clean: from the recorded ISR), fencing, crashes of the process, lost and
// delayed messages and images. No record acknowledged with acks=all may be
// missing from a later leader, and what lies below any replica's high watermark
// must be the same everywhere and for ever.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	// rapid runs 100 cases at a time; the bugs that this test has found took
	// hundreds to thousands.
	for round := 0; round < 15; round++ {
		rapid.Check(t, oneLife)
	}
}

func oneLife(t *rapid.T) {
	w := newWorld(t, 3, 2)
	j := &judge{w: w, committed: map[int64]string{}, marks: map[[2]int32]int64{}}
	for _, n := range w.nodes {
		n.judge = j
	}
	steps := rapid.IntRange(10, 150).Draw(t, "steps")
	for i := 0; i < steps; i++ {
		j.act(t)
		j.check(t)
	}
	j.heal(t)
	j.check(t)
	j.final(t)
}

// judge remembers what clients were told.
type judge struct {
	w         *world
	next      int
	acked     []ackedRecord
	committed map[int64]string   // what some replica's high watermark has covered
	marks     map[[2]int32]int64 // high watermark by broker and leader epoch
	deleted   int64              // below, records may be gone because somebody deleted them
}

type ackedRecord struct {
	value  string
	offset int64
}

func (j *judge) produced(p *Produce) {
	if p.Acks == -1 && p.Parts[0].ErrorCode == 0 {
		j.acked = append(j.acked, ackedRecord{fmt.Sprintf("v%d", p.Request), p.Parts[0].BaseOffset})
	}
}

func (j *judge) act(t *rapid.T) {
	w := j.w
	switch rapid.SampledFrom([]string{"produce", "produce", "produce", "deliver", "deliver", "deliver", "deliver", "run", "advance",
		"elect", "fence", "unfence", "kill", "start", "publish", "publish", "drop", "hold disk", "release disk", "delete", "retention", "lose disk"}).Draw(t, "act") {
	case "produce":
		n := w.node(int32(rapid.IntRange(1, 3).Draw(t, "to")))
		if n.down {
			return
		}
		j.next++
		acks := rapid.SampledFrom([]int16{-1, -1, -1, 1}).Draw(t, "acks")
		values := []string{fmt.Sprintf("v%d", j.next)}
		for k := range rapid.IntRange(0, 2).Draw(t, "more") {
			values = append(values, fmt.Sprintf("v%d.%d", j.next, k))
		}
		n.produce(conn.RequestID(j.next), acks, time.Minute, record.NoProducer(record.None), values...)
	case "deliver":
		if at, ok := j.pick(t); ok {
			w.deliver(at)
		}
	case "drop":
		if at, ok := j.pick(t); ok {
			m := w.messages[at]
			w.messages = slices.Delete(w.messages, at, at+1)
			back := &message{from: m.to, to: m.from, reply: true, call: m.call, status: caller.Disconnected, boot: m.boot}
			if m.reply {
				back.from, back.to = m.from, m.to
			}
			w.deliverReply(back)
		}
	case "run":
		w.run()
	case "hold disk":
		if n := w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker"))); !n.down {
			n.holdIO = true
		}
	case "release disk":
		w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker"))).release()
	case "delete":
		j.delete(t, w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker"))))
	case "retention":
		if n := w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker"))); !n.down && n.partition() != nil {
			if j.deleted = max(j.deleted, n.partition().HighWatermark()); n.partition().Log().Usable() {
				n.deleteAll()
			}
		}
	case "advance":
		j.pass(time.Duration(rapid.SampledFrom([]int{10, 500, 1000, 20000, 40000}).Draw(t, "ms")) * time.Millisecond)
	case "elect":
		p := w.registration()
		id := rapid.SampledFrom(p.ISR).Draw(t, "leader")
		if !w.image.Brokers[id-1].Fenced && id != p.Leader {
			w.elect(id)
		}
	case "fence":
		w.fence(int32(rapid.IntRange(1, 3).Draw(t, "broker")))
	case "unfence":
		j.unfence(int32(rapid.IntRange(1, 3).Draw(t, "broker")))
	case "kill":
		n := w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker")))
		if !n.down {
			n.kill()
			w.fence(n.id)
		}
	case "lose disk":
		n := w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker")))
		if w.fence(n.id); !slices.Contains(w.registration().ISR, n.id) {
			if !n.down {
				n.kill()
			}
			n.disk = newMemoryDisk()
		}
	case "start":
		j.start(w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker"))))
	case "publish":
		if n := w.node(int32(rapid.IntRange(1, 3).Draw(t, "broker"))); !n.down && n.image != w.image {
			n.apply()
		}
	}
}

// release lets a broker hear of what its disk has done.
func (n *node) release() {
	if n.holdIO = false; !n.down {
		n.flow()
	}
}

// delete asks a broker to delete records up to some offset.
func (j *judge) delete(t *rapid.T, n *node) {
	if n.down || n.partition() == nil {
		return
	}
	before := rapid.Int64Range(0, n.partition().EndOffset()).Draw(t, "before")
	j.deleted = max(j.deleted, min(before, n.partition().HighWatermark()))
	n.parts.DeleteRecords(n.context(), &DeleteRecords{TimeoutMillis: 30_000, Parts: []DeletePart{{Topic: worldTopic, Offset: before}}})
	n.flow()
}

// pass lets time go by without delivering anything.
func (j *judge) pass(d time.Duration) {
	old := j.w.hold
	j.w.hold = func(*message) bool { return true }
	j.w.advance(d)
	j.w.hold = old
}

func (j *judge) start(n *node) {
	if !n.down {
		return
	}
	n.epoch++
	j.w.changeBroker(n.id, func(b *meta.Broker) { b.Epoch = n.epoch })
	n.start()
	j.unfence(n.id)
}

// unfence also gives a partition without leader back to a member of its ISR.
func (j *judge) unfence(id int32) {
	w := j.w
	if w.node(id).down || !w.image.Brokers[id-1].Fenced {
		return
	}
	w.changeBroker(id, func(b *meta.Broker) { b.Fenced = false })
	if p := w.registration(); p.Leader == meta.NoLeader && slices.Contains(p.ISR, id) {
		w.elect(id)
	}
}

// pick chooses a message that may be delivered next: the first of its kind
// between its two ends.
func (j *judge) pick(t *rapid.T) (int, bool) {
	type way struct {
		from, to int32
		channel  caller.Channel
		reply    bool
	}
	seen := map[way]bool{}
	var heads []int
	for i, m := range j.w.messages {
		k := way{m.from, m.to, m.call.Channel, m.reply}
		if !seen[k] {
			seen[k] = true
			heads = append(heads, i)
		}
	}
	if len(heads) == 0 {
		return 0, false
	}
	return rapid.SampledFrom(heads).Draw(t, "message"), true
}

// heal brings everybody back and lets replication settle.
func (j *judge) heal(t *rapid.T) {
	for _, n := range j.w.nodes {
		j.start(n)
		n.release()
		j.unfence(n.id)
	}
	for i := 0; i < 4; i++ {
		j.w.publish()
		j.w.advance(10 * time.Second)
	}
}

// records lists a replica's records by offset.
func (n *node) records(t *rapid.T) map[int64]string {
	found := map[int64]string{}
	l := n.partition().Log()
	if !l.Usable() {
		return nil
	}
	var reader record.Reader
	var scratch record.Scratch
	for at := l.StartOffset(); at < l.EndOffset(); {
		r := l.Read(n.context(), at, math.MaxInt32, l.EndOffset(), true, nil)
		if r.Loading {
			n.io()
			continue
		}
		if r.Err != nil || r.Next == at {
			t.Fatalf("broker %d: read at %d: %v", n.id, at, r.Err)
		}
		for _, s := range r.Slices {
			j := s.Bytes()
			for len(j) > 0 {
				b, rest, err := record.Next(j)
				if err != nil {
					t.Fatal(err)
				}
				j = rest
				_ = reader.Reset(b, &scratch)
				for {
					rec, ok, err := reader.Next()
					if err != nil || !ok {
						break
					}
					found[reader.Offset()] = string(rec.Value)
				}
			}
		}
		release(r.Slices)
		at = r.Next
	}
	return found
}

func (j *judge) check(t *rapid.T) {
	for _, n := range j.w.nodes {
		if n.down || n.partition() == nil {
			continue
		}
		p := n.partition()
		mark := p.HighWatermark()
		if p.StartOffset() > j.deleted {
			t.Fatalf("%s: nothing from %d on has been deleted", n.state(), j.deleted)
		}
		if mark > p.EndOffset() {
			t.Fatalf("%s: high watermark above the log end", n.state())
		}
		if p.Role() == Leader {
			k := [2]int32{n.id, p.LeaderEpoch()}
			if mark < j.marks[k] {
				t.Fatalf("%s: high watermark was %d in this term", n.state(), j.marks[k])
			}
			j.marks[k] = mark
		}
		records := n.records(t)
		if records == nil {
			continue
		}
		for at := p.StartOffset(); at < mark; at++ {
			if old, ok := j.committed[at]; ok && old != records[at] {
				t.Fatalf("%s: offset %d holds %q below the high watermark, elsewhere it was %q", n.state(), at, records[at], old)
			}
			j.committed[at] = records[at]
		}
		// A leader that the controller knows, once elected, has all that was acknowledged.
		if reg := j.w.registration(); p.Role() == Leader && reg.Leader == n.id && reg.LeaderEpoch == p.LeaderEpoch() {
			for _, a := range j.acked {
				if a.offset >= p.StartOffset() && records[a.offset] != a.value {
					t.Fatalf("%s: acknowledged %q at %d, the leader holds %q", n.state(), a.value, a.offset, records[a.offset])
				}
			}
		}
	}
}

// final demands that after healing all replicas are whole, equal and in sync.
func (j *judge) final(t *rapid.T) {
	reg := j.w.registration()
	if reg.Leader == meta.NoLeader || len(reg.ISR) != 3 {
		t.Fatalf("after healing: leader %d, ISR %v\n%s", reg.Leader, reg.ISR, j.w.states())
	}
	leader := j.w.node(reg.Leader)
	want := leader.records(t)
	for _, n := range j.w.nodes {
		p := n.partition()
		if p.EndOffset() != leader.partition().EndOffset() || p.HighWatermark() != p.EndOffset() {
			t.Fatalf("after healing the replicas differ:\n%s", j.w.states())
		}
		got := n.records(t)
		for at, v := range want {
			if at >= p.StartOffset() && got[at] != v {
				t.Fatalf("after healing broker %d holds %q at %d, the leader %q", n.id, got[at], at, v)
			}
		}
	}
}
