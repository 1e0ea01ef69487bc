package disk

import (
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

const (
	sector       = 512      // what a device writes whole or not at all
	page         = 4096     // what write(2) copies whole before it looks for a signal
	zeroBlock    = 64 << 10 // size of the shared block of zeros
	largeWrite   = 4096     // a slice of more is kept as it is
	smallWrite   = 512      // one of up to so much is copied into the file's tail block
	tailBlockLen = 16 << 10 // size of a tail block
	changesKept  = 1024     // capacity that a freed node keeps
	displacedMax = 16       // capacity that a forgotten change keeps
)

// extent is a stretch of a file: the bytes from offset off on are the slice.
// It holds one reference to the slice's buffer.
type extent struct {
	off   int64
	slice edge.Slice
}

func (e extent) end() int64 { return e.off + int64(e.slice.Len()) }

// clip returns the part of e that lies in [from, to).
func (e extent) clip(from, to int64) extent {
	if e.off < from {
		e.slice.From += int32(from - e.off)
		e.off = from
	}
	if e.end() > to {
		e.slice.To -= int32(e.end() - to)
	}
	return e
}

func releaseExtents(list []extent) {
	for i := range list {
		list[i].slice.Buffer.Release()
	}
}

// tailBlock collects the small appends of a file (single records), which would
// otherwise each hold a buffer much larger than themselves. Bytes before used are
// immutable.
type tailBlock struct {
	buffer *edge.Buffer
	used   int
}

func (t *tailBlock) release() {
	if t.buffer != nil {
		t.buffer.Release()
	}
	*t = tailBlock{}
}

// change is a write, an allocation or a truncation that is not stable yet, with what is
// needed to undo it. Adjoining appends share one change.
type change struct {
	seq       uint64
	at        clock.Instant
	truncate  bool
	allocate  bool  // zeros that no write-back has to move: blocks that are not written
	off, len  int64 // of a write or an allocation
	oldSize   int64
	displaced []extent // what was overwritten or cut off
}

func emptyChanges(list []change) []change {
	if cap(list) > changesKept {
		return nil
	}
	for i := range list {
		list[i] = change{displaced: keptDisplaced(list[i].displaced)}
	}
	return list[:0]
}

func keptDisplaced(list []extent) []extent {
	if cap(list) > displacedMax {
		return nil
	}
	clear(list)
	return list[:0]
}

// newChange appends a change; the slot's displaced list keeps its memory.
func (n *node) newChange(at clock.Instant) *change {
	if len(n.pending) < cap(n.pending) {
		n.pending = n.pending[:len(n.pending)+1]
	} else {
		n.pending = append(n.pending, change{})
	}
	c := &n.pending[len(n.pending)-1]
	n.lastSeq++
	*c = change{seq: n.lastSeq, at: at, oldSize: n.size, displaced: c.displaced[:0]}
	return c
}

// position returns the index of the first extent that ends after off.
func (n *node) position(off int64) int {
	lo, hi := 0, len(n.extents)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if n.extents[m].end() <= off {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// cut takes [from, to) out of the contents, appends it to out, and returns the
// index at which something can be put instead.
func (n *node) cut(from, to int64, out []extent) (int, []extent) {
	if from < n.packedEnd() {
		panic(fmt.Sprintf("disk: cut at %d, packed up to %d", from, n.packedEnd()))
	}
	i := n.position(from)
	if from >= to || i == len(n.extents) {
		return i, out
	}
	if e := n.extents[i]; e.off < from {
		// The first extent is split; the second half is another reference.
		e.slice.Buffer.Retain()
		n.extents = slices.Insert(n.extents, i+1, e.clip(from, e.end()))
		n.extents[i] = e.clip(e.off, from)
		i++
	}
	j := i
	for j < len(n.extents) && n.extents[j].off < to {
		e := n.extents[j]
		if e.end() > to {
			e.slice.Buffer.Retain()
			n.extents = slices.Insert(n.extents, j+1, e.clip(to, e.end()))
			n.extents[j] = e.clip(e.off, to)
		}
		j++
	}
	out = append(out, n.extents[i:j]...)
	n.extents = slices.Delete(n.extents, i, j)
	return i, out
}

// discard cuts out [from, to) for good.
func (d *Disk) discard(n *node, from, to int64) int {
	d.unpack(n, from)
	i, out := n.cut(from, to, d.scratch[:0])
	releaseExtents(out)
	clear(out)
	d.scratch = out[:0]
	return i
}

// keeps says whether a slice is kept as it is rather than copied: if it is large,
// or not small and a good part of its buffer, which the replicas of a partition
// and the files of one request share.
func keeps(s *edge.Slice) bool {
	n := s.Len()
	return n > largeWrite || n > smallWrite && 4*n >= s.Buffer.Cap()
}

// appendSlice adds a slice at the end of the extents. It takes over the
// caller's reference, or copies what is small.
func (d *Disk) appendSlice(n *node, off int64, s edge.Slice) {
	if keeps(&s) {
		n.extents = append(n.extents, extent{off: off, slice: s})
		return
	}
	if n.tail.buffer == nil || n.tail.used+s.Len() > n.tail.buffer.Len() {
		n.tail.release()
		n.tail.buffer = d.pool.Get(tailBlockLen)
	}
	b, at := n.tail.buffer, n.tail.used
	n.tail.used += copy(b.Bytes()[at:], s.Bytes())
	s.Buffer.Release()
	if k := len(n.extents) - 1; k >= 0 {
		if last := &n.extents[k]; last.slice.Buffer == b && int(last.slice.To) == at && last.end() == off {
			last.slice.To = int32(n.tail.used)
			return
		}
	}
	n.extents = append(n.extents, extent{off: off, slice: b.Retain().Slice(at, n.tail.used)})
}

// write puts the slices at off and takes over one reference to each of them.
// A hole before off is filled with zeros, as POSIX says.
func (d *Disk) write(at clock.Instant, n *node, off int64, data []edge.Slice) int64 {
	if off > n.size {
		d.writeZeros(at, n, off-n.size)
	}
	var length int64
	for _, s := range data {
		length += int64(s.Len())
	}
	if length == 0 {
		for _, s := range data {
			s.Buffer.Release()
		}
		return 0
	}
	end := off + length
	if off < n.size {
		d.unpack(n, off)
		c := n.newChange(at)
		c.off, c.len = off, length
		var i int
		i, c.displaced = n.cut(off, min(end, n.size), c.displaced)
		for _, s := range data {
			if s.Len() == 0 {
				s.Buffer.Release()
				continue
			}
			n.extents = slices.Insert(n.extents, i, extent{off: off, slice: s})
			off += int64(s.Len())
			i++
		}
	} else {
		n.growPending(at, off, length)
		for _, s := range data {
			d.appendSlice(n, off, s)
			off += int64(s.Len())
		}
	}
	d.resize(n, max(n.size, end))
	n.filled = max(n.filled, end)
	d.markDirty(at, n, length)
	d.cache.touch(d, n, end-length, end)
	d.pack(n)
	return length
}

func (d *Disk) writeZeros(at clock.Instant, n *node, length int64) {
	n.growPending(at, n.size, length)
	d.appendZeros(n, length)
	d.markDirty(at, n, length)
}

// allocate makes a file longer without writing it.
func (d *Disk) allocate(at clock.Instant, n *node, length int64) {
	c := n.newChange(at)
	c.allocate, c.off, c.len = true, n.size, length
	d.appendZeros(n, length)
	d.markDirty(at, n, 0)
}

func (d *Disk) appendZeros(n *node, length int64) {
	off := n.size
	for left := length; left > 0; {
		k := min(left, zeroBlock)
		n.extents = append(n.extents, extent{off: off, slice: d.zero.Retain().Slice(0, int(k))})
		off += k
		left -= k
	}
	d.resize(n, off)
}

// growPending records an append, in the last change where that is possible.
func (n *node) growPending(at clock.Instant, off, length int64) {
	if k := len(n.pending) - 1; k >= 0 {
		last := &n.pending[k]
		if !last.truncate && !last.allocate && last.seq > n.sealed && len(last.displaced) == 0 && last.off+last.len == off {
			last.len += length
			return
		}
	}
	c := n.newChange(at)
	c.off, c.len = off, length
}

// truncate cuts the file down to size.
func (d *Disk) truncate(at clock.Instant, n *node, size int64) {
	if size >= n.size {
		return
	}
	d.unpack(n, size)
	c := n.newChange(at)
	c.truncate = true
	_, c.displaced = n.cut(size, n.size, c.displaced)
	n.filled = min(n.filled, size)
	d.resize(n, size)
	d.markDirty(at, n, 0)
}

// undo takes back a change from offset from on (of a write; its start takes
// back all of it). Later changes have been undone before.
func (d *Disk) undo(n *node, c *change, from int64) {
	if c.truncate {
		n.extents = append(n.extents, c.displaced...)
		c.displaced = c.displaced[:0]
		d.resize(n, c.oldSize)
		return
	}
	end := c.off + c.len
	i := d.discard(n, from, end)
	for _, e := range c.displaced {
		if e.end() <= from {
			e.slice.Buffer.Release()
			continue
		}
		n.extents = slices.Insert(n.extents, i, e.clip(from, end))
		i++
	}
	c.displaced = c.displaced[:0]
	if end > c.oldSize {
		d.resize(n, max(c.oldSize, from))
	}
}

// settle declares the changes up to seq stable.
func (d *Disk) settle(n *node, upTo uint64) {
	if n.poisoned {
		return
	}
	k := 0
	for k < len(n.pending) && n.pending[k].seq <= upTo {
		c := &n.pending[k]
		releaseExtents(c.displaced)
		c.displaced = keptDisplaced(c.displaced)
		if !c.truncate && !c.allocate {
			n.dirtyBytes -= c.len
			d.dirty.bytes -= c.len
		}
		k++
	}
	for i := k; i < len(n.pending); i++ {
		n.pending[i-k], n.pending[i] = n.pending[i], n.pending[i-k]
	}
	n.pending = n.pending[:len(n.pending)-k]
	d.dirty.remove(n)
	if len(n.pending) > 0 {
		n.dirtySince = n.pending[0].at
		d.dirty.insert(n)
	}
}

func (d *Disk) markDirty(at clock.Instant, n *node, length int64) {
	if n.poisoned {
		return
	}
	n.dirtyBytes += length
	d.dirty.bytes += length
	if !n.inDirty && len(n.pending) == 1 {
		n.dirtySince = at
		d.dirty.insert(n)
	}
}

func (d *Disk) resize(n *node, size int64) {
	d.used += size - n.size
	n.size = size
}

// read copies [off, off+length) into a buffer; length has been clipped.
func (d *Disk) read(n *node, off, length int64) *edge.Buffer {
	i := n.position(off)
	if off >= n.packedEnd() && i < len(n.extents) {
		e := n.extents[i].clip(off, off+length)
		if int64(e.slice.Len()) == length && int(length) == e.slice.Buffer.Len() {
			return e.slice.Buffer.Retain() // exactly one whole buffer: share it
		}
	}
	b := d.pool.Get(int(length))
	d.copyOut(n, off, b.Bytes())
	return b
}

// copyOut fills to with what the file holds from off on, as far as it reaches, and
// returns how much that is.
func (d *Disk) copyOut(n *node, off int64, to []byte) int {
	to = to[:max(0, min(int64(len(to)), n.size-off))]
	length := len(to)
	for len(to) > 0 && off < n.packedEnd() {
		k := copy(to, d.plainBlock(n, int(off/packedBlock))[off%packedBlock:])
		to = to[k:]
		off += int64(k)
	}
	for i := n.position(off); len(to) > 0; i++ {
		e := n.extents[i].clip(off, off+int64(len(to)))
		k := copy(to, e.slice.Bytes())
		to = to[k:]
		off += int64(k)
	}
	return length
}
