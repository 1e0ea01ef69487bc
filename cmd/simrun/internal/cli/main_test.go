// These tests run simrun as real processes, whose exit status, streams, files
// and signals are looked at. The program is this test binary with a toy instead
// of the simulator, so that a run takes no time and can be made to fail, crash,
// last for ever or depend on threads.
package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// asProgram makes the test binary behave as simrun.
const asProgram = "SIMRUN_TEST_AS_PROGRAM"

// aliveFIFO names a pipe that toys hold open while they run.
const aliveFIFO = "SIMRUN_TEST_ALIVE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	app := App{Engine: toyEngine, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ProgressEvery: 1}
	os.Exit(app.Main(os.Args[1:]))
}

// toyEngine runs 100 events, 10 ms of virtual time apart. The scenario's
// description tells it what else to do.
func toyEngine(s *scenarios.Scenario, o Options) (*Outcome, error) {
	const events, between = 100, 10 * time.Millisecond
	behaviour := s.Description
	out := &Outcome{Files: map[string][]byte{"window.html": []byte("a picture")}}
	r := &reports.Result{Scenario: s.Name, Seed: o.Seed, Verdict: reports.Pass}
	out.Result = r
	hash := o.Seed
	last := uint64(events)
	if behaviour == "endless" || behaviour == "deaf" {
		last = 1 << 62
	}
	if path := os.Getenv(aliveFIFO); path != "" {
		alive, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		defer func() { _ = alive.Close() }()
	}
	if o.StopAtEvent > 0 {
		last = min(last, o.StopAtEvent)
	}
	for event := uint64(1); event <= last; event++ {
		at := time.Duration(event) * between
		what := fmt.Sprintf("event %d", event)
		if behaviour == "threads" && event >= 57 {
			what += fmt.Sprintf(" with %d threads", runtime.GOMAXPROCS(0))
		}
		for _, c := range what {
			hash = hash*1099511628211 ^ uint64(c)
		}
		if o.TraceTo != nil {
			_, _ = fmt.Fprintf(o.TraceTo, "%d.%09d broker-1 %s\n", at/time.Second, at%time.Second, what)
		}
		if event%20 == 0 && event <= events {
			out.Checkpoints = append(out.Checkpoints, sim.Checkpoint{Events: event, Time: clock.Instant(at), Hash: hash})
		}
		r.Events, r.VirtualSeconds = event, at.Seconds()
		if !o.Progress(Progress{Events: event, Virtual: at, Total: events * between, Acked: int64(event)}) && behaviour != "deaf" {
			r.Partial, r.Verdict, r.Reasons = true, reports.Inconclusive, []string{"interrupted"}
			break
		}
	}
	r.TraceHash = fmt.Sprintf("%016x", hash)
	return out, behave(behaviour, o.Seed, r)
}

func behave(behaviour string, seed uint64, r *reports.Result) error {
	switch behaviour {
	case "fail on odd seeds":
		if seed%2 == 1 {
			r.Verdict, r.Reasons = reports.Fail, []string{"odd"}
		}
	case "inconclusive":
		r.Verdict, r.Reasons = reports.Inconclusive, []string{"undecided"}
	case "cannot be built":
		return errors.New("too many brokers")
	case "crash":
		panic("the high watermark fell from 7 to 3")
	case "killed":
		os.Exit(137)
	case "judged by threads":
		r.ProduceRetries = int64(runtime.GOMAXPROCS(0))
	}
	return nil
}

// scenarioFile writes a scenario with this behaviour and returns its path.
func scenarioFile(t *testing.T, name, behaviour string) string {
	t.Helper()
	text, err := scenarios.ReadShipped("smoke")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "name:"):
			line = "name: " + name + "\n"
		case strings.HasPrefix(line, "description:"):
			line = "description: " + behaviour + "\n"
		case strings.HasPrefix(line, "runs:"):
			line = "runs: 5\n"
		}
		lines = append(lines, line)
	}
	path := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0", "GOMAXPROCS=")
	return cmd
}

// ended is what a program has left behind.
type ended struct {
	status         int
	stdout, stderr string
}

func simrun(t *testing.T, args ...string) ended {
	t.Helper()
	cmd := program(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// want checks an exit status and pieces of text in both streams together.
func (e ended) want(t *testing.T, status int, pieces ...string) {
	t.Helper()
	if e.status != status {
		t.Errorf("exit status %d, want %d", e.status, status)
	}
	for _, piece := range pieces {
		if !strings.Contains(e.stdout+e.stderr, piece) {
			t.Errorf("missing: %s", piece)
		}
	}
	if t.Failed() {
		t.Fatalf("stdout:\n%s\nstderr:\n%s", e.stdout, e.stderr)
	}
}

// results decodes the output of --format json.
func (e ended) results(t *testing.T) (all []*reports.Result) {
	t.Helper()
	for line := range strings.Lines(e.stdout) {
		r := new(reports.Result)
		if err := json.Unmarshal([]byte(line), r); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, r)
	}
	return all
}
