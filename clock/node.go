package clock

import (
	"fmt"
	"math/bits"
	"time"
)

// DriftMaxPPM bounds a drift, in parts per million, in either direction. Real
// oscillators stay within 100; a virtual machine's clock may do far worse.
const DriftMaxPPM = 500_000

const perMillion = 1_000_000

// NodeClock is one node's wrong view of the true time. It holds no present: each
// reading names the true instant, and readings must not go back behind the last
// change. Pausing a process is not its business: a paused process reads no
// clock, and finds later that time went on.
//
// Both times run at their own rate, which is exact integer arithmetic:
//
//	monotonic = base + floor(elapsed * (1e6 + drift) / 1e6)
//	wall      = the same with its own base and drift, + offset, + strobe
type NodeClock struct {
	mono   line
	wall   line // nanoseconds since the Unix epoch, without offset and strobe
	offset time.Duration
	strobe Strobe
}

// Strobe makes a wall clock flip: within [From, Until) it shows Delta more
// during every second stretch of Period, the first stretch being undisturbed.
type Strobe struct {
	From, Until Instant
	Period      time.Duration
	Delta       time.Duration
}

// line is a time that runs at a constant rate from a point on.
type line struct {
	from Instant // true instant of the last change
	base int64   // reading at that instant
	rate int64   // readings per million of true nanoseconds
}

// NewNodeClock returns a clock that is right: monotonic time is true time, and
// the wall shows start at instant zero.
func NewNodeClock(start Wall) NodeClock {
	return NodeClock{mono: line{rate: perMillion}, wall: line{base: int64(start) * 1e6, rate: perMillion}}
}

// Now returns the node's monotonic time at a true instant; Never stays Never.
func (c *NodeClock) Now(at Instant) Instant {
	if at == Never {
		return Never
	}
	return Instant(c.mono.read(at))
}

// Wall returns the node's wall time at a true instant.
func (c *NodeClock) Wall(at Instant) Wall {
	nanos := c.wall.read(at) + int64(c.offset)
	s := &c.strobe
	if at >= s.From && at < s.Until && at.Sub(s.From)/s.Period%2 == 1 {
		nanos += int64(s.Delta)
	}
	return Wall(floorDiv(nanos, 1e6))
}

// True returns the earliest true instant, not before the last change of the
// monotonic drift, at which the node's monotonic time has reached at: a wake-up
// at that instant is never early and not a nanosecond later than it must be.
// Instants computed before a change of drift must be computed again after it.
func (c *NodeClock) True(at Instant) Instant {
	l := &c.mono
	if at == Never {
		return Never
	}
	if int64(at) <= l.base {
		return l.from
	}
	hi, lo := bits.Mul64(uint64(int64(at)-l.base), perMillion)
	lo, carry := bits.Add64(lo, uint64(l.rate-1), 0)
	hi += carry
	if hi >= uint64(l.rate) {
		return Never
	}
	elapsed, _ := bits.Div64(hi, lo, uint64(l.rate))
	if elapsed >= uint64(Never-l.from) {
		return Never
	}
	return l.from + Instant(elapsed)
}

// SetDrift changes the rates of both times from now on, which is a true instant.
// Neither reading jumps.
func (c *NodeClock) SetDrift(now Instant, monoPPM, wallPPM int32) {
	for _, ppm := range [...]int32{monoPPM, wallPPM} {
		if ppm < -DriftMaxPPM || ppm > DriftMaxPPM {
			panic(fmt.Sprintf("clock: drift of %d parts per million, at most %d", ppm, DriftMaxPPM))
		}
	}
	c.mono.turn(now, int64(monoPPM)+perMillion)
	c.wall.turn(now, int64(wallPPM)+perMillion)
}

// Bump moves the wall clock by d, in either direction. Monotonic time, and so
// every timer, is untouched.
func (c *NodeClock) Bump(d time.Duration) { c.offset += d }

// SetSkew sets what all bumps add up to; zero puts the wall clock right again
// but for its drift.
func (c *NodeClock) SetSkew(d time.Duration) { c.offset = d }

// Skew returns what all bumps add up to.
func (c *NodeClock) Skew() time.Duration { return c.offset }

// SetStrobe replaces the strobe; the zero value ends it. The period is above zero.
func (c *NodeClock) SetStrobe(s Strobe) {
	if s.Until > s.From && s.Period <= 0 {
		panic(fmt.Sprintf("clock: strobe with a period of %v", s.Period))
	}
	c.strobe = s
}

// Correct sets drift, skew and strobe of the wall clock to nothing, as a step by
// NTP does: from now on it shows start plus the true time. Monotonic time keeps
// its value and runs at the true rate.
func (c *NodeClock) Correct(now Instant, start Wall) {
	c.mono.turn(now, perMillion)
	c.wall = line{from: now, base: int64(start)*1e6 + int64(now), rate: perMillion}
	c.offset, c.strobe = 0, Strobe{}
}

func (l *line) turn(now Instant, rate int64) {
	*l = line{from: now, base: l.read(now), rate: rate}
}

func (l *line) read(at Instant) int64 {
	if at < l.from {
		panic(fmt.Sprintf("clock: read at %d, before the last change at %d", at, l.from))
	}
	if l.rate == perMillion {
		return l.base + int64(at-l.from)
	}
	hi, lo := bits.Mul64(uint64(at-l.from), uint64(l.rate))
	elapsed, _ := bits.Div64(hi, lo, perMillion)
	return l.base + int64(elapsed)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
