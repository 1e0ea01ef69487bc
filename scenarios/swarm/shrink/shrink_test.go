package shrink

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: what is irrelevant to a failure goes, what it needs stays, and the
// number of attempts is bounded.
// Method: made-up failures that depend on known parts of a large scenario.

const large = `
name: large
duration: 1h
cluster:
  zones: [a, b, c]
  controllers: { nodes: [a, a, b, c, c] }
  brokers: { count: 7, config: { log.retention.hours: 1, group.max.size: 10 } }
topics:
  orders: { partitions: 40, replication.factor: 3, config: { min.insync.replicas: 2, retention.ms: 5000 } }
  other: { partitions: 4, replication.factor: 2 }
workload:
  producers:
    - { name: p1, count: 5, topic: orders, executor: constant-arrival-rate, rate: 900/s, message_size: 5KiB }
    - { name: p2, topic: other, executor: shared-iterations, records: 100000 }
  consumers:
    - { name: c1, group: g1, count: 4, topic: [orders, other], pauses: [{ at: 1m, for: 1m }, { at: 5m, for: 10s }], config: { auto.offset.reset: earliest } }
timeline:
  - { at: 1m, for: 10s, fault: zone_outage, target: { zone: b } }
  - { at: 2m, fault: kill, target: { random: 2 }, restart_after: 3s }
  - { at: 3m, for: 40s, fault: pause, target: { nodes: [broker-1, controller-2] } }
  - { at: 6m, for: 1m, fault: link, zones: [a, b], latency: 20ms, loss: 1% }
expect: { safety: [all_read], after_heal: { in_sync_replicas: { reach: 100%, within: 1m } } }
`

func load(t *testing.T) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load([]byte(large), "large.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestShrink(t *testing.T) {
	attempts := 0
	needs := func(s *scenarios.Scenario, seed uint64) bool {
		attempts++
		if seed != 7 {
			t.Fatalf("tried with seed %d", seed)
		}
		paused := false
		for i := range s.Timeline {
			paused = paused || s.Timeline[i].Fault == "pause" && len(s.Timeline[i].Target.Nodes) > 0
		}
		return paused && s.Topics[0].Partitions >= 10 && s.Workload.Producers[0].Rate.Count >= 100
	}
	got := string(scenarios.Marshal(Shrink(load(t), 7, needs)))
	want := `name: large
duration: 2s
settle: 90s
cluster:
  zones: [a]
  controllers:
    nodes: [a]
  brokers:
    count: 1
  network:
    same_zone:
      latency: 250us
    cross_zone:
      latency: 1ms
topics:
  orders:
    partitions: 10
    replication.factor: 1
workload:
  producers:
    -
      name: p1
      topic: orders
      executor: constant-arrival-rate
      rate: 113/s
      message_size: 16B
timeline:
  -
    at: 704ms
    for: 160ms
    fault: pause
    target:
      node: broker-1
expect:
  after_heal:
    in_sync_replicas:
      reach: 100%
      within: 1m
  minimums:
    faults: 1
`
	if attempts > AttemptsMax {
		t.Errorf("%d attempts, at most %d are allowed", attempts, AttemptsMax)
	}
	t.Logf("%d attempts", attempts)
	if got != want {
		t.Errorf("got\n%s", got)
	}
}

// A failure that does not come back is left as it is.
func TestShrinkFlaky(t *testing.T) {
	s := load(t)
	if got := Shrink(s, 7, func(*scenarios.Scenario, uint64) bool { return false }); got != s {
		t.Errorf("a scenario that never failed was changed:\n%s", scenarios.Marshal(got))
	}
}
