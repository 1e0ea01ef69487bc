package runner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/netsim/reach"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// reachRounds is how often one timeline can be measured; as many rounds are left
// for connections that are made during a fault.
const reachRounds = 8

const (
	oneZone    = "[a]"
	threeZones = "[a, b, c]"
)

// bare is a scenario's network and timeline without any process: the hosts do
// nothing but measure whom they reach.
type bare struct {
	t      *testing.T
	layout *layout
	world  *sim.World
	faults *faults
	mesh   *reach.Mesh
	round  int // the next one that is quiet
}

// newBare has three controllers, five clients, and those that the runner adds; a
// zone has two brokers, or five if there is one zone.
func newBare(t *testing.T, seed uint64, zones, timeline string) *bare {
	t.Helper()
	brokers := "per_zone: 2, config"
	if zones == oneZone {
		brokers = "per_zone: 5, config"
	}
	text := strings.NewReplacer(threeZones, zones, "per_zone: 1, config", brokers, "per_zone: 1 }", "count: 3 }", "%CONFIG%", safe, "%TIMELINE%", "["+timeline+"]", "%EXPECT%", "{}").Replace(small)
	s, err := scenarios.Load([]byte(text), "small.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := &bare{t: t, layout: newLayout(s)}
	topology := b.layout.topology(s)
	for i := range topology.Hosts {
		topology.Hosts[i].Ports = reach.Ports(2 * reachRounds)
	}
	b.world = sim.New(sim.Config{Seed: seed, Topology: topology, Hosts: make([]sim.HostConfig, len(topology.Hosts))})
	b.faults = newFaults(&view{layout: b.layout, world: b.world}, s, sim.Streams(seed).New("faults", 0), clock.Instant(warmUp))
	for h := range topology.Hosts {
		b.world.Network().SetListening(netsim.HostID(h), true)
	}
	b.mesh = reach.New(b.world.Network(), 0, len(topology.Hosts), 2*reachRounds)
	for round := range reachRounds {
		b.mesh.Dial(round)
	}
	return b
}

// at carries the timeline out up to a time of the scenario.
func (b *bare) at(when time.Duration) {
	until := clock.Instant(warmUp).Add(when)
	for b.faults.Next() <= until {
		now := b.faults.Next()
		b.run(now)
		b.faults.Act(now, b.world)
	}
	b.run(until)
	if len(b.faults.missed) > 0 {
		b.t.Fatal(b.faults.missed)
	}
}

func (b *bare) run(until clock.Instant) {
	b.t.Helper()
	if err := b.mesh.Run(until); err != nil {
		b.t.Fatal(err)
	}
}

// passes is a rule for frames from one host to another.
type passes func(from, to *hostInfo) bool

func everything(*hostInfo, *hostInfo) bool { return true }

func (b *bare) matrix(rule passes) reach.Matrix {
	return reach.Pairs(len(b.layout.hosts), func(from, to netsim.HostID) bool {
		return from == to || rule(&b.layout.hosts[from], &b.layout.hosts[to])
	})
}

func (b *bare) want(what string, got, want reach.Matrix) {
	b.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		var names []string
		for _, h := range b.layout.hosts {
			names = append(names, h.name+"/"+h.zone)
		}
		b.t.Errorf("%s: is\n%sand must be\n%s", what, got.Text(names), want.Text(names))
	}
}

// probe compares what reaches whom now with a rule: on connections that stood
// before the timeline began, and on new ones, which need both ways.
func (b *bare) probe(what string, rule passes, fresh passes) {
	b.t.Helper()
	quiet, made := b.round, reachRounds+b.round
	b.round++
	b.mesh.Send(quiet, 0)
	b.mesh.Dial(made)
	b.run(b.mesh.Now().Add(50 * time.Millisecond))
	b.want(what+", requests", b.mesh.Requests(quiet), b.matrix(rule))
	b.want(what+", answers", b.mesh.Answers(quiet), b.matrix(rule))
	b.want(what+", connects", b.mesh.Dialled(made), b.matrix(func(x, y *hostInfo) bool { return fresh(x, y) && fresh(y, x) }))
	b.want(what+", is connected to", b.mesh.Open(made), b.matrix(func(x, y *hostInfo) bool { return fresh(x, y) && fresh(y, x) }))
}

// whole asks that every connection of the rounds so far stands, and has lost
// nothing.
func (b *bare) whole() {
	b.t.Helper()
	all := b.matrix(everything)
	for round := range b.round {
		for _, round := range []int{round, reachRounds + round} {
			b.mesh.Send(round, 0)
			b.run(b.mesh.Now().Add(time.Second))
			b.want("requests in the end", b.mesh.Requests(round), all)
			b.want("answers in the end", b.mesh.Answers(round), all)
			b.want("open in the end", b.mesh.Open(round), all)
		}
	}
}

// in tells whether a host is one of a set: of its zone, its name, or that of its
// clients, which are numbered.
func in(names ...string) func(*hostInfo) bool {
	return func(h *hostInfo) bool {
		client := h.name[:max(0, strings.LastIndexByte(h.name, '-'))]
		return slices.Contains(names, h.zone) || slices.Contains(names, h.name) || slices.Contains(names, client)
	}
}

// vanish is the meaning of a cut: frames from one set to another do not arrive.
func vanish(from, to func(*hostInfo) bool) passes {
	return func(x, y *hostInfo) bool { return !from(x) || !to(y) }
}

func outside(set func(*hostInfo) bool) func(*hostInfo) bool {
	return func(h *hostInfo) bool { return !set(h) }
}

func together(rules ...passes) passes {
	return func(x, y *hostInfo) bool {
		return !slices.ContainsFunc(rules, func(rule passes) bool { return !rule(x, y) })
	}
}

// apart is a cut between two sets, both ways; alone is one between a set and all
// others.
func apart(a, b func(*hostInfo) bool) passes { return together(vanish(a, b), vanish(b, a)) }
func alone(set func(*hostInfo) bool) passes  { return apart(set, outside(set)) }

// Goal: each way to cut the network cuts between those whom the file names, in the
// direction that it names, with the clients of a zone, and nobody else: while it
// lasts, over all ordered pairs, and not afterwards. Method: the timeline is carried
// out on a network without processes, where every pair is measured.
func TestWhoReachesWhom(t *testing.T) {
	a, b, c := in("a"), in("b"), in("c")
	broker1, clients := in("broker-1"), in("reader", "writer-2")
	for event, rule := range map[string]passes{
		"fault: partition, between: [[a], [b, c]]":                                         alone(a),
		"fault: partition, between: [[a], [b]]":                                            apart(a, b),
		"fault: partition, between: [[a], [b, c]], direction: to":                          vanish(outside(a), a),
		"fault: partition, between: [[b], [c]], direction: from":                           vanish(b, c),
		"fault: partition, between: [[broker-1], [broker-2, controller-2]]":                apart(broker1, in("broker-2", "controller-2")),
		"fault: partition, between: [[broker-1, c], [b]], direction: to":                   vanish(b, in("broker-1", "c")),
		"fault: partition, shape: isolate, target: { zone: b }":                            alone(b),
		"fault: partition, shape: isolate, target: { node: broker-1 }":                     alone(broker1),
		"fault: partition, shape: isolate, target: { node: broker-1 }, direction: to":      vanish(outside(broker1), broker1),
		"fault: partition, shape: isolate, target: { zone: c }, direction: from":           vanish(c, outside(c)),
		"fault: partition, shape: isolate, target: { nodes: [broker-1, broker-4] }":        alone(in("broker-1", "broker-4")),
		"fault: partition, shape: isolate, target: { clients: [reader, writer-2] }":        alone(clients),
		"fault: partition, shape: isolate, target: { clients: [writer-2] }, direction: to": vanish(outside(in("writer-2")), in("writer-2")),
		"fault: partition, shape: isolate, target: controllers":                            alone(in("controller")),
		"fault: partition, shape: isolate, target: brokers":                                alone(in("broker")),
		"fault: zone_outage, target: { zone: b }, mode: network":                           alone(b),
	} {
		t.Run(event, func(t *testing.T) {
			s := newBare(t, 1, threeZones, "{ at: 10s, for: 5s, "+event+" }")
			s.at(9 * time.Second)
			s.probe("before", everything, everything)
			s.at(10 * time.Second)
			s.probe("during", rule, rule)
			s.at(15 * time.Second)
			s.probe("after", everything, everything)
			s.at(2 * time.Minute)
			s.whole()
		})
	}
}

// Goal: of two cuts that share pairs, each lasts as long as the file says, whichever
// ends first.
func TestWhoReachesWhomWhileCutsOverlap(t *testing.T) {
	for _, c := range []struct {
		name, timeline string
		middle, last   passes
	}{
		{"one after the other", `{ at: 10s, for: 10s, fault: partition, between: [[a], [b, c]] },
			{ at: 15s, for: 10s, fault: partition, between: [[broker-1], [c]] }`,
			alone(in("a")), apart(in("broker-1"), in("c"))},
		{"one within the other", `{ at: 10s, for: 15s, fault: zone_outage, target: { zone: a }, mode: network },
			{ at: 15s, for: 5s, fault: partition, shape: isolate, target: { clients: [writer] } }`,
			together(alone(in("a")), alone(in("writer"))), alone(in("a"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newBare(t, 1, threeZones, c.timeline)
			s.at(10 * time.Second)
			s.probe("the first", alone(in("a")), alone(in("a")))
			s.at(16 * time.Second)
			s.probe("both", c.middle, c.middle)
			s.at(21 * time.Second)
			s.probe("the one that is left", c.last, c.last)
			s.at(26 * time.Second)
			s.probe("none", everything, everything)
			s.at(5 * time.Minute)
			s.whole()
		})
	}
}

// shapesHeard is how many of three zones, or of five brokers, each one hears, itself
// included, from the fewest on.
var shapesHeard = map[string][][]int{
	"halves [a, b, c]": {{1, 2, 2}}, "halves [a]": {{2, 2, 3, 3, 3}},
	"majority [a, b, c]": {{1, 2, 2}}, "majority [a]": {{1, 4, 4, 4, 4}, {2, 2, 3, 3, 3}},
	"bridge [a, b, c]": {{2, 2, 3}}, "bridge [a]": {{3, 3, 3, 3, 5}},
	"majorities-ring [a, b, c]": {{2, 2, 2}}, "majorities-ring [a]": {{3, 3, 3, 3, 3}},
}

// Goal: the shapes are drawn over whole zones, with their clients, and over brokers
// where there is one zone.
func TestWhoReachesWhomInAShape(t *testing.T) {
	for _, shape := range []string{"halves", "majority", "bridge", "majorities-ring"} {
		for _, zones := range []string{threeZones, oneZone} {
			t.Run(shape+" "+zones, func(t *testing.T) {
				pictures := map[string]bool{}
				for seed := range uint64(6) {
					s := newBare(t, seed, zones, "{ at: 10s, for: 5s, fault: partition, shape: "+shape+" }")
					s.at(10 * time.Second)
					s.mesh.Send(0, 0)
					s.run(s.mesh.Now().Add(50 * time.Millisecond))
					m := s.mesh.Requests(0)
					s.want("answers", s.mesh.Answers(0), m)
					points := s.points(m)
					heard := make([]int, len(points))
					for _, row := range points {
						for to, reached := range row {
							if reached {
								heard[to]++
							}
						}
					}
					slices.Sort(heard)
					if !slices.ContainsFunc(shapesHeard[shape+" "+zones], func(want []int) bool { return slices.Equal(want, heard) }) {
						t.Errorf("seed %d: so many are heard: %v", seed, heard)
					}
					pictures[m.Text(make([]string, len(m)))] = true
					s.round++
					s.at(15 * time.Second)
					s.probe("after", everything, everything)
				}
				if len(pictures) < 2 {
					t.Error("every seed draws the same")
				}
			})
		}
	}
}

// points is the matrix over what a shape divides: zones, or the brokers of the only
// one. Hosts that stand at one point must reach the same ones, and each other; hosts
// that stand at none must reach everybody.
func (b *bare) points(m reach.Matrix) reach.Matrix {
	severalZones := slices.ContainsFunc(b.layout.hosts, func(h hostInfo) bool { return h.zone != b.layout.hosts[0].zone })
	var names []string
	point := func(h netsim.HostID) int {
		info := &b.layout.hosts[h]
		name := info.zone
		if !severalZones {
			if name = info.name; info.role != roleBroker {
				return -1
			}
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return slices.Index(names, name)
	}
	first := map[int]netsim.HostID{}
	for h := range netsim.HostID(len(m)) {
		if _, there := first[point(h)]; !there {
			first[point(h)] = h
		}
	}
	b.want("hosts of one point", m, reach.Pairs(len(m), func(from, to netsim.HostID) bool {
		x, y := point(from), point(to)
		return x < 0 || y < 0 || x == y || m[first[x]][first[y]]
	}))
	return reach.Pairs(len(names), func(from, to netsim.HostID) bool { return from == to || m[first[int(from)]][first[int(to)]] })
}

// Goal: the faults of connections hit those of their target with anybody, and no
// other; what is made later is sound.
func TestWhoseConnectionsAreHit(t *testing.T) {
	for target, set := range map[string]func(*hostInfo) bool{
		"{ zone: b }": in("b"), "{ nodes: [broker-1, broker-2] }": in("broker-1", "broker-2"), "{ clients: [reader] }": in("reader"),
	} {
		touches := func(x, y *hostInfo) bool { return set(x) || set(y) }
		spares := func(x, y *hostInfo) bool { return !touches(x, y) }
		t.Run("reset "+target, func(t *testing.T) {
			s := newBare(t, 1, threeZones, "{ at: 10s, fault: reset_connections, target: "+target+" }")
			s.at(10*time.Second + time.Millisecond)
			closed := s.mesh.Closed(reachRounds - 1)
			for h := range closed {
				closed[h][h] = true // a host and itself are no pair
			}
			s.want("closed", closed, s.matrix(touches))
			s.probe("after", spares, everything)
		})
		if strings.Contains(target, "clients") {
			continue
		}
		t.Run("another address of "+target, func(t *testing.T) {
			s := newBare(t, 1, threeZones, "{ at: 10s, fault: dns, target: "+target+", change_ip: true }")
			s.at(10*time.Second + time.Millisecond)
			s.probe("after", spares, everything)
		})
	}
	t.Run("hold", func(t *testing.T) {
		s := newBare(t, 1, threeZones, `{ at: 10s, for: 5s, fault: hold_rpc, api: Fetch, from: { nodes: [broker-1, broker-2] }, to: { node: broker-3 } },
			{ at: 12s, for: 5s, fault: hold_rpc, api: Fetch, from: { clients: [reader] }, to: { zone: b } }`)
		brokers, readers := vanish(in("broker-1", "broker-2"), in("broker-3")), vanish(in("reader"), in("b"))
		for _, stage := range []struct {
			at   time.Duration
			rule passes
		}{{10 * time.Second, brokers}, {12 * time.Second, together(brokers, readers)}, {15 * time.Second, readers}, {17 * time.Second, everything}} {
			s.at(stage.at)
			s.mesh.Send(s.round, fetchAPI)
			s.run(s.mesh.Now().Add(50 * time.Millisecond))
			s.want("requests", s.mesh.Requests(s.round), s.matrix(stage.rule))
			s.want("answers", s.mesh.Answers(s.round), s.matrix(everything))
			s.round++
			s.probe("another kind", everything, everything)
		}
		s.at(time.Minute)
		s.want("released", s.mesh.Requests(0), s.matrix(everything))
	})
}

const fetchAPI = 1
