package netsim

import "github.com/seed-604ea8f1/windtunnel/clock"

// startTimer starts the retransmission timer of a direction unless it runs.
func (n *Network) startTimer(d int32, at clock.Instant) {
	if r := &n.dirs[d]; r.tick == clock.Never {
		r.tick, r.tickSeq, r.fast = at, n.next(), false
	}
}

func (n *Network) stopTimer(d int32) {
	r := &n.dirs[d]
	r.tick, r.retries, r.fast, r.stalled = clock.Never, 0, false, false
}

// fastRetransmit moves the timer to a round trip after a later frame was sent:
// the acknowledgement of that one shows the gap.
func (n *Network) fastRetransmit(d int32, left clock.Instant) {
	r := &n.dirs[d]
	if at := left + n.roundTrip(d); at < r.tick && r.retries == 0 {
		r.tick, r.tickSeq, r.fast = at, n.next(), true
	}
}

// acknowledge is what an arrival means to the sender. The acknowledgement may be
// cut off: then the sender's timer runs although the data has arrived, and after
// its first time-out it sends nothing new.
func (n *Network) acknowledge(d int32, at clock.Instant) {
	r := &n.dirs[d]
	if n.paths[n.dirs[d^1].path].cuts > 0 {
		n.startTimer(d, at+n.timeout(d))
		return
	}
	r.retries = 0
}

// stall begins when the head of a direction does not arrive: neither does what
// is behind it, and the sender's timer runs from when the head was sent.
func (n *Network) stall(d int32, at clock.Instant) {
	r := &n.dirs[d]
	for i := range r.count {
		if f := r.at(i); !f.lost {
			f.lost = true
			r.lost++
		}
	}
	r.stalled = true
	n.startTimer(d, max(r.at(0).left+n.timeout(d), at))
	n.schedule(d)
}

// onTimer is the sender's retransmission timer. What it sends again gets
// through, or the time-out doubles, or the limit is reached.
func (n *Network) onTimer(d int32, at clock.Instant) {
	r, p := &n.dirs[d], &n.paths[n.dirs[d].path]
	n.stats.Retransmissions++
	fast := r.fast
	r.tick, r.fast = clock.Never, false
	blocked := p.cuts > 0 || r.black || !n.hosts[r.to].alive || n.paths[n.dirs[d^1].path].cuts > 0
	if !blocked && p.loss > 0 && n.chance(p.loss) {
		n.stats.FramesLost++
		blocked = true
	}
	if blocked {
		n.backOff(d, at, fast)
		return
	}
	if n.dirs[d^1].end == endClosed && (r.count == 0 || r.at(0).kind != frameAccept) {
		n.answerReset(d, at)
		return
	}
	r.retries, r.stalled = 0, false
	for i := uint32(0); r.lost > 0; i++ {
		if f := r.at(i); f.lost {
			f.lost = false
			r.lost--
			f.left = n.depart(p, at, wireBytes(f.buffer))
			f.ready = f.left + n.latency(p)
		}
	}
	n.schedule(d)
}

func (n *Network) backOff(d int32, at clock.Instant, fast bool) {
	r := &n.dirs[d]
	r.stalled = true
	limit := uint8(Retries2)
	if r.end != endOpen {
		limit = OrphanRetries
	}
	if r.retries >= limit {
		n.stats.TimedOut++
		n.giveUp(d, at)
		return
	}
	if !fast {
		r.retries++
	}
	wait := min(n.timeout(d)<<r.retries, clock.Instant(RTOMax))
	n.startTimer(d, at+wait)
	n.schedule(d)
}

// giveUp ends the sending end of d by its own kernel's decision. The other end
// is not told: it stays half-open until it sends something.
func (n *Network) giveUp(d int32, at clock.Instant) {
	r := &n.dirs[d]
	n.truncate(d, 0)
	n.stopTimer(d)
	n.rearm(d^1, at)
	n.schedule(d)
	if r.end == endOpen {
		n.abort(d, at)
	}
	n.freeIfDone(d)
}

// abort lets an open end know, at an instant, that its connection is reset.
// Frames on their way to it are thrown away; who sent them has yet to learn, and
// will once this end has been told (tellClosed).
func (n *Network) abort(e int32, at clock.Instant) {
	d := e ^ 1
	if n.dirs[d].count > 0 {
		n.dirs[d].dropped = true
	}
	n.truncate(d, 0)
	n.pushAt(d, at, at, frameAbort)
}

// answerReset is what a live kernel does with a frame for an end that is gone:
// it throws the frame away and sends RST. What the gone end had not yet sent
// dies with it (TCPAbortOnData); what is on its way arrives before the RST.
func (n *Network) answerReset(d int32, at clock.Instant) {
	r, back := &n.dirs[d], &n.dirs[d^1]
	q := &n.paths[back.path]
	if q.cuts > 0 || r.black {
		if r.count > 0 {
			n.stall(d, at)
			return
		}
		n.startTimer(d, at+n.timeout(d))
		n.schedule(d)
		return
	}
	n.truncate(d, 0)
	n.stopTimer(d)
	if r.end == endOpen {
		r.dropped = true
		n.truncate(d^1, n.onTheWire(d^1, clock.Never))
		n.stopTimer(d ^ 1)
		n.pushAt(d^1, at, at+n.latency(q), frameReset)
	}
	n.schedule(d)
	n.freeIfDone(d)
}

// rearm starts the timer of an end whose frames were thrown away by a dead
// receiver and which the RST did not reach.
func (n *Network) rearm(d int32, at clock.Instant) {
	r := &n.dirs[d]
	if r.dropped && r.end == endOpen {
		n.startTimer(d, at+n.timeout(d))
		n.schedule(d)
	}
}

// onTheWire counts the frames, from the head on, that need nothing more from
// their sender at an instant.
func (n *Network) onTheWire(d int32, at clock.Instant) uint32 {
	r := &n.dirs[d]
	for i := range r.count {
		if f := r.at(i); f.kind != frameAbort && (f.lost || f.left > at) {
			return i
		}
	}
	return r.count
}
