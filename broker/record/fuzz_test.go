package record

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The fuzz targets hold the package to: never panic, never read outside the
// batch (a Batch has no spare capacity, so the runtime would catch it), and only
// the documented kinds of error.

func seeds(f *testing.F) {
	var b Builder
	for _, c := range Codecs() {
		f.Add([]byte(buildBatch(&b, NoProducer(c), []testRecord{
			{Timestamp: 1, Key: []byte("k"), Value: []byte("value"), Headers: []Header{{Key: []byte("h"), Value: nil}}},
			{Timestamp: 2, Value: []byte("value value value value")},
		})))
	}
	f.Add([]byte(b.AppendMarker(nil, Marker{Type: ControlAbort})))
}

func FuzzNext(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		rest := in
		for len(rest) > 0 {
			b, after, err := Next(rest)
			if err != nil {
				if !errors.Is(err, ErrShort) && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("undocumented error %v", err)
				}
				return
			}
			if len(b) < HeaderBytes || len(b)+len(after) != len(rest) || cap(b) != len(b) {
				t.Fatalf("batch of %d bytes (capacity %d) and %d after it, from %d", len(b), cap(b), len(after), len(rest))
			}
			_, _, _ = b.LastOffset(), b.LastSequence(), b.CheckCRC()
			rest = after
		}
	})
}

// FuzzValidate repairs the CRC, or no mutation would reach the records.
func FuzzValidate(f *testing.F) {
	seeds(f)
	var scratch Scratch
	f.Fuzz(func(t *testing.T, in []byte) {
		b, _, err := Next(append([]byte(nil), in...))
		if err != nil {
			return
		}
		b.writeCRC()
		err = b.Validate(&scratch, &Limits{AllowControl: true})
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("undocumented error %v", err)
			}
			return
		}
		// What is valid can be read, has as many records as it says, and
		// stays valid under another codec.
		if got := len(readAll(t, b, &scratch)); got != int(b.Count()) {
			t.Fatalf("%d records, header says %d", got, b.Count())
		}
		again, err := scratch.Recompress(nil, b, Snappy, 0)
		if err != nil {
			t.Fatalf("recompress: %v", err)
		}
		if err := again.Validate(&scratch, &Limits{AllowControl: true}); err != nil {
			t.Fatalf("recompressed: %v", err)
		}
	})
}

func FuzzReader(f *testing.F) {
	seeds(f)
	var scratch Scratch
	var r Reader
	f.Fuzz(func(t *testing.T, in []byte) {
		b, _, err := Next(append([]byte(nil), in...))
		if err != nil || r.Reset(b, &scratch) != nil {
			return
		}
		var n int32
		for {
			rec, ok, err := r.Next()
			if err != nil {
				if !errors.Is(err, ErrInvalid) {
					t.Fatalf("undocumented error %v", err)
				}
				return
			}
			if !ok {
				break
			}
			_ = RecordBytes(rec.OffsetDelta, rec.TimestampDelta, rec.Key, rec.Value, rec.Headers)
			n++
		}
		if n != b.Count() {
			t.Fatalf("%d records, header says %d", n, b.Count())
		}
	})
}

// FuzzUsual: whatever the short way through a record accepts, the long way reads
// the same.
func FuzzUsual(f *testing.F) {
	for _, r := range []testRecord{
		{Timestamp: 1}, {Timestamp: 70, Key: []byte{}, Value: []byte{}}, {Timestamp: 1 << 40, Value: []byte("value")},
		{Timestamp: 5, Key: []byte("k"), Value: make([]byte, 100)}, {Value: make([]byte, 9000)},
		{Key: []byte("k"), Value: []byte("v"), Headers: []Header{{Key: []byte("h")}}},
	} {
		f.Add(appendRecord(nil, 3, r.Timestamp, r.Key, r.Value, r.Headers))
		f.Add(appendRecord(nil, 300, r.Timestamp, r.Key, r.Value, r.Headers))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		short, long := Reader{rest: in}, Reader{rest: in}
		if !short.parseUsual() {
			return
		}
		if reason := long.parse(); reason != "" {
			t.Fatalf("the short way accepts what is wrong: %s", reason)
		}
		if diff := cmp.Diff(long.rec, short.rec); diff != "" || len(long.rest) != len(short.rest) {
			t.Fatalf("%d and %d bytes left\n%s", len(long.rest), len(short.rest), diff)
		}
	})
}
