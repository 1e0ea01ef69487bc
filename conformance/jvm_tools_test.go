//go:build jvm

package conformance

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The tools that operators use, each judged by what it prints.
func TestKafkaTools(t *testing.T) {
	c := startCluster(t)
	const count = 1000
	var lines strings.Builder
	for i := range count {
		fmt.Fprintf(&lines, "key %d:value %d\n", i, i)
	}
	group := []string{"--group", "readers"}
	steps := []struct {
		name, input, class string
		args               []string
		want               []string // expressions that the output matches
	}{
		{"create", "", "TopicCommand", []string{"--create", "--topic", "tools", "--partitions", "2", "--replication-factor", "3"},
			[]string{`^Created topic tools\.`}},
		{"alter partitions", "", "TopicCommand", []string{"--alter", "--topic", "tools", "--partitions", "4"}, nil},
		{"describe", "", "TopicCommand", []string{"--describe", "--topic", "tools"},
			[]string{`PartitionCount: 4\s+ReplicationFactor: 3`, `Partition: 3\s+Leader: \d\s+Replicas: \d,\d,\d\s+Isr: \d,\d,\d\s`}},
		{"under-replicated", "", "TopicCommand", []string{"--describe", "--under-replicated-partitions"}, []string{`\A\s*\z`}},
		{"console producer", lines.String(), "ConsoleProducer",
			[]string{"--topic", "tools", "--reader-property", "parse.key=true", "--reader-property", "key.separator=:"}, nil},
		{"get offsets", "", "GetOffsetShell", []string{"--topic", "tools"}, []string{`(?m)^tools:0:\d+$`, `(?m)^tools:3:\d+$`}},
		{"console consumer", "", "consumer.ConsoleConsumer",
			append([]string{"--topic", "tools", "--from-beginning", "--max-messages", strconv.Itoa(count), "--timeout-ms", "60000"}, group...),
			[]string{`(?m)^value 0$`, `(?m)^value 999$`}},
		{"describe group", "", "consumer.group.ConsumerGroupCommand", append([]string{"--describe"}, group...),
			[]string{`(?m)^readers\s+tools\s+0\s+(\d+)\s+(\d+)\s+0\s`, `(?m)^readers\s+tools\s+3\s+(\d+)\s+(\d+)\s+0\s`}},
		{"group state", "", "consumer.group.ConsumerGroupCommand", append([]string{"--describe", "--state"}, group...), []string{`readers .*Empty\s+0`}},
		{"reset offsets", "", "consumer.group.ConsumerGroupCommand",
			append([]string{"--reset-offsets", "--topic", "tools", "--to-earliest", "--execute"}, group...), []string{`(?m)^readers\s+tools\s+3\s+0\s*$`}},
		{"read again", "", "consumer.ConsoleConsumer",
			append([]string{"--topic", "tools", "--max-messages", strconv.Itoa(count), "--timeout-ms", "60000"}, group...), []string{`(?m)^value 0$`, `(?m)^value 999$`}},
		{"delete group", "", "consumer.group.ConsumerGroupCommand", append([]string{"--delete"}, group...), []string{`Deletion of requested consumer groups .*readers.* was successful`}},
		{"alter config", "", "ConfigCommand",
			[]string{"--alter", "--entity-type", "topics", "--entity-name", "tools", "--add-config", "retention.ms=100000"}, []string{`^Completed updating config for topic tools\.`}},
		{"describe config", "", "ConfigCommand", []string{"--describe", "--entity-type", "topics", "--entity-name", "tools"},
			[]string{`(?m)^  retention\.ms=100000 .*DYNAMIC_TOPIC_CONFIG:retention\.ms=100000`}},
		{"describe broker", "", "ConfigCommand", []string{"--describe", "--all", "--entity-type", "brokers", "--entity-name", "1"},
			[]string{`(?m)^\s+min\.insync\.replicas=2 `, `(?m)offsets\.topic\.replication\.factor=3 .*STATIC_BROKER_CONFIG`}},
		{"producer performance", "", "ProducerPerformance",
			[]string{"--topic", "tools", "--num-records", "50000", "--record-size", "100", "--throughput", "-1", "--command-property", "acks=all"},
			[]string{`^50000 records sent, .* 99\.9th\.`}},
		{"preferred leaders", "", "LeaderElectionCommand", []string{"--election-type", "preferred", "--all-topic-partitions"},
			[]string{`\A(Valid replica already elected for partitions.*|Successfully completed leader election.*|\s*)*\z`}},
		{"log directories", "", "LogDirsCommand", []string{"--describe", "--topic-list", "tools"},
			[]string{`from brokers 1,2,3`, `"partition":"tools-3","size":\d+,"offsetLag":0,"isFuture":false`, `"error":null`}},
		{"API versions", "", "BrokerApiVersionsCommand", nil,
			[]string{`(?s)id: 1 rack: a .*id: 2 rack: b |(?s)id: 2 rack: b .*id: 1 rack: a `, `Produce\(0\): \d+ to \d+ \[usable: \d+\]`, `ApiVersions\(18\): 0 to \d+ \[usable: \d+\]`}},
		{"delete", "", "TopicCommand", []string{"--delete", "--topic", "tools"}, nil},
		{"list", "", "TopicCommand", []string{"--list", "--exclude-internal"}, []string{`\A\s*\z`}},
	}
	for _, s := range steps {
		if !t.Run(s.name, func(t *testing.T) {
			out := c.tool(t, s.input, s.class, s.args...)
			for _, want := range s.want {
				if !regexp.MustCompile(want).MatchString(out) {
					t.Errorf("%s %s printed no match of %s:\n%s", s.class, strings.Join(s.args, " "), want, out)
				}
			}
			if s.class == "consumer.ConsoleConsumer" && strings.Count(out, "\n") != count {
				t.Errorf("the consumer printed %d of %d records", strings.Count(out, "\n"), count)
			}
		}) {
			break // later steps stand on this one
		}
	}
}
