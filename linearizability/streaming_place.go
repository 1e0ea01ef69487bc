package linearizability

import (
	"fmt"
	"sort"
)

// place puts a run into slots that must be free (C1). duplicate runs take no part
// in the producer's order. It reports whether the slots were free.
func (c *Checker) place(p *partitionState, r run, duplicate bool) bool {
	r.dup = duplicate
	delete(c.vanished, r.id)
	if p.keys != nil {
		c.placeKeys(p, &r)
	}
	if len(p.openWatermark) > 0 {
		c.checkSplit(p, &r)
	}
	h := &p.hot
	if h.count > 0 {
		if last := h.at(h.count - 1); r.base >= last.end() {
			c.push(p, h.count, r)
			return true
		}
	} else if r.base >= p.coldEnd {
		c.push(p, 0, r)
		return true
	}
	if r.base < p.coldEnd {
		return c.placeCold(p, r)
	}
	before := h.find(r.base)
	if before >= 0 && h.at(before).end() > r.base {
		c.conflict(p, h.at(before), r.id, r.base, r.event)
		return false
	}
	if before+1 < h.count && h.at(before+1).base < r.end() {
		c.conflict(p, h.at(before+1), r.id, h.at(before+1).base, r.event)
		return false
	}
	c.push(p, before+1, r)
	return true
}

// push inserts at index i of the hot window, making room first.
func (c *Checker) push(p *partitionState, i int, r run) {
	if p.hot.full() {
		if i == 0 {
			c.chill(p, r)
			return
		}
		c.chill(p, p.hot.pop())
		p.popped++
		i--
	}
	p.hot.insert(i, r)
}

// placeCold fills a hole below the hot window.
func (c *Checker) placeCold(p *partitionState, r run) bool {
	if r.base < p.forgotten {
		return true
	}
	if p.holes.covered(r.base, r.end()) != int64(r.count) {
		if r.dup && !c.config.Asserted.NoDuplicates {
			// Perhaps this very duplicate was seen here while it was hot.
			c.report.Unverified += int64(r.count)
			return true
		}
		c.conflict(p, &run{base: r.base, count: r.count}, r.id, r.base, r.event)
		return false
	}
	p.holes.remove(r.base, r.end())
	c.addCold(p, &r)
	return true
}

// chill moves the lowest run into the digests. Runs arrive in offset order, so
// this is where the order of each producer is checked, once per batch.
func (c *Checker) chill(p *partitionState, r run) {
	c.checkOrder(&r, p, c.order(2*p.index+1, r.id.Producer()), 0)
	if r.base > p.coldEnd {
		p.holes.add(p.coldEnd, r.base)
		if p.holes.overflow {
			c.report.inconclusive("more holes below the hot window than can be remembered")
		}
		c.openBlocks(p, p.coldEnd, r.base)
	}
	c.openBlocks(p, r.base, r.end())
	p.coldEnd = r.end()
	c.addCold(p, &r)
}

// openBlocks makes sure that blocks start at every boundary in [from, to).
func (c *Checker) openBlocks(p *partitionState, from, to int64) {
	if len(p.blocks) == 0 {
		p.blocks = append(p.blocks, block{start: from})
	}
	for {
		next := (p.blocks[len(p.blocks)-1].start/blockOffsets + 1) * blockOffsets
		if len(p.marks) > 0 && p.marks[0] < next {
			next = p.marks[0]
		}
		if next >= to {
			return
		}
		if len(p.marks) > 0 && p.marks[0] == next {
			p.marks = p.marks[1:]
		}
		if next > p.blocks[len(p.blocks)-1].start {
			p.blocks = append(p.blocks, block{start: next})
		}
	}
}

// addCold adds the slots of a run to the digests of the blocks that hold them.
func (c *Checker) addCold(p *partitionState, r *run) {
	i := len(p.blocks) - 1
	if p.blocks[i].start > r.base {
		i = sort.Search(len(p.blocks), func(i int) bool { return p.blocks[i].start > r.base }) - 1
	}
	if i < 0 {
		return // below the log start
	}
	zero := r.base - int64(r.first)
	for at := r.base; at < r.end(); i++ {
		end := r.end()
		if i+1 < len(p.blocks) {
			end = min(end, p.blocks[i+1].start)
		}
		p.blocks[i].sum.add(r.id, zero, int32(at-zero), int32(end-at))
		if r.acked {
			p.blocks[i].acked += int32(end - at)
		}
		at = end
	}
}

// checkOrder compares a run with the one before it of the same producer.
func (c *Checker) checkOrder(r *run, p *partitionState, o *orderState, generation uint32) {
	if r.dup || r.first != 0 {
		return
	}
	if o.generation != generation {
		*o = orderState{generation: generation}
	}
	if r.id < o.id {
		if _, late := c.late[r.id]; late {
			return
		}
		c.report.Reordered += int64(r.count)
		c.found(Finding{Kind: Reorder, Partition: p.name, Offset: r.base, Records: int64(r.count),
			First:  Witness{o.event, o.id, o.base, fmt.Sprintf("is at %d", o.base)},
			Second: Witness{r.event, r.id, r.base, fmt.Sprintf("was sent before it and is at %d", r.base)}})
		return
	}
	o.id, o.base, o.event = r.id, r.base, r.event
}

// markAcked notes that the batch placed at base is acknowledged.
func (c *Checker) markAcked(p *partitionState, base int64) {
	if at := p.hot.find(base); at >= 0 && p.hot.at(at).base == base {
		p.hot.at(at).acked = true
	}
	// In a cold block the acknowledged count stays low: it only bounds what a
	// missing drain could have lost, and the drain itself is compared by digest.
}

// conflict is C1: one slot, two batches.
func (c *Checker) conflict(p *partitionState, there *run, id BatchID, offset int64, event uint64) {
	first := Witness{there.event, there.id, offset, fmt.Sprintf("was placed at %d to %d", there.base, there.end()-1)}
	if there.id == 0 {
		first.Action = fmt.Sprintf("offset %d was written before, below the hot window", offset)
	}
	c.found(Finding{Kind: InconsistentOffset, Partition: p.name, Offset: offset,
		First: first, Second: Witness{event, id, offset, fmt.Sprintf("was at %d", offset)}})
}

// duplicated is C1: one batch, two places.
func (c *Checker) duplicated(p *partitionState, id BatchID, offset int64, count int32, event uint64, action string, first Witness) {
	c.report.Duplicated += int64(count)
	c.found(Finding{Kind: DuplicateBatch, Partition: p.name, Offset: offset, Records: int64(count),
		First: first, Second: Witness{event, id, offset, action}})
}

// holds reports whether the hot window has the batch with record 0 at base.
func (p *partitionState) holds(id BatchID, base int64) bool {
	at := p.hot.find(base)
	return at >= 0 && p.hot.at(at).id == id && p.hot.at(at).base-int64(p.hot.at(at).first) == base
}

// scan looks for a batch in the hot window; only findings and duplicates need it.
func (p *partitionState) scan(id BatchID) (Witness, int32, bool) {
	for i := range p.hot.count {
		if r := p.hot.at(i); r.id == id {
			return Witness{r.event, id, r.base, fmt.Sprintf("was placed at %d", r.base)}, r.count, true
		}
	}
	return Witness{}, 0, false
}

// checkSplit is C2: no high watermark inside a batch.
func (c *Checker) checkSplit(p *partitionState, r *run) {
	kept := p.openWatermark[:0]
	for _, open := range p.openWatermark {
		if r.base < open.from && open.from < r.end() && !r.dup {
			c.split(p, r, open.from, uint64(open.to))
			continue
		}
		// A batch that begins or ends at the watermark decides it: no other one can
		// lie across, since a slot holds one batch.
		if r.dup || open.from != r.base && open.from != r.end() {
			kept = append(kept, open)
		}
	}
	p.openWatermark = kept
}

func (c *Checker) split(p *partitionState, r *run, watermark int64, event uint64) {
	c.found(Finding{Kind: SplitByHighWatermark, Partition: p.name, Offset: watermark, Records: int64(r.count),
		First:  Witness{r.event, r.id, r.base, fmt.Sprintf("is at %d to %d", r.base, r.end()-1)},
		Second: Witness{event, 0, watermark, fmt.Sprintf("the high watermark was %d", watermark)}})
}
