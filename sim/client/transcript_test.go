package client

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// Goal: what a client says, and when, can be read. Method: transcripts of its
// effects against the toy cluster.

func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		var w *toy
		var out strings.Builder
		var log *readLog
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "cluster":
				var brokers, partitions int
				d.ScanArgs(t, "brokers", &brokers)
				d.ScanArgs(t, "partitions", &partitions)
				w = newToy(1, brokers)
				w.topic("orders", partitions)
				w.trace = func(s string) { out.WriteString(s + "\n") }
			case "producer":
				var rate int64
				d.ScanArgs(t, "rate", &rate)
				testProducer(w, newLedger(t), Load{Kind: ConstantRate, Rate: Rate{rate, time.Second}, End: clock.Instant(10 * time.Second)}, nil)
			case "consumer":
				log = newReadLog(t, map[TopicPartition]map[int64]uint64{})
				testConsumer(w, log, 1, func(c *ConsumerConfig) {
					c.Settings.GroupID, c.CommitAfterPoll, c.Settings.EnableAutoCommit = "billing", true, false
					c.Settings.Assignors = clientconfig.Assignors{Count: 1}
					c.Stop = clock.Instant(4 * time.Second)
				})
			case "down", "up":
				var broker int
				d.ScanArgs(t, "broker", &broker)
				w.fail(broker, d.Cmd == "down")
			case "move":
				var partition int
				var to int32
				d.ScanArgs(t, "partition", &partition)
				d.ScanArgs(t, "to", &to)
				p := w.topics["orders"].partitions[partition]
				p.leader, p.epoch = to, p.epoch+1
			case "run":
				var until string
				d.ScanArgs(t, "until", &until)
				at, err := time.ParseDuration(until)
				if err != nil {
					t.Fatal(err)
				}
				w.run(clock.Instant(at), func() bool { return false })
			default:
				t.Fatalf("unknown command %s", d.Cmd)
			}
			s := out.String()
			out.Reset()
			return s
		})
	})
}
