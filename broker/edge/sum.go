package edge

import (
	"fmt"
	"hash/crc32"
)

const (
	// sumsMax bounds the checksums that a buffer remembers; a part shorter than
	// sumBytesMin is summed faster than it is looked up.
	sumsMax     = 16
	sumBytesMin = 512
	// One checksum in sumsDoubted is computed again each time, to see that nobody has
	// changed the bytes.
	sumsDoubted = 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sum is the checksum of a part of a buffer.
type sum struct {
	from, to int32
	value    uint32
}

// CRC32C returns the checksum of the part. Replicas and readers that share a
// buffer each check what it holds; as its bytes are immutable once it is shared,
// they are summed for the first of them. The memory of a released buffer comes back
// without any sums, and whoever changes bytes in place before he shares them says so
// with Changed.
func (s Slice) CRC32C() uint32 {
	b, data := s.Buffer, s.Bytes()
	if len(data) < sumBytesMin {
		return crc32.Checksum(data, castagnoli)
	}
	for i := range b.sums {
		if m := &b.sums[i]; m.from == s.From && m.to == s.To {
			return m.recall(data)
		}
	}
	value := crc32.Checksum(data, castagnoli)
	if len(b.sums) < sumsMax {
		b.sums = append(b.sums, sum{from: s.From, to: s.To, value: value})
	}
	return value
}

func (m *sum) recall(data []byte) uint32 {
	if m.value%sumsDoubted != 0 {
		return m.value
	}
	if again := crc32.Checksum(data, castagnoli); again != m.value {
		panic(fmt.Sprintf("edge: bytes %d to %d of a shared buffer have changed: their CRC was %08x, is %08x",
			m.from, m.to, m.value, again))
	}
	return m.value
}

// Changed says that bytes of a buffer that is not shared yet are changed in place.
func (b *Buffer) Changed() { b.sums = b.sums[:0] }

// remember takes over what is known of a slice that has been copied to a place in b.
func (b *Buffer) remember(s Slice, at int32) {
	for _, m := range s.Buffer.sums {
		if s.From <= m.from && m.to <= s.To && len(b.sums) < sumsMax {
			m.from, m.to = m.from-s.From+at, m.to-s.From+at
			b.sums = append(b.sums, m)
		}
	}
}
