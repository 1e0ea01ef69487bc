package linearizability

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Goal: permitted loss is counted exactly and never reported as a violation; the
// same loss under the claim is one.

const testCause = Cause(3)

func lossyRun(asserted Asserted, acksAll bool, lose func(c *Checker, p Partition)) *Report {
	c := NewChecker(Config{Asserted: asserted})
	p := testPartition
	for i := range uint64(4) {
		id := NewBatchID(1, i+1)
		c.Invoke(p, id, 10, acksAll, i)
		c.Acked(p, id, int64(i)*10, i)
	}
	seen := int64(2) // batches that reach a consumer before the loss
	c.HighWatermark(1, p, seen*10, 1, false, 10)
	for i := range seen {
		c.ReadBatch(1, p, i*10, 10, NewBatchID(1, uint64(i+1)), 0, 10)
	}
	lose(c, p)
	// The log goes on with another batch where the lost ones had been.
	id := NewBatchID(2, 1)
	c.Invoke(p, id, 5, acksAll, 20)
	c.Acked(p, id, 20, 21)
	c.InvokeRead(9, p, 22)
	c.HighWatermark(9, p, 25, 2, true, 23)
	c.ReaderReset(9, p, 0, 23)
	c.ReadBatch(9, p, 0, 10, NewBatchID(1, 1), 0, 24)
	c.ReadBatch(9, p, 10, 10, NewBatchID(1, 2), 0, 24)
	c.ReadBatch(9, p, 20, 5, id, 0, 24)
	c.Drained(9, p, 25, 25)
	return c.Finish()
}

func TestLossIsCountedByCause(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	truncated := func(c *Checker, p Partition) { c.Truncated(p, 20, testCause, 15) }
	gone := func(c *Checker, p Partition) {
		c.Gone(p, NewBatchID(1, 3), testCause, 15)
		c.Gone(p, NewBatchID(1, 4), testCause, 15)
	}
	type outcome struct {
		Verdict                      Verdict
		Acked, Lost, Permitted       int64
		ByCause, Unannounced, Double int64
	}
	for _, test := range []struct {
		name     string
		asserted Asserted
		acksAll  bool
		lose     func(*Checker, Partition)
		want     outcome
	}{
		{"truncated, permitted", permitted, true, truncated, outcome{Ok, 45, 20, 20, 20, 0, 0}},
		{"truncated, claimed", AssertAll(), true, truncated, outcome{Violation, 45, 20, 0, 20, 0, 0}},
		{"acks=1, announced", permitted, false, gone, outcome{Ok, 45, 20, 20, 20, 0, 0}},
		{"acks=1, unannounced", permitted, false, func(*Checker, Partition) {}, outcome{Ok, 45, 20, 20, 0, 20, 0}},
		// Five of the twenty slots hold another batch now: a violation of its own.
		{"acks=all, unannounced", permitted, true, func(*Checker, Partition) {}, outcome{Violation, 45, 15, 15, 0, 15, 0}},
	} {
		report := lossyRun(test.asserted, test.acksAll, test.lose)
		got := outcome{report.Verdict, report.Acked, report.Lost, report.PermittedLost, report.LossByCause[testCause], report.UnannouncedLoss(), report.Duplicated}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s\n%v %v", test.name, diff, report.Findings.List, report.Inconclusive)
		}
	}
}

// TestTruncationBelowTheHotWindow is undecided: what is left of a block whose end
// was cut off cannot be compared. It must not look like a violation.
func TestTruncationBelowTheHotWindow(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	c := NewChecker(Config{Asserted: permitted, HotRuns: hotRunsMin})
	p := testPartition
	const batches, kept = 100, 30
	write := func(producer uint32, from, to uint64) {
		for i := from; i < to; i++ {
			id := NewBatchID(producer, i+1)
			c.Invoke(p, id, 10, true, i)
			c.Acked(p, id, int64(i)*10, i)
		}
	}
	write(1, 0, batches)
	c.Truncated(p, kept*10, testCause, 200)
	write(2, kept, batches)
	c.InvokeRead(9, p, 300)
	c.HighWatermark(9, p, batches*10, 2, true, 300)
	c.ReaderReset(9, p, 0, 300)
	for i := range uint64(batches) {
		producer := uint32(1)
		if i >= kept {
			producer = 2
		}
		c.ReadBatch(9, p, int64(i)*10, 10, NewBatchID(producer, i+1), 0, 300)
	}
	c.Drained(9, p, batches*10, 301)
	if report := c.Finish(); report.Verdict != Inconclusive || report.Unverified == 0 {
		t.Errorf("%s %v", report.Summary(), report.Findings.List)
	}
}

func TestFindingsReadAsSentences(t *testing.T) {
	c := NewChecker(Config{Asserted: AssertAll()})
	p := testPartition
	c.Invoke(p, NewBatchID(7, 118), 2, true, 9100)
	c.Invoke(p, NewBatchID(2, 77), 1, true, 9110)
	c.Acked(p, NewBatchID(7, 118), 42, 9131)
	c.HighWatermark(5, p, 44, 4, false, 9240)
	c.ReadBatch(5, p, 42, 1, NewBatchID(2, 77), 0, 9240)
	report := c.Finish()
	want := "inconsistent-offset orders-3@42: p7#118 was placed at 42 to 43 at t=9.131s (event 9131); p2#77 was at 42 at t=9.240s (event 9240)."
	when := func(event uint64) string { return map[uint64]string{9131: "t=9.131s", 9240: "t=9.240s"}[event] }
	if diff := cmp.Diff(want, report.Findings.List[0].Describe("orders-3", when)); diff != "" {
		t.Error(diff)
	}
	if report.Verdict != Violation || len(report.Inconclusive) == 0 {
		t.Errorf("verdict %s, inconclusive %v: an undrained partition must be named", report.Verdict, report.Inconclusive)
	}
}

// TestUndrainedIsInconclusive: nothing wrong was seen, and nothing is proved.
func TestUndrainedIsInconclusive(t *testing.T) {
	c := NewChecker(Config{Asserted: AssertAll()})
	c.Invoke(testPartition, NewBatchID(1, 1), 1, true, 1)
	c.Acked(testPartition, NewBatchID(1, 1), 0, 2)
	if report := c.Finish(); report.Verdict != Inconclusive {
		t.Errorf("verdict %s", report.Verdict)
	}
}

// TestPendingIsBounded: more in doubt than can be remembered is said, not hidden.
func TestPendingIsBounded(t *testing.T) {
	c := NewChecker(Config{Asserted: AssertAll(), PendingMax: 10})
	for i := range uint64(11) {
		c.Invoke(testPartition, NewBatchID(1, i+1), 1, true, i)
	}
	if report := c.Finish(); report.Verdict != Inconclusive || len(c.pending) > 10 {
		t.Errorf("verdict %s with %d pending", report.Verdict, len(c.pending))
	}
}

// TestRecorderStopsAtItsBound: what was recorded before the bound stays exact.
func TestRecorderStopsAtItsBound(t *testing.T) {
	run := func(corrupt uint64) WindowResult {
		r := NewRecorder(testPartition, WindowConfig{Asserted: AssertAll(), OperationsMax: 1000})
		for i := range uint64(5000) {
			id := NewBatchID(1, i+1)
			r.Invoke(id, 3, true, i)
			r.Acked(id, int64(i)*3, i)
			if i == corrupt {
				id++
			}
			r.ReadBatch(1, int64(i)*3, 3, id, 0, i)
		}
		if limit, full := r.Full(); !full || limit != 1500 || len(r.operations) > 1001 {
			t.Errorf("limit %d, full %v, %d operations", limit, full, len(r.operations))
		}
		return r.Check()
	}
	if result := run(1 << 40); result.Verdict != Ok || result.Operations < 900 {
		t.Errorf("%s with %d operations: %v %v", result.Verdict, result.Operations, result.Findings, result.Notes)
	}
	if result := run(250); result.Verdict != Violation {
		t.Errorf("a corrupted read below the limit: %s", result.Verdict)
	}
}

// TestEarlierAttemptSurvives: a batch that was acknowledged in a log which is
// dropped may be read again, once, at the place of an attempt that nobody
// answered. A batch that was never cut off may not.
func TestEarlierAttemptSurvives(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	for _, test := range []struct {
		name     string
		second   bool // its second place is read as well
		stranger bool // the batch was acknowledged below the cut
		want     Verdict
	}{
		{"once", false, false, Ok},
		{"twice", true, false, Violation},
		{"not cut off", false, true, Violation},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := NewChecker(Config{Asserted: permitted})
			p := testPartition
			window := c.Sample(p, WindowConfig{Asserted: permitted})
			low, high := NewBatchID(1, 1), NewBatchID(1, 2)
			for i, id := range []BatchID{low, high} {
				c.Invoke(p, id, 10, true, 1)
				c.Acked(p, id, int64(i)*30, 2)
			}
			c.Truncated(p, 10, testCause, 3)
			back, end := high, int64(20)
			if test.stranger {
				back = low
			}
			if test.second {
				end = 30
			}
			c.InvokeRead(9, p, 4)
			c.HighWatermark(9, p, end, 2, true, 5)
			c.ReaderReset(9, p, 0, 5)
			c.ReadBatch(9, p, 0, 10, low, 0, 6)
			for at := int64(10); at < end; at += 10 {
				c.ReadBatch(9, p, at, 10, back, 0, 6)
			}
			c.Drained(9, p, end, 7)
			report := c.Finish()
			if report.Verdict != test.want || report.Lost != 10 {
				t.Errorf("%v with %d lost, want %v with 10\n%v %v", report.Verdict, report.Lost, test.want, report.Findings.List, report.Inconclusive)
			}
			if got := window.Check(); got.Verdict != Ok {
				t.Errorf("porcupine, below the cut: %v %v %v", got.Verdict, got.Findings, got.Notes)
			}
		})
	}
}

// TestRetentionIsNoLoss: with acks=1 the place of a batch that nobody has seen is
// known from its answer. What retention deletes there is not lost, unless it had
// been cut off before, or was acknowledged by a leader that had a successor, or
// the log start moved for no reason.
func TestRetentionIsNoLoss(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	id, p := NewBatchID(1, 1), testPartition
	for _, test := range []struct {
		name          string
		happens       func(c *Checker)
		lost, expired int64
	}{
		{"deleted", func(c *Checker) { c.LogStart(p, 20, RetentionReason, 3) }, 0, 10},
		{"deleted, then cut", func(c *Checker) {
			c.LogStart(p, 20, RetentionReason, 3)
			c.Truncated(p, 5, testCause, 4)
		}, 0, 10},
		{"cut, then deleted", func(c *Checker) {
			c.Truncated(p, 5, testCause, 3)
			c.LogStart(p, 20, RetentionReason, 4)
		}, 10, 0},
		{"deleted in part", func(c *Checker) { c.LogStart(p, 9, RetentionReason, 3) }, 10, 0},
		{"for no reason", func(c *Checker) { c.LogStart(p, 20, 0, 3) }, 10, 0},
	} {
		c := NewChecker(Config{Asserted: permitted})
		c.Invoke(p, id, 10, false, 1)
		c.Acked(p, id, 0, 2)
		test.happens(c)
		c.ReaderReset(9, p, 20, 5)
		c.Drained(9, p, 20, 5)
		report := c.Finish()
		if report.Lost != test.lost || report.Expired != test.expired {
			t.Errorf("%s: %d lost, %d expired; want %d and %d", test.name, report.Lost, report.Expired, test.lost, test.expired)
		}
		if got := report.Partitions; len(got) != 1 || got[0].Lost != test.lost || !got[0].Drained {
			t.Errorf("%s: partitions %+v", test.name, got)
		}
	}
}

// TestWhatComesBackIsNotLost: an election cuts off what was acknowledged, or has
// done so by the time of the answer, and another one brings it back.
func TestWhatComesBackIsNotLost(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	id, p := NewBatchID(1, 1), testPartition
	for _, test := range []struct {
		name    string
		acksAll bool
		late    bool // the answer comes after the cut
		seen    int64
		lost    int64
	}{
		{"acks=all", true, false, 0, 0},
		{"acks=all, late", true, true, 0, 0},
		{"acks=1", false, false, 0, 0},
		{"acks=1, late", false, true, 0, 0},
		{"another attempt, acks=all", true, false, 5, 10},
		{"another attempt, acks=1", false, true, 5, 10},
		{"nothing", false, true, -1, 10},
	} {
		c := NewChecker(Config{Asserted: permitted})
		c.Invoke(p, id, 10, test.acksAll, 1)
		if !test.late {
			c.Acked(p, id, 0, 2)
		}
		c.Truncated(p, 0, testCause, 3)
		if test.late {
			c.AckedInVain(p, id, 0, testCause, 4)
		}
		if got := c.report.LossByCause[testCause]; got != 10 {
			t.Errorf("%s: %d lost after the cut, want 10", test.name, got)
		}
		if test.seen >= 0 {
			c.ReaderReset(9, p, test.seen, 5)
			c.ReadBatch(9, p, test.seen, 10, id, 0, 6)
		}
		c.Finish()
		if r := &c.report; r.Lost != test.lost || r.PermittedLost != test.lost || r.LossByCause[testCause] != test.lost {
			t.Errorf("%s: %d lost, %d permitted, %d by cause; want %d", test.name, r.Lost, r.PermittedLost, r.LossByCause[testCause], test.lost)
		}
	}
}

// Goal: an attempt that survives at the offset at which another one was
// acknowledged does not bring the acknowledged one back, and the same one does.
func TestAnotherAttemptIsNotTheAcknowledgedOne(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	for _, another := range []bool{false, true} {
		c, p, id := NewChecker(Config{Asserted: permitted}), testPartition, NewBatchID(1, 1)
		c.Invoke(p, id, 3, true, 1)
		c.Acked(p, id, 0, 2)
		c.Truncated(p, 0, testCause, 3)
		if another {
			c.AnotherAttempt(p, id)
		}
		c.InvokeRead(9, p, 4)
		c.HighWatermark(9, p, 3, 2, true, 5)
		c.ReadBatch(9, p, 0, 3, id, 0, 5)
		c.Drained(9, p, 3, 6)
		want := int64(0)
		if another {
			want = 3
		}
		if report := c.Finish(); report.Lost != want || report.LossByCause[testCause] != want || report.Verdict != Ok {
			t.Errorf("another attempt %v: %d lost, want %d: %s", another, report.Lost, want, report.Summary())
		}
	}
}

// Goal: a reader that a deposed leader still serves goes on where it stood, which is
// no jump over what was cut off; any other jump is one.
func TestReaderOfADeposedLeader(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	for _, test := range []struct {
		name string
		next []int64 // where its reads begin after the cut, each of one record
		want bool    // whether they are in order
	}{
		{"goes on", []int64{3, 4}, true},
		{"learns of the cut", []int64{0, 1}, true},
		{"goes on, and learns of it later", []int64{3, 0}, false}, // without a reset
		{"jumps elsewhere", []int64{2}, false},
		{"learns of it, then jumps", []int64{0, 3}, false},
	} {
		c, p := NewChecker(Config{Asserted: permitted}), testPartition
		for i := range 3 {
			id := NewBatchID(1, uint64(i+1))
			c.Invoke(p, id, 1, true, 1)
			c.Acked(p, id, int64(i), 2)
			c.HighWatermark(9, p, int64(i+1), 1, false, 3)
			c.ReadBatch(9, p, int64(i), 1, id, 0, 3)
		}
		c.Truncated(p, 0, testCause, 4)
		for i, at := range test.next {
			id := NewBatchID(2, uint64(i+1))
			c.Invoke(p, id, 1, true, 5)
			c.HighWatermark(9, p, 10, int32(2+i), false, 6)
			c.ReadBatch(9, p, at, 1, id, 0, 6)
		}
		report := c.Finish()
		if got := !slices.ContainsFunc(report.Findings.List, func(f Finding) bool { return f.Kind == SkippedRecords || f.Kind == NonMonotonicRead }); got != test.want {
			t.Errorf("%s: in order %v, want %v: %s", test.name, got, test.want, report.Summary())
		}
	}
}
