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
		{"one killed, another loses power", func(c *Configuration) { c.Faults.UncleanRestarts = 2 }, without(ClaimNoLostAcks)},
		{"killed, nothing lost", func(c *Configuration) { c.Faults = FaultTraits{UncleanRestarts: 3} }, all},
		{"no ELR", func(c *Configuration) { c.EligibleLeaders = false }, without(ClaimNoLostAcks)},
		{"no ELR, no loss", func(c *Configuration) { c.EligibleLeaders = false; c.Faults.DiskLosingReplicas = 0 }, all},
		{"all lose power, synced", func(c *Configuration) { c.Faults.DiskLosingReplicas = 3; c.Flush = FlushBeforeAck }, all},
		{"all lose disks, synced", func(c *Configuration) { c.Faults.DisksLost = 3; c.Flush = FlushBeforeAck }, without(ClaimNoLostAcks)},
		{"not idempotent", func(c *Configuration) { c.Producers[0].Idempotent = false }, without(ClaimNoBrokerDuplicates, ClaimNoReorder)},
		{"one in flight", func(c *Configuration) { c.Producers[0].Idempotent = false; c.Producers[0].MaxInFlight = 1 }, without(ClaimNoBrokerDuplicates)},
		{"one in flight, acks=0", func(c *Configuration) {
			c.Producers[0] = ProducerTraits{Acks: 0, MaxInFlight: 1}
		}, without(ClaimNoLostAcks, ClaimNoBrokerDuplicates, ClaimNoReorder)},
		{"new session", func(c *Configuration) { c.Producers[0].Restarts = true }, without(ClaimNoBrokerDuplicates)},
		{"new session, transactional", func(c *Configuration) { c.Producers[0].Restarts, c.Producers[0].Transactional = true, true }, all},
		{"state expires", func(c *Configuration) { c.Faults.ProducerStateExpires = true }, without(ClaimNoBrokerDuplicates, ClaimNoReorder)},
		{"state expires, one in flight", func(c *Configuration) { c.Faults.ProducerStateExpires, c.Producers[0].MaxInFlight = true, 1 }, without(ClaimNoBrokerDuplicates)},
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
		if claims.Made(ClaimNoDivergentReplicas) == configuration.UncleanElection || !claims.Made(ClaimNoOffsetRewind) || !claims.Made(ClaimSingleOwner) {
			t.Errorf("%s: a claim that always holds was not made", test.name)
		}
	}
}

// What a group has committed is as durable as __consumer_offsets.
func TestGroupClaims(t *testing.T) {
	for _, test := range []struct {
		name   string
		groups GroupTraits
		faults FaultTraits
		flush  FlushPolicy
		want   bool
	}{
		{"durable by the caller's word", GroupTraits{}, FaultTraits{DiskLosingReplicas: 3, DisksLost: 3}, FlushByOS, true},
		{"no loss", GroupTraits{ReplicationFactor: 1, MinInsyncReplicas: 1}, FaultTraits{}, FlushByOS, true},
		{"one copy", GroupTraits{ReplicationFactor: 1, MinInsyncReplicas: 1}, FaultTraits{DiskLosingReplicas: 1}, FlushByOS, false},
		{"one copy, synced", GroupTraits{ReplicationFactor: 1, MinInsyncReplicas: 1}, FaultTraits{DiskLosingReplicas: 1}, FlushBeforeAck, true},
		{"one copy, synced, disk lost", GroupTraits{ReplicationFactor: 1, MinInsyncReplicas: 1}, FaultTraits{DisksLost: 1}, FlushBeforeAck, false},
		{"min ISR 1", GroupTraits{ReplicationFactor: 3, MinInsyncReplicas: 1}, FaultTraits{DiskLosingReplicas: 1}, FlushByOS, false},
		{"min ISR 2", GroupTraits{ReplicationFactor: 3, MinInsyncReplicas: 2}, FaultTraits{DiskLosingReplicas: 1}, FlushByOS, true},
		{"both copies", GroupTraits{ReplicationFactor: 3, MinInsyncReplicas: 2}, FaultTraits{DiskLosingReplicas: 2}, FlushByOS, false},
		{"unclean", GroupTraits{ReplicationFactor: 3, MinInsyncReplicas: 2, UncleanElection: true}, FaultTraits{}, FlushByOS, false},
	} {
		configuration := safeConfiguration()
		configuration.Groups, configuration.Faults, configuration.Flush = test.groups, test.faults, test.flush
		claims := ComputeClaims(&configuration)
		for _, claim := range claims {
			if !strings.HasSuffix(claim.Why, ".") || strings.Contains(claim.Why, "%!") {
				t.Errorf("%s: %s is not explained in a sentence: %q", test.name, claim.Name, claim.Why)
			}
		}
		if claims.Made(ClaimNoOffsetRewind) != test.want || claims.Made(ClaimSingleOwner) != test.want {
			t.Errorf("%s: made %v and %v, want %v", test.name, claims.Made(ClaimNoOffsetRewind), claims.Made(ClaimSingleOwner), test.want)
		}
	}
}

func TestCompactionClaims(t *testing.T) {
	all := []string{ClaimNewestKept, ClaimCompactionLags, ClaimNoResurrectedKeys}
	for _, test := range []struct {
		name   string
		change func(*Configuration)
		want   []string
	}{
		{"no compacted topic", func(c *Configuration) { c.Compaction.Topics = 0 }, nil},
		{"safe", func(*Configuration) {}, all},
		{"acks=1", func(c *Configuration) { c.Producers[0].Acks = 1 }, []string{ClaimCompactionLags}},
		{"unclean", func(c *Configuration) { c.UncleanElection = true }, nil},
		{"clocks", func(c *Configuration) { c.Compaction.ClocksWrong = true }, []string{ClaimNewestKept}},
		{"a replica away for long", func(c *Configuration) { c.Compaction.AwayMillis = 60_000 }, []string{ClaimNewestKept, ClaimCompactionLags}},
		{"a slow cleaner", func(c *Configuration) { c.Compaction.PassMillis = 60_000 }, []string{ClaimNewestKept, ClaimCompactionLags}},
	} {
		configuration := safeConfiguration()
		configuration.Compaction = CompactionTraits{Topics: 1, DeleteRetentionMillis: 60_000, PassMillis: 2000, AwayMillis: 40_000}
		test.change(&configuration)
		claims := ComputeClaims(&configuration)
		var made []string
		for _, name := range all {
			if claims.Made(name) {
				made = append(made, name)
			}
		}
		if diff := cmp.Diff(test.want, made); diff != "" {
			t.Errorf("%s (-want +made):\n%s", test.name, diff)
		}
	}
}
