package wire

import (
	"math"

	"pgregory.net/rapid"
)

// Random messages, with every field and tag in use.

func drawString(t *rapid.T) string { return rapid.StringN(0, 20, 150).Draw(t, "string") }

func drawNullable(t *rapid.T) NullableString {
	if rapid.Bool().Draw(t, "null") {
		return NullableString{}
	}
	return Some(drawString(t))
}

func drawName(t *rapid.T, version, idsFrom int16) (string, [16]byte) {
	if version < idsFrom {
		return drawString(t), [16]byte{}
	}
	return "", [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
}

func drawBytes(t *rapid.T) []byte {
	return make([]byte, rapid.SampledFrom([]int{0, 1, 126, 127, 128, 16383, 16384}).Draw(t, "bytes"))
}

func drawCount(t *rapid.T) int { return rapid.IntRange(0, 3).Draw(t, "count") }

func drawI32(t *rapid.T) int32 { return rapid.Int32().Draw(t, "int32") }

func drawI64(t *rapid.T) int64 { return rapid.Int64().Draw(t, "int64") }

func drawLeader(t *rapid.T, has bool) CurrentLeader {
	if !has || rapid.Bool().Draw(t, "no leader") {
		return noLeader
	}
	return CurrentLeader{LeaderID: drawI32(t), LeaderEpoch: drawI32(t)}
}

func drawEpoch(t *rapid.T, has bool) EpochEndOffset {
	if !has || rapid.Bool().Draw(t, "no epoch") {
		return noEpochEndOffset
	}
	return EpochEndOffset{Epoch: drawI32(t), EndOffset: drawI64(t)}
}

func drawNodes(t *rapid.T, has bool) []NodeEndpoint {
	var nodes []NodeEndpoint
	for n := drawCount(t); has && n > 0; n-- {
		nodes = append(nodes, NodeEndpoint{drawI32(t), drawString(t), drawI32(t), drawNullable(t)})
	}
	return nodes
}

func drawProduceRequest(t *rapid.T, version int16) *ProduceRequest {
	r := new(ProduceRequest)
	r.Reset(version)
	r.TransactionalID, r.Acks, r.TimeoutMillis = drawNullable(t), rapid.Int16().Draw(t, "acks"), drawI32(t)
	for range drawCount(t) {
		topic := r.AddTopic(drawName(t, r.Version, 13))
		for range drawCount(t) {
			var records []byte
			if rapid.Bool().Draw(t, "records") {
				records = drawBytes(t)
			}
			topic.AddPartition(drawI32(t), records)
		}
	}
	return r
}

func drawProduceResponse(t *rapid.T, version int16) *ProduceResponse {
	r := new(ProduceResponse)
	r.Reset(version)
	r.ThrottleMillis, r.NodeEndpoints = drawI32(t), drawNodes(t, r.Version >= 10)
	for range drawCount(t) {
		topic := r.AddTopic(drawName(t, r.Version, 13))
		for range drawCount(t) {
			p := topic.AddPartition(drawI32(t))
			p.ErrorCode = rapid.Int16().Draw(t, "error")
			p.BaseOffset, p.LogAppendTimeMillis = drawI64(t), drawI64(t)
			if r.Version >= 5 {
				p.LogStartOffset = drawI64(t)
			}
			if r.Version < 8 {
				continue
			}
			for range drawCount(t) {
				p.RecordErrors = append(p.RecordErrors, RecordError{drawI32(t), drawNullable(t)})
			}
			p.ErrorMessage, p.CurrentLeader = drawNullable(t), drawLeader(t, r.Version >= 10)
		}
	}
	return r
}

func drawFetchRequest(t *rapid.T, version int16) *FetchRequest {
	r := new(FetchRequest)
	r.Reset(version)
	r.ReplicaID = rapid.Int32Range(-2, math.MaxInt32).Draw(t, "replica")
	r.MaxWaitMillis, r.MinBytes, r.MaxBytes = drawI32(t), drawI32(t), drawI32(t)
	r.IsolationLevel = rapid.Int8().Draw(t, "isolation")
	if r.Version >= 7 {
		r.SessionID, r.SessionEpoch = drawI32(t), drawI32(t)
		for range drawCount(t) {
			f := r.AddForgotten(drawName(t, r.Version, 13))
			for range drawCount(t) {
				f.Partitions = append(f.Partitions, drawI32(t))
			}
		}
	}
	if r.Version >= 11 {
		r.Rack = drawString(t)
	}
	if r.Version >= 12 {
		r.ClusterID = drawNullable(t)
	}
	if r.Version >= 15 && rapid.Bool().Draw(t, "epoch") {
		r.ReplicaEpoch = drawI64(t)
	}
	for range drawCount(t) {
		topic := r.AddTopic(drawName(t, r.Version, 13))
		for range drawCount(t) {
			drawFetchPartition(t, r.Version, topic.AddPartition(drawI32(t)))
		}
	}
	return r
}

func drawFetchPartition(t *rapid.T, version int16, p *FetchPartition) {
	p.FetchOffset, p.MaxBytes = drawI64(t), drawI32(t)
	if version >= 5 {
		p.LogStartOffset = drawI64(t)
	}
	if version >= 9 {
		p.CurrentLeaderEpoch = drawI32(t)
	}
	if version >= 12 {
		p.LastFetchedEpoch = drawI32(t)
	}
	if version >= 17 && rapid.Bool().Draw(t, "directory") {
		_, p.DirectoryID = drawName(t, version, 13)
	}
	if version >= 18 && rapid.Bool().Draw(t, "high watermark") {
		p.HighWatermark = drawI64(t)
	}
}

func drawFetchResponse(t *rapid.T, version int16) *FetchResponse {
	r := new(FetchResponse)
	r.Reset(version)
	r.ThrottleMillis, r.NodeEndpoints = drawI32(t), drawNodes(t, r.Version >= 16)
	if r.Version >= 7 {
		r.ErrorCode, r.SessionID = rapid.Int16().Draw(t, "error"), drawI32(t)
	}
	for range drawCount(t) {
		topic := r.AddTopic(drawName(t, r.Version, 13))
		for range drawCount(t) {
			p := topic.AddPartition(drawI32(t))
			p.ErrorCode = rapid.Int16().Draw(t, "error")
			p.HighWatermark, p.LastStableOffset = drawI64(t), drawI64(t)
			if r.Version >= 5 {
				p.LogStartOffset = drawI64(t)
			}
			if rapid.Bool().Draw(t, "read committed") {
				p.AbortedTransactions = []AbortedTransaction{}
				for range drawCount(t) {
					p.AbortedTransactions = append(p.AbortedTransactions, AbortedTransaction{drawI64(t), drawI64(t)})
				}
			}
			if r.Version >= 11 {
				p.PreferredReadReplica = drawI32(t)
			}
			for range drawCount(t) {
				p.Records = append(p.Records, drawBytes(t))
			}
			p.DivergingEpoch = drawEpoch(t, r.Version >= 12)
			p.CurrentLeader = drawLeader(t, r.Version >= 12)
			p.SnapshotID = drawEpoch(t, r.Version >= 12)
		}
	}
	return r
}
