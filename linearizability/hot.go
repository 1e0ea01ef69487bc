package linearizability

// run is one batch (or the seen part of one) in consecutive slots, exactly known.
type run struct {
	base  int64 // offset of its first slot
	id    BatchID
	event uint64 // when it was placed
	first int32  // index in the batch of its first slot
	count int32
	acked bool // acknowledged with acks=all, or with less and seen later
	read  bool // placed because a reader saw it
	dup   bool // a second place of its batch: takes no part in the order
}

func (r *run) end() int64 { return r.base + int64(r.count) }

// digest is a commutative sum over records. It is additive over slots, so it does
// not depend on how readers cut batches into runs.
type digest struct{ batches, indexes uint64 }

func mix(x uint64) uint64 {
	x ^= x >> 31
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// add sums the records [first, first+count) of the batch whose record 0 is at base.
func (d *digest) add(id BatchID, base int64, first, count int32) {
	h := mix(uint64(id) ^ uint64(base)*0x9e3779b97f4a7c15)
	n, f := uint64(count), uint64(first)
	d.batches += h * n
	// The series (f+1) + ... + (f+n) tells apart the records of one batch.
	d.indexes += (h>>32 | h<<32 | 1) * (n*f + n*(n+1)/2)
}

// blockOffsets is the span of a cold block, unless a mark cuts it shorter.
const blockOffsets = 65536

// block is what remains of slots that left the hot window. It ends where the
// next block starts.
type block struct {
	start int64
	sum   digest
	acked int32 // slots acknowledged
	// broken: part of it was truncated, so that its sum is of slots that are gone.
	broken bool
}

// hotWindow is a ring of runs sorted by base offset. It grows up to a fixed
// number of runs and then pushes out the lowest ones.
type hotWindow struct {
	ring  []run
	head  int // index of the lowest run
	count int
	max   int // runs, a power of two
}

const hotRunsMin = 16

func (h *hotWindow) at(i int) *run { return &h.ring[(h.head+i)&(len(h.ring)-1)] }

// find returns the index of the last run with base <= offset, or -1.
func (h *hotWindow) find(offset int64) int {
	low, high := 0, h.count
	for low < high {
		middle := int(uint(low+high) >> 1)
		if h.at(middle).base <= offset {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low - 1
}

// insert puts a run at index i; the ring must not be full.
func (h *hotWindow) insert(i int, r run) {
	if h.count == len(h.ring) {
		h.grow()
	}
	h.count++
	for j := h.count - 1; j > i; j-- {
		*h.at(j) = *h.at(j - 1)
	}
	*h.at(i) = r
}

func (h *hotWindow) grow() {
	bigger := make([]run, max(hotRunsMin, 2*len(h.ring)))
	for i := range h.count {
		bigger[i] = *h.at(i)
	}
	h.ring, h.head = bigger, 0
}

func (h *hotWindow) full() bool { return h.count >= h.max }

func (h *hotWindow) pop() run {
	lowest := *h.at(0)
	h.head = (h.head + 1) & (len(h.ring) - 1)
	h.count--
	return lowest
}
