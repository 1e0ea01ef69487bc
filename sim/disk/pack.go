package disk

import (
	"fmt"

	"github.com/klauspost/compress/s2"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

const (
	// packedBlock is the unit in which old contents are packed.
	packedBlock = 256 << 10
	// packedAfter is how many bytes at the end of a file stay as they are, for
	// readers near the end of a log, and so that segments which retention will soon
	// take are not packed first.
	packedAfter = 1 << 20
	// plainBytesMax is how much the disks of a simulation hold before anything is
	// packed, what replicas share counted for each: small ones are not worth the time.
	plainBytesMax = 64 << 20
)

// What was appended to a file a while ago is kept compressed, stable or not: a
// simulation's memory, not the simulated disk, is what this saves. The bytes
// that a read returns, the time that it takes and the size that counts against
// the capacity are the same.
//
// Equal blocks of all disks of a simulation are kept once; see Archive.
//
// Packed blocks cover the beginning of a file; the extents begin behind them.
// Whatever changes a file below that point unpacks it first.

// packedEnd is where the packed blocks end and the extents begin.
func (n *node) packedEnd() int64 { return int64(len(n.packed)) * packedBlock }

// pack compresses whole blocks of old appends. What would have to be put back
// if a change were undone is not packed away with it.
func (d *Disk) pack(n *node) {
	end := min(n.size, n.filled)
	if n.packedEnd()+packedBlock+packedAfter > end || (d.used-d.packedBytes)*d.archive.disks < d.archive.plainBytesMax {
		return
	}
	d.packUpTo(n, end-packedAfter)
}

// packIdle packs what a directory's files hold, up to their ends: their process is
// down. Its replicas go on, and soon share none of their buffers with it any more.
func (d *Disk) packIdle(n *node) {
	if (d.used-d.packedBytes)*d.archive.disks < d.archive.plainBytesMax {
		return
	}
	for _, e := range n.cur {
		d.packIdle(e.node)
	}
	if !n.isDir {
		d.packUpTo(n, min(n.size, n.filled))
	}
}

// packUpTo packs the blocks that end at or below an offset.
func (d *Disk) packUpTo(n *node, end int64) {
	for i := range n.pending {
		if n.pending[i].truncate || len(n.pending[i].displaced) > 0 {
			return
		}
	}
	for n.packedEnd()+packedBlock <= end {
		from := n.packedEnd()
		plain := d.read(n, from, packedBlock)
		block := d.archive.keep(plain.Bytes())
		plain.Release()
		d.discard(n, from, from+packedBlock)
		n.packed = append(n.packed, block)
		d.packedBytes += packedBlock
	}
}

// unpack turns the packed blocks from the one that holds off on into extents
// again.
func (d *Disk) unpack(n *node, off int64) {
	if off >= n.packedEnd() {
		return
	}
	first := int(off / packedBlock)
	blocks := n.packed[first:]
	n.packed = n.packed[:first]
	d.packedBytes -= int64(len(blocks)) * packedBlock
	restored := make([]extent, 0, len(blocks)+len(n.extents))
	for i, b := range blocks {
		plain := d.pool.Get(packedBlock)
		unpackInto(plain.Bytes(), b.packed)
		d.archive.release(b)
		restored = append(restored, extent{off: int64(first+i) * packedBlock, slice: plain.All()})
		blocks[i] = nil
	}
	n.extents = append(restored, n.extents...)
	d.unpacked = unpackedBlock{}
}

func unpackInto(dst, packed []byte) {
	out, err := s2.Decode(dst, packed)
	if err != nil || len(out) != packedBlock {
		panic(fmt.Sprintf("disk: a packed block of %d bytes does not unpack: %v", len(packed), err))
	}
}

// unpackedBlock is the packed block that was read last, in plain.
type unpackedBlock struct {
	node  uint64
	index int
	data  *edge.Buffer
}

// plainBlock returns a packed block's bytes until the next call.
func (d *Disk) plainBlock(n *node, index int) []byte {
	u := &d.unpacked
	if u.data == nil {
		u.data = edge.NewBuffer(make([]byte, packedBlock))
		u.node = 0
	}
	if u.node != n.id || u.index != index {
		unpackInto(u.data.Bytes(), n.packed[index].packed)
		u.node, u.index = n.id, index
	}
	return u.data.Bytes()
}
