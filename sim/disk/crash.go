package disk

import "github.com/seed-604ea8f1/windtunnel/broker/edge"

// Kill ends the process that uses the disk. The page cache survives. Of each
// queue, a prefix of the operations that had been submitted still happens, the
// last of it perhaps in part; nobody is told. All files are closed.
func (d *Disk) Kill() {
	d.stats.Kills++
	d.endOperations(true)
	d.closeAll()
	d.packIdle(d.root)
}

// PowerLoss leaves what is on stable storage and a legal part of what was not:
// any subset of the directory changes that respects their dependencies, and of
// each file's unsynced changes a prefix, torn at a sector, perhaps with
// sectors missing in it.
func (d *Disk) PowerLoss() {
	d.stats.PowerLosses++
	d.endOperations(!d.cfg.LoseUnsynced)
	d.abandonWriteBack()
	d.closeAll()
	d.surviveJournal()
	d.surviveTree(d.root)
	d.packIdle(d.root)
	d.cache.forgetAll()
	d.deviceUntil, d.backgroundUntil = 0, 0
}

// Lose replaces the disk by an empty one of the same size.
func (d *Disk) Lose() {
	d.endOperations(false)
	d.abandonWriteBack()
	d.closeAll()
	d.commitJournal()
	d.drop(d.root)
	d.root = d.newNode(true)
	d.root.refs++
	d.cache.forgetAll()
	d.deviceUntil, d.backgroundUntil = 0, 0
}

// endOperations lets a prefix of each queue happen, if any may, and forgets
// the rest.
func (d *Disk) endOperations(mayHappen bool) {
	errPPM := d.faults.errPPM
	d.faults.errPPM = 0
	for k := range d.queues.list {
		q := &d.queues.list[k]
		alive := mayHappen
		for q.head >= 0 {
			i := q.head
			q.head = d.ops[i].next
			if alive {
				alive = d.endKilled(&d.ops[i])
			}
			d.freeSlot(i)
		}
		q.tail, q.length = -1, 0
	}
	d.faults.errPPM = errPPM
	keep := d.running.list[:0]
	for _, r := range d.running.list {
		if d.ops[r.op].node != nil && d.ops[r.op].queue < 0 {
			keep = append(keep, r)
		}
	}
	d.running.rebuild(keep)
	d.queues.init()
}

// endKilled decides what becomes of one operation of a killed process, and
// whether the next of its queue may have happened too.
func (d *Disk) endKilled(p *pendingOp) bool {
	at := d.running.now
	whole := d.oneIn(2)
	switch p.op.Kind {
	case edge.OpRead, edge.OpReadFile, edge.OpList, edge.OpClose, edge.OpVolume:
		return whole
	case edge.OpWrite:
		if n := d.handles.get(p.op.File); !whole && n != nil {
			// write(2) looks for a signal between two pages.
			if pages := sliceBytes(p.data) / page; pages > 0 {
				d.writePrefix(at, n, p, int64(d.below(uint64(pages)+1))*page)
			}
			return false
		}
	case edge.OpReplaceFile:
		if !whole {
			d.replaceFile(at, p, d.below(replaceDone))
			return false
		}
	case edge.OpSync:
		// A later operation of the queue proves that the sync has ended; one
		// that had not started covers what is written by then.
		if n := d.handles.get(p.op.File); n != nil && p.node == nil {
			n.refs++
			n.sealed = n.lastSeq
			p.node, p.upTo = n, n.lastSeq
		}
	case edge.OpSyncDir:
		if n := d.lookup(p.op.Path); n != nil && n.isDir && p.node == nil {
			n.refs++
			p.node, p.upTo = n, d.journalSeq
		}
	}
	if whole {
		r := d.perform(at, p)
		return r.Err == edge.DiskOK
	}
	return false
}

// abandonWriteBack lets each write-back end or not.
func (d *Disk) abandonWriteBack() {
	for _, r := range d.running.list {
		p := &d.ops[r.op]
		if d.oneIn(2) && !d.cfg.LoseUnsynced {
			d.settle(p.node, p.upTo)
		}
		d.freeSlot(r.op)
	}
	d.running.rebuild(d.running.list[:0])
}

func (d *Disk) closeAll() {
	for i, n := range d.handles.list {
		if n != nil {
			d.handles.list[i] = nil
			d.drop(n)
		}
	}
	d.handles.init()
}

// surviveJournal chooses which directory changes have reached the disk. A
// change is lost with an earlier one of the same entry.
func (d *Disk) surviveJournal() {
	var lost []entryChange
	mode := d.below(4) // none, all, and twice a coin for each
	if d.cfg.LoseUnsynced {
		mode = 0
	}
	for i := range d.journal {
		op := &d.journal[i]
		keep := mode == 1 || mode > 1 && d.oneIn(2)
		if keep && !op.sharesEntry(lost) {
			d.makeStable(op)
		} else {
			lost = append(lost, op.changes[:op.n]...)
			d.stats.EntriesLost++
		}
	}
	for i := range d.journal {
		d.forgetMeta(&d.journal[i])
	}
	d.journal = d.journal[:0]
}

// surviveTree makes the stable entries the current ones, from the top down.
func (d *Disk) surviveTree(dir *node) {
	old := append([]entry(nil), dir.cur...)
	clear(dir.cur)
	dir.cur = append(dir.cur[:0], dir.stable...)
	for _, e := range dir.cur {
		e.node.refs++
	}
	for _, e := range old {
		d.drop(e.node)
	}
	for _, e := range dir.cur {
		if e.node.isDir {
			d.surviveTree(e.node)
		} else {
			d.surviveFile(e.node)
		}
	}
}

// What a power loss leaves of a file's unsynced changes, as shares of eight.
const (
	surviveNothing = 2 // 0 and 1: none of them
	surviveAll     = 3 // 2: all of them
	survivePrefix  = 7 // 3 to 6: a prefix; 7: a prefix with sectors of zeros
)

func (d *Disk) surviveFile(n *node) {
	n.hot = n.hot[:0]
	before := n.size
	var holesFrom int64 = -1
	if len(n.pending) > 0 {
		choice := d.below(8)
		if d.cfg.LoseUnsynced {
			choice = 0
		}
		switch {
		case choice < surviveNothing:
			d.undoTo(n, 0, 0)
		case choice < surviveAll:
		default:
			k := int(d.below(uint64(len(n.pending))))
			c := &n.pending[k]
			keep := c.off
			if !c.truncate {
				keep = c.off + int64(d.below(uint64(c.len)+1))
				keep = max(c.off, keep/sector*sector)
			}
			if choice >= survivePrefix {
				holesFrom = n.pending[0].oldSize
			}
			d.undoTo(n, k, keep)
		}
	}
	if holesFrom >= 0 {
		d.punchHoles(n, (holesFrom+sector-1)/sector*sector, n.size)
		d.punchAllocated(n)
	}
	for i := range n.pending {
		releaseExtents(n.pending[i].displaced)
	}
	n.pending = emptyChanges(n.pending)
	n.poisoned = false
	d.dirty.forget(n)
	if before > n.size {
		d.stats.BytesLost += uint64(before - n.size)
	}
}

// undoTo takes back the changes after number k, and number k itself from
// offset keep on.
func (d *Disk) undoTo(n *node, k int, keep int64) {
	for i := len(n.pending) - 1; i > k; i-- {
		d.undo(n, &n.pending[i], n.pending[i].off)
	}
	if c := &n.pending[k]; keep > c.off {
		d.undo(n, c, keep)
	} else {
		d.undo(n, c, c.off)
	}
	n.pending = n.pending[:k+1]
}

// punchAllocated does the same to what was written over zeros that were stable:
// the file had its length, the data had not arrived.
func (d *Disk) punchAllocated(n *node) {
	for i := range n.pending {
		c := &n.pending[i]
		for _, e := range c.displaced {
			if !c.truncate && e.slice.Buffer == d.zero {
				d.punchHoles(n, (e.off+sector-1)/sector*sector, min(e.end(), n.size)/sector*sector)
			}
		}
	}
}

// punchHoles turns some sectors that were appended after the last sync into
// zeros: the file had grown, the data had not arrived.
func (d *Disk) punchHoles(n *node, from, end int64) {
	for off := from; off < end; off += sector {
		if !d.oneIn(4) {
			continue
		}
		to := min(off+sector, end)
		i := d.discard(n, off, to)
		n.extents = append(n.extents, extent{})
		copy(n.extents[i+1:], n.extents[i:])
		n.extents[i] = extent{off: off, slice: d.zero.Retain().Slice(0, int(to-off))}
		d.stats.BytesLost += uint64(to - off)
	}
}
