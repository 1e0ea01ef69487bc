package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Goal: the binary that users get does what the module promises.
// Method: it is built and run, with real scripts, against a broker over TCP.

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "k6-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "k6")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// timeLimit is how long a script may take before it counts as hanging.
const timeLimit = 2 * time.Minute

func run(t *testing.T, broker, script string, env ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "run", "--quiet", "--address", "127.0.0.1:0", script)
	cmd.Env = append(os.Environ(), "K6_BROKERS="+broker, "K6_NO_USAGE_REPORT=true", "K6_AUTO_EXTENSION_RESOLUTION=false")
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func broker(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

func TestAPI(t *testing.T) {
	if out, err := run(t, broker(t), "testdata/api.js"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	out, err := run(t, broker(t), "smoke.js", "K6_SECONDS=2", "K6_P99_MS=60000", "KAFKA_HLOG_DIR="+dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"produce", "end-to-end"} {
		f, err := os.Open(filepath.Join(dir, name+".hlog"))
		if err != nil {
			t.Fatal(err)
		}
		h, err := hdrhistogram.NewHistogramLogReader(f).NextIntervalHistogram()
		_ = f.Close()
		if err != nil || h == nil || h.TotalCount() < 2000 {
			t.Errorf("%s.hlog holds %v (%v); want 2000 latencies", name, h, err)
		}
	}
}

// A missing broker is told in seconds, with its address.
func TestMissingBroker(t *testing.T) {
	begin := time.Now()
	out, err := run(t, "127.0.0.1:1", "smoke.js", "K6_SECONDS=2")
	if err == nil || !strings.Contains(out, "no broker answers at 127.0.0.1:1 within 5s") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("failed after %v", time.Since(begin).Round(time.Second))
}
