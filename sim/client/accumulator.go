package client

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// generate takes the records that are due into batches. One that finds no
// memory or no metadata holds up those behind it, as send() does; each gives up
// max.block.ms after the instant at which it was due.
func (p *Producer) generate() {
	now := p.net.now
	wasBlocked, dropped := p.blocked, 0
	p.blocked, p.paused = false, false
	for !p.closing {
		due := p.load.next()
		if due > now {
			break
		}
		if p.cfg.Load.Kind == SharedIterations {
			due = now
		}
		b := p.room(due, wasBlocked)
		switch {
		case b != nil:
			n := p.append(b, due)
			p.stats.Due += n
			if wasBlocked && due < now {
				p.stats.Late += n
			}
			p.load.take(n)
		case p.paused:
			return
		case now.Sub(due) >= millis(p.settings.MaxBlockMillis):
			p.blocked, p.hasPending = false, false
			dropped++
			p.stats.Due++
			p.stats.Late++
			p.load.take(1)
			p.load.refused(now)
			continue
		default:
			wasBlocked = true
		}
		if b == nil {
			break
		}
	}
	if dropped > 0 {
		p.stats.Dropped += int64(dropped)
		p.observer.Dropped(dropped, "max.block.ms")
	}
}

// room returns the batch that takes the next record, if there is one, and else
// says why not in blocked or paused.
func (p *Producer) room(due clock.Instant, wasBlocked bool) *batch {
	if len(p.partitions) == 0 {
		p.blocked = true
		p.meta.request()
		return nil
	}
	if !p.hasPending {
		p.pendingKey, p.hasPending = p.keys.draw(), true
	}
	partition := p.choose()
	q := &p.partitions[partition].queue
	if n := len(*q); n > 0 {
		b := (*q)[n-1]
		if !b.closed && p.fits(b, due) {
			return b
		}
		p.closeAppends(b)
	}
	if p.cfg.Load.Kind == SharedIterations && p.outstanding >= p.cfg.Load.Outstanding {
		p.paused = true
		return nil
	}
	reserve := max(p.settings.BatchSizeBytes, int64(record.HeaderBytes+p.recordBytes))
	if n := p.cfg.Load.BatchRecords; n > 0 {
		reserve = int64(record.HeaderBytes) + int64(n)*int64(p.recordBytes)
	}
	if p.buffered > 0 && p.buffered+reserve > p.settings.BufferMemoryBytes {
		p.blocked = true
		return nil
	}
	created := due
	if wasBlocked {
		created = p.net.now
	}
	b := p.newBatch(partition, created)
	b.wall = p.net.wall - clock.Wall(p.net.now.Sub(due)/time.Millisecond)
	b.reserved = reserve
	p.buffered += reserve
	*q = append(*q, b)
	p.queued++
	return b
}

// choose returns the next record's partition.
func (p *Producer) choose() int32 {
	count := int32(len(p.partitions))
	s := p.settings
	switch {
	case s.Partitioner == clientconfig.PartitionerRoundRobin:
		if p.sticky.partition < 0 {
			p.sticky.partition = p.sticky.turn % count
			p.sticky.turn++
		}
	case p.keyed():
		var key [keyBytes]byte
		putKey(&key, p.pendingKey)
		return partitionOfKey(key[:], count)
	case p.cfg.Load.BatchRecords > 0:
		// Batches go round: nothing is left to chance but the beginning.
		if p.sticky.partition < 0 {
			p.sticky.partition = int32((int64(p.sticky.turn) + int64(p.cfg.Index)) % int64(count))
			p.sticky.turn++
		}
	case p.sticky.partition < 0:
		p.sticky.partition = p.sticky.choose(s, count, p.queueLength)
	}
	return p.sticky.partition
}

// keyed tells whether keys decide the partition.
func (p *Producer) keyed() bool {
	return p.pendingKey != NoKey && !p.settings.PartitionerIgnoreKeys && p.settings.Partitioner == clientconfig.PartitionerDefault
}

// queueLength is how many batches wait for a partition; -1 without a leader.
func (p *Producer) queueLength(partition int32) int32 {
	if p.meta.partition(0, partition).leader < 0 {
		return -1
	}
	return int32(len(p.partitions[partition].queue))
}

func (p *Producer) fits(b *batch, due clock.Instant) bool {
	if n := p.cfg.Load.BatchRecords; n > 0 {
		return b.view.Count < n
	}
	return int64(b.size+p.sizeIn(b, due, 1, p.pendingKey)) <= p.settings.BatchSizeBytes
}

// sizeIn is what count records due then would add to the batch.
func (p *Producer) sizeIn(b *batch, due clock.Instant, count int, key Key) int {
	delta := int64(0)
	if b.view.Count > 0 {
		delta = int64(due.Sub(b.view.Intended[0].At) / time.Millisecond)
	}
	return p.encoder.recordsBytes(int(b.view.Count), count, delta, key)
}

// together is how many of the records that are due next go into the batch at
// once: those that nothing tells apart.
func (p *Producer) together(b *batch) int64 {
	if n := p.cfg.Load.BatchRecords; n > 0 && p.cfg.Load.Keys.Distribution == NoKeys {
		return min(int64(n-b.view.Count), p.load.alike())
	}
	return 1
}

// append adds the next record to the batch, which has room, and those like it.
func (p *Producer) append(b *batch, due clock.Instant) (count int64) {
	count = p.together(b)
	size := p.sizeIn(b, due, int(count), p.pendingKey)
	b.size += size
	b.view.Intended = appendDue(b.view.Intended, due, int32(count))
	if p.cfg.Load.Keys.Distribution != NoKeys {
		b.keys = append(b.keys, p.pendingKey)
		b.tombstones = b.tombstones || p.pendingKey.Tombstone()
	}
	b.view.Count += int32(count)
	keyed := p.keyed()
	p.hasPending = false
	if n := p.cfg.Load.BatchRecords; n > 0 {
		if b.view.Count == n {
			p.closeAppends(b)
			p.sticky.partition = -1
		}
		return count
	}
	if int64(b.size) >= p.settings.BatchSizeBytes {
		p.closeAppends(b)
	}
	switch {
	case keyed:
	case p.settings.Partitioner == clientconfig.PartitionerRoundRobin:
		p.sticky.partition = -1
	default:
		p.sticky.appended(int64(size), p.settings.BatchSizeBytes, b.closed)
	}
	return count
}

// closeAppends ends the filling of a batch and names it.
func (p *Producer) closeAppends(b *batch) {
	if b.closed {
		return
	}
	b.closed = true
	p.name(b)
}

// name gives a batch its id, and keeps back the ids that its parts need should the
// broker find it too large, and them: ids then still tell the order of the records.
func (p *Producer) name(b *batch) {
	b.view.ID = uint64(p.cfg.Index)<<40 | p.nextID
	p.nextID += idsOf(b)
	if p.nextID > idsMax {
		panic("client: out of batch ids")
	}
	p.stats.Batches++
}

// idsOf is how many ids a batch needs: its own, and those of its parts, which are at
// least two each time and end with one record each.
func idsOf(b *batch) uint64 { return 2*uint64(b.view.Count) - 1 }

func (p *Producer) newBatch(partition int32, created clock.Instant) *batch {
	var b *batch
	if n := len(p.spare); n > 0 {
		b = p.spare[n-1]
		p.spare = p.spare[:n-1]
	} else {
		b = new(batch)
	}
	*b = batch{
		view: Batch{Producer: p.cfg.Index, Topic: p.cfg.Topic.Index, Partition: partition, Acks: int8(p.settings.Acks),
			ProducerID: record.EmptyProducerID, Epoch: record.EmptyProducerEpoch, Sequence: noSequence, Intended: b.view.Intended[:0]},
		keys: b.keys[:0], created: created, lastAttempt: created, size: record.HeaderBytes, leaderEpoch: -1,
	}
	p.outstanding++
	if !p.expiring {
		p.setExpiry(created)
	}
	return b
}

// spareMax bounds the batches that are kept for reuse.
const spareMax = 4096

// finish ends a batch that has its outcome.
func (p *Producer) finish(b *batch) {
	b.done = true
	p.outstanding--
	p.load.completed(p.net.now, int64(b.view.Count))
	if !b.flying {
		p.recycle(b)
	}
}

// recycle gives memory back. A batch that still is on the wire keeps it.
func (p *Producer) recycle(b *batch) {
	p.buffered -= b.reserved
	b.reserved = 0
	if b.buffer != nil {
		b.buffer.Release()
		b.buffer = nil
	}
	if len(p.spare) < spareMax {
		p.spare = append(p.spare, b)
	}
}

// finishing tells whether no record will join the open batches any more.
func (p *Producer) finishing() bool { return p.closing || p.load.over(p.net.now) }

// lingers tells whether linger.ms closes batches.
func (p *Producer) lingers() bool {
	return p.cfg.Load.BatchRecords == 0 || p.cfg.Load.Kind == ConstantVUs
}

// loadWake is when generate has something to do that cannot wait. Records
// without a key may come into being unseen until their batch is full or its
// linger has passed: nobody could tell the difference.
func (p *Producer) loadWake() clock.Instant {
	next := p.load.next()
	if next == clock.Never || p.closing || p.paused {
		return clock.Never
	}
	if p.blocked {
		if p.cfg.Load.Kind == SharedIterations {
			return clock.Never // it waits for as long as it takes
		}
		return next.Add(millis(p.settings.MaxBlockMillis))
	}
	l := &p.cfg.Load
	if l.Keys.Distribution != NoKeys && !p.settings.PartitionerIgnoreKeys || p.settings.Partitioner != clientconfig.PartitionerDefault ||
		len(p.partitions) == 0 {
		return next
	}
	var open *batch
	if p.sticky.partition >= 0 {
		if q := p.partitions[p.sticky.partition].queue; len(q) > 0 && !q[len(q)-1].closed {
			open = q[len(q)-1]
		}
	}
	switch {
	case l.BatchRecords > 0:
		room := int64(l.BatchRecords)
		if open != nil {
			room -= int64(open.view.Count)
		}
		if at := p.load.ahead(room-1, clock.Never); at != clock.Never {
			return at
		}
	case open != nil && p.settings.LingerMillis > 0 && open.backoffUntil == 0:
		room := (p.settings.BatchSizeBytes - int64(open.size)) / int64(p.recordBytes)
		linger := open.created.Add(millis(p.settings.LingerMillis))
		if linger > p.net.now { // else it is held up: see to each record
			return max(next, min(linger, p.load.ahead(room, linger)))
		}
	}
	return next
}

// insert puts a batch back: in the order of sequences with idempotence, else in
// front, which is how records overtake each other.
func (p *Producer) insert(q *partitionQueue, b *batch) {
	at := 0
	if b.hasSequence() {
		for at < len(q.queue) && q.queue[at].hasSequence() && q.queue[at].view.Sequence < b.view.Sequence {
			at++
		}
	}
	q.queue = slices.Insert(q.queue, at, b)
	p.queued++
}
