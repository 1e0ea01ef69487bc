package linearizability

import "fmt"

// Drained says that, after the last fault healed, a reader was reset to the log
// start and has read to end, which a strict read returned. Every partition that
// was written to needs one before Finish.
func (c *Checker) Drained(reader int32, name Partition, end int64, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.Drained(reader, end, event)
	}
	r := c.reader(p, reader)
	p.drained, p.drainEnd, p.drainEvent = true, end, event
	c.report.Compacted += r.passed
	if r.from < 0 && end == p.logStart {
		return // an empty log
	}
	if r.from < 0 || r.from > p.logStart {
		c.report.inconclusive(fmt.Sprintf("the drain of %s did not start at the log start", p.name))
	}
	if r.from >= 0 {
		c.closeSum(p, r)
		r.coldInSum = 0
	}
	if position := max(r.position, p.logStart); position != end {
		c.found(Finding{Kind: SkippedRecords, Partition: p.name, Offset: position, Records: max(1, end-position),
			First:  Witness{event, 0, end, fmt.Sprintf("the log ended at %d", end)},
			Second: Witness{r.event, 0, position, fmt.Sprintf("the drain ended at %d", position)}})
	}
}

// Finish closes the books: producer order in the hot window, holes, lost
// acknowledgements. Call it once; the checker is spent.
func (c *Checker) Finish() *Report {
	if c.finished {
		panic("finish called twice")
	}
	c.finished = true
	for i := range c.readers {
		r := &c.readers[i]
		if r.from >= 0 {
			c.closeSum(c.partitions[r.partition], r)
		}
	}
	for _, p := range c.partitions {
		for i := range p.hot.count {
			r := p.hot.at(i)
			c.checkOrder(r, p, c.order(2*p.index+1, r.id.Producer()), 0)
		}
		if !p.invoked {
			continue
		}
		if p.drained || !c.mayFill(p) {
			c.finishHoles(p)
		}
		if !p.drained {
			c.report.inconclusive(fmt.Sprintf("%s was not drained", p.name))
			continue
		}
		if p.keys != nil {
			c.finishKeys(p)
		}
		c.finishLost(p)
	}
	c.finishPending()
	c.finishVanished()
	for _, p := range c.partitions {
		if p.invoked {
			c.report.Partitions = append(c.report.Partitions, PartitionLoss{Name: p.name, Lost: p.lost, Drained: p.drained})
		}
	}
	c.report.conclude()
	return &c.report
}

// mayFill tells whether a batch of which nobody knows the place yet may stand where
// nothing has been seen: in a history that ends early, before its answer or its
// reading.
func (c *Checker) mayFill(p *partitionState) bool {
	for i := range c.pending {
		b := &c.pending[i]
		if b.partition == p.index && c.pendingIndex.get(uint64(b.id)) == int32(i) && b.base < 0 && !b.failed {
			return true
		}
	}
	return false
}

// finishPending decides what was acknowledged and never seen.
func (c *Checker) finishPending() {
	for i := range c.pending {
		b := &c.pending[i]
		if c.pendingIndex.get(uint64(b.id)) == int32(i) && b.acked && b.base < 0 && !b.failed && c.partitions[b.partition].drained {
			p := c.partitions[b.partition]
			if b.expired || b.acksAll && p.expiredGap >= int64(b.count) {
				c.report.Expired += int64(b.count) // retention may have taken it unseen
				continue
			}
			// Unseen; or the later record of its key, for which it went, is lost.
			if p.keys != nil && !c.config.Asserted.NewestKept || c.shadowed(p, b) {
				c.report.Compacted += int64(b.count)
				continue
			}
			c.lost(p, b, p.drainEvent)
		}
	}
}

// finishHoles is C2: every slot from the log start to the highest watermark.
func (c *Checker) finishHoles(p *partitionState) {
	unseen := c.compactedUnseen(p)
	hole := func(from, to int64) {
		p.expiredGap = max(p.expiredGap, min(to, p.logStart)-from)
		from, to = max(from, p.logStart), min(to, p.watermarkMax)
		if from < to && p.keys != nil && !c.config.Asserted.NoDuplicates {
			return // a second copy, whose keys the one that is known has written again
		}
		if from < to && to-from <= unseen {
			unseen -= to - from
			return
		}
		if from < to && p.keys != nil && c.config.Asserted.NoLostAcks && c.mayFill(p) {
			c.report.Unverified += to - from // compacted before anybody saw it, perhaps
			return
		}
		if from < to {
			c.found(Finding{Kind: HoleBelowHighWatermark, Partition: p.name, Offset: from, Records: to - from,
				First:  Witness{p.watermarkAt, 0, p.watermarkMax, fmt.Sprintf("the high watermark was %d", p.watermarkMax)},
				Second: Witness{0, 0, from, fmt.Sprintf("nobody wrote %d to %d", from, to-1)}})
		}
	}
	for _, h := range p.holes.list {
		hole(h.from, h.to)
	}
	end := p.coldEnd
	for i := range p.hot.count {
		r := p.hot.at(i)
		hole(end, r.base)
		end = r.end()
	}
	hole(end, max(end, p.watermarkMax, p.logStart))
}

// finishLost counts acknowledged slots that the drain did not deliver.
func (c *Checker) finishLost(p *partitionState) {
	var lost, first int64 = 0, -1
	note := func(offset, count int64) {
		if count > 0 && first < 0 {
			first = offset
		}
		lost += count
	}
	blocks, hot := p.blocks, p.hot.count
	if p.keys != nil {
		blocks, hot = nil, 0 // what is not delivered has been judged by its key
	}
	for i := range blocks {
		b := &p.blocks[i]
		end := p.coldEnd
		if i+1 < len(p.blocks) {
			end = p.blocks[i+1].start
		}
		from := max(b.start, p.logStart)
		if from >= end || b.acked == 0 {
			continue
		}
		missing := end - from - p.delivered.covered(from, end)
		if missing > 0 && missing < end-b.start && int64(b.acked) < end-b.start {
			c.report.Unverified += missing // some of these were acknowledged, unknown which
			continue
		}
		note(from, min(missing, int64(b.acked)))
	}
	for i := range hot {
		r := p.hot.at(i)
		from := max(r.base, p.logStart)
		if !r.acked || from >= r.end() {
			continue
		}
		within := min(max(from, p.drainEnd), r.end())
		note(from, within-from-p.delivered.covered(from, within)+r.end()-within)
	}
	if lost == 0 && p.floor <= p.drainEnd {
		return
	}
	c.report.Lost += lost
	p.lost += lost
	if !c.config.Asserted.NoLostAcks {
		c.report.PermittedLost += lost
	}
	if first < 0 {
		first = p.drainEnd
	}
	c.found(Finding{Kind: LostAck, Partition: p.name, Offset: first, Records: lost,
		First: Witness{p.floorEvent, 0, p.floor, fmt.Sprintf("everything below %d had returned", p.floor)},
		Second: Witness{p.drainEvent, 0, p.drainEnd,
			fmt.Sprintf("the log ended at %d and %d acknowledged records from %d on were not in it", p.drainEnd, lost, first)}})
}
