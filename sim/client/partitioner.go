package client

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// murmur2 is the hash by which the Java producer places keys.
func murmur2(b []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		k ^= k >> 24
		h = h*m ^ k*m
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}

// partitionOfKey is the partition among count that a key belongs to.
func partitionOfKey(key []byte, count int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % count
}

// sticky is the built-in partitioner for records without a key (KIP-794): it
// stays with a partition for batch.size bytes, and then draws another one, with
// a preference for short queues when adaptive.
type sticky struct {
	rng       *rand.Rand
	partition int32 // -1 before the first
	produced  int64 // bytes since the last change
	turn      int32 // RoundRobinPartitioner
	weights   []int32
	candidate []int32
}

// appended counts a record's bytes and moves on when it is time. full tells
// whether the partition has no batch that takes more records: changing earlier
// would leave a fragment behind.
func (s *sticky) appended(bytes, batchSize int64, full bool) {
	s.produced += bytes
	if s.produced >= batchSize && full || s.produced >= 2*batchSize {
		s.partition, s.produced = -1, 0
	}
}

// choose draws the next partition. queue returns how many batches wait for a
// partition, or -1 if it has no leader.
func (s *sticky) choose(settings *clientconfig.Producer, count int32, queue func(int32) int32) int32 {
	s.candidate, s.weights = s.candidate[:0], s.weights[:0]
	longest, equal := int32(0), true
	for p := range count {
		if q := queue(p); q >= 0 {
			s.candidate, s.weights = append(s.candidate, p), append(s.weights, q)
			longest = max(longest, q)
			equal = equal && q == s.weights[0]
		}
	}
	switch {
	case len(s.candidate) == 0:
		return s.rng.Int32N(count)
	case equal || !settings.PartitionerAdaptive:
		return s.candidate[s.rng.IntN(len(s.candidate))]
	}
	total := int32(0)
	for i, q := range s.weights {
		total += longest + 1 - q
		s.weights[i] = total
	}
	at := s.rng.Int32N(total)
	for i, w := range s.weights {
		if at < w {
			return s.candidate[i]
		}
	}
	panic("client: partitioner weights")
}
