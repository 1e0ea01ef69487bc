package disk

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// start draws how long an operation takes. Page-cache operations of different
// queues run side by side; the device serves one operation after the other.
func (d *Disk) start(now clock.Instant, i int32) {
	p := &d.ops[i]
	extra := d.faults.extra(p.op.Kind)
	end := now.Add(d.spread(d.cfg.CacheLatency))
	switch p.op.Kind {
	case edge.OpSync:
		if n := d.handles.get(p.op.File); n != nil && len(n.pending) > 0 && !n.poisoned {
			n.refs++
			n.sealed = n.lastSeq
			p.node, p.upTo = n, n.lastSeq
			end = d.device(now, d.cfg.WriteLatency, n.dirtyBytes)
		}
	case edge.OpSyncDir:
		if n := d.lookup(p.op.Path); n != nil && n.isDir {
			n.refs++
			p.node, p.upTo = n, d.journalSeq
			if d.journalTouches(n) {
				end = d.device(now, d.cfg.WriteLatency, page)
			}
		}
	case edge.OpReplaceFile:
		end = d.device(now, d.cfg.WriteLatency, sliceBytes(p.data))
		end = d.device(end, d.cfg.WriteLatency, page) // the directory
	case edge.OpRead:
		end = d.startRead(now, end, d.handles.get(p.op.File), p.op.Offset, p.op.Length)
	case edge.OpReadFile:
		end = d.startRead(now, end, d.lookup(p.op.Path), 0, p.op.Length)
	case edge.OpWrite:
		end = d.startWrite(now, end, sliceBytes(p.data))
	}
	d.run(end.Add(extra), i) // p may be stale: a write-back can grow the table
}

func (d *Disk) run(end clock.Instant, i int32) {
	d.seq++
	d.running.push(run{at: end, seq: d.seq, op: i})
}

func (d *Disk) startRead(now, end clock.Instant, n *node, off, length int64) clock.Instant {
	if n == nil || n.isDir || off >= n.size || length <= 0 {
		return end
	}
	to := off + min(length, n.size-off)
	cold := d.cache.cold(n, off, to)
	if cold == 0 {
		d.stats.CacheHits++
		return end.Add(d.copyTime(to - off))
	}
	d.stats.CacheMisses++
	return d.device(now, d.cfg.ReadLatency, cold)
}

// startWrite is a copy into the page cache, unless so much is dirty that the
// kernel makes writers wait for write-back.
func (d *Disk) startWrite(now, end clock.Instant, length int64) clock.Instant {
	if limit := d.cfg.DirtyBytesMax; limit > 0 && d.dirty.bytes+length > limit {
		d.stats.ThrottledWrites++
		if d.dirty.head != nil {
			d.writeBack(now, d.dirty.head)
		}
		end = max(end, d.backgroundUntil)
	}
	return end.Add(d.copyTime(length))
}

func (d *Disk) copyTime(length int64) time.Duration {
	return transfer(length, d.cfg.CacheBytesPerMicro)
}

// transfer is the time that length bytes take; a rate of zero takes none.
func transfer(length, bytesPerMicro int64) time.Duration {
	if bytesPerMicro <= 0 {
		return 0
	}
	return time.Duration(length * 1000 / bytesPerMicro)
}

// device queues one operation behind those before it. While the flusher
// writes, both get half of the bandwidth.
func (d *Disk) device(now clock.Instant, latency time.Duration, bytes int64) clock.Instant {
	start := max(now, d.deviceUntil)
	move := transfer(bytes, d.cfg.BytesPerMicro)
	took := d.spread(latency) + move
	if d.backgroundUntil > start {
		took += min(move, d.backgroundUntil.Sub(start))
	}
	d.stats.BytesDevice += uint64(bytes)
	d.deviceUntil = start.Add(took)
	return d.deviceUntil
}

// spread multiplies a latency by a factor drawn from the table.
func (d *Disk) spread(latency time.Duration) time.Duration {
	if len(d.cfg.Spread) == 0 || latency == 0 {
		return latency
	}
	return latency * time.Duration(d.cfg.Spread[d.below(uint64(len(d.cfg.Spread)))]) / 1000
}

func sliceBytes(data []edge.Slice) int64 {
	var n int64
	for i := range data {
		n += int64(data[i].Len())
	}
	return n
}

func (d *Disk) journalTouches(dir *node) bool {
	for i := range d.journal {
		if d.journal[i].touches(dir) {
			return true
		}
	}
	return false
}

// flushAt is when the kernel next does something by itself.
func (d *Disk) flushAt() clock.Instant {
	at := clock.Never
	if len(d.journal) > 0 && d.cfg.JournalCommit > 0 {
		at = d.journal[0].at.Add(d.cfg.JournalCommit)
	}
	if n := d.dirty.head; n != nil && d.cfg.DirtyExpire > 0 && d.cfg.FlushInterval > 0 {
		at = min(at, d.tickAfter(n.dirtySince.Add(d.cfg.DirtyExpire)))
	}
	return at
}

// tickAfter is the first time at or after t at which the flusher wakes.
func (d *Disk) tickAfter(t clock.Instant) clock.Instant {
	interval := clock.Instant(d.cfg.FlushInterval)
	phase := clock.Instant(d.flushPhase)
	if t <= phase {
		return phase
	}
	return phase + (t-phase+interval-1)/interval*interval
}

// flush is one waking of the flusher, or one commit of the journal.
func (d *Disk) flush(at clock.Instant) {
	if len(d.journal) > 0 && d.cfg.JournalCommit > 0 && d.journal[0].at.Add(d.cfg.JournalCommit) <= at {
		d.commitJournal()
	}
	if d.cfg.DirtyExpire <= 0 || d.cfg.FlushInterval <= 0 {
		return
	}
	for n := d.dirty.head; n != nil && d.tickAfter(n.dirtySince.Add(d.cfg.DirtyExpire)) <= at; n = d.dirty.head {
		d.writeBack(at, n)
	}
}

// writeBack starts to write a file's dirty bytes; it leaves the list of dirty
// files until that is done.
func (d *Disk) writeBack(now clock.Instant, n *node) {
	d.dirty.remove(n)
	n.refs++
	n.sealed = n.lastSeq
	start := max(now, d.backgroundUntil)
	d.backgroundUntil = start.Add(d.spread(d.cfg.WriteLatency) + transfer(n.dirtyBytes, d.cfg.BytesPerMicro))
	d.stats.BytesDevice += uint64(n.dirtyBytes)
	d.stats.BytesWrittenBack += uint64(n.dirtyBytes)
	i := d.takeSlot()
	d.ops[i] = pendingOp{data: d.ops[i].data, queue: -1, next: -1, node: n, upTo: n.lastSeq}
	d.run(d.backgroundUntil, i)
}

func (d *Disk) endWriteBack(i int32) {
	p := &d.ops[i]
	d.settle(p.node, p.upTo)
	d.freeSlot(i)
}
