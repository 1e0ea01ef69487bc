package timer

import "math/bits"

// table finds the heap position of an ID: open addressing with linear probing,
// at most half full. It is faster than a map because the heap tells it each
// move by slot, without hashing, and it never shrinks or allocates once grown.
type table struct {
	slots []slot // a power of two
	used  int
}

type slot struct {
	id   ID
	heap int32
	full bool
}

const slotsMin = 16

func (id *ID) hash() uint64 {
	hi, lo := bits.Mul64(id.B^0x9e3779b97f4a7c15, 0xa0761d6478bd642f)
	x := uint64(id.A)<<16 | uint64(id.Kind)<<8 | uint64(id.Owner)
	hi2, lo2 := bits.Mul64(hi^lo^x, 0xe7037ed1a0b428db)
	return hi2 ^ lo2
}

// find returns the heap position of id, or -1.
func (t *table) find(id ID) int32 {
	if t.used == 0 {
		return -1
	}
	mask := uint64(len(t.slots) - 1)
	for i := id.hash() & mask; t.slots[i].full; i = (i + 1) & mask {
		if t.slots[i].id == id {
			return t.slots[i].heap
		}
	}
	return -1
}

// add takes in an id that the table does not hold and returns its slot. The
// entries of the heap are told their slots when the table grows.
func (t *table) add(id ID, heap int32, entries []entry) int32 {
	if 2*(t.used+1) > len(t.slots) {
		t.slots = make([]slot, max(slotsMin, 2*len(t.slots)))
		t.used = 0
		for i := range entries {
			entries[i].slot = t.place(entries[i].id, int32(i))
		}
	}
	return t.place(id, heap)
}

func (t *table) place(id ID, heap int32) int32 {
	mask := uint64(len(t.slots) - 1)
	i := id.hash() & mask
	for t.slots[i].full {
		i = (i + 1) & mask
	}
	t.slots[i] = slot{id: id, heap: heap, full: true}
	t.used++
	return int32(i)
}

// remove empties a slot and moves back what had to go past it.
func (t *table) remove(at int32, entries []entry) {
	mask := uint64(len(t.slots) - 1)
	hole := uint64(at)
	for i := (hole + 1) & mask; t.slots[i].full; i = (i + 1) & mask {
		home := t.slots[i].id.hash() & mask
		if (i-home)&mask < (i-hole)&mask {
			continue // its home lies behind the hole
		}
		t.slots[hole] = t.slots[i]
		entries[t.slots[hole].heap].slot = int32(hole)
		hole = i
	}
	t.slots[hole] = slot{}
	t.used--
}
