package linearizability

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Goal: a hot window that is far too small makes the checker undecided, never
// wrong. Method: the same histories with 16 hot runs and scattered marks.

func checkCold(history []call, asserted Asserted, marks []int64) *Report {
	c := NewChecker(Config{Asserted: asserted, HotRuns: hotRunsMin})
	for _, mark := range marks {
		c.Mark(testPartition, mark)
	}
	c.apply(history)
	return c.Finish()
}

func TestSmallHotWindowIsHonest(t *testing.T) {
	undecided, verified, found, missed := 0, 0, 0, 0
	for seed := range uint64(4000) {
		r := rand.New(rand.NewPCG(seed, 5))
		shape := randomTraits(r)
		shape.steps = 300 + r.IntN(400)
		shape.repeats = seed%5 == 0
		shape.asserted.NoDuplicates = !shape.repeats
		healthy := generate(r, shape)
		marks := []int64{r.Int64N(50), r.Int64N(200)}
		for _, c := range healthy {
			if c.kind == logStartCall {
				marks = append(marks, c.base)
			}
		}
		report := checkCold(healthy, shape.asserted, marks)
		switch {
		case report.Verdict == Violation:
			t.Fatalf("seed %d: a legal history: %v\n%s", seed, report.Findings.List, describe(healthy))
		case report.Verdict == Inconclusive && report.Unverified+report.UnverifiedWatermarks == 0:
			t.Fatalf("seed %d: undecided without a count: %v", seed, report.Inconclusive)
		case report.Verdict == Inconclusive:
			undecided++
		default:
			verified++
		}
		history, _ := mutate(r, slices.Clone(healthy))
		wrong := reference(history, shape.asserted)
		report = checkCold(history, shape.asserted, marks)
		switch {
		case wrong == "" && report.Verdict == Violation:
			t.Fatalf("seed %d: still legal: %v\n%s", seed, report.Findings.List, describe(history))
		case wrong != "" && report.Verdict == Ok:
			t.Fatalf("seed %d: passed with %s\n%s", seed, wrong, describe(history))
		case wrong != "" && report.Verdict == Violation:
			found++
		case wrong != "":
			missed++
		}
	}
	t.Logf("healthy: %d verified, %d undecided; mutated: %d found, %d undecided", verified, undecided, found, missed)
	if verified < 250 || found < 3000 {
		t.Errorf("too little decided: %d healthy, %d mutated", verified, found)
	}
}

// TestColdBlocksAreCompared changes one record of a re-read far below the hot
// window and expects the digest to notice.
func TestColdBlocksAreCompared(t *testing.T) {
	const batches = 3000
	read := func(change func(i int, id BatchID, first int32) (BatchID, int32)) *Report {
		c := NewChecker(Config{Asserted: AssertAll(), HotRuns: 64})
		p := testPartition
		for i := range batches {
			id := NewBatchID(1, uint64(i+1))
			c.Invoke(p, id, 50, true, uint64(i))
			c.Acked(p, id, int64(i)*50, uint64(i))
		}
		c.HighWatermark(7, p, batches*50, 1, false, batches)
		c.ReaderReset(7, p, 0, batches)
		for i := range batches {
			id, first := change(i, NewBatchID(1, uint64(i+1)), 0)
			// Runs are cut elsewhere than batches were, which sums must not notice.
			c.ReadBatch(7, p, int64(i)*50, 20, id, first, batches)
			c.ReadBatch(7, p, int64(i)*50+20, 30, id, first+20, batches)
		}
		c.Drained(7, p, batches*50, batches)
		return c.Finish()
	}
	if report := read(func(_ int, id BatchID, first int32) (BatchID, int32) { return id, first }); report.Verdict != Ok {
		t.Fatalf("unchanged: %s %v %v", report.Summary(), report.Findings.List, report.Inconclusive)
	}
	for _, at := range []int{0, 700, 1310, 2500} {
		if report := read(func(i int, id BatchID, first int32) (BatchID, int32) {
			if i == at {
				id++
			}
			return id, first
		}); report.Verdict != Violation {
			t.Errorf("altered id at batch %d: %s", at, report.Summary())
		}
		if report := read(func(i int, id BatchID, first int32) (BatchID, int32) {
			if i == at {
				first++
			}
			return id, first
		}); report.Verdict != Violation {
			t.Errorf("altered index at batch %d: %s", at, report.Summary())
		}
	}
}
