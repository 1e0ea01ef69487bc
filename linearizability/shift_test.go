package linearizability

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Goal: order in real time is decided on its own merits. Method: only the moments
// of calls are changed, never what they say, so that no slot and no batch is
// inconsistent: batches are sent later, acks and outcomes come earlier or later,
// strict reads are asked later. Many shifts are harmless; the verdicts of both
// checkers must equal the reference's every time.

// shift moves one call to another moment within the life of what it belongs to.
func shift(r *rand.Rand, history []call) []call {
	kind := []callKind{invokeCall, ackCall, ackCall, askCall}[r.IntN(4)]
	from := pick(r, history, func(c call) bool { return c.kind == kind })
	if from < 0 {
		return history
	}
	moved := history[from]
	low, high := 0, len(history)-1
	for i, c := range history {
		switch {
		case i == from:
		case kind == askCall && c.reader == moved.reader && (c.kind == askCall || c.kind == watermarkCall && c.flag),
			kind != askCall && c.id == moved.id && !(kind == ackCall && c.kind == readCall):
			if i < from {
				low = max(low, i+1)
			} else {
				high = min(high, i-1)
			}
		case c.kind == drainCall:
			high = min(high, i-1)
		}
	}
	if high <= low {
		return history
	}
	to := low + r.IntN(high-low+1)
	if kind == invokeCall && r.IntN(2) == 0 {
		to = high
	} else if kind == ackCall && r.IntN(2) == 0 {
		to = low
	}
	history = slices.Delete(history, from, from+1)
	return slices.Insert(history, to, moved)
}

func TestShiftsInTimeAreDecided(t *testing.T) {
	legal, illegal := 0, 0
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 8))
		history := generate(r, randomTraits(r))
		for range 1 + r.IntN(3) {
			history = shift(r, history)
		}
		wrong := reference(history, AssertAll())
		report, window := checkBoth(history, AssertAll(), Config{}, false)
		if (wrong == "") != (report.Verdict == Ok) || (wrong == "") != (window.Verdict == Ok) {
			t.Fatalf("seed %d: reference %q, streaming %s %v %v, windows %s %v %v\n%s", seed, wrong, report.Verdict, report.Findings.List,
				report.Inconclusive, window.Verdict, window.Findings, window.Notes, describe(history))
		}
		if wrong == "" {
			legal++
		} else {
			illegal++
		}
	}
	if legal < 700 || illegal < 700 {
		t.Errorf("unbalanced: %d legal, %d illegal", legal, illegal)
	}
	t.Logf("%d legal, %d illegal", legal, illegal)
}

// TestHoleIsFoundWithoutDrain: a watermark above everything anybody wrote.
func TestHoleIsFoundWithoutDrain(t *testing.T) {
	c := NewChecker(Config{Asserted: AssertAll()})
	c.Invoke(testPartition, NewBatchID(1, 1), 3, true, 1)
	c.Acked(testPartition, NewBatchID(1, 1), 4, 2)
	c.HighWatermark(1, testPartition, 7, 1, false, 3)
	report := c.Finish()
	if report.Verdict != Violation || report.Findings.List[0].Kind != HoleBelowHighWatermark || report.Findings.List[0].Records != 4 {
		t.Errorf("%s %v", report.Summary(), report.Findings.List)
	}
}

// TestHoleOfAnUnansweredBatch: in a history that ends early, what is below the high
// watermark may be a batch whose answer has not come yet.
func TestHoleOfAnUnansweredBatch(t *testing.T) {
	c := NewChecker(Config{Asserted: AssertAll()})
	c.Invoke(testPartition, NewBatchID(1, 1), 3, true, 1)
	c.HighWatermark(1, testPartition, 3, 1, false, 2)
	if report := c.Finish(); report.Verdict != Inconclusive || len(report.Findings.List) > 0 {
		t.Errorf("%s %v", report.Summary(), report.Findings.List)
	}
}

// TestAckWithoutOffsetBindsLaterReads: the place of an acknowledged batch becomes
// known only after a strict read was asked; the answer must cover it all the same.
func TestAckWithoutOffsetBindsLaterReads(t *testing.T) {
	c := NewChecker(Config{Asserted: AssertAll()})
	p, id := testPartition, NewBatchID(1, 1)
	c.Invoke(p, id, 1, true, 1)
	c.Acked(p, id, -1, 2)
	c.InvokeRead(1, p, 3)
	c.HighWatermark(2, p, 1, 1, false, 4)
	c.ReadBatch(2, p, 0, 1, id, 0, 4)
	c.HighWatermark(1, p, 0, -1, true, 5)
	if report := c.Finish(); report.Verdict != Violation || report.Findings.List[0].Kind != StaleRead {
		t.Errorf("%s %v", report.Summary(), report.Findings.List)
	}
}
