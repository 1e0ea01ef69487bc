package wire

import "math"

// The versions of Fetch that the codec knows.
const (
	FetchVersionMin int16 = 4
	FetchVersionMax int16 = 18
)

const (
	fetchFlexible     = 12 // compact fields and tags
	fetchTopicIDs     = 13 // topic ids instead of names (KIP-516)
	fetchReplicaState = 15 // replica id and epoch as a tag (KIP-903)
	fetchEndpoints    = 16 // node endpoints (KIP-951)
	fetchDirectories  = 17 // replica directory ids (KIP-853)
	fetchFollowerHW   = 18 // a follower's high watermark (KIP-1166)
)

// NoHighWatermark says that a follower does not report its high watermark
// (KIP-1166).
const NoHighWatermark int64 = math.MaxInt64

// FetchRequest is API key 1, versions 4 to 18. Version is set before ReadFrom.
// Decoding into the same struct reuses its slices and strings. ReplicaID moves on
// the wire from a field (up to version 14) to the tagged replica state, but is one
// thing to a broker, so it is one field here.
type FetchRequest struct {
	Version        int16
	ClusterID      NullableString // tagged, from version 12
	ReplicaID      int32          // -1 for consumers
	ReplicaEpoch   int64          // broker epoch of the follower, from version 15; -1
	MaxWaitMillis  int32
	MinBytes       int32
	MaxBytes       int32
	IsolationLevel int8  // 0 read uncommitted, 1 read committed
	SessionID      int32 // from version 7; 0 is none
	SessionEpoch   int32 // from version 7; 0 opens a session, -1 is none
	Topics         []FetchTopic
	Forgotten      []ForgottenTopic // from version 7
	Rack           string           // from version 11
}

// FetchTopic is named up to version 12 and has an id from 13 on.
type FetchTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []FetchPartition
}

// FetchPartition is where to read one partition from. AddPartition sets the
// defaults.
type FetchPartition struct {
	Partition          int32
	CurrentLeaderEpoch int32 // from version 9; -1 skips fencing
	FetchOffset        int64
	LastFetchedEpoch   int32 // from version 12; -1 is none
	LogStartOffset     int64 // of a follower; -1 for consumers
	MaxBytes           int32
	DirectoryID        [16]byte // tagged, from version 17 (KIP-853)
	HighWatermark      int64    // tagged, from version 18; NoHighWatermark
}

// ForgottenTopic names partitions that leave the fetch session (KIP-227).
type ForgottenTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []int32
}

const (
	fetchTopicBytesMin     = 2
	fetchPartitionBytesMin = 4 + 8 + 4
	forgottenTopicBytesMin = 2
	partitionIndexBytes    = 4
	replicaStateBytes      = 4 + 8 + 1
)

// Key is 1.
func (r *FetchRequest) Key() int16 { return KeyFetch }

// GetVersion returns Version.
func (r *FetchRequest) GetVersion() int16 { return r.Version }

// SetVersion sets Version.
func (r *FetchRequest) SetVersion(version int16) { r.Version = version }

// IsFlexible says whether the version has tagged fields.
func (r *FetchRequest) IsFlexible() bool { return r.Version >= fetchFlexible }

// Reset sets a consumer's defaults for a version, without topics, and keeps the
// request's memory.
func (r *FetchRequest) Reset(version int16) {
	*r = FetchRequest{
		Version:      version,
		ReplicaID:    NoBroker,
		ReplicaEpoch: -1,
		MaxBytes:     math.MaxInt32,
		SessionEpoch: -1,
		Topics:       r.Topics[:0],
		Forgotten:    r.Forgotten[:0],
	}
}

// AddTopic appends a topic without partitions and returns it, valid until the
// next AddTopic.
func (r *FetchRequest) AddTopic(topic string, id [16]byte) *FetchTopic {
	r.Topics = grow(r.Topics)
	t := &r.Topics[len(r.Topics)-1]
	t.Topic, t.TopicID, t.Partitions = topic, id, t.Partitions[:0]
	return t
}

// AddPartition appends a partition with defaults and returns it, valid until the
// next AddPartition.
func (t *FetchTopic) AddPartition(partition int32) *FetchPartition {
	t.Partitions = grow(t.Partitions)
	p := &t.Partitions[len(t.Partitions)-1]
	p.reset()
	p.Partition = partition
	return p
}

// AddForgotten appends a topic to forget, without partitions, and returns it,
// valid until the next AddForgotten.
func (r *FetchRequest) AddForgotten(topic string, id [16]byte) *ForgottenTopic {
	r.Forgotten = grow(r.Forgotten)
	t := &r.Forgotten[len(r.Forgotten)-1]
	t.Topic, t.TopicID, t.Partitions = topic, id, t.Partitions[:0]
	return t
}

func (p *FetchPartition) reset() {
	*p = FetchPartition{CurrentLeaderEpoch: -1, LastFetchedEpoch: -1, LogStartOffset: -1, HighWatermark: NoHighWatermark}
}

// AppendTo appends the body.
func (r *FetchRequest) AppendTo(dst []byte) []byte {
	flexible := r.IsFlexible()
	if r.Version < fetchReplicaState {
		dst = appendInt32(dst, r.ReplicaID)
	}
	dst = appendInt32(dst, r.MaxWaitMillis)
	dst = appendInt32(dst, r.MinBytes)
	dst = appendInt32(dst, r.MaxBytes)
	dst = append(dst, byte(r.IsolationLevel))
	if r.Version >= 7 {
		dst = appendInt32(dst, r.SessionID)
		dst = appendInt32(dst, r.SessionEpoch)
	}
	dst = appendArrayLen(dst, len(r.Topics), flexible)
	for i := range r.Topics {
		t := &r.Topics[i]
		dst = r.appendTopicName(dst, t.Topic, &t.TopicID)
		dst = appendArrayLen(dst, len(t.Partitions), flexible)
		for j := range t.Partitions {
			dst = r.appendPartition(dst, &t.Partitions[j], flexible)
		}
		dst = appendNoTags(dst, flexible)
	}
	if r.Version >= 7 {
		dst = r.appendForgotten(dst, flexible)
	}
	if r.Version >= 11 {
		dst = appendString(dst, r.Rack, flexible)
	}
	if flexible {
		dst = r.appendTags(dst)
	}
	return dst
}

func (r *FetchRequest) appendTopicName(dst []byte, name string, id *[16]byte) []byte {
	if r.Version >= fetchTopicIDs {
		return append(dst, id[:]...)
	}
	return appendString(dst, name, r.IsFlexible())
}

func (r *FetchRequest) appendPartition(dst []byte, p *FetchPartition, flexible bool) []byte {
	dst = appendInt32(dst, p.Partition)
	if r.Version >= 9 {
		dst = appendInt32(dst, p.CurrentLeaderEpoch)
	}
	dst = appendInt64(dst, p.FetchOffset)
	if r.Version >= 12 {
		dst = appendInt32(dst, p.LastFetchedEpoch)
	}
	if r.Version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	dst = appendInt32(dst, p.MaxBytes)
	if !flexible {
		return dst
	}
	hasDirectory := r.Version >= fetchDirectories && p.DirectoryID != [16]byte{}
	hasHW := r.Version >= fetchFollowerHW && p.HighWatermark != NoHighWatermark
	dst = append(dst, boolByte(hasDirectory)+boolByte(hasHW))
	if hasDirectory {
		dst = appendTag(dst, 0, len(p.DirectoryID))
		dst = append(dst, p.DirectoryID[:]...)
	}
	if hasHW {
		dst = appendTag(dst, 1, 8)
		dst = appendInt64(dst, p.HighWatermark)
	}
	return dst
}

func (r *FetchRequest) appendForgotten(dst []byte, flexible bool) []byte {
	dst = appendArrayLen(dst, len(r.Forgotten), flexible)
	for i := range r.Forgotten {
		t := &r.Forgotten[i]
		dst = r.appendTopicName(dst, t.Topic, &t.TopicID)
		dst = appendArrayLen(dst, len(t.Partitions), flexible)
		for _, p := range t.Partitions {
			dst = appendInt32(dst, p)
		}
		dst = appendNoTags(dst, flexible)
	}
	return dst
}

func (r *FetchRequest) appendTags(dst []byte) []byte {
	hasState := r.Version >= fetchReplicaState && (r.ReplicaID != NoBroker || r.ReplicaEpoch != -1)
	dst = append(dst, boolByte(r.ClusterID.Valid)+boolByte(hasState))
	if r.ClusterID.Valid {
		dst = appendTag(dst, 0, stringBytes(r.ClusterID.String))
		dst = appendString(dst, r.ClusterID.String, true)
	}
	if hasState {
		dst = appendTag(dst, 1, replicaStateBytes)
		dst = appendInt32(dst, r.ReplicaID)
		dst = appendInt64(dst, r.ReplicaEpoch)
		dst = append(dst, 0)
	}
	return dst
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// ReadFrom decodes a body of the version set.
func (r *FetchRequest) ReadFrom(body []byte) error {
	rack := r.Rack
	r.Reset(r.Version)
	r.Rack = rack // so that an equal one is kept
	d := decoder{b: body, flexible: r.IsFlexible()}
	if r.Version < fetchReplicaState {
		r.ReplicaID = d.int32("replica_id")
	}
	r.MaxWaitMillis = d.int32("max_wait_ms")
	r.MinBytes = d.int32("min_bytes")
	r.MaxBytes = d.int32("max_bytes")
	r.IsolationLevel = d.int8("isolation_level")
	if r.Version >= 7 {
		r.SessionID = d.int32("session_id")
		r.SessionEpoch = d.int32("session_epoch")
	}
	for n := d.arrayLen(fetchTopicBytesMin, "topics"); n > 0 && d.err == nil; n-- {
		r.Topics = grow(r.Topics)
		t := &r.Topics[len(r.Topics)-1]
		readTopicName(&d, r.Version >= fetchTopicIDs, &t.Topic, &t.TopicID)
		t.Partitions = t.Partitions[:0]
		for m := d.arrayLen(fetchPartitionBytesMin, "topics.partitions"); m > 0 && d.err == nil; m-- {
			t.Partitions = grow(t.Partitions)
			r.readPartition(&d, &t.Partitions[len(t.Partitions)-1])
		}
		d.skipTags("topics.tags")
	}
	if r.Version >= 7 {
		r.readForgotten(&d)
	}
	if r.Version >= 11 {
		d.string(&r.Rack, "rack_id")
	} else {
		r.Rack = ""
	}
	r.readTags(&d)
	return d.err
}

func (r *FetchRequest) readPartition(d *decoder, p *FetchPartition) {
	p.reset()
	p.Partition = d.int32("topics.partitions.partition")
	if r.Version >= 9 {
		p.CurrentLeaderEpoch = d.int32("topics.partitions.current_leader_epoch")
	}
	p.FetchOffset = d.int64("topics.partitions.fetch_offset")
	if r.Version >= 12 {
		p.LastFetchedEpoch = d.int32("topics.partitions.last_fetched_epoch")
	}
	if r.Version >= 5 {
		p.LogStartOffset = d.int64("topics.partitions.log_start_offset")
	}
	p.MaxBytes = d.int32("topics.partitions.partition_max_bytes")
	for n := d.tagCount("topics.partitions.tags"); n > 0 && d.err == nil; n-- {
		key, value := d.tag("topics.partitions.tags")
		if d.err != nil {
			return
		}
		switch {
		case key == 0 && r.Version >= fetchDirectories:
			value.uuid(&p.DirectoryID, "topics.partitions.replica_directory_id")
		case key == 1 && r.Version >= fetchFollowerHW:
			p.HighWatermark = value.int64("topics.partitions.high_watermark")
		}
		d.leaveTag(&value)
	}
}

func (r *FetchRequest) readForgotten(d *decoder) {
	for n := d.arrayLen(forgottenTopicBytesMin, "forgotten_topics_data"); n > 0 && d.err == nil; n-- {
		r.Forgotten = grow(r.Forgotten)
		t := &r.Forgotten[len(r.Forgotten)-1]
		readTopicName(d, r.Version >= fetchTopicIDs, &t.Topic, &t.TopicID)
		t.Partitions = t.Partitions[:0]
		for m := d.arrayLen(partitionIndexBytes, "forgotten_topics_data.partitions"); m > 0 && d.err == nil; m-- {
			t.Partitions = append(t.Partitions, d.int32("forgotten_topics_data.partitions"))
		}
		d.skipTags("forgotten_topics_data.tags")
	}
}

func (r *FetchRequest) readTags(d *decoder) {
	for n := d.tagCount("tags"); n > 0 && d.err == nil; n-- {
		key, value := d.tag("tags")
		if d.err != nil {
			return
		}
		switch {
		case key == 0:
			value.nullableString(&r.ClusterID, "cluster_id")
		case key == 1 && r.Version >= fetchReplicaState:
			r.ReplicaID = value.int32("replica_state.replica_id")
			r.ReplicaEpoch = value.int64("replica_state.replica_epoch")
			value.skipTags("replica_state.tags")
		}
		d.leaveTag(&value)
	}
}
