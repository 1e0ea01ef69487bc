package runner

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
)

// Goal: what is kept of the seconds is what HdrHistogram would have kept, and its
// own reader reads the log. Method: the same random values go to both; the log is
// read with hdrhistogram-go.
func TestSecondsAreHdrHistograms(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s, whole := newSeconds(), phase.NewHistogram()
	var want []*hdrhistogram.Histogram
	for second := range int64(200) {
		h := phase.NewHistogram()
		if second%7 != 3 { // some seconds are empty
			for range 1 + random.IntN(500) {
				v := min(max(int64(1)<<random.IntN(42)+random.Int64N(1<<20), phase.LatencyMin), phase.LatencyMax)
				s.record(v, 1)
				if err := h.RecordValue(v); err != nil {
					t.Fatal(err)
				}
			}
			want = append(want, h.Histogram)
		}
		p50, p99, most := s.end(second)
		if h.TotalCount() == 0 {
			if p50+p99+most != 0 {
				t.Fatalf("second %d: %v %v %v of nothing", second, p50, p99, most)
			}
			continue
		}
		if p50 != phase.Millis(h.ValueAtQuantile(50)) || p99 != phase.Millis(h.ValueAtQuantile(99)) || most != phase.Millis(h.Max()) {
			t.Fatalf("second %d: %v %v %v, want %v %v %v", second, p50, p99, most,
				phase.Millis(h.ValueAtQuantile(50)), phase.Millis(h.ValueAtQuantile(99)), phase.Millis(h.Max()))
		}
		whole.Merge(h.Histogram)
	}
	log, err := reports.Hlog(reports.NamedHistogram{Name: "produce", Hist: whole.Histogram, Intervals: s.intervals()}, 200)
	if err != nil {
		t.Fatal(err)
	}
	reader := hdrhistogram.NewHistogramLogReader(bytes.NewReader(log))
	for i, w := range want {
		h, err := reader.NextIntervalHistogram()
		if err != nil || h == nil {
			t.Fatalf("interval %d of %d: %v", i, len(want), err)
		}
		if !h.Equals(w) || h.Tag() != "produce" || h.EndTimeMs()-h.StartTimeMs() != 1000 || h.StartTimeMs()%1000 != 0 {
			t.Errorf("interval %d: %d values of %q from %d to %d ms, want %d values", i, h.TotalCount(), h.Tag(), h.StartTimeMs(), h.EndTimeMs(), w.TotalCount())
		}
	}
	if h, err := reader.NextIntervalHistogram(); err != nil || h != nil {
		t.Errorf("one interval more: %v, %v", h, err)
	}
}

// Goal: memory is bounded; what is given up is resolution, never a value.
func TestSecondsAreBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	s := newSeconds()
	const runSeconds, values = 12_000, 400
	for second := range int64(runSeconds) {
		for range values {
			s.record(phase.LatencyMin+random.Int64N(phase.LatencyMax/1000), 1)
		}
		s.end(second)
	}
	if s.bytes > secondsBytesMax || s.width < 2 {
		t.Errorf("%d bytes in intervals of %d s", s.bytes, s.width)
	}
	total, last := int64(0), int64(-1)
	for h := range s.intervals() {
		total += h.TotalCount()
		if h.StartTimeMs() < last {
			t.Fatalf("an interval starts at %d before the end of the last at %d", h.StartTimeMs(), last)
		}
		last = h.EndTimeMs()
	}
	if total != runSeconds*values || last < runSeconds*1000 {
		t.Errorf("%d values up to %d ms", total, last)
	}
}
