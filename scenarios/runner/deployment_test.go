package runner

import (
	"fmt"
	"testing"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// pausing is a group of two that is stopped, or hangs, for two minutes.
func pausing(t *testing.T, how, brokers string) *scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load([]byte(fmt.Sprintf(`
name: pausing
duration: 4m
cluster:
  zones: [a, b, c]
  controllers: { per_zone: 1 }
  brokers: { per_zone: 1, config: { min.insync.replicas: 2, %s } }
topics:
  orders: { partitions: 4, replication.factor: 3, config: { min.insync.replicas: 2 } }
workload:
  producers:
    - { name: shop, topic: orders, executor: constant-arrival-rate, rate: 20/s, config: { acks: all } }
  consumers:
    - name: billing
      group: billing
      count: 2
      topic: orders
      %s: [{ at: 30s, for: 2m }]
      config: { auto.offset.reset: earliest, enable.auto.commit: false }
expect:
  safety: [no_lost_acks, no_offset_rewind, single_owner, all_read]
`, brokers, how)), "pausing.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Goal: consumers that are stopped leave their group and come back as new members;
// those whose application hangs stay in it.
func TestPausesLeaveTheGroup(t *testing.T) {
	for how, members := range map[string]int{"pauses": 0, "stalls": 2} {
		s := pausing(t, how, "log.initial.task.delay.ms: 30000")
		r, err := newRun(s, Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		r.until(r.origin.Add(90 * time.Second))
		got := 0
		for _, h := range r.layout.brokers {
			if v, known := r.view.node(h).Groups().Group("billing"); known {
				got = max(got, len(v.Members))
			}
		}
		if got != members {
			t.Errorf("%s: the group has %d members meanwhile, want %d", how, got, members)
		}
		if res := runSeed(t, s, 1); res.Verdict != reports.Pass || res.Records.Redelivered != 0 {
			t.Errorf("%s: %s", how, reports.Text(res, false))
		}
	}
}

// Goal: a group that was empty for offsets.retention.minutes begins anew; that is no
// rewind, and the claim says so.
func TestOffsetsExpire(t *testing.T) {
	s := pausing(t, "pauses", "offsets.retention.minutes: 1, offsets.retention.check.interval.ms: 5000")
	res := runSeed(t, s, 1)
	if res.Verdict != reports.Pass || res.Records.Redelivered < 500 {
		t.Errorf("%d records were delivered again\n%s", res.Records.Redelivered, reports.Text(res, false))
	}
	if c := ConfigurationOf(s); !c.Consumers[0].OffsetsExpire {
		t.Error("the claim does not know that offsets expire")
	}
	if c := ConfigurationOf(pausing(t, "pauses", "offsets.retention.minutes: 60")); c.Consumers[0].OffsetsExpire {
		t.Error("the claim takes offsets for expiring that are kept for longer than the run")
	}
}

// Goal: no_broker_duplicates is claimed only where producer.id.expiration.ms outlives
// the run.
func TestProducersExpire(t *testing.T) {
	for millis, made := range map[int]bool{20_000: false, 86_400_000: true} {
		claims := lin.ComputeClaims(ConfigurationOf(pausing(t, "pauses", fmt.Sprintf("producer.id.expiration.ms: %d", millis))))
		if claims.Made(lin.ClaimNoBrokerDuplicates) != made {
			t.Errorf("producer.id.expiration.ms=%d: made is %v", millis, !made)
		}
	}
}
