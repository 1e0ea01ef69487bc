package disk

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// opQueue is the FIFO of one edge.QueueID; its head is the running operation.
type opQueue struct {
	id         edge.QueueID
	head, tail int32
	length     int32
}

// queueTable finds a queue by its id. Idle queues are forgotten when there are
// twice as many as were busy the last time.
type queueTable struct {
	byID    table
	list    []opQueue
	free    []int32
	sweepAt int
}

const queuesBeforeSweep = 1024

func (t *queueTable) init() {
	t.byID.clear()
	t.list, t.free = t.list[:0], t.free[:0]
	t.sweepAt = queuesBeforeSweep
}

func (t *queueTable) find(id edge.QueueID) int32 {
	if i := t.byID.get(uint32(id)); i >= 0 {
		return i
	}
	if t.byID.used >= t.sweepAt {
		t.sweep()
	}
	q := opQueue{id: id, head: -1, tail: -1}
	var i int32
	if n := len(t.free); n > 0 {
		i = t.free[n-1]
		t.free = t.free[:n-1]
		t.list[i] = q
	} else {
		i = int32(len(t.list))
		t.list = append(t.list, q)
	}
	t.byID.put(uint32(id), i)
	return i
}

func (t *queueTable) sweep() {
	for i := range t.list {
		q := &t.list[i]
		if q.head < 0 && t.byID.get(uint32(q.id)) == int32(i) {
			t.byID.remove(uint32(q.id))
			t.free = append(t.free, int32(i))
		}
	}
	t.sweepAt = max(queuesBeforeSweep, 2*t.byID.used)
}

// run is an operation that will have ended at an instant.
type run struct {
	at  clock.Instant
	seq uint64
	op  int32
}

func (a run) before(b run) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// runHeap orders running operations by their end. It is as long as there are
// busy queues and write-backs.
type runHeap struct {
	list []run
	now  clock.Instant // end of the last operation popped
}

// rebuild makes the list, which shares the heap's memory, the new contents.
func (h *runHeap) rebuild(list []run) {
	h.list = h.list[:0]
	for _, r := range list {
		h.push(r)
	}
}

func (h *runHeap) next() clock.Instant {
	if len(h.list) == 0 {
		return clock.Never
	}
	return h.list[0].at
}

func (h *runHeap) push(r run) {
	h.list = append(h.list, r)
	i := len(h.list) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !r.before(h.list[up]) {
			break
		}
		h.list[i] = h.list[up]
		i = up
	}
	h.list[i] = r
}

func (h *runHeap) pop() run {
	top := h.list[0]
	h.now = top.at
	n := len(h.list) - 1
	r := h.list[n]
	h.list = h.list[:n]
	i := 0
	for {
		c := 2*i + 1
		if c >= n {
			break
		}
		if c+1 < n && h.list[c+1].before(h.list[c]) {
			c++
		}
		if !h.list[c].before(r) {
			break
		}
		h.list[i] = h.list[c]
		i = c
	}
	if n > 0 {
		h.list[i] = r
	}
	return top
}

// handles are the open files. FileIDs are never used twice within a boot, so
// slots are found through a table and reused in a list.
type handles struct {
	byID table
	list []*node
	free []int32
}

func (h *handles) init() {
	h.byID.clear()
	h.list, h.free = h.list[:0], h.free[:0]
}

func (h *handles) get(id edge.FileID) *node {
	i := h.byID.get(uint32(id))
	if i < 0 {
		return nil
	}
	return h.list[i]
}

func (h *handles) put(id edge.FileID, n *node) {
	var i int32
	if f := len(h.free); f > 0 {
		i = h.free[f-1]
		h.free = h.free[:f-1]
		h.list[i] = n
	} else {
		i = int32(len(h.list))
		h.list = append(h.list, n)
	}
	h.byID.put(uint32(id), i)
}

func (h *handles) remove(id edge.FileID) *node {
	i := h.byID.get(uint32(id))
	if i < 0 {
		return nil
	}
	n := h.list[i]
	h.byID.remove(uint32(id))
	h.list[i] = nil
	h.free = append(h.free, i)
	return n
}
