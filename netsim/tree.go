package netsim

import "github.com/seed-604ea8f1/windtunnel/clock"

// tree is a winner tree over directions: each leaf holds when its direction has
// something to do next, each inner node the earlier of its two children. Its
// cost grows with the logarithm of the directions and not with the frames in
// flight.
type tree struct {
	nodes  []treeNode // nodes[1] is the root, nodes[leaves+i] the leaf of direction i
	leaves int32
}

// treeNode orders by time and then by sequence.
type treeNode struct {
	due clock.Instant
	seq uint64
	dir int32
}

const treeLeavesMin = 16

func (t *tree) init() { t.build(treeLeavesMin) }

func (t *tree) build(leaves int32) {
	old, oldLeaves := t.nodes, t.leaves
	t.nodes, t.leaves = make([]treeNode, 2*leaves), leaves
	for i := range leaves {
		t.nodes[leaves+i] = treeNode{due: clock.Never, dir: i}
		if i < oldLeaves {
			t.nodes[leaves+i] = old[oldLeaves+i]
		}
	}
	for i := leaves - 1; i > 0; i-- {
		t.nodes[i] = t.winner(i)
	}
}

func (t *tree) winner(i int32) treeNode {
	a, b := &t.nodes[2*i], &t.nodes[2*i+1]
	if b.due < a.due || b.due == a.due && b.seq < a.seq {
		return *b
	}
	return *a
}

// grow makes room for direction dir.
func (t *tree) grow(dir int32) {
	if dir >= t.leaves {
		t.build(2 * t.leaves)
	}
}

// set replaces what a direction waits for.
func (t *tree) set(dir int32, due clock.Instant, seq uint64) {
	nodes := t.nodes
	i := t.leaves + dir
	w := treeNode{due: due, seq: seq, dir: dir}
	if nodes[i] == w {
		return
	}
	nodes[i] = w
	for i > 1 {
		// Two that are never due may tie; then it does not matter who wins.
		if o := &nodes[i^1]; o.due < w.due || o.due == w.due && o.seq < w.seq {
			w = *o
		}
		i >>= 1
		if at := &nodes[i]; at.dir == w.dir && at.due == w.due && at.seq == w.seq {
			return // the other child still wins: nothing changes above
		}
		nodes[i] = w
	}
}

func (t *tree) min() *treeNode { return &t.nodes[1] }
