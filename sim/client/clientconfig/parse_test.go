package clientconfig

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Goal: the defaults are those of the Java clients, and every rule between two
// properties fails with the names and numbers that a user needs.
// Method: spot checks of the fields that decide behaviour, then a table of
// overrides with the exact error.

func TestDefaults(t *testing.T) {
	p, err := ParseProducer(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []int64{int64(p.Acks), p.MaxInFlight, p.LingerMillis, p.BatchSizeBytes, p.RetryBackoffMillis, p.RetryBackoffMaxMillis,
		p.RequestTimeoutMillis, p.DeliveryTimeoutMillis, p.MaxBlockMillis, p.BufferMemoryBytes, p.MetadataMaxAgeMillis, p.MaxRequestSizeBytes}
	want := []int64{-1, 5, 5, 16384, 100, 1000, 30000, 120000, 60000, 32 << 20, 300000, 1 << 20}
	if diff := cmp.Diff(want, got); diff != "" || !p.EnableIdempotence {
		t.Errorf("producer defaults (-want +got), idempotence %v:\n%s", p.EnableIdempotence, diff)
	}
	c, err := ParseConsumer(nil)
	if err != nil {
		t.Fatal(err)
	}
	got = []int64{c.FetchMinBytes, c.FetchMaxBytes, c.FetchMaxWaitMillis, c.MaxPartitionFetchBytes, c.MaxPollRecords,
		c.MaxPollIntervalMillis, c.SessionTimeoutMillis, c.HeartbeatIntervalMillis, c.AutoCommitIntervalMillis}
	want = []int64{1, 50 << 20, 500, 1 << 20, 500, 300000, 45000, 3000, 5000}
	if diff := cmp.Diff(want, got); diff != "" || !c.EnableAutoCommit || c.AutoOffsetReset != ResetLatest {
		t.Errorf("consumer defaults (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Assignor{AssignorRange, AssignorCooperativeSticky}, c.Assignors.All()); diff != "" {
		t.Error(diff)
	}
}

func TestProducerRules(t *testing.T) {
	for _, test := range []struct{ overrides, want string }{
		{"acks=1", ""},
		{"acks=1 enable.idempotence=true", `producer property acks="1" must be all when enable.idempotence is true`},
		{"enable.idempotence=true max.in.flight.requests.per.connection=6",
			`producer property max.in.flight.requests.per.connection="6" must be at most 5 when enable.idempotence is true`},
		{"enable.idempotence=true retries=0", `producer property retries="0" must not be 0 when enable.idempotence is true`},
		{"delivery.timeout.ms=30004", `producer property delivery.timeout.ms="30004" must be at least linger.ms + request.timeout.ms (30005)`},
		{"request.timeout.ms=200000", ""},
		{"acks=2", `producer property acks="2" must be one of: all, -1, 0, 1`},
		{"linger=2", `producer property "linger" is unknown to Kafka`},
		{"lingr.ms=2", `producer property "lingr.ms" is unknown to Kafka; did you mean "linger.ms"?`},
		{"transactional.id=a", `producer property "transactional.id" is known to Kafka but without effect here: transactions are not implemented yet`},
		{"retries=1 retries=2", `producer property "retries" is given twice`},
	} {
		_, err := ParseProducer(overrides(test.overrides))
		if diff := cmp.Diff(test.want, text(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.overrides, diff)
		}
	}
	// A plain producer loses idempotence quietly, as in the Java client, and a
	// default delivery timeout follows a long request timeout.
	if p, err := ParseProducer(overrides("acks=1 request.timeout.ms=200000")); err != nil || p.EnableIdempotence || p.DeliveryTimeoutMillis != 200005 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestConsumerRules(t *testing.T) {
	for _, test := range []struct{ overrides, want string }{
		{"heartbeat.interval.ms=45000", `consumer property heartbeat.interval.ms="45000" must be less than session.timeout.ms (45000)`},
		{"fetch.max.wait.ms=30000", `consumer property fetch.max.wait.ms="30000" must be less than request.timeout.ms (30000), or every idle fetch times out`},
		{"isolation.level=read_committed", `consumer property isolation.level="read_committed" is known to Kafka but without effect here; must be one of: read_uncommitted`},
		{"auto.offset.reset=earlist", `consumer property auto.offset.reset="earlist" must be one of: latest, earliest, none; did you mean "earliest"?`},
		{"partition.assignment.strategy=org.apache.kafka.clients.consumer.StickyAssignor", ""},
	} {
		_, err := ParseConsumer(overrides(test.overrides))
		if diff := cmp.Diff(test.want, text(err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.overrides, diff)
		}
	}
}

func overrides(s string) []KV {
	var out []KV
	for _, field := range strings.Fields(s) {
		name, value, _ := strings.Cut(field, "=")
		out = append(out, KV{Name: name, Value: value})
	}
	return out
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
