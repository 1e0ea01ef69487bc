package sim

import (
	"encoding/binary"
	"math/bits"
)

// mix folds one word into a hash by a 64x64 multiplication.
func mix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x, 0xa0761d6478bd642f)
	return hi ^ lo + 0xe7037ed1a0b428db
}

// Sampled frames: what is at most wholeFrame bytes long is hashed entirely,
// which is every request and response except those that carry records. Of
// those, the head is hashed (all fixed fields, and the header of the first
// batch with the CRC over its records), the end, and a word of every stride.
// Hashing all of the payload would cost as much as the CRC of every hop; the
// records that it skips are checked by their consumers, and what differs in
// them changes a CRC, a length or an offset that is hashed.
const (
	wholeFrame  = 512
	sampledHead = 256
	sampledTail = 64
	stride      = 1024
)

// hashFrame returns a hash of a frame's bytes, sampled unless whole is set.
func hashFrame(h uint64, b []byte, whole bool) uint64 {
	h = mix(h, uint64(len(b)))
	if whole || len(b) <= wholeFrame {
		return hashBytes(h, b)
	}
	h = hashBytes(h, b[:sampledHead])
	for i := sampledHead; i+8 <= len(b)-sampledTail; i += stride {
		h = mix(h, binary.LittleEndian.Uint64(b[i:]))
	}
	return hashBytes(h, b[len(b)-sampledTail:])
}

func hashBytes(h uint64, b []byte) uint64 {
	for len(b) >= 8 {
		h = mix(h, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	var last uint64
	for i, c := range b {
		last |= uint64(c) << (8 * i)
	}
	return mix(h, last)
}

func hashString(h uint64, s string) uint64 {
	h = mix(h, uint64(len(s)))
	for i := range len(s) {
		h = mix(h, uint64(s[i]))
	}
	return h
}
