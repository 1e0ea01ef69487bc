package edge

import (
	"bytes"
	"hash/crc32"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// filled is what a test knows of a buffer: what it filled it with.
type filled struct {
	buffer *Buffer
	bytes  []byte
}

// Goal: a checksum is always that of the bytes that the part has now: none survives
// a buffer's reuse, its change before it is shared, or its being copied with a bit
// flipped, and what a joined frame inherits from its pieces is true of its own bytes.
// Method: buffers of one pool come, go, are joined, copied and changed at random, and
// each checksum, remembered or asked for, is compared with one that is computed.
func TestSumsAreTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pool Pool
		var live []filled
		pick := func(t *rapid.T) int {
			if len(live) == 0 {
				t.Skip() // the action does not apply: rapid draws another one
			}
			return rapid.IntRange(0, len(live)-1).Draw(t, "buffer")
		}
		// Few starts and sizes, so that the same parts are asked for again.
		part := func(t *rapid.T, f filled) Slice {
			from := rapid.SampledFrom([]int{0, 21, 100, 600}).Draw(t, "from")
			to := min(len(f.bytes), from+rapid.SampledFrom([]int{200, sumBytesMin, 700, 4000}).Draw(t, "bytes"))
			return f.buffer.Slice(min(from, to), to)
		}
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				n := rapid.SampledFrom([]int{100, 1500, 5000}).Draw(t, "bytes")
				f := filled{pool.Get(n), bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, n)}
				copy(f.buffer.Bytes(), f.bytes)
				live = append(live, f)
			},
			"release": func(t *rapid.T) {
				i := pick(t)
				live[i].buffer.Release()
				live = append(live[:i], live[i+1:]...)
			},
			"join": func(t *rapid.T) {
				head := []byte("a head of the frame")
				var body []Slice
				var at []int32
				var whole []byte
				for k := range rapid.IntRange(1, 3).Draw(t, "pieces") {
					s := part(t, live[pick(t)])
					s.Buffer.Retain()
					body, at = append(body, s), append(at, int32(3*k))
					whole = append(append(whole, head[max(0, 3*k-3):3*k]...), s.Bytes()...)
				}
				whole = append(whole, head[at[len(at)-1]:]...)
				live = append(live, filled{pool.Scatter(head, body, at), whole})
			},
			"change": func(t *rapid.T) {
				f := live[pick(t)]
				if f.buffer.refs > 1 || len(f.bytes) == 0 {
					t.Skip() // the action does not apply: rapid draws another one
				}
				at, bit := rapid.IntRange(0, len(f.bytes)-1).Draw(t, "at"), byte(1)<<rapid.IntRange(0, 7).Draw(t, "bit")
				f.buffer.Bytes()[at] ^= bit
				f.bytes[at] ^= bit
				f.buffer.Changed()
			},
			"flipped copy": func(t *rapid.T) {
				f := live[pick(t)]
				if len(f.bytes) == 0 {
					t.Skip() // the action does not apply: rapid draws another one
				}
				damaged := bytes.Clone(f.buffer.Bytes())
				damaged[rapid.IntRange(0, len(damaged)-1).Draw(t, "at")] ^= 1
				live = append(live, filled{NewBuffer(bytes.Clone(damaged)), damaged})
			},
			"sum": func(t *rapid.T) {
				f := live[pick(t)]
				s := part(t, f)
				if got, want := s.CRC32C(), crc32.Checksum(f.bytes[s.From:s.To], castagnoli); got != want {
					t.Fatalf("bytes %d to %d of %d: CRC %08x, want %08x", s.From, s.To, len(f.bytes), got, want)
				}
			},
			"read": func(t *rapid.T) { live[pick(t)].buffer.Bytes() },
			"": func(t *rapid.T) {
				for _, f := range live {
					if len(f.buffer.sums) > sumsMax {
						t.Fatalf("a buffer remembers %d sums", len(f.buffer.sums))
					}
					for _, m := range f.buffer.sums {
						if want := crc32.Checksum(f.bytes[m.from:m.to], castagnoli); m.value != want {
							t.Fatalf("bytes %d to %d of %d: remembers %08x, want %08x", m.from, m.to, len(f.bytes), m.value, want)
						}
					}
				}
			},
		})
	})
}

// Goal: whoever changes the bytes of a shared buffer is found out. Method: change a
// part whose checksum is one of those that are computed again.
func TestChangedBytesOfASharedBufferPanic(t *testing.T) {
	b := NewBuffer(make([]byte, 1000))
	for n := 0; b.All().CRC32C()%sumsDoubted != 0; n++ {
		b.Bytes()[n] ^= 1
		b.Changed()
	}
	b.Bytes()[999] ^= 1
	defer func() {
		if text, _ := recover().(string); !strings.Contains(text, "bytes 0 to 1000 of a shared buffer have changed") {
			t.Errorf("recovered %q", text)
		}
	}()
	b.All().CRC32C()
}
