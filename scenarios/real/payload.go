package real

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
)

// A value says which record it is: its id, when it was due, where it belongs,
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
