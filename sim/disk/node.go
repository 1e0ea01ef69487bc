package disk

import (
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// node is a file or a directory. It lives as long as something refers to it: a
// directory entry (current or stable), a change of the journal, an open
// handle, or an operation.
type node struct {
	id    uint64 // never used again, although the struct is
	isDir bool
	refs  int32

	cur, stable []entry // of a directory, in name order

	// Of a file: the current contents are the extents; undoing the changes
	// from the last to the first gives the contents on stable storage.
	size     int64
	filled   int64       // where the last write ended: what was allocated behind is not packed
	packed   []*archived // blocks at the beginning of the file; see pack.go
	extents  []extent
	tail     tailBlock
	pending  []change
	lastSeq  uint64 // of the newest change
	sealed   uint64 // changes up to here are being synced and take no more bytes
	hot      []uint64
	poisoned bool // a sync has failed: nothing becomes stable any more

	dirtySince           clock.Instant
	dirtyBytes           int64
	dirtyPrev, dirtyNext *node
	inDirty              bool
}

// entry is one entry of a directory.
type entry struct {
	name string
	node *node
}

// metaOp is one atomic change of one or two directory entries.
type metaOp struct {
	seq     uint64
	at      clock.Instant
	n       int
	changes [2]entryChange
}

// entryChange sets an entry; target nil removes it.
type entryChange struct {
	dir    *node
	name   string
	target *node
}

const (
	nodesKept   = 1024
	extentsKept = 4096 // a freed node with more gives its list to the garbage collector
)

func (d *Disk) newNode(isDir bool) *node {
	var n *node
	if k := len(d.freed); k > 0 {
		n = d.freed[k-1]
		d.freed = d.freed[:k-1]
	} else {
		n = &node{}
	}
	d.nodeSeq++
	n.id, n.isDir = d.nodeSeq, isDir
	return n
}

// drop ends one reference; with the last one the node's buffers are released.
func (d *Disk) drop(n *node) {
	n.refs--
	if n.refs > 0 {
		return
	}
	d.dirty.forget(n)
	d.used -= n.size
	d.packedBytes -= n.packedEnd()
	for _, b := range n.packed {
		d.archive.release(b)
	}
	releaseExtents(n.extents)
	for i := range n.pending {
		releaseExtents(n.pending[i].displaced)
	}
	n.tail.release()
	for _, e := range n.cur {
		d.drop(e.node)
	}
	for _, e := range n.stable {
		d.drop(e.node)
	}
	clear(n.cur)
	clear(n.stable)
	clear(n.extents)
	if cap(n.extents) > extentsKept {
		n.extents = nil
	}
	*n = node{cur: n.cur[:0], stable: n.stable[:0], extents: n.extents[:0], pending: emptyChanges(n.pending), hot: n.hot[:0]}
	if len(d.freed) < nodesKept {
		d.freed = append(d.freed, n)
	}
}

// search returns where name is, or belongs, in a list of entries.
func search(list []entry, name string) (int, bool) {
	lo, hi := 0, len(list)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if list[m].name < name {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, lo < len(list) && list[lo].name == name
}

// set changes one entry of a list and keeps the counts of references.
func (d *Disk) set(list []entry, name string, target *node) []entry {
	i, found := search(list, name)
	var old *node
	switch {
	case target != nil && found:
		old = list[i].node
		list[i].node = target
	case target != nil:
		list = append(list, entry{})
		copy(list[i+1:], list[i:])
		list[i] = entry{name: name, node: target}
	case found:
		old = list[i].node
		copy(list[i:], list[i+1:])
		list[len(list)-1] = entry{}
		list = list[:len(list)-1]
	}
	if target != nil {
		target.refs++
	}
	if old != nil {
		d.drop(old)
	}
	return list
}

// parent splits a path into the directory that holds its last part, and that
// part. The directory is nil if it does not exist; the name is empty for the
// data directory itself.
func (d *Disk) parent(path string) (*node, string) {
	n := d.root
	path = strings.Trim(path, "/")
	if path == "." {
		path = ""
	}
	for {
		i := strings.IndexByte(path, '/')
		if i < 0 {
			return n, path
		}
		k, found := search(n.cur, path[:i])
		if !found || !n.cur[k].node.isDir {
			return nil, path
		}
		n = n.cur[k].node
		path = path[i+1:]
	}
}

// lookup returns the node at a path, or nil.
func (d *Disk) lookup(path string) *node {
	dir, name := d.parent(path)
	if dir == nil || name == "" {
		return dir
	}
	if i, found := search(dir.cur, name); found {
		return dir.cur[i].node
	}
	return nil
}

// link records and performs a change of the current directory entries.
func (d *Disk) link(at clock.Instant, changes ...entryChange) {
	d.journalSeq++
	op := metaOp{seq: d.journalSeq, at: at, n: len(changes)}
	for i, c := range changes {
		c.dir.refs++
		if c.target != nil {
			c.target.refs++
		}
		op.changes[i] = c
	}
	d.journal = append(d.journal, op)
	for _, c := range changes {
		c.dir.cur = d.set(c.dir.cur, c.name, c.target)
	}
}

// makeStable performs one journalled change on the stable entries.
func (d *Disk) makeStable(op *metaOp) {
	for _, c := range op.changes[:op.n] {
		c.dir.stable = d.set(c.dir.stable, c.name, c.target)
	}
}

// forgetMeta gives back what a journalled change refers to.
func (d *Disk) forgetMeta(op *metaOp) {
	for _, c := range op.changes[:op.n] {
		if c.target != nil {
			d.drop(c.target)
		}
		d.drop(c.dir)
	}
	*op = metaOp{}
}

// syncDir makes the entries of one directory stable, as they were at change
// upTo. A rename between two directories is atomic: it takes along what it
// depends on in the other one.
func (d *Disk) syncDir(dir *node, upTo uint64) {
	dir.refs++
	needed := slices.Grow(d.needed[:0], len(d.journal))[:len(d.journal)]
	clear(needed)
	need := d.need[:0]
	for i := len(d.journal) - 1; i >= 0; i-- {
		op := &d.journal[i]
		if op.seq <= upTo && (op.touches(dir) || op.sharesEntry(need)) {
			needed[i] = true
			need = append(need, op.changes[:op.n]...)
		}
	}
	keep := 0
	for i := range d.journal {
		op := d.journal[i]
		if !needed[i] {
			d.journal[keep] = op
			keep++
			continue
		}
		d.makeStable(&op)
		d.forgetMeta(&op)
	}
	clear(d.journal[keep:])
	d.journal = d.journal[:keep]
	clear(need)
	d.needed, d.need = needed, need
	d.drop(dir)
}

// commitJournal makes all entries stable, as the filesystem does by itself.
func (d *Disk) commitJournal() {
	for i := range d.journal {
		d.makeStable(&d.journal[i])
		d.forgetMeta(&d.journal[i])
	}
	d.journal = d.journal[:0]
}

func (op *metaOp) touches(dir *node) bool {
	return op.changes[0].dir == dir || op.n == 2 && op.changes[1].dir == dir
}

func (op *metaOp) sharesEntry(list []entryChange) bool {
	for _, c := range op.changes[:op.n] {
		for _, o := range list {
			if c.dir == o.dir && c.name == o.name {
				return true
			}
		}
	}
	return false
}

// dirtyList holds the files with changes that wait for the flusher, the
// longest waiting first.
type dirtyList struct {
	head, tail *node
	bytes      int64
}

func (l *dirtyList) insert(n *node) {
	after := l.tail
	for after != nil && after.dirtySince > n.dirtySince {
		after = after.dirtyPrev
	}
	n.inDirty, n.dirtyPrev = true, after
	if after == nil {
		n.dirtyNext, l.head = l.head, n
	} else {
		n.dirtyNext, after.dirtyNext = after.dirtyNext, n
	}
	if n.dirtyNext == nil {
		l.tail = n
	} else {
		n.dirtyNext.dirtyPrev = n
	}
}

func (l *dirtyList) remove(n *node) {
	if !n.inDirty {
		return
	}
	if n.dirtyPrev == nil {
		l.head = n.dirtyNext
	} else {
		n.dirtyPrev.dirtyNext = n.dirtyNext
	}
	if n.dirtyNext == nil {
		l.tail = n.dirtyPrev
	} else {
		n.dirtyNext.dirtyPrev = n.dirtyPrev
	}
	n.inDirty, n.dirtyPrev, n.dirtyNext = false, nil, nil
}

// forget takes a file's dirty bytes out of the books.
func (l *dirtyList) forget(n *node) {
	l.remove(n)
	l.bytes -= n.dirtyBytes
	n.dirtyBytes = 0
}
