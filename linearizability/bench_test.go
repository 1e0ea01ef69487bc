package linearizability

import (
	"os"
	"runtime"
	"testing"
)

// workload drives the checker as a busy simulation would: several producers with
// batches in flight over some partitions, acks out of order, two readers of each
// partition (one lagging by lag batches), a watermark per read.
type workload struct {
	checker    *Checker
	partitions []Partition
	next       []int64     // end offset per partition
	sequence   []uint64    // per producer
	flight     [][]BatchID // per partition, appended and not yet acked
	bases      [][]int64
	event      uint64
	history    [][]placedBatch // ring of recent batches per partition
	lag        int64
	appended   []int64
	acksAll    bool
}

type placedBatch struct {
	id   BatchID
	base int64
}

const (
	workloadRecords = 100
	workloadRing    = 1 << 15
)

func newWorkload(partitions int, lag int64) *workload {
	w := &workload{checker: NewChecker(Config{Asserted: AssertAll()}), lag: lag, acksAll: true,
		next: make([]int64, partitions), sequence: make([]uint64, partitions), flight: make([][]BatchID, partitions),
		bases: make([][]int64, partitions), history: make([][]placedBatch, partitions), appended: make([]int64, partitions)}
	for i := range partitions {
		w.partitions = append(w.partitions, Partition{0, int32(i)})
		w.history[i] = make([]placedBatch, workloadRing)
	}
	return w
}

// batch is one batch's whole life: invoke, ack, watermark and two reads.
func (w *workload) batch(i int) {
	at := i % len(w.partitions)
	p := w.partitions[at]
	w.event++
	w.sequence[at]++
	id := NewBatchID(uint32(at+1), w.sequence[at])
	base := w.next[at]
	w.next[at] += workloadRecords
	w.checker.Invoke(p, id, workloadRecords, w.acksAll, w.event)
	w.flight[at] = append(w.flight[at], id)
	w.bases[at] = append(w.bases[at], base)
	w.history[at][w.appended[at]&(workloadRing-1)] = placedBatch{id, base}
	w.appended[at]++
	if len(w.flight[at]) < 5 {
		return
	}
	for _, j := range [...]int{1, 0, 3, 2, 4} { // acks cross each other
		w.checker.Acked(p, w.flight[at][j], w.bases[at][j], w.event)
	}
	w.flight[at], w.bases[at] = w.flight[at][:0], w.bases[at][:0]
	w.checker.HighWatermark(1, p, w.next[at], 1, false, w.event)
	w.checker.HighWatermark(2, p, w.next[at], 1, false, w.event)
	for n := w.appended[at] - 5; n < w.appended[at]; n++ {
		w.read(1, at, n)
		if n >= w.lag {
			w.read(2, at, n-w.lag)
		}
	}
}

func (w *workload) read(reader int32, at int, n int64) {
	b := w.history[at][n&(workloadRing-1)]
	w.checker.ReadBatch(reader, w.partitions[at], b.base, workloadRecords, b.id, 0, w.event)
}

func benchmarkStreaming(b *testing.B, partitions int, lag int64) {
	w := newWorkload(partitions, lag)
	for i := range 100_000 {
		w.batch(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		w.batch(i)
	}
	b.StopTimer()
	if w.checker.report.Findings.Total > 0 {
		b.Fatal(w.checker.report.Findings.List[0])
	}
	// A batch is an invoke, an ack, two reads and two fifths of a watermark.
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4.4, "ns/call")
}

func BenchmarkStreamingHot(b *testing.B)  { benchmarkStreaming(b, 24, 100) }
func BenchmarkStreamingCold(b *testing.B) { benchmarkStreaming(b, 24, 20_000) }

func BenchmarkWindows(b *testing.B) {
	const batches = 50_000
	for b.Loop() {
		r := NewRecorder(testPartition, WindowConfig{Asserted: AssertAll(), OperationsMax: 1 << 21})
		for i := range uint64(batches) {
			id := NewBatchID(1, i+1)
			r.Invoke(id, 10, true, i)
			r.Acked(id, int64(i)*10, i)
			r.HighWatermark(1, int64(i)*10+10, 1, false, i)
			r.ReadBatch(1, int64(i)*10, 10, id, 0, i)
		}
		if result := r.Check(); len(result.Findings) > 0 {
			b.Fatal(result.Findings[0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(3*batches), "ns/operation")
}

// TestMemoryIsBounded: the checker allocates nothing more between a hundred
// thousand batches and many more, hot or cold. LONG=1 runs ten million.
func TestMemoryIsBounded(t *testing.T) {
	batches := 600_000
	if os.Getenv("LONG") != "" {
		batches = 10_000_000
	}
	for _, lag := range []int64{10, 20_000} {
		w := newWorkload(4, lag)
		for i := range 200_000 {
			w.batch(i)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range batches {
			w.batch(i)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
			t.Errorf("lag %d: the heap grew by %d bytes over %d batches", lag, grown, batches)
		}
		t.Logf("lag %d: heap %d KiB, of it %d KiB the test's own", lag, after.HeapAlloc>>10, 4*workloadRing*16>>10)
		if report := w.checker.report; report.Findings.Total > 0 || report.Unverified > 0 {
			t.Errorf("lag %d: %d findings, %d unverified", lag, report.Findings.Total, report.Unverified)
		}
		runtime.KeepAlive(w)
	}
}
