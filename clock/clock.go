// Package clock owns the types of time. Monotonic time (Instant) measures
// spans and drives every timer; wall time (Wall) only stamps records and
// retention. They are different types, so that a jump of the wall clock cannot
// reach a timer by accident.
//
// The package never decides anything from time and imports nothing of ours.
package clock

import (
	"math"
	"time"
)

// Instant is a point of monotonic time in nanoseconds since an arbitrary
// origin (the start of the run, or of the process). It never goes back.
type Instant int64

// Wall is a point of wall-clock time in milliseconds since the Unix epoch, as
// Kafka's record timestamps are. It may jump in either direction.
type Wall int64

// Never is later than any instant that is reached.
const Never = Instant(1<<63 - 1)

// Add returns the instant d later, saturating at Never.
func (t Instant) Add(d time.Duration) Instant {
	if s := t + Instant(d); d < 0 || s >= t {
		return s
	}
	return Never
}

// Span returns n units, or the longest span there is where n units are longer:
// whoever configures the largest number means that something never happens, and
// a product that has overflowed would have it happen at once, again and again.
func Span(n int64, unit time.Duration) time.Duration {
	most := int64(math.MaxInt64 / unit)
	switch {
	case n > most:
		return math.MaxInt64
	case n < -most:
		return math.MinInt64
	}
	return time.Duration(n) * unit
}

// Sub returns the span from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// Before tells whether t is earlier than u.
func (t Instant) Before(u Instant) bool { return t < u }

// Millis returns whole milliseconds since the origin.
func (t Instant) Millis() int64 { return int64(t) / 1e6 }

func (t Instant) String() string {
	if t == Never {
		return "never"
	}
	return time.Duration(t).String()
}

// Clock tells a node both times. The core of a node never holds a Clock: it is
// told the time by each event.
type Clock interface {
	Now() Instant
	Wall() Wall
}
