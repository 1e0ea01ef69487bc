package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/twmb/franz-go/pkg/kgo"
)

// importer is two nodes, one with records and one to import them into.
type importer struct {
	t          *testing.T
	from, into string // data directories
}

const importedTopic = "orders"

func newImporter(t *testing.T) *importer {
	return &importer{t: t, from: filepath.Join(t.TempDir(), "data"), into: filepath.Join(t.TempDir(), "data")}
}

func (i *importer) start(data string) (*process, *brokers) {
	i.t.Helper()
	p := run(i.t, "--dev", "--data", data, "--listen", "localhost:0")
	return p, &brokers{t: i.t, bootstrap: p.bootstrap}
}

// fill writes numbers from an idempotent producer.
func (i *importer) fill(c *brokers, from, to int) {
	i.t.Helper()
	cl := c.client(kgo.DefaultProduceTopic(importedTopic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	var records []*kgo.Record
	for n := from; n < to; n++ {
		records = append(records, &kgo.Record{Value: numbered(n)})
	}
	if err := cl.ProduceSync(i.t.Context(), records...).FirstErr(); err != nil {
		i.t.Fatal(err)
	}
}

// empty starts the node to import into, creates the topic and stops the node.
func (i *importer) empty(partitions int32) {
	i.t.Helper()
	p, c := i.start(i.into)
	c.createTopic(c.client(), importedTopic, partitions)
	p.end(syscall.SIGTERM)
}

func (i *importer) command(topics ...string) []string {
	return append([]string{"import", "--from", i.from, "--into", i.into}, topics...)
}

func (i *importer) refused(want string, topics ...string) {
	i.t.Helper()
	if status, complaint := fails(i.t, i.command(topics...)...); status != 2 || !strings.Contains(complaint, want) {
		i.t.Errorf("exit status %d, %q; want 2 and %q", status, complaint, want)
	}
}

// What a killed node held is read where it has been imported; what comes after is
// written by a producer that is given the id of the one before.
func TestImport(t *testing.T) {
	t.Parallel()
	i := newImporter(t)
	p, c := i.start(i.from)
	c.createTopic(c.client(), importedTopic, 2, "segment.bytes", "1048576")
	i.fill(c, 0, 5000)
	want := c.everything(importedTopic, 2)
	i.refused("no such file or directory", importedTopic)
	i.empty(1)
	i.refused("another process uses it", importedTopic)
	p.end(syscall.SIGKILL)
	tear(t, i.from)

	i.refused("has no partition orders-1: start its node and create the topic with as many partitions", importedTopic)
	i.into = filepath.Join(t.TempDir(), "data")
	i.empty(2)
	i.refused("has no partition of topic payments", importedTopic, "payments")
	i.refused("__consumer_offsets is internal", "__consumer_offsets")
	out, err := command(t, i.command(importedTopic)...).CombinedOutput()
	if err != nil || strings.Count(string(out), "\norders-1 offsets 0 to ") != 1 || !strings.Contains(string(out), "the log of orders-0 ends at offset") {
		t.Fatalf("import: %v\n%s", err, out)
	}

	p, c = i.start(i.into)
	if diff := cmp.Diff(want, c.everything(importedTopic, 2)); diff != "" {
		t.Errorf("what was written (-) is not what was imported (+):\n%s", diff)
	}
	i.fill(c, 5000, 5100)
	p.end(syscall.SIGKILL)
	_, c = i.start(i.into)
	got := c.everything(importedTopic, 2)
	for n := range 5100 {
		if got[string(numbered(n))] != 1 {
			t.Fatalf("record %d is there %d times", n, got[string(numbered(n))])
		}
	}
}

// The same log imported into each replica is one log: all are in sync at once, and
// what is written then is replicated behind it.
func TestImportIntoReplicas(t *testing.T) {
	t.Parallel()
	i := newImporter(t)
	p, c := i.start(i.from)
	c.createTopic(c.client(), importedTopic, 2)
	i.fill(c, 0, 3000)
	p.end(syscall.SIGKILL)
	dir := t.TempDir()
	c = devClusterIn(t, dir)
	cl := c.client()
	c.createTopic(cl, importedTopic, 2)
	c.awaitInSync(cl, importedTopic)
	cl.Close()
	if err := c.supervisor.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.supervisor.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, n := range c.nodes {
		i.into = filepath.Join(n.dir, "data")
		if out, err := command(t, i.command(importedTopic)...).CombinedOutput(); err != nil {
			t.Fatalf("import into node %d: %v\n%s", n.id, err, out)
		}
	}
	c = devClusterIn(t, dir)
	c.awaitInSync(c.client(), importedTopic)
	i.fill(c, 3000, 3100)
	c.kill(c.nodes[0])
	got := c.everything(importedTopic, 2)
	for n := range 3100 {
		if got[string(numbered(n))] != 1 {
			t.Fatalf("record %d is there %d times", n, got[string(numbered(n))])
		}
	}
}

// What a node that was stopped in order holds is all there; if it is not, importing
// it would hide that. And what is there is not overwritten.
func TestImportRefusesDamage(t *testing.T) {
	i := newImporter(t)
	p, c := i.start(i.from)
	c.createTopic(c.client(), importedTopic, 1)
	i.fill(c, 0, 10)
	p.end(syscall.SIGTERM)
	i.empty(1)
	segment := filepath.Join(i.from, "orders-0", "00000000000000000000.log")
	whole, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte{}, whole...)
	damaged[len(damaged)-1] ^= 1
	for _, data := range [][]byte{damaged, whole} {
		if err := os.WriteFile(segment, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if &data[0] == &damaged[0] {
			i.refused("the log is damaged", importedTopic)
		} else if out, err := command(t, i.command(importedTopic)...).CombinedOutput(); err != nil {
			t.Fatalf("import: %v\n%s", err, out)
		}
	}
	i.refused("orders-0 is not empty", importedTopic)
}

// A node that was started on a directory of Apache Kafka would know none of its
// topics and take their logs for those of deleted ones.
func TestKafkasDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	err := errors.Join(os.Mkdir(filepath.Join(dir, "__cluster_metadata-0"), 0o755),
		os.WriteFile(filepath.Join(dir, "__cluster_metadata-0", "00000000000000000000.log"), nil, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	if status, complaint := fails(t, "--dev", "--data", dir, "--listen", "localhost:0"); status != 2 || !strings.Contains(complaint, "take topics over with brokerd import") {
		t.Errorf("exit status %d, %q", status, complaint)
	}
}

// tear leaves half a batch at the end of a log, as a kill does.
func tear(t *testing.T, data string) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(data, "orders-0", "*.log"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("%v, %v", segments, err)
	}
	path := segments[len(segments)-1]
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	end := 0 // what was preallocated behind it is not part of the log
	for rest := whole; len(rest) > 0; end = len(whole) - len(rest) {
		if _, rest, err = record.Next(rest); err != nil {
			break
		}
	}
	torn := append(whole[:end:end], whole[:min(100, end)]...)
	if err := os.WriteFile(path, torn, 0o644); err != nil {
		t.Fatal(err)
	}
}
