package sim

import (
	"encoding/binary"
	"math/bits"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
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

// hashFrame returns a hash of a frame's bytes, sampled unless whole is set. It
// does not depend on whether the frame is in pieces.
func hashFrame(h uint64, frame *edge.Buffer, whole bool) uint64 {
	n := frame.Len()
	h = mix(h, uint64(n))
	if whole || n <= wholeFrame {
		return hashBytes(h, frame.Bytes())
	}
	head, body, at := frame.Pieces()
	if len(body) > 0 {
		return hashPieces(h, n, &cursor{head: head, body: body, at: at})
	}
	h = hashBytes(h, head[:sampledHead])
	for i := sampledHead; i+8 <= n-sampledTail; i += stride {
		h = mix(h, binary.LittleEndian.Uint64(head[i:]))
	}
	return hashBytes(h, head[n-sampledTail:])
}

// hashPieces is hashFrame's sampling of a frame in pieces.
func hashPieces(h uint64, n int, c *cursor) uint64 {
	var sample [sampledHead]byte
	c.read(sample[:], 0)
	h = hashBytes(h, sample[:])
	last := n - sampledTail - 8
	for i := sampledHead; i <= last; {
		h = mix(h, c.word(i))
		i += stride
		part := c.part()
		for off := i - c.start; off+8 <= len(part) && i <= last; off += stride {
			h = mix(h, binary.LittleEndian.Uint64(part[off:]))
			i += stride
		}
	}
	c.read(sample[:sampledTail], n-sampledTail)
	return hashBytes(h, sample[:sampledTail])
}

// cursor reads a frame in pieces at rising positions.
type cursor struct {
	head  []byte
	body  []edge.Slice
	at    []int32
	next  int // the piece that begins at or behind start, or is the one at start
	start int // position in the frame of the part that next stands for
	from  int // of the head: where the part before that piece begins
}

// part returns the part of the frame that begins at c.start: a stretch of the
// head, or the piece behind it.
func (c *cursor) part() []byte {
	if c.next == 2*len(c.body) {
		return c.head[c.from:]
	}
	if c.next%2 == 0 {
		return c.head[c.from:c.at[c.next/2]]
	}
	return c.body[c.next/2].Bytes()
}

// read copies len(dst) bytes from a position not before the last one's.
func (c *cursor) read(dst []byte, position int) {
	for part := c.part(); ; part = c.part() {
		if off := position - c.start; off < len(part) {
			k := copy(dst, part[off:])
			if dst = dst[k:]; len(dst) == 0 {
				return
			}
			position += k
		}
		if c.next%2 == 0 {
			c.from += len(part)
		}
		c.start += len(part)
		c.next++
	}
}

// word reads eight bytes at a position not before the last one's.
func (c *cursor) word(position int) uint64 {
	part := c.part()
	if off := position - c.start; off+8 <= len(part) {
		return binary.LittleEndian.Uint64(part[off:])
	}
	var b [8]byte
	c.read(b[:], position)
	return binary.LittleEndian.Uint64(b[:])
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
