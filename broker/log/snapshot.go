package log

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// The layout of Kafka's producer snapshot: version, crc (of all that follows
// it), count, entries.
const (
	snapshotVersion     = 1
	snapshotHeaderBytes = 10
	snapshotCRCFrom     = 6
	snapshotEntryBytes  = 46
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encodeSnapshot writes Kafka's file. Kafka keeps the last batch of a producer
// only, so that after a restart a retry of the four before it is out of order
// instead of a duplicate, and the producer bumps its epoch and writes them again.
// Here a producer has an entry for each batch that is remembered, the oldest
// first, and before them one for all that precede these without a gap: Kafka,
// which reads the entries one over the other, is left with the last. The producer
// that expired last is among them: it expires again when it has been read.
func (s *producerState) encodeSnapshot() []byte {
	order := make([]*producerEntry, 0, len(s.entries)+1)
	for i := range s.entries {
		order = append(order, &s.entries[i])
	}
	if s.expired != nil && s.get(s.expired.id) == nil {
		order = append(order, s.expired)
	}
	count := 0
	for _, e := range order {
		count += max(1, int(e.count)+min(1, int(e.before)))
	}
	slices.SortFunc(order, func(a, b *producerEntry) int { return cmp.Compare(a.id, b.id) })
	be := binary.BigEndian
	out := make([]byte, 0, snapshotHeaderBytes+count*snapshotEntryBytes)
	out = be.AppendUint16(out, snapshotVersion)
	out = be.AppendUint32(out, 0)
	out = be.AppendUint32(out, uint32(count))
	for _, e := range order {
		if e.count == 0 {
			out = e.appendSnapshot(out, &producerBatch{lastSequence: -1, lastOffset: -1, timestamp: e.lastTimestamp})
		}
		if e.before > 0 {
			oldest := &e.batches[0]
			out = e.appendSnapshot(out, &producerBatch{
				lastSequence: record.DecrementSequence(oldest.firstSequence(), 1), offsetDelta: e.before - 1,
				lastOffset: oldest.lastOffset - int64(oldest.offsetDelta) - 1, timestamp: oldest.timestamp,
			})
		}
		for k := range e.batches[:e.count] {
			out = e.appendSnapshot(out, &e.batches[k])
		}
	}
	be.PutUint32(out[2:], crc32.Checksum(out[snapshotCRCFrom:], castagnoli))
	return out
}

func (e *producerEntry) appendSnapshot(out []byte, b *producerBatch) []byte {
	be := binary.BigEndian
	timestamp := b.timestamp
	if b == e.last() {
		timestamp = e.lastTimestamp // a marker may have been later than the last batch
	}
	out = be.AppendUint64(out, uint64(e.id))
	out = be.AppendUint16(out, uint16(e.epoch))
	out = be.AppendUint32(out, uint32(b.lastSequence))
	out = be.AppendUint64(out, uint64(b.lastOffset))
	out = be.AppendUint32(out, uint32(b.offsetDelta))
	out = be.AppendUint64(out, uint64(timestamp))
	out = be.AppendUint32(out, uint32(e.coordinatorEpoch))
	return be.AppendUint64(out, uint64(e.txnFirst))
}

// decodeSnapshot replaces the state by a file's. On an error the state is empty.
func (s *producerState) decodeSnapshot(b []byte) error {
	s.reset()
	be := binary.BigEndian
	if len(b) < snapshotHeaderBytes {
		return fmt.Errorf("producer snapshot has %d bytes, its header alone %d", len(b), snapshotHeaderBytes)
	}
	if v := be.Uint16(b); v != snapshotVersion {
		return fmt.Errorf("producer snapshot has version %d, want %d", v, snapshotVersion)
	}
	if want, got := be.Uint32(b[2:]), crc32.Checksum(b[snapshotCRCFrom:], castagnoli); want != got {
		return fmt.Errorf("producer snapshot: crc is %08x, header says %08x", got, want)
	}
	count := be.Uint32(b[snapshotCRCFrom:])
	b = b[snapshotHeaderBytes:]
	if uint64(count)*snapshotEntryBytes != uint64(len(b)) {
		return fmt.Errorf("producer snapshot: %d entries in %d bytes", count, len(b))
	}
	for ; len(b) > 0; b = b[snapshotEntryBytes:] {
		e := producerEntry{
			id: int64(be.Uint64(b)), epoch: int16(be.Uint16(b[8:])), lastTimestamp: int64(be.Uint64(b[26:])),
			coordinatorEpoch: int32(be.Uint32(b[34:])), txnFirst: int64(be.Uint64(b[38:])),
		}
		last := producerBatch{
			lastSequence: int32(be.Uint32(b[10:])), lastOffset: int64(be.Uint64(b[14:])),
			offsetDelta: int32(be.Uint32(b[22:])), timestamp: e.lastTimestamp,
		}
		if last.offsetDelta < 0 || last.offsetDelta == math.MaxInt32 || e.id < 0 {
			s.reset()
			return fmt.Errorf("producer snapshot: entry of producer %d is impossible", e.id)
		}
		if earlier := s.get(e.id); earlier != nil && earlier.epoch == e.epoch {
			e.batches, e.count, e.before = earlier.batches, earlier.count, earlier.before
		}
		if last.lastSequence >= 0 && last.lastOffset >= 0 {
			e.remember(last)
		}
		s.put(e)
	}
	return nil
}
