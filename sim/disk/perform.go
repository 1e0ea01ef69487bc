package disk

import (
	"fmt"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// perform carries out an operation at the instant at which it ends.
func (d *Disk) perform(at clock.Instant, p *pendingOp) edge.DiskResult {
	op := &p.op
	r := edge.DiskResult{Token: op.Token, Op: op.Kind}
	if err := d.faults.draw(d, op.Kind); err != edge.DiskOK {
		r.Err = err
		d.performFailing(at, p, &r)
		return r
	}
	switch op.Kind {
	case edge.OpMkdir:
		r.Err = d.mkdir(at, op.Path)
	case edge.OpList:
		r.Entries, r.Err = d.list(op.Path)
	case edge.OpOpen:
		r.Length, r.Err = d.open(at, op.File, op.Path)
	case edge.OpClose:
		if n := d.handles.remove(op.File); n != nil {
			d.drop(n)
		}
	case edge.OpRead:
		r.Data, r.Err = d.readAt(d.handles.get(op.File), op.Offset, op.Length, edge.ErrIO)
	case edge.OpReadFile:
		r.Data, r.Err = d.readAt(d.lookup(op.Path), 0, op.Length, edge.ErrNotFound)
	case edge.OpWrite:
		r.Length, r.Err = d.writeFile(at, p)
	case edge.OpTruncate:
		r.Err = d.truncateFile(at, op)
	case edge.OpSync:
		r.Err = d.sync(p)
	case edge.OpSyncDir:
		r.Err = d.syncPath(p)
	case edge.OpRename:
		r.Err = d.rename(at, op.Path, op.NewPath)
	case edge.OpRemove:
		d.remove(at, op.Path)
	case edge.OpReplaceFile:
		r.Err = d.replaceFile(at, p, replaceDone)
	case edge.OpVolume:
		r.Length, r.Total = d.volume()
	case edge.OpAllocate:
		r.Err = d.allocateFile(at, op)
	default:
		panic(fmt.Sprintf("disk: operation of kind %d", op.Kind))
	}
	return r
}

// performFailing carries out what an injected error leaves of an operation:
// EIO makes what was written undefined, and after a failed sync the kernel
// forgets that the pages were dirty, so that a later sync succeeds and proves
// nothing (what Linux did to PostgreSQL in 2018).
func (d *Disk) performFailing(at clock.Instant, p *pendingOp, r *edge.DiskResult) {
	switch p.op.Kind {
	case edge.OpWrite:
		if n := d.handles.get(p.op.File); n != nil {
			r.Length = d.writePrefix(at, n, p, int64(d.below(uint64(sliceBytes(p.data))+1)))
		}
	case edge.OpSync:
		if n := p.node; n != nil && !d.oneIn(2) {
			d.dirty.forget(n)
			n.poisoned = true
		}
	case edge.OpReplaceFile:
		d.replaceFile(at, p, d.below(replaceDone))
	}
}

func (d *Disk) mkdir(at clock.Instant, path string) edge.DiskError {
	dir, name := d.parent(path)
	if dir == nil {
		return edge.ErrNotFound
	}
	if name == "" {
		return edge.DiskOK
	}
	if i, found := search(dir.cur, name); found {
		if !dir.cur[i].node.isDir {
			return edge.ErrIO
		}
		return edge.DiskOK
	}
	d.link(at, entryChange{dir: dir, name: name, target: d.newNode(true)})
	return edge.DiskOK
}

func (d *Disk) list(path string) ([]edge.DirEntry, edge.DiskError) {
	n := d.lookup(path)
	if n == nil || !n.isDir {
		return nil, edge.ErrNotFound
	}
	out := make([]edge.DirEntry, len(n.cur))
	for i, e := range n.cur {
		out[i] = edge.DirEntry{Name: e.name, Dir: e.node.isDir, Size: e.node.size}
	}
	return out, edge.DiskOK
}

func (d *Disk) open(at clock.Instant, id edge.FileID, path string) (int64, edge.DiskError) {
	if d.handles.get(id) != nil {
		panic(fmt.Sprintf("disk: file %d opened twice (%s)", id, path))
	}
	dir, name := d.parent(path)
	if dir == nil {
		return 0, edge.ErrNotFound
	}
	if name == "" {
		return 0, edge.ErrIO
	}
	var n *node
	if i, found := search(dir.cur, name); found {
		n = dir.cur[i].node
		if n.isDir {
			return 0, edge.ErrIO
		}
	} else {
		n = d.newNode(false)
		d.link(at, entryChange{dir: dir, name: name, target: n})
	}
	n.refs++
	d.handles.put(id, n)
	return n.size, edge.DiskOK
}

func (d *Disk) readAt(n *node, off, length int64, missing edge.DiskError) (*edge.Buffer, edge.DiskError) {
	if n == nil || n.isDir {
		return nil, missing
	}
	if off < 0 || length < 0 {
		panic(fmt.Sprintf("disk: read of %d bytes at %d", length, off))
	}
	length = max(0, min(length, n.size-off))
	if length == 0 {
		return d.pool.Get(0), edge.DiskOK
	}
	d.stats.BytesRead += uint64(length)
	d.cache.touch(d, n, off, off+length)
	return d.read(n, off, length), edge.DiskOK
}

func (d *Disk) writeFile(at clock.Instant, p *pendingOp) (int64, edge.DiskError) {
	n := d.handles.get(p.op.File)
	if n == nil {
		return 0, edge.ErrIO // EBADF: the open has failed
	}
	if p.op.Offset < 0 {
		panic(fmt.Sprintf("disk: write at %d", p.op.Offset))
	}
	want := sliceBytes(p.data)
	if grow := p.op.Offset + want - n.size; grow > 0 {
		if free := d.free(); grow > free {
			d.stats.ShortWrites++
			return d.writePrefix(at, n, p, max(0, want-(grow-free))), edge.ErrNoSpace
		}
	}
	return d.writePrefix(at, n, p, want), edge.DiskOK
}

// writePrefix writes the first length bytes of an operation's data. The file
// takes over the references; the slot releases the rest.
func (d *Disk) writePrefix(at clock.Instant, n *node, p *pendingOp, length int64) int64 {
	if length == 0 {
		return 0
	}
	k := 0
	for left := length; left > 0; k++ {
		s := &p.data[k]
		if int64(s.Len()) > left {
			s.To = s.From + int32(left)
		}
		left -= int64(s.Len())
	}
	d.write(at, n, p.op.Offset, p.data[:k])
	for i := range k {
		p.data[i].Buffer = nil
	}
	d.stats.BytesWritten += uint64(length)
	return length
}

func (d *Disk) truncateFile(at clock.Instant, op *edge.DiskOp) edge.DiskError {
	n := d.handles.get(op.File)
	if n == nil {
		return edge.ErrIO
	}
	if op.Length < 0 {
		panic(fmt.Sprintf("disk: truncate to %d", op.Length))
	}
	d.truncate(at, n, op.Length)
	return edge.DiskOK
}

// allocateFile makes a file longer if there is room for all of it.
func (d *Disk) allocateFile(at clock.Instant, op *edge.DiskOp) edge.DiskError {
	n := d.handles.get(op.File)
	if n == nil {
		return edge.ErrIO
	}
	grow := op.Length - n.size
	switch {
	case grow <= 0:
		return edge.DiskOK
	case grow > d.free():
		return edge.ErrNoSpace
	}
	d.allocate(at, n, grow)
	return edge.DiskOK
}

func (d *Disk) sync(p *pendingOp) edge.DiskError {
	n := d.handles.get(p.op.File)
	if n == nil && p.node == nil {
		return edge.ErrIO
	}
	d.stats.Syncs++
	if p.node != nil {
		d.settle(p.node, p.upTo)
	}
	return edge.DiskOK
}

func (d *Disk) syncPath(p *pendingOp) edge.DiskError {
	if p.node == nil {
		return edge.ErrNotFound
	}
	d.stats.Syncs++
	d.syncDir(p.node, p.upTo)
	return edge.DiskOK
}

func (d *Disk) rename(at clock.Instant, from, to string) edge.DiskError {
	dir, name := d.parent(from)
	dir2, name2 := d.parent(to)
	if dir == nil || dir2 == nil || name == "" || name2 == "" {
		return edge.ErrNotFound
	}
	i, found := search(dir.cur, name)
	if !found {
		return edge.ErrNotFound
	}
	n := dir.cur[i].node
	if dir == dir2 && name == name2 {
		return edge.DiskOK
	}
	if n.isDir && strings.HasPrefix(to, from+"/") {
		return edge.ErrIO // a directory cannot move into itself
	}
	if j, found := search(dir2.cur, name2); found {
		if old := dir2.cur[j].node; old.isDir != n.isDir || len(old.cur) > 0 {
			return edge.ErrIO
		}
	}
	d.link(at, entryChange{dir: dir, name: name},
		entryChange{dir: dir2, name: name2, target: n})
	return edge.DiskOK
}

// remove takes a file, or a directory from its leaves up: a power loss in the
// middle may leave any part of it.
func (d *Disk) remove(at clock.Instant, path string) {
	dir, name := d.parent(path)
	if dir == nil {
		return
	}
	if name == "" {
		d.removeAll(at, dir)
		return
	}
	if i, found := search(dir.cur, name); found {
		d.removeAll(at, dir.cur[i].node)
		d.link(at, entryChange{dir: dir, name: name})
	}
}

func (d *Disk) removeAll(at clock.Instant, n *node) {
	for k := len(n.cur); k > 0; k = len(n.cur) {
		e := n.cur[k-1]
		d.removeAll(at, e.node)
		d.link(at, entryChange{dir: n, name: e.name})
	}
}

// How far a replacement has come: what a crash or an error in its middle may
// leave is any of these.
const (
	replaceNothing = iota
	replaceTorn    // a part of the temporary file, in the cache
	replaceSynced  // the temporary file, stable, its entry not
	replaceDone    // the new file in place of the old, all stable
)

func (d *Disk) replaceFile(at clock.Instant, p *pendingOp, stage uint64) edge.DiskError {
	dir, name := d.parent(p.op.Path)
	if dir == nil || name == "" {
		return edge.ErrNotFound
	}
	if stage == replaceNothing {
		return edge.DiskOK
	}
	if i, found := search(dir.cur, name); found && dir.cur[i].node.isDir {
		return edge.ErrIO
	}
	temporary := name + ".tmp"
	n := d.newNode(false)
	n.refs++
	defer d.drop(n)
	d.link(at, entryChange{dir: dir, name: temporary, target: n})
	want := sliceBytes(p.data)
	length, err := want, edge.DiskOK
	if free := d.free(); want > free {
		length, err = free, edge.ErrNoSpace
		d.stats.ShortWrites++
	}
	if stage == replaceTorn {
		length = int64(d.below(uint64(length) + 1))
	}
	offset := p.op.Offset
	p.op.Offset = 0
	d.writePrefix(at, n, p, length)
	p.op.Offset = offset
	if err != edge.DiskOK || stage == replaceTorn {
		return err
	}
	n.sealed = n.lastSeq
	d.settle(n, n.lastSeq)
	if stage == replaceSynced {
		return edge.DiskOK
	}
	d.link(at, entryChange{dir: dir, name: temporary}, entryChange{dir: dir, name: name, target: n})
	d.syncDir(dir, d.journalSeq)
	d.stats.Syncs += 2
	return edge.DiskOK
}

// volume is how many bytes can still be written, and how many there are.
func (d *Disk) volume() (left, total int64) {
	if d.cfg.Capacity == 0 {
		return -1, -1
	}
	return d.free(), d.cfg.Capacity
}

// free is how many bytes files can still grow.
func (d *Disk) free() int64 {
	if d.faults.full {
		return 0
	}
	if d.cfg.Capacity == 0 {
		return 1 << 62
	}
	return max(0, d.cfg.Capacity-d.used)
}
