package sim

import "github.com/seed-604ea8f1/windtunnel/clock"

// Source is one place where events come from: the network, a disk, a machine,
// a timeline. Each source orders its own events.
type Source int32

// Queue tells which source is next. It is a winner tree: the leaves are the
// sources, each inner node is the earlier one of its two children. The order is
// (time, sequence), the sequence being that of the calls of Set which moved a
// source; so ties are settled by who asked first.
type Queue struct {
	nodes  []queueNode // nodes[1] is the next of all, nodes[leaves+s] is source s
	leaves int         // a power of two
	seq    uint64
}

type queueNode struct {
	at     clock.Instant
	seq    uint64
	source Source
}

func (a *queueNode) before(b *queueNode) bool { return a.at < b.at || a.at == b.at && a.seq < b.seq }

// NewQueue returns a queue of n sources, none of which has an event.
func NewQueue(n int) *Queue {
	q := &Queue{leaves: 1}
	for q.leaves < n {
		q.leaves *= 2
	}
	q.nodes = make([]queueNode, 2*q.leaves)
	for i := range q.leaves {
		q.nodes[q.leaves+i] = queueNode{at: clock.Never, seq: uint64(i), source: Source(i)}
	}
	q.seq = uint64(q.leaves)
	for i := q.leaves - 1; i > 0; i-- {
		q.nodes[i] = q.nodes[2*i] // the lower sequence
	}
	return q
}

// Set says when a source has its next event; clock.Never if it has none. A
// source that is set to the time it has keeps its place among equals.
func (q *Queue) Set(s Source, at clock.Instant) {
	i := q.leaves + int(s)
	if q.nodes[i].at == at {
		return
	}
	q.seq++
	winner := queueNode{at: at, seq: q.seq, source: s}
	q.nodes[i] = winner
	for i > 1 {
		if other := &q.nodes[i^1]; other.before(&winner) {
			winner = *other
		}
		i /= 2
		if winner.source != s && q.nodes[i].source == winner.source {
			return // it won here before and has not moved, so nothing changes above
		}
		q.nodes[i] = winner
	}
}

// Next returns the source of the next event and its time; clock.Never if no
// source has one.
func (q *Queue) Next() (Source, clock.Instant) { return q.nodes[1].source, q.nodes[1].at }
