package netsim

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// direction is one direction of a connection together with its sending end:
// the dialer's is even, the acceptor's is the odd one after it. d^1 is the other
// direction, and the end that receives d.
//
// The sending end is dialing -> open -> closed (the dialer's), or closed -> open
// -> closed (the acceptor's: it opens when the last packet of the handshake, a
// frame in d^1, arrives). A connection is freed when neither end is dialing or
// open, and neither direction holds a frame or runs a timer.
type direction struct {
	frames []frame // a ring; its length is a power of two
	head   uint32
	count  uint32
	lost   uint32 // how many of them wait for a retransmission

	from, to HostID
	path     int32
	end      endState
	gen      uint64 // of the connection's slot

	floor   clock.Instant // no frame arrives before an earlier one
	tick    clock.Instant // the sender's retransmission timer, or the dial's; Never if off
	tickSeq uint64
	retries uint8
	fast    bool // the timer stands for a fast retransmission
	stalled bool // the sender has seen a time-out: what it sends now waits
	held    bool // the head was taken out by a hold
	black   bool // a black hole in both directions
	// dropped says that the receiving end, dead, threw frames away: the sender
	// must be told, again and again if need be.
	dropped bool

	attempt dial // dialing: the attempt; the acceptor's: what it will be told
}

type endState uint8

const (
	endClosed endState = iota
	endDialing
	endOpen
)

// frame is anything that arrives in order.
type frame struct {
	buffer *edge.Buffer
	ready  clock.Instant // when it arrives, unless one before it is later
	left   clock.Instant // when its last byte left the sender
	seq    uint64
	kind   frameKind
	lost   bool // not on its way: waits for a retransmission
}

type frameKind uint8

const (
	frameData   frameKind = iota
	frameAccept           // the dialer's last packet of the handshake
	frameFin
	frameReset // RST from the other host; lost in a cut, and never sent again by itself
	frameAbort // the receiving end's own kernel gives up: passes everything
)

const ringMin = 8

func (r *direction) at(i uint32) *frame { return &r.frames[(r.head+i)&uint32(len(r.frames)-1)] }

func (r *direction) append() *frame {
	if int(r.count) == len(r.frames) {
		grown := make([]frame, max(ringMin, 2*len(r.frames)))
		for i := range r.count {
			grown[i] = *r.at(i)
		}
		r.frames, r.head = grown, 0
	}
	r.count++
	return r.at(r.count - 1)
}

// push sends something the ordinary way: through the pipes, subject to loss.
func (n *Network) push(d int32, now clock.Instant, kind frameKind, buffer *edge.Buffer) {
	r := &n.dirs[d]
	p := &n.paths[r.path]
	if r.count == FramesPerDirectionMax {
		n.inFlight(kind, buffer, 1)
		n.dropFrame(kind, buffer)
		n.giveUp(d, now)
		return
	}
	f := r.append()
	*f = frame{buffer: buffer, kind: kind, seq: n.next(), left: now, ready: clock.Never}
	n.inFlight(kind, buffer, 1)
	tick := r.tick
	if r.stalled {
		f.lost = true
		r.lost++
	} else {
		f.left = n.depart(p, now, wireBytes(buffer))
		if p.loss > 0 && n.chance(p.loss) {
			f.lost = true
			r.lost++
			n.stats.FramesLost++
			n.startTimer(d, f.left+n.timeout(d))
		} else {
			f.ready = f.left + n.latency(p)
			if r.lost > 0 { // duplicate acknowledgements tell the sender
				n.fastRetransmit(d, f.left)
			}
		}
	}
	if r.count == 1 || r.tick != tick {
		n.schedule(d)
	}
}

// wireBytes is what a frame takes of a link; packet headers are left out.
func wireBytes(b *edge.Buffer) int64 {
	if b == nil {
		return 0
	}
	return int64(b.Len() + prefixBytes)
}

// pushAt puts something behind the frames of a direction that needs neither
// bandwidth nor luck.
func (n *Network) pushAt(d int32, left, ready clock.Instant, kind frameKind) {
	r := &n.dirs[d]
	*r.append() = frame{kind: kind, seq: n.next(), left: left, ready: ready}
	n.schedule(d)
}

// schedule says in the tree when the direction has something to do.
func (n *Network) schedule(d int32) {
	r := &n.dirs[d]
	due, seq := r.tick, r.tickSeq
	if r.count > 0 && !r.held {
		if f := r.at(0); !f.lost {
			if ready := max(f.ready, r.floor); ready < due {
				due, seq = ready, f.seq
			}
		}
	}
	n.tree.set(d, due, seq)
}

// step does what a direction has to do at an instant; true if that is a delivery.
func (n *Network) step(d int32, at clock.Instant, v *Delivery) bool {
	r := &n.dirs[d]
	if r.end == endDialing {
		return n.stepDial(d, at, v)
	}
	if r.tick <= at {
		n.onTimer(d, at)
		return false
	}
	return n.arrive(d, at, v)
}

// arrive handles the head of a direction, whose time has come.
func (n *Network) arrive(d int32, at clock.Instant, v *Delivery) bool {
	r, peer, p := &n.dirs[d], &n.dirs[d^1], &n.paths[n.dirs[d].path]
	f := r.at(0)
	switch {
	case f.kind == frameAbort:
		return n.tellClosed(d^1, at, v, true)
	case f.kind == frameReset:
		if p.cuts > 0 || r.black || !n.hosts[r.to].alive {
			n.pop(d)
			n.rearm(d^1, at)
			n.schedule(d)
			n.freeIfDone(d)
			return false
		}
		return n.tellClosed(d^1, at, v, true)
	case p.cuts > 0 || r.black || !n.hosts[r.to].alive:
		n.stall(d, at)
		return false
	case f.kind == frameAccept:
		return n.accept(d, at, v)
	case peer.end != endOpen:
		n.answerReset(d, at)
		return false
	case f.kind == frameFin:
		return n.tellClosed(d^1, at, v, false)
	case p.holds > 0 && n.matches(d, f):
		r.held = true
		n.stats.FramesHeld++
		n.schedule(d)
		return false
	}
	buffer := f.buffer
	n.inFlight(frameData, buffer, -1)
	n.pop(d)
	r.floor = at
	n.acknowledge(d, at)
	n.schedule(d)
	n.stats.FramesDelivered++
	v.To = r.to
	v.Event = edge.Event{Kind: edge.EventFrame, Conn: n.connID(d ^ 1), Frame: buffer, Inbound: !dialed(d ^ 1)}
	return true
}

// tellClosed ends the end e, for which the head of e^1 is meant: what it had sent is thrown away, and it is told,
// unless it has closed already.
func (n *Network) tellClosed(e int32, at clock.Instant, v *Delivery, reset bool) bool {
	r := &n.dirs[e]
	told := r.end == endOpen
	n.pop(e ^ 1)
	if n.dirs[e^1].count > 0 {
		n.dirs[e^1].dropped = true // sent since, by an end that does not know yet
	}
	n.truncate(e, 0)
	n.truncate(e^1, 0)
	n.stopTimer(e)
	if n.dirs[e^1].end == endClosed {
		n.stopTimer(e ^ 1)
	}
	r.end = endClosed
	if told {
		if reset {
			n.stats.Resets++
		}
		v.To = r.from
		v.Event = edge.Event{Kind: edge.EventConnClosed, Conn: n.connID(e)}
	}
	n.schedule(e)
	n.rearm(e^1, at)
	n.schedule(e ^ 1)
	n.freeIfDone(e)
	return told
}

// pop removes the head.
func (n *Network) pop(d int32) {
	r := &n.dirs[d]
	f := r.at(0)
	if f.lost {
		r.lost--
	}
	f.buffer = nil
	r.head = (r.head + 1) & uint32(len(r.frames)-1)
	r.count--
}

// truncate throws away all frames but the first keep ones. An abort at the head
// stays: it is the receiving end's own.
func (n *Network) truncate(d int32, keep uint32) {
	r := &n.dirs[d]
	if r.count > 0 && r.at(0).kind == frameAbort {
		keep = max(keep, 1)
	}
	for i := keep; i < r.count; i++ {
		f := r.at(i)
		if f.lost {
			r.lost--
		}
		n.dropFrame(f.kind, f.buffer)
		f.buffer = nil
	}
	r.count = min(r.count, keep)
	if r.count == 0 {
		r.held = false
	}
}

func (n *Network) dropFrame(kind frameKind, buffer *edge.Buffer) {
	if kind == frameData {
		n.stats.FramesDropped++
		n.inFlight(kind, buffer, -1)
		buffer.Release()
	}
}

func (n *Network) inFlight(kind frameKind, buffer *edge.Buffer, sign int64) {
	if kind == frameData {
		n.stats.FramesInFlight += sign
		n.stats.BytesInFlight += sign * wireBytes(buffer)
	}
}
