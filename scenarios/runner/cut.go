package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// cut returns the pairs between which packets vanish.
func (f *faults) cut(e *scenarios.Event, hosts []netsim.HostID) []netsim.Pair {
	if e.Shape != "" && e.Shape != "isolate" {
		return f.shape(e)
	}
	var a, b []netsim.HostID
	if len(e.Between) > 0 {
		a, b = f.ends(e)
	} else {
		a, b = hosts, f.others(hosts)
	}
	switch e.Direction {
	case "to":
		return pairs(b, a)
	case "from":
		return pairs(a, b)
	}
	return both(a, b)
}

// shape draws a partition over whole zones, or over brokers where there is one
// zone only: each host of a zone stands where its zone does.
func (f *faults) shape(e *scenarios.Event) (out []netsim.Pair) {
	shape := map[string]netsim.Shape{
		"halves": netsim.Halves, "majority": netsim.Majority, "bridge": netsim.Bridge, "majorities-ring": netsim.MajoritiesRing,
	}[e.Shape]
	var zones []string
	for _, h := range f.view.layout.hosts {
		if !slices.Contains(zones, h.zone) {
			zones = append(zones, h.zone)
		}
	}
	if len(zones) < 2 {
		return shape.Pairs(f.view.layout.brokers, f.random)
	}
	points := make([]netsim.HostID, len(zones))
	for i := range zones {
		points[i] = netsim.HostID(i)
	}
	for _, p := range shape.Pairs(points, f.random) {
		out = append(out, pairs(f.zone(zones[p.From], true), f.zone(zones[p.To], true))...)
	}
	return out
}

// ends returns the two sets of hosts that an event lies between.
func (f *faults) ends(e *scenarios.Event) (a, b []netsim.HostID) {
	switch {
	case len(e.Between) == 2:
		return f.named(e.Between[0], true), f.named(e.Between[1], true)
	case len(e.Zones) == 2:
		return f.zone(e.Zones[0], true), f.zone(e.Zones[1], true)
	}
	panic("runner: the loader let an event between nobody pass")
}

func pairs(a, b []netsim.HostID) (out []netsim.Pair) {
	for _, x := range a {
		for _, y := range b {
			if x != y {
				out = append(out, netsim.Pair{From: x, To: y})
			}
		}
	}
	return out
}

func both(a, b []netsim.HostID) []netsim.Pair { return append(pairs(a, b), pairs(b, a)...) }
