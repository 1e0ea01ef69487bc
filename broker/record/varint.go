package record

import "math/bits"

// The record's integers are zigzag varints: at most 5 bytes for 32 bits and 10
// for 64. Readers return n = 0 when the bytes end first or run on too long.

const (
	varint32BytesMax = 5
	varint64BytesMax = 10
)

// shortVarint reads one or two bytes at a place and returns the place behind
// them; 0 if there is no such varint. It is made to be inlined.
func shortVarint(b []byte, at int) (v int32, next int) {
	if at+1 >= len(b) {
		return 0, 0
	}
	u := int32(b[at])
	next = at + 1
	if u >= 0x80 {
		if b[next] >= 0x80 {
			return 0, 0
		}
		u = u&0x7f | int32(b[next])<<7
		next++
	}
	return u>>1 ^ -(u & 1), next
}

func readVarint32(b []byte) (v int32, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		u := uint32(b[0])
		return int32(u>>1) ^ -int32(u&1), 1
	}
	var u uint32
	for i := 0; i < len(b) && i < varint32BytesMax; i++ {
		c := b[i]
		u |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int32(u>>1) ^ -int32(u&1), i + 1
		}
	}
	return 0, 0
}

func readVarint64(b []byte) (v int64, n int) {
	var u uint64
	for i := 0; i < len(b) && i < varint64BytesMax; i++ {
		c := b[i]
		u |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return int64(u>>1) ^ -int64(u&1), i + 1
		}
	}
	return 0, 0
}

func appendVarint32(dst []byte, v int32) []byte {
	u := uint32(v<<1) ^ uint32(v>>31)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func appendVarint64(dst []byte, v int64) []byte {
	u := uint64(v<<1) ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func varint32Bytes(v int32) int {
	u := uint32(v<<1) ^ uint32(v>>31)
	return (bits.Len32(u|1) + 6) / 7
}

func varint64Bytes(v int64) int {
	u := uint64(v<<1) ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}
