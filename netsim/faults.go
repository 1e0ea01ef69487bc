package netsim

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// CutID, HoldID and DegradeID name a fault in force. The caller chooses them;
// one id is in force at most once at a time.
type (
	CutID     int32
	HoldID    int32
	DegradeID int32
)

// FaultsMax bounds the faults of one kind that are in force at once.
const FaultsMax = 1 << 12

// Pair is an ordered pair of hosts.
type Pair struct{ From, To HostID }

// Match says which frames a hold takes out.
type Match struct {
	// Any matches every frame from -> to. Otherwise only requests match: frames
	// from the host that dialled, whose first two bytes are the API key.
	Any bool
	API int16
}

// Degradation is added to the links that it covers. Several may overlap:
// latencies and parts per million add up, and each rate applies.
type Degradation struct {
	Latency        time.Duration // added to each one-way latency
	Jitter         time.Duration // added uniformly in [-Jitter, +Jitter]
	LossPPM        int32
	BytesPerSecond int64 // one rate shared by all pairs that the fault covers; 0: none
	DuplicatePPM   int32 // TCP drops the copy: it costs bandwidth only
	ReorderPPM     int32 // TCP puts it right: the frame comes one latency later
}

type cut struct {
	id    CutID
	pairs []Pair
}

type hold struct {
	id    HoldID
	pairs []Pair
	match Match
}

type degrade struct {
	id    DegradeID
	pairs []Pair
	what  Degradation
	pipe  int32
}

// Cut makes packets from each of from to each of to vanish until Heal. Cuts may
// overlap. A host is never cut from itself. Whether a packet vanishes is decided
// when it would arrive.
func (n *Network) Cut(id CutID, from, to []HostID) { n.CutPairs(id, product(from, to)) }

// CutPairs is Cut for a list of ordered pairs, as Shape.Pairs returns them.
func (n *Network) CutPairs(id CutID, pairs []Pair) {
	i, found := slices.BinarySearchFunc(n.cuts, id, func(c cut, id CutID) int { return cmp.Compare(c.id, id) })
	assertNew("cut", int32(id), found, len(n.cuts))
	c := cut{id: id, pairs: distinct(pairs)}
	n.cuts = slices.Insert(n.cuts, i, c)
	for _, p := range c.pairs {
		n.paths[n.pathIndex(p.From, p.To)].cuts++
	}
}

// Heal ends a cut. Stalled connections move again at their next
// retransmission. It tells whether the cut was in force.
func (n *Network) Heal(id CutID) bool {
	i, found := slices.BinarySearchFunc(n.cuts, id, func(c cut, id CutID) int { return cmp.Compare(c.id, id) })
	if !found {
		return false
	}
	for _, p := range n.cuts[i].pairs {
		n.paths[n.pathIndex(p.From, p.To)].cuts--
	}
	n.cuts = slices.Delete(n.cuts, i, i+1)
	return true
}

// Hold takes matching frames from each of from to each of to out when they
// arrive, until Release. TCP keeps order, so what is behind such a frame on the
// same connection waits as well; other connections pass. The sender notices
// nothing: its kernel got the acknowledgement.
func (n *Network) Hold(id HoldID, from, to []HostID, match Match) {
	i, found := slices.BinarySearchFunc(n.holds, id, func(h hold, id HoldID) int { return cmp.Compare(h.id, id) })
	assertNew("hold", int32(id), found, len(n.holds))
	h := hold{id: id, pairs: distinct(product(from, to)), match: match}
	n.holds = slices.Insert(n.holds, i, h)
	for _, p := range h.pairs {
		n.paths[n.pathIndex(p.From, p.To)].holds++
	}
}

// Release ends a hold: what it kept back, and no other hold matches, arrives
// now. It tells whether the hold was in force.
func (n *Network) Release(now clock.Instant, id HoldID) bool {
	n.observe(now)
	i, found := slices.BinarySearchFunc(n.holds, id, func(h hold, id HoldID) int { return cmp.Compare(h.id, id) })
	if !found {
		return false
	}
	for _, p := range n.holds[i].pairs {
		n.paths[n.pathIndex(p.From, p.To)].holds--
	}
	n.holds = slices.Delete(n.holds, i, i+1)
	for d := range int32(len(n.dirs)) {
		if r := &n.dirs[d]; r.held {
			r.held = false
			r.floor = max(r.floor, now)
			n.schedule(d)
		}
	}
	return true
}

// matches tells whether a hold in force takes the frame out.
func (n *Network) matches(d int32, f *frame) bool {
	r := &n.dirs[d]
	for i := range n.holds {
		h := &n.holds[i]
		if _, covered := slices.BinarySearchFunc(h.pairs, Pair{r.from, r.to}, comparePairs); !covered {
			continue
		}
		b := f.buffer.Bytes()
		if h.match.Any || d&1 == 0 && len(b) >= 2 && int16(binary.BigEndian.Uint16(b)) == h.match.API {
			return true
		}
	}
	return false
}

// Degrade makes the links from each of from to each of to worse until Restore. A
// rate holds for what has not left its sender yet.
func (n *Network) Degrade(now clock.Instant, id DegradeID, from, to []HostID, d Degradation) {
	i, found := slices.BinarySearchFunc(n.degrades, id, func(g degrade, id DegradeID) int { return cmp.Compare(g.id, id) })
	assertNew("degradation", int32(id), found, len(n.degrades))
	check := Link{Latency: Constant(d.Latency), Jitter: d.Jitter, BytesPerSecond: d.BytesPerSecond, LossPPM: d.LossPPM}
	if err := check.validate(); err != nil || min(d.DuplicatePPM, d.ReorderPPM) < 0 {
		panic(fmt.Sprintf("netsim: degradation %d: %v: %+v", id, err, d))
	}
	n.observe(now)
	g := degrade{id: id, pairs: distinct(product(from, to)), what: d, pipe: n.addPipe(d.BytesPerSecond)}
	n.degrades = slices.Insert(n.degrades, i, g)
	n.change(now, &g)
}

// Restore ends a degradation: what its rate has kept at its sender is sent at the
// rates that are left. It tells whether it was in force.
func (n *Network) Restore(now clock.Instant, id DegradeID) bool {
	i, found := slices.BinarySearchFunc(n.degrades, id, func(g degrade, id DegradeID) int { return cmp.Compare(g.id, id) })
	if !found {
		return false
	}
	n.observe(now)
	g := n.degrades[i]
	n.degrades = slices.Delete(n.degrades, i, i+1)
	n.change(now, &g)
	if g.pipe >= 0 {
		n.idlePipes = append(n.idlePipes, g.pipe)
	}
	return true
}

// change makes paths what they are since a degradation has begun or ended.
func (n *Network) change(now clock.Instant, g *degrade) {
	if g.pipe < 0 {
		n.resolve(g.pairs)
		return
	}
	queued := n.waiting(now, g.pairs)
	n.resolve(g.pairs)
	n.requeue(now, queued)
}

// resolve adds up the degradations in force for each of the pairs.
func (n *Network) resolve(pairs []Pair) {
	for _, pair := range pairs {
		p := &n.paths[n.pathIndex(pair.From, pair.To)]
		p.extraLatency, p.extraJitter, p.loss, p.duplicate, p.reorder = 0, 0, p.linkLoss, 0, 0
		p.pipes = p.pipes[:p.linkPipes]
		for i := range n.degrades {
			g := &n.degrades[i]
			if _, covered := slices.BinarySearchFunc(g.pairs, pair, comparePairs); !covered {
				continue
			}
			p.extraLatency += int64(g.what.Latency)
			p.extraJitter += int64(g.what.Jitter)
			p.loss = min(p.loss+g.what.LossPPM, million)
			p.duplicate = min(p.duplicate+g.what.DuplicatePPM, million)
			p.reorder = min(p.reorder+g.what.ReorderPPM, million)
			p.pipes = joinPipes(p.pipes, g.pipe)
		}
	}
}

// ResetConnections resets every connection with one end in a and the other in
// b, as a middlebox beside both that sends RST to each: attempts fail,
// connections are closed, what was in flight is lost.
func (n *Network) ResetConnections(now clock.Instant, a, b []HostID) {
	n.observe(now)
	pairs := distinct(product(a, b))
	for d := int32(0); int(d) < len(n.dirs); d += 2 {
		if !n.joins(d, pairs) || n.lookingUp(d) {
			continue
		}
		if n.dirs[d].end == endDialing {
			n.dirs[d].attempt.phase = refusedSent
			n.waitDial(d, now)
			continue
		}
		for _, e := range [...]int32{d, d + 1} {
			n.truncate(e, 0)
			n.stopTimer(e)
			n.schedule(e)
		}
		for _, e := range [...]int32{d, d + 1} {
			if n.dirs[e].end == endOpen {
				n.abort(e, now)
			}
		}
		n.freeIfDone(d)
	}
}

// HalfOpen turns every connection with one end in a and the other in b into a
// black hole, as a middlebox does that forgets its state: both ends believe in
// it, nothing passes, and each end learns of it only by its own retransmission
// limit or by giving up. Connections made later are sound.
func (n *Network) HalfOpen(now clock.Instant, a, b []HostID) {
	n.observe(now)
	pairs := distinct(product(a, b))
	for d := int32(0); int(d) < len(n.dirs); d += 2 {
		if n.joins(d, pairs) && !n.lookingUp(d) {
			n.dirs[d].black, n.dirs[d+1].black = true, true
		}
	}
}

// SetLookups says whether the lookups of a host are answered: the name service
// that it asks is there or not. Connections that stand do not ask.
func (n *Network) SetLookups(h HostID, answered bool) { n.hosts[h].mute = !answered }

// lookingUp tells whether a connection is not yet more than a question for a name.
func (n *Network) lookingUp(d int32) bool {
	r := &n.dirs[d&^1]
	return r.end == endDialing && r.attempt.phase == lookup
}

// joins tells whether a connection is between the hosts of one of the pairs.
func (n *Network) joins(d int32, pairs []Pair) bool {
	r := &n.dirs[d]
	if r.from < 0 {
		return false
	}
	_, one := slices.BinarySearchFunc(pairs, Pair{r.from, r.to}, comparePairs)
	_, other := slices.BinarySearchFunc(pairs, Pair{r.to, r.from}, comparePairs)
	return one || other
}

func product(from, to []HostID) []Pair {
	pairs := make([]Pair, 0, len(from)*len(to))
	for _, f := range from {
		for _, t := range to {
			pairs = append(pairs, Pair{f, t})
		}
	}
	return pairs
}

// distinct returns the pairs sorted, each once, without a host and itself.
func distinct(pairs []Pair) []Pair {
	out := slices.DeleteFunc(slices.Clone(pairs), func(p Pair) bool { return p.From == p.To })
	slices.SortFunc(out, comparePairs)
	return slices.Compact(out)
}

func assertNew(what string, id int32, found bool, count int) {
	if found || count == FaultsMax {
		panic(fmt.Sprintf("netsim: %s %d is in force already, or %d of %d are", what, id, count, FaultsMax))
	}
}
