// These tests build simrun and run it as it is shipped: what the command line
// does in general is tested beside it with a toy; here it meets the simulator.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "simrun-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		binary = filepath.Join(dir, "simrun")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build simrun: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

func simrun(t *testing.T, args ...string) (status int, stdout string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if stderr.Len() > 0 {
		t.Errorf("simrun %s: stderr: %s", strings.Join(args, " "), stderr.String())
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// The smallest scenario passes, and has everything that other tools rely on.
func TestSmoke(t *testing.T) {
	status, out := simrun(t, "--format", "json", "--runs", "2", "../../scenarios/smoke.yaml")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != 2 {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	for i, line := range lines {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"scenario", "seed", "verdict", "trace_hash", "events", "virtual_seconds", "cpu_seconds",
			"peak_rss_bytes", "records", "claims", "thresholds", "anomalies", "faults_injected", "elections", "latency", "unavailability"} {
			if len(fields[name]) == 0 || string(fields[name]) == "null" {
				t.Errorf("run %d: no %s", i, name)
			}
		}
		var r reports.Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Verdict != reports.Pass || r.Seed != uint64(1+i) || r.Records.Acked == 0 || r.CPUSeconds <= 0 || r.PeakRSSBytes < 1<<20 {
			t.Errorf("run %d: %s", i, line)
		}
	}
}

// Two processes with different GOMAXPROCS do the same, and so does a replay.
func TestSameAgain(t *testing.T) {
	dir := t.TempDir()
	status, out := simrun(t, "--verify", "--seed", "0x7", "--out", dir, "-q", "smoke")
	if status != 0 || !strings.Contains(out, "Verified: two processes") {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
	if status, out = simrun(t, "replay", "-q", dir); status != 0 || !strings.Contains(out, "Replayed: the same happened") {
		t.Fatalf("exit status %d:\n%s", status, out)
	}
}

// A full trace has a line for each event at least, and the hash does not depend
// on whether it is written.
func TestTrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trace")
	_, out := simrun(t, "--format", "json", "--trace", path, "smoke")
	_, again := simrun(t, "--format", "json", "smoke")
	var with, without reports.Result
	if err := errors.Join(json.Unmarshal([]byte(out), &with), json.Unmarshal([]byte(again), &without)); err != nil {
		t.Fatal(err)
	}
	trace, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := uint64(strings.Count(string(trace), "\n")); got < with.Events || with.Events == 0 {
		t.Errorf("%d lines for %d events", got, with.Events)
	}
	if with.TraceHash != without.TraceHash {
		t.Errorf("hash %s with a trace, %s without", with.TraceHash, without.TraceHash)
	}
}
