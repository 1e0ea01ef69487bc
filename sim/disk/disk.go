// Package disk simulates the disk of one machine: what edge.DiskOp asks for,
// how long it takes, and what is left of it after a kill or a power loss.
//
// It owns a tree of files whose contents are references to the immutable
// buffers that were written. For every file and for every directory entry it
// knows what is in the page cache and what is on stable storage. It never does
// real I/O, knows no Kafka, and decides only by its own seeded stream.
//
// Life of an operation: submitted -> waiting behind its queue -> running (its
// duration is drawn when it starts) -> ended (its effect and its result happen
// at that instant). Effects therefore follow the order of the results.
package disk

import (
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Config says how big and how fast a disk is. Defaults gives a usual cloud disk.
type Config struct {
	Capacity   int64 // bytes that files can hold; 0 is unlimited
	CacheBytes int64 // page cache; older clean pages are dropped; 0 is unlimited

	CacheLatency       time.Duration // of an operation that needs the page cache only
	CacheBytesPerMicro int64         // copy speed of the page cache, bytes per microsecond
	WriteLatency       time.Duration // of the device: a sync
	ReadLatency        time.Duration // of the device: a read that misses the page cache
	BytesPerMicro      int64         // bandwidth of the device, bytes per microsecond

	// Spread is the table of quantiles from which each latency's factor is
	// drawn, in thousandths. Empty means constant latencies.
	Spread []int32

	// As Linux: data older than DirtyExpire is written back by a flusher that
	// wakes every FlushInterval (vm.dirty_expire_centisecs and
	// vm.dirty_writeback_centisecs); directory entries reach stable storage at
	// the latest JournalCommit after the change (ext4's commit=5). Zero means
	// never: only an explicit sync makes anything stable.
	DirtyExpire   time.Duration
	FlushInterval time.Duration
	JournalCommit time.Duration
	// DirtyBytesMax is where writers start to wait for the device
	// (vm.dirty_bytes); 0 is never.
	DirtyBytesMax int64

	// LoseUnsynced makes a power loss take all that is not stable: the worst
	// legal outcome instead of a drawn one.
	LoseUnsynced bool
}

// Defaults is a machine with 8 GiB of page cache over a network SSD: 200 us a
// sync, 500 MB/s, and the defaults of Linux and ext4 for write-back.
func Defaults() Config {
	return Config{
		CacheBytes: 8 << 30, CacheLatency: 5 * time.Microsecond, CacheBytesPerMicro: 2900,
		WriteLatency: 200 * time.Microsecond, ReadLatency: 150 * time.Microsecond, BytesPerMicro: 500,
		Spread: []int32{
			800, 820, 850, 870, 890, 900, 910, 920, 930, 940, 950, 960, 970, 980, 990, 1000,
			1000, 1010, 1020, 1030, 1040, 1050, 1070, 1090, 1120, 1160, 1220, 1300, 1450, 1700, 2200, 4000,
		},
		DirtyExpire: 30 * time.Second, FlushInterval: 5 * time.Second, JournalCommit: 5 * time.Second,
		DirtyBytesMax: 1 << 30,
	}
}

// Stats counts what a disk has done since New.
type Stats struct {
	Ops, Errors, Syncs           uint64
	BytesWritten, BytesRead      uint64 // through the page cache
	BytesDevice                  uint64 // read from or written to the device
	BytesWrittenBack             uint64 // of these by the flusher
	Kills, PowerLosses           uint64
	BytesLost                    uint64 // unsynced bytes that a power loss took
	EntriesLost                  uint64 // directory changes that a power loss undid
	CacheHits, CacheMisses       uint64 // reads
	BitsFlipped, FilesTruncated  uint64
	ThrottledWrites, ShortWrites uint64
}

// Disk is one machine's disk. It outlives the machine's boots.
type Disk struct {
	cfg   Config
	rng   rand.PCG
	pool  *edge.Pool // where the buffers of reads come from
	stats Stats

	root    *node
	freed   []*node // for reuse with their slices
	nodeSeq uint64
	used    int64 // bytes of all files that have not been freed
	handles handles

	journal    []metaOp // directory changes that are not stable yet, oldest first
	journalSeq uint64
	dirty      dirtyList
	cache      pageCache

	ops     []pendingOp
	opFree  int32
	queues  queueTable
	running runHeap
	seq     uint64

	deviceUntil     clock.Instant // the device is busy with syncs and reads until then
	backgroundUntil clock.Instant // and with write-back until then
	flushPhase      time.Duration

	faults      faults
	archive     *Archive
	packedBytes int64 // of all files, before packing
	unpacked    unpackedBlock
	scratch     []extent
	needed      []bool        // of syncDir: which changes of the journal
	need        []entryChange // and what they change
	zero        *edge.Buffer
}

// New returns an empty disk. Everything it ever chooses follows from the seed.
func New(cfg Config, seed uint64) *Disk {
	d := &Disk{cfg: cfg, opFree: -1, zero: edge.NewBuffer(make([]byte, zeroBlock))}
	d.Share(NewArchive(), new(edge.Pool))
	d.rng.Seed(seed, 0x6469736b) // "disk"
	d.handles.init()
	d.queues.init()
	d.root = d.newNode(true)
	d.root.refs++
	if cfg.FlushInterval > 0 {
		d.flushPhase = time.Duration(d.below(uint64(cfg.FlushInterval)))
	}
	return d
}

// Share makes a disk that is still empty keep its packed blocks in an archive
// together with others, and take the buffers of its reads from a pool that others
// use too: what lies idle in it is then bounded once, not once for each disk.
func (d *Disk) Share(a *Archive, pool *edge.Pool) {
	d.archive, d.pool = a, pool
	a.disks++
}

// Stats returns the counters.
func (d *Disk) Stats() Stats { return d.stats }

// UsedBytes is the space taken, including removed files whose removal is not
// stable yet or that are still open.
func (d *Disk) UsedBytes() int64 { return d.used }

// DirtyBytes is what a power loss would put at risk now.
func (d *Disk) DirtyBytes() int64 { return d.dirty.bytes }

// below returns a number in [0, n) from the disk's stream; n > 0.
func (d *Disk) below(n uint64) uint64 {
	hi, _ := bits.Mul64(d.rng.Uint64(), n)
	return hi
}

// oneIn is true once in n times.
func (d *Disk) oneIn(n uint64) bool { return d.below(n) == 0 }

// pendingOp is an operation on its way, or a write-back of the kernel's own.
type pendingOp struct {
	op    edge.DiskOp
	data  []edge.Slice // the operation's Data; its capacity stays with the slot
	queue int32        // index of its queue; -1 for a write-back
	next  int32        // the next of its queue, or of the free list
	node  *node        // sync and write-back: what is being made stable; retained
	upTo  uint64       // and up to which change of it
}

// Submit hands over one operation. The disk copies what it needs; the buffers
// of op.Data were retained for it.
func (d *Disk) Submit(now clock.Instant, op *edge.DiskOp) {
	d.stats.Ops++
	i := d.takeSlot()
	p := &d.ops[i]
	data := append(p.data[:0], op.Data...)
	*p = pendingOp{op: *op, data: data, next: -1}
	p.op.Data = nil
	p.queue = d.queues.find(op.Queue)
	q := &d.queues.list[p.queue]
	q.length++
	if q.tail >= 0 {
		d.ops[q.tail].next = i
		q.tail = i
		return
	}
	q.head, q.tail = i, i
	d.start(now, i)
}

// Next is when Pop has something to do; clock.Never if it has not.
func (d *Disk) Next() clock.Instant {
	next := d.running.next()
	if at := d.flushAt(); at < next {
		next = at
	}
	return next
}

// Pop performs what has ended by now and returns the next result. It returns
// false when nothing more ends by now; the flusher's own work gives no result.
func (d *Disk) Pop(now clock.Instant) (edge.DiskResult, bool) {
	for {
		at := d.running.next()
		if f := d.flushAt(); f <= now && f < at {
			d.flush(f)
			continue
		}
		if at > now {
			return edge.DiskResult{}, false
		}
		i := d.running.pop().op
		if d.ops[i].queue < 0 {
			d.endWriteBack(i)
			continue
		}
		return d.end(i, at), true
	}
}

// end performs an operation's effect and starts the next one of its queue.
func (d *Disk) end(i int32, at clock.Instant) edge.DiskResult {
	p := &d.ops[i]
	r := d.perform(at, p)
	if r.Err != edge.DiskOK {
		d.stats.Errors++
	}
	q := &d.queues.list[p.queue]
	q.length--
	q.head = p.next
	next := q.head
	if next < 0 {
		q.tail = -1
	}
	d.freeSlot(i)
	if next >= 0 {
		d.start(at, next)
	}
	return r
}

func (d *Disk) takeSlot() int32 {
	if i := d.opFree; i >= 0 {
		d.opFree = d.ops[i].next
		return i
	}
	d.ops = append(d.ops, pendingOp{})
	return int32(len(d.ops) - 1)
}

// freeSlot releases what an operation still holds.
func (d *Disk) freeSlot(i int32) {
	p := &d.ops[i]
	for j := range p.data {
		if p.data[j].Buffer != nil {
			p.data[j].Buffer.Release()
		}
	}
	if p.node != nil {
		d.drop(p.node)
	}
	clear(p.data)
	*p = pendingOp{data: p.data[:0], next: d.opFree}
	d.opFree = i
}
