package sim

import "github.com/seed-604ea8f1/windtunnel/clock"

// Source is one place where events come from: the network, a disk, a machine,
// a timeline. Each source orders its own events.
type Source int32

// Queue tells which source is next. It is a winner tree: the leaves are the
// sources, each inner node holds the earlier one of its two children. The order
// is (time, sequence), the sequence being that of the calls of Set which moved
// a source; so ties are settled by who asked first.
type Queue struct {
	keys   []queueKey
	winner []Source // of the inner nodes; winner[1] is the next of all
	leaves int      // a power of two
	seq    uint64
}

type queueKey struct {
	at  clock.Instant
	seq uint64
}

func (a queueKey) before(b queueKey) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// NewQueue returns a queue of n sources, none of which has an event.
func NewQueue(n int) *Queue {
	q := &Queue{leaves: 1}
	for q.leaves < n || q.leaves < 2 {
		q.leaves *= 2
	}
	q.keys = make([]queueKey, q.leaves)
	for i := range q.keys {
		q.keys[i] = queueKey{at: clock.Never, seq: uint64(i)}
	}
	q.seq = uint64(q.leaves)
	q.winner = make([]Source, q.leaves)
	for i := q.leaves - 1; i > 0; i-- {
		q.winner[i] = q.play(i)
	}
	return q
}

// play returns the earlier one of the two children of an inner node.
func (q *Queue) play(i int) Source {
	a, b := 2*i, 2*i+1
	var left, right Source
	if a >= q.leaves {
		left, right = Source(a-q.leaves), Source(b-q.leaves)
	} else {
		left, right = q.winner[a], q.winner[b]
	}
	if q.keys[right].before(q.keys[left]) {
		return right
	}
	return left
}

// Set says when a source has its next event; clock.Never if it has none. A
// source that is set to the time it has keeps its place among equals.
func (q *Queue) Set(s Source, at clock.Instant) {
	if q.keys[s].at == at {
		return
	}
	q.seq++
	q.keys[s] = queueKey{at: at, seq: q.seq}
	for i := (q.leaves + int(s)) / 2; i > 0; i /= 2 {
		w := q.play(i)
		if w == q.winner[i] && w != s {
			return // neither the winner nor its key has changed, nor will it above
		}
		q.winner[i] = w
	}
}

// Again moves a source behind all others that have an event at the same time.
func (q *Queue) Again(s Source, at clock.Instant) {
	if q.keys[s].at == at {
		q.keys[s].at = at + 1 // makes Set give it a new sequence
	}
	q.Set(s, at)
}

// Next returns the source of the next event and its time; clock.Never if no
// source has one.
func (q *Queue) Next() (Source, clock.Instant) {
	s := q.winner[1]
	return s, q.keys[s].at
}
