package runner

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
)

// faultTimes knows when faults were in force.
type faultTimes interface {
	// faulty is how much of a time was in the time of faults.
	faulty(from, to clock.Instant) time.Duration
	// begun is when the first fault began that was in force in that time.
	begun(from, to clock.Instant) clock.Instant
}

// recoveryMin is how long a stall in the time of a fault lasts before the end of
// it counts as a recovery; a shorter one is no more than a slow request.
const recoveryMin = time.Second

// stall measures the longest time in which something was wanted and not done: a
// partition had records offered and acknowledged none, a group had records to
// read and was given none.
//
//	idle --want--> wanting --done--> idle
type stall struct {
	wanting bool
	since   clock.Instant // while it is wanting
	last    clock.Instant // when it was last done

	longest time.Duration
	from    clock.Instant
	// During and outside of faults, for thresholds.
	inFault, outside time.Duration
	// recovery is the longest time from the beginning of a fault to the end of a
	// stall that lasted through a part of it; never when it was not done again.
	recovery time.Duration
	never    bool
}

// want says that something has been wanted since then.
func (s *stall) want(since clock.Instant) {
	if !s.wanting || since < s.since {
		s.wanting, s.since = true, since
	}
}

// done says that what was wanted is done now. Of the stall, what was in the time
// of faults is theirs: only the rest is held against the time without.
func (s *stall) done(now clock.Instant, f faultTimes) {
	if s.wanting {
		s.took(max(s.last, s.since), now, f)
	}
	s.last, s.wanting = now, false
}

// close ends the measurement: what is still wanted was never done.
func (s *stall) close(now clock.Instant, f faultTimes) {
	s.never = s.wanting && now > max(s.last, s.since)
	s.done(now, f)
}

func (s *stall) took(from, now clock.Instant, f faultTimes) {
	d := now.Sub(from)
	if d > s.longest {
		s.longest, s.from = d, from
	}
	if d < recoveryMin && d <= s.inFault && d <= s.outside {
		return // the many that change nothing
	}
	in := f.faulty(from, now)
	if in > 0 {
		s.inFault = max(s.inFault, d)
		if d >= recoveryMin {
			s.recovery = max(s.recovery, now.Sub(f.begun(from, now)))
		}
	}
	s.outside = max(s.outside, d-in)
}

// presence is when members of a group were meant to run, by the scenario: a group
// that was stopped by its operator wants nothing.
type presence []span

// newPresence unites the times of all consumers of a group.
func newPresence(s *scenarios.Scenario, group string, origin clock.Instant) (p presence) {
	for i := range s.Workload.Consumers {
		c := &s.Workload.Consumers[i]
		if c.Group != group {
			continue
		}
		from, end := origin.Add(c.StartAt), clock.Never
		if c.StartAt == 0 {
			from = clock.Instant(joinAt)
		}
		if c.StopAt > 0 {
			end = origin.Add(c.StopAt)
		}
		for _, pause := range awayFrom(c) {
			if at := origin.Add(pause.At); at > from {
				p = p.add(from, at)
			}
			from = max(from, origin.Add(pause.At+pause.For))
		}
		p = p.add(from, end)
	}
	return p
}

// awayFrom is when the scenario has a consumer stopped or its application hanging.
func awayFrom(c *scenarios.Consumer) []scenarios.Window {
	away := append(slices.Clone(c.Pauses), c.Stalls...)
	slices.SortStableFunc(away, func(a, b scenarios.Window) int { return cmp.Compare(a.At, b.At) })
	return away
}

// add takes in a time, merged with those that it touches.
func (p presence) add(from, to clock.Instant) presence {
	out := presence{}
	for _, s := range p {
		if s.to < from || s.from > to {
			out = append(out, s)
			continue
		}
		from, to = min(from, s.from), max(to, s.to)
	}
	return append(out, span{from: from, to: to})
}

// since is when the group last began to run, and whether it is meant to run now.
func (p presence) since(now clock.Instant) (from clock.Instant, running bool) {
	for _, s := range p {
		if s.from <= now {
			from = max(from, s.from)
			running = running || now < s.to
		}
	}
	return from, running
}

// tally counts something by the phase in which it happened.
type tally [phase.Count]int64

func (t *tally) add(p phase.Phase, n int64) { t[p] += n }

// total is the count over the whole run.
func (t *tally) total() (n int64) {
	for _, x := range t {
		n += x
	}
	return n
}

// in is the count during faults, or outside of them.
func (t *tally) in(part string) int64 {
	if part == partDuring {
		return t[phase.During]
	}
	return t[phase.Before] + t[phase.After]
}
