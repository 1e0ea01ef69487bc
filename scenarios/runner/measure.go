package runner

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/reports"
)

// Latencies are kept from 1 us to one hour with three significant digits.
const (
	latencyMin    = int64(time.Microsecond)
	latencyMax    = int64(time.Hour)
	latencyDigits = 3
	// secondsMax bounds the series of a run: a day of virtual time. Later seconds
	// are counted into the last one.
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

// latency is one kind of latency over a run.
type latency struct {
	byPhase   [phases]histogram
	second    histogram // of the second that runs
	intervals []*hdrhistogram.Histogram
}

func newLatency() *latency {
	l := &latency{second: newHistogram()}
	for i := range l.byPhase {
		l.byPhase[i] = newHistogram()
	}
	return l
}

func (l *latency) record(p phase, d time.Duration, records int32) {
	l.byPhase[p].record(d, records)
	l.second.record(d, records)
}

// outside is the latency of everything that was not meant during a fault.
func (l *latency) outside() histogram {
	h := newHistogram()
	h.Merge(l.byPhase[before].Histogram)
	h.Merge(l.byPhase[after].Histogram)
	return h
}

func (l *latency) whole() histogram {
	h := l.outside()
	h.Merge(l.byPhase[during].Histogram)
	return h
}

func (l *latency) report() reports.Phases {
	return reports.Phases{
		Before: l.byPhase[before].quantiles(), During: l.byPhase[during].quantiles(),
		After: l.byPhase[after].quantiles(), Whole: l.whole().quantiles(),
	}
}

func (l *latency) histograms(name string) (out []reports.NamedHistogram) {
	for i, h := range l.byPhase {
		if h.TotalCount() > 0 {
			out = append(out, reports.NamedHistogram{Name: name + "." + phaseNames[i], Hist: h.Histogram})
		}
	}
	return append(out, reports.NamedHistogram{Name: name, Hist: l.whole().Histogram, Intervals: l.intervals})
}

// endSecond closes the histogram of a second: its quantiles go to the series
// and, compactly, into the interval log.
func (l *latency) endSecond() (p50, p99, max float64) {
	if l.second.TotalCount() == 0 {
		return 0, 0, 0
	}
	p50, p99, max = millis(l.second.ValueAtQuantile(50)), millis(l.second.ValueAtQuantile(99)), millis(l.second.Max())
	l.second.Reset()
	return p50, p99, max
}

// stall measures the longest time in which one partition had something to do
// and did none of it.
type stall struct {
	last    clock.Instant // when it last did something
	longest time.Duration
	from    clock.Instant
	// During and outside of faults, for thresholds.
	inFault, outside time.Duration
}

// done says that something that has been wanted since then was done now. Of
// that time, faulty was in the time of faults: such a stall is theirs, and only
// what is left of it is held against the time without.
func (s *stall) done(now, since clock.Instant, faulty func(from, to clock.Instant) time.Duration) {
	from := max(s.last, since)
	s.last = now
	d := now.Sub(from)
	if d > s.longest {
		s.longest, s.from = d, from
	}
	if d <= s.inFault && d <= s.outside {
		return
	}
	in := faulty(from, now)
	if in > 0 {
		s.inFault = max(s.inFault, d)
	}
	s.outside = max(s.outside, d-in)
}
