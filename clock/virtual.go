package clock

import "fmt"

// Virtual is the clock of a simulation: one true time, which only the
// simulator's loop moves, and one view of it per node.
type Virtual struct {
	now   Instant
	start Wall
	nodes []NodeClock
}

// NewVirtual returns a clock at instant zero, when the true wall time is start.
// All nodes see the true time until told otherwise.
func NewVirtual(start Wall, nodes int) *Virtual {
	v := &Virtual{start: start, nodes: make([]NodeClock, nodes)}
	for i := range v.nodes {
		v.nodes[i] = NewNodeClock(start)
	}
	return v
}

// Now returns the true time.
func (v *Virtual) Now() Instant { return v.now }

// Wall returns the true wall time.
func (v *Virtual) Wall() Wall { return v.start + Wall(v.now/1e6) }

// Advance moves the true time, never back.
func (v *Virtual) Advance(to Instant) {
	if to < v.now {
		panic(fmt.Sprintf("clock: true time would go back from %d to %d", v.now, to))
	}
	v.now = to
}

// Node returns the view of a node, to read or to disturb it.
func (v *Virtual) Node(i int) *NodeClock { return &v.nodes[i] }

// View is a node's Clock at the simulation's present.
type View struct {
	v    *Virtual
	node int
}

// View returns the node's clock behind the small interface.
func (v *Virtual) View(node int) View { return View{v: v, node: node} }

// Now returns the node's monotonic time.
func (w View) Now() Instant { return w.v.nodes[w.node].Now(w.v.now) }

// Wall returns the node's wall time.
func (w View) Wall() Wall { return w.v.nodes[w.node].Wall(w.v.now) }
