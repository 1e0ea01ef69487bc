package runner

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
)

// The buckets of a second are HdrHistogram's for phase.LatencyMin, LatencyMax
// and Digits, so that an interval of the log loses nothing: values share a
// bucket if they agree in their eleven leading bits, and below 2^20 ns in all but
// the nine trailing ones.
const (
	bucketUnitBits = 9  // of 1 us, the least that is told apart
	bucketHalfBits = 10 // half of the 2,048 steps within a power of two
	bucketHalf     = 1 << bucketHalfBits
)

func bucketOf(ns int64) uint32 {
	power := bits.Len64(uint64(ns)|(2*bucketHalf-1)<<bucketUnitBits) - bucketUnitBits - bucketHalfBits - 1
	return uint32(power<<bucketHalfBits) + uint32(ns>>(power+bucketUnitBits))
}

// bucketLow and bucketHigh are the smallest and the largest value of a bucket.
func bucketLow(b uint32) int64 {
	power, step := int(b>>bucketHalfBits)-1, int64(b&(bucketHalf-1))+bucketHalf
	if power < 0 {
		power, step = 0, step-bucketHalf
	}
	return step << (power + bucketUnitBits)
}

func bucketHigh(b uint32) int64 { return bucketLow(b+1) - 1 }

// secondsBytesMax bounds what is kept of the seconds of a run. Beyond it two
// neighbours become one interval, and so on.
const secondsBytesMax = 8 << 20

// everySecond keeps the distribution of every second of a run: the one that runs as
// counts, those that are over as a few hundred bytes each.
type everySecond struct {
	counts []int64  // by bucket, of the second that runs
	used   []uint32 // buckets that are not zero
	total  int64

	past  []pastSecond
	bytes int
	width int64 // seconds in one interval
}

// pastSecond is an interval that is over: pairs of a bucket, as the distance from
// the one before, and its count.
type pastSecond struct {
	from int64 // in seconds
	data []byte
}

func newSeconds() everySecond {
	return everySecond{counts: make([]int64, bucketOf(phase.LatencyMax)+1), width: 1}
}

func (s *everySecond) record(ns, records int64) {
	b := bucketOf(ns)
	if s.counts[b] == 0 {
		s.used = append(s.used, b)
	}
	s.counts[b] += records
	s.total += records
}

// end closes a second and returns its quantiles in milliseconds, zero if nothing
// was recorded.
func (s *everySecond) end(second int64) (p50, p99, most float64) {
	if s.total == 0 {
		return 0, 0, 0
	}
	slices.Sort(s.used)
	p50, p99 = phase.Millis(s.quantile(50)), phase.Millis(s.quantile(99))
	most = phase.Millis(bucketHigh(s.used[len(s.used)-1]))
	data, last := make([]byte, 0, 4*len(s.used)), uint32(0)
	for _, b := range s.used {
		data = binary.AppendUvarint(data, uint64(b-last))
		data = binary.AppendUvarint(data, uint64(s.counts[b]))
		s.counts[b], last = 0, b
	}
	s.used, s.total = s.used[:0], 0
	s.keep(second-second%s.width, data)
	return p50, p99, most
}

// quantile is HdrHistogram's: the rank is rounded to the nearest.
func (s *everySecond) quantile(percent int64) int64 {
	rank := max(1, (s.total*percent+50)/100)
	for _, b := range s.used {
		if rank -= s.counts[b]; rank <= 0 {
			return bucketHigh(b)
		}
	}
	panic("runner: the buckets of a second do not add up")
}

func (s *everySecond) keep(from int64, data []byte) {
	if n := len(s.past); n > 0 && s.past[n-1].from == from {
		s.bytes -= len(s.past[n-1].data)
		data = mergeBuckets(s.past[n-1].data, data)
		s.past = s.past[:n-1]
	}
	s.past = append(s.past, pastSecond{from, data})
	if s.bytes += len(data); s.bytes > secondsBytesMax {
		s.widen()
	}
}

// widen makes the intervals twice as long.
func (s *everySecond) widen() {
	old := s.past
	s.past, s.bytes, s.width = nil, 0, 2*s.width
	for _, p := range old {
		s.keep(p.from-p.from%s.width, p.data)
	}
}

func mergeBuckets(a, b []byte) (out []byte) {
	counts := map[uint32]int64{} // walked in the order of its sorted keys
	var order []uint32
	for _, data := range [][]byte{a, b} {
		for bucket, count := range bucketsOf(data) {
			if counts[bucket] == 0 {
				order = append(order, bucket)
			}
			counts[bucket] += count
		}
	}
	slices.Sort(order)
	last := uint32(0)
	for _, bucket := range order {
		out = binary.AppendUvarint(out, uint64(bucket-last))
		out = binary.AppendUvarint(out, uint64(counts[bucket]))
		last = bucket
	}
	return out
}

func bucketsOf(data []byte) iter.Seq2[uint32, int64] {
	return func(yield func(uint32, int64) bool) {
		bucket := uint64(0)
		for len(data) > 0 {
			distance, n := binary.Uvarint(data)
			count, m := binary.Uvarint(data[n:])
			data, bucket = data[n+m:], bucket+distance
			if !yield(uint32(bucket), int64(count)) {
				return
			}
		}
	}
}

// intervals hands out the intervals for a histogram log, one at a time: the
// histogram is valid until the next.
func (s *everySecond) intervals() reports.Intervals {
	return func(yield func(*hdrhistogram.Histogram) bool) {
		h := phase.NewHistogram()
		for _, p := range s.past {
			h.Reset()
			for bucket, count := range bucketsOf(p.data) {
				_ = h.RecordValues(max(bucketLow(bucket), phase.LatencyMin), count) // in range by construction
			}
			h.SetStartTimeMs(p.from * int64(time.Second/time.Millisecond))
			h.SetEndTimeMs((p.from + s.width) * int64(time.Second/time.Millisecond))
			if !yield(h.Histogram) {
				return
			}
		}
	}
}
