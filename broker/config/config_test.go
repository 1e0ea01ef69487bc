package config

import (
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// Goal: defaults are Kafka's, bounds are enforced at their edges, synonyms win
// in Kafka's order, and each kind of mistake gives one exact error.
// Method: spot checks, a walk over the whole table, and a table of mistakes.

func TestDefaults(t *testing.T) {
	b := DefaultBroker()
	got := []int64{b.SessionTimeoutMillis, b.HeartbeatIntervalMillis, b.ReplicaLagTimeMaxMillis, b.ReplicaFetchWaitMaxMillis,
		b.GroupInitialRebalanceDelayMillis, b.OffsetsTopicPartitions, b.OffsetsTopicReplicationFactor,
		b.ControllerQuorumFetchTimeoutMillis, b.ControllerQuorumElectionTimeoutMillis,
		b.TopicDefaults.RetentionMillis, b.TopicDefaults.FlushMessages, b.TopicDefaults.SegmentBytes}
	want := []int64{9000, 2000, 30000, 500, 3000, 50, 3, 2000, 1000, 604800000, math.MaxInt64, 1 << 30}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if b.TopicDefaults.CleanupPolicy != CleanupDelete {
		t.Errorf("cleanup.policy %q", b.TopicDefaults.CleanupPolicy)
	}
}

func TestEveryRow(t *testing.T) {
	checkRows(t, topicTable)
	checkRows(t, brokerTable)
}

// checkRows tries each number at its bounds and one beyond, sets each word, and
// reads the value back.
func checkRows[T any](t *testing.T, table *Table[T]) {
	for i := range table.rows {
		row := &table.rows[i]
		if row.Doc == "" {
			t.Errorf("%s has no documentation", row.Name)
		}
		if !row.Effect {
			var dst T
			if err := table.Apply([]KV{{row.Name, "1"}}, &dst); err == nil {
				t.Errorf("%s is accepted but without effect", row.Name)
			}
			continue
		}
		set := func(text string) bool {
			var dst T
			err := table.Apply([]KV{{row.Name, text}}, &dst)
			if got, bound := table.Text(row.Name, &dst); err == nil && bound && got != text {
				t.Errorf("%s: set %q, read %q", row.Name, text, got)
			}
			return err == nil
		}
		if row.Numeric() {
			if !set(strconv.FormatInt(row.Min, 10)) || !set(strconv.FormatInt(row.Max, 10)) {
				t.Errorf("%s refuses its bounds", row.Name)
			}
			if row.Min > math.MinInt64 && set(strconv.FormatInt(row.Min-1, 10)) {
				t.Errorf("%s accepts less than its minimum", row.Name)
			}
			if row.Max < math.MaxInt64 && set(strconv.FormatInt(row.Max+1, 10)) {
				t.Errorf("%s accepts more than its maximum", row.Name)
			}
		}
		for _, word := range row.Valid {
			if len(row.NotYet) == 0 && !set(word) {
				t.Errorf("%s refuses %q", row.Name, word)
			}
		}
	}
}

func TestSynonyms(t *testing.T) {
	for _, test := range []struct {
		overrides []KV
		want      int64
	}{
		{[]KV{{"log.retention.hours", "1"}}, 3_600_000},
		{[]KV{{"log.retention.hours", "1"}, {"log.retention.minutes", "2"}}, 120_000},
		{[]KV{{"log.retention.ms", "7"}, {"log.retention.minutes", "2"}}, 7},
		{[]KV{{"log.retention.hours", "-1"}}, -1},
	} {
		b, err := ParseBroker(test.overrides)
		if err != nil || b.TopicDefaults.RetentionMillis != test.want {
			t.Errorf("%v: got %d, %v, want %d", test.overrides, b.TopicDefaults.RetentionMillis, err, test.want)
		}
	}
	b, err := ParseBroker([]KV{{"message.max.bytes", "77"}})
	if err != nil || b.TopicDefaults.MaxMessageBytes != 77 {
		t.Errorf("message.max.bytes: %d %v", b.TopicDefaults.MaxMessageBytes, err)
	}
}

func TestErrors(t *testing.T) {
	topic := func(kvs ...KV) error { _, err := ParseTopic(kvs, DefaultTopic()); return err }
	broker := func(kvs ...KV) error { _, err := ParseBroker(kvs); return err }
	for _, test := range []struct {
		err  error
		want string
	}{
		{topic(KV{"min.insync.replica", "2"}), `topic property "min.insync.replica" is unknown to Kafka; did you mean "min.insync.replicas"?`},
		{topic(KV{"min_insync_replicas", "2"}), `topic property "min_insync_replicas" is unknown to Kafka; did you mean "min.insync.replicas"?`},
		{topic(KV{"min.insync.replicas", "0"}), `topic property min.insync.replicas="0" must be a whole number in 1 .. 2147483647`},
		{topic(KV{"cleanup.policy", "compac"}), `topic property cleanup.policy="compac" must be a list of: compact, delete; did you mean "compact"?`},
		{topic(KV{"cleanup.policy", ""}), `topic property cleanup.policy="" must name at least one of: compact, delete`},
		{topic(KV{"min.cleanable.dirty.ratio", "1.5"}), `topic property min.cleanable.dirty.ratio="1.5" must be a decimal number in 0 .. 1`},
		{topic(KV{"min.cleanable.dirty.ratio", "half"}), `topic property min.cleanable.dirty.ratio="half" must be a decimal number in 0 .. 1`},
		{topic(KV{"segment.bytes", "1000"}), `topic property segment.bytes="1000" must be a whole number in 1048576 .. 2147483647`},
		{topic(KV{"preallocate", "yes"}), `topic property preallocate="yes" must be true or false`},
		{topic(KV{"unclean.leader.election.enable", "ture"}), `topic property unclean.leader.election.enable="ture" must be true or false; did you mean "true"?`},
		{topic(KV{"compression.type", "gzipp"}), `topic property compression.type="gzipp" must be one of: producer, uncompressed, gzip, snappy, lz4, zstd; did you mean "gzip"?`},
		{topic(KV{"compression.gzip.level", "0"}), `topic property compression.gzip.level="0" must be in 1 .. 9, or -1 for the codec's default`},
		{topic(KV{"compression.lz4.level", "18"}), `topic property compression.lz4.level="18" must be a whole number in 1 .. 17`},
		{broker(KV{"compression.gzip.level", "0"}), `broker property compression.gzip.level="0" must be in 1 .. 9, or -1 for the codec's default`},
		{topic(KV{"remote.storage.enable", "true"}), `topic property "remote.storage.enable" is known to Kafka but without effect here: tiered storage is not implemented yet`},
		{topic(KV{"broker.session.timeout.ms", "1"}), `topic property "broker.session.timeout.ms" belongs among the broker properties`},
		{broker(KV{"retention.ms", "1"}), `broker property "retention.ms" belongs among the topic properties`},
		{broker(KV{"broker.heartbeat.interval.ms", "9000"}), `broker property broker.heartbeat.interval.ms="9000" must be less than broker.session.timeout.ms (9000)`},
		{broker(KV{"log.retention.hours", "2147483648"}), `broker property log.retention.hours="2147483648" must be a whole number in -1 .. 2147483647`},
	} {
		if test.err == nil {
			t.Errorf("no error, want %s", test.want)
		} else if diff := cmp.Diff(test.want, test.err.Error()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestDescribe(t *testing.T) {
	layers := &Layers{
		Broker:  []KV{{"log.retention.ms", "4"}},
		Default: []KV{{"log.retention.ms", "3"}, {"log.roll.ms", "9"}},
		Static:  []KV{{"log.retention.hours", "2"}, {"log.roll.hours", "1"}},
	}
	names := []string{"retention.ms", "segment.ms", "preallocate"}
	got := DescribeTopic([]KV{{"retention.ms", "5"}}, layers, names)
	want := []Entry{
		{Value: "false", Source: SourceDefault, Synonyms: []SynonymValue{{"log.preallocate", "false", false, SourceDefault}}},
		{Value: "5", Source: SourceDynamicTopic, Synonyms: []SynonymValue{
			{"retention.ms", "5", false, SourceDynamicTopic},
			{"log.retention.ms", "4", false, SourceDynamicBroker},
			{"log.retention.ms", "3", false, SourceDynamicDefault},
			{"log.retention.hours", "2", false, SourceStaticBroker},
			{"log.retention.hours", "168", false, SourceDefault},
		}},
		{Value: "9", Source: SourceDynamicDefault, Synonyms: []SynonymValue{
			{"log.roll.ms", "9", false, SourceDynamicDefault},
			{"log.roll.hours", "1", false, SourceStaticBroker},
			{"log.roll.hours", "168", false, SourceDefault},
		}},
	}
	ignore := cmpopts.IgnoreFields(Entry{}, "Property")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = DescribeTopic(nil, &Layers{Static: []KV{{"log.retention.hours", "2"}}}, names[:1])
	if got[0].Value != "7200000" || got[0].Source != SourceStaticBroker {
		t.Errorf("hours in milliseconds: %+v", got[0])
	}
	names = []string{"log.retention.hours", "log.retention.ms", "num.partitions", "log.retention.minutes"}
	got = DescribeBroker(layers, names)
	want = []Entry{
		{Value: "2", Source: SourceStaticBroker, ReadOnly: true, Synonyms: []SynonymValue{
			{"log.retention.hours", "2", false, SourceStaticBroker}, {"log.retention.hours", "168", false, SourceDefault}}},
		{Null: true, Source: SourceDefault, ReadOnly: true},
		{Value: "4", Source: SourceDynamicBroker, Synonyms: []SynonymValue{
			{"log.retention.ms", "4", false, SourceDynamicBroker}, {"log.retention.ms", "3", false, SourceDynamicDefault},
			{"log.retention.hours", "2", false, SourceStaticBroker}}},
		{Value: "1", Source: SourceDefault, ReadOnly: true, Synonyms: []SynonymValue{{"num.partitions", "1", false, SourceDefault}}},
	}
	if diff := cmp.Diff(want, got, ignore, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = DescribeDefault(layers.Default, nil)
	if len(got) != 2 || got[0].Property.Name != "log.retention.ms" || got[1].Value != "9" {
		t.Errorf("the default of all brokers: %+v", got)
	}
}

// The dynamic properties are Kafka's, and what they make of a broker is what a
// restart with them would.
func TestDynamic(t *testing.T) {
	for _, test := range []struct {
		kv   KV
		want string
	}{
		{KV{"log.retention.ms", "7"}, ""},
		{KV{"min.insync.replicas", "2"}, ""},
		{KV{"producer.id.expiration.ms", "60000"}, ""},
		{KV{"log.retention.hours", "7"}, `broker property "log.retention.hours" cannot be updated dynamically: brokers read it when they start`},
		{KV{"num.partitions", "7"}, `broker property "num.partitions" cannot be updated dynamically: brokers read it when they start`},
		{KV{"node.id", "7"}, `broker property "node.id" cannot be updated dynamically: brokers read it when they start`},
		{KV{"sasl.enabled.mechanisms", "PLAIN"}, `broker property "sasl.enabled.mechanisms" cannot be updated dynamically: brokers read it when they start`},
		{KV{"log.retention.msx", "7"}, `broker property "log.retention.msx" is unknown to Kafka; did you mean "log.retention.ms"?`},
		{KV{"log.retention.ms", "-2"}, `broker property log.retention.ms="-2" must be a whole number in -1 .. 2^63-1`},
	} {
		got := ""
		if err := CheckDynamic([]KV{test.kv}); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.kv, diff)
		}
	}
	layers := Layers{Broker: []KV{{"log.retention.ms", "4"}}, Default: []KV{{"log.retention.ms", "3"}, {"log.segment.bytes", "2097152"}},
		Static: []KV{{"log.retention.hours", "2"}, {"log.segment.bytes", "3145728"}, {"num.partitions", "5"}}}
	b, err := ParseBroker(layers.Static)
	if err == nil {
		b, err = UpdateBroker(b, layers.Dynamic())
	}
	if err != nil || b.TopicDefaults.RetentionMillis != 4 || b.TopicDefaults.SegmentBytes != 2<<20 || b.NumPartitions != 5 {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestRatio(t *testing.T) {
	for text, want := range map[string]string{"0": "0.0", "1": "1.0", "0.5": "0.5", ".25": "0.25", "0.0000019": "0.000001", "1.0": "1.0"} {
		var r Ratio
		if !r.Set(text) || r.String() != want {
			t.Errorf("%s: %s, want %s", text, r, want)
		}
	}
	for _, text := range []string{"", ".", "1.000001", "-1", "0x1", "10", "0.5e1", "0.12345678x"} {
		var r Ratio
		if r.Set(text) {
			t.Errorf("%q is %s", text, r)
		}
	}
}

// A list keeps no doubles under APPEND and loses exactly what SUBTRACT names.
func TestListEdits(t *testing.T) {
	p, _ := LookupTopic("cleanup.policy")
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"a", "b", "c"})
		current := rapid.SliceOfNDistinct(word, 0, 3, rapid.ID[string]).Draw(t, "current")
		edit := word.Draw(t, "edit")
		text := ""
		for i, w := range current {
			if i > 0 {
				text += ","
			}
			text += w
		}
		added, _ := Append(p, text, edit)
		again, _ := Append(p, added, edit)
		gone, _ := Subtract(p, added, edit)
		back, _ := Subtract(p, text, edit)
		if added != again || gone != back {
			t.Fatalf("%q + %q = %q then %q; minus: %q, %q", text, edit, added, again, gone, back)
		}
	})
}
