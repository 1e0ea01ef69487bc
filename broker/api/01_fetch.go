package api

import (
	"encoding/binary"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Fetch (key 1, versions 4 to 18). Version 7 has sessions (KIP-227), 9 fences by
// leader epoch (KIP-320), 11 knows racks (KIP-392), 12 finds divergence
// (KIP-595), 13 names topics by id (KIP-516), 15 carries a follower's broker
// epoch (KIP-903), 16 names the new leader's address (KIP-951).
//
// Batches are not copied into the response: they are sent from where they are,
// between pieces of the encoded head.

// Fetch reads records for a consumer or a follower.
func (d *Data) Fetch(c *step.Context, r *conn.Request) {
	req := &d.fetch
	req.Version = r.Version
	if err := req.ReadFrom(r.Body); err != nil {
		c.Logf(edge.Warn, "closing connection of %s: Fetch version %d: %v", r.Peer, r.Version, err)
		d.Responder.Disconnect(c, r.ID)
		return
	}
	f := d.Partitions.NewFetch()
	f.Request, f.Session, f.Version = r.ID, r.Session, r.Version
	f.ReplicaID, f.ReplicaEpoch = req.ReplicaID, req.ReplicaEpoch
	f.MaxWaitMillis, f.MinBytes, f.MaxBytes = req.MaxWaitMillis, req.MinBytes, req.MaxBytes
	f.ReadCommitted = req.IsolationLevel == 1
	f.SessionID, f.SessionEpoch, f.Rack = req.SessionID, req.SessionEpoch, req.Rack
	d.asked.reset()
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			a := &t.Partitions[j]
			ask := partition.FetchAsk{
				Topic: t.Topic, TopicID: t.TopicID, Partition: a.Partition,
				LeaderEpoch: a.CurrentLeaderEpoch, LastFetchedEpoch: a.LastFetchedEpoch,
				Offset: a.FetchOffset, LogStartOffset: a.LogStartOffset, MaxBytes: a.MaxBytes,
			}
			if place, again := d.asked.place(onceKey{t.Topic, t.TopicID, a.Partition}); again {
				f.Asks[place] = ask
			} else {
				f.Asks = append(f.Asks, ask)
			}
		}
	}
	for i := range req.Forgotten {
		t := &req.Forgotten[i]
		for _, index := range t.Partitions {
			f.Forgotten = append(f.Forgotten, partition.FetchForgotten{Topic: t.Topic, TopicID: t.TopicID, Partition: index})
		}
	}
	d.Partitions.Fetch(c, f)
}

// AnswerFetch implements partition.Answerer.
func (d *Data) AnswerFetch(c *step.Context, f *partition.Fetch) {
	d.endpoints = d.endpoints[:0]
	for i := range f.Results {
		d.endpoint(f.Request, f.Results[i].LeaderID)
	}
	e := fetchEncoder{version: f.Version, flexible: f.Version >= 12}
	e.head = d.Responder.ResponseHead(f.Request, c.Out.Head())
	if len(f.Records) > 0 {
		e.body, e.pieces = c.Out.Body()
	}
	e.response(f, d.endpoints)
	d.Responder.RespondEncoded(c, f.Request, edge.Send{Head: e.head, Body: e.body, Pieces: e.pieces})
}

// fetchEncoder encodes a response around the batches that it does not copy. Its
// bytes equal those of wire.FetchResponse.
type fetchEncoder struct {
	version  int16
	flexible bool
	head     []byte
	body     []edge.Slice
	pieces   []int32
}

func (e *fetchEncoder) int16(v int16) { e.head = binary.BigEndian.AppendUint16(e.head, uint16(v)) }
func (e *fetchEncoder) int32(v int32) { e.head = binary.BigEndian.AppendUint32(e.head, uint32(v)) }
func (e *fetchEncoder) int64(v int64) { e.head = binary.BigEndian.AppendUint64(e.head, uint64(v)) }
func (e *fetchEncoder) uvarint(v int) { e.head = binary.AppendUvarint(e.head, uint64(v)) }

// length writes the length of an array or of bytes; -1 is null.
func (e *fetchEncoder) length(n int) {
	if e.flexible {
		e.uvarint(n + 1)
	} else {
		e.int32(int32(n))
	}
}

func (e *fetchEncoder) noTags() {
	if e.flexible {
		e.head = append(e.head, 0)
	}
}

func (e *fetchEncoder) response(f *partition.Fetch, endpoints []wire.NodeEndpoint) {
	e.int32(0) // throttle time
	if e.version >= 7 {
		e.int16(f.ErrorCode)
		e.int32(f.OutSessionID)
	}
	topics := 0
	for i := range f.Results {
		if startsTopic(f.Results, i) {
			topics++
		}
	}
	e.length(topics)
	for i := 0; i < len(f.Results); {
		end := i + 1
		for end < len(f.Results) && !startsTopic(f.Results, end) {
			end++
		}
		e.topic(f, f.Results[i:end])
		i = end
	}
	if !e.flexible {
		return
	}
	if e.version < 16 || len(endpoints) == 0 {
		e.noTags()
		return
	}
	e.endpoints(endpoints)
}

// startsTopic says that a result is of another topic than the one before it.
func startsTopic(results []partition.FetchResult, i int) bool {
	return i == 0 || results[i].TopicID != results[i-1].TopicID || results[i].Topic != results[i-1].Topic
}

func (e *fetchEncoder) topic(f *partition.Fetch, results []partition.FetchResult) {
	if e.version >= 13 {
		e.head = append(e.head, results[0].TopicID[:]...)
	} else {
		if e.flexible {
			e.uvarint(len(results[0].Topic) + 1)
		} else {
			e.int16(int16(len(results[0].Topic)))
		}
		e.head = append(e.head, results[0].Topic...)
	}
	e.length(len(results))
	for i := range results {
		e.partition(f, &results[i])
	}
	e.noTags()
}

func (e *fetchEncoder) partition(f *partition.Fetch, r *partition.FetchResult) {
	e.int32(r.Partition)
	e.int16(r.ErrorCode)
	e.int64(r.HighWatermark)
	e.int64(r.LastStableOffset)
	if e.version >= 5 {
		e.int64(r.LogStartOffset)
	}
	// Aborted transactions: null, or none of them for read_committed and, as in
	// Kafka, of a partition that is not known.
	if f.ReadCommitted || r.ErrorCode == kerr.UnknownTopicOrPartition.Code || r.ErrorCode == kerr.UnknownTopicID.Code {
		e.length(0)
	} else {
		e.length(-1)
	}
	if e.version >= 11 {
		e.int32(r.PreferredReplica)
	}
	e.length(r.Bytes)
	for i := r.From; i < r.To; i++ {
		e.body = append(e.body, f.Records[i])
		e.pieces = append(e.pieces, int32(len(e.head)))
	}
	if e.flexible {
		e.tags(r)
	}
}

func (e *fetchEncoder) tags(r *partition.FetchResult) {
	diverging, leader := r.DivergingEpoch >= 0, r.LeaderID >= 0
	n := byte(0)
	if diverging {
		n++
	}
	if leader {
		n++
	}
	e.head = append(e.head, n)
	if diverging {
		e.head = append(e.head, 0, 13) // tag 0: epoch, offset, no tags
		e.int32(r.DivergingEpoch)
		e.int64(r.DivergingEnd)
		e.noTags()
	}
	if leader {
		e.head = append(e.head, 1, 9) // tag 1: id, epoch, no tags
		e.int32(r.LeaderID)
		e.int32(r.LeaderEpoch)
		e.noTags()
	}
}

// endpoints writes the response's last tags: the addresses of the leaders named.
func (e *fetchEncoder) endpoints(nodes []wire.NodeEndpoint) {
	e.head = append(e.head, 1, 0)
	inner := fetchEncoder{flexible: true}
	inner.length(len(nodes))
	for i := range nodes {
		n := &nodes[i]
		inner.int32(n.NodeID)
		inner.uvarint(len(n.Host) + 1)
		inner.head = append(inner.head, n.Host...)
		inner.int32(n.Port)
		if n.Rack.Valid {
			inner.uvarint(len(n.Rack.String) + 1)
			inner.head = append(inner.head, n.Rack.String...)
		} else {
			inner.uvarint(0)
		}
		inner.noTags()
	}
	e.uvarint(len(inner.head))
	e.head = append(e.head, inner.head...)
}
