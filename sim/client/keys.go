package client

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
)

// keySource draws the keys of records.
type keySource struct {
	keys Keys
	rng  *rand.PCG
	next int64
	zipf []zipfBucket
	// guide is, for each value of the topmost bits of a draw, the first bucket
	// that can hold one: it leaves few buckets to search.
	guide      []int32
	guideShift int
}

// Key is a record's key as observers see it: its number, and whether the record
// is a tombstone.
type Key int64

// NoKey stands for a record without a key.
const NoKey Key = -1

// tombstoneBit marks the key of a record without a value.
const tombstoneBit Key = 1 << 62

// Number is the key itself; of NoKey it is -1.
func (k Key) Number() int64 {
	if k.Tombstone() {
		return int64(k &^ tombstoneBit)
	}
	return int64(k)
}

// Tombstone tells whether the record has no value.
func (k Key) Tombstone() bool { return k >= 0 && k&tombstoneBit != 0 }

func newKeySource(k Keys, seed uint64) keySource {
	s := keySource{keys: k, rng: rand.NewPCG(seed, pcgStream+1)}
	if k.Distribution != NoKeys && k.Cardinality < 1 {
		panic(fmt.Sprintf("client: %d different keys", k.Cardinality))
	}
	if k.Distribution == ZipfKeys {
		s.zipf = zipfTable(k.Cardinality, k.Exponent)
		s.makeGuide()
	}
	return s
}

const guideBits = 12

func (s *keySource) makeGuide() {
	total := s.zipf[len(s.zipf)-1].end
	s.guideShift = max(bits.Len64(total)-guideBits, 0)
	at := int32(0)
	for top := uint64(0); ; top++ {
		for int(at) < len(s.zipf) && s.zipf[at].end <= top<<s.guideShift {
			at++
		}
		s.guide = append(s.guide, at)
		if top<<s.guideShift >= total {
			return
		}
	}
}

// draw returns the next record's key, and with it whether it is a tombstone.
func (s *keySource) draw() Key {
	k := Key(s.drawNumber())
	if s.keys.TombstonesPPM > 0 && k != NoKey && int64(s.below(1_000_000)) < s.keys.TombstonesPPM {
		k |= tombstoneBit
	}
	return k
}

func (s *keySource) drawNumber() int64 {
	switch s.keys.Distribution {
	case UniformKeys:
		return int64(s.below(uint64(s.keys.Cardinality)))
	case SequentialKeys:
		k := s.next
		if s.next++; s.next == s.keys.Cardinality {
			s.next = 0
		}
		return k
	case HotKey:
		if s.keys.Cardinality == 1 || int64(s.below(1_000_000)) < s.keys.SharePPM {
			return 0
		}
		return 1 + int64(s.below(uint64(s.keys.Cardinality-1)))
	case ZipfKeys:
		return s.drawZipf()
	}
	return int64(NoKey)
}

// below returns a number in [0, n), uniform but for n/2^64.
func (s *keySource) below(n uint64) uint64 {
	high, _ := bits.Mul64(s.rng.Uint64(), n)
	return high
}

// zipfBucket holds ranks of about the same weight: all of its own in front,
// wider and wider ones behind.
type zipfBucket struct {
	first int64
	end   uint64 // sum of the weights up to and with this bucket
}

const (
	zipfExact   = 4096 // ranks with a bucket of their own
	zipfGrowth  = 64   // further buckets hold 1/64 of the ranks before them
	zipfUnit    = 40   // bits of a weight: rank 1 weighs 2^40
	exponentMax = 500
)

// zipfTable sums rank^-exponent in integers.
func zipfTable(cardinality, exponent int64) []zipfBucket {
	if exponent < 1 || exponent > exponentMax {
		panic(fmt.Sprintf("client: zipf exponent %d hundredths", exponent))
	}
	var table []zipfBucket
	sum := uint64(0)
	for first := int64(0); first < cardinality; {
		width := int64(1)
		if first >= zipfExact {
			width = min(first/zipfGrowth, cardinality-first)
		}
		middle := uint64(first + 1 + (width-1)/2)
		weight := max(power(middle, exponent), 1)
		sum += weight * uint64(width)
		table = append(table, zipfBucket{first: first, end: sum})
		first += width
	}
	return table
}

func (s *keySource) drawZipf() int64 {
	t := s.zipf
	i := s.bucket(s.below(t[len(t)-1].end))
	end := s.keys.Cardinality
	if i+1 < len(t) {
		end = t[i+1].first
	}
	if end-t[i].first == 1 {
		return t[i].first
	}
	return t[i].first + int64(s.below(uint64(end-t[i].first)))
}

// bucket is the first one whose weights, with those before it, exceed at.
func (s *keySource) bucket(at uint64) int {
	i, high := int(s.guide[at>>s.guideShift]), int(s.guide[at>>s.guideShift+1])
	for i < high {
		if middle := int(uint(i+high) / 2); s.zipf[middle].end <= at {
			i = middle + 1
		} else {
			high = middle
		}
	}
	return i
}

// power is rank^(-exponent/100) * 2^zipfUnit, by way of the binary logarithm in
// fixed point: 2^(zipfUnit - exponent/100*log2(rank)).
func power(rank uint64, exponent int64) uint64 {
	const fraction = 32
	l := log2Fixed(rank)
	x := int64(zipfUnit)<<fraction - int64(l)*exponent/100
	if x < 0 {
		return 0
	}
	return exp2Fixed(uint64(x))
}

// log2Fixed is log2(n) with 32 fractional bits, rounded down.
func log2Fixed(n uint64) uint64 {
	whole := uint64(bits.Len64(n) - 1)
	x := n << (63 - whole) // [1, 2) with 63 fractional bits
	out := whole
	for range 32 {
		high, _ := bits.Mul64(x, x) // [1, 4) with 62
		out <<= 1
		if high>>63 != 0 {
			out |= 1
			x = high
		} else {
			x = high << 1
		}
	}
	return out
}

// exp2Fixed is 2^x of x with 32 fractional bits, rounded down to an integer.
func exp2Fixed(x uint64) uint64 {
	value := uint64(1) << 62 // 1 with 62 fractional bits
	for i, root := range roots {
		if x&(1<<(31-i)) != 0 {
			high, low := bits.Mul64(value, root)
			value = high<<2 | low>>62
		}
	}
	return value >> (62 - x>>32)
}

// roots are 2^(1/2), 2^(1/4), ... with 62 fractional bits.
var roots = func() (out [32]uint64) {
	square := uint64(1) << 63 // 2 with 62
	for i := range out {
		out[i] = sqrtFixed(square)
		square = out[i]
	}
	return out
}()

// sqrtFixed is the square root of x, both with 62 fractional bits, bit by bit.
func sqrtFixed(x uint64) uint64 {
	root := uint64(0)
	for bit := 62; bit >= 0; bit-- {
		try := root | 1<<bit
		high, low := bits.Mul64(try, try)
		if square := high<<2 | low>>62; square < x || square == x && low<<2 == 0 {
			root = try
		}
	}
	return root
}
