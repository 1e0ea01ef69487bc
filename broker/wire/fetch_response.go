package wire

import "github.com/seed-604ea8f1/windtunnel/broker/edge"

// FetchResponse is the answer to API key 1, versions 4 to 18. Version is set
// before ReadFrom. Reset and reuse it: neither way then allocates.
type FetchResponse struct {
	Version        int16
	ThrottleMillis int32
	ErrorCode      int16 // of the session, from version 7
	SessionID      int32 // from version 7
	Topics         []FetchTopicResponse
	NodeEndpoints  []NodeEndpoint // from version 16
}

// FetchTopicResponse is named up to version 12 and has an id from 13 on.
type FetchTopicResponse struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartitionResponse
}

// FetchPartitionResponse is one partition's answer. AddPartition sets the
// defaults: no error, no records, and -1 for what is unknown.
type FetchPartitionResponse struct {
	Partition            int32
	ErrorCode            int16
	HighWatermark        int64
	LastStableOffset     int64
	LogStartOffset       int64                // from version 5
	AbortedTransactions  []AbortedTransaction // nil is null: read uncommitted
	PreferredReadReplica int32                // from version 11 (KIP-392)

	// Records are put on the wire one behind the other. It is never null there,
	// as Kafka sends it. After ReadFrom it has one element, which aliases the
	// response's bytes, or none; the last batch may be partial.
	Records [][]byte
	// Slices are the records after ReadFrame, which leaves Records empty: parts of
	// the frame's own memory, each of whole batches but for the last one's tail.
	// Their buffers are not retained.
	Slices []edge.Slice

	// Tagged, from version 12; their defaults are not sent.
	DivergingEpoch EpochEndOffset
	CurrentLeader  CurrentLeader
	SnapshotID     EpochEndOffset
}

// AbortedTransaction tells a read-committed consumer what to leave out.
type AbortedTransaction struct {
	ProducerID  int64
	FirstOffset int64
}

// EpochEndOffset is a leader epoch and where it ends: of the diverging epoch, to
// which a follower truncates (KIP-595), and of a snapshot. {-1, -1} is none.
type EpochEndOffset struct {
	Epoch     int32
	EndOffset int64
}

var noEpochEndOffset = EpochEndOffset{Epoch: -1, EndOffset: -1}

const (
	fetchTopicResponseBytesMin     = 2
	fetchPartitionResponseBytesMin = 4 + 2 + 8 + 8 + 1 + 1
	abortedTransactionBytesMin     = 16
	epochEndOffsetBytes            = 4 + 8 + 1
)

// Key is 1.
func (r *FetchResponse) Key() int16 { return KeyFetch }

// GetVersion returns Version.
func (r *FetchResponse) GetVersion() int16 { return r.Version }

// SetVersion sets Version.
func (r *FetchResponse) SetVersion(version int16) { r.Version = version }

// IsFlexible says whether the version has tagged fields.
func (r *FetchResponse) IsFlexible() bool { return r.Version >= fetchFlexible }

// Reset empties the response for a version and keeps its memory.
func (r *FetchResponse) Reset(version int16) {
	*r = FetchResponse{Version: version, Topics: r.Topics[:0], NodeEndpoints: r.NodeEndpoints[:0]}
}

// AddTopic appends a topic without partitions and returns it, valid until the
// next AddTopic.
func (r *FetchResponse) AddTopic(topic string, id [16]byte) *FetchTopicResponse {
	r.Topics = grow(r.Topics)
	t := &r.Topics[len(r.Topics)-1]
	t.Topic, t.TopicID, t.Partitions = topic, id, t.Partitions[:0]
	return t
}

// AddPartition appends a partition with defaults and returns it, valid until the
// next AddPartition.
func (t *FetchTopicResponse) AddPartition(partition int32) *FetchPartitionResponse {
	t.Partitions = grow(t.Partitions)
	p := &t.Partitions[len(t.Partitions)-1]
	p.reset()
	p.Partition = partition
	return p
}

// RecordsBytes is the size of all records in the partition.
func (p *FetchPartitionResponse) RecordsBytes() int {
	n := 0
	for _, b := range p.Records {
		n += len(b)
	}
	return n
}

func (p *FetchPartitionResponse) reset() {
	records, slices := p.Records, p.Slices
	clear(records[:cap(records)]) // keep no other response's buffers alive
	clear(slices)
	*p = FetchPartitionResponse{
		LastStableOffset:     -1,
		LogStartOffset:       -1,
		PreferredReadReplica: NoBroker,
		Records:              records[:0],
		Slices:               slices[:0],
		DivergingEpoch:       noEpochEndOffset,
		CurrentLeader:        noLeader,
		SnapshotID:           noEpochEndOffset,
	}
}

// AppendTo appends the body, records included.
func (r *FetchResponse) AppendTo(dst []byte) []byte {
	flexible := r.IsFlexible()
	dst = appendInt32(dst, r.ThrottleMillis)
	if r.Version >= 7 {
		dst = appendInt16(dst, r.ErrorCode)
		dst = appendInt32(dst, r.SessionID)
	}
	dst = appendArrayLen(dst, len(r.Topics), flexible)
	for i := range r.Topics {
		t := &r.Topics[i]
		if r.Version >= fetchTopicIDs {
			dst = append(dst, t.TopicID[:]...)
		} else {
			dst = appendString(dst, t.Topic, flexible)
		}
		dst = appendArrayLen(dst, len(t.Partitions), flexible)
		for j := range t.Partitions {
			dst = r.appendPartition(dst, &t.Partitions[j], flexible)
		}
		dst = appendNoTags(dst, flexible)
	}
	if flexible {
		dst = appendNodeEndpoints(dst, r.NodeEndpoints, r.Version >= fetchEndpoints)
	}
	return dst
}

func (r *FetchResponse) appendPartition(dst []byte, p *FetchPartitionResponse, flexible bool) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt16(dst, p.ErrorCode)
	dst = appendInt64(dst, p.HighWatermark)
	dst = appendInt64(dst, p.LastStableOffset)
	if r.Version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if p.AbortedTransactions == nil {
		dst = appendArrayLen(dst, -1, flexible)
	} else {
		dst = appendArrayLen(dst, len(p.AbortedTransactions), flexible)
	}
	for i := range p.AbortedTransactions {
		a := &p.AbortedTransactions[i]
		dst = appendInt64(dst, a.ProducerID)
		dst = appendInt64(dst, a.FirstOffset)
		dst = appendNoTags(dst, flexible)
	}
	if r.Version >= 11 {
		dst = appendInt32(dst, p.PreferredReadReplica)
	}
	dst = appendBytesLen(dst, p.RecordsBytes(), flexible)
	for _, b := range p.Records {
		dst = append(dst, b...)
	}
	if flexible {
		dst = p.appendTags(dst)
	}
	return dst
}

func (p *FetchPartitionResponse) appendTags(dst []byte) []byte {
	diverging, leader, snapshot := p.DivergingEpoch != noEpochEndOffset, p.CurrentLeader != noLeader, p.SnapshotID != noEpochEndOffset
	dst = append(dst, boolByte(diverging)+boolByte(leader)+boolByte(snapshot))
	if diverging {
		dst = appendTag(dst, 0, epochEndOffsetBytes)
		dst = appendInt32(dst, p.DivergingEpoch.Epoch)
		dst = appendInt64(dst, p.DivergingEpoch.EndOffset)
		dst = append(dst, 0)
	}
	if leader {
		dst = appendCurrentLeader(dst, 1, &p.CurrentLeader)
	}
	if snapshot {
		// The same two fields, in the other order.
		dst = appendTag(dst, 2, epochEndOffsetBytes)
		dst = appendInt64(dst, p.SnapshotID.EndOffset)
		dst = appendInt32(dst, p.SnapshotID.Epoch)
		dst = append(dst, 0)
	}
	return dst
}

// ReadFrom decodes a body of the version set. Records alias it.
func (r *FetchResponse) ReadFrom(body []byte) error {
	return r.read(decoder{b: body, flexible: r.IsFlexible()}, nil)
}

// ReadFrame decodes the body that begins at offset from of a frame, which may be
// in pieces; Slices are then the pieces, and nothing is copied.
func (r *FetchResponse) ReadFrame(frame *edge.Buffer, from int) error {
	p := pieces{frame: frame}
	p.head, p.body, p.at = frame.Pieces()
	err := r.read(decoder{b: p.head[from:], flexible: r.IsFlexible()}, &p)
	if err != nil && len(p.body) > 0 {
		// Nobody has to cut a frame where its records begin and end.
		whole := frame.Bytes()
		err = r.read(decoder{b: whole[from:], flexible: r.IsFlexible()}, &pieces{frame: frame, head: whole})
	}
	return err
}

// read decodes the head of a frame, or without one (nil) a body in one place.
func (r *FetchResponse) read(d decoder, frame *pieces) error {
	r.Reset(r.Version)
	r.ThrottleMillis = d.int32("throttle_time_ms")
	if r.Version >= 7 {
		r.ErrorCode = d.int16("error_code")
		r.SessionID = d.int32("session_id")
	}
	for n := d.arrayLen(fetchTopicResponseBytesMin, "topics"); n > 0 && d.err == nil; n-- {
		r.Topics = grow(r.Topics)
		t := &r.Topics[len(r.Topics)-1]
		readTopicName(&d, r.Version >= fetchTopicIDs, &t.Topic, &t.TopicID)
		t.Partitions = t.Partitions[:0]
		for m := d.arrayLen(fetchPartitionResponseBytesMin, "topics.partitions"); m > 0 && d.err == nil; m-- {
			t.Partitions = grow(t.Partitions)
			r.readPartition(&d, frame, &t.Partitions[len(t.Partitions)-1])
		}
		d.skipTags("topics.tags")
	}
	r.NodeEndpoints = readNodeEndpoints(&d, r.NodeEndpoints, r.Version >= fetchEndpoints)
	return d.err
}

func (r *FetchResponse) readPartition(d *decoder, frame *pieces, p *FetchPartitionResponse) {
	aborted := p.AbortedTransactions[:0]
	p.reset()
	p.Partition = d.int32("topics.partitions.partition_index")
	p.ErrorCode = d.int16("topics.partitions.error_code")
	p.HighWatermark = d.int64("topics.partitions.high_watermark")
	p.LastStableOffset = d.int64("topics.partitions.last_stable_offset")
	if r.Version >= 5 {
		p.LogStartOffset = d.int64("topics.partitions.log_start_offset")
	}
	n := d.nullableArrayLen(abortedTransactionBytesMin, "topics.partitions.aborted_transactions")
	if n >= 0 && aborted == nil {
		aborted = []AbortedTransaction{}
	}
	if n >= 0 {
		p.AbortedTransactions = aborted
	}
	for ; n > 0 && d.err == nil; n-- {
		a := AbortedTransaction{ProducerID: d.int64("topics.partitions.aborted_transactions.producer_id")}
		a.FirstOffset = d.int64("topics.partitions.aborted_transactions.first_offset")
		d.skipTags("topics.partitions.aborted_transactions.tags")
		p.AbortedTransactions = append(p.AbortedTransactions, a)
	}
	if r.Version >= 11 {
		p.PreferredReadReplica = d.int32("topics.partitions.preferred_read_replica")
	}
	if frame != nil {
		p.Slices = frame.slices(d, p.Slices, "topics.partitions.records")
	} else if records := d.nullableBytes("topics.partitions.records"); len(records) > 0 {
		p.Records = append(p.Records, records)
	}
	for n := d.tagCount("topics.partitions.tags"); n > 0 && d.err == nil; n-- {
		key, value := d.tag("topics.partitions.tags")
		if d.err != nil {
			return
		}
		p.readTag(key, &value)
		d.leaveTag(&value)
	}
}

func (p *FetchPartitionResponse) readTag(key uint32, d *decoder) {
	switch key {
	case 0:
		p.DivergingEpoch.Epoch = d.int32("topics.partitions.diverging_epoch.epoch")
		p.DivergingEpoch.EndOffset = d.int64("topics.partitions.diverging_epoch.end_offset")
		d.skipTags("topics.partitions.diverging_epoch.tags")
	case 1:
		readCurrentLeader(d, &p.CurrentLeader)
	case 2:
		p.SnapshotID.EndOffset = d.int64("topics.partitions.snapshot_id.end_offset")
		p.SnapshotID.Epoch = d.int32("topics.partitions.snapshot_id.epoch")
		d.skipTags("topics.partitions.snapshot_id.tags")
	}
}
