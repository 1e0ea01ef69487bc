package netsim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Goal: whatever happens, a connection is a FIFO without gaps, nothing crosses a
// cut, an end whose frames were lost is told, an end hears nothing after its
// close, one seed gives one history, and in the end nothing is left over.
// Method: a random program of calls against a model that knows only what each
// end sent and was told; then all faults end and time passes.
func TestRandomPrograms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		steps := rapid.SliceOfN(rapid.Custom(drawOp), 1, 100).Draw(t, "steps")
		first := play(t, seed, steps)
		if diff := cmp.Diff(first, play(t, seed, steps)); diff != "" {
			t.Fatalf("the same seed gave two histories:\n%s", diff)
		}
	})
}

const modelHosts = 3

type op struct {
	Kind    int
	A, B    HostID
	ID      int32
	Choice  uint64
	Elapsed time.Duration
}

func drawOp(t *rapid.T) op {
	return op{
		Kind:   rapid.IntRange(0, 15).Draw(t, "kind"),
		A:      HostID(rapid.IntRange(0, modelHosts-1).Draw(t, "a")),
		B:      HostID(rapid.IntRange(0, modelHosts-1).Draw(t, "b")),
		ID:     rapid.Int32Range(1, 3).Draw(t, "id"),
		Choice: rapid.Uint64Range(0, 999).Draw(t, "choice"),
		Elapsed: rapid.SampledFrom([]time.Duration{0, 50 * time.Microsecond, time.Millisecond, 5 * time.Millisecond,
			300 * time.Millisecond, 5 * time.Second, 20 * time.Minute}).Draw(t, "elapsed"),
	}
}

// modelEnd is one end of a connection as its process knows it.
type modelEnd struct {
	host, remote HostID
	conn         edge.ConnID
	key          uint64 // names the connection, written in each frame
	dialer       bool
	open         bool
	sent         uint64
	received     uint64
}

type model struct {
	t     *rapid.T
	n     *Network
	now   clock.Instant
	ends  []*modelEnd
	dials map[edge.DialID]Pair // in flight
	last  edge.DialID
	cuts  map[int32]Pair
	holds map[int32]bool
	worse map[int32]bool
	lines []string
}

func play(t *rapid.T, seed uint64, steps []op) []string {
	topology := Topology{
		SameZone:  Link{Latency: Uniform(50*time.Microsecond, time.Millisecond), LossPPM: 20_000},
		CrossZone: Link{Latency: Lognormal(time.Millisecond, 9*time.Millisecond), Jitter: time.Millisecond, BytesPerSecond: 1e6},
	}
	m := &model{t: t, dials: map[edge.DialID]Pair{}, cuts: map[int32]Pair{}, holds: map[int32]bool{}, worse: map[int32]bool{}}
	for h := range modelHosts {
		topology.Hosts = append(topology.Hosts, Host{Name: fmt.Sprint("h", h), Zone: fmt.Sprint("z", h/2), Ports: []Port{{1, 0}}})
	}
	m.n = New(topology, seed)
	for h := range modelHosts {
		m.n.SetListening(HostID(h), true)
	}
	for a := range HostID(modelHosts) {
		for b := range HostID(modelHosts) {
			m.do(&op{A: a, B: b})
		}
	}
	m.run(time.Second)
	for i := range steps {
		m.do(&steps[i])
		m.run(steps[i].Elapsed)
	}
	m.settle()
	return m.lines
}

func (m *model) do(o *op) {
	a, b := []HostID{o.A}, []HostID{o.B}
	switch o.Kind {
	case 0, 1, 2, 3:
		m.last++
		m.dials[m.last] = Pair{o.A, o.B}
		m.n.Dial(m.now, o.A, edge.Dial{ID: m.last, Host: fmt.Sprint("h", o.B), Port: 1})
	case 4, 5, 6, 7:
		m.send(o)
	case 8:
		if e := m.pick(o.Choice); e != nil {
			e.open = false
			m.n.Close(m.now, e.host, e.conn)
		}
	case 9:
		m.down(o.A, Killed)
		m.n.SetListening(o.A, true)
	case 10:
		m.down(o.A, PowerLoss)
	case 11:
		m.n.HostUp(m.now, o.A)
		m.n.SetListening(o.A, true)
	case 12:
		if m.n.Heal(CutID(o.ID)) {
			delete(m.cuts, o.ID)
		} else if o.A != o.B {
			m.cuts[o.ID] = Pair{o.A, o.B}
			m.n.Cut(CutID(o.ID), a, b)
		}
	case 13:
		if !m.n.Release(m.now, HoldID(o.ID)) {
			m.holds[o.ID] = true
			m.n.Hold(HoldID(o.ID), a, b, Match{Any: o.Choice%2 == 0, API: 1})
		}
	case 14:
		if !m.n.Restore(m.now, DegradeID(o.ID)) {
			m.n.Degrade(m.now, DegradeID(o.ID), a, b, Degradation{Latency: time.Millisecond, LossPPM: int32(o.Choice * 1000),
				BytesPerSecond: int64(o.Choice) * 100, DuplicatePPM: 1000, ReorderPPM: 100_000})
		}
	case 15:
		switch o.Choice % 3 {
		case 0:
			m.n.ResetConnections(m.now, a, b)
			m.run(0)
			for _, e := range m.ends {
				if e.open && o.A != o.B && (e.host == o.A && e.remote == o.B || e.host == o.B && e.remote == o.A) {
					m.t.Fatalf("host %d was not told of the reset of connection %d", e.host, e.conn)
				}
			}
		case 1:
			m.n.HalfOpen(m.now, a, b)
		case 2:
			if p, waiting := m.dials[m.last]; m.n.CancelDial(m.now, p.From, m.last) != waiting {
				m.t.Fatalf("dial %d: in flight %v, but cancelling it disagrees", m.last, waiting)
			}
			delete(m.dials, m.last)
		}
	}
}

func (m *model) pick(choice uint64) *modelEnd {
	var open []*modelEnd
	for _, e := range m.ends {
		if e.open {
			open = append(open, e)
		}
	}
	if len(open) == 0 {
		return nil
	}
	return open[choice%uint64(len(open))]
}

func (m *model) send(o *op) {
	e := m.pick(o.Choice)
	if e == nil {
		return
	}
	for range 1 + o.ID {
		body := binary.BigEndian.AppendUint64(nil, e.key)
		body = append(binary.BigEndian.AppendUint64(body, e.sent), make([]byte, o.Choice)...)
		e.sent++
		head := binary.BigEndian.AppendUint32(nil, uint32(2+len(body)))
		head = append(head, 0, byte(o.Choice%2)) // the API key
		piece := edge.NewBuffer(body)
		m.n.Send(m.now, e.host, &edge.Send{Conn: e.conn, Head: head, Body: []edge.Slice{piece.All()}})
	}
}

func (m *model) down(h HostID, how Down) {
	m.n.HostDown(m.now, h, how)
	for _, e := range m.ends {
		if e.host == h {
			e.open = false
		}
	}
	for id, p := range m.dials {
		if p.From == h {
			delete(m.dials, id)
		}
	}
}

func (m *model) run(d time.Duration) {
	to := m.now.Add(d)
	for m.n.Next() <= to {
		if m.n.Next() < m.now {
			m.t.Fatalf("at %v something was due at %v", m.now, m.n.Next())
		}
		m.now = m.n.Next()
		for {
			v, ok := m.n.Pop(m.now)
			if !ok {
				break
			}
			m.check(&v)
		}
	}
	m.now = to
}

func (m *model) find(h HostID, c edge.ConnID) *modelEnd {
	for _, e := range m.ends {
		if e.host == h && e.conn == c {
			return e
		}
	}
	m.t.Fatalf("host %d is told of connection %d, which it does not know", h, c)
	return nil
}

func (m *model) check(v *Delivery) {
	e := &v.Event
	m.lines = append(m.lines, fmt.Sprintf("%d to %d: kind %d conn %d dial %d", m.now, v.To, e.Kind, e.Conn, e.Dial))
	switch e.Kind {
	case edge.EventConnOpened, edge.EventConnFailed:
		remote := m.dials[e.Dial].To
		if e.Dial == 0 {
			remote, _ = m.n.Host(e.Peer)
		} else {
			if p, waiting := m.dials[e.Dial]; !waiting || p.From != v.To {
				m.t.Fatalf("host %d is told of dial %d, which is not in flight there", v.To, e.Dial)
			}
			delete(m.dials, e.Dial)
		}
		if e.Kind == edge.EventConnOpened {
			m.ends = append(m.ends, &modelEnd{host: v.To, remote: remote, conn: e.Conn, open: true, dialer: e.Dial != 0,
				key: uint64((e.Conn-1)>>1)<<32 | uint64(e.Conn>>connIndexBits)})
		}
		return
	case edge.EventConnClosed:
		end := m.find(v.To, e.Conn)
		if !end.open {
			m.t.Fatalf("host %d is told twice that connection %d is closed", v.To, e.Conn)
		}
		end.open = false
		return
	}
	end := m.find(v.To, e.Conn)
	b := e.Frame.Bytes()
	key, number := binary.BigEndian.Uint64(b[2:]), binary.BigEndian.Uint64(b[10:])
	if !end.open || key != end.key || number != end.received {
		m.t.Fatalf("host %d, connection %d, open %v: frame %d of %x, want frame %d of %x", v.To, e.Conn, end.open,
			number, key, end.received, end.key)
	}
	end.received++
	from := m.peer(end).host
	for _, c := range m.cuts {
		if c == (Pair{from, v.To}) {
			m.t.Fatalf("a frame from %d arrived at %d over a cut", from, v.To)
		}
	}
	e.Frame.Release()
}

// peer finds the other end; it may be missing while the acceptor does not know.
func (m *model) peer(end *modelEnd) *modelEnd {
	for _, e := range m.ends {
		if e.key == end.key && e.dialer != end.dialer {
			return e
		}
	}
	return nil
}

// settle ends all faults and checks what must hold in the end.
func (m *model) settle() {
	for id := int32(1); id <= 3; id++ {
		m.n.Heal(CutID(id))
		m.n.Release(m.now, HoldID(id))
		m.n.Restore(m.now, DegradeID(id))
	}
	m.cuts = nil
	for h := range HostID(modelHosts) {
		m.n.HostUp(m.now, h)
	}
	m.run(time.Hour)
	if len(m.dials) > 0 {
		m.t.Fatalf("%d dials never ended", len(m.dials))
	}
	for _, e := range m.ends {
		if p := m.peer(e); e.open && e.sent > 0 && (p == nil || p.received != e.sent) {
			m.t.Fatalf("host %d sent %d frames on connection %d and still believes in it; the peer: %+v", e.host, e.sent, e.conn, p)
		}
	}
	for _, e := range m.ends {
		if e.open {
			m.n.Close(m.now, e.host, e.conn)
			e.open = false
		}
	}
	m.run(time.Hour)
	s := m.n.Stats()
	if s.Connections != 0 || s.FramesInFlight != 0 || s.BytesInFlight != 0 || m.n.Next() != clock.Never {
		m.t.Fatalf("left over: %d connections, %d frames, %d bytes; next at %v", s.Connections, s.FramesInFlight, s.BytesInFlight, m.n.Next())
	}
	if s.FramesSent != s.FramesDelivered+s.FramesDropped {
		m.t.Fatalf("%d sent, %d delivered, %d dropped", s.FramesSent, s.FramesDelivered, s.FramesDropped)
	}
}

// Goal: the winner tree orders as sorting does. Method: random changes.
func TestTreeOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr tree
		tr.init()
		count := rapid.Int32Range(1, 50).Draw(t, "directions")
		tr.grow(min(count, treeLeavesMin-1))
		for d := int32(treeLeavesMin); d < count; d++ {
			tr.grow(d)
		}
		want := make([]treeNode, count)
		for i := range want {
			want[i] = treeNode{due: clock.Never, dir: int32(i)}
		}
		for seq := range rapid.Uint64Range(1, 200).Draw(t, "changes") {
			d := rapid.Int32Range(0, count-1).Draw(t, "direction")
			due := clock.Instant(rapid.Int64Range(0, 20).Draw(t, "due"))
			want[d] = treeNode{due, seq, d}
			tr.set(d, due, seq)
			first := slices.MinFunc(want, func(a, b treeNode) int {
				if a.due != b.due {
					return int(min(max(int64(a.due)-int64(b.due), -1), 1))
				}
				return int(int64(a.seq) - int64(b.seq))
			})
			if *tr.min() != first {
				t.Fatalf("tree says %+v, sorting %+v", *tr.min(), first)
			}
		}
	})
}

// Goal: shapes cut what their names say. Method: all shapes, sizes and seeds.
func TestShapes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(3, 12).Draw(t, "hosts")
		rng := rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)
		hosts := make([]HostID, count)
		for i := range hosts {
			hosts[i] = HostID(i)
		}
		for s := Halves; s <= MajoritiesRing; s++ {
			hears := make([]int, count)
			for i := range hears {
				hears[i] = count
			}
			for _, p := range s.Pairs(hosts, rng) {
				hears[p.To]--
			}
			majority := count/2 + 1
			inMajority := 0
			for _, h := range hears {
				if h >= majority {
					inMajority++
				}
			}
			switch {
			case s == MajoritiesRing && (slices.Min(hears) != majority || slices.Max(hears) != majority),
				s == Isolate && (slices.Min(hears) != 1 || inMajority != count-1),
				s == Majority && inMajority < majority,
				s == Bridge && slices.Max(hears) != count,
				s == Halves && slices.Min(hears) != count/2:
				t.Fatalf("%v of %d: hosts hear %v", s, count, hears)
			}
		}
	})
}
