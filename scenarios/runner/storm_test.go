package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

// Goal: a storm of topics passes with two brokers and the active controller killed in
// it, and has created and deleted most of what it had due.
func TestStormLeavesNothing(t *testing.T) {
	s := load(t, "{ acks: all, enable.idempotence: true, request.timeout.ms: 5000 }",
		"[{ at: 5s, for: 15s, operator: admin_storm, rate: 10/s, partitions: 3, names: 8 }, { at: 8s, for: 5s, fault: kill, target: active_controller }, { at: 18s, for: 10s, fault: kill, target: { leader_of: orders/0 } }]",
		"{ safety: [no_lost_acks, no_reorder, no_broker_duplicates, no_divergent_replicas] }")
	for seed := uint64(1); seed <= 3; seed++ {
		res := runSeed(t, s, seed)
		if res.Verdict != reports.Pass || res.FaultsInjected != 3 {
			t.Errorf("seed %d: %s", seed, reports.Text(res, false))
		}
		r, err := newRun(s, Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		r.until(r.origin.Add(40 * time.Second))
		if _, created, deleted := r.admin.Calm(0); created < 50 || deleted < 40 {
			t.Errorf("seed %d: %d topics created, %d deleted", seed, created, deleted)
		}
	}
}

// Goal: what a storm leaves is seen, in the metadata as on disks. Method: look until it
// is over: topics are known first, then their files wait for file.delete.delay.ms.
func TestLeftoversOfAStormAreSeen(t *testing.T) {
	s := load(t, "{ acks: all }", "[{ at: 5s, for: 5s, operator: admin_storm, rate: 10/s, partitions: 3, names: 8 }]", "{}")
	r, err := newRun(s, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	r.until(r.origin.Add(5 * time.Second))
	for at := 5100 * time.Millisecond; at < 15*time.Second; at += 100 * time.Millisecond {
		r.until(r.origin.Add(at))
		o := &r.faults.operate
		if len(o.storms) == 0 {
			break
		}
		rest := o.storms[0].rest(r.world, r.view, o)
		for _, kind := range []string{"was still there", "known to be gone", "on its disk"} {
			if strings.Contains(rest, kind) && (len(seen) == 0 || seen[len(seen)-1] != kind) {
				seen = append(seen, kind)
			}
		}
	}
	if len(r.faults.operate.storms) > 0 {
		t.Error("the storm was not over after 15 s")
	}
	got := strings.Join(seen, ", ")
	if !strings.HasPrefix(got, "was still there") && !strings.HasPrefix(got, "known to be gone") || !strings.HasSuffix(got, "on its disk") {
		t.Errorf("seen: %s", got)
	}
}
