package api

import (
	"bytes"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// produceFrame is a Produce request, without its length, for partitions 0, 1...
func produceFrame(version int16, batches ...[]byte) *edge.Buffer {
	req := wire.ProduceRequest{Version: version, Acks: -1}
	topic := req.AddTopic("t", [16]byte{1})
	for i, b := range batches {
		topic.AddPartition(int32(i), b)
	}
	return edge.NewBuffer(wire.AppendRequest(nil, 1, "client", &req)[wire.FrameLengthBytes:])
}

func batchOf(codec record.Codec) []byte {
	var b record.Builder
	b.Reset(nil, record.NoProducer(codec))
	b.Append(1000, []byte("k"), make([]byte, 100), nil)
	return b.Finish()
}

// Goal: a verdict vouches for the batches in which nothing is wrong, in every
// version, and for no other. Method: good and bad ones beside each other.
func TestInspectorVouchesForGoodBatches(t *testing.T) {
	bad := batchOf(record.None)
	bad[len(bad)-1]++
	inspector := NewInspector()
	var used edge.Verdict
	for version := wire.ProduceVersionMin; version <= wire.ProduceVersionMax; version++ {
		frame := produceFrame(version, nil, batchOf(record.None), bad, bad[:20], batchOf(record.Zstd))
		used = inspector.Inspect(frame, used)
		if got := used.(*partition.Verdict).Good(); got != 2 {
			t.Errorf("version %d: %d batches are good, 2 are", version, got)
		}
	}
	header := wire.AppendRequest(nil, 1, "client", &wire.FetchRequest{Version: 12})
	if v := inspector.Inspect(edge.NewBuffer(header[wire.FrameLengthBytes:]), used); v != nil {
		t.Errorf("a Fetch request has the verdict %v", v)
	}
}

// Goal: a verdict on a leader's answer knows the batches whose CRC is right, and
// no other, whether the answer is in one place or in pieces; other answers have
// none. Method: good and bad batches beside each other, several to a partition.
func TestInspectorVouchesForFetchedBatches(t *testing.T) {
	const version, headerBytes = 17, 5 // as between brokers: the correlation id and no tags
	bad := batchOf(record.None)
	bad[len(bad)-1]++
	two := append(batchOf(record.None), batchOf(record.Gzip)...)
	partitions := [][]byte{two, bad, nil, append(append([]byte(nil), bad...), two...), two[:len(two)-1]}
	resp := wire.FetchResponse{Version: version}
	topic := resp.AddTopic("", [16]byte{1})
	for i, records := range partitions {
		p := topic.AddPartition(int32(i))
		if records != nil {
			p.Records = [][]byte{records}
		}
	}
	whole := resp.AppendTo(make([]byte, headerBytes))
	// The same with its records cut out.
	var pool edge.Pool
	var head []byte
	var body []edge.Slice
	var at []int32
	from := 0
	for _, records := range partitions {
		if i := bytes.Index(whole[from:], records); len(records) > 0 {
			head = append(head, whole[from:from+i]...)
			body, at = append(body, edge.NewBuffer(records).All()), append(at, int32(len(head)))
			from += i + len(records)
		}
	}
	head = append(head, whole[from:]...)
	inspector := NewInspector()
	var used edge.Verdict
	for range 2 {
		for _, frame := range []*edge.Buffer{edge.NewBuffer(whole), pool.Scatter(head, body, at)} {
			if used = inspector.InspectAnswer(frame, used); used == nil {
				t.Fatal("a fetch's answer has no verdict")
			}
			if got := used.(*partition.FetchVerdict).Sound(); got != 5 {
				t.Errorf("%d batches are sound, 5 are", got)
			}
		}
	}
	if v := inspector.InspectAnswer(edge.NewBuffer([]byte{0, 0, 0, 1, 0, 0}), used); v != nil {
		t.Errorf("a short answer has the verdict %v", v)
	}
}

// FuzzInspector: whatever comes, inspectors neither panic nor remember.
func FuzzInspector(f *testing.F) {
	f.Add(produceFrame(9, batchOf(record.Lz4), batchOf(record.None)).Bytes())
	f.Add(produceFrame(3, batchOf(record.Gzip)).Bytes())
	f.Add([]byte{0, 0, 0, 9})
	inspector := NewInspector()
	f.Fuzz(func(t *testing.T, frame []byte) {
		answer := inspector.InspectAnswer(edge.NewBuffer(frame), nil)
		if fresh := NewInspector().InspectAnswer(edge.NewBuffer(frame), nil); (answer == nil) != (fresh == nil) {
			t.Fatalf("of an answer %v, a fresh inspector says %v", answer, fresh)
		}
		got := inspector.Inspect(edge.NewBuffer(frame), nil)
		want := NewInspector().Inspect(edge.NewBuffer(frame), nil)
		if (got == nil) != (want == nil) || got != nil && got.(*partition.Verdict).Good() != want.(*partition.Verdict).Good() {
			t.Fatalf("%v, a fresh inspector says %v", got, want)
		}
	})
}
