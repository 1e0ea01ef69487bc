package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

// display shows how far the runs have come: of those that go on, the first one,
// because its result is the next to be printed.
type display struct {
	mutex   sync.Mutex
	w       io.Writer // nil shows nothing
	inPlace bool
	every   time.Duration
	last    time.Time
	shown   bool // there is a line to be written over
	jobs    []job
	first   int // the first job that goes on
}

func (a *App) newDisplay(f *outputFlags, jobs []job) *display {
	d := &display{jobs: jobs, every: progressLines, last: time.Now()}
	if f.quiet || f.format == "json" {
		return d
	}
	d.w = a.Stderr
	if d.inPlace = isTerminal(a.Stderr); d.inPlace {
		d.every = progressTerminal
	} else if a.ProgressEvery > 0 {
		d.every = a.ProgressEvery
	}
	return d
}

// watch returns the function that shows the progress of a job.
func (d *display) watch(index int) func(childProgress) {
	return func(p childProgress) {
		d.mutex.Lock()
		defer d.mutex.Unlock()
		now := time.Now()
		if d.w == nil || index != d.first || now.Sub(d.last) < d.every {
			return
		}
		d.last = now
		line := reports.Progress(reports.ProgressState{
			Scenario: d.jobs[index].name, Seed: d.jobs[index].Seed, Run: index + 1, Runs: len(d.jobs), Events: p.Events,
			VirtualSeconds: p.Virtual.Seconds(), TotalSeconds: p.Total.Seconds(), CPUSeconds: p.CPUSeconds, Acked: p.Acked,
		})
		if d.inPlace {
			_, _ = fmt.Fprintf(d.w, "\r%s\x1b[K", line) // as warn
			d.shown = true
			return
		}
		_, _ = fmt.Fprintln(d.w, line)
	}
}

// clear removes the line, so that something else can be printed.
func (d *display) clear() {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.shown {
		_, _ = fmt.Fprint(d.w, "\r\x1b[K")
		d.shown = false
	}
}

// ended says that the job and all before it are through.
func (d *display) ended(index int) {
	d.clear()
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.first = index + 1
}

// isTerminal reports whether somebody looks at w. The null device is a device
// too, but nobody looks at it.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
