package partition

import (
	"errors"
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// Produce is one produce request. The first part is the request, as broker/api
// decoded it; Parts hold the results when it is answered.
type Produce struct {
	Request       conn.RequestID
	Session       *security.Session // who asks
	Version       int16
	Acks          int16 // 0, 1 or -1; anything else was refused before
	TimeoutMillis int32
	// Frame holds the records. They are patched in place and kept by the log.
	Frame *edge.Buffer
	Parts []ProducePart

	waiting    int    // parts that are not decided
	slot       uint32 // in produceTable
	generation uint32 // changes when the struct is reused
}

// ProducePart is one partition of a request, and its result.
type ProducePart struct {
	Topic     string       // empty when the request named an unknown id
	TopicID   meta.TopicID // zero when the request named the topic
	Partition int32
	From, To  int // the records' place in Frame

	ErrorCode      int16
	BaseOffset     int64 // -1 on an error
	LogAppendTime  int64 // milliseconds; -1 unless the topic's timestamps are of that type
	LogStartOffset int64 // -1 if not known, or not told with an error
	ErrorMessage   string
	RecordIndex    int32 // of the record that is wrong (KIP-467); -1
	LeaderID       int32 // whom to ask instead (KIP-951); -1
	LeaderEpoch    int32

	decided bool
	// duplicate: the batch was appended so long ago that nobody knows where. Once
	// it is committed the answer is DUPLICATE_SEQUENCE_NUMBER.
	duplicate bool
}

// NewProduce returns an empty request to be filled in and handed to Produce.
func (m *Manager) NewProduce() *Produce { return m.produces.get() }

// Discard takes back a request that was answered without being handed over.
func (m *Manager) Discard(p *Produce) { m.produces.put(p) }

// AddPart appends a partition to the request.
func (p *Produce) AddPart(topic string, id meta.TopicID, partition int32, from, to int) {
	p.Parts = append(p.Parts, ProducePart{Topic: topic, TopicID: id, Partition: partition, From: from, To: to,
		BaseOffset: -1, LogAppendTime: -1, LogStartOffset: -1, RecordIndex: -1, LeaderID: -1, LeaderEpoch: -1})
}

// Produce appends a request's batches. It answers through the Answerer, now or
// when the acks that were asked for have come, the timeout has passed, or
// leadership is lost.
func (m *Manager) Produce(c *step.Context, req *Produce) {
	// One more than there are parts, so that nothing is answered on the way.
	req.waiting = len(req.Parts) + 1
	for i := range req.Parts {
		m.producePart(c, req, int32(i))
	}
	req.waiting--
	if req.waiting == 0 {
		m.answerProduce(c, req)
	} else {
		m.awaitProduce(c, req)
	}
	m.settle(c)
}

// producePart appends one partition's batch and decides it, or leaves it in one
// of the partition's queues.
func (m *Manager) producePart(c *step.Context, req *Produce, index int32) {
	part := &req.Parts[index]
	p, code := m.produceTarget(req.Session, part)
	if code == errNone {
		m.countProduce(p)
		code = m.mayAppend(p, req.Acks)
	}
	if code != errNone {
		if code == errNotEnoughReplicas {
			part.LogStartOffset = p.log.StartOffset()
		}
		m.decide(c, req, index, code)
		return
	}
	buffer, from, to, err := m.prepare(c, p, req, part)
	if err != nil {
		part.refuse(err)
		m.decide(c, req, index, part.ErrorCode)
		return
	}
	p.beforeAppend()
	info, err := p.log.Append(c, buffer, from, to, p.leaderEpoch)
	if buffer != req.Frame {
		buffer.Release()
	}
	part.duplicate = errors.Is(err, log.ErrDuplicateSequence)
	if err != nil && !part.duplicate && !errors.Is(err, log.ErrDuplicate) {
		part.refuse(err)
		m.decide(c, req, index, part.ErrorCode)
		return
	}
	if err == nil {
		m.countIn(p, info.LastOffset-info.BaseOffset+1, to-from)
	}
	m.touch(p)
	part.BaseOffset, part.LogAppendTime, part.LogStartOffset = info.BaseOffset, info.LogAppendTime, p.log.StartOffset()
	m.awaitAcks(c, p, req, index, info.LastOffset+1)
}

// awaitAcks decides an appended batch, or queues it for what its acks need: with
// acks=0 nobody waits for the write, but the request holds memory until then. A
// duplicate waits like the original: it may not be committed yet.
func (m *Manager) awaitAcks(c *step.Context, p *Partition, req *Produce, index int32, required int64) {
	wait := ackWait{produce: req, generation: req.generation, part: index, required: required}
	switch {
	case req.Acks != -1 && p.log.EndOffset() >= required:
		m.decide(c, req, index, errNone)
	case req.Acks != -1:
		p.writes.push(wait)
	case p.log.HighWatermark() >= required:
		m.decide(c, req, index, p.replicatedCode())
	default:
		p.acks.push(wait)
	}
}

// produceTarget finds the replica that a part of a request names.
func (m *Manager) produceTarget(s *security.Session, part *ProducePart) (*Partition, int16) {
	if part.TopicID != (meta.TopicID{}) {
		t := m.Resolve(part.TopicID)
		if t == nil {
			return nil, errUnknownTopicID
		}
		part.Topic = t.Name
	}
	if m.gate != nil && !m.gate.May(s, acl.Write, acl.Topic, part.Topic) {
		return nil, errTopicAuthorizationFailed
	}
	if IsInternalTopic(part.Topic) {
		return nil, errInvalidTopic
	}
	p := m.replicas.get(part.Topic, part.Partition)
	if p == nil {
		return nil, m.absent(part.Topic, part.Partition)
	}
	return p, errNone
}

// IsInternalTopic names the topics that only coordinators write. A name that merely
// begins like theirs is anybody's.
func IsInternalTopic(name string) bool {
	return name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state"
}

// absent is the error for a partition that this broker has no replica of.
func (m *Manager) absent(topic string, index int32) int16 {
	if m.registration(topic, index) != nil {
		return errNotLeaderOrFollower
	}
	return errUnknownTopicOrPartition
}

// mayAppend checks leadership and, for acks=all, that enough replicas are in
// sync before anything is written.
func (m *Manager) mayAppend(p *Partition, acks int16) int16 {
	if p.role != Leader {
		return errNotLeaderOrFollower
	}
	if acks == -1 && p.underMinISR() {
		return errNotEnoughReplicas
	}
	return errNone
}

// prepare validates the one batch of a part and brings it into the form that the
// topic wants: usually where it lies in the frame, or recompressed elsewhere.
func (m *Manager) prepare(c *step.Context, p *Partition, req *Produce, part *ProducePart) (*edge.Buffer, int, int, error) {
	batch, rest, err := record.Next(req.Frame.Bytes()[part.From:part.To])
	if err != nil {
		return nil, 0, 0, err
	}
	if len(rest) != 0 {
		return nil, 0, 0, errOneBatch
	}
	if batch.Attributes().Codec() == record.Zstd && req.Version < zstdVersion {
		return nil, 0, 0, errZstd
	}
	if batch.Attributes().Transactional() {
		return nil, 0, 0, errTransactional
	}
	part.LogStartOffset = p.log.StartOffset() // what follows is refused by the log
	if batch.BaseOffset() != 0 {
		return nil, 0, 0, errBaseOffset
	}
	sum, err := m.inspect(c, p, req, part, batch)
	if err != nil {
		return nil, 0, 0, err
	}
	if err := p.stamp(req.Frame, batch, &sum, int64(c.Wall)); err != nil {
		return nil, 0, 0, err
	}
	codec, recompress := p.codec(batch)
	if !recompress {
		return req.Frame, part.From, part.To, nil
	}
	m.squeeze, err = m.scratch.Recompress(m.squeeze, batch, codec, p.cfg.CompressionLevels.Of(codec))
	if err != nil {
		return nil, 0, 0, err
	}
	b := c.Buffers.Get(len(m.squeeze))
	copy(b.Bytes(), m.squeeze)
	return b, 0, b.Len(), nil
}

var (
	errOneBatch      = &refusal{errInvalidRecord, "a produce request holds exactly one batch for a partition"}
	errBaseOffset    = &refusal{errInvalidRecord, "the base offset of a produced batch is 0"}
	errZstd          = &refusal{errUnsupportedCompressionType, "zstd comes with version 7 of Produce"}
	errTransactional = &refusal{errInvalidTxnState, "transactions are not supported"}
	errTimestampType = &refusal{errInvalidTimestamp, "a producer may not set the timestamp type to LogAppendTime"}
)

// zstdVersion is from where on Produce takes zstd (KIP-110): who asks in older
// versions may be followed by readers that do not know it.
const zstdVersion = 7

// refusal is an error that carries its code.
type refusal struct {
	code   int16
	reason string
}

func (r *refusal) Error() string { return r.reason }

// refuse sets a part's error from what validation or the log said.
func (part *ProducePart) refuse(err error) {
	var own *refusal
	var bad *record.InvalidRecordError
	part.ErrorMessage = err.Error()
	switch {
	case errors.As(err, &own):
		part.ErrorCode = own.code
	case errors.As(err, &bad):
		part.ErrorCode, part.RecordIndex = appendError(err), bad.Index
	default:
		part.ErrorCode = appendError(err)
	}
}

// limits are what the topic's configuration demands of a batch at a wall time.
func (p *Partition) limits(now int64) record.Limits {
	l := record.Limits{
		MaxMessageBytes: int32(min(p.cfg.MaxMessageBytes, math.MaxInt32)),
		RequireKeys:     p.cfg.CleanupPolicy.Has(config.CleanupCompact),
	}
	if p.cfg.MessageTimestampType == config.CreateTime {
		l.TimestampMin = now - min(p.cfg.TimestampBeforeMaxMillis, math.MaxInt64/2)
		l.TimestampMax = now + min(p.cfg.TimestampAfterMaxMillis, math.MaxInt64/2)
	}
	return l
}

// stamp gives a batch, which lies in the frame, the time of its append where the topic wants that, and
// otherwise corrects a header that understates its records' times.
func (p *Partition) stamp(frame *edge.Buffer, batch record.Batch, sum *record.Summary, now int64) error {
	if p.cfg.MessageTimestampType == config.LogAppendTime {
		frame.Changed()
		batch.SetLogAppendTime(now)
		return nil
	}
	if batch.Attributes().LogAppendTime() {
		return errTimestampType
	}
	if sum.MaxTimestamp != batch.MaxTimestamp() {
		frame.Changed()
		batch.SetMaxTimestamp(sum.MaxTimestamp)
	}
	return nil
}

// codec is what compression.type makes of a batch.
func (p *Partition) codec(batch record.Batch) (codec record.Codec, recompress bool) {
	if p.cfg.CompressionType == config.CompressionProducer {
		return 0, false
	}
	codec = record.Codec(p.cfg.CompressionType - 1)
	return codec, codec != batch.Attributes().Codec()
}

// registration returns a partition's registration in the image, or nil.
func (m *Manager) registration(topic string, index int32) *meta.Partition {
	t := m.topic(topic)
	if t == nil || index < 0 || int(index) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[index]
}

// hint names the leader that the image knows, for an answer that refuses. It is
// given only when it is news to the client: another broker, which must have the
// newer epoch (KIP-951).
func (m *Manager) hint(topic string, index int32) (leader, epoch int32) {
	reg := m.registration(topic, index)
	if reg == nil || reg.Leader == meta.NoLeader || reg.Leader == m.brokerID {
		return -1, -1
	}
	return reg.Leader, reg.LeaderEpoch
}
