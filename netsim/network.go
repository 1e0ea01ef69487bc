package netsim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// The limits of TCP, with the names and defaults of Linux.
const (
	// RTOMin is the shortest retransmission time-out beyond the round trip;
	// each one in vain doubles it, up to RTOMax.
	RTOMin = 200 * time.Millisecond
	RTOMax = 120 * time.Second
	// Retries2 (net.ipv4.tcp_retries2) is how many retransmissions in vain reset
	// a connection: after 924.6 s and some round trips.
	Retries2 = 15
	// OrphanRetries (tcp_orphan_retries) is the same for a connection that its
	// process has closed already.
	OrphanRetries = 8
	// SynRetries (tcp_syn_retries) at 1, 3, 7, 15, 31 and 63 s; the attempt fails
	// after 127 s.
	SynRetries = 6
	synTimeout = time.Second

	// ResolveDelay is how long it takes to learn that a host name is unknown.
	ResolveDelay = time.Millisecond
	// LookupTimeout is how long a resolver waits for an answer, and LookupAttempts
	// how often it asks, as resolv.conf(5) has them by default.
	LookupTimeout  = 5 * time.Second
	LookupAttempts = 2

	// ConnectionsMax bounds the connections that exist at once, half-open and
	// dialling ones included; a dial beyond it fails.
	ConnectionsMax = 1 << 22
	// FramesPerDirectionMax bounds what one end has sent and the other not yet
	// received. A process that sends more would have run out of memory; here the
	// connection is reset.
	FramesPerDirectionMax = 1 << 16

	prefixBytes = 4

	// scatterBytesMin is the mean size from which the slices of a frame are passed
	// on by reference: below it, copying them costs less than keeping count.
	scatterBytesMin = 512

	// poolBytes is what the frames' pool keeps, which the disks of all hosts share:
	// retention deletes a segment of many partitions at once.
	poolBytes = 32 << 20
)

// Network is the state of all connections. It belongs to one simulation.
type Network struct {
	pool  edge.Pool
	rng   rand.PCG
	now   clock.Instant
	seq   uint64
	hosts []host
	names map[string]HostID // looked up only, never iterated

	paths []path // of ordered pairs: from * len(hosts) + to
	pipes []pipe
	// idlePipes belonged to degradations that have ended.
	idlePipes []int32

	dirs    []direction // 2k and 2k+1 are the directions of connection k
	free    []int32     // connections, last in first out
	dialing []int32     // directions of attempts in flight, in no order that matters
	tree    tree

	cuts     []cut // in force, by id
	holds    []hold
	degrades []degrade
	stats    Stats
}

type host struct {
	name      string
	ports     []Port
	alive     bool // the kernel answers
	listening bool
	mute      bool   // lookups of names get no answer
	epoch     uint32 // counts how often the process went down
}

// Delivery is one event for the machine on a host. The world fills in Now and
// Wall.
type Delivery struct {
	To    HostID
	Event edge.Event
}

// Down says how a host goes down.
type Down uint8

const (
	// Killed: the process dies, the kernel lives and closes its connections.
	Killed Down = iota
	// PowerLoss: silence. Peers notice by retransmission limit, or by the RST
	// that the kernel sends once the host is up again.
	PowerLoss
)

// New builds the network. The topology must be valid (Topology.Validate). All
// hosts are up; none listens before SetListening.
func New(t Topology, seed uint64) *Network {
	if err := t.Validate(); err != nil {
		panic("netsim: " + err.Error())
	}
	n := &Network{names: make(map[string]HostID, len(t.Hosts))}
	n.rng = *rand.NewPCG(seed, pcgStream)
	n.pool.Keep(poolBytes)
	for i := range t.Hosts {
		h := &t.Hosts[i]
		n.hosts = append(n.hosts, host{name: h.Name, ports: h.Ports, alive: true})
		n.names[h.Name] = HostID(i)
	}
	n.tree.init()
	n.buildPaths(&t)
	return n
}

// pcgStream separates this stream from others of the same run.
const pcgStream = 0x6e657473696d

// Host returns the id of the host with that name.
func (n *Network) Host(name string) (HostID, bool) {
	h, ok := n.names[name]
	return h, ok
}

// HostName returns the name of a host.
func (n *Network) HostName(h HostID) string { return n.hosts[h].name }

// Pool is where the frames' buffers come from; the disks share it.
func (n *Network) Pool() *edge.Pool { return &n.pool }

// Send hands a frame to a connection: one write with its 4-byte length prefix.
// It releases the Body buffers. A frame for an unknown or closed connection is
// dropped, as a write to a dead socket; the owner has been told, or will be.
func (n *Network) Send(now clock.Instant, from HostID, s *edge.Send) {
	n.observe(now)
	d := n.end(from, s.Conn)
	if d < 0 || n.dirs[d].end != endOpen {
		for i := range s.Body {
			s.Body[i].Buffer.Release()
		}
		n.stats.FramesDropped++
		return
	}
	buffer := n.frame(s)
	p := &n.paths[n.dirs[d].path]
	n.stats.FramesSent++
	n.stats.BytesByZonePair[p.zones] += int64(buffer.Len() + prefixBytes)
	n.push(d, now, frameData, buffer)
}

// frame returns what the receiver gets: all without the prefix, the Body slices in
// their places. Large ones are passed on as they are, small ones copied together.
func (n *Network) frame(s *edge.Send) *edge.Buffer {
	if len(s.Head) < prefixBytes {
		panic(fmt.Sprintf("netsim: frame of %d bytes has no length prefix", len(s.Head)))
	}
	body := 0
	for i := range s.Body {
		body += s.Body[i].Len()
	}
	total := len(s.Head) - prefixBytes + body
	if claimed := int(binary.BigEndian.Uint32(s.Head)); claimed != total {
		panic(fmt.Sprintf("netsim: frame of %d bytes after a prefix of %d", total, claimed))
	}
	if body == 0 || body < scatterBytesMin*len(s.Body) {
		return n.assemble(s, total)
	}
	for i := range s.Pieces {
		s.Pieces[i] -= prefixBytes
	}
	for len(s.Pieces) < len(s.Body) {
		s.Pieces = append(s.Pieces, int32(len(s.Head)-prefixBytes))
	}
	return n.pool.Scatter(s.Head[prefixBytes:], s.Body, s.Pieces)
}

func (n *Network) assemble(s *edge.Send, total int) *edge.Buffer {
	buffer := n.pool.Get(total)
	out := buffer.Bytes()
	at := prefixBytes
	for i := range s.Body {
		cut := len(s.Head)
		if i < len(s.Pieces) {
			cut = int(s.Pieces[i])
		}
		if cut > at {
			out = out[copy(out, s.Head[at:cut]):]
			at = cut
		}
		out = out[copy(out, s.Body[i].Bytes()):]
		s.Body[i].Buffer.Release()
	}
	copy(out, s.Head[at:])
	return buffer
}

// Close closes a connection after what was sent; the closer gets no event.
// Closing a connection that is unknown or closed does nothing.
func (n *Network) Close(now clock.Instant, from HostID, c edge.ConnID) {
	n.observe(now)
	if d := n.end(from, c); d >= 0 && n.dirs[d].end == endOpen {
		n.dirs[d].end = endClosed
		n.push(d, now, frameFin, nil)
	}
}

// SetListening tells whether the host's process accepts connections.
func (n *Network) SetListening(h HostID, listening bool) { n.hosts[h].listening = listening }

// Next returns when Pop has something to do; clock.Never if never. It may turn
// out to be something that delivers nothing, such as a retransmission.
func (n *Network) Next() clock.Instant { return n.tree.min().due }

// Pop returns the next delivery due at now or before, in the exact order of
// (time, sequence); false if there is none. Call it until it returns false.
func (n *Network) Pop(now clock.Instant) (v Delivery, ok bool) {
	n.observe(now)
	for {
		next := n.tree.min()
		if next.due > now || next.due == clock.Never {
			return v, false
		}
		if n.step(next.dir, next.due, &v) {
			return v, true
		}
	}
}

func (n *Network) observe(now clock.Instant) {
	if now < n.now {
		panic(fmt.Sprintf("netsim: time would go back from %d to %d", n.now, now))
	}
	n.now = now
}

func (n *Network) next() uint64 { n.seq++; return n.seq }
