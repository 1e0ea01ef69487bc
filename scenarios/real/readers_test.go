package real

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A consumer that does not poll for max.poll.interval.ms, since its application hangs
// or works, leaves its group and is back when the application is; one that polls in
// time stays.
func TestMaxPollInterval(t *testing.T) {
	for _, tc := range []struct {
		name, consumer string
		want           []string
	}{
		{"hangs", "stalls: [{ at: 500ms, for: 3s }], config: { max.poll.interval.ms: 300, ", []string{"join", "leave", "join", "leave"}},
		{"hangs for less", "stalls: [{ at: 500ms, for: 3s }], config: { max.poll.interval.ms: 9000, ", []string{"join", "leave"}},
		{"works", "processing_time: 1s, config: { max.poll.interval.ms: 300, max.poll.records: 1, ", []string{"join", "leave", "join", "leave"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := membership(t, tc.consumer)
			if tc.name == "works" { // and may be given the record again, which it had no time to commit
				got = got[:min(len(got), len(tc.want))]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// membership is what a consumer of five seconds tells its coordinator.
func membership(t *testing.T, consumer string) (told []string) {
	t.Helper()
	s, err := scenarios.Load(fmt.Appendf(nil, `
name: max-poll-interval
duration: 5s
cluster: { zones: [a], controllers: { count: 1 }, brokers: { per_zone: 1, config: { offsets.topic.replication.factor: 1 } } }
topics: { orders: { partitions: 1, replication.factor: 1 } }
workload:
  producers:
    - { name: shop, topic: orders, executor: shared-iterations, records: 1, message_size: 100B }
  consumers:
    - { name: reader, group: readers, topic: orders, %s auto.offset.reset: earliest } }
`, consumer), "max-poll-interval.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	var mu sync.Mutex
	note := func(word string) func(kmsg.Request) (kmsg.Response, error, bool) {
		return func(kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			if len(told) == 0 || told[len(told)-1] != word { // a member without an id joins twice
				told = append(told, word)
			}
			return nil, nil, false
		}
	}
	cluster.ControlKey(int16(kmsg.JoinGroup), note("join"))
	cluster.ControlKey(int16(kmsg.LeaveGroup), note("leave"))
	w := &workload{scenario: s, seeds: cluster.ListenAddrs(), ledger: newLedger(s, lin.Asserted{})}
	w.ledger.origin = time.Now()
	defer w.close()
	ctx, cancel := context.WithTimeout(t.Context(), s.Duration)
	defer cancel()
	if err := w.startProducers(ctx); err != nil {
		t.Fatal(err)
	}
	w.startConsumers(ctx)
	w.consuming.Wait()
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(told)
}
