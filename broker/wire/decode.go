// Package wire owns how Kafka's messages lie in bytes: the length prefix, the
// request and response headers, and hand-written, allocation-free codecs for the
// two hot APIs, Produce and Fetch. All other messages are kmsg's. It never
// interprets a message: versions, errors and limits of the protocol are decided
// by whoever calls it, and it keeps no state between calls.
//
// Decoders take hostile bytes: they return an error that names the field, and
// allocate in proportion to the bytes present, whatever a length claims.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// ErrMalformed says that bytes are not the message they should be. A broker
// closes the connection that sent them, as Kafka does.
var ErrMalformed = errors.New("malformed message")

// NullableString is a string that may be null, which is not the empty string.
type NullableString struct {
	String string
	Valid  bool // false is null
}

// Some returns a NullableString that is not null.
func Some(s string) NullableString { return NullableString{String: s, Valid: true} }

// decoder reads fields off the front of b. After the first failure it yields
// zeros, and err keeps the first field's name.
type decoder struct {
	b        []byte
	flexible bool
	err      error
	// entriesLeft is how many elements more boundedLen allows.
	entriesLeft int
}

// pieces is a frame whose body is being decoded; see edge.Buffer.Pieces. It goes
// beside the decoder of its head: what a decoder points to, the compiler moves to
// the heap.
type pieces struct {
	frame *edge.Buffer
	head  []byte
	body  []edge.Slice
	at    []int32
	next  int // of body
}

func (d *decoder) fail(field, reason string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s: %s (%d bytes left)", ErrMalformed, field, reason, len(d.b))
	}
	d.b = nil
}

// cutOff is fail for an integer that is longer than what is left. It stays a function
// of its own, so that the compiler can put the reading of integers where they are
// asked for.
//
//go:noinline
func (d *decoder) cutOff(field string) { d.fail(field, "cut off") }

func (d *decoder) int8(field string) (v int8) {
	if len(d.b) >= 1 {
		v, d.b = int8(d.b[0]), d.b[1:]
	} else {
		d.cutOff(field)
	}
	return
}

func (d *decoder) int16(field string) (v int16) {
	if len(d.b) >= 2 {
		v, d.b = int16(binary.BigEndian.Uint16(d.b)), d.b[2:]
	} else {
		d.cutOff(field)
	}
	return
}

func (d *decoder) int32(field string) (v int32) {
	if len(d.b) >= 4 {
		v, d.b = int32(binary.BigEndian.Uint32(d.b)), d.b[4:]
	} else {
		d.cutOff(field)
	}
	return
}

func (d *decoder) int64(field string) (v int64) {
	if len(d.b) >= 8 {
		v, d.b = int64(binary.BigEndian.Uint64(d.b)), d.b[8:]
	} else {
		d.cutOff(field)
	}
	return
}

func (d *decoder) uuid(dst *[16]byte, field string) {
	if len(d.b) < 16 {
		d.fail(field, "cut off")
		*dst = [16]byte{}
		return
	}
	copy(dst[:], d.b)
	d.b = d.b[16:]
}

// uvarint reads at most 5 bytes and 32 bits. Nearly all have one byte: those are
// read where they are asked for.
func (d *decoder) uvarint(field string) uint32 {
	if b := d.b; len(b) > 0 && b[0] < 0x80 {
		d.b = b[1:]
		return uint32(b[0])
	}
	return d.longUvarint(field)
}

func (d *decoder) longUvarint(field string) uint32 {
	var v uint32
	for i := 0; i < len(d.b) && i < 5; i++ {
		c := d.b[i]
		if i == 4 && c > 0x0f {
			d.fail(field, "varint of more than 32 bits")
			return 0
		}
		v |= uint32(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.b = d.b[i+1:]
			return v
		}
	}
	d.fail(field, "cut off")
	return 0
}

// span takes n bytes without copying them.
func (d *decoder) span(n int, field string) []byte {
	if d.err != nil {
		return nil
	}
	if n < 0 || n > len(d.b) {
		d.fail(field, fmt.Sprintf("claims %d bytes", n))
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// stringBytes reads a string's length and bytes; null when n < 0 was read.
func (d *decoder) stringBytes(field string) (b []byte, null bool) {
	var n int
	if d.flexible {
		n = int(d.uvarint(field)) - 1
	} else {
		n = int(d.int16(field))
	}
	if d.err != nil || n < 0 {
		return nil, true
	}
	return d.span(n, field), false
}

// string keeps the old string when the bytes are the same, so that decoding the
// like of the last message into the same struct does not allocate.
func (d *decoder) string(dst *string, field string) {
	b, null := d.stringBytes(field)
	if null {
		d.fail(field, "null, but it may not be")
	}
	keepString(dst, b)
}

func (d *decoder) nullableString(dst *NullableString, field string) {
	b, null := d.stringBytes(field)
	dst.Valid = !null
	keepString(&dst.String, b)
}

func keepString(dst *string, b []byte) {
	if *dst != string(b) {
		*dst = string(b)
	}
}

// nullableBytes aliases the input; nil is null.
func (d *decoder) nullableBytes(field string) []byte {
	n := d.bytesLen(field)
	if n < 0 {
		return nil
	}
	return d.span(n, field)
}

// bytesLen reads the length of bytes; below zero for null, or after a failure.
func (d *decoder) bytesLen(field string) int {
	var n int
	if d.flexible {
		n = int(d.uvarint(field)) - 1
	} else {
		n = int(d.int32(field))
	}
	if d.err != nil {
		return -1
	}
	return n
}

// slices is nullableBytes of a frame that may be in pieces, whose head d is of.
func (p *pieces) slices(d *decoder, dst []edge.Slice, field string) []edge.Slice {
	if len(p.body) == 0 {
		b := d.nullableBytes(field)
		if end := len(p.head) - len(d.b); len(b) > 0 {
			dst = append(dst, p.frame.Slice(end-len(b), end))
		}
		return dst
	}
	n := d.bytesLen(field)
	for ; n > 0 && p.next < len(p.body) && int(p.at[p.next]) == len(p.head)-len(d.b); p.next++ {
		dst = append(dst, p.body[p.next])
		n -= p.body[p.next].Len()
	}
	if n > 0 || n < -1 {
		d.fail(field, "not in the pieces of the frame")
	}
	return dst
}

// arrayLen reads the length of an array whose elements take elementBytesMin
// bytes or more each, and refuses what cannot fit into the bytes that are left.
func (d *decoder) arrayLen(elementBytesMin int, field string) int {
	n := d.nullableArrayLen(elementBytesMin, field)
	if n < 0 {
		d.fail(field, "null array, but it may not be")
		return 0
	}
	return n
}

// boundedLen is arrayLen of a message that may have entriesLeft elements more in
// all of its arrays.
func (d *decoder) boundedLen(elementBytesMin int, field string) int {
	n := d.arrayLen(elementBytesMin, field)
	if n > d.entriesLeft {
		d.fail(field, fmt.Sprintf("has %d elements, %d too many in one request", n, n-d.entriesLeft))
		return 0
	}
	d.entriesLeft -= n
	return n
}

// nullableArrayLen is arrayLen with -1 for null.
func (d *decoder) nullableArrayLen(elementBytesMin int, field string) int {
	var n int64
	if d.flexible {
		n = int64(d.uvarint(field)) - 1
	} else {
		n = int64(d.int32(field))
	}
	if d.err != nil {
		return 0
	}
	if n < -1 || n > int64(len(d.b)/elementBytesMin) {
		d.fail(field, fmt.Sprintf("claims %d elements", n))
		return 0
	}
	return int(n)
}

// tagCount starts a flexible struct's tagged fields; 0 in older versions.
func (d *decoder) tagCount(field string) uint32 {
	if !d.flexible {
		return 0
	}
	n := d.uvarint(field)
	if uint64(n) > uint64(len(d.b)/2) {
		d.fail(field, fmt.Sprintf("claims %d tagged fields", n))
		return 0
	}
	return n
}

// tag reads one tagged field's key and gives a decoder for its value.
func (d *decoder) tag(field string) (key uint32, value decoder) {
	key = d.uvarint(field)
	size := d.uvarint(field)
	if size > math.MaxInt32 {
		d.fail(field, "tagged field of more than 2^31-1 bytes")
	}
	return key, decoder{b: d.span(int(size), field), flexible: true}
}

// leaveTag takes over the failure of a tagged field's own decoder.
func (d *decoder) leaveTag(value *decoder) {
	if d.err == nil && value.err != nil {
		d.err, d.b = value.err, nil
	}
}

// skipTags skips tagged fields of which we know none.
func (d *decoder) skipTags(field string) {
	for n := d.tagCount(field); n > 0 && d.err == nil; n-- {
		d.tag(field)
	}
}
