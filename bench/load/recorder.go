package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// latencyMicrosMax is the longest latency that is told from longer ones.
	latencyMicrosMax = int64(10 * time.Minute / time.Microsecond)
	significantDigit = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, latencyMicrosMax, significantDigit)
}

// recorder collects the latencies of one client, which several goroutines of
// that client may call.
type recorder struct {
	mu        sync.Mutex
	histogram *hdrhistogram.Histogram
}

func newRecorder() *recorder { return &recorder{histogram: newHistogram()} }

// record adds one latency; longer ones than the maximum count as the maximum.
func (r *recorder) record(latency time.Duration) {
	micros := min(max(int64(latency/time.Microsecond), 1), latencyMicrosMax)
	r.mu.Lock()
	// Within the bounds of the histogram, RecordValue cannot fail.
	_ = r.histogram.RecordValue(micros)
	r.mu.Unlock()
}

// take moves what has been recorded to into.
func (r *recorder) take(into *hdrhistogram.Histogram) {
	r.mu.Lock()
	into.Merge(r.histogram)
	r.histogram.Reset()
	r.mu.Unlock()
}

// latencies are the three things that are measured, of one period or all.
type latencies struct{ publish, delay, endToEnd *hdrhistogram.Histogram }

func newLatencies() latencies {
	return latencies{publish: newHistogram(), delay: newHistogram(), endToEnd: newHistogram()}
}

func (l *latencies) merge(other *latencies) {
	l.publish.Merge(other.publish)
	l.delay.Merge(other.delay)
	l.endToEnd.Merge(other.endToEnd)
}

// millis returns a quantile (0 to 100) of microseconds in milliseconds.
func millis(h *hdrhistogram.Histogram, quantile float64) float64 {
	return float64(h.ValueAtQuantile(quantile)) / 1000
}
