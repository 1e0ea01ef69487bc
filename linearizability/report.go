package linearizability

import "fmt"

// Verdict is what a checker concludes. Only Ok passes a run.
type Verdict uint8

const (
	// Ok: everything was decided and nothing contradicts the claims.
	Ok Verdict = iota
	// Violation: at least one finding contradicts a claim that was made.
	Violation
	// Inconclusive: no violation, but something could not be decided.
	Inconclusive
)

func (v Verdict) String() string { return [...]string{"ok", "violation", "inconclusive"}[v] }

// MarshalText makes JSON carry the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Cause is the caller's index for a reason of permitted loss, 0 to causesMax-1.
type Cause uint8

// causesMax bounds the reasons for permitted loss that a caller may name.
const causesMax = 16

// Report is what the streaming checker has to say at the end. All counts are records.
type Report struct {
	Verdict Verdict `json:"verdict"`

	BatchesInvoked int64 `json:"batches_invoked"`
	Acked          int64 `json:"acked"`     // acknowledged, whatever acks was
	Delivered      int64 `json:"delivered"` // distinct slots delivered to at least one reader
	Redelivered    int64 `json:"redelivered"`
	Lost           int64 `json:"lost"` // acknowledged and not in the log at the end
	Duplicated     int64 `json:"duplicated"`
	Reordered      int64 `json:"reordered"`
	Skipped        int64 `json:"skipped"`
	Expired        int64 `json:"expired"`   // jumped over by a reader because the log start had passed
	Vanished       int64 `json:"vanished"`  // delivered to a reader, and cut off by an announced truncation for good
	Compacted      int64 `json:"compacted"` // offsets of compacted partitions at which the drain found nothing

	// PermittedLost is the part of Lost for which the claim was not made.
	PermittedLost int64 `json:"permitted_lost"`
	// LossByCause is the part of Lost that the caller announced with Truncated
	// or Gone. Lost minus their sum was lost for no announced reason.
	LossByCause [causesMax]int64 `json:"loss_by_cause"`

	// Partitions are those that were written to, each with its part of Lost. Of
	// one that was not drained it is not known what it has lost besides.
	Partitions []PartitionLoss `json:"-"`

	Unverified           int64 `json:"unverified"` // re-reads in cold blocks that could not be compared
	UnverifiedWatermarks int64 `json:"unverified_watermarks"`

	Findings     Findings `json:"findings"`
	Permitted    Findings `json:"permitted"`    // against claims that were not made
	Phantoms     Findings `json:"phantoms"`     // what Vanished counts, one for each partition
	Inconclusive []string `json:"inconclusive"` // reasons, each once
}

// PartitionLoss is what one partition has lost, in records.
type PartitionLoss struct {
	Name    Partition
	Lost    int64
	Drained bool
}

// Summary is one line for people.
func (r *Report) Summary() string {
	return fmt.Sprintf("%s: %d acked, %d delivered, %d lost (%d permitted), %d duplicated, %d reordered, %d unverified, %d findings",
		r.Verdict, r.Acked, r.Delivered, r.Lost, r.PermittedLost, r.Duplicated, r.Reordered, r.Unverified, r.Findings.Total)
}

// UnannouncedLoss is Lost minus what the caller announced by cause. Where loss
// is permitted it must still be zero for "predicted equals observed" to hold.
func (r *Report) UnannouncedLoss() int64 {
	left := r.Lost
	for _, count := range r.LossByCause {
		left -= count
	}
	return left
}

func (r *Report) inconclusive(reason string) {
	for _, known := range r.Inconclusive {
		if known == reason {
			return
		}
	}
	if len(r.Inconclusive) < findingsMax {
		r.Inconclusive = append(r.Inconclusive, reason)
	}
}

func (r *Report) conclude() {
	if r.Unverified > 0 {
		r.inconclusive("some re-reads of cold blocks could not be compared")
	}
	if r.UnverifiedWatermarks > 0 {
		r.inconclusive("some high watermarks lay below the hot window")
	}
	switch {
	case r.Findings.Total > 0:
		r.Verdict = Violation
	case len(r.Inconclusive) > 0:
		r.Verdict = Inconclusive
	default:
		r.Verdict = Ok
	}
}
