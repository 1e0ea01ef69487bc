package record

import (
	"fmt"
	"testing"
)

// The benchmarks report ns per record: of 100 records of 100 bytes, and of one.

func benchShapes(b *testing.B, run func(b *testing.B, c Codec, n int)) {
	for _, n := range []int{100, 1} {
		for _, c := range Codecs() {
			b.Run(fmt.Sprintf("%s/%dx100B", c, n), func(b *testing.B) {
				b.ReportAllocs()
				run(b, c, n)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
			})
		}
	}
}

func encodeN(builder *Builder, dst []byte, c Codec, n int, value []byte) Batch {
	builder.Reset(dst, NoProducer(c))
	for i := range n {
		builder.Append(1700000000000+int64(i), nil, value, nil)
	}
	return builder.Finish()
}

func value100() []byte {
	v := make([]byte, 100)
	for i := range v {
		v[i] = byte('a' + i*i%23)
	}
	return v
}

func BenchmarkEncode(b *testing.B) {
	benchShapes(b, func(b *testing.B, c Codec, n int) {
		var builder Builder
		value := value100()
		dst := encodeN(&builder, nil, c, n, value)
		for b.Loop() {
			dst = encodeN(&builder, dst, c, n, value)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	benchShapes(b, func(b *testing.B, c Codec, n int) {
		var scratch Scratch
		batch := encodeN(new(Builder), nil, c, n, value100())
		limits := Limits{MaxMessageBytes: 1 << 20}
		for b.Loop() {
			if err := batch.Validate(&scratch, &limits); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	benchShapes(b, func(b *testing.B, c Codec, n int) {
		var scratch Scratch
		var r Reader
		batch := encodeN(new(Builder), nil, c, n, value100())
		for b.Loop() {
			if err := r.Reset(batch, &scratch); err != nil {
				b.Fatal(err)
			}
			for {
				_, ok, err := r.Next()
				if err != nil {
					b.Fatal(err)
				}
				if !ok {
					break
				}
			}
		}
	})
}

// TestHotPathsDoNotAllocate is the benchmark's claim as a test.
func TestHotPathsDoNotAllocate(t *testing.T) {
	var builder Builder
	var scratch Scratch
	var r Reader
	value := value100()
	dst := encodeN(&builder, nil, None, 100, value)
	if n := testing.AllocsPerRun(100, func() { dst = encodeN(&builder, dst, None, 100, value) }); n != 0 {
		t.Errorf("encode: %v allocations", n)
	}
	limits := Limits{MaxMessageBytes: 1 << 20}
	if n := testing.AllocsPerRun(100, func() {
		if err := dst.Validate(&scratch, &limits); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("validate: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := r.Reset(dst, &scratch); err != nil {
			t.Fatal(err)
		}
		for _, ok, _ := r.Next(); ok; _, ok, _ = r.Next() {
		}
	}); n != 0 {
		t.Errorf("read: %v allocations", n)
	}
}
