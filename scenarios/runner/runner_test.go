package runner

import (
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// small is a cluster of three brokers under a little load; %TIMELINE%, %CONFIG%
// and %EXPECT% are replaced.
const small = `
name: small
duration: 40s
settle: 60s
cluster:
  zones: [a, b, c]
  controllers: { per_zone: 1 }
  brokers: { per_zone: 1, config: { min.insync.replicas: 2 } }
topics:
  orders:
    partitions: 3
    replication.factor: 3
    config: { min.insync.replicas: 2 }
workload:
  producers:
    - name: writer
      count: 3
      topic: orders
      executor: constant-arrival-rate
      rate: 100/s
      message_size: 100B
      keys: { distribution: uniform, cardinality: 100 }
      config: %CONFIG%
  consumers:
    - name: reader
      group: readers
      count: 2
      topic: orders
      config: { auto.offset.reset: earliest, enable.auto.commit: false, request.timeout.ms: 5000 }
timeline: %TIMELINE%
expect: %EXPECT%
checks: { porcupine: 100%, sweep_every: 1000 }
`

const safe = "{ acks: all, enable.idempotence: true, request.timeout.ms: 5000 }"

func load(t *testing.T, config, timeline, expect string) *scenarios.Scenario {
	t.Helper()
	text := strings.NewReplacer("%CONFIG%", config, "%TIMELINE%", timeline, "%EXPECT%", expect).Replace(small)
	s, err := scenarios.Load([]byte(text), "small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func runSeed(t *testing.T, s *scenarios.Scenario, seed uint64) *reports.Result {
	t.Helper()
	out, err := Run(s, Options{Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return out.Result
}

// Goal: under every fault of the vocabulary that the configuration protects
// against, all claims hold and everything is verified. Method: one short run for
// each verb, all partitions seen by porcupine as well.
func TestFaultsKeepTheClaims(t *testing.T) {
	for name, timeline := range map[string]string{
		"kill":        "[{ at: 10s, for: 10s, fault: kill, target: { leader_of: orders/0 } }]",
		"power loss":  "[{ at: 10s, for: 10s, fault: power_loss, target: { node: broker-1 } }]",
		"zone":        "[{ at: 10s, for: 15s, fault: zone_outage, target: { zone: b } }]",
		"pause":       "[{ at: 10s, for: 15s, fault: pause, target: { leader_of: orders/1 } }]",
		"cut":         "[{ at: 10s, for: 15s, fault: partition, between: [[broker-1], [broker-2]] }]",
		"one way":     "[{ at: 10s, for: 15s, fault: partition, target: { node: broker-2 }, shape: isolate, direction: to }]",
		"link":        "[{ at: 10s, for: 15s, fault: link, zones: [a, b], latency: 50ms, loss: 2% }]",
		"resets":      "[{ at: 10s, fault: reset_connections, target: { node: broker-3 } }]",
		"hold":        "[{ at: 10s, for: 5s, fault: hold_rpc, api: AlterPartition, from: { leader_of: orders/0 }, to: active_controller }, { at: 11s, for: 9s, fault: pause, target: { follower_of: orders/0 } }]",
		"slow disk":   "[{ at: 10s, for: 10s, fault: disk, target: { node: broker-1 }, latency: 100ms }]",
		"full disk":   "[{ at: 10s, for: 10s, fault: disk, target: { node: broker-1 }, full: true }]",
		"clock":       "[{ at: 10s, fault: clock, target: { node: broker-1 }, bump: 2h }]",
		"controller":  "[{ at: 10s, for: 10s, fault: kill, target: active_controller }]",
		"restart all": "[{ at: 10s, operator: rolling_restart }]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := load(t, safe, timeline, "{ safety: [no_lost_acks, no_reorder, no_broker_duplicates, no_divergent_replicas, no_offset_rewind, all_read], after_heal: { in_sync_replicas: { reach: 100%, within: 60s } } }")
			for seed := uint64(1); seed <= 2; seed++ {
				res := runSeed(t, s, seed)
				if res.Verdict != reports.Pass {
					t.Errorf("seed %d:\n%s", seed, reports.Text(res, false))
				}
				if res.Records.Acked != 4000 || res.Records.Unverified != 0 {
					t.Errorf("seed %d: %d acked, %d unverified, want 4000 and 0", seed, res.Records.Acked, res.Records.Unverified)
				}
			}
		})
	}
}

// Goal: what the configuration gives away is lost, counted exactly, and does not
// fail the run. Method: the leader is cut off under acks=1 and acknowledges
// until it is fenced.
func TestPermittedLossIsPredicted(t *testing.T) {
	s := load(t, "{ acks: 1, enable.idempotence: false, request.timeout.ms: 5000 }",
		"[{ at: 10s, for: 20s, fault: partition, between: [[broker-1], [broker-2, broker-3, controller-1, controller-2, controller-3]] }]", "{ loss: some }")
	for seed := uint64(1); seed <= 5; seed++ {
		res := runSeed(t, s, seed)
		if res.Verdict != reports.Pass || res.PermittedLoss == nil || res.PermittedLoss.Observed == 0 ||
			res.PermittedLoss.Observed != res.PermittedLoss.Predicted {
			t.Errorf("seed %d:\n%s", seed, reports.Text(res, false))
		}
	}
}

// Goal: the same seed is the same run, another seed is another one.
func TestSeedDecidesTheRun(t *testing.T) {
	s := load(t, safe, "[{ at: 10s, for: 10s, fault: power_loss, target: one }]", "{}")
	first, again, other := runSeed(t, s, 7), runSeed(t, s, 7), runSeed(t, s, 8)
	if first.TraceHash != again.TraceHash || first.Events != again.Events {
		t.Errorf("the same seed gave %s and %s", first.TraceHash, again.TraceHash)
	}
	if first.TraceHash == other.TraceHash {
		t.Error("two seeds gave the same run")
	}
}

// Goal: a run that is cut short says so and is no pass.
func TestInterruptedRunIsPartial(t *testing.T) {
	out, err := Run(load(t, safe, "[]", "{}"), Options{Seed: 1, StopAtEvent: 20_000})
	if err != nil {
		t.Fatal(err)
	}
	if !out.Result.Partial || out.Result.Verdict == reports.Pass {
		t.Errorf("partial %v, verdict %s", out.Result.Partial, out.Result.Verdict)
	}
}

// Goal: a run in which less happened than the scenario asks for is no pass.
func TestMinimumsAreAskedFor(t *testing.T) {
	res := runSeed(t, load(t, safe, "[]", "{ minimums: { acked: 1000000 } }"), 1)
	if res.Verdict != reports.Inconclusive {
		t.Errorf("verdict %s, want inconclusive", res.Verdict)
	}
}

// Goal: a threshold that is missed fails the run.
func TestMissedThresholdFails(t *testing.T) {
	res := runSeed(t, load(t, safe, "[]", `{ thresholds: { produce_latency: ["p99<2us"] } }`), 1)
	if res.Verdict != reports.Fail {
		t.Errorf("verdict %s, want fail", res.Verdict)
	}
}

// Goal: a state has all the time that the scenario gives it, though the load ends
// sooner: preferred leaders come back with leader.imbalance.check.interval.seconds.
func TestRecoveryIsWaitedFor(t *testing.T) {
	res := runSeed(t, load(t, safe, "[ { at: 10s, for: 20s, fault: kill, target: { node: broker-2 } } ]",
		`{ after_heal: { preferred_leaders: { reach: 100%, within: 10m } } }`), 1)
	if res.Verdict != reports.Pass {
		t.Errorf("verdict %s, want pass: %+v", res.Verdict, res.Thresholds)
	}
}

// Goal: a group that is never given anything fails the run, though no record is
// lost: here the coordinator waits for more members longer than the run lasts.
func TestStuckGroupFails(t *testing.T) {
	text := strings.Replace(small, "config: { min.insync.replicas: 2 } }\ntopics",
		"config: { min.insync.replicas: 2, group.initial.rebalance.delay.ms: 3600000 } }\ntopics", 1)
	text = strings.NewReplacer("%CONFIG%", safe, "%TIMELINE%", "[]", "%EXPECT%", "{}").Replace(text)
	s, err := scenarios.Load([]byte(text), "small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	res := runSeed(t, s, 1)
	if res.Verdict != reports.Fail || len(res.Reasons) == 0 || !strings.Contains(res.Reasons[0], "group readers stands at offset 0") {
		t.Errorf("verdict %s: %v", res.Verdict, res.Reasons)
	}
}
