package netsim

import (
	"cmp"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// waiting is a frame, or the rest of one, that has not left its sender.
type waiting struct {
	dir   int32
	index uint32 // in the direction's ring, from its head on
	left  clock.Instant
	seq   uint64
	bytes int64
}

// waiting returns what has still to pass the pipes of the pairs, in the order in
// which it will. Of a frame on its way through the slowest of its pipes the rest
// counts.
func (n *Network) waiting(now clock.Instant, pairs []Pair) (out []waiting) {
	for d := range int32(len(n.dirs)) {
		r := &n.dirs[d]
		if _, covered := slices.BinarySearchFunc(pairs, Pair{r.from, r.to}, comparePairs); !covered {
			continue
		}
		slowest := int64(1)
		for _, i := range n.paths[r.path].pipes {
			slowest = max(slowest, n.pipes[i].rate)
		}
		for i := range r.count {
			if f := r.at(i); f.left > now {
				rest := min(wireBytes(f.buffer), int64(f.left-now)<<10/slowest)
				out = append(out, waiting{dir: d, index: i, left: f.left, seq: f.seq, bytes: rest})
			}
		}
	}
	slices.SortFunc(out, func(a, b waiting) int { return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.seq, b.seq)) })
	return out
}

// requeue sends what is waiting through the pipes that its path has now, since a
// link whose bandwidth changes does so for all that has not been sent. A pipe that
// had been given these bytes before is not given them twice: it is through with
// everything when it would have been, or when they have passed, if that is later.
func (n *Network) requeue(now clock.Instant, list []waiting) {
	for i := range list {
		for _, pipe := range n.paths[n.dirs[list[i].dir].path].pipes {
			q := &n.pipes[pipe]
			q.busy -= clock.Instant(list[i].bytes * q.rate >> 10)
		}
	}
	for i := range list {
		w := &list[i]
		r := &n.dirs[w.dir]
		p, f := &n.paths[r.path], r.at(w.index)
		f.left = n.pass(p, now, w.bytes)
		if f.lost {
			n.moveTimer(w, f.left, now)
		} else {
			f.ready = f.left + n.latency(p)
		}
		n.schedule(w.dir)
	}
}

// moveTimer lets a time-out that was to begin when a lost frame had left begin when
// it leaves now. Of several lost frames the first started the timer.
func (n *Network) moveTimer(w *waiting, left, now clock.Instant) {
	r := &n.dirs[w.dir]
	for i := range w.index {
		if r.at(i).lost {
			return
		}
	}
	if r.tick != clock.Never && !r.stalled && r.retries == 0 {
		r.tick = max(now, r.tick+left-w.left)
	}
}
