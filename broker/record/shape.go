package record

import "encoding/binary"

// shape is how a plain record is laid out, to recognise those that follow it: most
// records of a batch differ from the one before in what their keys and values hold,
// and in the offset delta, which is one more. To compare the numbers of a record with
// those expected costs a fraction of reading them.
type shape struct {
	offset   int // where the offset delta lies
	key      int // where the key lies
	value    int // where the value's length lies: the key ends there
	contents int // where the value lies
	bytes    int // of the whole record

	head, mask     uint64 // what comes before the key, as a word, and which of the word's bits that is
	step           uint64 // what one more adds to the offset delta in head
	tail, tailMask uint16 // the value's length, and which bits of two bytes that is
	more           int32  // so many may follow before the offset delta's first byte runs over
}

// learn takes the record in front of b, which lies as the shape says and whose offset
// delta is not negative, for the model of those that follow.
func (s *shape) learn(b []byte) {
	s.more = 0
	if s.key > 8 || s.bytes < 8 {
		return
	}
	word := binary.LittleEndian.Uint64(b)
	at := 8 * s.offset & 63
	s.more, s.step = int32(0x7f-word>>at&0x7f)/2, 2<<at // it is in zigzag
	s.mask = ^uint64(0) >> ((64 - 8*s.key) & 63)
	s.head = word & s.mask
	s.tailMask = 0xffff >> (16 - 8*(s.contents-s.value))
	s.tail = binary.LittleEndian.Uint16(b[s.value:]) & s.tailMask
}

// fits tells whether b begins with a record of the shape that has the given head.
func (s *shape) fits(b []byte, head uint64) bool {
	return len(b) >= s.bytes && binary.LittleEndian.Uint64(b)&s.mask == head &&
		binary.LittleEndian.Uint16(b[s.value:])&s.tailMask == s.tail && b[s.bytes-1] == 0
}

// skip counts the records in front of b, at most so many, that continue the model.
func (s *shape) skip(b []byte, most int32) (n int32) {
	most = min(most, s.more)
	for head := s.head + s.step; n < most && s.fits(b, head); head += s.step {
		b = b[s.bytes:]
		n++
	}
	return n
}

// Run is a stretch of records that are alike, one behind the other: their offset
// deltas rise by one and all else that a record says of itself is the same.
type Run struct {
	Count int32

	bytes                []byte
	size                 int
	key, value, contents int
}

// Key returns a record's key; nil if the records have none.
func (r *Run) Key(i int32) []byte {
	if r.key < 0 {
		return nil
	}
	at := int(i) * r.size
	return r.bytes[at+r.key : at+r.value : at+r.value]
}

// Value returns a record's value.
func (r *Run) Value(i int32) []byte {
	at := int(i) * r.size
	return r.bytes[at+r.contents : at+r.size-1 : at+r.size-1]
}

// next tells whether b begins with the next record that continues the model, which
// then is the model.
func (s *shape) next(b []byte) bool {
	if s.more == 0 || !s.fits(b, s.head+s.step) {
		return false
	}
	s.head, s.more = s.head+s.step, s.more-1
	return true
}
