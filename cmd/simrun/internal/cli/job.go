package cli

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// job is one run of one scenario with one seed. It holds the scenario's text,
// because all processes must run the same one even if the file is edited.
type job struct {
	File   string `json:"file"` // as it was named on the command line
	Source []byte `json:"source"`
	Seed   uint64 `json:"seed"`
	Replay string `json:"replay"` // the command that repeats it
	// StopAtEvent ends the run after that many events; 0 is never.
	StopAtEvent uint64 `json:"stop_at_event,omitempty"`
	// TraceOnly makes a child write the full trace from TraceFrom on, instead of
	// messages.
	TraceOnly bool  `json:"trace_only,omitempty"`
	TraceFrom int64 `json:"trace_from,omitempty"` // virtual nanoseconds

	name string // the scenario's
	out  string // directory for the report; "" is none
	// check may judge a result further, before it is written; nil does not. It
	// returns a line for people.
	check func(*reports.Result) (note string)
}

// jobsOf lists the runs that the flags ask for, in order.
func jobsOf(all []loaded, f *runFlags) ([]job, error) {
	var jobs []job
	for _, one := range all {
		first, count := uint64(one.scenario.Seed), f.runs.count
		if f.seed.given {
			first = f.seed.value
		}
		if f.runs.all {
			count = uint64(one.scenario.Runs)
		}
		if first+count-1 < first {
			return nil, fmt.Errorf("%d seeds from %d on are more than there are; the last is 0xffffffffffffffff", count, first)
		}
		for i := range count {
			jobs = append(jobs, job{
				File: one.name, Source: one.text, Seed: first + i, name: one.scenario.Name,
				Replay: fmt.Sprintf("simrun %s --seed %s", shellQuote(one.name), seedText(first+i)),
			})
		}
	}
	if len(jobs) > runsMax {
		return nil, fmt.Errorf("%d runs are too many for one call; at most %d", len(jobs), runsMax)
	}
	return jobs, nil
}

// seedText writes small seeds as people do and large ones in hexadecimal.
func seedText(seed uint64) string {
	if seed < 1_000_000 {
		return fmt.Sprint(seed)
	}
	return fmt.Sprintf("%#x", seed)
}

// shellQuote makes one word of any text for a POSIX shell.
func shellQuote(s string) string {
	const safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%"
	if s != "" && strings.Trim(s, safe) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// crash is a panic of a run: one of our own assertions.
type crash struct {
	what  string
	stack []byte
}

func (c *crash) Error() string { return "the simulator crashed: " + c.what }

// watcher is who looks at a run while it lasts.
type watcher struct {
	progress func(Progress) // may be nil
	stopped  func() bool    // whether the run shall end early
	traceTo  io.Writer      // may be nil
}

// execute carries out a job in this process.
func (a *App) execute(j *job, w watcher) (out *Outcome, err error) {
	s, err := scenarios.Load(j.Source, j.File)
	if err != nil {
		return nil, err
	}
	interrupted := false
	out, err = a.engage(s, Options{
		Seed:        j.Seed,
		TraceTo:     w.traceTo,
		StopAtEvent: j.StopAtEvent,
		Progress: func(p Progress) bool {
			if w.progress != nil {
				w.progress(p)
			}
			interrupted = interrupted || w.stopped()
			return !interrupted
		},
	})
	if c, ok := err.(*crash); ok {
		r := failedResult(j, reports.Fail, fmt.Sprintf("%v; this is a bug of the simulator, please report it with the command below", c))
		r.Scenario = s.Name
		a.warn("simrun: %v (%s)\n%s", c, j.Replay, c.stack)
		out, err = &Outcome{Result: r}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.File, err)
	}
	r := out.Result
	r.File, r.Replay = j.File, j.Replay
	r.Partial = r.Partial || interrupted
	r.CPUSeconds, r.PeakRSSBytes = cpuSeconds(), peakRSSBytes()
	return out, nil
}

// engage calls the engine and turns its panic into an error, so that one seed
// that breaks an assertion is reported as any other failing seed.
func (a *App) engage(s *scenarios.Scenario, o Options) (out *Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = nil, &crash{fmt.Sprint(p), debug.Stack()}
		}
	}()
	return a.Engine(s, o)
}

// failedResult stands for a run that left no result.
func failedResult(j *job, verdict reports.Verdict, why string) *reports.Result {
	return &reports.Result{
		Scenario: j.name, File: j.File, Seed: j.Seed, Replay: j.Replay, Verdict: verdict, Reasons: []string{why},
		Claims: []reports.Claim{}, Thresholds: []reports.Threshold{}, Anomalies: []reports.Anomaly{},
		Faults: []reports.Fault{}, Unavailability: []reports.Unavailability{}, ZoneTraffic: []reports.ZoneTraffic{},
		Nodes: []reports.Node{}, Series: []reports.SeriesPoint{},
	}
}
