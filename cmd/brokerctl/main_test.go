package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	t.Cleanup(cancel)
	bin := t.TempDir()
	build(ctx, t, bin)
	address := startBrokerd(ctx, t, filepath.Join(bin, "brokerd"), []string{"--dev", "--data", t.TempDir(), "--listen", "localhost:0"}, func(string) {})
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
