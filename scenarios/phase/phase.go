// Package phase owns how latencies are kept and told by the phase of a run, in
// the simulated and in the real world alike. When faults are in force is not its
// business.
package phase

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Phase is the time a record belongs to, by its intended send.
type Phase uint8

// The phases of a run.
const (
	Before Phase = iota // the first fault
	During              // any fault
	After               // not during, but after the first fault began
	Count
)

// names are those of histograms in reports.
var names = [Count]string{"before", "during", "after"}

// Latencies are kept in nanoseconds from 1 us to one hour with three significant
// digits.
const (
	LatencyMin = int64(scenarios.LatencyMin)
	LatencyMax = int64(scenarios.LatencyMax)
	Digits     = 3
)

// Bounded is a latency in nanoseconds as histograms keep it: what is out of
// range counts as the bound.
func Bounded(d time.Duration) int64 { return min(max(int64(d), LatencyMin), LatencyMax) }

// Millis turns nanoseconds into the unit of reports.
func Millis(ns int64) float64 { return float64(ns) / 1e6 }

// Histogram records latencies.
type Histogram struct{ *hdrhistogram.Histogram }

// NewHistogram is an empty histogram.
func NewHistogram() Histogram { return Histogram{hdrhistogram.New(LatencyMin, LatencyMax, Digits)} }

// Record notes a latency of some records.
func (h Histogram) Record(d time.Duration, records int32) {
	// The value is in range by construction, so that there is no error.
	_ = h.RecordValues(Bounded(d), int64(records))
}

// Quantiles are what a report shows, in milliseconds.
func (h Histogram) Quantiles() reports.Quantiles {
	if h.TotalCount() == 0 {
		return reports.Quantiles{} // the library's maximum of nothing is above zero
	}
	return reports.Quantiles{
		Count: h.TotalCount(), P50: Millis(h.ValueAtQuantile(50)), P95: Millis(h.ValueAtQuantile(95)),
		P99: Millis(h.ValueAtQuantile(99)), P999: Millis(h.ValueAtQuantile(99.9)), Max: Millis(h.Max()),
	}
}

// Latency is a latency by the phase of the intended send. The zero value is
// empty.
type Latency struct {
	byPhase [Count]Histogram // nil until something is recorded
}

// Record notes a latency of some records.
func (l *Latency) Record(p Phase, d time.Duration, records int32) {
	if l.byPhase[p].Histogram == nil {
		l.byPhase[p] = NewHistogram()
	}
	l.byPhase[p].Record(d, records)
}

// Sum is the latency of several phases together.
func (l *Latency) Sum(of ...Phase) Histogram {
	h := NewHistogram()
	for _, p := range of {
		if x := l.byPhase[p].Histogram; x != nil {
			h.Merge(x)
		}
	}
	return h
}

// Whole is the latency of the whole run.
func (l *Latency) Whole() Histogram { return l.Sum(Before, During, After) }

// Report is the latency as a result shows it.
func (l *Latency) Report() reports.Phases {
	return reports.Phases{
		Before: l.Sum(Before).Quantiles(), During: l.Sum(During).Quantiles(),
		After: l.Sum(After).Quantiles(), Whole: l.Whole().Quantiles(),
	}
}

// Named are the histograms of the phases in which something was recorded.
func (l *Latency) Named(name string) (out []reports.NamedHistogram) {
	for i, h := range l.byPhase {
		if h.Histogram != nil {
			out = append(out, reports.NamedHistogram{Name: name + "." + names[i], Hist: h.Histogram})
		}
	}
	return out
}
