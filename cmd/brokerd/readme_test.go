package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// readmeMax is what README promises: a record produced and consumed with TLS.
const readmeMax = 5 * time.Minute

// Goal: a newcomer who pastes README's block gets what it says. Method: it is
// run as it stands, in a shell, in a directory that is like a clone, but for
// the port, which may be taken here.
func TestReadmeWithTLS(t *testing.T) {
	needs(t, "openssl")
	block := readmeBlock(t, "go build -o bin/ ./cmd/brokerd ./cmd/brokerctl")
	address := freeAddress(t)
	ctx, cancel := context.WithTimeout(t.Context(), readmeMax)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-e", "-c", strings.ReplaceAll(block, "localhost:9092", address))
	shell.Dir = clone(t)
	shell.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "WINDTUNNEL_") || strings.HasPrefix(kv, "BROKERCTL_")
	})
	shell.Env = append(shell.Env, "BROKERCTL_BROKERS="+address, "XDG_CONFIG_HOME="+t.TempDir())
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	shell.Cancel = func() error { return syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) }
	complaints := newOutput()
	shell.Stderr = complaints
	out, err := shell.Output()
	if err != nil {
		_ = shell.Cancel() // brokerd may run still
		t.Fatalf("%v\n%s\n%s", err, out, complaints)
	}
	want := `bootstrap.servers=` + address + `
greetings: created with 1 partition and 1 replica
greetings 0 0
greetings 0 0 5 hello
`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("README's block prints otherwise: %s\n%s", diff, complaints)
	}
}

// readmeBlock is the block of README that begins with a line.
func readmeBlock(t *testing.T, begin string) string {
	t.Helper()
	_, rest, found := strings.Cut(readFile(t, filepath.Join("..", "..", "README.md")), "```sh\n"+begin)
	block, _, ends := strings.Cut(rest, "```")
	if !found || !ends {
		t.Fatalf("README has no block that begins with %s", begin)
	}
	return begin + block
}

// clone is a directory with what a clone has.
func clone(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, e := range entries {
		if name := e.Name(); !strings.HasPrefix(name, ".") && name != "bin" && name != "data" {
			if err := os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func freeAddress(t *testing.T) string {
	t.Helper()
	socket, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }() // brokerd binds it next
	_, port, _ := strings.Cut(socket.Addr().String(), ":")
	return "localhost:" + port
}
