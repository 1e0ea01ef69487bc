package scenarios_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
)

// Goal: no change of code alters what happens in a run without somebody saying
// so. Method: the trace hash of three shipped scenarios is compared with a
// committed file. The runs share a process and run side by side, so that state
// which one leaves to another would show as well. That two processes agree is
// tested beside cmd/simrun.

const goldenFile = "testdata/golden/hashes.txt"

// goldenEvents is where a golden run ends: beyond boot, the first fault and its
// heal, but short of minutes in which nothing new happens.
const goldenEvents = 1 << 20

var goldenScenarios = []string{"smoke", "broker-pause", "rolling-restart"}

const goldenHelp = `What happens in a run is no longer what %s records (- committed, + now).

If the change is meant to alter behaviour, record it, and say why in the commit:
    make golden
If it is not, see the first event that differs from the last commit that recorded it:
    make diverge SCENARIO=%s
`

func TestGoldenHashes(t *testing.T) {
	lines := make([]string, len(goldenScenarios))
	t.Run("runs", func(t *testing.T) {
		for i, name := range goldenScenarios {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				lines[i] = goldenRun(t, name)
			})
		}
	})
	if t.Failed() {
		return
	}
	got := strings.Join(lines, "")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.MkdirAll(filepath.Dir(goldenFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenFile, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.SplitAfter(string(want), "\n"), strings.SplitAfter(got, "\n")); diff != "" {
		t.Errorf(goldenHelp+"\n%s", goldenFile, firstChanged(string(want), lines), diff)
	}
}

// goldenRun returns a scenario's line of the golden file.
func goldenRun(t *testing.T, name string) string {
	text, err := scenarios.ReadShipped(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Load(text, name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	out, err := runner.Run(s, runner.Options{Seed: uint64(s.Seed), StopAtEvent: goldenEvents})
	if err != nil {
		t.Fatal(err)
	}
	r := out.Result
	return fmt.Sprintf("%s seed=0x%x events=%d acked=%d trace=%s\n", r.Scenario, r.Seed, r.Events, r.Records.Acked, r.TraceHash)
}

// firstChanged names the first scenario whose line is not in the file.
func firstChanged(want string, lines []string) string {
	for i, line := range lines {
		if !strings.Contains(want, line) {
			return goldenScenarios[i]
		}
	}
	return goldenScenarios[0]
}
