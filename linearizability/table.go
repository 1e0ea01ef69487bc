package linearizability

// table maps a key to an index into a slab. It exists because the checker makes
// several lookups per batch: it is open-addressed, holds no pointers, deletes
// without tombstones and does not allocate once it has reached its size.
type table struct {
	slots []tableSlot
	mask  uint64
	used  int
}

type tableSlot struct {
	key   uint64
	value int32 // index + 1; 0 is an empty slot
}

const tableSlotsMin = 64

func hash64(key uint64) uint64 {
	key ^= key >> 32
	key *= 0x9e3779b97f4a7c15
	return key ^ key>>29
}

// get returns the index, or -1.
func (t *table) get(key uint64) int32 {
	if t.used == 0 {
		return -1
	}
	for at := hash64(key) & t.mask; ; at = (at + 1) & t.mask {
		slot := &t.slots[at]
		if slot.value == 0 {
			return -1
		}
		if slot.key == key {
			return slot.value - 1
		}
	}
}

// put adds a key that is not in the table.
func (t *table) put(key uint64, index int32) {
	if 2*(t.used+1) > len(t.slots) {
		t.grow()
	}
	at := hash64(key) & t.mask
	for t.slots[at].value != 0 {
		at = (at + 1) & t.mask
	}
	t.slots[at] = tableSlot{key: key, value: index + 1}
	t.used++
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]tableSlot, max(tableSlotsMin, 2*len(old)))
	t.mask = uint64(len(t.slots) - 1)
	t.used = 0
	for _, slot := range old {
		if slot.value != 0 {
			t.put(slot.key, slot.value-1)
		}
	}
}

// remove deletes the key if it is there, closing the gap behind it.
func (t *table) remove(key uint64) {
	if t.used == 0 {
		return
	}
	at := hash64(key) & t.mask
	for t.slots[at].key != key || t.slots[at].value == 0 {
		if t.slots[at].value == 0 {
			return
		}
		at = (at + 1) & t.mask
	}
	t.used--
	for next := at; ; {
		next = (next + 1) & t.mask
		slot := t.slots[next]
		if slot.value == 0 {
			break
		}
		// A slot may move back only as far as the place it hashes to.
		if home := hash64(slot.key) & t.mask; (next-home)&t.mask >= (next-at)&t.mask {
			t.slots[at] = slot
			at = next
		}
	}
	t.slots[at] = tableSlot{}
}
