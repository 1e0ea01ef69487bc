package cli

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/spf13/pflag"
)

// Bounds of what one call may ask for.
const (
	runsMax = 1_000_000
	jobsMax = 1024
)

// outputFlags say what becomes of a run's findings.
type outputFlags struct {
	out        string
	format     formatFlag
	trace      string
	quiet      bool
	cpuProfile string
	memProfile string
}

// runFlags are the flags of a run.
type runFlags struct {
	outputFlags
	seed    seedFlag
	runs    runsFlag
	jobs    jobsFlag
	verify  bool
	real    bool
	brokerd string
}

func (f *outputFlags) addTo(set *pflag.FlagSet) {
	set.SortFlags = false
	set.VarP((*pathFlag)(&f.out), "out", "o", "write a report into this `directory`; of several runs each into its own below it")
	f.format = "text"
	set.Var(&f.format, "format", "what is printed: text, or json with one object a line")
	set.Var((*pathFlag)(&f.trace), "trace", "write a line for everything that happens to this `file`")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "no progress, one line a run, and details only of what did not pass")
	set.Var((*pathFlag)(&f.cpuProfile), "cpuprofile", "write a CPU profile to this `file`")
	set.Var((*pathFlag)(&f.memProfile), "memprofile", "write a heap profile to this `file`")
}

func (f *runFlags) addTo(set *pflag.FlagSet) {
	set.SortFlags = false
	set.Var(&f.seed, "seed", "first seed, decimal or 0x (default: the scenario's)")
	f.runs.count = 1
	set.Var(&f.runs, "runs", "how many seeds, counting up from the first; all is the scenario's own number")
	f.jobs = jobsFlag(min(runtime.NumCPU(), jobsMax))
	set.Var(&f.jobs, "jobs", "how many runs at a time, each in a process of its own")
	set.BoolVar(&f.verify, "verify", false, "run each seed in two processes and compare everything that happens")
	set.BoolVar(&f.real, "real", false, "run the scenario against real brokerd processes too, and set both worlds side by side")
	set.Var((*pathFlag)(&f.brokerd), "brokerd", "the `brokerd` of --real (default: beside simrun, in bin or on the PATH)")
	f.outputFlags.addTo(set)
}

// pathFlag is a path that may be left out, and is not empty: --out "$DIR" without a
// DIR would otherwise be no --out at all.
type pathFlag string

func (p *pathFlag) Type() string   { return "path" }
func (p *pathFlag) String() string { return string(*p) }

func (p *pathFlag) Set(text string) error {
	if text == "" {
		return errors.New("the path is empty; give one, or leave the flag out")
	}
	*p = pathFlag(text)
	return nil
}

// seedFlag is a seed that may be left out.
type seedFlag struct {
	value uint64
	given bool
}

func (s *seedFlag) Type() string { return "N" }

func (s *seedFlag) String() string {
	if !s.given {
		return ""
	}
	return strconv.FormatUint(s.value, 10)
}

func (s *seedFlag) Set(text string) error {
	value, err := scenarios.ParseSeed(text)
	if err != nil {
		return err
	}
	s.value, s.given = uint64(value), true
	return nil
}

// runsFlag is a number of seeds, or all that a scenario asks for.
type runsFlag struct {
	count uint64
	all   bool
}

func (r *runsFlag) Type() string { return "N" }

func (r *runsFlag) String() string {
	if r.all {
		return "all"
	}
	return strconv.FormatUint(r.count, 10)
}

func (r *runsFlag) Set(text string) error {
	if text == "all" {
		r.all = true
		return nil
	}
	count, err := strconv.ParseUint(text, 10, 64)
	if err != nil || count < 1 || count > runsMax {
		return fmt.Errorf("a number from 1 to %d, or all", runsMax)
	}
	r.count, r.all = count, false
	return nil
}

type jobsFlag int

func (j *jobsFlag) Type() string   { return "N" }
func (j *jobsFlag) String() string { return strconv.Itoa(int(*j)) }

func (j *jobsFlag) Set(text string) error {
	count, err := strconv.Atoi(text)
	if err != nil || count < 1 || count > jobsMax {
		return fmt.Errorf("a number from 1 to %d", jobsMax)
	}
	*j = jobsFlag(count)
	return nil
}

type formatFlag string

func (f *formatFlag) Type() string   { return "text|json" }
func (f *formatFlag) String() string { return string(*f) }

func (f *formatFlag) Set(text string) error {
	if text != "text" && text != "json" {
		return errors.New("it is text or json")
	}
	*f = formatFlag(text)
	return nil
}
