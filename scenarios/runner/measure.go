package runner

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
)

// secondsMax bounds the series of a run: a day of virtual time. Later seconds
// are in the histograms, and in no series.
const secondsMax = 24 * 3600

// What thresholds are about: the time of faults, the time without, or all of it.
const (
	partDuring  = "during"
	partOutside = "outside"
	partWhole   = "whole"
)

// latencyIn is the latency of what was meant during faults, or outside of them.
func latencyIn(part string, l *phase.Latency) phase.Histogram {
	if part == partDuring {
		return l.Sum(phase.During)
	}
	return l.Sum(phase.Before, phase.After)
}

// latency is one kind of latency over a run, by phase and by second.
type latency struct {
	phase.Latency
	seconds everySecond
}

func newLatency() *latency { return &latency{seconds: newSeconds()} }

func (l *latency) record(p phase.Phase, d time.Duration, records int32) {
	l.Record(p, d, records)
	l.seconds.record(phase.Bounded(d), int64(records))
}

func (l *latency) histograms(name string) []reports.NamedHistogram {
	return append(l.Named(name), reports.NamedHistogram{Name: name, Hist: l.Whole().Histogram, Intervals: l.seconds.intervals()})
}
