// Package conformance lets clients that others wrote work against real brokerd
// processes. It is a module of its own, so that their dependencies stay out of
// the broker's.
package conformance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var brokerd string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "conformance")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		brokerd = filepath.Join(dir, "brokerd")
		build := exec.Command("go", "build", "-o", brokerd, "./cmd/brokerd")
		build.Dir, build.Stderr = "..", os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build brokerd:", err)
			return 1
		}
		return m.Run()
	}())
}

// cluster is three brokers in processes of their own.
type cluster struct {
	dir       string // holds node-1/data and so on
	bootstrap []string
	pids      []int
}

// runBrokerd runs brokerd until the test ends, and returns what it prints.
func runBrokerd(t *testing.T, args ...string) io.Reader {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), brokerd, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	return out
}

// startCluster runs brokerd dev-cluster, which starts killed nodes again.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir()}
	out := runBrokerd(t, "dev-cluster", "--restart", "--data", c.dir)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if list, ok := strings.CutPrefix(lines.Text(), "bootstrap.servers="); ok {
			c.bootstrap = strings.Split(list, ",")
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return c
		}
		var id, pid int
		var zone, address, dir string
		if _, err := fmt.Sscanf(lines.Text(), "node-%d zone %s %s pid %d %s", &id, &zone, &address, &pid, &dir); err != nil {
			t.Fatalf("dev-cluster said %q: %v", lines.Text(), err)
		}
		c.pids = append(c.pids, pid)
	}
	t.Fatal("dev-cluster did not come up")
	return nil
}

// kill ends a broker as kill -9 does; dev-cluster starts it again.
func (c *cluster) kill(t *testing.T, index int) {
	t.Helper()
	if err := syscall.Kill(c.pids[index], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

const (
	topic      = "conformance"
	records    = 20_000
	partitions = 6
)

// library is a client that others wrote, as far as the test needs it.
type library struct {
	create  func(ctx context.Context, bootstrap []string) error
	produce func(ctx context.Context, bootstrap []string, values <-chan string, acked func(string)) error
	// consume reads in a group until every value has been seen.
	consume func(ctx context.Context, bootstrap []string, seen func(string) (all bool)) error
}

// testLibrary: a library produces with acks=all while a broker is killed, and
// then reads every record in a group, while another one is.
func testLibrary(t *testing.T, l library) {
	t.Helper()
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := l.create(ctx, c.bootstrap); err != nil {
		t.Fatalf("create the topic: %v", err)
	}
	values := make(chan string)
	go func() {
		defer close(values)
		for i := range records {
			if i == records/2 {
				c.kill(t, 0)
			}
			select {
			case values <- fmt.Sprintf("record %d", i):
			case <-ctx.Done():
				return
			}
		}
	}()
	acked := make(map[string]bool)
	if err := l.produce(ctx, c.bootstrap, values, func(v string) { acked[v] = true }); err != nil {
		t.Fatalf("produce: %v", err)
	}
	if len(acked) != records {
		t.Fatalf("%d of %d records were acknowledged", len(acked), records)
	}
	seen := make(map[string]bool)
	killed := false
	err := l.consume(ctx, c.bootstrap, func(v string) bool {
		seen[v] = true
		delete(acked, v)
		if len(seen) > records/2 && !killed {
			killed = true
			c.kill(t, 1)
		}
		return len(acked) == 0
	})
	if err != nil {
		t.Fatalf("consume: %v; %d records have not been read", err, len(acked))
	}
}
