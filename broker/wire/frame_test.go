package wire

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"pgregory.net/rapid"
)

// Goal: a fetch response reads the same in one place, in pieces that are its
// records, and in pieces cut anywhere. Method: the records are made findable in
// the encoded response, which is cut at them, or elsewhere, behind a header.
func TestFetchResponseInPieces(t *testing.T) {
	const header = "headr"
	var got FetchResponse
	rapid.Check(t, func(t *rapid.T) {
		m := drawFetchResponse(t, anyFetchVersion(t))
		n := 0
		for i := range m.Topics {
			for j := range m.Topics[i].Partitions {
				p := &m.Topics[i].Partitions[j]
				p.Records = p.Records[:0]
				for range rapid.IntRange(0, 3).Draw(t, "batches") {
					p.Records = append(p.Records, fmt.Appendf(nil, "<records %d %s>", n, "of nothing"))
					n++
				}
			}
		}
		whole := m.AppendTo([]byte(header))
		skew := rapid.SampledFrom([]int{0, 0, 1, -1}).Draw(t, "skew")
		var pool edge.Pool
		var head []byte
		var body []edge.Slice
		var at []int32
		done := 0
		for k := range n {
			record := fmt.Appendf(nil, "<records %d %s>", k, "of nothing")
			from := bytes.Index(whole, record) + skew
			to := min(from+len(record), len(whole))
			head = append(head, whole[done:from]...)
			at = append(at, int32(len(head)))
			body = append(body, edge.NewBuffer(whole[from:to]).All())
			done = to
		}
		head = append(head, whole[done:]...)
		for _, frame := range []*edge.Buffer{edge.NewBuffer(whole), pool.Scatter(head, body, at)} {
			got.Version = m.Version
			if err := got.ReadFrame(frame, len(header)); err != nil {
				t.Fatal(err)
			}
			for i := range got.Topics {
				for j := range got.Topics[i].Partitions {
					p := &got.Topics[i].Partitions[j]
					for _, s := range p.Slices {
						p.Records = append(p.Records, s.Bytes())
					}
				}
			}
			if diff := cmp.Diff(whole, got.AppendTo([]byte(header))); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
