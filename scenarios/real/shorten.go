package real

import (
	"fmt"
	"slices"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Limits say how long a stretch of a scenario lasts in a shortened one. Kafka's
// own times (sessions, replica lag) are left alone, and so a fault must last
// longer than they do.
type Limits struct {
	Quiet time.Duration // a stretch in which no fault begins, holds or ends
	Fault time.Duration // a stretch in which one holds
}

// DefaultLimits leave room for a session to end and an election to follow.
func DefaultLimits() Limits { return Limits{Quiet: 15 * time.Second, Fault: 30 * time.Second} }

// stretch is a span of the scenario's time in which nothing changes.
type stretch struct{ from, length, short time.Duration }

// scale maps the scenario's time to the shortened one.
type scale []stretch

func (s scale) at(t time.Duration) time.Duration {
	var sum time.Duration
	for _, part := range s {
		if t < part.from+part.length {
			return sum + time.Duration(float64(t-part.from)*float64(part.short)/float64(part.length))
		}
		sum += part.short
	}
	return sum
}

// Shorten returns the scenario with its long stretches cut to the limits, and a
// sentence that says so; the scenario itself when it is short enough. Both
// worlds then run what is returned. Faults that come closer together may take claims
// away: then the stretches are longer, so that what is promised stays.
func Shorten(s *scenarios.Scenario, l Limits) (short *scenarios.Scenario, note string) {
	for {
		short, note = shorten(s, l)
		if short == s || slices.Equal(claimsMade(s), claimsMade(short)) {
			return short, note
		}
		l.Quiet, l.Fault = 2*l.Quiet, 2*l.Fault
	}
}

// claimsMade are the claims that a scenario's configuration allows, by name.
func claimsMade(s *scenarios.Scenario) (made []string) {
	for _, c := range lin.ComputeClaims(configurationOf(s)) {
		if c.Made {
			made = append(made, c.Name)
		}
	}
	return made
}

func shorten(s *scenarios.Scenario, l Limits) (short *scenarios.Scenario, note string) {
	points := []time.Duration{0, s.Duration}
	for i := range s.Timeline {
		points = append(points, s.Timeline[i].At, s.Timeline[i].End())
	}
	slices.Sort(points)
	points = slices.Compact(points)
	var parts scale
	for i := 1; i < len(points) && points[i-1] < s.Duration; i++ {
		p := stretch{from: points[i-1], length: min(points[i], s.Duration) - points[i-1]}
		p.short = min(p.length, l.Quiet)
		if slices.ContainsFunc(s.Timeline, func(e scenarios.Event) bool { return e.At <= p.from && p.from < e.End() }) {
			p.short = min(p.length, l.Fault)
		}
		if slices.ContainsFunc(s.Timeline, func(e scenarios.Event) bool { return e.Operator != "" && e.At == p.from }) {
			p.short = p.length // an operator's work takes as long as it takes
		}
		parts = append(parts, p)
	}
	to := parts.at(s.Duration)
	if to == s.Duration {
		return s, ""
	}
	c := *s
	c.Duration = to
	c.Timeline = slices.Clone(s.Timeline)
	for i := range c.Timeline {
		e := &c.Timeline[i]
		from, end := parts.at(e.At), parts.at(e.End())
		if e.For > 0 {
			e.For = end - from
		}
		if e.RestartAfter > 0 {
			e.RestartAfter = end - from
		}
		if e.Age > 0 {
			e.Age = from - parts.at(e.At-e.Age)
		}
		e.At = from
	}
	// What must have happened shrinks with the time in which it can.
	for _, least := range []*int64{&c.Expect.Minimums.Acked, &c.Expect.Minimums.Delivered, &c.Expect.Minimums.Compacted} {
		*least = int64(float64(*least) * to.Seconds() / s.Duration.Seconds())
	}
	c.Workload.Producers = slices.Clone(s.Workload.Producers)
	for i := range c.Workload.Producers {
		p := &c.Workload.Producers[i]
		from, end := parts.at(p.StartAt), parts.at(p.StartAt+p.For)
		if p.For > 0 {
			p.For = end - from
		}
		p.StartAt = from
		p.Stages = slices.Clone(p.Stages)
		at := time.Duration(0)
		for j := range p.Stages {
			begin := at
			at += p.Stages[j].Duration
			p.Stages[j].Duration = parts.at(at) - parts.at(begin)
		}
	}
	c.Workload.Consumers = slices.Clone(s.Workload.Consumers)
	for i := range c.Workload.Consumers {
		k := &c.Workload.Consumers[i]
		k.StartAt, k.StopAt = parts.at(k.StartAt), parts.at(k.StopAt)
		k.Pauses, k.Stalls = slices.Clone(k.Pauses), slices.Clone(k.Stalls)
		for _, windows := range [][]scenarios.Window{k.Pauses, k.Stalls} {
			for j := range windows {
				w := &windows[j]
				from, end := parts.at(w.At), parts.at(w.At+w.For)
				w.At, w.For = from, end-from
			}
		}
	}
	return &c, fmt.Sprintf("Time is shortened: %v of the scenario pass in %v, quiet stretches in at most %v and faults in at most %v; Kafka's own times are not scaled.",
		s.Duration, to.Round(time.Millisecond), l.Quiet, l.Fault)
}
