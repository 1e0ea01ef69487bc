package client

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// PayloadHeaderBytes is the smallest value of a record. Its layout, big endian:
//
//	 0: 8  batch id
//	 8:12  index of the record in its batch
//	12:16  records in the batch
//	16:24  when the record was due, nanoseconds
//	24:28  topic index << 16 | partition
//	28:32  CRC32-C of the bytes before
//
// What follows is the filler: the same pseudo-random bytes in every record.
const PayloadHeaderBytes = 32

// payload is the header of a value.
type payload struct {
	batch     uint64
	index     uint32
	count     uint32
	intended  clock.Instant
	topic     int32
	partition int32
}

// keyBytes is the size of a record's key.
const keyBytes = 8

// fillerBytes is the period of the filler.
const fillerBytes = 64 << 10

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	filler     = func() []byte {
		rng := rand.New(rand.NewPCG(0x66696c6c, 0x6572))
		b := make([]byte, fillerBytes)
		for i := 0; i < len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
		}
		return b
	}()
)

func putPayload(b []byte, p *payload) {
	be := binary.BigEndian
	be.PutUint64(b, p.batch)
	be.PutUint32(b[8:], p.index)
	be.PutUint32(b[12:], p.count)
	be.PutUint64(b[16:], uint64(p.intended))
	be.PutUint32(b[24:], uint32(p.topic)<<16|uint32(p.partition)&0xffff)
	be.PutUint32(b[28:], crc32.Checksum(b[:28], castagnoli))
}

// appendFiller appends a value's bytes from PayloadHeaderBytes up to size.
func appendFiller(dst []byte, size int) []byte {
	for at := PayloadHeaderBytes; at < size; {
		part := filler[at%fillerBytes:]
		part = part[:min(len(part), size-at)]
		dst = append(dst, part...)
		at += len(part)
	}
	return dst
}

// parsePayload reads and checks a value. The problem is empty if it is as the
// producer made it.
func parsePayload(value []byte, p *payload) (problem string) {
	if len(value) < PayloadHeaderBytes {
		return fmt.Sprintf("value of %d bytes", len(value))
	}
	be := binary.BigEndian
	if got, want := crc32.Checksum(value[:28], castagnoli), be.Uint32(value[28:]); got != want {
		return fmt.Sprintf("payload header has CRC %08x and says %08x", got, want)
	}
	p.batch, p.index, p.count = be.Uint64(value), be.Uint32(value[8:]), be.Uint32(value[12:])
	p.intended = clock.Instant(be.Uint64(value[16:]))
	p.topic, p.partition = int32(be.Uint16(value[24:])), int32(be.Uint16(value[26:]))
	for at := PayloadHeaderBytes; at < len(value); {
		part := filler[at%fillerBytes:]
		part = part[:min(len(part), len(value)-at)]
		if !bytes.Equal(part, value[at:at+len(part)]) {
			return fmt.Sprintf("value differs from the filler between bytes %d and %d", at, at+len(part))
		}
		at += len(part)
	}
	return ""
}
