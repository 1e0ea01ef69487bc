package api

import (
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

// FuzzInspector: whatever comes, inspectors neither panic nor remember.
func FuzzInspector(f *testing.F) {
	f.Add(produceFrame(9, batchOf(record.Lz4), batchOf(record.None)).Bytes())
	f.Add(produceFrame(3, batchOf(record.Gzip)).Bytes())
	f.Add([]byte{0, 0, 0, 9})
	inspector := NewInspector()
	f.Fuzz(func(t *testing.T, frame []byte) {
		got := inspector.Inspect(edge.NewBuffer(frame), nil)
		want := NewInspector().Inspect(edge.NewBuffer(frame), nil)
		if (got == nil) != (want == nil) || got != nil && got.(*partition.Verdict).Good() != want.(*partition.Verdict).Good() {
			t.Fatalf("%v, a fresh inspector says %v", got, want)
		}
	})
}
