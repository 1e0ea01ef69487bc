// Package reach measures who reaches whom on a simulated network, as the hosts
// themselves could: by connections between all ordered pairs of them, and frames
// on these. It is for tests of faults. It knows nothing of cuts, holds and links,
// uses only what a machine may use, and never changes what the network does.
package reach

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
)

// RoundsMax bounds the rounds of a mesh: each has a listener of its own, by which
// an acceptor knows whose connection it is.
const RoundsMax = 255

// Ports are what every host of a network that is to be measured must have. The
// hosts must also listen (netsim.Network.SetListening).
func Ports(rounds int) []netsim.Port {
	ports := make([]netsim.Port, rounds)
	for i := range ports {
		ports[i] = netsim.Port{Number: int32(1 + i), Listener: edge.Listener(i)}
	}
	return ports
}

// Mesh is the connections of all rounds. A round has one for each ordered pair of
// hosts, a host and itself included: a connection on which nothing has been sent
// yet shows what passes now, while on one that has seen a fault TCP's timers do.
type Mesh struct {
	// Arrived is told of each frame that a host is given; nil tells nobody.
	Arrived func(from, to netsim.HostID)

	network *netsim.Network
	now     clock.Instant
	hosts   int
	ends    []end // of a connection the dialer's, then the acceptor's
	byConn  map[edge.ConnID]int
}

// end is one end of a connection.
type end struct {
	host, peer     netsim.HostID
	conn           edge.ConnID
	opened, closed bool
	failed         bool // the attempt to connect
	sent, received uint64
}

// New returns a mesh without a connection between the first hosts of a network.
func New(network *netsim.Network, now clock.Instant, hosts, rounds int) *Mesh {
	m := &Mesh{network: network, now: now, hosts: hosts, byConn: map[edge.ConnID]int{}}
	for range rounds {
		for from := range netsim.HostID(hosts) {
			for to := range netsim.HostID(hosts) {
				m.ends = append(m.ends, end{host: from, peer: to}, end{host: to, peer: from})
			}
		}
	}
	return m
}

// Now is the time up to which the mesh has run.
func (m *Mesh) Now() clock.Instant { return m.now }

// first is the dialer's end of a connection; the acceptor's follows.
func (m *Mesh) first(round int, dialer, acceptor netsim.HostID) int {
	return 2 * ((round*m.hosts+int(dialer))*m.hosts + int(acceptor))
}

func (m *Mesh) round(round int) []end {
	return m.ends[m.first(round, 0, 0):m.first(round+1, 0, 0)]
}

// Dial lets every host begin to connect to every host.
func (m *Mesh) Dial(round int) {
	for dialer := range netsim.HostID(m.hosts) {
		for acceptor := range netsim.HostID(m.hosts) {
			m.network.Dial(m.now, dialer, edge.Dial{ID: edge.DialID(1 + m.first(round, dialer, acceptor)),
				Host: m.network.HostName(acceptor), Port: int32(1 + round)})
		}
	}
}

// Send lets both ends of every open connection of a round send one frame, whose
// first two bytes are an API key.
func (m *Mesh) Send(round int, api int16) {
	for i := range m.round(round) {
		at := m.first(round, 0, 0) + i
		e := &m.ends[at]
		if !e.opened || e.closed {
			continue
		}
		const body = 2 + 8 + 8
		head := binary.BigEndian.AppendUint32(nil, body)
		head = binary.BigEndian.AppendUint16(head, uint16(api))
		head = binary.BigEndian.AppendUint64(head, uint64(at))
		head = binary.BigEndian.AppendUint64(head, e.sent)
		e.sent++
		m.network.Send(m.now, e.host, &edge.Send{Conn: e.conn, Head: head})
	}
}

// Run lets time pass. The error is the first frame that is out of order, missing
// or at a wrong end.
func (m *Mesh) Run(until clock.Instant) error {
	for m.network.Next() <= until {
		m.now = max(m.now, m.network.Next())
		for {
			v, ok := m.network.Pop(m.now)
			if !ok {
				break
			}
			if err := m.take(&v); err != nil {
				return fmt.Errorf("at %v: %w", m.now, err)
			}
		}
	}
	m.now = until
	return nil
}

func (m *Mesh) take(v *netsim.Delivery) error {
	e := &v.Event
	switch e.Kind {
	case edge.EventConnOpened:
		at := int(e.Dial) - 1
		if e.Dial == 0 {
			dialer, _ := m.network.Host(e.Peer)
			at = m.first(int(e.Listener), dialer, v.To) + 1
		}
		m.byConn[e.Conn] = at
		m.ends[at].conn, m.ends[at].opened = e.Conn, true
		return nil
	case edge.EventConnFailed:
		m.ends[int(e.Dial)-1].failed = true
		return nil
	case edge.EventConnClosed:
		m.ends[m.byConn[e.Conn]].closed = true
		return nil
	}
	at := m.byConn[e.Conn]
	receiver, sender := &m.ends[at], &m.ends[at^1]
	bytes := e.Frame.Bytes()
	from, number := binary.BigEndian.Uint64(bytes[2:]), binary.BigEndian.Uint64(bytes[10:])
	if receiver.host != v.To || from != uint64(at^1) || number != receiver.received {
		return fmt.Errorf("%s was given frame %d of end %d, expected is frame %d of end %d",
			m.network.HostName(v.To), number, from, receiver.received, at^1)
	}
	receiver.received++
	e.Frame.Release()
	if m.Arrived != nil {
		m.Arrived(sender.host, receiver.host)
	}
	return nil
}

// Requests tells from which dialers the acceptors have everything.
func (m *Mesh) Requests(round int) Matrix {
	return m.matrix(round, func(dialer, acceptor *end) bool { return acceptor.received == dialer.sent && dialer.sent > 0 }, false)
}

// Answers tells from which acceptors the dialers have everything.
func (m *Mesh) Answers(round int) Matrix {
	return m.matrix(round, func(dialer, acceptor *end) bool { return dialer.received == acceptor.sent && acceptor.sent > 0 }, true)
}

// Open tells between which hosts there is a connection of which both know, and
// neither has been told that it is closed: from the dialer to the acceptor.
func (m *Mesh) Open(round int) Matrix {
	return m.matrix(round, func(dialer, acceptor *end) bool {
		return dialer.opened && acceptor.opened && !dialer.closed && !acceptor.closed
	}, false)
}

// Dialled tells which dialers have been told that they are connected, whether or not
// the acceptors know it yet.
func (m *Mesh) Dialled(round int) Matrix {
	return m.matrix(round, func(dialer, _ *end) bool { return dialer.opened }, false)
}

// Closed tells of which connections both ends have been told that they are closed.
func (m *Mesh) Closed(round int) Matrix {
	return m.matrix(round, func(dialer, acceptor *end) bool { return dialer.closed && acceptor.closed }, false)
}

// Failed tells which attempts to connect were in vain.
func (m *Mesh) Failed(round int) Matrix {
	return m.matrix(round, func(dialer, _ *end) bool { return dialer.failed }, false)
}

func (m *Mesh) matrix(round int, is func(dialer, acceptor *end) bool, fromAcceptor bool) Matrix {
	out := NewMatrix(m.hosts)
	for ends := m.round(round); len(ends) > 0; ends = ends[2:] {
		dialer, acceptor := &ends[0], &ends[1]
		from, to := dialer.host, acceptor.host
		if fromAcceptor {
			from, to = to, from
		}
		out[from][to] = is(dialer, acceptor)
	}
	return out
}

// Matrix says of each ordered pair of hosts, first the one from which and then the
// one to which, whether something holds.
type Matrix [][]bool

// NewMatrix returns the matrix of which nothing holds.
func NewMatrix(hosts int) Matrix {
	out := make(Matrix, hosts)
	for i := range out {
		out[i] = make([]bool, hosts)
	}
	return out
}

// Pairs returns the matrix of what holds for each ordered pair.
func Pairs(hosts int, holds func(from, to netsim.HostID) bool) Matrix {
	out := NewMatrix(hosts)
	for from := range out {
		for to := range out[from] {
			out[from][to] = holds(netsim.HostID(from), netsim.HostID(to))
		}
	}
	return out
}

// All is the matrix of which everything holds.
func All(hosts int) Matrix {
	return Pairs(hosts, func(netsim.HostID, netsim.HostID) bool { return true })
}

// Text shows a matrix to people: a row for each host from which, a column for each
// one to which; + where it holds.
func (m Matrix) Text(names []string) string {
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	var out strings.Builder
	line := func(head string, cell func(to int) string) {
		text := fmt.Sprintf("%-*s", width, head)
		for to := range m {
			text += fmt.Sprintf("  %-*s", len(names[to]), cell(to))
		}
		out.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	line("", func(to int) string { return names[to] })
	for from := range m {
		line(names[from], func(to int) string {
			if m[from][to] {
				return "+"
			}
			return "-"
		})
	}
	return out.String()
}
