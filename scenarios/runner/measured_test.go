package runner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: every metric of the vocabulary is measured, in every statistic, series and
// phase that the loader accepts. Method: one run under a fault asserts all of them
// with limits that hold, and no threshold may be without a value.
func TestEveryMetricIsMeasured(t *testing.T) {
	var lines []string
	for _, m := range scenarios.Metrics() {
		stats := m.Statistics
		if len(stats) == 0 {
			stats = []string{""}
		}
		limit := map[scenarios.UnitKind]string{
			scenarios.UnitDuration: "<1h", scenarios.UnitCount: "<1000000", scenarios.UnitShare: "<100%", scenarios.UnitBytes: "<1TiB",
		}[m.Unit]
		var all []string
		for _, s := range stats {
			all = append(all, `"`+s+limit+`"`)
		}
		list := "[" + strings.Join(all, ", ") + "]"
		lines = append(lines, m.Name+": "+list)
		for _, series := range m.Series {
			lines[len(lines)-1] = m.Name + ": { " + series + ": " + list + " }"
		}
	}
	body := "{ " + strings.Join(lines, ", ") + " }"
	s := load(t, safe, "[{ at: 10s, for: 12s, fault: kill, target: { leader_of: orders/0 } }]",
		"{ during_fault: "+body+", thresholds: "+body+" }")
	res := runSeed(t, s, 1)
	if res.Verdict != reports.Pass || len(res.Thresholds) < 100 {
		t.Errorf("%d thresholds\n%s", len(res.Thresholds), reports.Text(res, false))
	}
	for _, h := range res.Thresholds {
		if h.Measured == "nothing" {
			t.Errorf("%s (%s) is not measured", h.Name, h.Phase)
		}
	}
}

// Goal: the figures are those that a fault must give. Method: the leader of one
// partition is killed; it is fenced after the session of 9 s.
func TestUnavailabilityOfAKilledLeader(t *testing.T) {
	s := load(t, safe, "[{ at: 10s, for: 20s, fault: kill, target: { leader_of: orders/0 } }]", `{
  during_fault: { produce_unavailability: { per_partition: ["max>5s", "max<15s"] }, fetch_unavailability: { per_partition: "max<2s" },
    admin_unavailability: "max<1s", under_replicated_time: "max>8s", consumer_lag: { per_partition: "max<10000" }, isr_shrinks: ">=3", produce_errors: "==0" },
  thresholds: { produce_unavailability: "max<2s", group_unavailability: "max<5s", isr_shrinks: "==0", leader_moves: "<=2" } }`)
	res := runSeed(t, s, 1)
	if res.Verdict != reports.Pass {
		t.Error(reports.Text(res, false))
	}
	if res.RTOSeconds < 5 || res.RTOSeconds > 20 {
		t.Errorf("RTO %v s", res.RTOSeconds)
	}
	for _, u := range res.Unavailability {
		if u.LongestSeconds > 1 && (u.FromSeconds < 9 || u.FromSeconds > 11) {
			t.Errorf("%s was unavailable from %v s, the fault began at 10 s", u.Partition, u.FromSeconds)
		}
	}
}

// Goal: a partition that never works again is not taken for one that was always
// well. Method: two of three brokers are down for good; sends fail after their
// delivery time-out.
func TestUnavailableForEver(t *testing.T) {
	s := load(t, "{ acks: all, delivery.timeout.ms: 10000, request.timeout.ms: 5000 }",
		"[{ at: 10s, fault: kill, target: { nodes: [broker-1, broker-2] } }]",
		`{ during_fault: { produce_unavailability: { per_partition: "max<25s" }, recovery_time: "max<1h", produce_errors: ">0" } }`)
	res := runSeed(t, s, 1)
	var missed []string
	for _, h := range res.Thresholds {
		if !h.Held {
			missed = append(missed, h.Name+" "+h.Measured)
		}
	}
	if res.RTOSeconds != -1 || len(missed) != 2 || !strings.HasSuffix(missed[1], "never") {
		t.Errorf("RTO %v, missed %q\n%s", res.RTOSeconds, missed, reports.Text(res, false))
	}
}

// Goal: every partition has to keep what is asserted per partition.
func TestPerPartitionNamesTheWorst(t *testing.T) {
	s := load(t, safe, "[{ at: 10s, for: 10s, fault: pause, target: { leader_of: orders/1 } }]",
		`{ during_fault: { produce_latency: { per_partition: "p99<1ms" } } }`)
	res := runSeed(t, s, 1)
	h := res.Thresholds[0]
	if h.Held || !strings.HasPrefix(h.Why, "orders-") || len(res.PartitionLatency) != 3 {
		t.Errorf("%+v, %d partitions", h, len(res.PartitionLatency))
	}
	worst := slices.MaxFunc(res.PartitionLatency, func(a, b reports.PartitionLatency) int { return int(a.During.P99 - b.During.P99) })
	if worst.Partition != h.Why {
		t.Errorf("the worst is %s, the threshold names %s", worst.Partition, h.Why)
	}
}

// A group that its operator has stopped wants nothing.
func TestPresence(t *testing.T) {
	s := load(t, safe, "[]", "{}")
	c := &s.Workload.Consumers[0]
	c.StartAt, c.StopAt = 5*time.Second, 30*time.Second
	c.Pauses = []scenarios.Window{{At: 10 * time.Second, For: 5 * time.Second}}
	s.Workload.Consumers = append(s.Workload.Consumers, *c)
	s.Workload.Consumers[1].Pauses, s.Workload.Consumers[1].StopAt = nil, 8*time.Second
	p := newPresence(s, "readers", 0)
	for _, c := range []struct {
		now, from time.Duration
		running   bool
	}{{4 * time.Second, 0, false}, {6 * time.Second, 5 * time.Second, true}, {11 * time.Second, 5 * time.Second, false},
		{16 * time.Second, 15 * time.Second, true}, {31 * time.Second, 15 * time.Second, false}} {
		if from, running := p.since(clock.Instant(c.now)); from != clock.Instant(c.from) || running != c.running {
			t.Errorf("at %s: since %s, running %v", c.now, time.Duration(from), running)
		}
	}
}
