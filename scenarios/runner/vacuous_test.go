package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: nothing is said to hold that was never put to the test. Method: runs in which
// the load ends before a state is reached again, and which are cut short before, in
// and after a fault.

// The disks are slow from the heal on until the load has ended: no second of it is
// as those before the fault, and the end of the load does not make it so.
func TestLatencyIsNotBackBecauseTheLoadEnds(t *testing.T) {
	s := load(t, safe, `[{ at: 10s, for: 5s, fault: stress, cpu: 50%, target: { node: broker-1 } }]`,
		"{ after_heal: { produce_latency: { reach: baseline, within: 50s } } }")
	s.Cluster.Network.CrossZone.Jitter = 0
	r, err := newRun(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !r.until(r.lastHeal().Add(s.Timeline[0].At + s.Timeline[0].For)) {
		t.Fatal("interrupted")
	}
	for i := range r.layout.hosts {
		if h := &r.layout.hosts[i]; h.role == roleBroker {
			host, _ := r.world.Host(h.name)
			r.world.Disk(host).SetLatency(everyOp, s.Duration/100)
		}
	}
	r.carryOut()
	h := r.outcome().Result.Thresholds[0]
	if h.Held || h.Measured != "never" {
		t.Errorf("%+v", h)
	}
}

// How long the lag takes to be back is measured though nothing is asserted of it.
func TestLagRecoveryIsMeasured(t *testing.T) {
	s := load(t, safe, "[{ at: 10s, for: 10s, fault: pause, target: { clients: reader } }]", "{}")
	s.Workload.Consumers[0].ProcessingTime = 5 * time.Millisecond
	if res := runSeed(t, s, 1); res.LagRecoverySeconds < 1 || res.LagRecoverySeconds > 30 || res.PeakLagRecords < 500 {
		t.Errorf("back after %v s, at most %d", res.LagRecoverySeconds, res.PeakLagRecords)
	}
}

// Batches that the broker finds too large are split, of which no application hears:
// each record is offered once, and none fails.
func TestSplitBatchesAreNoErrors(t *testing.T) {
	s := load(t, "{ acks: all, linger.ms: 200 }", "[]", `{ thresholds: { produce_errors: "==0" } }`)
	s.Topics[0].Settings.MaxMessageBytes = 600
	s.Topics[0].Config = append(s.Topics[0].Config, scenarios.KV{Name: "max.message.bytes", Value: "600"})
	res := runSeed(t, s, 1)
	if n := res.Records; res.Verdict != reports.Pass || n.Offered != 4000 || n.Acked != 4000 || n.Failed != 0 || res.ProduceErrors != 0 {
		t.Errorf("%s, %d errors: %+v", res.Verdict, res.ProduceErrors, n)
	}
}

// Before the fault nothing is known of its time, nor of what follows.
func TestWhatAnInterruptedRunKnows(t *testing.T) {
	s := load(t, safe, "[{ at: 10s, for: 5s, fault: kill, target: { node: broker-1 } }]", `{
  during_fault: { produce_errors: "==0", produce_unavailability: "max<20s" },
  after_heal: { in_sync_replicas: { reach: 100%, within: 1m } }, thresholds: { produce_errors: "==0" } }`)
	for _, c := range []struct {
		second   int64
		measured string
	}{{5, "nothing nothing 0 nothing"}, {12, "0 "}, {200, "0 "}} {
		out, err := Run(s, Options{Seed: 1, Progress: func(p Progress) bool { return p.Virtual.Seconds() < float64(15+c.second) }})
		if err != nil {
			t.Fatal(err)
		}
		var measured []string
		for _, h := range out.Result.Thresholds {
			measured = append(measured, h.Measured)
			if h.Measured == "nothing" && h.Held {
				t.Errorf("at %d s, of nothing %s holds", c.second, h.Name)
			}
		}
		if got := strings.Join(measured, " "); !strings.HasPrefix(got, c.measured) {
			t.Errorf("at %d s: %s, want %s", c.second, got, c.measured)
		}
	}
}
