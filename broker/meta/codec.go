package meta

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The layout of a batch of records:
//
//	version    uint8 = 1
//	count      uvarint
//	per record: type uint8, length uvarint, that many bytes of fields
//
// Integers are big endian, lengths uvarint. An empty slice and a nil one are
// told apart (length+1, 0 for nil), because a change record needs that.
const batchVersion = 1

// Bounds of what is decoded, so that a damaged length cannot ask for memory.
const (
	batchRecordsMax = 1 << 20
	stringBytesMax  = 1 << 16
)

var errTruncated = errors.New("metadata record is cut short")

type encoder struct{ b []byte }

func (e *encoder) u8(v uint8)    { e.b = append(e.b, v) }
func (e *encoder) i16(v int16)   { e.b = binary.BigEndian.AppendUint16(e.b, uint16(v)) }
func (e *encoder) i32(v int32)   { e.b = binary.BigEndian.AppendUint32(e.b, uint32(v)) }
func (e *encoder) i64(v int64)   { e.b = binary.BigEndian.AppendUint64(e.b, uint64(v)) }
func (e *encoder) uv(v uint64)   { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) id(v [16]byte) { e.b = append(e.b, v[:]...) }
func (e *encoder) str(v string)  { e.uv(uint64(len(v))); e.b = append(e.b, v...) }
func (e *encoder) blob(v []byte) { e.uv(uint64(len(v))); e.b = append(e.b, v...) }

func (e *encoder) flag(v bool) {
	if v {
		e.u8(1)
	} else {
		e.u8(0)
	}
}

func (e *encoder) ids(v []int32) {
	if v == nil {
		e.uv(0)
		return
	}
	e.uv(uint64(len(v)) + 1)
	for _, x := range v {
		e.i32(x)
	}
}

// decoder reads what encoder wrote. After the first error it yields zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.b) {
		d.fail(errTruncated)
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.b = nil
}

func (d *decoder) u8() uint8 {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) i16() int16 {
	if b := d.take(2); b != nil {
		return int16(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (d *decoder) i32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) i64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) uv() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errTruncated)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) id() (v [16]byte) { copy(v[:], d.take(16)); return v }

func (d *decoder) flag() bool {
	switch d.u8() {
	case 0:
		return false
	case 1:
		return true
	}
	d.fail(errors.New("metadata record has a flag that is neither 0 nor 1"))
	return false
}

func (d *decoder) str() string {
	n := d.uv()
	if n > stringBytesMax {
		d.fail(fmt.Errorf("metadata record has a string of %d bytes, the maximum is %d", n, stringBytesMax))
		return ""
	}
	return string(d.take(int(n)))
}

// blob aliases the input.
func (d *decoder) blob() []byte {
	n := d.uv()
	if n > uint64(len(d.b)) {
		d.fail(errTruncated)
		return nil
	}
	return d.take(int(n))
}

// count reads a length whose items need at least minBytes each.
func (d *decoder) count(minBytes int) int {
	n := d.uv()
	if n > uint64(len(d.b)/minBytes) {
		d.fail(errTruncated)
		return 0
	}
	return int(n)
}

func (d *decoder) ids() []int32 {
	n := d.uv()
	if n == 0 {
		return nil
	}
	n--
	if n > uint64(len(d.b)/4) {
		d.fail(errTruncated)
		return nil
	}
	v := make([]int32, n)
	for i := range v {
		v[i] = d.i32()
	}
	return v
}

// AppendRecords encodes one batch behind dst.
func AppendRecords(dst []byte, records []Record) []byte {
	e := encoder{dst}
	e.u8(batchVersion)
	e.uv(uint64(len(records)))
	var body encoder
	for _, r := range records {
		body.b = body.b[:0]
		r.encode(&body)
		e.u8(uint8(r.recordType()))
		e.blob(body.b)
	}
	return e.b
}

// DecodeRecords decodes one batch that takes up all of b. Nothing that it
// returns aliases b.
func DecodeRecords(b []byte) ([]Record, error) {
	d := decoder{b: b}
	if v := d.u8(); d.err == nil && v != batchVersion {
		return nil, fmt.Errorf("metadata batch has version %d, known is %d", v, batchVersion)
	}
	n := d.count(2)
	if d.err != nil || n > batchRecordsMax {
		return nil, fmt.Errorf("metadata batch has a bad count of records: %d", n)
	}
	records := make([]Record, 0, n)
	for i := range n {
		t := recordType(d.u8())
		body := decoder{b: d.blob()}
		if d.err != nil {
			return nil, fmt.Errorf("metadata batch: record %d: %w", i, d.err)
		}
		r := newRecord(t)
		if r == nil {
			return nil, fmt.Errorf("metadata batch: record %d has unknown type %d", i, t)
		}
		r.decode(&body)
		if body.err == nil && len(body.b) != 0 {
			body.err = fmt.Errorf("%d bytes too many", len(body.b))
		}
		if body.err != nil {
			return nil, fmt.Errorf("metadata batch: record %d of type %d: %w", i, t, body.err)
		}
		records = append(records, r)
	}
	if len(d.b) != 0 {
		return nil, fmt.Errorf("metadata batch: %d bytes too many", len(d.b))
	}
	return records, nil
}

func (r *ClusterRecord) encode(e *encoder) { e.str(r.ClusterID) }
func (r *ClusterRecord) decode(d *decoder) { r.ClusterID = d.str() }

// endpointBytesMin is an Endpoint with empty strings.
const endpointBytesMin = 1 + 1 + 4 + 2

func (r *RegisterBrokerRecord) encode(e *encoder) {
	e.i32(r.BrokerID)
	e.i64(r.BrokerEpoch)
	e.id(r.IncarnationID)
	e.str(r.Rack)
	e.uv(uint64(len(r.Endpoints)))
	for i := range r.Endpoints {
		p := &r.Endpoints[i]
		e.str(p.Name)
		e.str(p.Host)
		e.i32(p.Port)
		e.i16(p.Protocol)
	}
	e.flag(r.Fenced)
	e.flag(r.InControlledShutdown)
}

func (r *RegisterBrokerRecord) decode(d *decoder) {
	r.BrokerID, r.BrokerEpoch, r.IncarnationID = d.i32(), d.i64(), d.id()
	r.Rack = d.str()
	for n := d.count(endpointBytesMin); n > 0 && d.err == nil; n-- {
		r.Endpoints = append(r.Endpoints, Endpoint{Name: d.str(), Host: d.str(), Port: d.i32(), Protocol: d.i16()})
	}
	r.Fenced, r.InControlledShutdown = d.flag(), d.flag()
}

func (r *BrokerRegistrationChangeRecord) encode(e *encoder) {
	e.i32(r.BrokerID)
	e.i64(r.BrokerEpoch)
	e.u8(uint8(r.Fenced))
	e.flag(r.InControlledShutdown)
}

func (r *BrokerRegistrationChangeRecord) decode(d *decoder) {
	r.BrokerID, r.BrokerEpoch, r.Fenced = d.i32(), d.i64(), Fencing(d.u8())
	r.InControlledShutdown = d.flag()
	if r.Fenced < FencingUnfence || r.Fenced > FencingFence {
		d.fail(fmt.Errorf("fencing %d is unknown", r.Fenced))
	}
}

func (r *UnregisterBrokerRecord) encode(e *encoder) { e.i32(r.BrokerID); e.i64(r.BrokerEpoch) }
func (r *UnregisterBrokerRecord) decode(d *decoder) { r.BrokerID, r.BrokerEpoch = d.i32(), d.i64() }

func (r *TopicRecord) encode(e *encoder) { e.str(r.Name); e.id(r.TopicID) }
func (r *TopicRecord) decode(d *decoder) { r.Name, r.TopicID = d.str(), d.id() }

func (r *RemoveTopicRecord) encode(e *encoder) { e.id(r.TopicID) }
func (r *RemoveTopicRecord) decode(d *decoder) { r.TopicID = d.id() }

func (r *PartitionRecord) encode(e *encoder) {
	e.id(r.TopicID)
	e.i32(r.PartitionID)
	p := &r.Partition
	e.ids(p.Replicas)
	e.ids(p.AddingReplicas)
	e.ids(p.RemovingReplicas)
	e.ids(p.ISR)
	e.ids(p.ELR)
	e.ids(p.LastKnownELR)
	e.i32(p.Leader)
	e.i32(p.LeaderEpoch)
	e.i32(p.PartitionEpoch)
	e.flag(p.Recovering)
}

func (r *PartitionRecord) decode(d *decoder) {
	r.TopicID, r.PartitionID = d.id(), d.i32()
	p := &r.Partition
	p.Replicas, p.AddingReplicas, p.RemovingReplicas = d.ids(), d.ids(), d.ids()
	p.ISR, p.ELR, p.LastKnownELR = d.ids(), d.ids(), d.ids()
	p.Leader, p.LeaderEpoch, p.PartitionEpoch, p.Recovering = d.i32(), d.i32(), d.i32(), d.flag()
}

func (r *PartitionChangeRecord) encode(e *encoder) {
	e.id(r.TopicID)
	e.i32(r.PartitionID)
	e.ids(r.ISR)
	e.i32(r.Leader)
	e.ids(r.Replicas)
	e.ids(r.AddingReplicas)
	e.ids(r.RemovingReplicas)
	e.ids(r.ELR)
	e.ids(r.LastKnownELR)
	e.u8(uint8(r.Recovery))
}

func (r *PartitionChangeRecord) decode(d *decoder) {
	r.TopicID, r.PartitionID, r.ISR, r.Leader = d.id(), d.i32(), d.ids(), d.i32()
	r.Replicas, r.AddingReplicas, r.RemovingReplicas = d.ids(), d.ids(), d.ids()
	r.ELR, r.LastKnownELR, r.Recovery = d.ids(), d.ids(), Recovery(d.u8())
	if r.Recovery < RecoveryNoChange || r.Recovery > Recovering {
		d.fail(fmt.Errorf("recovery state %d is unknown", r.Recovery))
	}
}

func (r *ConfigRecord) encode(e *encoder) {
	e.u8(uint8(r.Type))
	e.str(r.Resource)
	e.str(r.Name)
	e.str(r.Value)
	e.flag(r.Remove)
}

func (r *ConfigRecord) decode(d *decoder) {
	r.Type, r.Resource, r.Name, r.Value, r.Remove = ConfigResource(d.u8()), d.str(), d.str(), d.str(), d.flag()
	if d.err == nil && r.Type != ResourceTopic && r.Type != ResourceBroker {
		d.fail(fmt.Errorf("config resource %d is unknown", r.Type))
	}
}

func (r *ProducerIdsRecord) encode(e *encoder) {
	e.i32(r.BrokerID)
	e.i64(r.BrokerEpoch)
	e.i64(r.NextProducerID)
}

func (r *ProducerIdsRecord) decode(d *decoder) {
	r.BrokerID, r.BrokerEpoch, r.NextProducerID = d.i32(), d.i64(), d.i64()
}

func (r *FeatureLevelRecord) encode(e *encoder) { e.str(r.Name); e.i16(r.Level) }
func (r *FeatureLevelRecord) decode(d *decoder) { r.Name, r.Level = d.str(), d.i16() }
