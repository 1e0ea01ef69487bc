package disk

import "math/bits"

// table finds the slot of a file or a queue by its id: open addressing with linear
// probing, at most half full. Every write needs two of them, and this takes a
// fraction of a map's time. It never shrinks.
type table struct {
	cells []cell // a power of two
	used  int
}

type cell struct {
	id   uint32
	slot int32 // -1: empty
}

const cellsMin = 64

func (t *table) clear() {
	t.used = 0
	for i := range t.cells {
		t.cells[i].slot = -1
	}
}

func (t *table) home(id uint32) uint32 {
	return id * 0x9e3779b1 >> (33 - uint(bits.Len(uint(len(t.cells)))))
}

// get returns the slot of an id, or -1.
func (t *table) get(id uint32) int32 {
	if t.used == 0 {
		return -1
	}
	mask := uint32(len(t.cells) - 1)
	for i := t.home(id); ; i = (i + 1) & mask {
		if c := &t.cells[i]; c.id == id || c.slot < 0 {
			return c.slot
		}
	}
}

// put takes in an id that the table does not hold.
func (t *table) put(id uint32, slot int32) {
	if 2*(t.used+1) > len(t.cells) {
		old := t.cells
		t.cells = make([]cell, max(cellsMin, 2*len(old)))
		t.clear()
		for _, c := range old {
			if c.slot >= 0 {
				t.put(c.id, c.slot)
			}
		}
	}
	mask := uint32(len(t.cells) - 1)
	i := t.home(id)
	for t.cells[i].slot >= 0 {
		i = (i + 1) & mask
	}
	t.cells[i] = cell{id, slot}
	t.used++
}

// remove forgets an id, which the table holds, and moves back what had to go past it.
func (t *table) remove(id uint32) {
	mask := uint32(len(t.cells) - 1)
	hole := t.home(id)
	for t.cells[hole].id != id || t.cells[hole].slot < 0 {
		hole = (hole + 1) & mask
	}
	for i := (hole + 1) & mask; t.cells[i].slot >= 0; i = (i + 1) & mask {
		if home := t.home(t.cells[i].id); (i-home)&mask >= (i-hole)&mask {
			t.cells[hole] = t.cells[i]
			hole = i
		}
	}
	t.cells[hole].slot = -1
	t.used--
}
