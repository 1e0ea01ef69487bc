package runner

import (
	"io"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// Options are what one run needs besides its scenario.
type Options struct {
	Seed uint64
	// TraceTo receives one line for everything that happens; nil is none.
	TraceTo io.Writer
	// Progress is called about every ProgressEvents events; nil is never. If it
	// returns false, the run ends early and its result is marked as partial.
	Progress func(Progress) bool
	// Stop ends the run early at this virtual time, for bisecting; 0 is never.
	StopAtEvent uint64
}

// ProgressEvents is how many events lie between two calls of Progress.
const ProgressEvents = 1 << 16

// Progress is how far a run has come.
type Progress struct {
	Events  uint64
	Virtual time.Duration // so far
	Total   time.Duration // virtual time of the whole run, settling included
	Acked   int64         // records
}

// Outcome is what a run leaves behind.
type Outcome struct {
	Result *reports.Result
	// Files are further files for the output directory, by name: porcupine's
	// pictures of failing windows.
	Files       map[string][]byte
	Checkpoints []sim.Checkpoint
}

// Run carries out a scenario with one seed. An error means that the scenario
// cannot be built; everything that happens within the run is in the result.
func Run(s *scenarios.Scenario, o Options) (*Outcome, error) {
	r, err := newRun(s, o)
	if err != nil {
		return nil, err
	}
	r.carryOut()
	return r.outcome(), nil
}
