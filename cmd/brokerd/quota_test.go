package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A node whose data directory is full halts, as Kafka does, and serves again what
// it has acknowledged once there is room; SIGHUP changes the bound of a node that
// runs.
func TestAFullDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "server.properties")
	configure := func(bytesMax int) {
		t.Helper()
		text := fmt.Sprintf("node.id=1\nprocess.roles=broker,controller\nlisteners=PLAINTEXT://localhost:0,CONTROLLER://localhost:0\n"+
			"log.dirs=%s\noffsets.topic.replication.factor=1\nbroker.session.timeout.ms=2000\nbroker.heartbeat.interval.ms=500\nwindtunnel.log.dirs.max.bytes=%d\n", filepath.Join(dir, "data"), bytesMax)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	configure(1 << 30)
	p := run(t, "--config", file)
	c := &brokers{t: t, bootstrap: p.bootstrap}
	cl := c.client(kgo.DefaultProduceTopic("full"), kgo.AllowAutoTopicCreation(), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.DisableIdempotentWrite()) // or it would wait for a node that does not come back
	value := strings.Repeat("x", 10_000)
	running, end := context.WithCancel(t.Context())
	defer end()
	produce := func() error { return cl.ProduceSync(running, kgo.StringRecord(value)).FirstErr() }
	if err := produce(); err != nil {
		t.Fatal(err)
	}
	configure(300_000)
	p.signal(syscall.SIGHUP)
	p.awaitLog("settings have been read again")
	go func() {
		p.awaitEnd()
		end()
	}()
	acknowledged := 1
	for ; acknowledged < 100; acknowledged++ {
		if err := produce(); err != nil {
			break
		}
	}
	if acknowledged == 100 {
		t.Fatal("a directory of 300,000 bytes took a million")
	}
	<-running.Done()
	if status := p.cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(p.log.String(), "no space left on device") {
		t.Errorf("exit status %d, %s", status, p.log)
	}
	configure(0)
	c.bootstrap = run(t, "--config", file).bootstrap
	if got := c.everything("full", 1)[value]; got < acknowledged {
		t.Errorf("%d records of %d acknowledged ones are left", got, acknowledged)
	}
}
