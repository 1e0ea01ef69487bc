//go:build jvm

package conformance

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	clusterID    = "4L6g3nShT-eMCtK--X86sw"
	startTimeout = 2 * time.Minute
)

// single is one node of either broker, both broker and controller.
type single struct {
	dir     string // holds its properties, data and log
	address string
	cmd     *exec.Cmd
}

// singleProperties are what both brokers are given, so that their defaults meet.
func singleProperties(dir string, broker, controller int) map[string]string {
	return map[string]string{
		"process.roles": "broker,controller", "node.id": "1",
		"controller.quorum.voters":         fmt.Sprintf("1@127.0.0.1:%d", controller),
		"listeners":                        fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", broker, controller),
		"controller.listener.names":        "CONTROLLER",
		"log.dirs":                         filepath.Join(dir, "data"),
		"offsets.topic.replication.factor": "1", "offsets.topic.num.partitions": "4",
		"group.initial.rebalance.delay.ms": "0",
		"log.cleaner.backoff.ms":           "100",
	}
}

// freePorts are two ports on which nobody listens.
func freePorts(t *testing.T) (int, int) {
	t.Helper()
	var ports [2]int
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports[0], ports[1]
}

// startKafka boots Apache Kafka in dir, which it formats if that is new.
func startKafka(t *testing.T, dir string) *single {
	t.Helper()
	broker, controller := freePorts(t)
	properties := singleProperties(dir, broker, controller)
	maps.Copy(properties, map[string]string{
		"transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1",
		"share.coordinator.state.topic.replication.factor": "1", "share.coordinator.state.topic.min.isr": "1",
		"log.cleaner.dedupe.buffer.size": "4194304", // 128 MiB would be a quarter of its memory
	})
	file := writeProperties(t, dir, properties)
	if _, err := os.Stat(filepath.Join(dir, "data", "meta.properties")); err != nil {
		ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
		defer cancel()
		if out, err := java(ctx, t, "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", file).CombinedOutput(); err != nil {
			t.Fatalf("format %s: %v\n%s", dir, err, out)
		}
	}
	return startSingle(t, dir, broker, java(context.WithoutCancel(t.Context()), t, "kafka.Kafka", file))
}

// startBrokerd boots brokerd in dir with the same properties.
func startBrokerd(t *testing.T, dir string) *single {
	t.Helper()
	broker, controller := freePorts(t)
	file := writeProperties(t, dir, singleProperties(dir, broker, controller))
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), brokerd, "--config", file, "--cluster-id", clusterID)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	return startSingle(t, dir, broker, cmd)
}

func writeProperties(t *testing.T, dir string, properties map[string]string) string {
	t.Helper()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		fmt.Fprintf(&text, "%s=%s\n", name, properties[name])
	}
	file := filepath.Join(dir, "server.properties")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// startSingle runs a node until it is killed or the test ends, and waits until it serves.
func startSingle(t *testing.T, dir string, port int, cmd *exec.Cmd) *single {
	t.Helper()
	s := &single{dir: dir, address: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), cmd: cmd}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			s.showLog(t)
		}
	})
	if err := eventually(startTimeout, s.serves); err != nil {
		t.Fatalf("%s does not serve: %v", cmd.Args[0], err)
	}
	return s
}

// eventually tries until it succeeds or the time is over: neither broker tells when
// it has come so far. The error is that of the last try.
func eventually(limit time.Duration, try func() error) error {
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(limit); ; <-poll.C {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v: %w", limit, err)
		}
	}
}

// serves asks for metadata until the node knows itself as broker and controller.
func (s *single) serves() error {
	conn, err := dial(s.address)
	if err != nil {
		return err
	}
	defer conn.close()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 9
	req.Topics = []kmsg.MetadataRequestTopic{}
	resp, err := conn.exchange(req)
	if err != nil {
		return err
	}
	if m := resp.(*kmsg.MetadataResponse); len(m.Brokers) != 1 || m.ControllerID != 1 {
		return fmt.Errorf("%d brokers, controller %d", len(m.Brokers), m.ControllerID)
	}
	return nil
}

// kill ends the node as kill -9 does, with everything as it happens to be.
func (s *single) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

// stop asks for a controlled shutdown.
func (s *single) stop(t *testing.T) {
	t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil && s.cmd.ProcessState.ExitCode() != 143 { // how Java ends by SIGTERM
		t.Fatalf("%s: %v", s.cmd.Args[0], err)
	}
}

func (s *single) showLog(t *testing.T) {
	t.Helper()
	file, err := os.Open(filepath.Join(s.dir, "log"))
	if err != nil {
		return
	}
	defer file.Close()
	const most = 8 << 10
	if info, err := file.Stat(); err == nil && info.Size() > most {
		_, _ = file.Seek(-most, io.SeekEnd)
	}
	text, _ := io.ReadAll(file)
	t.Logf("the end of %s:\n%s", file.Name(), text)
}
