package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
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

func cluster(t *testing.T, brokers int) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func broker(t *testing.T) string {
	t.Helper()
	return cluster(t, 1).ListenAddrs()[0]
}

func TestAPI(t *testing.T) {
	t.Parallel()
	if out, err := run(t, broker(t), "testdata/api.js"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSmoke(t *testing.T) {
	t.Parallel()
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

// longScripts are those that run for minutes or hours, as short as they can be, and
// how many records they then write.
var longScripts = []struct {
	name, acknowledged string
	env                []string
}{
	{"ramp.js", "600 acknowledged, 600 read, 0 failed", []string{"K6_RATES=100,200", "K6_STEP_SECONDS=2"}},
	{"soak.js", "1000 acknowledged, 1000 read, 0 failed", []string{"K6_RATE=100", "K6_SECONDS=9"}},
	{"zone-failure.js", "200 acknowledged, 200 read, 0 failed", []string{"K6_RATE=100", "K6_SECONDS=2", "K6_REPLICATION_FACTOR=3"}},
}

func TestLongScripts(t *testing.T) {
	for _, script := range longScripts {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			brokers := strings.Join(cluster(t, 3).ListenAddrs(), ",")
			out, err := run(t, brokers, script.name, append(script.env, "K6_QUIET_SECONDS=5")...)
			if err != nil || !strings.Contains(out, script.acknowledged) {
				t.Errorf("want %q: %v\n%s", script.acknowledged, err, out)
			}
		})
	}
}

// A script whose records are not acknowledged ends with k6's status for a threshold
// that was crossed.
func TestLongScriptsFail(t *testing.T) {
	for _, script := range longScripts {
		t.Run(script.name, func(t *testing.T) {
			t.Parallel()
			c := cluster(t, 3)
			c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				return refuse(req.(*kmsg.ProduceRequest)), nil, true
			})
			out, err := run(t, strings.Join(c.ListenAddrs(), ","), script.name, append(script.env, "K6_QUIET_SECONDS=5")...)
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != crossedThresholds || !strings.Contains(out, "✗ checks rate==1.0") {
				t.Errorf("want status %d: %v\n%s", crossedThresholds, err, out)
			}
		})
	}
}

// crossedThresholds is the status with which k6 ends when a threshold was crossed.
const crossedThresholds = 99

func refuse(req *kmsg.ProduceRequest) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	for _, topic := range req.Topics {
		answered := kmsg.NewProduceResponseTopic()
		answered.Topic, answered.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			partition := kmsg.NewProduceResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
			answered.Partitions = append(answered.Partitions, partition)
		}
		resp.Topics = append(resp.Topics, answered)
	}
	return resp
}

// A missing broker is told in seconds, with its address.
func TestMissingBroker(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	out, err := run(t, "127.0.0.1:1", "smoke.js", "K6_SECONDS=2")
	if err == nil || !strings.Contains(out, "no broker answers at 127.0.0.1:1 within 5s") {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("failed after %v", time.Since(begin).Round(time.Second))
}
