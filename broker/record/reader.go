package record

import (
	"fmt"
)

// Header is one record header. The value may be nil, the key may not.
type Header struct {
	Key   []byte
	Value []byte
}

// Record is one record as it stands in a batch. Nil and empty keys and values
// are different things. Everything aliases the batch or the Scratch.
type Record struct {
	OffsetDelta    int32
	TimestampDelta int64 // milliseconds after the batch's base timestamp
	Key            []byte
	Value          []byte
	Headers        []Header
}

// recordBytesMin is the smallest record: its length, attributes, two deltas, two
// null lengths and a header count, each in a byte.
const recordBytesMin = 7

// Reader iterates over the records of one batch. It checks structure only:
// neither the CRC nor that the offset deltas run from 0 up, since compaction
// leaves gaps (Batch.Validate checks both).
type Reader struct {
	batch   Batch
	rest    []byte
	left    int32
	index   int32
	rec     Record
	shape   shape // of rec, if it can serve as a model
	headers []Header
	err     error
}

// Reset starts the reader at b's first record. It decompresses the whole batch
// into scratch, which must not serve another batch until the reader is done; an
// uncompressed batch never touches it.
func (r *Reader) Reset(b Batch, scratch *Scratch) error {
	r.batch, r.rest, r.left, r.index, r.err, r.shape.more = b, nil, 0, -1, nil, 0
	count := b.Count()
	if count < 0 {
		r.err = fmt.Errorf("%w: record count %d", ErrInvalid, count)
		return r.err
	}
	if count == 0 && len(b) == HeaderBytes {
		return nil // emptied by compaction, whatever codec the header names
	}
	rest, err := scratch.records(b)
	if err != nil {
		r.err = err
		return err
	}
	r.rest, r.left = rest, count
	return nil
}

// Next returns the next record, which is valid until the next call; ok is false
// at the end and on an error. Errors wrap ErrInvalid and name the record: the
// CRC covered what cannot be parsed, so its producer wrote it.
func (r *Reader) Next() (rec *Record, ok bool, err error) {
	if r.err != nil {
		return nil, false, r.err
	}
	if r.left == 0 {
		if len(r.rest) != 0 {
			r.err = fmt.Errorf("%w: %d bytes after the last of %d records", ErrInvalid, len(r.rest), r.batch.Count())
			return nil, false, r.err
		}
		return nil, false, nil
	}
	r.left--
	r.index++
	if r.parseAlike() || r.parseUsual() {
		return &r.rec, true, nil
	}
	if reason := r.parse(); reason != "" {
		r.err = fmt.Errorf("%w: record %d of %d: %s", ErrInvalid, r.index, r.batch.Count(), reason)
		return nil, false, r.err
	}
	return &r.rec, true, nil
}

// Alike returns the records, at most so many, that follow the last one returned and
// are like it. They stay to be read until Pass.
func (r *Reader) Alike(most int32) Run {
	s := &r.shape
	if r.err != nil || s.more == 0 {
		return Run{}
	}
	run := Run{Count: s.skip(r.rest, min(most, r.left)), bytes: r.rest, size: s.bytes, key: s.key, value: s.value, contents: s.contents}
	if r.rec.Key == nil {
		run.key = -1
	}
	return run
}

// Pass goes over count of the records that Alike has returned.
func (r *Reader) Pass(count int32) {
	s := &r.shape
	r.left, r.index, r.rest = r.left-count, r.index+count, r.rest[int(count)*s.bytes:]
	s.head, s.more = s.head+uint64(count)*s.step, s.more-count
	r.rec.OffsetDelta += count
}

// Index is the position in the batch of the record last returned, from 0.
func (r *Reader) Index() int32 { return r.index }

// Offset is the absolute offset of the record last returned.
func (r *Reader) Offset() int64 { return r.batch.BaseOffset() + int64(r.rec.OffsetDelta) }

// Timestamp is that of the record last returned, in milliseconds: the batch's
// maximum for a batch of log append time.
func (r *Reader) Timestamp() int64 {
	if r.batch.Attributes().LogAppendTime() {
		return r.batch.MaxTimestamp()
	}
	return r.batch.BaseTimestamp() + r.rec.TimestampDelta
}

// parseAlike takes one record off rest if it is like the one before it.
func (r *Reader) parseAlike() bool {
	s, b := &r.shape, r.rest
	if !s.next(b) {
		return false
	}
	rec := &r.rec
	rec.OffsetDelta++
	if rec.Key != nil {
		rec.Key = b[s.key:s.value:s.value]
	}
	rec.Value = b[s.contents : s.bytes-1 : s.bytes-1]
	r.rest = b[s.bytes:]
	return true
}

// parseUsual takes one record off rest if it is of the usual kind: without
// headers, its integers in one byte or two. Others, and all that are wrong, it
// leaves to parse, which takes several times as long.
func (r *Reader) parseUsual() bool {
	b, s := r.rest, &r.shape
	s.more = 0
	length, at := shortVarint(b, 0)
	end := at + int(length)
	if at == 0 || length < recordBytesMin-1 || end > len(b) {
		return false
	}
	timestamp, at := shortVarint(b, at+1) // the record's attributes have no bits in use
	if at == 0 {
		return false
	}
	s.offset = at
	offset, at := shortVarint(b, at)
	if at == 0 {
		return false
	}
	keyBytes, at := shortVarint(b, at)
	if at == 0 {
		return false
	}
	s.key = at
	var key []byte
	if keyBytes >= 0 {
		keyEnd := at + int(keyBytes)
		if keyEnd > end {
			return false
		}
		key = b[at:keyEnd:keyEnd]
		at = keyEnd
	}
	s.value = at
	valueBytes, at := shortVarint(b, at)
	if at == 0 || valueBytes < 0 || at+int(valueBytes) != end-1 || b[end-1] != 0 {
		return false
	}
	rec := &r.rec
	rec.OffsetDelta, rec.TimestampDelta, rec.Key, rec.Value, rec.Headers = offset, int64(timestamp), key, b[at:end-1:end-1], nil
	r.rest = b[end:]
	if s.contents, s.bytes = at, end; offset >= 0 && r.left > 0 {
		s.learn(b)
	}
	return true
}

// parse takes one record off rest and returns why it could not, if so.
func (r *Reader) parse() string {
	length, n := readVarint32(r.rest)
	if n == 0 {
		return "length is cut off"
	}
	if length < recordBytesMin-1 || int64(length) > int64(len(r.rest)-n) {
		return fmt.Sprintf("length %d with %d bytes left", length, len(r.rest)-n)
	}
	b := r.rest[n : n+int(length)]
	r.rest = r.rest[n+int(length):]

	b = b[1:] // the record's attributes have no bits in use
	rec := &r.rec
	if rec.TimestampDelta, n = readVarint64(b); n == 0 {
		return "timestamp delta is cut off"
	}
	b = b[n:]
	if rec.OffsetDelta, n = readVarint32(b); n == 0 {
		return "offset delta is cut off"
	}
	b = b[n:]
	var ok bool
	if rec.Key, b, ok = readNullableBytes(b); !ok {
		return "key runs past the record"
	}
	if rec.Value, b, ok = readNullableBytes(b); !ok {
		return "value runs past the record"
	}
	if len(b) == 1 && b[0] == 0 {
		rec.Headers = nil
		return ""
	}
	return r.parseHeaders(b)
}

func (r *Reader) parseHeaders(b []byte) string {
	count, n := readVarint32(b)
	if n == 0 {
		return "header count is cut off"
	}
	b = b[n:]
	// A header takes two bytes or more, which bounds what we make room for.
	if count < 0 || int64(count) > int64(len(b)/2) {
		return fmt.Sprintf("%d headers in %d bytes", count, len(b))
	}
	headers := r.headers[:0]
	for i := int32(0); i < count; i++ {
		var h Header
		var ok bool
		if h.Key, b, ok = readNullableBytes(b); !ok {
			return fmt.Sprintf("key of header %d runs past the record", i)
		}
		if h.Key == nil {
			return fmt.Sprintf("key of header %d is null", i)
		}
		if h.Value, b, ok = readNullableBytes(b); !ok {
			return fmt.Sprintf("value of header %d runs past the record", i)
		}
		headers = append(headers, h)
	}
	r.headers = headers
	if len(b) != 0 {
		return fmt.Sprintf("%d bytes after its last field", len(b))
	}
	if count == 0 {
		headers = nil
	}
	r.rec.Headers = headers
	return ""
}

// readNullableBytes takes a length and as many bytes; a negative length is null,
// as in Java's reader.
func readNullableBytes(b []byte) (v, rest []byte, ok bool) {
	length, n := readVarint32(b)
	if n == 0 {
		return nil, nil, false
	}
	b = b[n:]
	if length < 0 {
		return nil, b, true
	}
	if int(length) > len(b) {
		return nil, nil, false
	}
	return b[:length:length], b[length:], true
}
