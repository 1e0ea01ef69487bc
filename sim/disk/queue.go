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
	byID    map[edge.QueueID]int32
	list    []opQueue
	free    []int32
	sweepAt int
}

const queuesBeforeSweep = 1024

func (t *queueTable) init() {
	t.byID, t.list, t.free = make(map[edge.QueueID]int32), t.list[:0], t.free[:0]
	t.sweepAt = queuesBeforeSweep
}

func (t *queueTable) find(id edge.QueueID) int32 {
	if i, ok := t.byID[id]; ok {
		return i
	}
	if len(t.byID) >= t.sweepAt {
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
	t.byID[id] = i
	return i
}

func (t *queueTable) sweep() {
	for i := range t.list {
		q := &t.list[i]
		if at, ok := t.byID[q.id]; ok && at == int32(i) && q.head < 0 {
			delete(t.byID, q.id)
			t.free = append(t.free, int32(i))
		}
	}
	t.sweepAt = max(queuesBeforeSweep, 2*len(t.byID))
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
// slots are found through a map and reused in a list.
type handles struct {
	byID map[edge.FileID]int32
	list []*node
	free []int32
}

func (h *handles) init() {
	h.byID, h.list, h.free = make(map[edge.FileID]int32), h.list[:0], h.free[:0]
}

func (h *handles) get(id edge.FileID) *node {
	i, ok := h.byID[id]
	if !ok {
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
	h.byID[id] = i
}

func (h *handles) remove(id edge.FileID) *node {
	i, ok := h.byID[id]
	if !ok {
		return nil
	}
	n := h.list[i]
	delete(h.byID, id)
	h.list[i] = nil
	h.free = append(h.free, i)
	return n
}
