package swarm

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: the file and the command that a failing case leaves give the same failure
// again, to somebody who has nothing else. Method: a broken broker of the museum is
// judged as the random scenarios are; the file goes where WINDTUNNEL_FAILURES says;
// the command that is printed is run, by simrun itself.
func TestAFailureIsReplayedFromItsFile(t *testing.T) {
	const exhibit, seed = "../museum/log-keep-strays.yaml", 0xb
	text, err := os.ReadFile(exhibit)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Load(text, exhibit)
	if err != nil {
		t.Fatal(err)
	}
	s.Name, s.Seed = "planted", seed
	j := Try(s, seed)
	if !j.Failed || j.Result == nil {
		t.Fatalf("the planted bug is not found: %+v", j)
	}

	root := t.TempDir()
	t.Setenv("WINDTUNNEL_FAILURES", root)
	command := strings.Fields(save(t, s, failures(t, "replay")))
	if want := filepath.Join(root, "replay", "planted.yaml"); command[0] != "simrun" || command[1] != want {
		t.Fatalf("%q does not replay %s", command, want)
	}

	got, status := simrun(t, command[1:])
	for _, r := range []*reports.Result{&got, j.Result} { // what tells the runs apart
		r.File, r.Replay, r.CPUSeconds, r.PeakRSSBytes = "", "", 0, 0
	}
	if diff := cmp.Diff(decoded(t, encoded(t, j.Result)), got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the replay differs (-swarm +simrun):\n%s", diff)
	}
	if status != 1 || got.Verdict != reports.Fail || got.TraceHash == "" {
		t.Errorf("simrun ended with %d and %s", status, got.Verdict)
	}
}

// simrun builds the command and runs it on a file.
func simrun(t *testing.T, args []string) (reports.Result, int) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "simrun")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/simrun").CombinedOutput(); err != nil {
		t.Fatalf("build simrun: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"--format", "json"}, args...)...)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return decoded(t, out), cmd.ProcessState.ExitCode()
}

func encoded(t *testing.T, r *reports.Result) []byte {
	t.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decoded(t *testing.T, text []byte) (r reports.Result) {
	t.Helper()
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}
