package log

import (
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

const (
	// batchesRemembered is how many batches of a producer are known with their
	// offsets; it equals the in-flight limit of idempotent producers.
	batchesRemembered = 5
	// recordsBeforeMax bounds how far back a batch is known to be in the log: half
	// of the sequence numbers, so that what comes next is never taken for it.
	recordsBeforeMax = 1 << 30
)

// producerBatch is one remembered batch.
type producerBatch struct {
	lastSequence int32
	lastOffset   int64
	offsetDelta  int32
	timestamp    int64
}

func (b *producerBatch) firstSequence() int32 {
	return record.DecrementSequence(b.lastSequence, b.offsetDelta)
}

// producerEntry is what a log knows of one producer id.
type producerEntry struct {
	id               int64
	epoch            int16
	count            uint8 // of batches, oldest first
	batches          [batchesRemembered]producerBatch
	before           int32 // records known to precede the oldest batch without a gap
	coordinatorEpoch int32
	txnFirst         int64 // first offset of the open transaction, -1
	lastTimestamp    int64 // milliseconds, decides on expiry
}

func (e *producerEntry) last() *producerBatch {
	if e.count == 0 {
		return nil
	}
	return &e.batches[e.count-1]
}

func (e *producerEntry) remember(b producerBatch) {
	if e.count == batchesRemembered {
		oldest := &e.batches[0]
		if records := oldest.offsetDelta + 1; record.InSequence(oldest.lastSequence, e.batches[1].firstSequence()) {
			e.before = min(e.before, recordsBeforeMax-records) + records
		} else {
			e.before = 0
		}
		copy(e.batches[:], e.batches[1:])
		e.count--
	}
	e.batches[e.count] = b
	e.count++
}

// holds tells whether a batch, given by its sequences, is one of those whose
// offsets have been forgotten. Within an epoch there is no gap, so what precedes
// the remembered batches is in the log.
func (e *producerEntry) holds(first, last int32) bool {
	if e.before == 0 {
		return false
	}
	// Distances backwards from the oldest batch, sequences being modulo 2^31.
	const mask = 1<<31 - 1
	oldest := e.batches[0].firstSequence()
	toFirst, toLast := (oldest-first)&mask, (oldest-last)&mask
	return toLast >= 1 && toLast <= toFirst && toFirst <= e.before
}

// producerState is the state of every producer of one log: ids and, once they are
// many, index find an id's entry in entries. It is updated when a batch is
// accepted, before it is written.
type producerState struct {
	ids     []int64
	index   map[int64]int32
	entries []producerEntry
	// expired is a producer that was forgotten, the last one: while there is none
	// and the log has lost nothing at its start, a producer without an entry has
	// never written to it. It is kept in snapshots for that reason.
	expired *producerEntry
}

// idsScanned is how many ids are looked through, which for a few is faster than
// a map.
const idsScanned = 16

func (s *producerState) get(id int64) *producerEntry {
	if len(s.ids) <= idsScanned {
		if i := slices.Index(s.ids, id); i >= 0 {
			return &s.entries[i]
		}
		return nil
	}
	if i, ok := s.index[id]; ok {
		return &s.entries[i]
	}
	return nil
}

func (s *producerState) reset() {
	clear(s.index)
	s.ids, s.entries, s.expired = s.ids[:0], s.entries[:0], nil
}

func (s *producerState) put(e producerEntry) *producerEntry {
	if s.index == nil {
		s.index = make(map[int64]int32)
	}
	if i, ok := s.index[e.id]; ok {
		s.entries[i] = e
		return &s.entries[i]
	}
	s.index[e.id] = int32(len(s.entries))
	s.ids, s.entries = append(s.ids, e.id), append(s.entries, e)
	return &s.entries[len(s.entries)-1]
}

// check says whether a leader may append the batch. fromZero is whether the log
// still has its first record. Then, if no producer has expired, one without state
// has never written to it and must start at 0: what it has sent before went to
// another leader and will be sent again to this one, and must not be overtaken.
// Kafka asks for that of a log without any record only (KAFKA-15591).
func (s *producerState) check(b record.Batch, fromZero bool) (AppendInfo, error) {
	id, epoch := b.ProducerID(), b.ProducerEpoch()
	if id < 0 || b.Attributes().Control() {
		return AppendInfo{}, nil
	}
	first, last := b.BaseSequence(), b.LastSequence()
	e := s.get(id)
	if e == nil {
		if fromZero && s.expired == nil && first != 0 {
			return AppendInfo{}, fmt.Errorf("%w: producer %d starts at %d in a log that it has never written to", ErrOutOfOrderSequence, id, first)
		}
		return AppendInfo{}, nil
	}
	if epoch < e.epoch {
		return AppendInfo{}, fmt.Errorf("%w: producer %d has epoch %d, log has %d", ErrInvalidProducerEpoch, id, epoch, e.epoch)
	}
	if epoch > e.epoch {
		if first != 0 {
			return AppendInfo{}, fmt.Errorf("%w: producer %d starts epoch %d at %d", ErrOutOfOrderSequence, id, epoch, first)
		}
		return AppendInfo{}, nil
	}
	for i := range e.batches[:e.count] {
		if d := &e.batches[i]; d.firstSequence() == first && d.lastSequence == last {
			return AppendInfo{
				BaseOffset: d.lastOffset - int64(d.offsetDelta), LastOffset: d.lastOffset, LogAppendTime: d.timestamp,
			}, ErrDuplicate
		}
	}
	if e.holds(first, last) {
		oldest := &e.batches[0]
		return AppendInfo{
			BaseOffset: UndefinedOffset, LastOffset: oldest.lastOffset - int64(oldest.offsetDelta) - 1, LogAppendTime: record.NoTimestamp,
		}, ErrDuplicateSequence
	}
	// An epoch that only a transaction marker has been written with begins at any
	// sequence that its producer knows.
	if l := e.last(); l != nil && !record.InSequence(l.lastSequence, first) {
		return AppendInfo{}, fmt.Errorf("%w: producer %d epoch %d sends %d after %d",
			ErrOutOfOrderSequence, id, epoch, first, l.lastSequence)
	}
	return AppendInfo{}, nil
}

// update notes an accepted batch, with its offsets assigned.
func (s *producerState) update(b record.Batch) {
	id := b.ProducerID()
	if id < 0 {
		return
	}
	e := s.get(id)
	if e == nil {
		e = s.put(producerEntry{id: id, epoch: b.ProducerEpoch(), coordinatorEpoch: -1, txnFirst: -1})
	}
	if epoch := b.ProducerEpoch(); epoch != e.epoch {
		e.epoch, e.count, e.before = epoch, 0, 0
	}
	e.lastTimestamp = b.MaxTimestamp()
	a := b.Attributes()
	if a.Control() {
		e.txnFirst = -1
		return
	}
	if a.Transactional() && e.txnFirst < 0 {
		e.txnFirst = b.BaseOffset()
	}
	e.remember(producerBatch{
		lastSequence: b.LastSequence(), lastOffset: b.LastOffset(),
		offsetDelta: b.LastOffsetDelta(), timestamp: b.MaxTimestamp(),
	})
}

// lastOffset is the highest offset that any producer's state depends on, -1 if none.
func (s *producerState) lastOffset() int64 {
	highest := int64(-1)
	for i := range s.entries {
		if l := s.entries[i].last(); l != nil {
			highest = max(highest, l.lastOffset)
		} else {
			// Only a marker: its offset is not kept, so that nothing can be ruled out.
			return 1<<63 - 1
		}
	}
	return highest
}

// expire forgets producers that wrote nothing since the time (milliseconds),
// except those with an open transaction.
func (s *producerState) expire(before int64) {
	for i := 0; i < len(s.entries); {
		e := &s.entries[i]
		if e.lastTimestamp >= before || e.txnFirst >= 0 {
			i++
			continue
		}
		delete(s.index, e.id)
		gone := *e
		s.expired = &gone
		if n := len(s.entries) - 1; i < n {
			s.entries[i], s.ids[i] = s.entries[n], s.ids[n]
			s.index[s.ids[i]] = int32(i)
		}
		s.ids, s.entries = s.ids[:len(s.ids)-1], s.entries[:len(s.entries)-1]
	}
}
