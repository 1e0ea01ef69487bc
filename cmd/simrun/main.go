// Command simrun runs scenarios against a deterministic Kafka cluster and judges
// what it sees. It only joins the command line to the simulator.
package main

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/seed-604ea8f1/windtunnel/cmd/simrun/internal/cli"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/real"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
)

// gcPercent is the default of GOGC here. A simulation's live heap is large and
// steady and it makes little garbage, so collecting early costs less than a
// hundredth of the time and keeps the memory near what is alive.
const gcPercent = 15

func main() {
	useHugePages()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	app := cli.App{Engine: engine, World: world{}, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(app.Main(os.Args[1:]))
}

// world joins the command line to real processes.
type world struct{}

func (world) Shorten(s *scenarios.Scenario) (*scenarios.Scenario, string) {
	return real.Shorten(s, real.DefaultLimits())
}

func (world) Run(ctx context.Context, s *scenarios.Scenario, o cli.WorldOptions) (*reports.Result, error) {
	brokerd, err := real.FindBrokerd(o.Brokerd)
	if err != nil {
		return nil, err
	}
	return real.Run(ctx, s, real.Options{Brokerd: brokerd, Dir: o.Dir, Seed: o.Seed, Progress: o.Progress})
}

func engine(s *scenarios.Scenario, o cli.Options) (*cli.Outcome, error) {
	out, err := runner.Run(s, runner.Options{
		Seed:        o.Seed,
		TraceTo:     o.TraceTo,
		Progress:    func(p runner.Progress) bool { return o.Progress(cli.Progress(p)) },
		StopAtEvent: o.StopAtEvent,
	})
	if err != nil {
		return nil, err
	}
	return &cli.Outcome{Result: out.Result, Files: out.Files, Checkpoints: out.Checkpoints}, nil
}
