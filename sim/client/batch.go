package client

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// noSequence stands for none yet.
const noSequence = record.EmptySequence

// batch is a producer's batch on its way:
//
//	open --no room, or drained--> closed --sent--> flying --answered--> done
//	flying --error that may pass--> closed, waiting for backoffUntil
//	closed, flying --delivery.timeout.ms--> done
//
// A done batch that is still flying waits for its answer, for the memory's sake.
type batch struct {
	view Batch // what the observer sees
	keys []Key

	created      clock.Instant
	lastAttempt  clock.Instant
	backoffUntil clock.Instant
	wall         clock.Wall // timestamp of the first record
	size         int        // encoded and uncompressed, header included
	reserved     int64      // of buffer.memory

	closed        bool // takes no more records
	invoked       bool
	retried       bool // has been put back
	flying        bool
	done          bool
	maybe         bool // an attempt may have been appended
	tombstones    bool // some of its records are
	stale         bool // the encoded header is not what it should be any more
	sequenceReset bool
	split         bool
	leaderEpoch   int32 // at the last attempt

	buffer *edge.Buffer
}

func (b *batch) hasSequence() bool { return b.view.Sequence != noSequence }

func (b *batch) lastSequence() int32 {
	return record.IncrementSequence(b.view.Sequence, b.view.Count-1)
}

// timestamp of the records of a run, in milliseconds: the wall clock when they
// were due.
func (b *batch) timestamp(run int) int64 {
	return int64(b.wall) + int64(b.view.Intended[run].At.Sub(b.view.Intended[0].At)/time.Millisecond)
}

// key of a record, or NoKey.
func (b *batch) key(i int) Key {
	if len(b.keys) == 0 {
		return NoKey
	}
	return b.keys[i]
}

// encoder turns batches into bytes, again and again with the same memory.
type encoder struct {
	pool    edge.Pool
	codec   record.Codec
	level   int
	builder record.Builder
	value   []byte
	pattern pattern
	size    int // of a value
}

func zigzag(x int64) uint64 { return uint64(x)<<1 ^ uint64(x>>63) }

func varintBytes(x int64) int { return (bits.Len64(zigzag(x)|1) + 6) / 7 }

func appendVarint(dst []byte, x int64) []byte { return binary.AppendUvarint(dst, zigzag(x)) }

// recordBytes is what a record adds to a batch.
func (e *encoder) recordBytes(index int, timestampDelta int64, key Key) int {
	body := e.bodyBytes(index, timestampDelta, key)
	return varintBytes(int64(body)) + body
}

func (e *encoder) bodyBytes(index int, timestampDelta int64, key Key) int {
	if key.Tombstone() {
		return 1 + varintBytes(timestampDelta) + varintBytes(int64(index)) + 1 + keyBytes + len(tombstoneTail) + PayloadHeaderBytes
	}
	n := 1 + varintBytes(timestampDelta) + varintBytes(int64(index)) + 1 + varintBytes(int64(e.size)) + e.size + 1
	if key != NoKey {
		n += keyBytes
	}
	return n
}

// recordsBytes is what count records of one timestamp add to a batch, the first
// of them at an index.
func (e *encoder) recordsBytes(index, count int, timestampDelta int64, key Key) (total int) {
	for count > 0 {
		n := min(count, sameWidth(index))
		total += n * e.recordBytes(index, timestampDelta, key)
		index, count = index+n, count-n
	}
	return total
}

// sameWidth is how many indexes, from one on, take as many bytes as it.
func sameWidth(index int) int { return 1<<(7*varintBytes(int64(index))-1) - index }

// encode writes the batch into a buffer of its own. The payloads' headers are
// written here, once the batch's id and count are known.
func (e *encoder) encode(b *batch) {
	if b.buffer != nil {
		panic("client: a batch is encoded twice")
	}
	b.buffer = e.pool.Get(b.size)
	if e.codec == record.None {
		e.encodePlain(b)
	} else {
		e.encodeCompressed(b)
	}
	b.view.Bytes = b.buffer.Len()
	b.stale = false
}

func (e *encoder) payloadOf(b *batch, index int, due clock.Instant) payload {
	return payload{batch: b.view.ID, index: uint32(index), count: uint32(b.view.Count), intended: due,
		topic: b.view.Topic, partition: b.view.Partition}
}

func (e *encoder) encodePlain(b *batch) {
	dst := b.buffer.Bytes()[:record.HeaderBytes]
	index := 0
	for run := range b.view.Intended {
		for left := int(b.view.Intended[run].Count); left > 0; {
			if b.key(index).Tombstone() {
				dst = e.appendTombstone(dst, b, run, index)
				index, left = index+1, left-1
				continue
			}
			n := b.valuesFrom(index, min(left, sameWidth(index)))
			dst = e.appendAlike(dst, b, run, index, n)
			index, left = index+n, left-n
		}
	}
	if len(dst) != b.buffer.Len() {
		panic("client: a batch's size was reckoned wrongly")
	}
	be := binary.BigEndian
	be.PutUint64(dst, 0)
	be.PutUint32(dst[8:], uint32(len(dst)-record.LogOverhead))
	be.PutUint32(dst[12:], ^uint32(0)) // no leader epoch
	dst[16] = record.Magic
	be.PutUint16(dst[21:], 0)
	be.PutUint32(dst[23:], uint32(b.view.Count-1))
	be.PutUint64(dst[27:], uint64(b.wall))
	be.PutUint64(dst[35:], uint64(b.timestamp(len(b.view.Intended)-1)))
	be.PutUint32(dst[57:], uint32(b.view.Count))
	e.putProducer(dst, b)
}

// valuesFrom is how many of the next count records, the first of which has a value,
// come before a tombstone.
func (b *batch) valuesFrom(index, count int) int {
	for i := 1; i < count && b.tombstones; i++ {
		if b.keys[index+i].Tombstone() {
			return i
		}
	}
	return count
}

// identityHeader is the key of the record header that a tombstone bears instead of
// a value: a payload's header, by which readers know it.
const identityHeader = "id"

// tombstoneTail is what stands between a tombstone's key and its payload's header:
// no value, one header, its key, and the length of its value.
const tombstoneTail = "\x01\x02\x04" + identityHeader + "\x40"

func (e *encoder) appendTombstone(dst []byte, b *batch, run, index int) []byte {
	delta, key := b.timestamp(run)-int64(b.wall), b.key(index)
	dst = appendVarint(dst, int64(e.bodyBytes(index, delta, key)))
	dst = append(dst, 0)
	dst = appendVarint(appendVarint(dst, delta), int64(index))
	dst = append(dst, keyBytes<<1)
	dst = binary.BigEndian.AppendUint64(dst, uint64(key.Number()))
	dst = append(dst, tombstoneTail...)
	at := len(dst)
	dst = dst[:at+PayloadHeaderBytes]
	p := e.payloadOf(b, index, b.view.Intended[run].At)
	putPayload(dst[at:], &p)
	return dst
}

// pattern is an encoded record that serves as the model of others: they differ
// from it in what stands at the places below, and in nothing else.
type pattern struct {
	record                  []byte
	delta                   int64 // timestamp delta
	width                   int   // bytes of the index
	keyed                   bool
	indexAt, keyAt, valueAt int
}

// patternOf returns the pattern of a batch's records with a timestamp delta and
// an index as wide as the one given; mostly it is the one that was used last.
func (e *encoder) patternOf(b *batch, delta int64, index int) *pattern {
	t := &e.pattern
	width, keyed := varintBytes(int64(index)), len(b.keys) > 0
	if t.record != nil && t.delta == delta && t.width == width && t.keyed == keyed {
		return t
	}
	*t = pattern{record: t.record[:0], delta: delta, width: width, keyed: keyed}
	r := appendVarint(t.record, int64(e.bodyBytes(index, delta, b.key(index))))
	r = append(r, 0)
	r = appendVarint(r, delta)
	t.indexAt = len(r)
	r = appendVarint(r, int64(index))
	if keyed {
		r = append(r, keyBytes<<1)
		t.keyAt = len(r)
		r = append(r, make([]byte, keyBytes)...)
	} else {
		r = append(r, 1) // no key
	}
	r = appendVarint(r, int64(e.size))
	t.valueAt = len(r)
	r = append(r, make([]byte, PayloadHeaderBytes)...)
	r = appendFiller(r, e.size)
	t.record = append(r, 0)
	return t
}

// appendAlike adds count records of a run, all of whose indexes take as many
// bytes: copies of a pattern with index, key and the payload's sum overwritten.
func (e *encoder) appendAlike(dst []byte, b *batch, run, index, count int) []byte {
	be := binary.BigEndian
	t := e.patternOf(b, b.timestamp(run)-int64(b.wall), index)
	p := e.payloadOf(b, index, b.view.Intended[run].At)
	putPayload(t.record[t.valueAt:], &p)
	common := be.Uint32(t.record[t.valueAt+28:]) ^ indexSum(p.index)
	at, size := len(dst), len(t.record)
	dst = dst[:at+count*size]
	for i := index; i < index+count; i++ {
		next := dst[at : at+size]
		copy(next, t.record)
		binary.PutUvarint(next[t.indexAt:], zigzag(int64(i)))
		if t.keyed {
			be.PutUint64(next[t.keyAt:], uint64(b.keys[i]))
		}
		value := next[t.valueAt : t.valueAt+PayloadHeaderBytes]
		be.PutUint32(value[8:], uint32(i))
		be.PutUint32(value[28:], common^indexSum(uint32(i)))
		at += size
	}
	return dst
}

// putProducer writes producer id, epoch and sequence, and with them the CRC.
func (e *encoder) putProducer(dst []byte, b *batch) {
	be := binary.BigEndian
	be.PutUint64(dst[43:], uint64(b.view.ProducerID))
	be.PutUint16(dst[51:], uint16(b.view.Epoch))
	be.PutUint32(dst[53:], uint32(b.view.Sequence))
	be.PutUint32(dst[17:], b.buffer.Slice(21, len(dst)).CRC32C())
}

func (e *encoder) encodeCompressed(b *batch) {
	o := record.NoProducer(e.codec)
	o.Level = e.level
	o.ProducerID, o.ProducerEpoch, o.BaseSequence = b.view.ProducerID, b.view.Epoch, b.view.Sequence
	o.BaseTimestamp = int64(b.wall)
	e.builder.Reset(b.buffer.Bytes(), o)
	if e.value == nil {
		e.value = appendFiller(make([]byte, PayloadHeaderBytes, e.size), e.size)
	}
	var key [keyBytes]byte
	index := 0
	for run, due := range b.view.Intended {
		for range due.Count {
			p := e.payloadOf(b, index, due.At)
			putPayload(e.value, &p)
			k := []byte(nil)
			if b.key(index) != NoKey {
				putKey(&key, b.key(index))
				k = key[:]
			}
			if b.key(index).Tombstone() {
				e.builder.Append(b.timestamp(run), k, nil, []record.Header{{Key: []byte(identityHeader), Value: e.value[:PayloadHeaderBytes]}})
			} else {
				e.builder.Append(b.timestamp(run), k, e.value, nil)
			}
			index++
		}
	}
	encoded := e.builder.Finish()
	if len(encoded) > b.buffer.Len() {
		own := slices.Clone(encoded) // incompressible: the room did not suffice
		b.buffer.Release()
		b.buffer = edge.NewBuffer(own)
		return
	}
	whole := b.buffer
	b.buffer = e.pool.Get(len(encoded))
	copy(b.buffer.Bytes(), encoded)
	whole.Release()
}

// refresh gives a batch whose producer state has changed another header, in
// another buffer: the old bytes may still be on their way.
func (e *encoder) refresh(b *batch) {
	if !b.stale {
		return
	}
	old := b.buffer
	b.buffer = e.pool.Get(old.Len())
	copy(b.buffer.Bytes(), old.Bytes())
	e.putProducer(b.buffer.Bytes(), b)
	old.Release()
	b.stale = false
}
