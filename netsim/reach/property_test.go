package reach_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/netsim/reach"
)

const (
	// soon is more than the three legs of a handshake and less than any time-out.
	soon = 60 * time.Millisecond
	// later is more than the first time-out of a sender.
	later = time.Second
	// calm is more than any pause between two attempts that a cut of stagesMax
	// stages brings about.
	calm      = 5 * time.Minute
	stagesMax = 6
	// givesUp is more than Retries2 time-outs in vain.
	givesUp = 20 * time.Minute
)

// bench is a drawn network whose hosts are all connected, in as many rounds as
// are wanted.
type bench struct {
	t     *rapid.T
	n     *netsim.Network
	m     *reach.Mesh
	hosts []netsim.HostID
	zones []string // of each host
}

func newBench(t *rapid.T, hostsMin, rounds, dialled int) *bench {
	b := &bench{t: t}
	topology := netsim.Topology{
		Loopback:  netsim.Link{Latency: netsim.Constant(10 * time.Microsecond)},
		SameZone:  netsim.Link{Latency: netsim.Uniform(50*time.Microsecond, time.Millisecond)},
		CrossZone: netsim.Link{Latency: netsim.Uniform(time.Millisecond, 10*time.Millisecond)},
	}
	for i := range rapid.IntRange(hostsMin, 6).Draw(t, "hosts") {
		zone := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "zone")
		topology.Hosts = append(topology.Hosts, netsim.Host{Name: fmt.Sprint(zone, i), Zone: zone, Ports: reach.Ports(rounds)})
		b.zones, b.hosts = append(b.zones, zone), append(b.hosts, netsim.HostID(i))
	}
	b.n = netsim.New(topology, rapid.Uint64().Draw(t, "seed"))
	for _, h := range b.hosts {
		b.n.SetListening(h, true)
	}
	b.m = reach.New(b.n, 0, len(b.hosts), rounds)
	for round := range dialled {
		b.m.Dial(round)
	}
	b.run(later)
	for round := range dialled {
		b.want("opened before any fault", b.m.Open(round), reach.All(len(b.hosts)))
	}
	return b
}

func (b *bench) run(d time.Duration) {
	if err := b.m.Run(b.m.Now().Add(d)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) want(what string, got, want reach.Matrix) {
	b.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		names := make([]string, len(b.hosts))
		for i := range names {
			names[i] = b.n.HostName(netsim.HostID(i))
		}
		b.t.Fatalf("%s at %v: is\n%sand must be\n%s", what, b.m.Now(), got.Text(names), want.Text(names))
	}
}

// probe sends on a round and looks at what has come a moment later.
func (b *bench) probe(what string, round int, api int16, requests, answers reach.Matrix) {
	b.t.Helper()
	b.m.Send(round, api)
	b.run(soon)
	b.want(what+", requests", b.m.Requests(round), requests)
	b.want(what+", answers", b.m.Answers(round), answers)
}

func (b *bench) pairs(holds func(from, to netsim.HostID) bool) reach.Matrix {
	return reach.Pairs(len(b.hosts), holds)
}

// some draws a set of hosts, which may be empty.
func (b *bench) some(label string) (set []netsim.HostID) {
	chosen := rapid.IntRange(0, 1<<len(b.hosts)-1).Draw(b.t, label)
	for _, h := range b.hosts {
		if chosen>>h&1 == 1 {
			set = append(set, h)
		}
	}
	return set
}

// inZone returns the hosts of a zone, and all others.
func (b *bench) inZone(zone string) (in, out []netsim.HostID) {
	for _, h := range b.hosts {
		if b.zones[h] == zone {
			in = append(in, h)
		} else {
			out = append(out, h)
		}
	}
	return in, out
}

// oneWay is what a cut means: packets from each of the first set to each of the
// second vanish, but those of a host to itself.
func oneWay(from, to []netsim.HostID) func(a, b netsim.HostID) bool {
	return func(a, b netsim.HostID) bool {
		return a != b && slices.Contains(from, a) && slices.Contains(to, b)
	}
}

// inForce is a cut and its meaning.
type inForce struct {
	id   netsim.CutID
	cuts func(from, to netsim.HostID) bool
}

// begin draws a cut and makes it.
func (b *bench) begin(id netsim.CutID) inForce {
	switch rapid.SampledFrom([]string{"one way", "both ways", "zone", "shape"}).Draw(b.t, "kind") {
	case "one way":
		from, to := b.some("from"), b.some("to")
		b.n.Cut(id, from, to)
		return inForce{id, oneWay(from, to)}
	case "both ways":
		one, other := b.some("one"), b.some("other")
		there, back := oneWay(one, other), oneWay(other, one)
		var list []netsim.Pair // with pairs that stand in it twice, and hosts with themselves
		for _, x := range one {
			for _, y := range other {
				list = append(list, netsim.Pair{From: x, To: y}, netsim.Pair{From: y, To: x})
			}
		}
		b.n.CutPairs(id, list)
		return inForce{id, func(x, y netsim.HostID) bool { return there(x, y) || back(x, y) }}
	case "zone":
		in, out := b.inZone(rapid.SampledFrom(b.zones).Draw(b.t, "of"))
		if rapid.Bool().Draw(b.t, "inwards") {
			in, out = out, in
		}
		b.n.Cut(id, in, out)
		return inForce{id, oneWay(in, out)}
	}
	list := rapid.SampledFrom(shapes).Draw(b.t, "shape").Pairs(b.hosts, rand.NewPCG(rapid.Uint64().Draw(b.t, "drawn"), 0))
	b.n.CutPairs(id, list)
	return inForce{id, func(x, y netsim.HostID) bool { return slices.Contains(list, netsim.Pair{From: x, To: y}) }}
}

var shapes = []netsim.Shape{netsim.Halves, netsim.Majority, netsim.Isolate, netsim.Bridge, netsim.MajoritiesRing}

// Goal: while cuts are in force, a frame arrives exactly where none of them lies
// on its way, whichever of them came first and whichever is healed first; who
// connects meanwhile needs both ways; when all are healed, everybody reaches
// everybody, and no connection has lost anything or got it in another order.
// Method: random topologies and stories of overlapping cuts; in each chapter
// connections that were quiet so far show what passes, and again after their
// first time-out, when TCP's window is shut where the acknowledgements are cut
// off; the meaning of each cut is computed from the sets that it was given.
func TestOverlappingCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages := rapid.IntRange(1, stagesMax).Draw(t, "stages")
		b := newBench(t, 2, 2*stages, stages)
		var cuts []inForce
		passes := func(from, to netsim.HostID) bool {
			return !slices.ContainsFunc(cuts, func(c inForce) bool { return c.cuts(from, to) })
		}
		bothWays := func(x, y netsim.HostID) bool { return passes(x, y) && passes(y, x) }
		b.m.Arrived = func(from, to netsim.HostID) {
			if !passes(from, to) {
				t.Fatalf("at %v a frame from %s arrived at %s over a cut", b.m.Now(), b.n.HostName(from), b.n.HostName(to))
			}
		}
		for stage := range stages {
			if len(cuts) > 0 && rapid.Bool().Draw(t, "heal") {
				i := rapid.IntRange(0, len(cuts)-1).Draw(t, "which")
				if !b.n.Heal(cuts[i].id) {
					t.Fatalf("cut %d is not in force", cuts[i].id)
				}
				cuts = slices.Delete(cuts, i, i+1)
			} else {
				cuts = append(cuts, b.begin(netsim.CutID(stage)))
			}
			quiet, fresh := stage, stages+stage
			b.m.Dial(fresh)
			b.probe("at once", quiet, 0, b.pairs(passes), b.pairs(passes))
			b.want("connects", b.m.Dialled(fresh), b.pairs(bothWays))
			b.want("is connected to", b.m.Open(fresh), b.pairs(bothWays))
			if rapid.Bool().Draw(t, "long") {
				b.run(later)
				b.probe("after the first time-out", quiet, 0, b.pairs(bothWays), b.pairs(bothWays))
				b.want("connects at the second try", b.m.Open(fresh), b.pairs(bothWays))
			}
			b.m.Send(quiet, 0) // on its way when the next cut begins
			b.m.Send(fresh, 0)
		}
		for _, c := range cuts {
			b.n.Heal(c.id)
		}
		cuts = nil
		b.run(calm)
		all := reach.All(len(b.hosts))
		for round := range 2 * stages {
			b.want("open after the heal", b.m.Open(round), all)
			b.probe("after the heal", round, 0, all, all)
		}
	})
}

// Goal: each shape cuts the network as its name says. Method: who reaches whom is
// measured and compared with what Jepsen's words mean, for all numbers of hosts
// and draws.
func TestShapesOnTheNetwork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := rapid.SampledFrom(shapes).Draw(t, "shape")
		b := newBench(t, 3, 1, 1)
		b.n.CutPairs(1, shape.Pairs(b.hosts, rand.NewPCG(rapid.Uint64().Draw(t, "drawn"), 0)))
		b.m.Send(0, 0)
		b.run(soon)
		m := b.m.Requests(0)
		b.want("answers of "+shape.String(), b.m.Answers(0), m)
		if wrong := contradicts(shape, m); wrong != "" {
			b.want(shape.String()+": "+wrong, m, nil)
		}
	})
}

// contradicts says how a matrix is not what a shape promises; empty if it is.
func contradicts(shape netsim.Shape, m reach.Matrix) string {
	n := len(m)
	heard := func(to int) (by []int) {
		for from := range m {
			if m[from][to] {
				by = append(by, from)
			}
		}
		return by
	}
	var bridges []int
	var groups [][]int // of hosts that hear the same ones, each once
	for h := range m {
		by := heard(h)
		if !slices.Contains(by, h) {
			return "a host does not reach itself"
		}
		if len(by) == n {
			bridges = append(bridges, h)
		}
		if !slices.ContainsFunc(groups, func(g []int) bool { return slices.Equal(g, by) }) {
			groups = append(groups, by)
		}
		if shape == netsim.MajoritiesRing {
			if len(by) != n/2+1 {
				return "a host hears not just a majority"
			}
			continue
		}
		for _, other := range by {
			if !m[h][other] {
				return "one way only"
			}
		}
	}
	slices.SortFunc(groups, func(a, b []int) int { return len(a) - len(b) })
	small := len(groups[0])
	if shape != netsim.MajoritiesRing && shape != netsim.Bridge &&
		(len(groups) != 2 || small+len(groups[1]) != n || slices.ContainsFunc(groups[0], func(h int) bool { return slices.Contains(groups[1], h) })) {
		return "not two groups of which each host is in one"
	}
	switch {
	case shape == netsim.Halves && small != n/2:
		return "not halves"
	case shape == netsim.Majority && (small < 1 || small > (n-1)/2):
		return "the smaller group is no minority"
	case shape == netsim.Isolate && small != 1:
		return "not one host alone"
	case shape == netsim.MajoritiesRing && len(groups) != n:
		return "two hosts hear the same majority"
	case shape != netsim.Bridge:
		return ""
	}
	// Each half hears itself and the bridge.
	if len(bridges) != 1 || len(groups) != 3 || small != (n-1)/2+1 || len(groups[1]) != n/2+1 {
		return "not two halves and one host that reaches both"
	}
	for h := range m {
		if h != bridges[0] && slices.Contains(groups[0], h) && slices.Contains(groups[1], h) {
			return "another host reaches both halves"
		}
	}
	return ""
}

// joined is what a fault between two sets means for connections: those with an end
// in each of them, whoever dialled.
func joined(a, b []netsim.HostID) func(x, y netsim.HostID) bool {
	there, back := oneWay(a, b), oneWay(b, a)
	return func(x, y netsim.HostID) bool { return there(x, y) || back(x, y) }
}

func not(holds func(x, y netsim.HostID) bool) func(x, y netsim.HostID) bool {
	return func(x, y netsim.HostID) bool { return !holds(x, y) }
}

// Goal: a connection that has become a black hole carries nothing either way, both
// ends believe in it until they give up, and nobody else notices: neither other
// connections nor those made later between the same hosts.
func TestHalfOpenConnections(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, 2, 4, 2)
		one, other := b.some("one"), b.some("other")
		black, all := joined(one, other), reach.All(len(b.hosts))
		b.n.HalfOpen(b.m.Now(), one, other)
		b.m.Dial(2)
		b.probe("half-open", 0, 0, b.pairs(not(black)), b.pairs(not(black)))
		b.probe("made later", 2, 0, all, all)
		b.run(givesUp / 4)
		b.want("believed in", b.m.Open(0), all)
		b.probe("half-open, of those that were quiet", 1, 0, b.pairs(not(black)), b.pairs(not(black)))
		b.run(givesUp)
		for round := range 2 {
			b.want("given up", b.m.Closed(round), b.pairs(black))
			b.want("sound", b.m.Open(round), b.pairs(not(black)))
		}
		b.probe("made later", 2, 0, all, all)
		b.m.Dial(3)
		b.run(soon)
		b.probe("made when the others had been given up", 3, 0, all, all)
	})
}

// Goal: a reset ends every connection and every attempt between two sets of hosts,
// both ends are told, and nobody else notices.
func TestResets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, 2, 4, 2)
		one, other := b.some("one"), b.some("other")
		hit, all := joined(one, other), reach.All(len(b.hosts))
		b.m.Send(0, 0) // in flight, and lost with its connection
		b.m.Dial(2)
		b.n.ResetConnections(b.m.Now(), one, other)
		b.run(0)
		b.want("attempts in vain, at once", b.m.Failed(2), b.pairs(hit))
		b.m.Dial(3)
		b.run(soon)
		for round := range 2 {
			b.want("told", b.m.Closed(round), b.pairs(hit))
			b.want("sound", b.m.Open(round), b.pairs(not(hit)))
		}
		b.want("attempts in vain", b.m.Failed(2), b.pairs(hit))
		b.want("attempts that were not hit", b.m.Open(2), b.pairs(not(hit)))
		b.probe("quiet before", 1, 0, b.pairs(not(hit)), b.pairs(not(hit)))
		b.probe("made later", 3, 0, all, all)
	})
}

// Goal: a hold keeps back the requests of its kind on its pairs and what is behind
// them on their connections; answers, other kinds and other pairs pass. Of two
// holds that share a pair, either keeps its own frames until it is released.
func TestHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const fetch, produce = 1, 0
		b := newBench(t, 2, 4, 4)
		all := reach.All(len(b.hosts))
		var holds [2]struct {
			covers func(from, to netsim.HostID) bool
			any    bool
		}
		for i := range holds {
			from, to := b.some("from"), b.some("to")
			holds[i].covers, holds[i].any = oneWay(from, to), rapid.Bool().Draw(t, "any")
			b.n.Hold(netsim.HoldID(i), from, to, netsim.Match{Any: holds[i].any, API: fetch})
		}
		released := -1
		passes := func(api int16, request bool) reach.Matrix {
			return b.pairs(func(from, to netsim.HostID) bool {
				for i := range holds {
					if h := &holds[i]; i != released && h.covers(from, to) && (h.any || request && api == fetch) {
						return false
					}
				}
				return true
			})
		}
		b.probe("another kind", 0, produce, passes(produce, true), passes(produce, false))
		b.probe("the kind", 1, fetch, passes(fetch, true), passes(fetch, false))
		b.probe("behind it", 1, produce, passes(fetch, true), passes(fetch, false))
		b.run(later)
		b.want("kept", b.m.Requests(1), passes(fetch, true))

		released = rapid.IntRange(0, 1).Draw(t, "released first")
		b.n.Release(b.m.Now(), netsim.HoldID(released))
		b.run(soon)
		b.want("of the other hold", b.m.Requests(1), passes(fetch, true))
		b.want("answers of the other hold", b.m.Answers(1), passes(fetch, false))
		b.probe("the other hold goes on", 2, fetch, passes(fetch, true), passes(fetch, false))
		b.n.Release(b.m.Now(), netsim.HoldID(1-released))
		b.run(soon)
		for round := range 3 {
			b.want("released", b.m.Requests(round), all)
			b.want("released", b.m.Answers(round), all)
		}
		b.probe("afterwards", 3, fetch, all, all)
	})
}
