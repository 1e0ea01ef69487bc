package record

import (
	"fmt"
	"math"
)

// Limits are what a broker checks a produced batch against. The zero value of
// each field but the booleans means "no limit".
type Limits struct {
	// MaxMessageBytes is max.message.bytes, compared with the whole batch.
	MaxMessageBytes int32
	// RequireKeys refuses records without a key (a compacted topic).
	RequireKeys bool
	// AllowControl accepts control batches; clients may never write them.
	AllowControl bool
	// TimestampMin and TimestampMax bound create times, inclusive, in
	// milliseconds. They do not apply to records without a timestamp, nor to
	// topics of log append time, for which they are left at 0.
	TimestampMin int64
	TimestampMax int64
}

// Summary is what Inspect learned on its way.
type Summary struct {
	MaxTimestamp            int64 // largest record timestamp, milliseconds
	MaxTimestampOffsetDelta int32 // of the first record that has it
	MinTimestamp            int64 // smallest record timestamp, milliseconds; NoTimestamp counts as one
	PlainBytes              int   // records section, decompressed
	Keyless                 bool  // at least one record has no key
}

// Unlimited are the limits under which Inspect looks at what is wrong with a
// batch by itself, whichever topic it is for.
func Unlimited() *Limits { return &Limits{AllowControl: true} }

// Accepts tells whether a batch in which Inspect found nothing wrong under
// Unlimited is good under these limits too. False means that Inspect has to look
// at it under these limits, and to say what is wrong.
func (l *Limits) Accepts(b Batch, sum *Summary) bool {
	if b.CheckHeader(l) != nil || l.RequireKeys && sum.Keyless {
		return false
	}
	return !l.boundTimestamps(b) ||
		sum.MinTimestamp >= l.TimestampMin && (l.TimestampMax == 0 || sum.MaxTimestamp <= l.TimestampMax)
}

func (l *Limits) boundTimestamps(b Batch) bool {
	return !b.Attributes().LogAppendTime() && (l.TimestampMin != 0 || l.TimestampMax != 0)
}

// InvalidRecordError names the record of a batch that a broker refuses; Produce
// responses from version 8 pass it on (KIP-467). It wraps ErrInvalid or
// ErrTimestamp.
type InvalidRecordError struct {
	Index  int32 // position in the batch, from 0
	Reason string
	Kind   error
}

func (e *InvalidRecordError) Error() string {
	return fmt.Sprintf("%v: record %d: %s", e.Kind, e.Index, e.Reason)
}

// Unwrap returns the kind, for errors.Is.
func (e *InvalidRecordError) Unwrap() error { return e.Kind }

// Validate checks a batch as a leader must before it appends what a client sent:
// header, size, CRC, codec, and every record. The error wraps one of ErrCorrupt,
// ErrInvalid, ErrTooLarge and ErrTimestamp. It does not allocate for a good
// uncompressed batch.
func (b Batch) Validate(scratch *Scratch, limits *Limits) error {
	return b.Inspect(scratch, limits, &scratch.sum)
}

// Inspect is Validate that also reports what the leader needs to know. When
// Summary.MaxTimestamp differs from the header's, the leader corrects the header
// (Batch.SetMaxTimestamp), as Kafka does.
func (b Batch) Inspect(scratch *Scratch, limits *Limits, summary *Summary) error {
	if err := b.CheckHeader(limits); err != nil {
		return err
	}
	if err := b.CheckCRC(); err != nil {
		return err
	}
	return b.InspectRecords(scratch, limits, summary)
}

// InspectRecords is the rest of Inspect for a batch whose header and CRC have been
// found to be good.
func (b Batch) InspectRecords(scratch *Scratch, limits *Limits, summary *Summary) error {
	*summary = Summary{MaxTimestamp: NoTimestamp, MinTimestamp: math.MaxInt64}
	r := &scratch.reader
	if err := r.Reset(b, scratch); err != nil {
		return err
	}
	summary.PlainBytes = len(r.rest)
	logAppendTime := b.Attributes().LogAppendTime()
	timestamps := limits.boundTimestamps(b)
	for {
		r.skipPlain(limits, timestamps, summary)
		rec, ok, err := r.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := checkRecord(r, rec, limits, timestamps); err != nil {
			return err
		}
		t := b.BaseTimestamp() + rec.TimestampDelta
		if t > summary.MaxTimestamp {
			summary.MaxTimestamp, summary.MaxTimestampOffsetDelta = t, rec.OffsetDelta
		}
		summary.MinTimestamp = min(summary.MinTimestamp, t)
		summary.Keyless = summary.Keyless || rec.Key == nil
	}
	if logAppendTime {
		summary.MaxTimestamp, summary.MaxTimestampOffsetDelta = b.MaxTimestamp(), b.LastOffsetDelta()
	}
	return nil
}

// CheckHeader checks what a leader can tell without the records or the CRC.
func (b Batch) CheckHeader(limits *Limits) error {
	if len(b) < HeaderBytes {
		return fmt.Errorf("%w: %d bytes, a header has %d", ErrCorrupt, len(b), HeaderBytes)
	}
	if magic := int8(b[atMagic]); magic != Magic {
		if magic == 0 || magic == 1 {
			return ErrOldMagic
		}
		return fmt.Errorf("%w: magic %d, want %d", ErrCorrupt, magic, Magic)
	}
	if int64(b.Length())+LogOverhead != int64(len(b)) {
		return fmt.Errorf("%w: length %d in a batch of %d bytes", ErrCorrupt, b.Length(), len(b))
	}
	if limits.MaxMessageBytes > 0 && len(b) > int(limits.MaxMessageBytes) {
		return fmt.Errorf("%w: %d bytes, max.message.bytes is %d", ErrTooLarge, len(b), limits.MaxMessageBytes)
	}
	count, last := b.Count(), b.LastOffsetDelta()
	if count <= 0 {
		return fmt.Errorf("%w: record count %d", ErrInvalid, count)
	}
	if last < 0 || last == math.MaxInt32 || last+1 != count {
		return fmt.Errorf("%w: last offset delta %d with %d records", ErrInvalid, last, count)
	}
	a := b.Attributes()
	if !a.Codec().Known() {
		return fmt.Errorf("%w: unknown %s in attributes", ErrInvalid, a.Codec())
	}
	if a.Control() && !limits.AllowControl {
		return fmt.Errorf("%w: clients may not write control records", ErrInvalid)
	}
	if b.ProducerID() != EmptyProducerID && b.BaseSequence() < 0 && !a.Control() {
		return fmt.Errorf("%w: base sequence %d with producer id %d", ErrInvalid, b.BaseSequence(), b.ProducerID())
	}
	return nil
}

func checkRecord(r *Reader, rec *Record, limits *Limits, timestamps bool) error {
	if rec.OffsetDelta != r.index {
		return &InvalidRecordError{Index: r.index, Kind: ErrInvalid,
			Reason: fmt.Sprintf("offset delta is %d", rec.OffsetDelta)}
	}
	if limits.RequireKeys && rec.Key == nil {
		return &InvalidRecordError{Index: r.index, Kind: ErrInvalid,
			Reason: "a compacted topic accepts no record without a key"}
	}
	if !timestamps {
		return nil
	}
	t := r.batch.BaseTimestamp() + rec.TimestampDelta
	if t == NoTimestamp {
		return nil
	}
	if t < limits.TimestampMin || limits.TimestampMax != 0 && t > limits.TimestampMax {
		return &InvalidRecordError{Index: r.index, Kind: ErrTimestamp,
			Reason: fmt.Sprintf("timestamp %d is not within %d to %d", t, limits.TimestampMin, limits.TimestampMax)}
	}
	return nil
}
