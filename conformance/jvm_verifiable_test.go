//go:build jvm

package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// verifiableEvent is what the programs print of which Kafka's system tests judge.
type verifiableEvent struct {
	Name      string          `json:"name"`
	Value     string          `json:"value"`
	Offset    json.RawMessage `json:"offset"` // a number, or null before it is known
	Topic     string          `json:"topic"`
	Partition int             `json:"partition"`
	Message   string          `json:"message"`
}

type position struct {
	partition int
	offset    string
}

// verifiable starts VerifiableProducer or VerifiableConsumer and hands each event
// to see until that returns false or the program ends.
func (c *cluster) verifiable(t *testing.T, class string, see func(verifiableEvent) bool, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
	defer cancel()
	cmd := java(ctx, t, tools+class, append([]string{"--bootstrap-server", strings.Join(c.bootstrap, ","), "--topic", "verifiable"}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	more, started := true, time.Now()
	last, silence := started, time.Duration(0)
	for lines := bufio.NewScanner(out); more && lines.Scan(); {
		var e verifiableEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			continue // a few events have fields of other types, and none of ours
		}
		more = see(e)
		silence, last = max(silence, time.Since(last)), time.Now()
	}
	t.Logf("%s took %v, with %v between two events", class, last.Sub(started).Round(time.Millisecond), silence.Round(time.Millisecond))
	if ctx.Err() != nil {
		t.Errorf("%s was not done after %v", class, toolTimeout)
	}
	cancel()
	_ = cmd.Wait() // it has been killed, or its events say what it did
}

// Java's idempotent producer and a group of Java's consumer while a broker is
// killed under each: what was acknowledged is where it was acknowledged to be,
// and nowhere else.
func TestVerifiable(t *testing.T) {
	c := startCluster(t)
	const count = 20_000
	c.tool(t, "", "TopicCommand", "--create", "--topic", "verifiable", "--partitions", "6", "--replication-factor", "3")
	// The program sets retries=0, with which it would give up at the first kill.
	config := filepath.Join(t.TempDir(), "producer.properties")
	if err := os.WriteFile(config, []byte("enable.idempotence=true\nretries=2147483647\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	acked := make(map[string]position)
	c.verifiable(t, "VerifiableProducer", func(e verifiableEvent) bool {
		switch e.Name {
		case "producer_send_success":
			acked[e.Value] = position{e.Partition, string(e.Offset)}
			if len(acked) == count/2 {
				c.kill(t, 0)
			}
		case "producer_send_error":
			t.Errorf("record %s: %s", e.Value, e.Message)
		}
		return true
	}, "--max-messages", strconv.Itoa(count), "--throughput", "4000", "--acks", "-1", "--command-config", config)
	if len(acked) != count {
		t.Fatalf("%d of %d records were acknowledged", len(acked), count)
	}

	// A group may see a record again after a kill, but at the same position.
	seen := make(map[string]position)
	c.verifiable(t, "VerifiableConsumer", func(e verifiableEvent) bool {
		if e.Name != "record_data" {
			return true
		}
		at := position{e.Partition, string(e.Offset)}
		if before, ok := seen[e.Value]; ok && before != at {
			t.Errorf("record %s is both at %v and at %v", e.Value, before, at)
		}
		if _, ok := seen[e.Value]; !ok && len(seen) == count/2 {
			c.kill(t, 1)
		}
		seen[e.Value] = at
		return len(seen) < count
	}, "--group-id", "verifiable", "--reset-policy", "earliest", "--enable-autocommit", "--verbose")
	for value, at := range acked {
		if seen[value] != at {
			t.Errorf("record %s was acknowledged at %v and read at %v", value, at, seen[value])
		}
	}
	// With nothing twice, the ends of the logs add up to the number of records.
	total := 0
	for line := range strings.Lines(c.tool(t, "", "GetOffsetShell", "--topic", "verifiable")) {
		end, err := strconv.Atoi(strings.TrimSpace(line[strings.LastIndex(line, ":")+1:]))
		if err != nil {
			t.Fatalf("GetOffsetShell printed %q: %v", line, err)
		}
		total += end
	}
	if total != count {
		t.Errorf("the logs hold %d records, %d were produced", total, count)
	}
}
