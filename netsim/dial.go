package netsim

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// dial is an attempt to connect. Its phases: synSent -> synAckSent -> open, or
// synSent -> refusedSent -> failed. Where a packet is lost or unanswered the
// attempt waits in synWait and goes back to synSent, at most SynRetries times.
// Before all that it is in lookup while nobody answers its question for the name.
type dial struct {
	id       edge.DialID
	port     int32
	phase    dialPhase
	retries  uint8
	sent     clock.Instant // the SYN in flight
	listener edge.Listener
	epoch    uint32 // of the accepting process
}

type dialPhase uint8

const (
	synSent dialPhase = iota
	synWait
	synAckSent
	refusedSent
	lookup
)

// Dial starts an attempt to connect. The dialer is told ConnOpened after one
// round trip, the acceptor half a round trip later; or the dialer is told
// ConnFailed: refused after one round trip, given up after 127 s of silence, soon
// if the name is unknown, or after LookupAttempts if nobody answers for names.
func (n *Network) Dial(now clock.Instant, from HostID, a edge.Dial) {
	n.observe(now)
	n.stats.Dials++
	to, known := n.names[a.Host]
	if !known {
		to = from
	}
	d := n.allocate(from, to)
	r := &n.dirs[d]
	r.end = endDialing
	r.attempt = dial{id: a.ID, port: a.Port}
	n.dialing = append(n.dialing, d)
	if n.hosts[from].mute && from != to { // its own name stands in its hosts file
		r.attempt.phase = lookup
		n.waitDial(d, now.Add(LookupTimeout))
		return
	}
	if !known || n.stats.Connections > ConnectionsMax {
		r.attempt.phase = refusedSent
		n.waitDial(d, now+clock.Instant(ResolveDelay))
		return
	}
	n.sendSyn(d, now)
}

// CancelDial gives up an attempt in flight; it tells whether there was one.
// After it no event about the attempt is delivered. One that has been told
// ConnOpened is a connection: close that.
func (n *Network) CancelDial(now clock.Instant, from HostID, id edge.DialID) bool {
	n.observe(now)
	for _, d := range n.dialing {
		if r := &n.dirs[d]; r.from == from && r.attempt.id == id {
			n.endDial(d)
			return true
		}
	}
	return false
}

func (n *Network) sendSyn(d int32, at clock.Instant) {
	r, p := &n.dirs[d], &n.paths[n.dirs[d].path]
	r.attempt.sent = at
	if p.loss > 0 && n.chance(p.loss) {
		n.stats.FramesLost++
		n.awaitSyn(d)
		return
	}
	r.attempt.phase = synSent
	n.waitDial(d, at+n.latency(p))
}

// awaitSyn waits for the time-out of the SYN that was sent last.
func (n *Network) awaitSyn(d int32) {
	a := &n.dirs[d].attempt
	a.phase = synWait
	n.waitDial(d, max(a.sent+clock.Instant(synTimeout)<<a.retries, n.dirs[d].floor))
}

func (n *Network) waitDial(d int32, at clock.Instant) {
	r := &n.dirs[d]
	r.tick, r.tickSeq = at, n.next()
	n.schedule(d)
}

func (n *Network) stepDial(d int32, at clock.Instant, v *Delivery) bool {
	r := &n.dirs[d]
	r.floor = at
	a := &r.attempt
	switch a.phase {
	case lookup:
		return n.lookedUp(d, at, v)
	case synSent:
		n.receiveSyn(d, at)
		return false
	case synWait:
		if a.retries < SynRetries {
			a.retries++
			n.stats.Retransmissions++
			n.sendSyn(d, at)
			return false
		}
		return n.failDial(d, v)
	}
	if n.paths[n.dirs[d^1].path].cuts > 0 || r.black {
		n.awaitSyn(d) // the answer is lost; the next SYN asks for another
		return false
	}
	if a.phase == refusedSent {
		return n.failDial(d, v)
	}
	return n.openDial(d, at, v)
}

// lookedUp ends one wait for the answer to a lookup.
func (n *Network) lookedUp(d int32, at clock.Instant, v *Delivery) bool {
	a := &n.dirs[d].attempt
	if a.retries++; !n.hosts[n.dirs[d].from].mute {
		a.retries = 0
		n.sendSyn(d, at)
		return false
	}
	if a.retries < LookupAttempts {
		n.waitDial(d, at.Add(LookupTimeout))
		return false
	}
	return n.failDial(d, v)
}

// receiveSyn is the SYN's arrival at the other host's kernel.
func (n *Network) receiveSyn(d int32, at clock.Instant) {
	r, h := &n.dirs[d], &n.hosts[n.dirs[d].to]
	back := &n.paths[n.dirs[d^1].path]
	if n.paths[r.path].cuts > 0 || r.black || !h.alive {
		n.awaitSyn(d)
		return
	}
	if back.loss > 0 && n.chance(back.loss) {
		n.stats.FramesLost++
		n.awaitSyn(d)
		return
	}
	r.attempt.phase = refusedSent
	if h.listening {
		for _, p := range h.ports {
			if p.Number == r.attempt.port {
				r.attempt.phase, r.attempt.listener, r.attempt.epoch = synAckSent, p.Listener, h.epoch
			}
		}
	}
	n.waitDial(d, at+n.latency(back))
}

func (n *Network) openDial(d int32, at clock.Instant, v *Delivery) bool {
	r := &n.dirs[d]
	n.forgetDial(d)
	r.end, r.tick = endOpen, clock.Never
	n.dirs[d^1].attempt = r.attempt
	n.stats.Opened++
	v.To = r.from
	v.Event = edge.Event{Kind: edge.EventConnOpened, Conn: n.connID(d), Dial: r.attempt.id}
	n.push(d, at, frameAccept, nil)
	n.schedule(d)
	return true
}

// accept is the arrival of the dialer's last packet of the handshake.
func (n *Network) accept(d int32, at clock.Instant, v *Delivery) bool {
	r, peer := &n.dirs[d], &n.dirs[d^1]
	h := &n.hosts[r.to]
	if !h.listening || h.epoch != peer.attempt.epoch {
		n.answerReset(d, at)
		return false
	}
	n.pop(d)
	r.floor = at
	peer.end = endOpen
	n.acknowledge(d, at)
	n.schedule(d)
	v.To = r.to
	v.Event = edge.Event{Kind: edge.EventConnOpened, Conn: n.connID(d ^ 1), Listener: peer.attempt.listener,
		Peer: n.hosts[r.from].name}
	return true
}

func (n *Network) failDial(d int32, v *Delivery) bool {
	r := &n.dirs[d]
	n.stats.DialsFailed++
	v.To = r.from
	v.Event = edge.Event{Kind: edge.EventConnFailed, Dial: r.attempt.id}
	n.endDial(d)
	return true
}

func (n *Network) endDial(d int32) {
	n.forgetDial(d)
	n.dirs[d].end, n.dirs[d].tick = endClosed, clock.Never
	n.schedule(d)
	n.freeIfDone(d)
}

func (n *Network) forgetDial(d int32) {
	for i, other := range n.dialing {
		if other == d {
			last := len(n.dialing) - 1
			n.dialing[i] = n.dialing[last]
			n.dialing = n.dialing[:last]
			return
		}
	}
	panic(fmt.Sprintf("netsim: direction %d is not dialing", d))
}

// allocate returns the dialer's direction of a new connection.
func (n *Network) allocate(from, to HostID) int32 {
	var d int32
	if last := len(n.free) - 1; last >= 0 {
		d = 2 * n.free[last]
		n.free = n.free[:last]
	} else {
		d = int32(len(n.dirs))
		n.dirs = append(n.dirs, direction{gen: 1}, direction{gen: 1})
		n.tree.grow(d + 1)
	}
	n.stats.Connections++
	n.dirs[d].reset(from, to, n.pathIndex(from, to))
	n.dirs[d+1].reset(to, from, n.pathIndex(to, from))
	return d
}

func (r *direction) reset(from, to HostID, path int32) {
	*r = direction{frames: r.frames, gen: r.gen, from: from, to: to, path: path, tick: clock.Never}
}

// freeIfDone frees the connection of d once nothing can happen to it any more.
func (n *Network) freeIfDone(d int32) {
	a, b := &n.dirs[d&^1], &n.dirs[d|1]
	if a.end != endClosed || b.end != endClosed || a.count+b.count > 0 ||
		a.tick != clock.Never || b.tick != clock.Never {
		return
	}
	if n.stats.Connections--; n.stats.Connections < 0 {
		panic(fmt.Sprintf("netsim: connection %d freed twice", d>>1))
	}
	a.gen++
	b.gen++
	a.from, b.from = -1, -1 // in no set of hosts
	a.to, b.to = -1, -1
	n.free = append(n.free, d>>1)
}

const connIndexBits = 24

// dialed tells whether the end that sends direction e has opened the connection.
func dialed(e int32) bool { return e&1 == 0 }

// connID names the end that sends direction e. The generation makes it unique
// for ever, and the two ends differ.
func (n *Network) connID(e int32) edge.ConnID {
	return edge.ConnID(n.dirs[e].gen<<connIndexBits | uint64(e+1))
}

// end returns the sending end that a host calls c, or -1.
func (n *Network) end(h HostID, c edge.ConnID) int32 {
	e := int32(c&(1<<connIndexBits-1)) - 1
	if e < 0 || int(e) >= len(n.dirs) || n.dirs[e].from != h || n.dirs[e].gen != uint64(c>>connIndexBits) {
		return -1
	}
	return e
}
