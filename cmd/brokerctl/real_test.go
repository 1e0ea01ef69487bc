package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/cmd/internal/trial"
)

// Goal: what brokerctl does to a cluster of brokerd processes is what it says.
// Method: transcripts of a shell. Moves that must not end by themselves are
// aimed at a broker that stands still.

// transcriptMax bounds a transcript that hangs.
const transcriptMax = 4 * time.Minute

func TestAgainstBrokerd(t *testing.T) {
	bin := t.TempDir()
	build(t.Context(), t, bin)
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		ctx, cancel := context.WithTimeout(t.Context(), transcriptMax)
		t.Cleanup(cancel)
		w := &workbench{t: t, ctx: ctx, bin: bin, dir: t.TempDir(), pids: map[string]int{}, authority: trial.NewAuthority(t, "authority"), issuer: trial.NewIssuer(t)}
		datadriven.RunTest(t, path, w.run)
	})
}

// workbench is a shell with brokers behind it.
type workbench struct {
	t         *testing.T
	ctx       context.Context
	bin, dir  string
	variables []string
	pids      map[string]int // of the nodes of dev-cluster, by id
	authority *trial.Authority
	issuer    *trial.Issuer
}

func (w *workbench) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "brokerd": // a node with a property a line
		args := []string{"--dev", "--data", filepath.Join(w.dir, "data")}
		files := strings.NewReplacer("$CA", w.authority.Trusted(), "$NODE", w.authority.Issue("node.pem", "node"), "$JWKS", w.issuer.Keys())
		for line := range strings.Lines(d.Input) {
			args = append(args, "--override", files.Replace(strings.TrimSpace(line)))
		}
		w.start(args)
	case "dev-cluster": // of which brokerctl knows without being told
		args := []string{"dev-cluster", "--data", filepath.Join(w.dir, "cluster")}
		for _, arg := range d.CmdArgs {
			args = append(args, "--"+arg.Key, arg.Vals[0])
		}
		w.variables = append(w.variables, "BROKERCTL_BROKERS="+w.start(args))
	case "pause":
		w.signal(d.CmdArgs[0].Key, syscall.SIGSTOP)
	case "resume":
		w.signal(d.CmdArgs[0].Key, syscall.SIGCONT)
	case "file":
		if err := os.WriteFile(filepath.Join(w.dir, d.CmdArgs[0].Key), []byte(d.Input+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	case "token": // of a subject, written into a file of its name
		subject := d.CmdArgs[0].Key
		if err := os.WriteFile(filepath.Join(w.dir, subject+".token"), []byte(w.issuer.Token(subject, "kafka", time.Hour)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	case "certificate": // of a subject, written into a file of its name
		w.authority.Issue(d.CmdArgs[0].Key+".pem", d.CmdArgs[0].Key)
	case "sh":
		return w.shell(d.Input)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	return ""
}

var nodeLine = regexp.MustCompile(`^node-(\d+) .* pid (\d+) `)

// start runs brokerd until the transcript ends, and waits until it serves.
func (w *workbench) start(args []string) (addresses string) {
	w.t.Helper()
	addresses = startBrokerd(w.ctx, w.t, filepath.Join(w.bin, "brokerd"), args, func(line string) {
		if found := nodeLine.FindStringSubmatch(line); found != nil {
			w.pids[found[1]], _ = strconv.Atoi(found[2]) // digits, by the pattern
		}
	})
	w.variables = []string{"CERTS=" + w.authority.Dir}
	for i, address := range strings.Split(addresses, ",") {
		w.variables = append(w.variables, fmt.Sprintf("ADDRESS_%d=%s", i+1, address))
	}
	return addresses
}

func (w *workbench) signal(node string, s syscall.Signal) {
	w.t.Helper()
	if err := syscall.Kill(w.pids[node], s); err != nil {
		w.t.Fatalf("%s to node %s: %v", s, node, err)
	}
	if s == syscall.SIGSTOP {
		w.t.Cleanup(func() { _ = syscall.Kill(w.pids[node], syscall.SIGCONT) }) // or it could not end
	}
}

// shell runs a command in the workbench's directory. Its status is said when it
// is not 0.
func (w *workbench) shell(line string) string {
	cmd := exec.CommandContext(w.ctx, "sh", "-c", line)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "PATH="+w.bin+":"+os.Getenv("PATH"), "XDG_CONFIG_HOME="+w.dir)
	cmd.Env = append(cmd.Env, w.variables...)
	out, err := cmd.CombinedOutput()
	text := string(out)
	var status *exec.ExitError
	switch {
	case errors.As(err, &status):
		text += fmt.Sprintf("[exit %d]\n", status.ExitCode())
	case err != nil:
		w.t.Fatalf("%s: %v", line, err)
	}
	return port.ReplaceAllString(text, "localhost:PORT")
}

var port = regexp.MustCompile(`localhost:\d+`)

// build makes both programs.
func build(ctx context.Context, t *testing.T, bin string) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, ".", "../brokerd")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// startBrokerd runs brokerd until the test ends and returns its addresses. Lines
// that it prints before are handed to said.
func startBrokerd(ctx context.Context, t *testing.T, path string, args []string, said func(line string)) string {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	// The test's context ends before its cleanup: killed then, dev-cluster would
	// leave nodes behind that still write. The second signal, below, ends them at once.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stderr = log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		_ = cmd.Wait()                          // the status of what was told to end says nothing
		if text, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("log of brokerd:\n%s", text)
		}
		_ = log.Close()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "bootstrap.servers="); ok {
			return address
		}
		said(lines.Text())
	}
	t.Fatal("brokerd ended before it listened")
	return ""
}
