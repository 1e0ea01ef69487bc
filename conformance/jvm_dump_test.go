//go:build jvm

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var codecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// DumpLogSegments, which knows only Kafka's formats, reads what each replica wrote.
func TestDumpLogSegments(t *testing.T) {
	c := startCluster(t)
	const perCodec = 8000
	c.tool(t, "", "TopicCommand", "--create", "--topic", "dump", "--partitions", "1", "--replication-factor", "3", "--config", "segment.bytes=1048576")
	for _, codec := range codecs {
		c.tool(t, "", "ProducerPerformance", "--topic", "dump", "--num-records", fmt.Sprint(perCodec), "--record-size", "100",
			"--throughput", "-1", "--command-property", "acks=all", "compression.type="+codec)
	}
	for node := 1; node <= len(c.pids); node++ {
		dir := filepath.Join(c.dir, fmt.Sprintf("node-%d", node), "data", "dump-0")
		t.Run(fmt.Sprintf("node %d", node), func(t *testing.T) {
			logs := tool(t, "", "DumpLogSegments", "--deep-iteration", "--files", files(t, dir, "log"))
			if n := strings.Count(logs, "\n|"); n != perCodec*len(codecs) {
				t.Errorf("the log holds %d records of %d", n, perCodec*len(codecs))
			}
			for _, codec := range codecs {
				if !strings.Contains(logs, "compresscodec: "+codec+" ") {
					t.Errorf("no batch is compressed with %s", codec)
				}
			}
			complain(t, logs)
			indexes := files(t, dir, "index") + "," + files(t, dir, "timeindex")
			sane := tool(t, "", "DumpLogSegments", "--index-sanity-check", "--files", indexes)
			if n, want := strings.Count(sane, "passed sanity check."), strings.Count(indexes, ",")+1; n != want {
				t.Errorf("%d of %d indexes passed:\n%s", n, want, sane)
			}
			// Without the flag each entry is looked up in the log.
			complain(t, tool(t, "", "DumpLogSegments", "--files", indexes))
			snapshots := tool(t, "", "DumpLogSegments", "--files", files(t, dir, "snapshot"))
			if !regexp.MustCompile(`(?m)^producerId: \d+ producerEpoch: 0 .* lastSequence: 7999 `).MatchString(snapshots) {
				t.Errorf("no snapshot knows the last sequence of a producer:\n%s", snapshots)
			}
			complain(t, snapshots)
			checkpoint, err := os.ReadFile(filepath.Join(dir, "leader-epoch-checkpoint"))
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(`\A0\n1\n\d+ 0\n\z`).Match(checkpoint) {
				t.Errorf("leader-epoch-checkpoint is not version 0, one entry, an epoch from offset 0 on:\n%s", checkpoint)
			}
		})
	}
}

// files lists the files of a kind as DumpLogSegments takes them.
func files(t *testing.T, dir, extension string) string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*."+extension))
	if err != nil || len(list) == 0 {
		t.Fatalf("%s has no .%s (%v)", dir, extension, err)
	}
	return strings.Join(list, ",")
}

// complain fails the test with what DumpLogSegments found wrong.
func complain(t *testing.T, out string) {
	t.Helper()
	wrong := regexp.MustCompile(`(?i)isvalid: false|mismatch|not found|invalid|corrupt|out of order|non-consecutive|failed`)
	for line := range strings.Lines(out) {
		if wrong.MatchString(line) {
			t.Errorf("DumpLogSegments: %s", strings.TrimSpace(line))
		}
	}
}
