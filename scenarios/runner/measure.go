package runner

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/seed-604ea8f1/windtunnel/reports"
)

// Latencies are kept from 1 us to one hour with three significant digits.
const (
	latencyMin    = int64(time.Microsecond)
	latencyMax    = int64(time.Hour)
	latencyDigits = 3
	// secondsMax bounds the series of a run: a day of virtual time. Later seconds
	// are in the histograms, and in no series.
	secondsMax = 24 * 3600
)

// phase is the time a record belongs to, by its intended send.
type phase uint8

const (
	before phase = iota // the first fault
	during              // any fault
	after               // not during, but after the first fault began
	phases
)

// What thresholds are about: the time of faults, the time without, or all of it.
const (
	partDuring  = "during"
	partOutside = "outside"
	partWhole   = "whole"
)

var phaseNames = [phases]string{"before", "during", "after"}

// histogram records nanoseconds; values out of range count as the bound.
type histogram struct{ *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(latencyMin, latencyMax, latencyDigits)}
}

func (h histogram) record(d time.Duration, records int32) {
	// The value is in range by construction, so that there is no error.
	_ = h.RecordValues(min(max(int64(d), latencyMin), latencyMax), int64(records))
}

func (h histogram) quantiles() reports.Quantiles {
	return reports.Quantiles{
		Count: h.TotalCount(), P50: millis(h.ValueAtQuantile(50)), P95: millis(h.ValueAtQuantile(95)),
		P99: millis(h.ValueAtQuantile(99)), P999: millis(h.ValueAtQuantile(99.9)), Max: millis(h.Max()),
	}
}

func millis(ns int64) float64 { return float64(ns) / 1e6 }

// phaseLatency is a latency by the phase of the intended send.
type phaseLatency struct {
	byPhase [phases]histogram // nil until something is recorded
}

func newPhaseLatency() *phaseLatency { return &phaseLatency{} }

func (l *phaseLatency) record(p phase, d time.Duration, records int32) {
	if l.byPhase[p].Histogram == nil {
		l.byPhase[p] = newHistogram()
	}
	l.byPhase[p].record(d, records)
}

// in is the latency of what was meant during faults, or outside of them.
func (l *phaseLatency) in(part string) histogram {
	if part == partDuring {
		return l.sum(during)
	}
	return l.sum(before, after)
}

func (l *phaseLatency) sum(of ...phase) histogram {
	h := newHistogram()
	for _, p := range of {
		if x := l.byPhase[p].Histogram; x != nil {
			h.Merge(x)
		}
	}
	return h
}

func (l *phaseLatency) report() reports.Phases {
	return reports.Phases{
		Before: l.sum(before).quantiles(), During: l.sum(during).quantiles(),
		After: l.sum(after).quantiles(), Whole: l.sum(before, during, after).quantiles(),
	}
}

// latency is one kind of latency over a run, by phase and by second.
type latency struct {
	phaseLatency
	seconds everySecond
}

func newLatency() *latency { return &latency{seconds: newSeconds()} }

func (l *latency) record(p phase, d time.Duration, records int32) {
	l.phaseLatency.record(p, d, records)
	l.seconds.record(min(max(int64(d), latencyMin), latencyMax), int64(records))
}

func (l *latency) histograms(name string) (out []reports.NamedHistogram) {
	for i, h := range l.byPhase {
		if h.Histogram != nil {
			out = append(out, reports.NamedHistogram{Name: name + "." + phaseNames[i], Hist: h.Histogram})
		}
	}
	return append(out, reports.NamedHistogram{Name: name, Hist: l.sum(before, during, after).Histogram, Intervals: l.seconds.intervals()})
}
