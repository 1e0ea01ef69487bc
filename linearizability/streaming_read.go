package linearizability

import "fmt"

// InvokeRead says that a reader sends a strict request (ListOffsets under
// KIP-207). It must cover everything that has returned by now.
func (c *Checker) InvokeRead(reader int32, name Partition, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.InvokeRead(reader, event)
	}
	r := c.reader(p, reader)
	r.strictFloor, r.strictTick = p.floor, c.tick
	r.event = event
}

// HighWatermark says that a reader was told a high watermark by the leader of the
// given epoch. The epoch is -1 where it is not known and where a follower said it,
// which may be behind what the leader said before (KIP-392). strict answers the reader's last InvokeRead; a
// Fetch response is not strict and may lag after an election. Call it before the
// ReadBatch calls of the same response.
func (c *Checker) HighWatermark(reader int32, name Partition, watermark int64, leaderEpoch int32, strict bool, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.HighWatermark(reader, watermark, leaderEpoch, strict, event)
	}
	r := c.reader(p, reader)
	if strict {
		c.strictRead(p, r, watermark, event)
	}
	if leaderEpoch >= 0 && leaderEpoch == r.leaderEpoch && watermark < r.watermark {
		c.found(Finding{Kind: HighWatermarkRegress, Partition: p.name, Offset: watermark,
			First:  Witness{r.watermarkedAt, 0, r.watermark, fmt.Sprintf("reader c%d was told the high watermark %d in epoch %d", reader, r.watermark, leaderEpoch)},
			Second: Witness{event, 0, watermark, fmt.Sprintf("it was told %d in the same epoch", watermark)}})
	}
	if leaderEpoch >= 0 {
		r.leaderEpoch, r.watermark, r.watermarkedAt = leaderEpoch, watermark, event
	}
	if watermark > r.watermarkMax {
		r.watermarkMax, r.watermarkMaxAt = watermark, event
	}
	if watermark > p.watermarkMax {
		p.watermarkMax, p.watermarkAt = watermark, event
	}
	c.checkWatermark(p, watermark, event)
	p.raise(watermark, event)
}

// strictRead is C3 for reads.
func (c *Checker) strictRead(p *partitionState, r *readerState, watermark int64, event uint64) {
	if r.strictFloor < 0 {
		c.report.inconclusive("a strict read was not announced by InvokeRead")
		return
	}
	if watermark < r.strictFloor {
		c.found(Finding{Kind: StaleRead, Partition: p.name, Offset: watermark, Records: r.strictFloor - watermark,
			First:  Witness{r.event, 0, r.strictFloor, fmt.Sprintf("reader c%d asked for the end when everything below %d had returned", r.reader, r.strictFloor)},
			Second: Witness{event, 0, watermark, fmt.Sprintf("it was told %d", watermark)}})
	}
	if len(p.ackedUnplaced) > 0 {
		c.noteLater(p, watermark, r.strictTick)
	}
	r.strictFloor = -1
}

// openWatermarksMax bounds the watermarks that wait for their slots to be seen.
const openWatermarksMax = 1 << 14

// checkWatermark is C2 for one watermark: it must fall between two batches.
func (c *Checker) checkWatermark(p *partitionState, watermark int64, event uint64) {
	h := &p.hot
	var last *run
	if h.count > 0 {
		if last = h.at(h.count - 1); last.end() == watermark {
			return
		}
	}
	if watermark < p.coldEnd {
		if p.holes.covered(watermark, watermark+1) == 0 && watermark > p.logStart {
			c.report.UnverifiedWatermarks++
		}
		return
	}
	var at int
	if last != nil && watermark > last.end() {
		at = h.count - 1
	} else {
		at = h.find(watermark)
	}
	if at >= 0 {
		r := h.at(at)
		if r.base == watermark || r.end() == watermark {
			return
		}
		if r.base < watermark && watermark < r.end() {
			if !r.dup {
				c.split(p, r, watermark, event)
			}
			return
		}
	} else if watermark == p.coldEnd {
		return
	}
	for _, open := range p.openWatermark {
		if open.from == watermark {
			return
		}
	}
	if len(p.openWatermark) >= openWatermarksMax {
		c.report.inconclusive("more high watermarks ahead of the seen log than can be remembered")
		return
	}
	p.openWatermark = append(p.openWatermark, interval{watermark, int64(event)})
}

// ReadBatch says that a reader got count consecutive records, which are the
// records [firstIndex, firstIndex+count) of one batch, at baseOffset onwards.
func (c *Checker) ReadBatch(reader int32, name Partition, baseOffset int64, count int32, id BatchID, firstIndex int32, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.ReadBatch(reader, baseOffset, count, id, firstIndex, event)
	}
	r := c.reader(p, reader)
	if r.from < 0 {
		r.start(baseOffset)
	} else if baseOffset != r.position {
		c.jump(p, r, baseOffset, event)
	} else {
		r.former = -1
	}
	end := baseOffset + int64(count)
	if r.watermarkMax >= 0 && end > r.watermarkMax {
		c.found(Finding{Kind: ReadAboveHighWatermark, Partition: p.name, Offset: baseOffset, Records: int64(count),
			First:  Witness{r.watermarkMaxAt, 0, r.watermarkMax, fmt.Sprintf("reader c%d was told no high watermark above %d", reader, r.watermarkMax)},
			Second: Witness{event, id, baseOffset, fmt.Sprintf("was served to it up to %d", end-1)}})
	}
	fresh := p.delivered.add(baseOffset, end)
	c.report.Delivered += fresh
	c.report.Redelivered += int64(count) - fresh

	seen := run{base: baseOffset, id: id, event: event, first: firstIndex, count: count, read: true}
	at := int(r.hint - p.popped)
	h := &p.hot
	hit := false
	for step := 0; step < 2 && !hit; step++ {
		if at+step < h.count && at+step >= 0 {
			if there := h.at(at + step); there.base <= baseOffset && end <= there.end() {
				at += step
				hit = true
			}
		}
	}
	if hit && h.at(at).matches(&seen) {
		there := h.at(at)
		r.hint = p.popped + int64(at)
		p.raise(there.end(), event)
	} else {
		c.compare(p, r, seen)
	}
	c.accumulate(p, r, &seen)
}

// matches reports whether the records of seen are those of the run at its slots.
func (r *run) matches(seen *run) bool {
	return r.id == seen.id && r.base-int64(r.first) == seen.base-int64(seen.first)
}

// compare checks a seen run against what is known of its slots, part by part.
func (c *Checker) compare(p *partitionState, r *readerState, seen run) {
	h := &p.hot
	for seen.count > 0 {
		part := seen
		switch at := h.find(seen.base); {
		case seen.base < p.coldEnd:
			part.count = int32(min(int64(part.count), p.coldEnd-part.base))
			c.compareCold(p, r, &part)
		case at >= 0 && seen.base < h.at(at).end():
			there := h.at(at)
			part.count = int32(min(int64(part.count), there.end()-part.base))
			if !there.matches(&part) {
				c.conflict(p, there, part.id, part.base, part.event)
			}
			r.hint = p.popped + int64(at)
			p.raise(there.end(), part.event)
		default:
			if at+1 < h.count && h.at(at+1).base < part.end() {
				part.count = int32(h.at(at+1).base - part.base)
			}
			c.placeSeen(p, &part)
		}
		seen.base += int64(part.count)
		seen.first += part.count
		seen.count -= part.count
	}
}

// compareCold checks what can be checked at once of a read below the hot window;
// the content is compared by digest when the block is complete.
func (c *Checker) compareCold(p *partitionState, r *readerState, seen *run) {
	switch covered := p.holes.covered(seen.base, seen.end()); {
	case covered == int64(seen.count):
		c.placeSeen(p, seen)
	case covered > 0: // a duplicate of which only a part had been seen
		for i := range seen.count {
			slot := *seen
			slot.base, slot.first, slot.count = seen.base+int64(i), seen.first+i, 1
			if p.holes.covered(slot.base, slot.end()) > 0 {
				c.placeSeen(p, &slot)
			}
		}
	}
	index := c.readerIndex.get(uint64(r.partition)<<32 | uint64(uint32(r.reader)))
	order := c.order(2*(index+1), seen.id.Producer())
	if p.keys != nil {
		c.checkThinned(p, seen, order, r.generation)
		return
	}
	r.coldInSum += int64(seen.count)
	c.checkOrder(seen, p, order, r.generation)
}

// checkThinned is the order of one reader in a compacted partition, of whose
// batches any part may be gone: what is left of one batch belongs together.
func (c *Checker) checkThinned(p *partitionState, seen *run, o *orderState, generation uint32) {
	whole := run{base: seen.base - int64(seen.first), id: seen.id, event: seen.event, count: seen.count}
	if o.generation == generation && o.id == whole.id && o.base != whole.base {
		c.duplicated(p, seen.id, seen.base, seen.count, seen.event, fmt.Sprintf("was seen at %d as record %d", seen.base, seen.first),
			Witness{o.event, o.id, o.base, fmt.Sprintf("began at %d", o.base)})
		return
	}
	c.checkOrder(&whole, p, o, generation)
}

// placeSeen gives slots that were seen for the first time to a pending batch.
func (c *Checker) placeSeen(p *partitionState, seen *run) {
	i := c.pendingIndex.get(uint64(seen.id))
	if i < 0 && c.survives(p, seen) {
		return
	}
	if i < 0 || c.pending[i].base >= 0 || c.pending[i].failed || c.pending[i].partition != p.index {
		c.unexpected(p, i, seen)
		return
	}
	b := &c.pending[i]
	if seen.first < 0 || seen.first+seen.count > b.count || seen.base < int64(seen.first) {
		c.found(Finding{Kind: TornBatch, Partition: p.name, Offset: seen.base, Records: int64(seen.count),
			First:  Witness{b.invoked, b.id, -1, fmt.Sprintf("was sent with %d records", b.count)},
			Second: Witness{seen.event, b.id, seen.base, fmt.Sprintf("showed the records %d to %d at %d", seen.first, seen.first+seen.count-1, seen.base)}})
		return
	}
	base := seen.base - int64(seen.first)
	c.checkFloor(p, b, base, seen.event, "was seen at")
	b.base = base
	p.raise(base+int64(b.count), seen.event)
	whole := run{base: base, id: b.id, event: seen.event, count: b.count, acked: b.acked, read: true}
	if b.returned {
		c.release(i)
	}
	c.place(p, whole, false)
}

// unexpected is C1 for a slot seen for the first time whose batch is not pending.
func (c *Checker) unexpected(p *partitionState, i int32, seen *run) {
	action := fmt.Sprintf("was seen at %d", seen.base)
	whole := *seen // where its size is known, a duplicate takes its place as a whole
	duplicate := func(count int32, first Witness) {
		if seen.first >= 0 && seen.first+seen.count <= count {
			whole.base, whole.first, whole.count = seen.base-int64(seen.first), 0, count
		}
		c.duplicated(p, seen.id, whole.base, whole.count, seen.event, action, first)
	}
	first, count, placed := p.scan(seen.id)
	switch {
	case i >= 0 && c.pending[i].partition == p.index && c.pending[i].failed:
		c.found(Finding{Kind: FailedAppendPresent, Partition: p.name, Offset: seen.base, Records: int64(seen.count),
			First: Witness{c.pending[i].answered, seen.id, -1, "failed for certain"}, Second: Witness{seen.event, seen.id, seen.base, action}})
	case i >= 0 && c.pending[i].partition == p.index:
		b := &c.pending[i]
		duplicate(b.count, Witness{b.invoked, b.id, b.base, fmt.Sprintf("was placed at %d", b.base)})
	case placed:
		duplicate(count, first)
	case i < 0 && !c.config.Asserted.NoDuplicates && seen.id <= c.order(0, seen.id.Producer()).id:
		duplicate(seen.first+seen.count, Witness{0, seen.id, -1, "was placed below the hot window"})
	default:
		c.found(phantom(p, seen.id, seen.base, seen.event, action+" and is not in flight"))
	}
	p.raise(whole.end(), seen.event)
	switch {
	case whole.base >= p.coldEnd:
		c.place(p, whole, true)
	case seen.base >= p.coldEnd || p.holes.covered(seen.base, seen.end()) == int64(seen.count):
		c.place(p, *seen, true)
	}
}

// jump handles a read that does not start at the reader's position.
func (c *Checker) jump(p *partitionState, r *readerState, to int64, event uint64) {
	position := r.position
	if p.keys != nil && to > position {
		c.passOver(p, r, to, event)
		return // its stretch goes on
	}
	from := max(position, min(p.logStart, to))
	if to == r.former { // a deposed leader still serves it, which has all that was cut off
		r.start(to)
		r.generation++
		return
	}
	c.report.Expired += from - position
	switch {
	case to < position:
		c.found(Finding{Kind: NonMonotonicRead, Partition: p.name, Offset: to,
			First:  Witness{r.event, 0, position, fmt.Sprintf("reader c%d had read up to %d", r.reader, position-1)},
			Second: Witness{event, 0, to, fmt.Sprintf("it was served %d without a reset", to)}})
	case to > from:
		c.report.Skipped += to - from
		c.found(Finding{Kind: SkippedRecords, Partition: p.name, Offset: from, Records: to - from,
			First:  Witness{r.event, 0, from, fmt.Sprintf("reader c%d stood at %d with the log start at %d", r.reader, position, p.logStart)},
			Second: Witness{event, 0, to, fmt.Sprintf("it was served %d", to)}})
	}
	c.closeSum(p, r)
	r.start(to)
	r.generation++
}

func (r *readerState) start(offset int64) {
	r.from, r.position, r.former, r.passed = offset, offset, -1, 0
	r.sumFrom, r.sum, r.coldInSum = offset, digest{}, 0
	r.blockEnd = (offset/blockOffsets + 1) * blockOffsets
}

// ReaderReset says that a reader's position was set: a seek, a rebalance, a
// reset after an out-of-range error.
func (c *Checker) ReaderReset(reader int32, name Partition, to int64, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.ReaderReset(reader, to, event)
	}
	r := c.reader(p, reader)
	if r.from >= 0 {
		c.closeSum(p, r)
	}
	r.start(to)
	r.generation++
	r.event = event
}
