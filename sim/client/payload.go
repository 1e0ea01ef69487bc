package client

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
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

// indexSums are what each byte of the index adds to the CRC of a payload's
// header. A CRC is linear: headers that are equal but for the index have sums
// that differ by what their indexes add, whatever the rest is.
var indexSums = func() (sums [4][256]uint32) {
	var header [28]byte
	zero := crc32.Checksum(header[:], castagnoli)
	for at := range sums {
		for value := range sums[at] {
			header[8+at] = byte(value)
			sums[at][value] = crc32.Checksum(header[:], castagnoli) ^ zero
		}
		header[8+at] = 0
	}
	return sums
}()

func indexSum(index uint32) uint32 {
	return indexSums[0][index>>24] ^ indexSums[1][index>>16&0xff] ^ indexSums[2][index>>8&0xff] ^ indexSums[3][index&0xff]
}

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

// payloadReader reads and checks values. It remembers the header that it has
// read last: of one that differs in the index only it knows the sum.
type payloadReader struct {
	payload
	place  uint32 // topic and partition as they are encoded
	common uint32 // sum of the header, less what its index adds
	known  bool
}

// read takes a value. The problem is empty if it is as the producer made it; else
// the payload is not to be used.
func (r *payloadReader) read(value []byte) (problem string) {
	if len(value) < PayloadHeaderBytes {
		return fmt.Sprintf("value of %d bytes", len(value))
	}
	be := binary.BigEndian
	header := value[:PayloadHeaderBytes]
	r.index = be.Uint32(header[8:])
	own := indexSum(r.index)
	if !r.known || r.batch != be.Uint64(header) || r.count != be.Uint32(header[12:]) ||
		r.intended != clock.Instant(be.Uint64(header[16:])) || r.place != be.Uint32(header[24:]) {
		r.remember(header, crc32.Checksum(header[:28], castagnoli)^own)
	}
	if got, want := r.common^own, be.Uint32(header[28:]); got != want {
		return fmt.Sprintf("payload header has CRC %08x and says %08x", got, want)
	}
	if len(value) <= fillerBytes && bytes.Equal(value[PayloadHeaderBytes:], filler[PayloadHeaderBytes:len(value)]) {
		return ""
	}
	return checkFiller(value)
}

// follow reads values that are the next ones of the batch of the one read last, due at
// the same instant, and counts them. It ends before the first that is not so, or not as
// the producer made it.
func (r *payloadReader) follow(run *record.Run) int32 {
	be := binary.BigEndian
	batch, count, due, place := r.batch, uint64(r.count), uint64(r.intended), uint64(r.place)<<32
	for i := range run.Count {
		value := run.Value(i)
		if len(value) < PayloadHeaderBytes || len(value) > fillerBytes {
			return i
		}
		index := r.index + 1
		if be.Uint64(value) != batch || be.Uint64(value[8:]) != uint64(index)<<32|count || be.Uint64(value[16:]) != due ||
			be.Uint64(value[24:]) != place|uint64(r.common^indexSum(index)) ||
			!bytes.Equal(value[PayloadHeaderBytes:], filler[PayloadHeaderBytes:len(value)]) {
			return i
		}
		r.index = index
	}
	return run.Count
}

func (r *payloadReader) remember(header []byte, common uint32) {
	be := binary.BigEndian
	r.batch, r.count, r.intended = be.Uint64(header), be.Uint32(header[12:]), clock.Instant(be.Uint64(header[16:]))
	r.place = be.Uint32(header[24:])
	r.topic, r.partition = int32(r.place>>16), int32(r.place&0xffff)
	r.common, r.known = common, true
}

// checkFiller compares what follows the header of a value.
func checkFiller(value []byte) (problem string) {
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
