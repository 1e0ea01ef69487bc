package log

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// Goal: a log whose segments end before the next one begins, as Kafka's compaction
// leaves them, is read as a whole from every offset, searched by time, truncated
// within a gap and compacted further, however it was shut down. Method: the last
// batches of segments, and one whole segment, are cut off on the disk of a stopped
// node.
func TestGapsBetweenSegments(t *testing.T) {
	for _, how := range []string{"clean", "kill"} {
		t.Run(how, func(t *testing.T) { testGaps(t, how) })
	}
}

func testGaps(t *testing.T, how string) {
	cfg := testConfig()
	cfg.TopicDefaults.SegmentBytes = 400
	cfg.TopicDefaults.MaxCompactionLagMillis = 1 << 40
	cfg.TopicDefaults.CleanupPolicy = config.CleanupCompact
	r := newRig(cfg)
	r.create()
	r.settle()
	left := map[int64]bool{}
	for i := range int64(30) {
		if _, err := r.append(batchOptions{bytes: 30, timestamp: 1000 + 10*i}, 0); err != nil {
			t.Fatal(err)
		}
		left[i] = true
	}
	r.settle()
	var cuts []int64 // from where on each sealed segment loses its batches
	bases := []int64{}
	for n, s := range r.log().segments[:len(r.log().segments)-1] {
		cut := s.end - 1
		if n == 2 {
			cut = s.base
		}
		for o := cut; o < s.end; o++ {
			delete(left, o)
		}
		cuts, bases = append(cuts, cut), append(bases, s.base)
	}
	if len(bases) < 5 {
		t.Fatalf("there are %d sealed segments", len(bases))
	}
	r.crash("clean")
	for n, base := range bases {
		cutSegment(t, r.disk, base, cuts[n])
	}
	if how == "kill" {
		delete(r.disk.entries, cleanShutdownFile)
	}
	r.boot()
	r.settle()
	r.log().SetConfig(cfg.TopicDefaults)
	l := r.log()
	if l.StartOffset() != 0 || l.EndOffset() != 30 {
		t.Fatalf("the log is %d to %d", l.StartOffset(), l.EndOffset())
	}
	checkLeft(t, r, left)

	l.SetHighWatermark(30)
	l.TruncateTo(&r.c, cuts[4]) // the end of what is left of a segment
	r.collect()
	r.settle()
	for o := range left {
		if o >= cuts[4] {
			delete(left, o)
		}
	}
	if l.EndOffset() != cuts[4] {
		t.Fatalf("truncated to %d, the log ends at %d", cuts[4], l.EndOffset())
	}
	checkLeft(t, r, left)

	// Records without a key all go; what stays must not stop a reader.
	l.Flush(&r.c)
	r.collect()
	r.settle()
	l.SetHighWatermark(l.EndOffset())
	r.advance(time.Minute)
	if l.cleaned != l.active().base {
		t.Errorf("compacted up to %d; the segment in use begins at %d", l.cleaned, l.active().base)
	}
	for from := range l.EndOffset() {
		r.readAll(t, from, 1)
	}
}

// cutSegment takes the batches from an offset on out of a segment's file, and what
// its indexes say of them.
func cutSegment(t *testing.T, d *memDisk, base, offset int64) {
	t.Helper()
	file := d.entries[segmentPath(thePartition.String(), base, logSuffix)]
	at := 0
	for rest := file.data; len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			t.Fatal(err)
		}
		if b.BaseOffset() >= offset {
			break
		}
		at += len(b)
		rest = after
	}
	index := func(suffix string) *memFile { return d.entries[segmentPath(thePartition.String(), base, suffix)] }
	offsets, _ := decodeOffsetIndex(index(indexSuffix).data, int64(len(file.data)))
	times, _ := decodeTimeIndex(index(timeSuffix).data)
	file.data, file.stable = file.data[:at:at], file.data[:at:at]
	s := segment{base: base, offsets: offsets, times: times}
	s.trim(offset)
	if at > 0 {
		s.maxTimestamp, s.maxOffset = 1000+10*(offset-1), offset-1
		s.seal()
	}
	*index(indexSuffix) = memFile{data: s.offsets.encode(), stable: s.offsets.encode()}
	*index(timeSuffix) = memFile{data: s.times.encode(), stable: s.times.encode()}
}

func checkLeft(t *testing.T, r *rig, left map[int64]bool) {
	t.Helper()
	for from := range r.log().EndOffset() {
		var want, got []int64
		for o := range r.log().EndOffset() {
			if left[o] && o >= from {
				want = append(want, o)
			}
		}
		for _, b := range r.readAll(t, from, 1+int(from%3)*100) {
			got = append(got, b.BaseOffset())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("read from %d:\n%s", from, diff)
		}
		answer := TimeResult{Offset: -1}
		for ms := 1000 + 10*from; ; {
			answer = r.log().OffsetForTime(&r.c, ms, r.log().EndOffset())
			r.collect()
			if !answer.Loading {
				break
			}
			r.settle()
		}
		if text := fmt.Sprint(answer.Err, answer.Found); len(want) > 0 && (text != "<nil> true" || answer.Offset != want[0]) || len(want) == 0 && text != "<nil> false" {
			t.Fatalf("offset at the time of %d: %+v, left is %v", from, answer, want)
		}
	}
}

// Goal: a follower copies what its leader's log has, gaps of a compaction included, also
// when the topic is not compacted any more; and finds it again after a crash. Method: it
// is offered a batch behind a gap until it takes it.
func TestGapOfFormerCompaction(t *testing.T) {
	r := newRig(testConfig())
	r.create()
	r.settle()
	if err := r.appendFollower(batchOptions{}); err != nil {
		t.Fatal(err)
	}
	after := batchOptions{base: 7}
	if err := r.appendFollower(after); !errors.Is(err, ErrOffsetGap) {
		t.Fatalf("a gap that no recovery would expect: %v", err)
	}
	r.settle()
	if err := r.appendFollower(after); err != nil {
		t.Fatal(err)
	}
	r.log().Flush(&r.c)
	r.collect()
	r.settle()
	r.restart("power")
	if got := r.readAll(t, 0, 1<<20); len(got) != 2 || r.log().EndOffset() != 8 {
		t.Fatalf("%d batches up to %d after a power loss", len(got), r.log().EndOffset())
	}
}
