package netsim

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// BenchmarkFrame is one small frame, sent and delivered, while every connection
// of nine hosts in three zones has frames in flight.
func BenchmarkFrame(b *testing.B) {
	for _, bench := range []struct {
		name  string
		bytes int
	}{{"100B", 100}, {"16KiB", 16 << 10}} {
		b.Run(bench.name, func(b *testing.B) { benchmarkFrames(b, bench.bytes) })
	}
}

func benchmarkFrames(b *testing.B, bytes int) {
	n, conns := benchNetwork(b)
	head := make([]byte, prefixBytes+bytes)
	binary.BigEndian.PutUint32(head, uint32(bytes))
	send := edge.Send{Head: head}
	now := n.now
	for range 4 {
		for i := range conns {
			send.Conn = conns[i].Event.Conn
			n.Send(now, conns[i].To, &send)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		now = n.Next()
		v, ok := n.Pop(now)
		if !ok {
			b.Fatal("nothing to deliver")
		}
		v.Event.Frame.Release()
		send.Conn = v.Event.Conn
		n.Send(now, v.To, &send)
	}
}

// benchNetwork returns a network with 36 hosts' pairs connected, and an end of each.
func benchNetwork(tb testing.TB) (*Network, []Delivery) {
	t := Topology{
		SameZone:  Link{Latency: Constant(300 * time.Microsecond), Jitter: 100 * time.Microsecond},
		CrossZone: Link{Latency: Lognormal(time.Millisecond, 4*time.Millisecond), BytesPerSecond: 625e6},
	}
	for i := range 9 {
		t.Hosts = append(t.Hosts, Host{Name: string(rune('a' + i)), Zone: string(rune('x' + i/3)), Ports: []Port{{Number: 1}}})
	}
	n := New(t, 1)
	for i := range HostID(9) {
		n.SetListening(i, true)
		for j := range HostID(9) {
			if i != j {
				n.Dial(0, i, edge.Dial{ID: edge.DialID(j) + 1, Host: n.HostName(j), Port: 1})
			}
		}
	}
	var conns []Delivery
	for n.Next() != clock.Never {
		if v, ok := n.Pop(n.Next()); ok {
			conns = append(conns, v)
		}
	}
	if len(conns) != 2*9*8 {
		tb.Fatalf("%d ends of 144 opened", len(conns))
	}
	return n, conns
}

// Goal: a frame allocates nothing in steady state.
func TestNoAllocationPerFrame(t *testing.T) {
	n, conns := benchNetwork(t)
	head := make([]byte, prefixBytes+100)
	head[3] = 100
	body := edge.NewBuffer(make([]byte, 1000))
	binary.BigEndian.PutUint32(head, 1100)
	send := edge.Send{Head: head, Body: []edge.Slice{body.All()}, Pieces: []int32{50}}
	round := func() {
		for i := range conns {
			body.Retain()
			send.Conn = conns[i].Event.Conn
			n.Send(n.now, conns[i].To, &send)
		}
		for n.Next() != clock.Never {
			if v, ok := n.Pop(n.Next()); ok {
				v.Event.Frame.Release()
			}
		}
	}
	if allocs := testing.AllocsPerRun(10, round); allocs != 0 {
		t.Fatalf("%v allocations in a round of %d frames", allocs, len(conns))
	}
}
