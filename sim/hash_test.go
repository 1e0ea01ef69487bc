package sim

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"pgregory.net/rapid"
)

// Goal: the hash of a frame depends on its bytes alone. Method: frames cut into
// pieces anywhere, empty ones included, against the same bytes in one place.
func TestHashOfFrameInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pool edge.Pool
		var head []byte
		var body []edge.Slice
		var at []int32
		fill := byte(0)
		draw := func(name string) []byte {
			b := make([]byte, rapid.SampledFrom([]int{0, 1, 7, 60, 255, 256, 1000, 3000}).Draw(t, name))
			for i := range b {
				fill += 7
				b[i] = fill
			}
			return b
		}
		head = append(head, draw("head")...)
		whole := append([]byte(nil), head...)
		for range rapid.IntRange(1, 6).Draw(t, "pieces") {
			piece, more := draw("piece"), draw("head")
			at = append(at, int32(len(head)))
			body = append(body, edge.NewBuffer(piece).All())
			head = append(head, more...)
			whole = append(append(whole, piece...), more...)
		}
		want := hashFrame(1, edge.NewBuffer(whole), false)
		if got := hashFrame(1, pool.Scatter(head, body, at), false); got != want {
			t.Fatalf("%d bytes in %d pieces: %x, want %x", len(whole), len(body), got, want)
		}
	})
}
