package record

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Goal: what skipPlain goes over is what Next and checkRecord would have
// accepted, and the rest is left to them. Method: batches of every shape, most
// with a few bytes changed, are inspected with and without it.
func TestInspectIsTheSameRecordByRecord(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) []byte {
		n := rapid.SampledFrom([]int{-1, 0, 1, 5, 63, 64, 100, 8191, 8192}).Draw(t, "bytes")
		if n < 0 {
			return nil
		}
		return make([]byte, n)
	})
	rapid.Check(t, func(t *rapid.T) {
		batch := changedBatch(t, value)
		limits := Limits{RequireKeys: rapid.Bool().Draw(t, "keys")}
		if rapid.Bool().Draw(t, "bounds") {
			limits.TimestampMin, limits.TimestampMax = 1500, 50000
		}
		var scratch Scratch
		var got Summary
		err := batch.Inspect(&scratch, &limits, &got)
		want, wantErr := inspectEach(t, batch, &limits)
		if cmp.Diff(text(wantErr), text(err)) != "" || err == nil && cmp.Diff(want, got) != "" {
			t.Fatalf("%v %+v, record by record %v %+v", err, got, wantErr, want)
		}
		var alone Summary
		good := batch.Inspect(&scratch, Unlimited(), &alone) == nil && limits.Accepts(batch, &alone)
		// Records without a timestamp are in no bounds, and are looked at again.
		if good && cmp.Diff(got, alone) != "" || good != (err == nil) && (good || got.MinTimestamp != NoTimestamp) {
			t.Fatalf("%v %+v, but accepted (%v) by what was found without limits: %+v", err, got, good, alone)
		}
	})
}

// changedBatch draws a batch in which runs of records are alike, and changes a few
// bytes of it.
func changedBatch(t *rapid.T, value *rapid.Generator[[]byte]) Batch {
	var builder Builder
	builder.Reset(nil, NoProducer(None))
	for left := rapid.IntRange(1, 80).Draw(t, "records"); left > 0; {
		var headers []Header
		if rapid.IntRange(0, 9).Draw(t, "headers") == 0 {
			headers = []Header{{Key: []byte("k")}}
		}
		ms, key, val := rapid.Int64Range(1000, 60000).Draw(t, "timestamp"), value.Draw(t, "key"), value.Draw(t, "value")
		alike := rapid.IntRange(1, left).Draw(t, "alike")
		for range alike {
			builder.Append(ms, key, val, headers)
		}
		left -= alike
	}
	batch := Batch(builder.Finish())
	for range rapid.IntRange(0, 3).Draw(t, "changes") {
		at := rapid.IntRange(HeaderBytes, len(batch)-1).Draw(t, "at")
		batch[at] = rapid.SampledFrom([]byte{0, 1, 2, 0x7f, 0x80, 0x81, 0xff}).Draw(t, "byte")
	}
	batch.writeCRC()
	return batch
}

// Goal: a record that is recognised by the one before it is the one that stands
// there. Method: batches of runs of like records, most with a few bytes changed, are
// read with and without the model.
func TestReaderIsTheSameRecordByRecord(t *testing.T) {
	value := rapid.Custom(func(t *rapid.T) []byte {
		return make([]byte, rapid.SampledFrom([]int{0, 1, 5, 55, 63, 64, 100}).Draw(t, "bytes"))
	})
	rapid.Check(t, func(t *rapid.T) {
		batch := changedBatch(t, value)
		var scratch Scratch
		var got, want Reader
		if err := errors.Join(got.Reset(batch, &scratch), want.Reset(batch, &scratch)); err != nil {
			t.Fatal(err)
		}
		for {
			rec, ok, err := got.Next()
			want.shape.more = 0
			wantRec, wantOK, wantErr := want.Next()
			if diff := cmp.Diff(text(wantErr), text(err)); diff != "" || ok != wantOK {
				t.Fatalf("record %d: %v, by itself %v\n%s", want.Index(), ok, wantOK, diff)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(wantRec, rec); diff != "" || len(got.rest) != len(want.rest) {
				t.Fatalf("record %d\n%s", want.Index(), diff)
			}
			run := got.Alike(rapid.Int32Range(0, 20).Draw(t, "most"))
			pass := rapid.Int32Range(0, run.Count).Draw(t, "pass")
			for i := range pass {
				want.shape.more = 0
				if wantRec, ok, err = want.Next(); !ok || wantRec.Headers != nil ||
					cmp.Diff([][]byte{wantRec.Key, wantRec.Value}, [][]byte{run.Key(i), run.Value(i)}) != "" {
					t.Fatalf("record %d of a run: %q %q, by itself %v %v %+v", i, run.Key(i), run.Value(i), ok, err, wantRec)
				}
			}
			if got.Pass(pass); got.Index() != want.Index() || got.Offset() != want.Offset() || got.Timestamp() != want.Timestamp() {
				t.Fatalf("behind a run at record %d, offset %d, want %d, %d", got.Index(), got.Offset(), want.Index(), want.Offset())
			}
		}
	})
}

func text(err error) string {
	var bad *InvalidRecordError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &bad):
		return bad.Error()
	}
	return err.Error()
}

func inspectEach(t *rapid.T, b Batch, limits *Limits) (Summary, error) {
	sum := Summary{MaxTimestamp: NoTimestamp, MinTimestamp: math.MaxInt64, PlainBytes: len(b) - HeaderBytes}
	var scratch Scratch
	var r Reader
	if err := r.Reset(b, &scratch); err != nil {
		t.Fatal(err)
	}
	for {
		r.shape.more = 0 // each by itself
		rec, ok, err := r.Next()
		if err != nil || !ok {
			return sum, err
		}
		if err := checkRecord(&r, rec, limits, limits.TimestampMax != 0); err != nil {
			return sum, err
		}
		ms := b.BaseTimestamp() + rec.TimestampDelta
		if ms > sum.MaxTimestamp {
			sum.MaxTimestamp, sum.MaxTimestampOffsetDelta = ms, rec.OffsetDelta
		}
		sum.MinTimestamp, sum.Keyless = min(sum.MinTimestamp, ms), sum.Keyless || rec.Key == nil
	}
}
