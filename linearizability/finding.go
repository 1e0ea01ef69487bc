package linearizability

import (
	"fmt"
	"strings"
)

// Kind names what a finding contradicts.
type Kind uint8

const (
	// InconsistentOffset: one slot held two different records (C1).
	InconsistentOffset Kind = iota + 1
	// DuplicateBatch: one batch at two places in a log (C1).
	DuplicateBatch
	// PhantomRecord: a record that nobody had sent, or not to this partition (C1).
	PhantomRecord
	// PhantomRead: a record that was delivered and is not in the log any more.
	PhantomRead
	// FailedAppendPresent: a batch whose producer was told that it failed (C1).
	FailedAppendPresent
	// TornBatch: a record whose index lies outside its batch (C1).
	TornBatch
	// SplitByHighWatermark: a high watermark inside a batch (C2).
	SplitByHighWatermark
	// HoleBelowHighWatermark: a slot below a reported high watermark that nobody wrote (C2).
	HoleBelowHighWatermark
	// ReadAboveHighWatermark: a record delivered above every high watermark told to its reader (C2).
	ReadAboveHighWatermark
	// StaleAppend: an append below what had already returned when it was invoked (C3).
	StaleAppend
	// StaleRead: a strict high watermark below what had already returned (C3).
	StaleRead
	// LostAck: an acknowledged record that is no longer in the log.
	LostAck
	// Reorder: two batches of one producer against its program order.
	Reorder
	// SkippedRecords: a reader jumped over records that are still in the log.
	SkippedRecords
	// NonMonotonicRead: a reader went back without a reset.
	NonMonotonicRead
	// HighWatermarkRegress: lower than before for one reader under one leader epoch.
	HighWatermarkRegress
	// LogStartInvalid: the log start went back, passed the high watermark or had no reason.
	LogStartInvalid
	// DigestMismatch: a re-read of cold blocks differs from what was first seen there.
	DigestMismatch
	// OffsetRewind: a committed offset observed out of order.
	OffsetRewind
	// MetadataRegress: an observer saw an older version after a newer one.
	MetadataRegress
	// MetadataFork: one version of the metadata with two values.
	MetadataFork
	// ProducerIDReused: a (producer id, epoch) handed out twice, or an epoch that did not rise.
	ProducerIDReused
	// TwoOwners: a partition with two owners in one generation or at one moment.
	TwoOwners
	// ZombieCommit: a commit that was accepted from a generation that was over when it was sent.
	ZombieCommit
	// NewestRemoved: the newest record of a key is missing from a compacted log.
	NewestRemoved
	// TombstoneRemoved: a tombstone went before its delete.retention.ms can have passed.
	TombstoneRemoved
	// Resurrected: a reader was given a value and not the tombstone behind it, in time.
	Resurrected
	// CompactedTooYoung: a record is missing that min.compaction.lag.ms protected.
	CompactedTooYoung
)

var kindNames = [...]string{
	InconsistentOffset: "inconsistent-offset", DuplicateBatch: "duplicate-batch",
	PhantomRecord: "phantom-record", PhantomRead: "phantom-read", FailedAppendPresent: "failed-append-present",
	TornBatch: "torn-batch", SplitByHighWatermark: "split-by-high-watermark",
	HoleBelowHighWatermark: "hole-below-high-watermark", ReadAboveHighWatermark: "read-above-high-watermark",
	StaleAppend: "stale-append", StaleRead: "stale-read", LostAck: "lost-ack", Reorder: "reorder",
	SkippedRecords: "skipped-records", NonMonotonicRead: "non-monotonic-read",
	HighWatermarkRegress: "high-watermark-regress", LogStartInvalid: "log-start-invalid",
	DigestMismatch: "digest-mismatch", OffsetRewind: "offset-rewind", MetadataRegress: "metadata-regress",
	MetadataFork: "metadata-fork", ProducerIDReused: "producer-id-reused", TwoOwners: "two-owners",
	ZombieCommit: "zombie-commit", NewestRemoved: "newest-removed", TombstoneRemoved: "tombstone-removed-early",
	Resurrected: "resurrected-key", CompactedTooYoung: "compacted-too-young",
}

func (k Kind) String() string { return kindNames[k] }

// MarshalText makes JSON carry the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Claim is the name of the claim that the finding contradicts; the empty string
// when it contradicts what holds under every configuration.
func (k Kind) Claim() string {
	switch k {
	case LostAck, StaleRead, StaleAppend, HoleBelowHighWatermark:
		return ClaimNoLostAcks
	case DuplicateBatch:
		return ClaimNoBrokerDuplicates
	case Reorder:
		return ClaimNoReorder
	case PhantomRead:
		return ClaimNoPhantomReads
	case InconsistentOffset, DigestMismatch:
		return ClaimNoDivergentReplicas
	case HighWatermarkRegress:
		return ClaimHighWatermarkMonotonic
	case OffsetRewind:
		return ClaimNoOffsetRewind
	case TwoOwners, ZombieCommit:
		return ClaimSingleOwner
	case NewestRemoved:
		return ClaimNewestKept
	case TombstoneRemoved, CompactedTooYoung:
		return ClaimCompactionLags
	case Resurrected:
		return ClaimNoResurrectedKeys
	}
	return ""
}

// Witness is one of the two observations that contradict each other. Event 0
// means that the observation has left the bounded memory of the checker.
type Witness struct {
	Event  uint64  `json:"event"`
	Batch  BatchID `json:"batch,omitempty"`
	Offset int64   `json:"offset"`
	Action string  `json:"action"` // what happened, in the past tense
}

// Finding is one contradiction with its two witnesses.
type Finding struct {
	Kind      Kind      `json:"kind"`
	Partition Partition `json:"partition"`
	Offset    int64     `json:"offset"`
	Records   int64     `json:"records"` // how many records it concerns, >= 1
	First     Witness   `json:"first"`
	Second    Witness   `json:"second"`
}

func (f Finding) String() string { return f.Describe(f.Partition.String(), nil) }

// Describe prints one sentence. name is how users call the partition; when, if
// not nil, prints the virtual time of an event, for example "t=12.300s".
func (f Finding) Describe(name string, when func(event uint64) string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s@%d: ", f.Kind, name, f.Offset)
	f.First.describe(&text, when)
	if f.Second.Action != "" {
		text.WriteString("; ")
		f.Second.describe(&text, when)
	}
	text.WriteByte('.')
	return text.String()
}

func (w Witness) describe(text *strings.Builder, when func(event uint64) string) {
	if w.Batch != 0 {
		fmt.Fprintf(text, "%s ", w.Batch)
	}
	text.WriteString(w.Action)
	switch {
	case w.Event == 0:
	case when != nil:
		fmt.Fprintf(text, " at %s (event %d)", when(w.Event), w.Event)
	default:
		fmt.Fprintf(text, " (event %d)", w.Event)
	}
}

// Findings is a bounded list with the true total.
type Findings struct {
	List  []Finding `json:"list"`
	Total int64     `json:"total"`
}

// findingsMax bounds the list; later findings are mostly echoes of the first.
const findingsMax = 256

func (f *Findings) add(finding Finding) {
	if finding.Records == 0 {
		finding.Records = 1
	}
	f.Total++
	if len(f.List) < findingsMax {
		f.List = append(f.List, finding)
	}
}
