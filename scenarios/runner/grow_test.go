package runner

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/reports"
)

// Goal: partitions that are added under load, while a broker is down too, get
// their leaders, are found by producers and consumers through their metadata, and
// are read to their end like the others.
func TestPartitionsAreAdded(t *testing.T) {
	s := load(t, "{ acks: all, enable.idempotence: true, request.timeout.ms: 5000, metadata.max.age.ms: 3000 }",
		"[{ at: 8s, operator: add_partitions, topic: orders, partitions: 5 }, { at: 10s, for: 10s, fault: kill, target: { leader_of: orders/4 } }, { at: 12s, operator: add_partitions, topic: orders, partitions: 6 }]",
		"{ safety: [no_lost_acks, no_reorder, no_broker_duplicates, no_divergent_replicas], during_fault: { produce_errors: { count: \"==0\" } } }")
	for seed := uint64(1); seed <= 3; seed++ {
		res := runSeed(t, s, seed)
		if res.Verdict != reports.Pass || res.Records.Acked != 4000 || res.Records.Unverified != 0 {
			t.Errorf("seed %d: %d acked, %d unverified\n%s", seed, res.Records.Acked, res.Records.Unverified, reports.Text(res, false))
		}
		written := 0
		for _, p := range res.Unavailability {
			added := p.Partition == "orders-3" || p.Partition == "orders-4" || p.Partition == "orders-5"
			if added && p.LongestSeconds > 0 { // from the first record offered to its acknowledgement, at least
				written++
			}
		}
		if written != 3 {
			t.Errorf("seed %d: %d of the 3 added partitions were written to", seed, written)
		}
	}
}
