package wire

// The versions of Produce that the codec knows.
const (
	ProduceVersionMin int16 = 3
	ProduceVersionMax int16 = 13
)

const (
	produceFlexible = 9  // compact fields and tags
	produceLeaders  = 10 // current leader and node endpoints (KIP-951)
	produceTopicIDs = 13 // topic ids instead of names (KIP-516)
)

// ProduceRequest is API key 0, versions 3 to 13. Version is set before ReadFrom.
// Decoding into the same struct reuses its slices and strings.
type ProduceRequest struct {
	Version         int16
	TransactionalID NullableString
	Acks            int16 // 0, 1, or -1 for all
	TimeoutMillis   int32
	Topics          []ProduceTopic
}

// ProduceTopic is named up to version 12 and has an id from 13 on.
type ProduceTopic struct {
	Topic      string
	TopicID    [16]byte
	Partitions []ProducePartition
}

// ProducePartition holds one partition's batches, which alias the request's
// bytes; nil is null.
type ProducePartition struct {
	Partition int32
	Records   []byte
}

// produceEntriesMax bounds the topics and partitions of one request together, which
// are far longer decoded than a byte each.
const produceEntriesMax = 1 << 16

// The least that an element of each array takes, in any version.
const (
	produceTopicBytesMin     = 2 // compact: empty name is 1, no partitions is 1
	producePartitionBytesMin = 5
)

// Key is 0.
func (r *ProduceRequest) Key() int16 { return KeyProduce }

// GetVersion returns Version.
func (r *ProduceRequest) GetVersion() int16 { return r.Version }

// SetVersion sets Version.
func (r *ProduceRequest) SetVersion(version int16) { r.Version = version }

// IsFlexible says whether the version has tagged fields.
func (r *ProduceRequest) IsFlexible() bool { return r.Version >= produceFlexible }

// Reset empties the request for a version and keeps its memory.
func (r *ProduceRequest) Reset(version int16) {
	*r = ProduceRequest{Version: version, Topics: r.Topics[:0]}
}

// AddTopic appends a topic without partitions and returns it, valid until the
// next AddTopic.
func (r *ProduceRequest) AddTopic(topic string, id [16]byte) *ProduceTopic {
	r.Topics = grow(r.Topics)
	t := &r.Topics[len(r.Topics)-1]
	t.Topic, t.TopicID, t.Partitions = topic, id, t.Partitions[:0]
	return t
}

// AddPartition appends a partition's records.
func (t *ProduceTopic) AddPartition(partition int32, records []byte) {
	t.Partitions = append(t.Partitions, ProducePartition{Partition: partition, Records: records})
}

// AppendTo appends the body.
func (r *ProduceRequest) AppendTo(dst []byte) []byte {
	flexible := r.IsFlexible()
	dst = appendNullableString(dst, r.TransactionalID, flexible)
	dst = appendInt16(dst, r.Acks)
	dst = appendInt32(dst, r.TimeoutMillis)
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
			p := &t.Partitions[j]
			dst = appendInt32(dst, p.Partition)
			dst = appendNullableBytes(dst, p.Records, flexible)
			dst = appendNoTags(dst, flexible)
		}
		dst = appendNoTags(dst, flexible)
	}
	return appendNoTags(dst, flexible)
}

// ReadFrom decodes a body of the version set. Records alias it.
func (r *ProduceRequest) ReadFrom(body []byte) error {
	id := r.TransactionalID
	r.Reset(r.Version)
	r.TransactionalID = id // so that an equal one is kept
	d := decoder{b: body, flexible: r.IsFlexible()}
	d.nullableString(&r.TransactionalID, "transactional_id")
	r.Acks = d.int16("acks")
	r.TimeoutMillis = d.int32("timeout_ms")
	d.entriesLeft = produceEntriesMax
	for n := d.boundedLen(produceTopicBytesMin, "topics"); n > 0 && d.err == nil; n-- {
		r.Topics = grow(r.Topics)
		r.readTopic(&d, &r.Topics[len(r.Topics)-1])
	}
	d.skipTags("tags")
	return d.err
}

func (r *ProduceRequest) readTopic(d *decoder, t *ProduceTopic) {
	readTopicName(d, r.Version >= produceTopicIDs, &t.Topic, &t.TopicID)
	t.Partitions = t.Partitions[:0]
	for n := d.boundedLen(producePartitionBytesMin, "topics.partitions"); n > 0 && d.err == nil; n-- {
		t.Partitions = grow(t.Partitions)
		p := &t.Partitions[len(t.Partitions)-1]
		p.Partition = d.int32("topics.partitions.index")
		p.Records = d.nullableBytes("topics.partitions.records")
		d.skipTags("topics.partitions.tags")
	}
	d.skipTags("topics.tags")
}

// readTopicName reads the one of name and id that the version has, and clears
// the other.
func readTopicName(d *decoder, hasID bool, name *string, id *[16]byte) {
	if hasID {
		*name = ""
		d.uuid(id, "topics.topic_id")
		return
	}
	*id = [16]byte{}
	d.string(name, "topics.name")
}
