package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Campaign is every workload on every target, repeated. The targets take turns
// within a repeat, so that a machine that grows slower does so for all of them,
// and every second repeat goes backwards: none is always the one that runs while
// the same other one still removes its files.
type Campaign struct {
	Workloads []*Workload
	Targets   []Target
	Repeats   int
	Pause     time.Duration // between two runs: for what the last one has left to be done
	Out       string        // where results go; empty is nowhere
	Progress  io.Writer     // a line for every second; io.Discard is silence
}

// Do carries the campaign out and returns what it has, also when a run failed.
func (c *Campaign) Do(ctx context.Context) ([]*Result, error) {
	if c.Out != "" {
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return nil, fmt.Errorf("make the folder of --out: %w", err)
		}
	}
	var results []*Result
	for _, w := range c.Workloads {
		for repeat := range c.Repeats {
			for i := range c.Targets {
				if len(results) > 0 {
					if err := c.pause(ctx); err != nil {
						return results, err
					}
				}
				target := c.Targets[i]
				if repeat%2 == 1 {
					target = c.Targets[len(c.Targets)-1-i]
				}
				run := &Run{Workload: w, Target: target, Repeat: repeat + 1}
				run.Report = func(p *Period) { PrintPeriod(c.Progress, run, p) }
				r, err := run.Do(ctx)
				if err != nil {
					return results, fmt.Errorf("%s on %s, run %d: %w", w.Name, target.Name(), repeat+1, err)
				}
				PrintTotal(c.Progress, r)
				results = append(results, r)
				if err := c.write(r); err != nil {
					return results, err
				}
			}
		}
	}
	return results, nil
}

func (c *Campaign) pause(ctx context.Context) error {
	select {
	case <-time.After(c.Pause):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait between two runs: %w", ctx.Err())
	}
}

// write leaves a run's JSON and its histogram logs.
func (c *Campaign) write(r *Result) error {
	if c.Out == "" {
		return nil
	}
	base := filepath.Join(c.Out, fmt.Sprintf("%s-%s-%d", fileName(r.Workload.Name), fileName(r.Target), r.Repeat))
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	err = os.WriteFile(base+".json", append(text, '\n'), 0o644)
	for name, h := range r.Histograms() {
		err = errors.Join(err, writeHistogramLog(base+"-"+name+".hlog", h, r))
	}
	return err
}

// writeTable leaves the comparison beside the runs that it compares.
func (c *Campaign) writeTable(results []*Result) error {
	if c.Out == "" {
		return nil
	}
	var text bytes.Buffer
	PrintTable(&text, results)
	return os.WriteFile(filepath.Join(c.Out, "table.md"), text.Bytes(), 0o644)
}

// writeHistogramLog writes HdrHistogram's V2 log with one interval: the run.
func writeHistogramLog(path string, h *hdrhistogram.Histogram, r *Result) error {
	var b bytes.Buffer
	w := hdrhistogram.NewHistogramLogWriter(&b)
	h.SetStartTimeMs(r.Begin.UnixMilli())
	h.SetEndTimeMs(r.Begin.UnixMilli() + int64(r.Seconds*1000))
	err := errors.Join(w.OutputComment("[microseconds from the intended send]"), w.OutputLogFormatVersion(),
		w.OutputStartTime(r.Begin.UnixMilli()), w.OutputLegend(), w.OutputIntervalHistogram(h))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// fileName keeps what every file system takes.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, s)
}
