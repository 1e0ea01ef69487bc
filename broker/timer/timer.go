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
	at clock.Instant
	id ID
}

func (a *entry) before(b *entry) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.id.less(b.id)
}

// Queue holds deadlines, at most one per ID. The zero value is ready.
type Queue struct {
	heap []entry
	pos  map[ID]int
}

// Set makes id due at the instant, replacing an earlier setting.
func (q *Queue) Set(id ID, at clock.Instant) {
	if q.pos == nil {
		q.pos = make(map[ID]int)
	}
	if i, ok := q.pos[id]; ok {
		q.heap[i].at = at
		q.down(q.up(i))
		return
	}
	q.heap = append(q.heap, entry{at, id})
	q.pos[id] = len(q.heap) - 1
	q.up(len(q.heap) - 1)
}

// Cancel forgets id; it may be unknown.
func (q *Queue) Cancel(id ID) {
	if i, ok := q.pos[id]; ok {
		q.remove(i)
	}
}

// Pending tells when id is due, if it is set.
func (q *Queue) Pending(id ID) (clock.Instant, bool) {
	i, ok := q.pos[id]
	if !ok {
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
	delete(q.pos, q.heap[i].id)
	last := len(q.heap) - 1
	if i != last {
		q.heap[i] = q.heap[last]
		q.pos[q.heap[i].id] = i
	}
	q.heap = q.heap[:last]
	if i != last {
		q.down(q.up(i))
	}
}

func (q *Queue) up(i int) int {
	for i > 0 {
		p := (i - 1) / 4
		if !q.heap[i].before(&q.heap[p]) {
			break
		}
		q.swap(i, p)
		i = p
	}
	return i
}

func (q *Queue) down(i int) {
	for {
		first, n := 4*i+1, len(q.heap)
		if first >= n {
			return
		}
		best := first
		for c := first + 1; c < first+4 && c < n; c++ {
			if q.heap[c].before(&q.heap[best]) {
				best = c
			}
		}
		if !q.heap[best].before(&q.heap[i]) {
			return
		}
		q.swap(i, best)
		i = best
	}
}

func (q *Queue) swap(i, j int) {
	q.heap[i], q.heap[j] = q.heap[j], q.heap[i]
	q.pos[q.heap[i].id] = i
	q.pos[q.heap[j].id] = j
}
