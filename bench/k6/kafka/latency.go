package kafka

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// logFolderVariable names the folder for histogram logs.
const logFolderVariable = "KAFKA_HLOG_DIR"

// latencyMicrosMax is the longest latency that is told from longer ones.
const latencyMicrosMax = int64(10 * time.Minute / time.Microsecond)

// latencies are the histograms of a test: its memory does not grow with the
// number of records, as that of a k6 Trend does.
type latencies struct {
	begin             time.Time
	produce, endToEnd histogram
}

type histogram struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newLatencies() *latencies {
	l := &latencies{begin: time.Now()}
	l.produce.h = hdrhistogram.New(1, latencyMicrosMax, 3)
	l.endToEnd.h = hdrhistogram.New(1, latencyMicrosMax, 3)
	return l
}

func (h *histogram) record(d time.Duration) {
	micros := min(max(d.Microseconds(), 1), latencyMicrosMax)
	h.mu.Lock()
	_ = h.h.RecordValue(micros) // within bounds it cannot fail
	h.mu.Unlock()
}

// Percentiles are a histogram's figures in milliseconds.
type Percentiles struct {
	Count int64   `js:"count"`
	P50   float64 `js:"p50"`
	P95   float64 `js:"p95"`
	P99   float64 `js:"p99"`
	P999  float64 `js:"p999"`
	Max   float64 `js:"max"`
}

func (h *histogram) percentiles() Percentiles {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := func(q float64) float64 { return float64(h.h.ValueAtQuantile(q)) / 1000 }
	return Percentiles{h.h.TotalCount(), at(50), at(95), at(99), at(99.9), at(100)}
}

// summary is for handleSummary: the latencies of all VUs from the intended send.
func (l *latencies) summary() map[string]Percentiles {
	return map[string]Percentiles{"produce": l.produce.percentiles(), "end_to_end": l.endToEnd.percentiles()}
}

// writeLogs leaves produce.hlog and end-to-end.hlog, HdrHistogram's V2 format,
// where KAFKA_HLOG_DIR names a folder.
func (l *latencies) writeLogs() {
	dir := os.Getenv(logFolderVariable)
	if dir == "" {
		return
	}
	err := os.MkdirAll(dir, 0o755)
	for _, part := range []struct {
		name string
		h    *histogram
	}{{"produce", &l.produce}, {"end-to-end", &l.endToEnd}} {
		err = errors.Join(err, l.writeLog(filepath.Join(dir, part.name+".hlog"), part.h))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "k6/x/kafka: write the histogram logs of %s: %v\n", logFolderVariable, err)
	}
}

func (l *latencies) writeLog(path string, h *histogram) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	h.h.SetStartTimeMs(l.begin.UnixMilli())
	h.h.SetEndTimeMs(time.Now().UnixMilli())
	w := hdrhistogram.NewHistogramLogWriter(f)
	return errors.Join(w.OutputComment("[microseconds from the intended send]"), w.OutputLogFormatVersion(),
		w.OutputStartTime(l.begin.UnixMilli()), w.OutputLegend(), w.OutputIntervalHistogram(h.h))
}
