package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/spf13/cobra"
)

// A child carries out one job in a process of its own, so that memory and
// garbage collection of runs are apart. Both sides speak JSON, one message a
// line: the parent sends the job and later orders, the child answers.

const childName = "run-one-job"

// order is what a parent tells its child after the job.
type order struct {
	Stop   bool         `json:"stop,omitempty"`   // end the run early
	Report *reportOrder `json:"report,omitempty"` // write the report and answer
}

// reportOrder carries the verdict, because the parent may know more: whether
// another process has done the same.
type reportOrder struct {
	Out     string          `json:"out"`
	Verdict reports.Verdict `json:"verdict"`
	Reasons []string        `json:"reasons"`
}

// answer is what a child tells its parent.
type answer struct {
	Progress *childProgress `json:"progress,omitempty"`
	Done     *childDone     `json:"done,omitempty"`
	Error    string         `json:"error,omitempty"` // the job, or the report, came to nothing
	Written  bool           `json:"written,omitempty"`
}

type childProgress struct {
	Progress
	CPUSeconds float64 `json:"cpu_seconds"`
}

type childDone struct {
	Result      *reports.Result  `json:"result"`
	Checkpoints []sim.Checkpoint `json:"checkpoints"`
}

// childProgressEvery bounds how much a child talks, in wall time.
const childProgressEvery = 50 * time.Millisecond

func (a *App) childCommand() *cobra.Command {
	return &cobra.Command{
		Use:    childName,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			// A terminal sends Ctrl-C to children too; the parent decides for them.
			signal.Ignore(os.Interrupt, syscall.SIGTERM)
			return a.child()
		},
	}
}

func (a *App) child() error {
	orders := json.NewDecoder(bufio.NewReader(a.Stdin))
	var j job
	if err := orders.Decode(&j); err != nil {
		return fmt.Errorf("%s is for simrun itself: %w", childName, err)
	}
	var stopped atomic.Bool
	report := make(chan *reportOrder, 1)
	go func() {
		for {
			var o order
			if err := orders.Decode(&o); err != nil {
				os.Exit(exitPass) // the parent wants no more, or is gone
			}
			if o.Stop {
				stopped.Store(true)
			}
			if o.Report != nil {
				report <- o.Report
			}
		}
	}()
	if j.TraceOnly {
		return a.traceOnly(&j)
	}
	tell := json.NewEncoder(a.Stdout)
	var last time.Time
	out, err := a.execute(&j, watcher{
		stopped: stopped.Load,
		progress: func(p Progress) {
			if now := time.Now(); now.Sub(last) >= childProgressEvery {
				last = now
				_ = tell.Encode(answer{Progress: &childProgress{p, cpuSeconds()}}) // a parent that is gone ends this process
			}
		},
	})
	if err != nil {
		return tell.Encode(answer{Error: err.Error()})
	}
	if err := tell.Encode(answer{Done: &childDone{out.Result, out.Checkpoints}}); err != nil {
		return err
	}
	o := <-report // or the parent goes away
	out.Result.Verdict, out.Result.Reasons = o.Verdict, o.Reasons
	if err := writeReport(o.Out, &j, out); err != nil {
		return tell.Encode(answer{Error: err.Error()})
	}
	return tell.Encode(answer{Written: true})
}

// traceOnly writes the trace from a virtual time on to stdout.
func (a *App) traceOnly(j *job) error {
	trace := bufio.NewWriterSize(a.Stdout, 1<<16)
	_, err := a.execute(j, watcher{
		stopped: func() bool { return false },
		traceTo: &laterLines{w: trace, from: j.TraceFrom},
	})
	return errors.Join(err, trace.Flush())
}

// laterLines passes on the lines of a trace from a virtual time on.
type laterLines struct {
	w    io.Writer
	from int64 // nanoseconds
	open bool
}

func (l *laterLines) Write(line []byte) (int, error) {
	if !l.open {
		at, ok := lineTime(string(line))
		l.open = !ok || at >= l.from
	}
	if !l.open {
		return len(line), nil
	}
	return l.w.Write(line)
}

// lineTime reads the time with which a line of a trace opens: 12.000500000.
func lineTime(line string) (nanoseconds int64, ok bool) {
	number, _, _ := strings.Cut(line, " ")
	whole, fraction, ok := strings.Cut(number, ".")
	if !ok || len(fraction) != 9 {
		return 0, false
	}
	seconds, err1 := strconv.ParseInt(whole, 10, 64)
	rest, err2 := strconv.ParseInt(fraction, 10, 64)
	return seconds*1e9 + rest, err1 == nil && err2 == nil
}
