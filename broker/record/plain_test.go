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
		var builder Builder
		builder.Reset(nil, NoProducer(None))
		for range rapid.IntRange(1, 80).Draw(t, "records") {
			var headers []Header
			if rapid.IntRange(0, 9).Draw(t, "headers") == 0 {
				headers = []Header{{Key: []byte("k")}}
			}
			ms := rapid.Int64Range(1000, 60000).Draw(t, "timestamp")
			builder.Append(ms, value.Draw(t, "key"), value.Draw(t, "value"), headers)
		}
		batch := Batch(builder.Finish())
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			at := rapid.IntRange(HeaderBytes, len(batch)-1).Draw(t, "at")
			batch[at] = rapid.SampledFrom([]byte{0, 1, 2, 0x7f, 0x80, 0x81, 0xff}).Draw(t, "byte")
		}
		batch.writeCRC()
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
