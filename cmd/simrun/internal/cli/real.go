package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

// runReal carries each scenario out twice, simulated and on real processes, and
// prints both worlds side by side. The real world's verdict counts as well.
func (a *App) runReal(all []loaded, f *runFlags) error {
	switch {
	case a.World == nil:
		return errors.New("--real: this program was built without the real world")
	case f.runs.count > 1 || f.runs.all || f.verify:
		return errors.New("--real does not go with --runs and --verify: reality has no seeds")
	case f.trace != "" || f.cpuProfile != "" || f.memProfile != "":
		return errors.New("--real does not go with --trace and profiles")
	}
	a.stop = watchInterrupt(a.Stderr)
	defer a.stop.close()
	var both reports.Summary
	for _, one := range all {
		if err := a.bothWorlds(one, f, &both); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
	}
	a.status = statusOf(both.Verdict())
	return nil
}

func (a *App) bothWorlds(one loaded, f *runFlags, both *reports.Summary) error {
	short, note := a.World.Shorten(one.scenario)
	seed := uint64(short.Seed)
	if f.seed.given {
		seed = f.seed.value
	}
	say := func(text string) {
		if !f.quiet {
			a.warn("%s: %s\n", one.scenario.Name, text)
		}
	}
	say("simulating")
	simulated, err := a.engage(short, Options{Seed: seed, Progress: func(Progress) bool { return !a.stop.stopped() }})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := WorldOptions{Brokerd: f.brokerd, Seed: seed, Progress: func(text string) {
		if a.stop.stopped() {
			cancel()
		}
		say(text)
	}}
	if f.out != "" {
		o.Dir = filepath.Join(f.out, short.Name+"-real")
	}
	real, err := a.World.Run(ctx, short, o)
	if err != nil {
		return err
	}
	a.printWorlds(simulated.Result, real, note, f)
	both.Add(simulated.Result)
	both.Add(real)
	return nil
}

func (a *App) printWorlds(simulated, real *reports.Result, note string, f *runFlags) {
	if f.format == "json" {
		text, err := json.Marshal(struct {
			Note      string          `json:"note"`
			Simulated *reports.Result `json:"simulated"`
			Real      *reports.Result `json:"real"`
		}{note, simulated, real})
		if err != nil {
			a.warn("simrun: encode the results: %v\n", err)
			return
		}
		a.print("%s\n", text)
		return
	}
	a.print("%s", reports.Worlds(simulated, real, note, a.color))
}
