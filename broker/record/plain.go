package record

import "encoding/binary"

// plainWindow is how many bytes must be left of a records section for a record in
// front of them to be looked at as a plain one: all that comes before its key,
// and more than one word.
const plainWindow = 12

// skipPlain goes over the records in front that are plain and good: without
// headers, their numbers of one byte or two, as nearly all are. It keeps nothing
// of them but what the leader needs to know. Whatever is unusual, and whatever is
// wrong, it leaves to Next, which takes several times as long and says what it is.
func (r *Reader) skipPlain(limits *Limits, timestamps bool, sum *Summary) {
	b, base, index, left := r.rest, r.batch.BaseTimestamp(), r.index, r.left
	keys, earliest := int32(0), sum.MinTimestamp // a negative length makes keys negative
	var alike shape
	for left > 0 && len(b) >= plainWindow {
		index++
		// Each number in turn is at the low end of the word: a length, the attributes,
		// which have no bits in use, and so on.
		word := binary.LittleEndian.Uint64(b)
		length, n := wordVarint(word)
		at, end, long := n+1, int(n)+int(length), word&(word<<8)
		word >>= (8*n + 8) & 63
		timestampDelta, n := wordVarint(word)
		at, long = at+n, long|word&(word<<8)
		alike.offset = int(at)
		word >>= 8 * n & 63
		offsetDelta, n := wordVarint(word)
		at, long = at+n+1, long|word&(word<<8)|word>>(8*n&63)<<8
		keyLength, _ := wordVarint(word >> (8 * n & 63) & 0xff)
		if offsetDelta != index || keyLength < 0 && limits.RequireKeys {
			break
		}
		value := int(at) + int(max(keyLength, 0))
		if value+2 > len(b) {
			break
		}
		word = uint64(binary.LittleEndian.Uint16(b[value:]))
		valueLength, n := wordVarint(word)
		long |= word & (word << 8)
		// The last byte is the number of headers, 0. If it lies where the length says
		// then so does everything before it.
		last := value + int(n) + int(max(valueLength, 0))
		if long&0x8000 != 0 || last != end-1 || end > len(b) || b[last] != 0 {
			break
		}
		t := base + int64(timestampDelta)
		if timestamps && (t < limits.TimestampMin || limits.TimestampMax != 0 && t > limits.TimestampMax) {
			break
		}
		if t > sum.MaxTimestamp {
			sum.MaxTimestamp, sum.MaxTimestampOffsetDelta = t, offsetDelta
		}
		keys, earliest = keys|keyLength, min(earliest, t)
		alike.key, alike.value, alike.contents, alike.bytes = int(at), value, value+int(n), end
		alike.learn(b)
		more := alike.skip(b[end:], left-1)
		b = b[int(1+more)*end:]
		index += more
		r.index, left = index, left-1-more
	}
	r.rest, r.left = b, left
	sum.Keyless, sum.MinTimestamp = sum.Keyless || keys < 0, earliest
}

// wordVarint reads the varint of at most two bytes at the low end of a word, and
// how many it has. One of three bytes or more shows in bit 15 of word&(word<<8).
func wordVarint(word uint64) (v int32, n uint) {
	u, more := int32(word&0x7f), uint(word>>7&1)
	u |= int32(word>>1) & 0x3f80 * int32(more)
	return u>>1 ^ -(u & 1), 1 + more
}
