// Package bugs is the museum: a table of switches, each of which breaks one rule
// of the protocol as a real system once did. The simulator has to find what
// happens then; a rule whose switch nobody notices is either not needed or not
// checked. Only a scenario can turn a switch on (known_bugs); no property, flag or
// environment variable of brokerd reaches them.
package bugs

import "slices"

// Bug is one switch.
type Bug uint8

// The switches, by the part that they break.
const (
	TruncateToHighWatermark Bug = iota
	JoinAtHighWatermark
	ShrinkBeforeCommitted
	IgnoreBrokerEpoch
	TrustUncleanShutdown
	RejectInsteadOfDeduplicate
	NoSequenceCheck
	AcceptStaleGeneration
	ReassignWithoutISR
	QuorumWithoutFlush
	AdvanceBelowMinISR
	ExpireActiveGroups
	QuorumWithoutPreVote
	QuorumWithoutCheck
	LoadStopsEarly
	ForgetProducersOfLeader
	TombstonesByAge
	CompactPastHighWatermark
	KeepStrays

	count
)

// Exhibit says what a switch breaks.
type Exhibit struct {
	Name   string // as known_bugs has it
	Rule   string // what holds while the switch is off
	Source string // where the rule comes from
}

var exhibits = [count]Exhibit{
	TruncateToHighWatermark: {"repl-truncate-to-hw",
		"A new follower cuts its log where the leader's epochs say that it diverges, not at its own high watermark, which it learns late.",
		"KIP-101, KAFKA-1211"},
	JoinAtHighWatermark: {"isr-join-at-hw",
		"A replica joins the ISR when it has all from before the leader's epoch, since a new leader's high watermark may lag what is committed.",
		"KAFKA-7128"},
	ShrinkBeforeCommitted: {"isr-shrink-optimistic",
		"The high watermark counts every member of the ISR until the controller has recorded that one left.",
		"KIP-497, KAFKA-8836"},
	IgnoreBrokerEpoch: {"isr-ignore-broker-epoch",
		"A replica joins the ISR in the incarnation that fetched, not in one that has lost its tail since.",
		"KIP-903, KAFKA-14617"},
	TrustUncleanShutdown: {"elect-trust-unclean-shutdown",
		"The last member of the ISR is not elected after it lost its unsynced writes while others still have them.",
		"KIP-966"},
	RejectInsteadOfDeduplicate: {"idem-reject-instead-of-dedupe",
		"A batch that is sent again is recognised and acknowledged once more, not refused as out of sequence.",
		"Redpanda 3039, found by Jepsen"},
	NoSequenceCheck: {"idem-no-sequence-check",
		"A leader appends an idempotent producer's batches in sequence only, each once.",
		"KIP-98, KAFKA-5494"},
	AcceptStaleGeneration: {"group-accept-stale-generation",
		"A member commits offsets in the group's present generation only.",
		"KIP-447"},
	ReassignWithoutISR: {"reassign-complete-without-isr",
		"A reassignment ends when its whole target is in sync, not when somebody of it is.",
		"KAFKA-15665"},
	QuorumWithoutFlush: {"raft-no-flush",
		"A voter counts, and votes, for what is on its disk only.",
		"KAFKA-10533"},
	AdvanceBelowMinISR: {"hw-advance-below-min-isr",
		"Consumers see nothing new while fewer than min.insync.replicas are in sync.",
		"KAFKA-15583"},
	ExpireActiveGroups: {"group-expire-active",
		"The committed offsets of a group with members do not expire.",
		"KIP-211, KAFKA-4682"},
	QuorumWithoutPreVote: {"raft-no-prevote",
		"A voter that was cut off asks whether it could win before it starts an election.",
		"KIP-996"},
	QuorumWithoutCheck: {"raft-no-check-quorum",
		"A controller that no majority of the voters answers steps down, though brokers may still reach it.",
		"KAFKA-15489"},
	LoadStopsEarly: {"group-load-stops-early",
		"A coordinator that takes over reads its log to the end before it answers.",
		"KAFKA-5600"},
	ForgetProducersOfLeader: {"idem-state-not-replicated",
		"A follower learns the producers' sequences from what it copies, so that it knows them when it leads.",
		"KIP-98, Redpanda 3039"},
	TombstonesByAge: {"clean-tombstone-by-age",
		"A tombstone's delete.retention.ms begins when it is first compacted, together with the values that go then, not when it was written.",
		"KAFKA-4545, KIP-534"},
	CompactPastHighWatermark: {"compact-past-hw",
		"A record is compacted away for a later one of its key only when that one is committed.",
		"KAFKA-13194"},
	KeepStrays: {"log-keep-strays",
		"A broker that comes back deletes the logs of topics that have been deleted meanwhile, of which no change of the metadata tells it any more.",
		"KAFKA-14616"},
}

// Exhibits lists all switches in the table's order.
func Exhibits() []Exhibit { return exhibits[:] }

// Set is a set of switches that are on. The zero value, which brokerd always has,
// breaks nothing.
type Set uint32

// Has reports whether a switch is on.
func (s Set) Has(b Bug) bool { return s&(1<<b) != 0 }

// With returns the set with the named switch on as well, false if there is none of
// that name.
func (s Set) With(name string) (Set, bool) {
	i := slices.IndexFunc(exhibits[:], func(e Exhibit) bool { return e.Name == name })
	if i < 0 {
		return s, false
	}
	return s | 1<<i, true
}
