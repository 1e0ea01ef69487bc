package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Real processes and real clients: what a user starts is started, and what a
// user's client reads is compared with what it wrote.

var brokerd string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "brokerd")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }()
		brokerd = filepath.Join(dir, "brokerd")
		build := exec.Command("go", "build", "-o", brokerd, ".")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build brokerd:", err)
			return 1
		}
		return m.Run()
	}())
}

// process is a running brokerd.
type process struct {
	t         *testing.T
	cmd       *exec.Cmd
	bootstrap string
	admin     string // address of metrics and health, if there are any
	log       *output
	ended     bool
}

// output is what a process writes, while it runs.
type output struct {
	mu   sync.Mutex
	more sync.Cond
	text bytes.Buffer
}

func newOutput() *output {
	o := &output{}
	o.more.L = &o.mu
	return o
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.more.Broadcast()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// awaitLog waits until the process has logged something.
func (p *process) awaitLog(text string) {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	for !bytes.Contains(p.log.text.Bytes(), []byte(text)) {
		p.log.more.Wait()
	}
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// command is brokerd without what the tester's own environment sets.
func command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), brokerd, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "WINDTUNNEL_") })
	return cmd
}

// fails runs brokerd with arguments that it is to refuse.
func fails(t *testing.T, args ...string) (status int, complaint string) {
	t.Helper()
	cmd := command(t, args...)
	var text bytes.Buffer
	cmd.Stderr = &text
	if err := cmd.Run(); err == nil {
		t.Fatalf("brokerd %s succeeded", strings.Join(args, " "))
	}
	return cmd.ProcessState.ExitCode(), text.String()
}

// run starts brokerd and waits until it says where it listens.
func run(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, command(t, args...))
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, log: newOutput()}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.end(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("log of %s:\n%s", cmd, p.log)
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "admin.listener="); ok {
			p.admin = address
		}
		if address, ok := strings.CutPrefix(lines.Text(), "bootstrap.servers="); ok {
			p.bootstrap = address
			go func() { _, _ = io.Copy(io.Discard, out) }() // nothing more is expected
			return p
		}
	}
	p.end(syscall.SIGKILL)
	t.Fatalf("%s ended: %s", cmd, p.log)
	return nil
}

// awaitEnd waits for a process that ends by itself.
func (p *process) awaitEnd() {
	p.ended = true
	_ = p.cmd.Wait() // the status is asked for by the caller
}

// end sends a signal and waits for the process; its exit status is the result.
func (p *process) end(signal syscall.Signal) int {
	if !p.ended {
		p.ended = true
		_ = p.cmd.Process.Signal(signal) // it may have ended by itself
		_ = p.cmd.Wait()                 // the status is asked for below
	}
	return p.cmd.ProcessState.ExitCode()
}

// needs skips a test for which a Debian package is missing; CI has them all.
func needs(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err == nil {
		return
	}
	text := tool + " is missing: apt-get install " + tool
	if os.Getenv("CI") != "" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// kcat runs librdkafka's tool, which is a Debian package.
func kcat(t *testing.T, input string, args ...string) string {
	t.Helper()
	out, err := tryKcat(t, input, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func tryKcat(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	needs(t, "kcat")
	cmd := exec.CommandContext(t.Context(), "kcat", args...)
	cmd.Stdin = strings.NewReader(input)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kcat %s: %w\n%s", strings.Join(args, " "), err, &complaints)
	}
	return out.String(), nil
}

func TestDevServesKcat(t *testing.T) {
	dir := t.TempDir()
	var text strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&text, "record %d\n", i)
	}
	args := []string{"--dev", "--data", dir, "--listen", "localhost:0"}
	p := run(t, args...)
	kcat(t, text.String(), "-b", p.bootstrap, "-P", "-t", "letters", "-z", "snappy", "-X", "enable.idempotence=true")
	read := func(where string) {
		t.Helper()
		got := kcat(t, "", "-b", p.bootstrap, "-C", "-t", "letters", "-e", "-q")
		if diff := cmp.Diff(text.String(), got); diff != "" {
			t.Errorf("%s: %s", where, diff)
		}
	}
	read("at once")
	got := kcat(t, "", "-b", p.bootstrap, "-q", "-c", "20000", "-X", "auto.offset.reset=earliest", "-G", "readers", "letters")
	if diff := cmp.Diff(text.String(), got); diff != "" {
		t.Errorf("in a group: %s", diff)
	}
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("exit status %d after SIGTERM", status)
	}
	p = run(t, args...)
	read("after a restart")
	p.end(syscall.SIGKILL)
	p = run(t, args...)
	read("after a kill")
}
