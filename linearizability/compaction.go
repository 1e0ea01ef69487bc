package linearizability

import (
	"fmt"
	"slices"
)

// Compaction is what the configuration lets the cleaners of a topic's replicas do.
// All times of it are virtual, in milliseconds.
type Compaction struct {
	MinLagMillis          int64 // min.compaction.lag.ms
	DeleteRetentionMillis int64 // delete.retention.ms
	// PassMillis bounds one pass of a cleaner over a log: a tombstone's time counts
	// from the pass's beginning, and older values of its key go while it lasts.
	PassMillis int64
}

// roundingMillis is by how much a record's timestamp and the instant at which it
// was due may differ, both being cut to milliseconds on the way.
const roundingMillis = 2

// Keyed is what compaction looks at of a record.
type Keyed struct {
	Key       int64
	DueMillis int64 // no later than its timestamp
	Tombstone bool
}

// Seen says when, and by whom, a reader was given what it reads.
type Seen struct {
	AskedMillis   int64 // when its request was sent: what it got was there then or later
	FetchedMillis int64 // when the answer came: what is missing had gone before
	// Replica tells broker and leader epoch apart: each replica compacts on its own.
	Replica int64
}

// Compacted says that a partition is compacted: offsets may be missing where the
// rules allow it, and nowhere else. Call it before anything else of the partition.
//
// The checker then remembers the newest record of each key, the one before it as
// long as min.compaction.lag.ms protects it, and when each reader was last given
// each key. That is bounded by the number of keys times one more than the number of
// readers, about 100 bytes each, whatever the number of records. Records that are
// not their key's newest any more are known exactly while they are in the hot
// window; below it they are held to their producer's order and to their place in
// their batch. Blocks are not compared by digest: readers see different parts.
func (c *Checker) Compacted(name Partition, rules Compaction) {
	p := c.partition(name)
	p.keys = newKeyState(rules)
	if c.keyed == nil {
		c.keyed = map[BatchID]keyedBatch{}
	}
}

// SentKeys gives the records of a batch that has just been invoked in a compacted
// partition. They are copied, and kept until the batch has its place or is gone.
func (c *Checker) SentKeys(id BatchID, records []Keyed) {
	c.keyed[id] = keyedBatch{append([]Keyed(nil), records...), c.tick}
}

// ReadCompacted is ReadBatch for a compacted partition: keys are those of the
// records, in their order.
func (c *Checker) ReadCompacted(reader int32, name Partition, baseOffset int64, id BatchID, firstIndex int32, keys []Keyed, seen Seen, event uint64) {
	p := c.partition(name)
	c.seen = seen
	c.ReadBatch(reader, name, baseOffset, int32(len(keys)), id, firstIndex, event)
	r := c.reader(p, reader)
	for i := range keys {
		c.readKey(p, r, placed{offset: baseOffset + int64(i), id: id, index: firstIndex + int32(i), Keyed: keys[i], event: event})
	}
}

// PassedOver says that a reader of a compacted partition has come to an offset and
// that there was no record before it.
func (c *Checker) PassedOver(reader int32, name Partition, to int64, seen Seen, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.PassedOver(reader, to)
	}
	r := c.reader(p, reader)
	c.seen = seen
	if r.from >= 0 && to > r.position {
		c.passOver(p, r, to, event)
	}
}

// passOver moves a reader over offsets at which it was given nothing, which it may
// have missed nothing by.
func (c *Checker) passOver(p *partitionState, r *readerState, to int64, event uint64) {
	from := max(r.position, min(p.logStart, to))
	c.report.Expired += from - r.position
	r.passed += to - from
	r.position, r.event = to, event
	k := p.keys
	if young := k.young.from(c.seen.FetchedMillis - k.rules.MinLagMillis + roundingMillis); k.rules.MinLagMillis > 0 && to > young {
		c.found(Finding{Kind: CompactedTooYoung, Partition: p.name, Offset: max(from, young), Records: to - max(from, young),
			First:  Witness{0, 0, young, fmt.Sprintf("the record at %d was younger than min.compaction.lag.ms=%d", young, k.rules.MinLagMillis)},
			Second: Witness{event, 0, to, fmt.Sprintf("reader c%d found nothing between %d and %d", r.reader, from, to)}})
	}
	for i := k.at(from); i < len(k.order) && k.order[i].offset < to; i++ {
		at := k.order[i]
		n, known := k.newest[at.key]
		switch {
		case !known:
		case n.offset == at.offset:
			c.missed(p, r, at.key, n, event)
		case n.before == at.offset && c.seen.FetchedMillis+roundingMillis < n.beforeUntil:
			aged := c.seen.FetchedMillis + roundingMillis - k.rules.MinLagMillis
			c.suspect(p, suspicion{key: at.key, tick: c.tick, dueMillis: aged, finding: Finding{Kind: CompactedTooYoung, Partition: p.name, Offset: at.offset,
				First:  Witness{n.event, n.id, n.offset, fmt.Sprintf("was at %d, and all later records of key %d were younger than min.compaction.lag.ms=%d", n.offset, at.key, k.rules.MinLagMillis)},
				Second: Witness{event, 0, at.offset, fmt.Sprintf("reader c%d did not find the one at %d", r.reader, at.offset)}}})
		}
	}
}

// missed notes that a reader did not find the newest record of a key that is known
// by now. A record that has not been seen yet may explain it, so that it is judged
// when the next one of the key has its place, or at the end.
func (c *Checker) missed(p *partitionState, r *readerState, key int64, n newestRecord, event uint64) {
	if n.missed != 0 {
		return
	}
	k := p.keys
	n.missed = NewestRemoved
	if n.Tombstone {
		n.missed = TombstoneRemoved
		if c.seen.FetchedMillis+roundingMillis >= k.tombstoneUntil(n.DueMillis) {
			v, read := k.values[readerKey{r.reader, key}]
			within := c.seen.FetchedMillis-v.asked < k.rules.DeleteRetentionMillis-k.rules.PassMillis
			if !read || v.generation != r.generation || v.replica != c.seen.Replica || v.offset > n.offset || !within {
				return // its time is over
			}
			n.missed, n.valueAt = Resurrected, v.offset
		}
	}
	n.missedBy, n.missedEvent, n.missedTick = r.reader, event, c.tick
	k.newest[key] = n
}

// suspicion is a record that was missed, and that nothing explains so far. An answer
// that is late may yet tell of a later record of the key.
type suspicion struct {
	finding   Finding
	key       int64
	tick      uint64 // what explains it was sent before,
	dueMillis int64  // and due no later
}

// suspicionsMax bounds what waits for an explanation; more is found at once.
const suspicionsMax = 256

func (c *Checker) suspect(p *partitionState, s suspicion) {
	if len(p.keys.suspicions) >= suspicionsMax {
		c.convict(p, &s)
		return
	}
	p.keys.suspicions = append(p.keys.suspicions, s)
}

// clear drops the suspicions that a record explains.
func (k *keyState) clear(at *placed) {
	k.suspicions = slices.DeleteFunc(k.suspicions, func(s suspicion) bool {
		return s.key == at.Key && at.offset > s.finding.Offset && at.tick < s.tick && at.DueMillis <= s.dueMillis
	})
}

// convict turns a suspicion into a finding.
func (c *Checker) convict(p *partitionState, s *suspicion) {
	if s.finding.Offset < p.logStart {
		return // retention has taken it
	}
	if c.mayBeLater(p, s) {
		return
	}
	if s.finding.Kind == NewestRemoved && c.config.Asserted.NewestKept {
		c.report.Lost++ // where loss is permitted, it is counted where it is announced
		p.lost++
	}
	c.found(s.finding)
}

// mayBeLater tells whether a batch that nobody has ever seen explains a suspicion: one
// that its leader alone acknowledged, or nobody, may have stood behind the missed
// record and have been compacted away itself before anybody came that far.
func (c *Checker) mayBeLater(p *partitionState, s *suspicion) bool {
	for i := range c.pending {
		b := &c.pending[i]
		if b.partition != p.index || c.pendingIndex.get(uint64(b.id)) != int32(i) || b.base >= 0 || b.failed || b.tick >= s.tick {
			continue
		}
		for at, r := range c.keyed[b.id].records {
			if r.Key == s.key && r.DueMillis <= s.dueMillis && (b.told < 0 || b.told+int64(at) > s.finding.Offset) {
				return true
			}
		}
	}
	return false
}

// explain judges a record that was missed, if it was: one that was sent later
// cannot have been why, unless a second copy of some batch may have come between.
func (c *Checker) explain(p *partitionState, n *newestRecord, laterTick uint64) {
	if n.missed == 0 || laterTick < n.missedTick || laterTick != maxTick && !c.config.Asserted.NoDuplicates {
		return
	}
	second := fmt.Sprintf("reader c%d passed over it", n.missedBy)
	if n.missed == Resurrected {
		second += fmt.Sprintf(" within delete.retention.ms=%d of having read a value at %d from the same replica", p.keys.rules.DeleteRetentionMillis, n.valueAt)
	}
	what := "record"
	if n.Tombstone {
		what = "tombstone"
	}
	c.suspect(p, suspicion{key: n.Key, tick: n.missedTick, dueMillis: maxOffset, finding: Finding{Kind: n.missed, Partition: p.name, Offset: n.offset,
		First:  Witness{n.event, n.id, n.offset, fmt.Sprintf("is the newest %s of key %d, at %d", what, n.Key, n.offset)},
		Second: Witness{n.missedEvent, 0, n.offset, second}}})
	n.missed = 0
}

// placeKeys takes in the keys of a batch that has got its place.
func (c *Checker) placeKeys(p *partitionState, r *run) {
	sent, known := c.keyed[r.id]
	if !known || r.first != 0 || int(r.count) != len(sent.records) {
		return
	}
	delete(c.keyed, r.id)
	for i := range sent.records {
		c.placeKey(p, placed{offset: r.base + int64(i), id: r.id, index: int32(i), Keyed: sent.records[i], event: r.event, tick: sent.tick})
	}
}

// placeKey makes a record its key's newest, if it is.
func (c *Checker) placeKey(p *partitionState, at placed) {
	k := p.keys
	k.young.add(at.DueMillis, at.offset)
	if len(k.suspicions) > 0 {
		k.clear(&at)
	}
	n, known := k.newest[at.Key]
	if known && n.offset >= at.offset {
		if n.before >= 0 && at.offset > n.before && at.offset < n.offset && at.DueMillis+k.rules.MinLagMillis < n.beforeUntil {
			n.beforeUntil = at.DueMillis + k.rules.MinLagMillis // its place was told late
			k.newest[at.Key] = n
		}
		return
	}
	next := newestRecord{placed: at, before: -1}
	if known {
		c.explain(p, &n, at.tick)
		next.before, next.beforeUntil = n.offset, at.DueMillis+k.rules.MinLagMillis
		if n.before >= 0 && n.beforeUntil > at.DueMillis {
			// The first later record of that one is still young: it stays, and what
			// came between is forgotten.
			next.before, next.beforeUntil = n.before, n.beforeUntil
		} else if n.Tombstone {
			next.beforeUntil = min(next.beforeUntil, k.tombstoneUntil(n.DueMillis))
		}
	}
	k.newest[at.Key] = next
	k.insert(at.offset, at.Key)
}

// readKey holds a record that was read to what is known of its key.
func (c *Checker) readKey(p *partitionState, r *readerState, at placed) {
	k := p.keys
	n, known := k.newest[at.Key]
	switch {
	case known && n.offset != at.offset && n.id == at.id && n.index == at.index && c.config.Asserted.NoDuplicates:
		c.foundOther(p, &n, at)
	case !known || n.offset < at.offset:
		// A second attempt, or what had been cut off. Where neither may be, it does not
		// explain what is missing before it.
		if at.tick = maxTick; !c.config.Asserted.NoDuplicates || !c.config.Asserted.NoLostAcks {
			at.tick = 0
		}
		c.placeKey(p, at)
	case n.offset == at.offset && (n.id != at.id || n.index != at.index || n.Tombstone != at.Tombstone):
		c.foundOther(p, &n, at)
	case n.offset > at.offset:
		if i := k.at(at.offset); i < len(k.order) && k.order[i].offset == at.offset && k.order[i].key != at.Key {
			if other, known := k.newest[k.order[i].key]; known && other.offset == at.offset {
				c.foundOther(p, &other, at)
			}
		}
	}
	if at.Tombstone {
		delete(k.values, readerKey{r.reader, at.Key})
		return
	}
	k.values[readerKey{r.reader, at.Key}] = valueRead{offset: at.offset, asked: c.seen.AskedMillis, replica: c.seen.Replica, generation: r.generation}
}

func (c *Checker) foundOther(p *partitionState, n *newestRecord, at placed) {
	c.found(Finding{Kind: InconsistentOffset, Partition: p.name, Offset: at.offset,
		First:  Witness{n.event, n.id, n.offset, fmt.Sprintf("was placed at %d with key %d in record %d", n.offset, n.Key, n.index)},
		Second: Witness{at.event, at.id, at.offset, fmt.Sprintf("was at %d with key %d in record %d", at.offset, at.Key, at.index)}})
}

// shadowed tells whether compaction explains that an acknowledged batch was never
// seen: each of its records has a later one, or is a tombstone whose time is over.
func (c *Checker) shadowed(p *partitionState, b *pendingBatch) bool {
	sent, known := c.keyed[b.id]
	if !known || p.keys == nil {
		return false
	}
	records := sent.records
	for i := range records {
		n, later := p.keys.newest[records[i].Key]
		if b.told >= 0 {
			later = later && n.offset > b.told+int64(i)
		} else {
			later = later && n.tick > b.tick
		}
		over := records[i].Tombstone && c.seen.FetchedMillis+roundingMillis >= p.keys.tombstoneUntil(records[i].DueMillis)
		if !later && !over {
			return false
		}
	}
	return true
}

// compactedUnseen counts the records of batches whose place nobody knows, and of which
// compaction need not have left anything: they may have stood where nothing is.
func (c *Checker) compactedUnseen(p *partitionState) (records int64) {
	for i := range c.pending {
		b := &c.pending[i]
		if b.partition == p.index && c.pendingIndex.get(uint64(b.id)) == int32(i) && b.base < 0 && !b.failed && c.shadowed(p, b) {
			records += int64(b.count)
		}
	}
	return records
}

// finishKeys judges what was missed and never explained.
func (c *Checker) finishKeys(p *partitionState) {
	for i := range p.keys.order {
		at := p.keys.order[i]
		if n, known := p.keys.newest[at.key]; known && n.offset == at.offset {
			c.explain(p, &n, maxTick)
		}
	}
	for i := range p.keys.suspicions {
		c.convict(p, &p.keys.suspicions[i])
	}
}
