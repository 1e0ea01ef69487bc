package linearizability

import (
	"fmt"
	"math/bits"
)

// Config bounds the streaming checker and says what it may assert.
type Config struct {
	Asserted Asserted
	// HotRuns is the number of batches per partition that are known exactly;
	// rounded up to a power of two, default 8,192 (40 bytes each, grown as needed).
	// A reader that lags further is checked by digests of blocks.
	HotRuns int
	// PendingMax bounds batches in flight, unknown or acknowledged without being
	// placed, over all partitions; default 1,048,576. Beyond it: Inconclusive.
	PendingMax int
}

const (
	hotRunsDefault    = 8192
	pendingMaxDefault = 1 << 20
)

// Checker is the streaming checker. Call it in the order in which things happen:
// that order is its clock. One goroutine. It keeps the floor, the pending batches,
// the hot window, the digests and the readers of each partition, and nothing that
// grows with the number of records (16 bytes and two counters per 65,536 of them).
type Checker struct {
	config Config
	report Report
	tick   uint64 // calls so far, the real-time order

	partitionIndex table
	partitions     []*partitionState
	pendingIndex   table
	late           map[BatchID]struct{} // given up, see Unknown
	pending        []pendingBatch
	pendingFree    []int32
	readerIndex    table
	readers        []readerState
	orderIndex     table
	orders         []orderState
	cut            map[BatchID]cutBatch // acknowledged, and lost by an announced truncation
	vanished       map[BatchID]vanishedBatch
	keyed          map[BatchID]keyedBatch // of pending batches in compacted partitions
	seen           Seen                   // of the present read of a compacted partition
	finished       bool
}

// pendingBatch lives from invocation until it is both placed and returned.
type pendingBatch struct {
	id        BatchID
	floor     int64 // of its partition when it was invoked
	base      int64 // where it was placed, or -1
	told      int64 // with acks below all: where the answer said, -1 once that is cut off
	laterMin  int64 // once acked without a place: the lowest position of later operations
	invoked   uint64
	answered  uint64 // event of its outcome
	tick      uint64 // of its invocation
	ackTick   uint64
	count     int32
	partition int32
	acksAll   bool
	acked     bool
	returned  bool
	failed    bool
	expired   bool // retention deleted the place that the answer told
	listed    bool // in the partition's ackedUnplaced
}

// readerState is one reader on one partition.
type readerState struct {
	partition      int32
	reader         int32
	generation     uint32 // rises when the position is set, so that old order marks die
	leaderEpoch    int32
	from           int64 // start of its contiguous stretch, -1 before the first read
	position       int64
	former         int64 // its position before truncations that it may not know of yet, -1
	watermark      int64 // last told by a leader, in leaderEpoch; -1 before
	watermarkMax   int64 // highest told, -1 before
	strictFloor    int64 // floor at InvokeRead, -1 when none is outstanding
	strictTick     uint64
	event          uint64
	hint           int64 // absolute number of the run read last
	sumFrom        int64 // the digest below covers [sumFrom, position)
	sum            digest
	blockEnd       int64
	coldInSum      int64  // slots of it that were cold when read
	passed         int64  // offsets of the stretch at which compaction has left nothing
	watermarkedAt  uint64 // when watermark was told
	watermarkMaxAt uint64
}

// orderState is the last batch of one producer seen by one observer in offset order.
type orderState struct {
	id         BatchID
	base       int64
	event      uint64
	generation uint32
}

// partitionState is what is known of one log.
type partitionState struct {
	name          Partition
	index         int32
	floor         int64 // largest end over operations that have returned
	floorEvent    uint64
	watermarkMax  int64
	watermarkAt   uint64
	logStart      int64
	hot           hotWindow
	popped        int64 // runs that have left the hot window
	coldEnd       int64 // every slot below is cold or a hole
	blocks        []block
	marks         []int64
	holes         intervals // cold slots never seen
	forgotten     int64     // below it holes are no longer known
	delivered     intervals
	openWatermark []interval // {hw, event}: told, with the slots around not yet written
	ackedUnplaced []int32
	invoked       bool
	sample        *Recorder // hears the same calls, or nil
	keys          *keyState // of a compacted partition, else nil
	expiredGap    int64     // at the end: longest stretch below the log start that nobody saw
	lost          int64     // acknowledged records, so far
	drained       bool
	drainEnd      int64
	drainEvent    uint64
}

// NewChecker starts with empty logs.
func NewChecker(config Config) *Checker {
	if config.HotRuns <= 0 {
		config.HotRuns = hotRunsDefault
	}
	config.HotRuns = 1 << bits.Len(uint(max(config.HotRuns, hotRunsMin)-1))
	if config.PendingMax <= 0 {
		config.PendingMax = pendingMaxDefault
	}
	return &Checker{config: config}
}

// Sample starts a recorder that hears the same calls for one partition, so that
// the caller makes them once. Call it before the first call for the partition, or
// with config.Start at an offset that is committed and ends a batch.
func (c *Checker) Sample(name Partition, config WindowConfig) *Recorder {
	config.Asserted = c.config.Asserted
	p := c.partition(name)
	config.Compacted = p.keys != nil
	p.sample = NewRecorder(name, config)
	return p.sample
}

func (c *Checker) partition(name Partition) *partitionState {
	if i := c.partitionIndex.get(name.key()); i >= 0 {
		return c.partitions[i]
	}
	p := &partitionState{name: name, index: int32(len(c.partitions))}
	p.hot.max = c.config.HotRuns
	c.partitionIndex.put(name.key(), p.index)
	c.partitions = append(c.partitions, p)
	return p
}

func (c *Checker) reader(p *partitionState, reader int32) *readerState {
	key := uint64(p.index)<<32 | uint64(uint32(reader))
	if i := c.readerIndex.get(key); i >= 0 {
		return &c.readers[i]
	}
	c.readerIndex.put(key, int32(len(c.readers)))
	c.readers = append(c.readers, readerState{
		partition: p.index, reader: reader, leaderEpoch: -1, from: -1, former: -1,
		watermark: -1, watermarkMax: -1, strictFloor: -1,
	})
	return &c.readers[len(c.readers)-1]
}

// find adds a finding, as a violation or as permitted, by what is asserted.
func (c *Checker) found(f Finding) {
	if c.config.Asserted.permits(f.Kind) {
		c.report.Permitted.add(f)
		return
	}
	c.report.Findings.add(f)
}

func (a *Asserted) permits(kind Kind) bool {
	switch kind.Claim() {
	case ClaimNoLostAcks:
		return !a.NoLostAcks
	case ClaimNoBrokerDuplicates:
		return !a.NoDuplicates
	case ClaimNoReorder:
		return !a.NoReorder
	case ClaimHighWatermarkMonotonic:
		return !a.HighWatermarkMonotonic
	case ClaimNewestKept:
		return !a.NewestKept
	case ClaimCompactionLags:
		return !a.CompactionLags
	case ClaimNoResurrectedKeys:
		return !a.NoResurrectedKeys
	}
	return false
}

// Invoke says that a producer first sends a batch of count records (>= 1). Call it
// once per batch, not per attempt.
func (c *Checker) Invoke(name Partition, id BatchID, count int32, acksAll bool, event uint64) {
	c.tick++
	p := c.partition(name)
	p.invoked = true
	c.report.BatchesInvoked++
	if p.sample != nil {
		p.sample.Invoke(id, count, acksAll, event)
	}
	if count < 1 || c.pendingIndex.get(uint64(id)) >= 0 {
		panic(fmt.Sprintf("invoke of %s with %d records: empty or already in flight", id, count))
	}
	if c.pendingIndex.used >= c.config.PendingMax {
		c.report.inconclusive("more batches pending than pending_max")
		return
	}
	i := int32(len(c.pending))
	if free := len(c.pendingFree); free > 0 {
		i = c.pendingFree[free-1]
		c.pendingFree = c.pendingFree[:free-1]
	} else {
		c.pending = append(c.pending, pendingBatch{})
	}
	c.pending[i] = pendingBatch{
		id: id, floor: p.floor, base: -1, told: -1, invoked: event, tick: c.tick,
		count: count, partition: p.index, acksAll: acksAll,
	}
	c.pendingIndex.put(uint64(id), i)
	if !c.config.Asserted.NoDuplicates {
		c.noteSequence(id)
	}
}

// Acked says that a batch was acknowledged. base is the offset of its first
// record, or -1 when the answer carried none (acks=0, or a duplicate whose
// original offset is forgotten): then it must exist somewhere.
func (c *Checker) Acked(name Partition, id BatchID, base int64, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.Acked(id, base, event)
	}
	i := c.pendingIndex.get(uint64(id))
	if i < 0 {
		c.ackedSettled(p, id, base, event)
		return
	}
	b := &c.pending[i]
	if b.partition != p.index {
		c.found(phantom(p, id, base, event, "was acked in a partition that it was not sent to"))
		return
	}
	if b.failed {
		c.found(Finding{Kind: FailedAppendPresent, Partition: p.name, Offset: base, Records: int64(b.count),
			First:  Witness{b.answered, id, base, "failed for certain"},
			Second: Witness{event, id, base, fmt.Sprintf("was acked at %d", base)}})
		return
	}
	if !b.acked {
		c.report.Acked += int64(b.count)
	}
	b.acked, b.returned, b.answered, b.ackTick = true, true, event, c.tick
	switch {
	case b.acksAll && base >= 0:
		c.ackedAt(p, i, base, event)
	case b.base >= 0:
		c.markAcked(p, b.base)
		p.raise(b.base+int64(b.count), event)
		c.release(i)
	case b.acksAll && !b.listed:
		b.listed, b.laterMin = true, maxOffset
		p.ackedUnplaced = append(p.ackedUnplaced, i)
	case !b.acksAll:
		b.told = base
	}
}

// AckedInVain says that a batch was acknowledged by a leader that had a successor
// by then whose log does not hold the place: it is lost, as what Truncated cuts
// off is, unless it is seen there after all.
func (c *Checker) AckedInVain(name Partition, id BatchID, base int64, cause Cause, event uint64) {
	i := c.pendingIndex.get(uint64(id))
	if i < 0 || c.pending[i].base >= 0 {
		c.Acked(name, id, -1, event) // another attempt has been seen
		return
	}
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.Acked(id, base, event)
	}
	b := &c.pending[i]
	if !b.acked {
		c.report.Acked += int64(b.count)
	}
	b.acked, b.returned, b.answered, b.told = true, true, event, base
	c.cutOff(p, i, cause)
}

// cutOff counts an acknowledged batch as lost whose place nobody has seen.
func (c *Checker) cutOff(p *partitionState, i int32, cause Cause) {
	b := &c.pending[i]
	c.lost(p, b, b.answered)
	c.report.LossByCause[cause] += int64(b.count)
	c.remember(p, b.id, cutBatch{partition: p.index, count: b.count, base: b.told, cause: cause, lost: true})
	b.told = -1
	delete(c.keyed, b.id)
	c.release(i)
}

const maxOffset = int64(1)<<62 - 1

// ackedAt places an acks=all batch where its acknowledgement says.
func (c *Checker) ackedAt(p *partitionState, i int32, base int64, event uint64) {
	b := &c.pending[i]
	switch {
	case b.base == base:
		c.markAcked(p, base)
	case b.base >= 0 && p.holds(b.id, base):
		c.markAcked(p, base) // its second place was seen, and counted, before
	case b.base >= 0:
		c.duplicated(p, b.id, base, b.count, event, fmt.Sprintf("was acked at %d", base),
			Witness{b.invoked, b.id, b.base, fmt.Sprintf("was seen at %d", b.base)})
		c.place(p, run{base: base, id: b.id, event: event, count: b.count, acked: true}, true)
	default:
		c.checkFloor(p, b, base, event, "was acked at")
		b.base = base
		c.place(p, run{base: base, id: b.id, event: event, count: b.count, acked: true}, false)
	}
	p.raise(base+int64(b.count), event)
	c.release(i)
}

// ackedSettled handles an acknowledgement for a batch that is not pending.
func (c *Checker) ackedSettled(p *partitionState, id BatchID, base int64, event uint64) {
	if base < 0 {
		return // it was placed before, so it does exist
	}
	if p.holds(id, base) {
		c.markAcked(p, base)
		return
	}
	if first, count, ok := p.scan(id); ok {
		c.duplicated(p, id, base, count, event, fmt.Sprintf("was acked at %d", base), first)
		return
	}
	c.found(phantom(p, id, base, event, fmt.Sprintf("was acked at %d but is not in flight", base)))
}

// Failed says that a batch was certainly not appended, whatever its attempts.
func (c *Checker) Failed(name Partition, id BatchID, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.Failed(id, event)
	}
	i := c.pendingIndex.get(uint64(id))
	if i < 0 {
		return
	}
	delete(c.keyed, id)
	b := &c.pending[i]
	b.failed, b.returned, b.answered = true, true, event
	if b.base >= 0 {
		c.found(Finding{Kind: FailedAppendPresent, Partition: p.name, Offset: b.base, Records: int64(b.count),
			First:  Witness{b.invoked, id, b.base, fmt.Sprintf("was sent and was seen at %d", b.base)},
			Second: Witness{event, id, b.base, "failed for certain"}})
		c.release(i)
		return
	}
	if c.config.Asserted.NoDuplicates {
		c.release(i)
	}
	// Otherwise the id must be remembered: a batch that is not pending and turns
	// up again would pass for a permitted duplicate.
}

// Unknown says that the producer gave up without knowing the outcome. The batch
// stays pending until somebody sees it or Gone. It is late if its producer is not
// idempotent: its bytes may be on their way still, and nothing keeps a leader from
// appending them behind batches that were sent after them.
func (c *Checker) Unknown(name Partition, id BatchID, late bool, event uint64) {
	c.tick++
	if p := c.partition(name); p.sample != nil {
		p.sample.Unknown(id, late, event)
	}
	if late {
		c.noteLate(id)
	}
	if i := c.pendingIndex.get(uint64(id)); i >= 0 {
		b := &c.pending[i]
		b.returned, b.answered = true, event
		if b.base >= 0 {
			c.release(i)
		}
	}
}

// lateMax bounds the batches that may land behind later ones.
const lateMax = 1 << 20

func (c *Checker) noteLate(id BatchID) {
	if len(c.late) >= lateMax {
		c.report.inconclusive("more batches were given up than can be remembered")
		return
	}
	if c.late == nil {
		c.late = map[BatchID]struct{}{}
	}
	c.late[id] = struct{}{}
}

// Gone says that no copy of an unplaced batch is left anywhere, for a cause that
// was announced. Acknowledged ones count as lost.
func (c *Checker) Gone(name Partition, id BatchID, cause Cause, event uint64) {
	c.tick++
	p := c.partition(name)
	if p.sample != nil {
		p.sample.Gone(id, event)
	}
	i := c.pendingIndex.get(uint64(id))
	if i < 0 {
		return
	}
	b := &c.pending[i]
	if b.acked {
		c.lost(p, b, event)
		c.report.LossByCause[cause] += int64(b.count)
	}
	delete(c.keyed, id)
	c.release(i)
}

func (c *Checker) lost(p *partitionState, b *pendingBatch, event uint64) {
	c.report.Lost += int64(b.count)
	p.lost += int64(b.count)
	if !b.acksAll || !c.config.Asserted.NoLostAcks {
		c.report.PermittedLost += int64(b.count)
		return
	}
	c.found(Finding{Kind: LostAck, Partition: p.name, Offset: -1, Records: int64(b.count),
		First:  Witness{b.answered, b.id, -1, "was acked"},
		Second: Witness{event, b.id, -1, "is nowhere in the log"}})
}

// release forgets a pending batch.
func (c *Checker) release(i int32) {
	b := &c.pending[i]
	if b.listed {
		list := c.partitions[b.partition].ackedUnplaced
		for at, other := range list {
			if other == i {
				list[at] = list[len(list)-1]
				c.partitions[b.partition].ackedUnplaced = list[:len(list)-1]
				break
			}
		}
	}
	c.pendingIndex.remove(uint64(b.id))
	c.pendingFree = append(c.pendingFree, i)
}

func (p *partitionState) raise(end int64, event uint64) {
	if end > p.floor {
		p.floor, p.floorEvent = end, event
	}
}

// checkFloor is C3 for appends.
func (c *Checker) checkFloor(p *partitionState, b *pendingBatch, base int64, event uint64, action string) {
	if base < b.floor {
		c.found(Finding{Kind: StaleAppend, Partition: p.name, Offset: base, Records: int64(b.count),
			First:  Witness{b.invoked, b.id, base, fmt.Sprintf("was sent when everything below %d had returned", b.floor)},
			Second: Witness{event, b.id, base, fmt.Sprintf("%s %d", action, base)}})
	}
	if len(p.ackedUnplaced) > 0 {
		c.noteLater(p, base, b.tick)
	}
	if !b.listed {
		return
	}
	c.raiseLater(p, b, base+int64(b.count))
	if base+int64(b.count) > b.laterMin {
		c.found(Finding{Kind: StaleAppend, Partition: p.name, Offset: base, Records: int64(b.count),
			First:  Witness{b.answered, b.id, base, "was acked"},
			Second: Witness{event, b.id, base, fmt.Sprintf("%s %d, above the position %d of an operation that began after the ack", action, base, b.laterMin)}})
	}
}

// noteLater remembers, for each batch acknowledged without an offset, the lowest
// position of an operation invoked after that acknowledgement.
func (c *Checker) noteLater(p *partitionState, position int64, invokedTick uint64) {
	for _, i := range p.ackedUnplaced {
		if b := &c.pending[i]; invokedTick > b.ackTick {
			b.laterMin = min(b.laterMin, position)
		}
	}
}

// raiseLater gives operations still in flight the floor that they would have had,
// had the acknowledgement of b told its place.
func (c *Checker) raiseLater(p *partitionState, b *pendingBatch, end int64) {
	for i := range c.pending {
		if other := &c.pending[i]; other.partition == p.index && other.tick > b.ackTick {
			other.floor = max(other.floor, end)
		}
	}
	for i := range c.readers {
		if r := &c.readers[i]; r.partition == p.index && r.strictFloor >= 0 && r.strictTick > b.ackTick {
			r.strictFloor = max(r.strictFloor, end)
		}
	}
}

func phantom(p *partitionState, id BatchID, offset int64, event uint64, action string) Finding {
	return Finding{Kind: PhantomRecord, Partition: p.name, Offset: offset,
		First: Witness{event, id, offset, action}}
}

// noteSequence keeps the highest sequence sent by each producer; space 0.
func (c *Checker) noteSequence(id BatchID) {
	o := c.order(0, id.Producer())
	o.id = max(o.id, id)
}

func (c *Checker) order(space int32, producer uint32) *orderState {
	key := uint64(space)<<(64-sequenceBits) | uint64(producer)
	if i := c.orderIndex.get(key); i >= 0 {
		return &c.orders[i]
	}
	c.orderIndex.put(key, int32(len(c.orders)))
	c.orders = append(c.orders, orderState{})
	return &c.orders[len(c.orders)-1]
}
