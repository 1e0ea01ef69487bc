package netsim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Goal: each fault, told as a story that a reader can check against what he
// knows of TCP. Method: commands at virtual times and what the hosts are told.
//
// Hosts are named by a letter for the zone and a number. The n-th connection
// that a host learns of is host#n.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "network" {
				w = newWorld(t, d)
				return ""
			}
			return w.command(t, d)
		})
	})
}

type world struct {
	n     *Network
	now   clock.Instant
	conns map[string]edge.ConnID
	names map[edge.ConnID]string
	count map[HostID]int
	dials edge.DialID
}

func newWorld(t *testing.T, d *datadriven.TestData) *world {
	topology := Topology{
		Loopback:  Link{Latency: Constant(10 * time.Microsecond)},
		SameZone:  Link{Latency: Constant(time.Millisecond)},
		CrossZone: Link{Latency: Constant(10 * time.Millisecond)},
	}
	var nic int64
	for _, a := range d.CmdArgs {
		switch a.Key {
		case "cross-bytes-per-second":
			topology.CrossZone.BytesPerSecond = int64(number(t, a.Vals[0]))
		case "nic-bytes-per-second":
			nic = int64(number(t, a.Vals[0]))
		case "loss-ppm":
			topology.SameZone.LossPPM = int32(number(t, a.Vals[0]))
		}
	}
	for _, name := range strings.Fields(d.Input) {
		h := Host{Name: name, Zone: name[:1], Ports: []Port{{9092, edge.ListenerClient}, {9093, edge.ListenerController}}}
		h.EgressBytesPerSecond = nic
		topology.Hosts = append(topology.Hosts, h)
	}
	w := &world{n: New(topology, 1), conns: map[string]edge.ConnID{}, names: map[edge.ConnID]string{}, count: map[HostID]int{}}
	for h := range topology.Hosts {
		w.n.SetListening(HostID(h), true)
	}
	return w
}

func number(t *testing.T, s string) int {
	v, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (w *world) host(t *testing.T, name string) HostID {
	h, ok := w.n.Host(name)
	if !ok {
		t.Fatalf("no host %q", name)
	}
	return h
}

func (w *world) hosts(t *testing.T, d *datadriven.TestData, key string) []HostID {
	var out []HostID
	for _, a := range d.CmdArgs {
		if a.Key == key {
			for _, v := range a.Vals {
				out = append(out, w.host(t, v))
			}
		}
	}
	return out
}

func intArg(d *datadriven.TestData, t *testing.T, key string) int {
	v := 0
	d.MaybeScanArgs(t, key, &v)
	return v
}

// command performs one command. Its first argument is often a host or connection.
func (w *world) command(t *testing.T, d *datadriven.TestData) string {
	var first string
	if len(d.CmdArgs) > 0 {
		first = d.CmdArgs[0].Key
	}
	switch d.Cmd {
	case "run":
		return w.run(t, first)
	case "shape":
		return shapeText(t, first, intArg(d, t, "hosts"))
	case "stats":
		return w.stats(d)
	case "dial":
		to, port := "", 9092
		d.ScanArgs(t, "to", &to)
		d.MaybeScanArgs(t, "port", &port)
		w.dials++
		w.n.Dial(w.now, w.host(t, first), edge.Dial{ID: w.dials, Host: to, Port: int32(port)})
		return fmt.Sprintf("dial %d\n", w.dials)
	case "send":
		text := ""
		d.ScanArgs(t, "text", &text)
		w.send(t, first, int16(intArg(d, t, "api")), text, intArg(d, t, "size"))
	case "close":
		w.n.Close(w.now, w.host(t, hostOf(first)), w.conns[first])
	case "kill":
		w.n.HostDown(w.now, w.host(t, first), Killed)
	case "power-loss":
		w.n.HostDown(w.now, w.host(t, first), PowerLoss)
	case "up":
		w.n.HostUp(w.now, w.host(t, first))
		w.n.SetListening(w.host(t, first), true)
	case "listen":
		w.n.SetListening(w.host(t, first), !d.HasArg("off"))
	default:
		if !w.fault(t, d, first) {
			return "no such thing\n"
		}
	}
	return ""
}

// fault performs a command about a fault; it tells whether there was one to end.
func (w *world) fault(t *testing.T, d *datadriven.TestData, first string) bool {
	id := intArg(d, t, "id")
	switch d.Cmd {
	case "cancel":
		return w.n.CancelDial(w.now, w.host(t, first), edge.DialID(intArg(d, t, "dial")))
	case "heal":
		return w.n.Heal(CutID(id))
	case "release":
		return w.n.Release(w.now, HoldID(id))
	case "restore":
		return w.n.Restore(w.now, DegradeID(id))
	case "cut":
		w.n.Cut(CutID(id), w.hosts(t, d, "from"), w.hosts(t, d, "to"))
	case "hold":
		w.n.Hold(HoldID(id), w.hosts(t, d, "from"), w.hosts(t, d, "to"),
			Match{Any: !d.HasArg("api"), API: int16(intArg(d, t, "api"))})
	case "degrade":
		w.n.Degrade(w.now, DegradeID(id), w.hosts(t, d, "from"), w.hosts(t, d, "to"), Degradation{
			Latency:        time.Duration(intArg(d, t, "latency-ms")) * time.Millisecond,
			LossPPM:        int32(intArg(d, t, "loss-ppm")),
			BytesPerSecond: int64(intArg(d, t, "bytes-per-second")),
			DuplicatePPM:   int32(intArg(d, t, "duplicate-ppm")),
			ReorderPPM:     int32(intArg(d, t, "reorder-ppm")),
		})
	case "reset":
		w.n.ResetConnections(w.now, w.hosts(t, d, "a"), w.hosts(t, d, "b"))
	case "lookups":
		w.n.SetLookups(w.host(t, first), !d.HasArg("off"))
	case "half-open":
		w.n.HalfOpen(w.now, w.hosts(t, d, "a"), w.hosts(t, d, "b"))
	default:
		t.Fatalf("unknown command %s", d.Cmd)
	}
	return true
}

func hostOf(conn string) string { return conn[:strings.IndexByte(conn, '#')] }

func (w *world) send(t *testing.T, conn string, api int16, text string, size int) {
	body := binary.BigEndian.AppendUint16(nil, uint16(api))
	body = append(body, text...)
	for len(body) < size {
		body = append(body, '.')
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	w.n.Send(w.now, w.host(t, hostOf(conn)), &edge.Send{Conn: w.conns[conn], Head: append(head, body...)})
}

// run lets time pass to an instant and prints what is delivered until then.
func (w *world) run(t *testing.T, until string) string {
	to, err := time.ParseDuration(until)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for w.n.Next() <= clock.Instant(to) {
		w.now = w.n.Next()
		for {
			v, ok := w.n.Pop(w.now)
			if !ok {
				break
			}
			fmt.Fprintf(&out, "%v %s\n", w.now, w.text(&v))
		}
	}
	w.now = clock.Instant(to)
	return out.String()
}

func (w *world) text(v *Delivery) string {
	host, e := w.n.HostName(v.To), &v.Event
	switch e.Kind {
	case edge.EventConnOpened:
		w.count[v.To]++
		name := fmt.Sprintf("%s#%d", host, w.count[v.To])
		w.conns[name], w.names[e.Conn] = e.Conn, name
		if e.Dial != 0 {
			return fmt.Sprintf("%s: dial %d opened %s", host, e.Dial, name)
		}
		return fmt.Sprintf("%s: accepted %s from %s on listener %d", host, name, e.Peer, e.Listener)
	case edge.EventConnFailed:
		return fmt.Sprintf("%s: dial %d failed", host, e.Dial)
	case edge.EventConnClosed:
		return fmt.Sprintf("%s: %s closed", host, w.names[e.Conn])
	}
	b := e.Frame.Bytes()
	return fmt.Sprintf("%s: %s got api=%d %q", host, w.names[e.Conn], binary.BigEndian.Uint16(b), strings.TrimRight(string(b[2:]), "."))
}

func (w *world) stats(d *datadriven.TestData) string {
	s := w.n.Stats()
	all := []struct {
		name  string
		value int64
	}{
		{"dials", s.Dials}, {"failed", s.DialsFailed}, {"opened", s.Opened}, {"sent", s.FramesSent},
		{"delivered", s.FramesDelivered}, {"dropped", s.FramesDropped}, {"held", s.FramesHeld}, {"lost", s.FramesLost},
		{"retransmissions", s.Retransmissions}, {"resets", s.Resets}, {"timed-out", s.TimedOut},
		{"in-flight", s.FramesInFlight}, {"bytes-in-flight", s.BytesInFlight}, {"connections", s.Connections},
	}
	var out strings.Builder
	for _, v := range all {
		if v.value != 0 {
			fmt.Fprintf(&out, "%s=%d ", v.name, v.value)
		}
	}
	for i, b := range s.BytesByZonePair {
		if b != 0 {
			fmt.Fprintf(&out, "%s->%s=%dB ", s.Zones[i/len(s.Zones)], s.Zones[i%len(s.Zones)], b)
		}
	}
	return strings.TrimSpace(out.String()) + "\n"
}

func shapeText(t *testing.T, name string, count int) string {
	hosts := make([]HostID, count)
	for i := range hosts {
		hosts[i] = HostID(i)
	}
	for s := Halves; s <= MajoritiesRing; s++ {
		if s.String() != name {
			continue
		}
		var out strings.Builder
		pairs := s.Pairs(hosts, rand.NewPCG(7, 0))
		for _, to := range hosts {
			fmt.Fprintf(&out, "%d hears", to)
			for _, from := range hosts {
				cut := false
				for _, p := range pairs {
					cut = cut || p == Pair{from, to}
				}
				if !cut && from != to {
					fmt.Fprintf(&out, " %d", from)
				}
			}
			out.WriteString("\n")
		}
		return out.String()
	}
	t.Fatalf("no shape %s", name)
	return ""
}
