package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// node is one member of a cluster that a test can kill.
type node struct {
	id      int
	pid     int
	dir     string
	process *process // set once the test itself has started it
}

// brokers is a cluster of processes, begun by dev-cluster.
type brokers struct {
	t          *testing.T
	supervisor *exec.Cmd // dev-cluster itself
	bootstrap  string
	nodes      []*node
	clusterID  string
}

func devCluster(t *testing.T, overrides ...string) *brokers {
	t.Helper()
	return devClusterIn(t, t.TempDir(), overrides...)
}

// devClusterIn starts the cluster that is in a directory, or a new one.
func devClusterIn(t *testing.T, dir string, overrides ...string) *brokers {
	t.Helper()
	args := []string{"dev-cluster", "--data", dir}
	for _, kv := range overrides {
		args = append(args, "--override", kv)
	}
	cmd := command(t, args...)
	// The test's context ends before its cleanup: killed then, it would leave nodes
	// behind that still write. The second signal, below, ends them at once.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	complaints := newOutput()
	cmd.Stderr = complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &brokers{t: t, supervisor: cmd}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			c.logs()
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		line := lines.Text()
		if address, ok := strings.CutPrefix(line, "bootstrap.servers="); ok {
			c.bootstrap = address
			go func() { _, _ = io.Copy(io.Discard, out) }()
			break
		}
		n := &node{}
		var zone, address string
		if _, err := fmt.Sscanf(line, "node-%d zone %s %s pid %d %s", &n.id, &zone, &address, &n.pid, &n.dir); err != nil {
			t.Fatalf("dev-cluster said %q: %v", line, err)
		}
		c.nodes = append(c.nodes, n)
	}
	if c.bootstrap == "" {
		t.Fatalf("dev-cluster ended: %s", complaints)
	}
	c.clusterID = strings.TrimSpace(readFile(t, filepath.Join(dir, "cluster.id")))
	return c
}

func (c *brokers) logs() {
	for _, n := range c.nodes {
		text := readFile(c.t, filepath.Join(n.dir, "log"))
		if n.process != nil {
			text += n.process.log.String()
		}
		c.t.Logf("log of node %d:\n%s", n.id, text[max(0, len(text)-20_000):])
	}
}

// kill ends a node as kill -9 does.
func (c *brokers) kill(n *node) {
	c.t.Helper()
	if n.process != nil {
		n.process.end(syscall.SIGKILL)
		return
	}
	if err := syscall.Kill(n.pid, syscall.SIGKILL); err != nil {
		c.t.Fatalf("kill node %d: %v", n.id, err)
	}
	// It is dev-cluster's child, which waits for it. The lock tells when it is
	// gone: the next process would not get it before.
}

// restart starts a node that was killed, and tells how long it took until the
// cluster took it for alive.
func (c *brokers) restart(n *node) time.Duration {
	c.t.Helper()
	begun := time.Now()
	n.process = run(c.t, "--config", filepath.Join(n.dir, "server.properties"), "--cluster-id", c.clusterID)
	return time.Since(begun)
}

func (c *brokers) client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	opts = append([]kgo.Opt{kgo.SeedBrokers(strings.Split(c.bootstrap, ",")...)}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

func (c *brokers) createTopic(cl *kgo.Client, name string, partitions int32, config ...string) {
	c.t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, -1
	for i := 0; i < len(config); i += 2 {
		override := kmsg.NewCreateTopicsRequestTopicConfig()
		override.Name, override.Value = config[i], kmsg.StringPtr(config[i+1])
		topic.Configs = append(topic.Configs, override)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(c.t.Context(), cl)
	if err != nil || resp.Topics[0].ErrorCode != 0 {
		c.t.Fatalf("create %s: %v, %+v", name, err, resp)
	}
}

// awaitInSync waits until every replica of a topic is in sync.
func (c *brokers) awaitInSync(cl *kgo.Client, topic string) {
	c.t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	limit, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for {
		req := kmsg.NewPtrMetadataRequest()
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
		resp, err := req.RequestWith(limit, cl)
		if limit.Err() != nil {
			c.t.Fatalf("%s is not in sync after a minute: %v %+v", topic, err, resp)
		}
		if err == nil && inSync(resp) {
			return
		}
		<-poll.C
	}
}

func inSync(resp *kmsg.MetadataResponse) bool {
	for _, t := range resp.Topics {
		if t.ErrorCode != 0 || len(t.Partitions) == 0 {
			return false
		}
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || len(p.ISR) != len(p.Replicas) {
				return false
			}
		}
	}
	return true
}

// ends returns the end offsets of a topic, as a consumer sees them.
func (c *brokers) ends(cl *kgo.Client, topic string, partitions int32) map[int32]int64 {
	c.t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		out, err := askEnds(c.t.Context(), cl, topic, partitions)
		// A node that was just killed still leads in the client's metadata, and a new
		// leader does not know at once where consumers may read to (KIP-207).
		if dial, code := (*net.OpError)(nil), (*kerr.Error)(nil); errors.As(err, &dial) || errors.As(err, &code) && code.Retriable {
			<-poll.C
			cl.ForceMetadataRefresh()
			continue
		}
		if err != nil {
			c.t.Fatal(err)
		}
		return out
	}
}

func askEnds(ctx context.Context, cl *kgo.Client, topic string, partitions int32) (map[int32]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for p := range partitions {
		q := kmsg.NewListOffsetsRequestTopicPartition()
		q.Partition, q.Timestamp = p, -1
		t.Partitions = append(t.Partitions, q)
	}
	req.Topics = append(req.Topics, t)
	out := make(map[int32]int64)
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, rt := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return nil, fmt.Errorf("end of %s/%d: %w", topic, rp.Partition, err)
				}
				out[rp.Partition] = rp.Offset
			}
		}
	}
	return out, nil
}

// everything reads a topic from its beginning to its present end, and counts
// how often each value is there.
func (c *brokers) everything(topic string, partitions int32) map[string]int {
	c.t.Helper()
	cl := c.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends := c.ends(cl, topic, partitions)
	left := 0
	for _, end := range ends {
		if end > 0 {
			left++
		}
	}
	count := make(map[string]int)
	for left > 0 {
		fetches := cl.PollFetches(c.t.Context())
		if err := c.t.Context().Err(); err != nil {
			c.t.Fatal(err)
		}
		fetches.EachError(func(topic string, p int32, err error) {
			// A node that was just killed still leads in the client's metadata; it tells
			// of the refused connection and asks others.
			if dial := (*net.OpError)(nil); errors.As(err, &dial) {
				return
			}
			c.t.Fatalf("read %s/%d: %v", topic, p, err)
		})
		fetches.EachRecord(func(r *kgo.Record) {
			count[string(r.Value)]++
			if r.Offset == ends[r.Partition]-1 {
				left--
			}
		})
	}
	return count
}

func numbered(i int) []byte { return strconv.AppendInt(nil, int64(i), 10) }

// A last node has nobody to agree to its controlled shutdown, for which it would
// wait five minutes.
func TestDevClusterStopsWithoutQuorum(t *testing.T) {
	t.Parallel()
	c := devCluster(t)
	c.kill(c.nodes[0])
	c.kill(c.nodes[1])
	if err := c.supervisor.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	tooLong := time.AfterFunc(2*time.Minute, func() { _ = c.supervisor.Process.Kill() })
	defer tooLong.Stop()
	if err := c.supervisor.Wait(); err != nil {
		t.Errorf("dev-cluster did not end by itself: %v", err)
	}
}
