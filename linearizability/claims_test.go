package linearizability

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Goal: each condition of the table withdraws exactly the claims it should.

func safeConfiguration() Configuration {
	return Configuration{
		ReplicationFactor: 3, MinInsyncReplicas: 2, EligibleLeaders: true, EpochValidation: true,
		Producers: []ProducerTraits{{Acks: -1, Idempotent: true, MaxInFlight: 5}},
		Consumers: []ConsumerTraits{{}},
		Faults:    FaultTraits{DiskLosingReplicas: 1},
	}
}

func TestClaims(t *testing.T) {
	all := ClaimNoLostAcks + " " + ClaimNoBrokerDuplicates + " " + ClaimNoReorder + " " + ClaimHighWatermarkMonotonic
	without := func(names ...string) string {
		left := " " + all
		for _, name := range names {
			left = strings.Replace(left, " "+name, "", 1)
		}
		return strings.TrimSpace(left)
	}
	for _, test := range []struct {
		name   string
		change func(*Configuration)
		want   string
	}{
		{"safe", func(*Configuration) {}, all},
		{"acks=1", func(c *Configuration) { c.Producers[0].Acks = 1 }, without(ClaimNoLostAcks)},
		{"min ISR 1", func(c *Configuration) { c.MinInsyncReplicas = 1 }, without(ClaimNoLostAcks)},
		{"unclean", func(c *Configuration) { c.UncleanElection = true }, without(ClaimNoLostAcks, ClaimHighWatermarkMonotonic)},
		{"two lose bytes", func(c *Configuration) { c.Faults.DiskLosingReplicas = 2 }, without(ClaimNoLostAcks)},
		{"no ELR", func(c *Configuration) { c.EligibleLeaders = false }, without(ClaimNoLostAcks)},
		{"no ELR, no loss", func(c *Configuration) { c.EligibleLeaders = false; c.Faults.DiskLosingReplicas = 0 }, all},
		{"all lose power, synced", func(c *Configuration) { c.Faults.DiskLosingReplicas = 3; c.Flush = FlushBeforeAck }, all},
		{"all lose disks, synced", func(c *Configuration) { c.Faults.DisksLost = 3; c.Flush = FlushBeforeAck }, without(ClaimNoLostAcks)},
		{"not idempotent", func(c *Configuration) { c.Producers[0].Idempotent = false }, without(ClaimNoBrokerDuplicates, ClaimNoReorder)},
		{"one in flight", func(c *Configuration) { c.Producers[0].Idempotent = false; c.Producers[0].MaxInFlight = 1 }, without(ClaimNoBrokerDuplicates)},
		{"new session", func(c *Configuration) { c.Producers[0].Restarts = true }, without(ClaimNoBrokerDuplicates)},
		{"new session, transactional", func(c *Configuration) { c.Producers[0].Restarts, c.Producers[0].Transactional = true, true }, all},
		{"state expires", func(c *Configuration) { c.Faults.ProducerStateExpires = true }, without(ClaimNoBrokerDuplicates)},
		{"no epoch validation", func(c *Configuration) { c.EpochValidation = false }, without(ClaimNoBrokerDuplicates)},
	} {
		configuration := safeConfiguration()
		test.change(&configuration)
		claims := ComputeClaims(&configuration)
		var made []string
		for _, claim := range claims {
			if claim.Made && strings.Contains(all, claim.Name) {
				made = append(made, claim.Name)
			}
			if !strings.HasSuffix(claim.Why, ".") || strings.Contains(claim.Why, "%!") {
				t.Errorf("%s: %s is not explained in a sentence: %q", test.name, claim.Name, claim.Why)
			}
		}
		if diff := cmp.Diff(test.want, strings.Join(made, " ")); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		if !claims.Made(ClaimNoDivergentReplicas) || !claims.Made(ClaimNoOffsetRewind) || !claims.Made(ClaimSingleOwner) {
			t.Errorf("%s: a claim that always holds was not made", test.name)
		}
	}
}
