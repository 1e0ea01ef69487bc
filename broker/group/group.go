package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// group is one classic group as its coordinator has it in memory: members come
// and go here without a trace in the log. What must survive the coordinator is
// written when a generation's assignment is known or when the group has emptied.
type group struct {
	id     string
	serial uint64 // names its timers and writes; never used twice
	shard  *shard

	state, previous State
	since           clock.Wall // of the state; unknownSince for old records
	generation      int32
	protocolType    string // empty: nobody has ever joined
	protocol        *string
	leader          string    // empty: none
	members         []*member // in the order in which they joined
	pending         []pendingMember

	// Of the first rebalance of an empty group, which waits for stragglers as
	// long as they keep coming.
	newMember bool
	delay     time.Duration // the present wait
	remaining time.Duration // what may follow it

	// assigning is the generation whose assignment is on its way into the log.
	assigning int32
	leaving   *leaving
	renaming  bool // the ids of static members are on their way into the log
	writes    int  // in flight
}

// unknownSince is the time of a state change that no record tells.
const unknownSince = clock.Wall(-1)

func (g *group) member(id string) *member {
	for _, m := range g.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (g *group) static(instance string) *member {
	for _, m := range g.members {
		if m.instance != nil && *m.instance == instance {
			return m
		}
	}
	return nil
}

func (g *group) pendingAt(id string) int {
	return slices.IndexFunc(g.pending, func(p pendingMember) bool { return p.id == id })
}

// validate tells whether a request comes from a member, and not from one whose
// instance id has been taken over.
func (g *group) validate(id string, instance *string) int16 {
	if instance != nil {
		m := g.static(*instance)
		switch {
		case m == nil:
			return errUnknownMember
		case m.id != id:
			return errFencedInstance
		}
	}
	if g.member(id) == nil {
		return errUnknownMember
	}
	return errNone
}

// enter makes the transition.
func (g *group) enter(next State, now clock.Wall) {
	g.state.mustLeadTo(next, g.id)
	g.previous, g.state, g.since = g.state, next, now
}

// canRebalance says that a new rebalance may begin; during one the change joins it.
func (g *group) canRebalance() bool { return legal[g.state][PreparingRebalance] }

func (g *group) add(m *member, protocolType string) {
	if len(g.members) == 0 {
		g.protocolType = protocolType
	}
	if g.leader == "" {
		g.leader = m.id
	}
	g.members = append(g.members, m)
}

// remove takes a member out; the first of the others leads if it did.
func (g *group) remove(m *member) {
	i := slices.Index(g.members, m)
	if i < 0 {
		panic(fmt.Sprintf("group: %q removes %q, which is no member", g.id, m.id))
	}
	g.members = slices.Delete(g.members, i, i+1)
	if g.leader == m.id {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
}

func (g *group) awaitingJoin() (n int) {
	for _, m := range g.members {
		if m.join.waiting() {
			n++
		}
	}
	return n
}

func (g *group) allJoined() bool {
	return len(g.pending) == 0 && g.awaitingJoin() == len(g.members)
}

func (g *group) allSynced() bool {
	return !slices.ContainsFunc(g.members, func(m *member) bool { return m.unsynced })
}

// accepts bounds the group by group.max.size. While members rejoin, those that
// have are counted: should the group be too big, the last ones must go.
func (g *group) accepts(id string, sizeMax int64) bool {
	m := g.member(id)
	switch g.state {
	case PreparingRebalance:
		return m != nil && m.join.waiting() || int64(g.awaitingJoin()) < sizeMax
	case CompletingRebalance, Stable:
		return m != nil || int64(len(g.members)) < sizeMax
	}
	return true
}

// agrees says that a member with these protocols could be in the group: one of
// them is known to all others. The member itself counts as it was before.
func (g *group) agrees(protocolType string, protocols []kmsg.JoinGroupRequestProtocol) bool {
	if g.state == Empty {
		return protocolType != "" && len(protocols) > 0
	}
	if protocolType != g.protocolType {
		return false
	}
	return slices.ContainsFunc(protocols, func(p kmsg.JoinGroupRequestProtocol) bool { return g.common(p.Name) })
}

func (g *group) common(name string) bool {
	return !slices.ContainsFunc(g.members, func(m *member) bool { return !m.supports(name) })
}

// electProtocol lets each member vote for the first protocol of its own list
// that all have; most votes win, and the earliest member's choice a tie.
func (g *group) electProtocol() string {
	type tally struct {
		name  string
		votes int
	}
	var tallies []tally
	for _, m := range g.members {
		i := slices.IndexFunc(m.protocols, func(p protocol) bool { return g.common(p.name) })
		if i < 0 {
			panic(fmt.Sprintf("group: %q has no protocol that all members know", g.id))
		}
		name := m.protocols[i].name
		if at := slices.IndexFunc(tallies, func(t tally) bool { return t.name == name }); at >= 0 {
			tallies[at].votes++
		} else {
			tallies = append(tallies, tally{name, 1})
		}
	}
	best := tallies[0]
	for _, t := range tallies[1:] {
		if t.votes > best.votes {
			best = t
		}
	}
	return best.name
}

// electLeader keeps the leader if it has rejoined and takes the first who has
// otherwise; false if nobody has.
func (g *group) electLeader() bool {
	if m := g.member(g.leader); m != nil && m.join.waiting() {
		return true
	}
	for _, m := range g.members {
		if m.join.waiting() {
			g.leader = m.id
			return true
		}
	}
	return false
}

// nextGeneration counts the generation up and chooses its protocol.
func (g *group) nextGeneration(now clock.Wall) {
	// After 2^31-1 the numbers start anew; -1 and below mean no generation.
	if g.generation++; g.generation < 0 {
		g.generation = 0
	}
	for _, m := range g.members {
		m.unsynced = false
	}
	if len(g.members) == 0 {
		g.protocol = nil
		g.enter(Empty, now)
		return
	}
	name := g.electProtocol()
	g.protocol = &name
	g.enter(CompletingRebalance, now)
}

func (g *group) rebalanceTimeout() (longest time.Duration) {
	for _, m := range g.members {
		longest = max(longest, m.rebalanceTimeout)
	}
	return longest
}

func (g *group) protocolName() string {
	if g.protocol == nil {
		return ""
	}
	return *g.protocol
}

// assignments returns the members' assignments in the order of the members.
func (g *group) assignments() [][]byte {
	list := make([][]byte, len(g.members))
	for i, m := range g.members {
		list[i] = m.assignment
	}
	return list
}
