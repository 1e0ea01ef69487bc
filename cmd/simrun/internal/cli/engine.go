package cli

import (
	"context"
	"io"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// Engine carries out a scenario with one seed. An error means that the scenario
// cannot be built; everything that happens within the run is in the result. It
// is a parameter so that the command line is tested without a simulation.
type Engine func(s *scenarios.Scenario, o Options) (*Outcome, error)

// World is the real one: Shorten makes a scenario short enough to wait for, and
// Run carries it out on real processes.
type World interface {
	Shorten(s *scenarios.Scenario) (short *scenarios.Scenario, note string)
	Run(ctx context.Context, s *scenarios.Scenario, o WorldOptions) (*reports.Result, error)
}

// WorldOptions are what a real run needs besides its scenario.
type WorldOptions struct {
	Brokerd  string // as named by the user; empty is found
	Dir      string // for data and logs; empty is a temporary one
	Seed     uint64
	Progress func(text string)
}

// Options are what one run needs besides its scenario.
type Options struct {
	Seed uint64
	// TraceTo receives one line for each thing that happens, in one call of Write
	// each, opening with the virtual time in seconds; nil is none.
	TraceTo io.Writer
	// Progress is called every now and then; if it returns false the run ends
	// early and its result is partial.
	Progress    func(Progress) bool
	StopAtEvent uint64 // the run ends after that many events; 0 is never
}

// Progress is how far a run has come.
type Progress struct {
	Events  uint64        `json:"events"`
	Virtual time.Duration `json:"virtual"`
	Total   time.Duration `json:"total"` // virtual time of the whole run
	Acked   int64         `json:"acked"` // records
}

// Outcome is what a run leaves behind.
type Outcome struct {
	Result      *reports.Result
	Files       map[string][]byte // further files for the output directory
	Checkpoints []sim.Checkpoint
}
