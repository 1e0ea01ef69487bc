package edge

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Goal: a frame in pieces has the bytes of one that was copied together, and
// gives back what it holds in either case. Method: with and without asking for
// the bytes, twice, so that memory is reused.
func TestScatteredFrame(t *testing.T) {
	var pool Pool
	for _, join := range []bool{true, false, true, false} {
		one, two := NewBuffer([]byte("ONE")), NewBuffer([]byte("-TWO-"))
		frame := pool.Scatter([]byte("head"), []Slice{one.All(), two.Slice(1, 4)}, []int32{2, 3})
		if frame.Len() != 10 {
			t.Fatalf("length %d, want 10", frame.Len())
		}
		if head, body, at := frame.Pieces(); string(head) != "head" || len(body) != 2 || cmp.Diff([]int32{2, 3}, at) != "" {
			t.Fatalf("pieces %q %d %v", head, len(body), at)
		}
		if join {
			if diff := cmp.Diff("heONEaTWOd", string(frame.Bytes())); diff != "" {
				t.Fatal(diff)
			}
			if head, body, _ := frame.Pieces(); !bytes.Equal(head, frame.Bytes()) || len(body) != 0 {
				t.Fatalf("joined, and still in %d pieces", len(body))
			}
		}
		frame.Release()
		if one.refs != 0 || two.refs != 0 {
			t.Fatalf("references left: %d and %d", one.refs, two.refs)
		}
	}
}
