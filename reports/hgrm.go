package reports

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// nanosPerMilli turns the nanoseconds that are recorded into the milliseconds
// that are printed.
const nanosPerMilli = 1e6

// percentileTicks is how many lines a distribution has per halving of the
// distance to 100 %.
const percentileTicks = 5

// Hgrm is the percentile distribution of a histogram as HdrHistogram's plotters
// read it; values are milliseconds.
func Hgrm(h *hdrhistogram.Histogram) ([]byte, error) {
	var b bytes.Buffer
	if _, err := h.PercentilesPrint(&b, percentileTicks, nanosPerMilli); err != nil {
		return nil, fmt.Errorf("print percentiles: %w", err)
	}
	return b.Bytes(), nil
}

// Hlog is the log of a histogram's intervals, compressed in HdrHistogram's V2
// format, each with the histogram's name as its tag; without intervals, the whole
// histogram is one of the given length. Values are nanoseconds, interval maxima
// milliseconds, times virtual milliseconds of the run.
func Hlog(n NamedHistogram, virtualSeconds float64) ([]byte, error) {
	var b bytes.Buffer
	w := hdrhistogram.NewHistogramLogWriter(&b)
	intervals := n.Intervals
	if intervals == nil {
		whole := n.Hist.Clone()
		whole.SetStartTimeMs(0)
		whole.SetEndTimeMs(int64(virtualSeconds * 1000))
		intervals = slices.Values([]*hdrhistogram.Histogram{whole})
	}
	tag := fileName(n.Name)
	for _, step := range []func() error{
		func() error { return w.OutputComment("[virtual time of a simulation, nanoseconds]") },
		w.OutputLogFormatVersion,
		func() error { return w.OutputStartTime(0) },
		w.OutputLegend,
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("write the head of histogram log %s: %w", n.Name, err)
		}
	}
	i := -1
	for h := range intervals {
		if i++; h.TotalCount() == 0 {
			continue
		}
		// A tag is part of the line that is written, not of the caller's histogram.
		tagged := *h
		tagged.SetTag(tag)
		if err := w.OutputIntervalHistogram(&tagged); err != nil {
			return nil, fmt.Errorf("write interval %d of histogram log %s: %w", i, n.Name, err)
		}
	}
	return b.Bytes(), nil
}

// ReadHlog reads a log back: the tag of its intervals and their sum. An empty log
// has no sum.
func ReadHlog(r io.Reader) (NamedHistogram, error) {
	var n NamedHistogram
	reader := hdrhistogram.NewHistogramLogReader(r)
	for i := 0; ; i++ {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			return n, fmt.Errorf("read interval %d: %w", i, err)
		}
		if h == nil {
			return n, nil
		}
		n.Name = h.Tag()
		if n.Hist == nil {
			n.Hist = hdrhistogram.New(h.LowestTrackableValue(), h.HighestTrackableValue(), int(h.SignificantFigures()))
		}
		if dropped := n.Hist.Merge(h); dropped > 0 {
			return n, fmt.Errorf("interval %d has %d values beyond the range of the first", i, dropped)
		}
	}
}

// fileName makes a histogram's name usable as a file name and as a tag, which
// has no space or comma.
func fileName(name string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, name)
	if strings.Trim(safe, ".") == "" {
		return "_"
	}
	return safe
}
