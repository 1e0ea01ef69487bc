package linearizability

import "testing"

// Goal: what a reader and the high watermark had shown before a permitted
// truncation does not contradict the log that goes on below it.
// Method: the recorded window of a run in which read records are cut off and
// their offsets are taken by others.
func TestSampleForgetsWhatWasTruncated(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks = false
	c, p := NewChecker(Config{Asserted: permitted}), testPartition
	sample := c.Sample(p, WindowConfig{Asserted: permitted})
	write := func(id BatchID, base int64, event uint64) {
		c.Invoke(p, id, 10, true, event)
		c.Acked(p, id, base, event+1)
	}
	read := func(reader int32, id BatchID, base int64, event uint64) {
		c.HighWatermark(reader, p, base+10, 1, false, event)
		c.ReadBatch(reader, p, base, 10, id, 0, event)
	}
	write(NewBatchID(1, 1), 0, 1)
	write(NewBatchID(1, 2), 10, 3)
	read(1, NewBatchID(1, 1), 0, 5)
	read(1, NewBatchID(1, 2), 10, 6)
	c.Truncated(p, 10, testCause, 7)
	write(NewBatchID(2, 1), 10, 8)
	c.InvokeRead(9, p, 10)
	c.HighWatermark(9, p, 20, 2, true, 11)
	c.ReaderReset(9, p, 0, 11)
	c.ReadBatch(9, p, 0, 10, NewBatchID(1, 1), 0, 12)
	c.ReadBatch(9, p, 10, 10, NewBatchID(2, 1), 0, 12)
	c.Drained(9, p, 20, 13)
	if report := c.Finish(); report.Verdict != Ok || report.PermittedLost != 10 {
		t.Errorf("streaming: %s", report.Summary())
	}
	if got := sample.Check(); got.Verdict != Ok || got.Permitted != 0 {
		t.Errorf("porcupine: %s, %v, %v, %d permitted", got.Verdict, got.Findings, got.Notes, got.Permitted)
	}
}

// Goal: an attempt that survives below a truncation takes its place there, though
// readers had seen another one above it.
func TestTruncationLeavesAnEarlierAttempt(t *testing.T) {
	permitted := AssertAll()
	permitted.NoLostAcks, permitted.NoDuplicates, permitted.NoReorder = false, false, false
	r := NewRecorder(testPartition, WindowConfig{Asserted: permitted})
	twice, other := NewBatchID(1, 1), NewBatchID(2, 1)
	r.Invoke(other, 2, false, 1)
	r.Invoke(twice, 2, false, 2)
	read := func(base int64, id BatchID, event uint64) {
		r.ReadBatch(9, base, 2, id, 0, event)
	}
	read(0, other, 3)
	r.ReaderReset(9, 6, 4)
	read(6, twice, 5) // what the first leader answered
	r.Truncated(4, 6) // and what its successor has instead
	r.ReaderReset(9, 0, 8)
	read(0, other, 9)
	read(2, twice, 10)
	r.Drained(9, 4, 11)
	if got := r.Check(); got.Verdict != Ok || got.Permitted != 0 || got.Operations == 0 {
		t.Errorf("%s %v %v, %d permitted", got.Verdict, got.Findings, got.Notes, got.Permitted)
	}
}
