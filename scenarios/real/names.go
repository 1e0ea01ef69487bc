package real

import "time"

// Everybody's name is an address of a proxy, and is looked up when a connection is
// made: a proxy that hears who is calling plays the name service.

// A resolver asks questionsMax times and waits questionTime for each answer.
const (
	questionsMax = 2
	questionTime = 5 * time.Second
)

// setNameless begins (by 1) or ends (by -1) a fault in which parties get no answer
// when they ask for a name. Connections that stand go on.
func (n *network) setNameless(parties []string, by int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, p := range parties {
		n.nameless[p] += by
	}
}

// lookUp is false if the caller's questions for a name were not answered. As far as
// he can tell the connection is not there yet: nothing passes.
func (n *network) lookUp(caller string) bool {
	for range questionsMax {
		n.mu.Lock()
		answered := n.nameless[caller] == 0
		n.mu.Unlock()
		if answered {
			return true
		}
		if !sleep(n.life, questionTime) { // what the fault takes from the caller
			return false
		}
	}
	return false
}

// move gives parties other addresses: what is connected to the old ones, or from
// them, hears nothing any more and is not told so.
func (n *network) move(parties []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.links {
		for _, p := range parties {
			k.deaf = k.deaf || k.caller == p || k.node == p
		}
	}
}
