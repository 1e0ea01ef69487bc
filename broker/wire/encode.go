package wire

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// What follows appends one field each. Lengths that a field cannot express are
// our own bug, since the broker bounds what it puts into a message.

func appendInt16(dst []byte, v int16) []byte { return binary.BigEndian.AppendUint16(dst, uint16(v)) }
func appendInt32(dst []byte, v int32) []byte { return binary.BigEndian.AppendUint32(dst, uint32(v)) }
func appendInt64(dst []byte, v int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(v)) }

func appendUvarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func uvarintBytes(v uint32) int { return (bits.Len32(v|1) + 6) / 7 }

func appendString(dst []byte, s string, flexible bool) []byte {
	if flexible {
		dst = appendUvarint(dst, uint32(len(s))+1)
	} else {
		if len(s) > math.MaxInt16 {
			panic(fmt.Sprintf("encode a string of %d bytes", len(s)))
		}
		dst = appendInt16(dst, int16(len(s)))
	}
	return append(dst, s...)
}

func appendNullableString(dst []byte, s NullableString, flexible bool) []byte {
	if s.Valid {
		return appendString(dst, s.String, flexible)
	}
	if flexible {
		return append(dst, 0)
	}
	return appendInt16(dst, -1)
}

func appendNullableBytes(dst, b []byte, flexible bool) []byte {
	if b == nil {
		if flexible {
			return append(dst, 0)
		}
		return appendInt32(dst, -1)
	}
	return append(appendBytesLen(dst, len(b), flexible), b...)
}

func appendBytesLen(dst []byte, n int, flexible bool) []byte {
	if n >= math.MaxInt32 {
		panic(fmt.Sprintf("encode a field of %d bytes", n))
	}
	return appendArrayLen(dst, n, flexible)
}

// appendArrayLen writes n+1 as a varint or n as an int32; -1 is null.
func appendArrayLen(dst []byte, n int, flexible bool) []byte {
	if flexible {
		return appendUvarint(dst, uint32(n+1))
	}
	return appendInt32(dst, int32(n))
}

// appendNoTags ends a struct of a flexible version that has no tagged field set.
func appendNoTags(dst []byte, flexible bool) []byte {
	if flexible {
		return append(dst, 0)
	}
	return dst
}

// appendTag starts a tagged field whose value takes size bytes.
func appendTag(dst []byte, key uint32, size int) []byte {
	return appendUvarint(appendUvarint(dst, key), uint32(size))
}

func stringBytes(s string) int { return uvarintBytes(uint32(len(s))+1) + len(s) }

// grow makes s one element longer. An element from before is kept as it was, so
// that its own slices and strings are reused; the caller resets it.
func grow[T any](s []T) []T {
	if len(s) < cap(s) {
		return s[:len(s)+1]
	}
	var zero T
	return append(s, zero)
}
