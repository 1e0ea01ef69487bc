// Command simrun runs scenarios against a deterministic Kafka cluster and judges
// what it sees. It only joins the command line to the simulator.
package main

import (
	"os"
	"runtime/debug"

	"github.com/seed-604ea8f1/windtunnel/cmd/simrun/internal/cli"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
)

// gcPercent is the default of GOGC here. A simulation's live heap is large and
// steady and it makes little garbage, so collecting early costs nothing that can
// be measured and saves a fifth of the memory.
const gcPercent = 40

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	app := cli.App{Engine: engine, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(app.Main(os.Args[1:]))
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
