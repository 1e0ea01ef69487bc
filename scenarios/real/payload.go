package real

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A value, or a tombstone's header, says which record it is: its id, when it was due, where it belongs,
// and a checksum over all of the value but the sum.
const payloadBytesMin = 32

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newPayload(size int, id lin.BatchID, intended time.Duration, p lin.Partition) []byte {
	b := make([]byte, max(size, payloadBytesMin))
	be := binary.BigEndian
	be.PutUint64(b, uint64(id))
	be.PutUint64(b[8:], uint64(intended))
	be.PutUint32(b[16:], uint32(p.Topic))
	be.PutUint32(b[20:], uint32(p.Index))
	for i := payloadBytesMin; i < len(b); i++ {
		b[i] = byte(uint64(id)>>(i%8*8)) ^ byte(i*131)
	}
	be.PutUint32(b[24:], sum(b))
	return b
}

func sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(b[:24], castagnoli), castagnoli, b[28:])
}

// readPayload takes a value apart; an error says how it differs from what was sent.
func readPayload(b []byte, at lin.Partition) (id lin.BatchID, intended time.Duration, err error) {
	if len(b) < payloadBytesMin {
		return 0, 0, fmt.Errorf("a value of %d bytes", len(b))
	}
	be := binary.BigEndian
	if got, want := sum(b), be.Uint32(b[24:]); got != want {
		return 0, 0, fmt.Errorf("the value has checksum %08x and says %08x", got, want)
	}
	if p := (lin.Partition{Topic: int32(be.Uint32(b[16:])), Index: int32(be.Uint32(b[20:]))}); p != at {
		return 0, 0, fmt.Errorf("the value was sent to partition %d of topic %d", p.Index, p.Topic)
	}
	return lin.BatchID(be.Uint64(b)), time.Duration(be.Uint64(b[8:])), nil
}

// payloadHeader carries the payload of a record without a value.
const payloadHeader = "payload"

// keyBytes is how a key is written.
const keyBytes = 8

// identity is what a record says of itself. Key -1 is none.
type identity struct {
	id       lin.BatchID
	intended time.Duration
	at       lin.Partition
	lin.Keyed
}

// newRecord is a record with a value of a size; a tombstone has its payload in a
// header.
func newRecord(size int, i *identity) *kgo.Record {
	r := &kgo.Record{Partition: i.at.Index}
	if i.Key >= 0 {
		r.Key = binary.BigEndian.AppendUint64(nil, uint64(i.Key))
	}
	if i.Tombstone {
		r.Headers = []kgo.RecordHeader{{Key: payloadHeader, Value: newPayload(payloadBytesMin, i.id, i.intended, i.at)}}
		return r
	}
	r.Value = newPayload(size, i.id, i.intended, i.at)
	return r
}

// readRecord takes a record apart.
func readRecord(r *kgo.Record, at lin.Partition) (i identity, err error) {
	payload := r.Value
	if i.Tombstone = payload == nil; i.Tombstone && len(r.Headers) == 1 {
		payload = r.Headers[0].Value
	}
	i.at = at
	if i.id, i.intended, err = readPayload(payload, at); err != nil {
		return i, err
	}
	i.Key, i.DueMillis = -1, i.intended.Milliseconds()
	if len(r.Key) == keyBytes {
		i.Key = int64(binary.BigEndian.Uint64(r.Key))
	}
	return i, nil
}
