package netsim

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Goal: the integer tables are the normal and lognormal distributions. Method:
// recomputed in floats.
func TestNormalTable(t *testing.T) {
	for i, got := range normalQuantiles {
		want := math.Sqrt2 * math.Erfinv(2*(512+float64(i)+0.5)/1024-1) * (1 << 24)
		if math.Abs(want-float64(got)) > 1 {
			t.Fatalf("quantile %d is %d, want %f", i, got, want)
		}
	}
	if want := math.Sqrt2 * math.Erfinv(0.98) * (1 << 24); math.Abs(want-normalP99) > 1 {
		t.Fatalf("99th percentile %d, want %f", normalP99, want)
	}
}

func TestLognormalTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		median := rapid.Int64Range(1000, 1e9).Draw(t, "median")
		p99 := rapid.Int64Range(median, median*1000).Draw(t, "p99")
		table := lognormalTable(median, p99)
		sigma := math.Log(float64(p99)/float64(median)) / (math.Sqrt2 * math.Erfinv(0.98))
		for i, got := range table {
			z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/1024-1)
			want := min(float64(median)*math.Exp(sigma*z), float64(LatencyMax))
			if math.Abs(want-float64(got)) > 2+want*1e-5 {
				t.Fatalf("median %d, p99 %d: value %d is %d, want %f", median, p99, i, got, want)
			}
		}
		if !slices.IsSorted(table) {
			t.Fatal("table is not sorted")
		}
	})
}

func TestLatencyDraws(t *testing.T) {
	n := New(Topology{}, 3)
	for _, c := range []struct {
		latency  Latency
		min, max time.Duration
	}{
		{Latency{}, 0, 0},
		{Constant(5), 5, 5},
		{Uniform(5, 7), 5, 7},
		{Measured([]time.Duration{9, 4, 30}), 4, 30},
	} {
		d := c.latency.compile()
		low, high := int64(math.MaxInt64), int64(-1)
		for range 1000 {
			v := d.draw(n)
			low, high = min(low, v), max(high, v)
		}
		if low != int64(c.min) || high != int64(c.max) {
			t.Fatalf("%+v: drew from %d to %d", c, low, high)
		}
	}
}

// Goal: a frame has its bodies in their places, whether they are small and copied
// or large and passed on.
func TestFramePutsBodiesInPlace(t *testing.T) {
	n := New(Topology{}, 1)
	one, two := edge.NewBuffer([]byte("ONE")), edge.NewBuffer([]byte("-TWO-"))
	for _, c := range []struct {
		pieces []int32
		want   string
	}{
		{nil, "headONETWO"},
		{[]int32{4, 4}, "ONETWOhead"},
		{[]int32{6, 7}, "heONEaTWOd"},
		{[]int32{6, 8}, "heONEadTWO"},
	} {
		one.Retain()
		two.Retain()
		s := edge.Send{Head: []byte("\x00\x00\x00\x0ahead"), Body: []edge.Slice{one.All(), two.Slice(1, 4)}, Pieces: c.pieces}
		if diff := cmp.Diff(c.want, string(n.frame(&s).Bytes())); diff != "" {
			t.Fatalf("pieces %v: %s", c.pieces, diff)
		}
		large := edge.NewBuffer(make([]byte, 2*scatterBytesMin))
		copy(large.Bytes(), "LARGE")
		s = edge.Send{Head: []byte("\x00\x00\x04\x04head"), Body: []edge.Slice{large.All()}, Pieces: c.pieces}
		at := prefixBytes + 4
		if len(c.pieces) > 0 {
			at = int(c.pieces[0])
		}
		frame := n.frame(&s)
		if _, body, _ := frame.Pieces(); len(body) != 1 {
			t.Fatalf("pieces %v: a large body was copied", c.pieces)
		}
		if got := string(frame.Bytes()[at-prefixBytes:][:5]); got != "LARGE" {
			t.Fatalf("pieces %v: %q where the body belongs", c.pieces, got)
		}
	}
}

func TestValidateNamesTheMistake(t *testing.T) {
	a, b := Host{Name: "a", Zone: "x"}, Host{Name: "b", Zone: "y"}
	for _, c := range []struct {
		topology Topology
		want     string
	}{
		{Topology{Hosts: []Host{a, a}}, `repeated name "a"`},
		{Topology{Hosts: []Host{{Name: "a", Ports: []Port{{1, 0}, {1, 1}}}}}, "port 1 twice"},
		{Topology{SameZone: Link{Latency: Uniform(2, 1)}}, "same zone link: latency from 2ns to 1ns"},
		{Topology{CrossZone: Link{Latency: Lognormal(2, 1)}}, "cross zone link: lognormal"},
		{Topology{Loopback: Link{LossPPM: million + 1}}, "1000001 parts per million"},
		{Topology{Loopback: Link{Latency: Measured(nil)}}, "0 measured latencies"},
		{Topology{Hosts: []Host{a, b}, ZoneLinks: []ZoneLink{{From: "x", To: "z"}}}, `"z": no host is in such a zone`},
		{Topology{Hosts: []Host{a, b}, HostLinks: []HostLink{{From: "c", To: "a"}}}, `"c" to "a": no such host`},
		{Topology{Hosts: []Host{a, b}, HostLinks: []HostLink{{From: "a", To: "b", Link: Link{BytesPerSecond: -1}}}}, "negative"},
		{Topology{Hosts: make([]Host, HostsMax+1)}, "at most"},
	} {
		err := c.topology.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Fatalf("got %v, want something with %q", err, c.want)
		}
	}
}

// Goal: an end that sends without bound is reset, not buffered without bound.
func TestTooManyFramesReset(t *testing.T) {
	n, conns := benchNetwork(t)
	end := conns[0]
	send := edge.Send{Conn: end.Event.Conn, Head: []byte{0, 0, 0, 0}}
	for range FramesPerDirectionMax + 2 {
		n.Send(n.now, end.To, &send)
	}
	v, ok := n.Pop(n.now)
	if !ok || v.To != end.To || v.Event.Kind != edge.EventConnClosed || v.Event.Conn != end.Event.Conn {
		t.Fatalf("got %v %+v", ok, v)
	}
	if s := n.Stats(); s.FramesInFlight != 0 || s.FramesDropped != FramesPerDirectionMax+2 {
		t.Fatalf("in flight %d, dropped %d", s.FramesInFlight, s.FramesDropped)
	}
}

// Goal: when an end is reset by its own kernel, the other one, whose frame was
// on its way or came a moment later, learns that it was lost.
func TestPeerOfAResetEndIsTold(t *testing.T) {
	for _, before := range []bool{true, false} {
		n, conns := benchNetwork(t)
		end := conns[0]
		e := n.end(end.To, end.Event.Conn)
		peer := Delivery{To: n.dirs[e].to, Event: edge.Event{Conn: n.connID(e ^ 1)}}
		send := edge.Send{Conn: end.Event.Conn, Head: []byte{0, 0, 0, 0}}
		answer := edge.Send{Conn: peer.Event.Conn, Head: []byte{0, 0, 0, 0}}
		if before {
			n.Send(n.now, peer.To, &answer)
		}
		for range FramesPerDirectionMax + 1 {
			n.Send(n.now, end.To, &send)
		}
		if !before {
			n.Send(n.now, peer.To, &answer)
		}
		var told []Delivery
		for n.Next() != clock.Never {
			if v, ok := n.Pop(n.Next()); ok {
				told = append(told, v)
			}
		}
		if len(told) != 2 || told[0].To != end.To || told[1].To != peer.To ||
			told[1].Event.Kind != edge.EventConnClosed || told[1].Event.Conn != peer.Event.Conn {
			t.Fatalf("sent before %v: %+v", before, told)
		}
	}
}
