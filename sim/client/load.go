package client

import (
	"fmt"
	"math/bits"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// arrivals owns when the records of one producer come into being. All of its
// arithmetic is exact: the instants of n instances together are those of one.
type arrivals struct {
	load  *Load
	taken int64 // own records so far
	head  clock.Instant

	ramp ramp // RampingRate

	// waiting holds, for ConstantVUs, when the idle ones send again.
	waiting []idleVUs
	first   int
}

// idleVUs are virtual users that send again at the same instant.
type idleVUs struct {
	due   clock.Instant
	count int64
}

const hour = int64(time.Hour)

// perHour is a rate in records an hour, which every legal rate is exactly.
func (r Rate) perHour() int64 {
	if r.Count < 0 || r.Count > 1_000_000_000_000 || r.Per <= 0 || hour%int64(r.Per) != 0 {
		panic(fmt.Sprintf("client: rate of %d every %v", r.Count, r.Per))
	}
	return r.Count * (hour / int64(r.Per))
}

func newArrivals(l *Load) arrivals {
	if l.Instances < 1 || l.Instance < 0 || l.Instance >= l.Instances {
		panic(fmt.Sprintf("client: load of instance %d of %d", l.Instance, l.Instances))
	}
	a := arrivals{load: l}
	switch l.Kind {
	case ConstantRate:
		a.head = a.constant(0)
	case RampingRate:
		a.ramp = newRamp(l)
		a.head = a.limit(a.ramp.advance(l.Instance + 1))
	case ConstantVUs:
		if l.VUs > 0 {
			a.waiting = append(a.waiting, idleVUs{l.Start, l.VUs})
		}
		a.headOfWaiting()
	case SharedIterations:
		a.head = a.shared()
	}
	return a
}

// next is when the next record is due; clock.Never if there will be none. For
// SharedIterations it is a past instant while records are left.
func (a *arrivals) next() clock.Instant { return a.head }

// over tells whether no record will ever come again. A closed model gets users
// back when outcomes come in, until its end.
func (a *arrivals) over(now clock.Instant) bool {
	return a.head == clock.Never && (a.load.Kind != ConstantVUs || now >= a.load.End)
}

// refusedWait is how long a virtual user whose send failed at once waits at
// least, so that it does not send for ever at one instant.
const refusedWait = time.Millisecond

// refused gives a user back whose record was dropped.
func (a *arrivals) refused(now clock.Instant) { a.completed(now.Add(refusedWait), 1) }

// alike is how many records are due at the instant of the next one, which is
// one of them; at least 1.
func (a *arrivals) alike() int64 {
	switch a.load.Kind {
	case ConstantVUs:
		return a.waiting[a.first].count
	case SharedIterations:
		l := a.load
		return (l.Records - l.Instance - a.taken*l.Instances + l.Instances - 1) / l.Instances
	}
	return 1
}

// take consumes the next records, of which there are count at one instant.
func (a *arrivals) take(count int64) {
	a.taken += count
	switch a.load.Kind {
	case ConstantRate:
		a.head = a.constant(a.taken)
	case RampingRate:
		a.head = a.limit(a.ramp.advance(a.load.Instances))
	case ConstantVUs:
		w := &a.waiting[a.first]
		if w.count -= count; w.count == 0 {
			if a.first++; a.first == len(a.waiting) {
				a.waiting, a.first = a.waiting[:0], 0
			}
		}
		a.headOfWaiting()
	case SharedIterations:
		a.head = a.shared()
	}
}

// ahead is when the k-th record after the next one is due, if that is before
// until; else any instant from until on.
func (a *arrivals) ahead(k int64, until clock.Instant) clock.Instant {
	switch a.load.Kind {
	case ConstantRate:
		return a.constant(a.taken + k)
	case RampingRate:
		r, at := a.ramp, a.head
		for ; k > 0 && at < until; k-- {
			at = a.limit(r.advance(a.load.Instances))
		}
		return at
	}
	return a.head
}

// completed gives users back to a closed model, count of them with think time
// from now.
func (a *arrivals) completed(now clock.Instant, count int64) {
	if a.load.Kind != ConstantVUs {
		return
	}
	due := now.Add(a.load.ThinkTime)
	if n := len(a.waiting); n > a.first && a.waiting[n-1].due == due {
		a.waiting[n-1].count += count
	} else {
		if a.first > 0 && n == cap(a.waiting) {
			a.waiting, a.first = a.waiting[:copy(a.waiting, a.waiting[a.first:])], 0
		}
		a.waiting = append(a.waiting, idleVUs{due, count})
	}
	a.headOfWaiting()
}

func (a *arrivals) headOfWaiting() {
	a.head = clock.Never
	if a.first < len(a.waiting) {
		a.head = a.limit(a.waiting[a.first].due)
	}
}

func (a *arrivals) limit(at clock.Instant) clock.Instant {
	if at >= a.load.End {
		return clock.Never
	}
	return at
}

// constant is when the producer's i-th record is due: that of the load's record
// number g is g*Per/Count after the start, rounded down.
func (a *arrivals) constant(i int64) clock.Instant {
	l := a.load
	if l.Rate.Count <= 0 {
		return clock.Never
	}
	high, low := bits.Mul64(uint64(l.Instance+i*l.Instances), uint64(l.Rate.Per))
	if high >= uint64(l.Rate.Count) {
		return clock.Never
	}
	after, _ := bits.Div64(high, low, uint64(l.Rate.Count))
	if after > uint64(clock.Never) {
		return clock.Never
	}
	return a.limit(l.Start.Add(time.Duration(after)))
}

func (a *arrivals) shared() clock.Instant {
	if a.load.Instance+a.taken*a.load.Instances >= a.load.Records {
		return clock.Never
	}
	return a.load.Start
}

// rampSlice is the stretch over which a moving rate is held constant, at its
// value in the middle: the number of records is that of the straight line.
const rampSlice = time.Millisecond

// ramp walks along a rate that moves. It is a value: a copy looks ahead.
type ramp struct {
	load    *Load
	stage   int           // len(Stages): the last target, for good
	from    int64         // rate at the start of the stage, per hour
	start   clock.Instant // of the stage
	slice   int64         // within the stage
	used    uint64        // of the slice's capacity, in records * ns / hour
	exhaust bool
}

func newRamp(l *Load) ramp { return ramp{load: l, from: l.Rate.perHour(), start: l.Start} }

// advance walks until count more records of the load have come into being and
// returns when the last of them does.
func (r *ramp) advance(count int64) clock.Instant {
	need := uint64(count) * uint64(hour)
	for !r.exhaust {
		rate, length := r.now()
		capacity := uint64(rate) * uint64(length)
		if left := capacity - r.used; rate > 0 && left >= need {
			r.used += need
			// Rounded up: not before the record is whole.
			return r.at(r.slice).Add(time.Duration((r.used + uint64(rate) - 1) / uint64(rate)))
		}
		need -= capacity - r.used
		r.used = 0
		r.slice++
		r.turn()
	}
	return clock.Never
}

func (r *ramp) at(slice int64) clock.Instant {
	return r.start.Add(time.Duration(slice) * rampSlice)
}

// now is the rate per hour in the present slice and its length in nanoseconds.
func (r *ramp) now() (rate, length int64) {
	if r.stage == len(r.load.Stages) {
		return r.from, int64(rampSlice)
	}
	s := &r.load.Stages[r.stage]
	slices := max(int64(s.Duration/rampSlice), 1)
	length = int64(rampSlice)
	if r.slice == slices-1 { // the last one takes what the division left
		length = int64(s.Duration) - r.slice*int64(rampSlice)
	}
	high, low := bits.Mul64(uint64(abs(s.Target.perHour()-r.from)), uint64(2*r.slice+1))
	moved, _ := bits.Div64(high, low, uint64(2*slices))
	if s.Target.perHour() < r.from {
		return r.from - int64(moved), length
	}
	return r.from + int64(moved), length
}

// turn moves on to the next stage at the end of one.
func (r *ramp) turn() {
	if r.at(r.slice) >= r.load.End {
		r.exhaust = true
		return
	}
	if r.stage == len(r.load.Stages) {
		r.exhaust = r.from == 0
		return
	}
	s := &r.load.Stages[r.stage]
	if r.slice >= max(int64(s.Duration/rampSlice), 1) {
		r.start, r.from, r.slice = r.start.Add(s.Duration), s.Target.perHour(), 0
		r.stage++
	}
}

func abs(x int64) int64 {
	if x < 0 {
		return -x
	}
	return x
}
