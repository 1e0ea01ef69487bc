package linearizability

import (
	"fmt"
	"maps"
	"slices"
)

// vanishedBatch is a batch that a reader was given and that has been cut off since.
type vanishedBatch struct {
	partition int32
	base      int64
	records   int64 // of it, delivered
	placed    uint64
	cut       uint64
}

// vanish notes what was delivered of a run that is being cut off. Of what has left
// the hot window nobody knows which batch it was: there cutCold leaves it
// unverified. Beyond cutMax it counts even if it comes back.
func (c *Checker) vanish(p *partitionState, r *run, event uint64) {
	records := p.delivered.covered(r.base, r.end())
	if records == 0 || r.dup {
		return
	}
	if len(c.vanished) >= cutMax {
		c.vanishedFor(p, vanishedBatch{p.index, r.base, records, r.event, event})
		return
	}
	if c.vanished == nil {
		c.vanished = map[BatchID]vanishedBatch{}
	}
	c.vanished[r.id] = vanishedBatch{p.index, r.base, records, r.event, event}
}

// vanishedFor counts a batch as gone for good, in its partition's finding.
func (c *Checker) vanishedFor(p *partitionState, v vanishedBatch) {
	c.report.Vanished += v.records
	for i := range c.report.Phantoms.List {
		if f := &c.report.Phantoms.List[i]; f.Partition == p.name {
			f.Records += v.records
			if v.base < f.Offset {
				f.Offset, f.First.Offset, f.First.Event, f.Second.Offset, f.Second.Event = v.base, v.base, v.placed, v.base, v.cut
			}
			return
		}
	}
	c.report.Phantoms.add(Finding{Kind: PhantomRead, Partition: p.name, Offset: v.base, Records: v.records,
		First: Witness{v.placed, 0, v.base, "what was there"}, Second: Witness{v.cut, 0, v.base, "it was cut off"}})
}

// finishVanished counts what has not come back, there or elsewhere in the log: a
// reader has been given records that are no more.
func (c *Checker) finishVanished() {
	for _, p := range c.partitions {
		for i := range p.hot.count {
			delete(c.vanished, p.hot.at(i).id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.vanished)) {
		c.vanishedFor(c.partitions[c.vanished[id].partition], c.vanished[id])
	}
	for i := range c.report.Phantoms.List {
		f := &c.report.Phantoms.List[i]
		f.First.Action = fmt.Sprintf("%d records from %d on were there and were delivered", f.Records, f.Offset)
	}
}
