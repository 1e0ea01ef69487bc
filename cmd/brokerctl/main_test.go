package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// update writes what brokerd really answers into the walk.
var update = flag.Bool("update", false, "write the walk-through")

const (
	walkPath = "internal/cli/walkthrough.md"
	// walkMax bounds a run that hangs.
	walkMax = 2 * time.Minute
)

// The walk of the reference is what a new user types. Every command of it runs
// here against a real brokerd, and prints what the reference says: topics,
// records, a group with its lag, its offsets moved, errors and a deletion.
func TestWalkAgainstBrokerd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), walkMax)
	defer cancel()
	bin := t.TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-o", bin, ".", "../brokerd")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	address := startBrokerd(ctx, t, filepath.Join(bin, "brokerd"))
	environment := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "XDG_CONFIG_HOME="+t.TempDir(), "BROKERCTL_BROKERS="+address)

	before, err := os.ReadFile(walkPath)
	if err != nil {
		t.Fatal(err)
	}
	after := replay(string(before), func(command string) string {
		shell := exec.CommandContext(ctx, "sh", "-c", command)
		shell.Env = environment
		out, err := shell.CombinedOutput()
		if _, status := err.(*exec.ExitError); err != nil && !status {
			t.Fatalf("%s: %v", command, err)
		}
		return string(out)
	})
	if *update {
		if err := os.WriteFile(walkPath, []byte(after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(before), after); diff != "" {
		t.Errorf("brokerd answers otherwise than the walk says: %s", diff)
	}
}

// replay runs each line of the console blocks that begins with $ and puts what
// it prints below it.
func replay(text string, run func(command string) string) string {
	var out strings.Builder
	console := false
	for line := range strings.Lines(text) {
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "```"):
			console = strings.HasPrefix(line, "```console")
		case console && !isCommand:
			continue
		}
		out.WriteString(line)
		if console && isCommand {
			out.WriteString(run(command))
		}
	}
	return out.String()
}

// startBrokerd starts a node on a port of its own and gives its address.
func startBrokerd(ctx context.Context, t *testing.T, path string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, path, "--dev", "--data", t.TempDir(), "--listen", "localhost:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()         // killed, so its status says nothing
		if t.Failed() {
			t.Logf("log of brokerd:\n%s", &log)
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "bootstrap.servers="); ok {
			return address
		}
	}
	t.Fatalf("brokerd ended before it listened: %s", &log)
	return ""
}
