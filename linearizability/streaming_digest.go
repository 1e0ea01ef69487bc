package linearizability

import (
	"fmt"
	"sort"
)

// accumulate adds seen records to their reader's digest and moves its position.
// The digest is kept for hot reads too, so that a reader which falls behind in
// the middle of a block still covers that block from its start.
func (c *Checker) accumulate(p *partitionState, r *readerState, seen *run) {
	if p.keys != nil {
		r.position, r.event = seen.end(), seen.event
		return
	}
	zero := seen.base - int64(seen.first)
	for at, end := seen.base, seen.end(); at < end; {
		stop := min(end, r.blockEnd)
		r.sum.add(seen.id, zero, int32(at-zero), int32(stop-at))
		at = stop
		r.position = at
		if at == r.blockEnd {
			c.closeSum(p, r)
			r.sumFrom, r.sum, r.coldInSum = at, digest{}, 0
			r.blockEnd = at + blockOffsets
		}
	}
	r.event = seen.event
}

// closeSum compares what a reader saw with what was first seen in the same slots.
// Slots that were hot when read have been compared exactly and need no digest.
func (c *Checker) closeSum(p *partitionState, r *readerState) {
	if r.coldInSum == 0 {
		return
	}
	known, ok := p.sum(r.sumFrom, r.position)
	if !ok {
		c.report.Unverified += r.coldInSum
		return
	}
	if known != r.sum {
		c.found(Finding{Kind: DigestMismatch, Partition: p.name, Offset: r.sumFrom, Records: r.position - r.sumFrom,
			First: Witness{0, 0, r.sumFrom, fmt.Sprintf("the records %d to %d were first seen otherwise", r.sumFrom, r.position-1)},
			Second: Witness{r.event, 0, r.position - 1,
				fmt.Sprintf("reader c%d got different ones up to %d", r.reader, r.position-1)}})
	}
}

// sum adds the digests of [from, to). It can do so only between boundaries of
// blocks, or up to an end within the hot window.
func (p *partitionState) sum(from, to int64) (digest, bool) {
	var total digest
	first := sort.Search(len(p.blocks), func(i int) bool { return p.blocks[i].start >= from })
	if from < p.coldEnd && (first == len(p.blocks) || p.blocks[first].start != from) {
		return total, false
	}
	for i := first; i < len(p.blocks) && p.blocks[i].start < to; i++ {
		end := p.coldEnd
		if i+1 < len(p.blocks) {
			end = p.blocks[i+1].start
		}
		if end > to || p.blocks[i].broken {
			return total, false
		}
		total.batches += p.blocks[i].sum.batches
		total.indexes += p.blocks[i].sum.indexes
	}
	for i := range p.hot.count {
		r := p.hot.at(i)
		low, high := max(from, r.base), min(to, r.end())
		if low < high {
			zero := r.base - int64(r.first)
			total.add(r.id, zero, int32(low-zero), int32(high-low))
		}
	}
	return total, true
}

// marksMax bounds the positions waiting to become block boundaries.
const marksMax = 1024

// Mark names an offset at which readers are likely to start, such as the base of
// a new segment. Digests are cut there, so that a read that begins at the mark
// long after it went cold can still be compared. Useful only while it is hot.
func (c *Checker) Mark(name Partition, offset int64) {
	p := c.partition(name)
	at := sort.Search(len(p.marks), func(i int) bool { return p.marks[i] >= offset })
	if offset < p.coldEnd || len(p.marks) >= marksMax || at < len(p.marks) && p.marks[at] == offset {
		return
	}
	p.marks = append(p.marks, 0)
	copy(p.marks[at+1:], p.marks[at:])
	p.marks[at] = offset
}

// deletedBlocksMax is how many blocks below the log start are kept for readers
// that were reading them when they were deleted.
const deletedBlocksMax = 1024

// LogStart says that the log start moved to offset for a reason.
func (c *Checker) LogStart(name Partition, offset int64, reason LogStartReason, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.LogStart(offset, reason, event)
	}
	switch {
	case offset < p.logStart:
		c.found(Finding{Kind: LogStartInvalid, Partition: p.name, Offset: offset,
			First:  Witness{0, 0, p.logStart, fmt.Sprintf("the log start was %d", p.logStart)},
			Second: Witness{event, 0, offset, fmt.Sprintf("it went back to %d", offset)}})
		return
	case reason == 0 && offset > p.logStart:
		c.found(Finding{Kind: LogStartInvalid, Partition: p.name, Offset: offset,
			First: Witness{event, 0, offset, fmt.Sprintf("the log start moved from %d to %d without a reason", p.logStart, offset)}})
	}
	p.logStart = offset
	c.expire(p, reason)
	if len(p.holes.list) > intervalsMax/2 {
		p.holes.remove(0, offset)
		p.forgotten = offset
	}
	gone := sort.Search(len(p.blocks), func(i int) bool { return p.blocks[i].start > offset }) - 1
	if gone > 2*deletedBlocksMax {
		kept := copy(p.blocks, p.blocks[gone-deletedBlocksMax:])
		p.blocks = p.blocks[:kept]
	}
}

// expire notes what the log start has passed of acknowledged batches that nobody
// has seen: with acks below all their answer says where they stood, and unless
// that was cut off they have been deleted for the reason that was reported.
func (c *Checker) expire(p *partitionState, reason LogStartReason) {
	if reason == 0 {
		return
	}
	for i := range c.pending {
		b := &c.pending[i]
		if b.partition == p.index && b.acked && b.told >= 0 && b.told+int64(b.count) <= p.logStart {
			b.expired = true
		}
	}
}

// Truncated says that the simulator lost committed records from offset onwards,
// for a cause that the configuration does not protect against. Acknowledged ones
// are counted by cause; where the claim was made they are a violation. Call it
// before anything above is written again. Records that were never committed need
// Gone instead.
func (c *Checker) Truncated(name Partition, from int64, cause Cause, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.Truncated(from, event)
	}
	lost := c.cutHot(p, from, cause, event)
	if from < p.coldEnd {
		lost += c.cutCold(p, from)
	}
	c.report.Lost += lost
	p.lost += lost
	c.report.LossByCause[cause] += lost
	if !c.config.Asserted.NoLostAcks {
		c.report.PermittedLost += lost
	} else if lost > 0 {
		c.found(Finding{Kind: LostAck, Partition: p.name, Offset: from, Records: lost,
			First:  Witness{p.floorEvent, 0, p.floor, fmt.Sprintf("everything below %d had returned", p.floor)},
			Second: Witness{event, 0, from, fmt.Sprintf("%d acknowledged records from %d on were lost", lost, from)}})
	}
	p.floor, p.watermarkMax = min(p.floor, from), min(p.watermarkMax, from)
	p.delivered.remove(from, maxOffset)
	if p.keys != nil {
		p.keys.cut(from)
	}
	kept := p.openWatermark[:0]
	for _, open := range p.openWatermark {
		if open.from < from {
			kept = append(kept, open)
		}
	}
	p.openWatermark = kept
	for i := range c.pending {
		if b := &c.pending[i]; b.partition == p.index {
			b.floor = min(b.floor, from)
			if b.base >= from {
				b.base = -1 // a later attempt may append it again
			}
			if b.acked && b.told >= 0 && b.told+int64(b.count) > from && !b.expired && c.pendingIndex.get(uint64(b.id)) == int32(i) {
				c.cutOff(p, int32(i), cause)
			}
		}
	}
	for i := range c.readers {
		if r := &c.readers[i]; r.partition == p.index {
			c.rewindReader(r, from)
		}
	}
}

func (c *Checker) rewindReader(r *readerState, from int64) {
	r.leaderEpoch = -1
	r.watermark, r.watermarkMax = min(r.watermark, from), min(r.watermarkMax, from)
	r.strictFloor = min(r.strictFloor, from)
	if r.position > from {
		former := max(r.former, r.position)
		r.start(from)
		r.former = former
		r.generation++
	}
}

// cutHot drops the runs from an offset on and counts the acknowledged records,
// except those that had been deleted before.
func (c *Checker) cutHot(p *partitionState, from int64, cause Cause, event uint64) int64 {
	var lost int64
	for p.hot.count > 0 {
		last := p.hot.at(p.hot.count - 1)
		if last.end() <= from {
			break
		}
		counts := last.acked && last.end() > p.logStart
		if counts {
			lost += int64(last.count)
		}
		c.vanish(p, last, event)
		if last.first == 0 && !last.dup {
			c.remember(p, last.id, cutBatch{partition: p.index, count: last.count, base: last.base, cause: cause, lost: counts})
		}
		p.hot.count--
	}
	return lost
}

// cutCold drops blocks. The block that holds the offset cannot be split exactly.
func (c *Checker) cutCold(p *partitionState, from int64) int64 {
	var lost int64
	c.report.Unverified += p.coldEnd - from
	for len(p.blocks) > 0 {
		last := &p.blocks[len(p.blocks)-1]
		if last.start < from {
			last.broken = true
			break
		}
		if p.coldEnd > p.logStart {
			lost += int64(last.acked)
		}
		p.blocks = p.blocks[:len(p.blocks)-1]
	}
	p.holes.remove(from, maxOffset)
	p.coldEnd = from
	return lost
}

// cutBatch is a batch whose place was cut off.
type cutBatch struct {
	partition, count int32
	base             int64
	cause            Cause
	lost             bool // it was acknowledged and counts as lost
}

// cutMax bounds the cut batches that are remembered. One beyond them that comes
// back is reported as a phantom.
const cutMax = 1 << 16

// remember keeps a batch of which another attempt may survive: appended by a
// leader that died before it could say so, and sent again to the next one, whose
// log is then dropped by an unclean election of the first. The record is read at
// the place of the first attempt. Its acknowledged place is lost all the same, and
// so it counts as lost. It does not if it is read at its place: a replica that had
// it still has become leader again.
func (c *Checker) remember(p *partitionState, id BatchID, b cutBatch) {
	if len(c.cut) >= cutMax {
		return
	}
	if c.cut == nil {
		c.cut = map[BatchID]cutBatch{}
	}
	c.cut[id] = b
}

// AnotherAttempt says that what is read next of a batch, at the place where it was
// acknowledged, is not what was acknowledged there: it was appended under another
// leader epoch. Two attempts may take one offset in two logs, and by its content
// nobody can tell them apart. The acknowledged one stays lost.
func (c *Checker) AnotherAttempt(name Partition, id BatchID) {
	if b, known := c.cut[id]; known && b.partition == c.partition(name).index {
		b.base = -1
		c.cut[id] = b
	}
}

// survives places a batch that was cut off and is seen, once.
func (c *Checker) survives(p *partitionState, seen *run) bool {
	b, known := c.cut[seen.id]
	if !known || b.partition != p.index || seen.first < 0 || seen.first+seen.count > b.count {
		return false
	}
	delete(c.cut, seen.id)
	whole := run{base: seen.base - int64(seen.first), id: seen.id, event: seen.event, count: b.count, read: true}
	if whole.base == b.base && b.lost {
		whole.acked = true
		p.lost -= int64(b.count)
		c.report.Lost -= int64(b.count)
		c.report.LossByCause[b.cause] -= int64(b.count)
		if !c.config.Asserted.NoLostAcks {
			c.report.PermittedLost -= int64(b.count)
		}
	}
	p.raise(whole.end(), seen.event)
	c.place(p, whole, true)
	return true
}
