// Package museum_test visits the museum: every switch of broker/bugs has a
// scenario of its name, in which the simulator finds what the switch breaks.
package museum_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
)

var update = flag.Bool("update", false, "write docs/museum.md again")

const page = "../../docs/museum.md"

// exhibit reads the scenario of a switch.
func exhibit(t *testing.T, name string) *scenarios.Scenario {
	t.Helper()
	file := name + ".yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Load(text, file)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != name || len(s.KnownBugs) != 1 || s.KnownBugs[0] != name {
		t.Fatalf("%s is named %q and turns on %v", file, s.Name, s.KnownBugs)
	}
	return s
}

func run(t *testing.T, s *scenarios.Scenario, seed uint64) *reports.Result {
	t.Helper()
	out, err := runner.Run(s, runner.Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return out.Result
}

// find runs the exhibit's seeds until one fails, by a finding or by a threshold.
func find(t *testing.T, name string) (seed uint64) {
	t.Helper()
	s := exhibit(t, name)
	first := uint64(s.Seed)
	for seed = first; seed < first+uint64(s.Runs); seed++ {
		if res := run(t, s, seed); res.Verdict == reports.Fail {
			if len(res.Reasons) == 0 {
				t.Errorf("seed %d fails without a word", seed)
			}
			return seed
		}
	}
	t.Fatalf("seeds %d to %d find nothing", first, seed-1)
	return 0
}

// Goal: each rule of the table is needed and checked. With its switch on, one of
// the exhibit's seeds fails; with the switch off the same seed passes;
// and the switch alone does no harm where it takes a fault, so that it is the
// protocol under failure that is tested.
func TestEveryBugIsFound(t *testing.T) {
	for _, e := range bugs.Exhibits() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			seed := find(t, e.Name)
			off := exhibit(t, e.Name)
			off.Cluster.Brokers.Settings.Bugs = 0
			if res := run(t, off, seed); res.Verdict != reports.Pass {
				t.Errorf("seed %d with the switch off: %s: %v", seed, res.Verdict, res.Reasons)
			}
			calm := exhibit(t, e.Name)
			if len(calm.Timeline) == 0 {
				return // it takes no fault
			}
			calm.Timeline, calm.Expect.DuringFault = nil, nil
			calm.Expect.Minimums.Faults = 0
			if res := run(t, calm, seed); res.Verdict != reports.Pass {
				t.Errorf("seed %d without faults: %s: %v", seed, res.Verdict, res.Reasons)
			}
		})
	}
}

// Goal: docs/museum.md is the table.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# The museum

Bugs that real systems had, each a switch that breaks one rule of this broker (` + "`broker/bugs`" + `). Only a scenario
can turn one on, with ` + "`known_bugs`" + `; brokerd cannot. ` + "`simrun scenarios/museum/NAME.yaml`" + ` must then fail, and
` + "`go test ./scenarios/museum`" + ` holds it to that: with the switch on the simulator finds the bug, with it off the same seed
passes, and the switch without the fault does no harm.

| switch | the rule that it breaks | where the rule comes from | what happens |
| --- | --- | --- | --- |
`)
	for _, e := range bugs.Exhibits() {
		fmt.Fprintf(&b, "| [`%s`](../scenarios/museum/%s.yaml) | %s | %s | %s |\n", e.Name, e.Name, e.Rule, e.Source, exhibit(t, e.Name).Description)
	}
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(have)); diff != "" {
		t.Errorf("docs/museum.md differs, go test ./scenarios/museum -update writes it (-want +have):\n%s", diff)
	}
}
