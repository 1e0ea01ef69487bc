package disk

// chunk is the unit in which the page cache remembers what it holds, and in
// which the device reads ahead.
const chunk = 256 << 10

// pageCache knows which chunks of which files are in memory. Chunks leave in
// the order in which they came, dirty ones excepted.
type pageCache struct {
	ring []chunkRef // oldest first, from head on
	head int
}

type chunkRef struct {
	node  *node
	id    uint64 // of the file, since node structs are reused
	index int32
}

// evictTries bounds how many dirty chunks one eviction passes over.
const evictTries = 16

func (n *node) isHot(i int64) bool {
	return int(i>>6) < len(n.hot) && n.hot[i>>6]&(1<<(i&63)) != 0
}

// cold returns how many bytes of [from, to) a read must fetch from the device.
func (c *pageCache) cold(n *node, from, to int64) int64 {
	var bytes int64
	for i := from / chunk; i*chunk < to; i++ {
		if !n.isHot(i) {
			bytes += min(to, (i+1)*chunk) - max(from, i*chunk)
		}
	}
	return bytes
}

// touch brings [from, to) into the cache.
func (c *pageCache) touch(d *Disk, n *node, from, to int64) {
	for i := from / chunk; i*chunk < to; i++ {
		if n.isHot(i) {
			continue
		}
		for int(i>>6) >= len(n.hot) {
			n.hot = append(n.hot, 0)
		}
		n.hot[i>>6] |= 1 << (i & 63)
		if d.cfg.CacheBytes > 0 {
			c.ring = append(c.ring, chunkRef{node: n, id: n.id, index: int32(i)})
			c.evict(d.cfg.CacheBytes)
		}
	}
}

func (c *pageCache) evict(limit int64) {
	for try := 0; try < evictTries && int64(len(c.ring)-c.head)*chunk > limit; try++ {
		r := c.ring[c.head]
		c.ring[c.head] = chunkRef{}
		c.head++
		if r.node.id == r.id {
			if p := r.node.pending; len(p) > 0 && int64(r.index+1)*chunk > p[0].off {
				c.ring = append(c.ring, r) // dirty: must stay
				continue
			}
			r.node.hot[r.index>>6] &^= 1 << (r.index & 63)
		}
	}
	if c.head > len(c.ring)/2 && c.head > 64 {
		k := copy(c.ring, c.ring[c.head:])
		clear(c.ring[k:])
		c.ring, c.head = c.ring[:k], 0
	}
}

// forgetAll is a machine's memory without power.
func (c *pageCache) forgetAll() {
	clear(c.ring)
	c.ring, c.head = c.ring[:0], 0
}
