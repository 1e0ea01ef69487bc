package netsim

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// path is the state of one ordered pair of hosts. Cuts and holds are counted
// here and looked at when a frame arrives, so that a fault touches no connection
// when it begins or ends.
type path struct {
	draws        *draws
	jitter       int64
	extraLatency int64 // the sum of the degradations in force
	extraJitter  int64
	linkLoss     int32
	loss         int32 // all in parts per million
	duplicate    int32
	reorder      int32
	cuts         int32
	holds        int32
	zones        int32 // index into Stats.BytesByZonePair
	linkPipes    int32 // how many of pipes belong to the topology; the rest to degradations
	pipes        []int32
}

// pipe is a rate that everything passing through it shares: a frame leaves when
// all bytes before it and its own have been sent.
type pipe struct {
	rate int64 // nanoseconds per byte in units of 1/1024
	busy clock.Instant
}

func newPipe(bytesPerSecond int64) pipe {
	return pipe{rate: max(int64(time.Second)*1024/bytesPerSecond, 1)}
}

// depart returns when the last byte of a frame, and of its copy if it has one, has
// left all pipes on the way.
func (n *Network) depart(p *path, now clock.Instant, bytes int64) clock.Instant {
	if p.duplicate > 0 && n.chance(p.duplicate) {
		bytes *= 2
	}
	return n.pass(p, now, bytes)
}

// pass returns when the last of some bytes has left all pipes on the way. Pipes
// work at the same time, as routers that forward packet by packet do, so the
// slowest one counts.
func (n *Network) pass(p *path, now clock.Instant, bytes int64) clock.Instant {
	left := now
	for _, i := range p.pipes {
		q := &n.pipes[i]
		q.busy = max(q.busy, now) + clock.Instant(bytes*q.rate>>10)
		left = max(left, q.busy)
	}
	return left
}

// latency draws the time from leaving one host to arriving at the other.
func (n *Network) latency(p *path) clock.Instant {
	l := p.draws.draw(n) + p.extraLatency
	if p.jitter > 0 {
		l += n.below(2*p.jitter+1) - p.jitter
	}
	if p.extraJitter > 0 {
		l += n.below(2*p.extraJitter+1) - p.extraJitter
	}
	if p.reorder > 0 && n.chance(p.reorder) {
		l += p.draws.draw(n) + p.extraLatency
	}
	return clock.Instant(max(l, 0))
}

// roundTrip is what TCP has measured: the medians of both ways.
func (n *Network) roundTrip(d int32) clock.Instant {
	p, q := &n.paths[n.dirs[d].path], &n.paths[n.dirs[d^1].path]
	return clock.Instant(p.draws.median + p.extraLatency + q.draws.median + q.extraLatency)
}

// timeout is the retransmission time-out before any back-off.
func (n *Network) timeout(d int32) clock.Instant {
	return min(clock.Instant(RTOMin)+n.roundTrip(d), clock.Instant(RTOMax))
}

func (n *Network) chance(ppm int32) bool { return n.below(million) < int64(ppm) }

func (n *Network) below(limit int64) int64 { return drawBelow(&n.rng, limit) }

func (n *Network) pathIndex(from, to HostID) int32 {
	return int32(from)*int32(len(n.hosts)) + int32(to)
}
