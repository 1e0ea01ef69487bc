// Package timer owns a node's deadlines. A node asks its host for one wake-up
// only; which of its many deadlines that serves is decided here, in the order
// (instant, identity), so that it repeats.
//
// It never runs code: a due timer is a typed ID that the node looks up.
package timer

import (
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// ID names a deadline: who owns it (Owner, a node's table of components), what
// for, and which object.
type ID struct {
	Owner uint8
	Kind  uint8
	A     uint32
	B     uint64
}

func (a ID) less(b ID) bool {
	if a.Owner != b.Owner {
		return a.Owner < b.Owner
	}
	if a.Kind != b.Kind {
		return a.Kind < b.Kind
	}
	if a.A != b.A {
		return a.A < b.A
	}
	return a.B < b.B
}

type entry struct {
	at   clock.Instant
	id   ID
	slot int32 // of the table
}

func (a *entry) before(b *entry) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.id.less(b.id)
}

// Queue holds deadlines, at most one per ID. The zero value is ready.
type Queue struct {
	heap  []entry
	table table
}

// Set makes id due at the instant, replacing an earlier setting.
func (q *Queue) Set(id ID, at clock.Instant) {
	if i := q.table.find(id); i >= 0 {
		if old := q.heap[i].at; old != at {
			q.heap[i].at = at
			q.fix(int(i))
		}
		return
	}
	i := len(q.heap)
	q.heap = append(q.heap, entry{at: at, id: id, slot: q.table.add(id, int32(i), q.heap)})
	q.up(i)
}

// Cancel forgets id; it may be unknown.
func (q *Queue) Cancel(id ID) {
	if i := q.table.find(id); i >= 0 {
		q.remove(int(i))
	}
}

// Pending tells when id is due, if it is set.
func (q *Queue) Pending(id ID) (clock.Instant, bool) {
	i := q.table.find(id)
	if i < 0 {
		return clock.Never, false
	}
	return q.heap[i].at, true
}

// Next returns the earliest deadline, or clock.Never.
func (q *Queue) Next() clock.Instant {
	if len(q.heap) == 0 {
		return clock.Never
	}
	return q.heap[0].at
}

// Pop takes the earliest deadline that is due at now.
func (q *Queue) Pop(now clock.Instant) (ID, bool) {
	if len(q.heap) == 0 || q.heap[0].at > now {
		return ID{}, false
	}
	id := q.heap[0].id
	q.remove(0)
	return id, true
}

// Len returns the number of deadlines.
func (q *Queue) Len() int { return len(q.heap) }

func (q *Queue) remove(i int) {
	q.table.remove(q.heap[i].slot, q.heap)
	last := len(q.heap) - 1
	if i != last {
		q.put(i, q.heap[last])
	}
	q.heap = q.heap[:last]
	if i != last {
		q.fix(i)
	}
}

// fix moves an entry whose instant has changed to where it belongs.
func (q *Queue) fix(i int) {
	if !q.up(i) {
		q.down(i)
	}
}

func (q *Queue) put(i int, e entry) {
	q.heap[i] = e
	q.table.slots[e.slot].heap = int32(i)
}

func (q *Queue) up(i int) (moved bool) {
	e := q.heap[i]
	start := i
	for i > 0 {
		p := (i - 1) / 4
		if !e.before(&q.heap[p]) {
			break
		}
		q.put(i, q.heap[p])
		i = p
	}
	if i == start {
		return false
	}
	q.put(i, e)
	return true
}

func (q *Queue) down(i int) {
	e := q.heap[i]
	start := i
	for {
		first, n := 4*i+1, len(q.heap)
		if first >= n {
			break
		}
		best := first
		for c := first + 1; c < first+4 && c < n; c++ {
			if q.heap[c].before(&q.heap[best]) {
				best = c
			}
		}
		if !q.heap[best].before(&e) {
			break
		}
		q.put(i, q.heap[best])
		i = best
	}
	if i != start {
		q.put(i, e)
	}
}
