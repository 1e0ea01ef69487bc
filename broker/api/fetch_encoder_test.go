package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"pgregory.net/rapid"
)

// TestFetchEncoderEqualsWire joins the encoder's head and the batches that it
// left where they were, and compares the bytes with those of the wire package,
// which copies: random responses in every version.
func TestFetchEncoderEqualsWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Int16Range(wire.FetchVersionMin, wire.FetchVersionMax).Draw(t, "version")
		f := &partition.Fetch{Version: version, ReadCommitted: rapid.Bool().Draw(t, "committed")}
		want := wire.FetchResponse{Version: version}
		if version >= 7 {
			f.ErrorCode = rapid.Int16Range(0, 100).Draw(t, "error")
			f.OutSessionID = rapid.Int32().Draw(t, "session")
			want.ErrorCode, want.SessionID = f.ErrorCode, f.OutSessionID
		}
		for topic := 0; topic < rapid.IntRange(0, 3).Draw(t, "topics"); topic++ {
			drawTopic(t, f, &want, byte(topic+1))
		}
		var endpoints []wire.NodeEndpoint
		for i := 0; i < rapid.IntRange(0, 2).Draw(t, "endpoints"); i++ {
			endpoints = append(endpoints, wire.NodeEndpoint{NodeID: int32(i), Host: "host", Port: 9092,
				Rack: wire.NullableString{String: "r", Valid: rapid.Bool().Draw(t, "rack")}})
		}
		if version >= 16 {
			want.NodeEndpoints = endpoints
		}
		e := fetchEncoder{version: version, flexible: version >= 12}
		e.response(f, endpoints)
		if diff := cmp.Diff(want.AppendTo(nil), e.joined()); diff != "" {
			t.Fatalf("version %d: wire's bytes (-), the encoder's (+):\n%s", version, diff)
		}
	})
}

func drawTopic(t *rapid.T, f *partition.Fetch, want *wire.FetchResponse, n byte) {
	name, id := "", meta.TopicID{n}
	if f.Version < 13 {
		name, id = string('a'+rune(n)), meta.TopicID{}
	}
	wt := want.AddTopic(name, id)
	for i := int32(0); i < rapid.Int32Range(1, 3).Draw(t, "partitions"); i++ {
		r := partition.FetchResult{Topic: name, TopicID: id, Partition: i, ErrorCode: rapid.SampledFrom([]int16{0, 1, 3, 6, 100}).Draw(t, "code"),
			HighWatermark: rapid.Int64().Draw(t, "hw"), LastStableOffset: rapid.Int64().Draw(t, "lso"),
			LogStartOffset: rapid.Int64().Draw(t, "start"), DivergingEpoch: -1, DivergingEnd: -1, LeaderID: -1, LeaderEpoch: -1,
			PreferredReplica: rapid.Int32Range(-1, 3).Draw(t, "prefer"), From: len(f.Records)}
		p := wt.AddPartition(i)
		p.ErrorCode, p.HighWatermark, p.LastStableOffset, p.LogStartOffset = r.ErrorCode, r.HighWatermark, r.LastStableOffset, r.LogStartOffset
		p.PreferredReadReplica = r.PreferredReplica
		if f.ReadCommitted || r.ErrorCode == 3 || r.ErrorCode == 100 { // UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID
			p.AbortedTransactions = []wire.AbortedTransaction{}
		}
		if rapid.Bool().Draw(t, "diverges") {
			r.DivergingEpoch, r.DivergingEnd = rapid.Int32Range(0, 9).Draw(t, "epoch"), rapid.Int64().Draw(t, "end")
			p.DivergingEpoch = wire.EpochEndOffset{Epoch: r.DivergingEpoch, EndOffset: r.DivergingEnd}
		}
		if rapid.Bool().Draw(t, "leader") {
			r.LeaderID, r.LeaderEpoch = rapid.Int32Range(0, 9).Draw(t, "id"), rapid.Int32Range(0, 9).Draw(t, "epoch")
			p.CurrentLeader = wire.CurrentLeader{LeaderID: r.LeaderID, LeaderEpoch: r.LeaderEpoch}
		}
		for k := 0; k < rapid.IntRange(0, 3).Draw(t, "slices"); k++ {
			b := rapid.SliceOfN(rapid.Byte(), 1, 40).Draw(t, "records")
			f.Records = append(f.Records, edge.NewBuffer(b).All())
			p.Records = append(p.Records, b)
			r.Bytes += len(b)
		}
		r.To = len(f.Records)
		f.Results = append(f.Results, r)
	}
}

// joined is what the host writes: the head with each slice before its position.
func (e *fetchEncoder) joined() []byte {
	var out []byte
	at := int32(0)
	for i := range e.body {
		out = append(out, e.head[at:e.pieces[i]]...)
		out = append(out, e.body[i].Bytes()...)
		at = e.pieces[i]
	}
	return append(out, e.head[at:]...)
}
