package wire

// ProduceResponse is the answer to API key 0, versions 3 to 13. Version is set
// before ReadFrom. Reset and reuse it: neither way then allocates.
type ProduceResponse struct {
	Version        int16
	Topics         []ProduceTopicResponse
	ThrottleMillis int32
	NodeEndpoints  []NodeEndpoint // from version 10
}

// ProduceTopicResponse is named up to version 12 and has an id from 13 on.
type ProduceTopicResponse struct {
	Topic      string
	TopicID    [16]byte
	Partitions []ProducePartitionResponse
}

// ProducePartitionResponse is one partition's outcome. AddPartition sets the
// defaults: no error, and -1 for what is unknown.
type ProducePartitionResponse struct {
	Partition           int32
	ErrorCode           int16
	BaseOffset          int64
	LogAppendTimeMillis int64         // -1 unless the topic has log append time
	LogStartOffset      int64         // from version 5
	RecordErrors        []RecordError // from version 8 (KIP-467)
	ErrorMessage        NullableString
	CurrentLeader       CurrentLeader // tagged, from version 10
}

// RecordError names a record that made its batch fail.
type RecordError struct {
	BatchIndex int32
	Message    NullableString
}

const (
	produceTopicResponseBytesMin     = 2
	producePartitionResponseBytesMin = 4 + 2 + 8 + 8
	recordErrorBytesMin              = 5
)

// Key is 0.
func (r *ProduceResponse) Key() int16 { return KeyProduce }

// GetVersion returns Version.
func (r *ProduceResponse) GetVersion() int16 { return r.Version }

// SetVersion sets Version.
func (r *ProduceResponse) SetVersion(version int16) { r.Version = version }

// IsFlexible says whether the version has tagged fields.
func (r *ProduceResponse) IsFlexible() bool { return r.Version >= produceFlexible }

// Reset empties the response for a version and keeps its memory.
func (r *ProduceResponse) Reset(version int16) {
	*r = ProduceResponse{Version: version, Topics: r.Topics[:0], NodeEndpoints: r.NodeEndpoints[:0]}
}

// AddTopic appends a topic without partitions and returns it, valid until the
// next AddTopic.
func (r *ProduceResponse) AddTopic(topic string, id [16]byte) *ProduceTopicResponse {
	r.Topics = grow(r.Topics)
	t := &r.Topics[len(r.Topics)-1]
	t.Topic, t.TopicID, t.Partitions = topic, id, t.Partitions[:0]
	return t
}

// AddPartition appends a partition with defaults and returns it, valid until the
// next AddPartition.
func (t *ProduceTopicResponse) AddPartition(partition int32) *ProducePartitionResponse {
	t.Partitions = grow(t.Partitions)
	p := &t.Partitions[len(t.Partitions)-1]
	p.reset()
	p.Partition = partition
	return p
}

func (p *ProducePartitionResponse) reset() {
	*p = ProducePartitionResponse{
		BaseOffset:          -1,
		LogAppendTimeMillis: -1,
		LogStartOffset:      -1,
		RecordErrors:        p.RecordErrors[:0],
		CurrentLeader:       noLeader,
	}
}

// AppendTo appends the body.
func (r *ProduceResponse) AppendTo(dst []byte) []byte {
	flexible := r.IsFlexible()
	dst = appendArrayLen(dst, len(r.Topics), flexible)
	for i := range r.Topics {
		t := &r.Topics[i]
		if r.Version >= produceTopicIDs {
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
	dst = appendInt32(dst, r.ThrottleMillis)
	if flexible {
		dst = appendNodeEndpoints(dst, r.NodeEndpoints, r.Version >= produceLeaders)
	}
	return dst
}

func (r *ProduceResponse) appendPartition(dst []byte, p *ProducePartitionResponse, flexible bool) []byte {
	dst = appendInt32(dst, p.Partition)
	dst = appendInt16(dst, p.ErrorCode)
	dst = appendInt64(dst, p.BaseOffset)
	dst = appendInt64(dst, p.LogAppendTimeMillis)
	if r.Version >= 5 {
		dst = appendInt64(dst, p.LogStartOffset)
	}
	if r.Version >= 8 {
		dst = appendArrayLen(dst, len(p.RecordErrors), flexible)
		for i := range p.RecordErrors {
			e := &p.RecordErrors[i]
			dst = appendInt32(dst, e.BatchIndex)
			dst = appendNullableString(dst, e.Message, flexible)
			dst = appendNoTags(dst, flexible)
		}
		dst = appendNullableString(dst, p.ErrorMessage, flexible)
	}
	if !flexible {
		return dst
	}
	if p.CurrentLeader == noLeader || r.Version < produceLeaders {
		return append(dst, 0)
	}
	return appendCurrentLeader(append(dst, 1), 0, &p.CurrentLeader)
}

// ReadFrom decodes a body of the version set.
func (r *ProduceResponse) ReadFrom(body []byte) error {
	r.Reset(r.Version)
	d := decoder{b: body, flexible: r.IsFlexible()}
	for n := d.arrayLen(produceTopicResponseBytesMin, "topics"); n > 0 && d.err == nil; n-- {
		r.Topics = grow(r.Topics)
		t := &r.Topics[len(r.Topics)-1]
		readTopicName(&d, r.Version >= produceTopicIDs, &t.Topic, &t.TopicID)
		t.Partitions = t.Partitions[:0]
		for m := d.arrayLen(producePartitionResponseBytesMin, "topics.partitions"); m > 0 && d.err == nil; m-- {
			t.Partitions = grow(t.Partitions)
			r.readPartition(&d, &t.Partitions[len(t.Partitions)-1])
		}
		d.skipTags("topics.tags")
	}
	r.ThrottleMillis = d.int32("throttle_time_ms")
	r.NodeEndpoints = readNodeEndpoints(&d, r.NodeEndpoints, r.Version >= produceLeaders)
	return d.err
}

func (r *ProduceResponse) readPartition(d *decoder, p *ProducePartitionResponse) {
	p.reset()
	p.Partition = d.int32("topics.partitions.index")
	p.ErrorCode = d.int16("topics.partitions.error_code")
	p.BaseOffset = d.int64("topics.partitions.base_offset")
	p.LogAppendTimeMillis = d.int64("topics.partitions.log_append_time_ms")
	if r.Version >= 5 {
		p.LogStartOffset = d.int64("topics.partitions.log_start_offset")
	}
	if r.Version >= 8 {
		for n := d.arrayLen(recordErrorBytesMin, "topics.partitions.record_errors"); n > 0 && d.err == nil; n-- {
			p.RecordErrors = grow(p.RecordErrors)
			e := &p.RecordErrors[len(p.RecordErrors)-1]
			e.BatchIndex = d.int32("topics.partitions.record_errors.batch_index")
			d.nullableString(&e.Message, "topics.partitions.record_errors.message")
			d.skipTags("topics.partitions.record_errors.tags")
		}
		d.nullableString(&p.ErrorMessage, "topics.partitions.error_message")
	}
	for n := d.tagCount("topics.partitions.tags"); n > 0 && d.err == nil; n-- {
		key, value := d.tag("topics.partitions.tags")
		if key == 0 && r.Version >= produceLeaders && d.err == nil {
			readCurrentLeader(&value, &p.CurrentLeader)
			d.leaveTag(&value)
		}
	}
}
