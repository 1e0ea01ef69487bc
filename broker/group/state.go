package group

import "fmt"

// State is the state of a classic group. Legal transitions:
//
//	Empty               -> PreparingRebalance   the first member joins
//	Stable              -> PreparingRebalance   somebody joins, leaves, expires or changes its mind
//	CompletingRebalance -> PreparingRebalance   the same, or a member did not sync in time
//	PreparingRebalance  -> CompletingRebalance  all have joined, or the others have run out of time
//	PreparingRebalance  -> Empty                nobody has
//	CompletingRebalance -> Stable               the leader's assignment is in the log
//	any                 -> Dead                 the group is removed, or its coordinator moves away
type State uint8

// The states.
const (
	Empty State = iota
	PreparingRebalance
	CompletingRebalance
	Stable
	Dead
)

func (s State) String() string {
	return [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}[s]
}

// legal[from][to].
var legal = [...][5]bool{
	Empty:               {PreparingRebalance: true, Dead: true},
	PreparingRebalance:  {CompletingRebalance: true, Empty: true, Dead: true},
	CompletingRebalance: {PreparingRebalance: true, Stable: true, Dead: true},
	Stable:              {PreparingRebalance: true, Dead: true},
	Dead:                {},
}

func (s State) mustLeadTo(next State, group string) {
	if !legal[s][next] {
		panic(fmt.Sprintf("group: %q moves from %s to %s", group, s, next))
	}
}
