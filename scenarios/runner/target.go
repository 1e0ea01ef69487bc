package runner

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// resolve turns a target into hosts at the moment when its event begins. Power,
// processes, disks and clocks are faults of nodes; the network's faults also hit
// the clients of a zone, which stand behind the same uplink, and nodes that are yet
// to come.
func (f *faults) resolve(t *scenarios.Target, clients bool) []netsim.HostID {
	hosts := f.find(t, clients)
	if clients {
		return hosts
	}
	return slices.DeleteFunc(hosts, func(h netsim.HostID) bool { return !f.belongs(h) })
}

func (f *faults) find(t *scenarios.Target, clients bool) []netsim.HostID {
	l := f.view.layout
	switch t.Kind {
	case scenarios.TargetZone:
		return f.zone(t.Zone, clients)
	case scenarios.TargetNodes:
		return f.named(t.Nodes, clients)
	case scenarios.TargetClients:
		return f.clients(t.Clients)
	case scenarios.TargetLeaderOf:
		if p := f.view.partition(t.Topic, t.Partition); p != nil {
			return f.brokers(p.Leader)
		}
	case scenarios.TargetFollowerOf:
		if p := f.view.partition(t.Topic, t.Partition); p != nil {
			for _, id := range p.ISR {
				if id != p.Leader {
					return f.brokers(id)
				}
			}
		}
	case scenarios.TargetCoordinatorOf:
		return f.brokers(f.view.coordinator(t.Group))
	case scenarios.TargetActiveController:
		if c, host := f.view.activeController(); c != nil {
			return []netsim.HostID{host}
		}
	case scenarios.TargetRandom:
		return f.draw(int(t.Count))
	case scenarios.TargetOne:
		return f.draw(1)
	case scenarios.TargetMinority:
		return f.draw((len(f.brokersNow()) - 1) / 2)
	case scenarios.TargetMajority:
		return f.draw(len(f.brokersNow())/2 + 1)
	case scenarios.TargetPrimaries:
		return f.primaries()
	case scenarios.TargetAll:
		return append(slices.Clone(l.controllers), l.brokers...)
	case scenarios.TargetBrokers:
		return slices.Clone(l.brokers)
	case scenarios.TargetControllers:
		return slices.Clone(l.controllers)
	}
	return nil
}

func (f *faults) brokers(id int32) []netsim.HostID {
	if h, ok := f.view.layout.broker(id); ok {
		return []netsim.HostID{h}
	}
	return nil
}

func (f *faults) zone(zone string, clients bool) (out []netsim.HostID) {
	for i, h := range f.view.layout.hosts {
		if h.zone == zone && (clients || h.role <= roleBroker) {
			out = append(out, netsim.HostID(i))
		}
	}
	return out
}

// named returns the hosts with these names; a zone's name stands for its hosts.
func (f *faults) named(names []string, clients bool) (out []netsim.HostID) {
	for _, name := range names {
		zone := f.zone(name, clients)
		out = append(out, zone...)
		if len(zone) > 0 {
			continue
		}
		for i, h := range f.view.layout.hosts {
			if h.name == name {
				out = append(out, netsim.HostID(i))
			}
		}
	}
	return out
}

// clients returns the workload's clients with these names, or of these names.
func (f *faults) clients(names []string) (out []netsim.HostID) {
	for i, h := range f.view.layout.hosts {
		if h.role != roleProducer && h.role != roleConsumer {
			continue
		}
		all := strings.TrimSuffix(h.name, "-"+strconv.Itoa(h.index+1))
		if slices.Contains(names, h.name) || slices.Contains(names, all) {
			out = append(out, netsim.HostID(i))
		}
	}
	return out
}

// draw takes n brokers from the run's seed, in order of their ids.
func (f *faults) draw(n int) []netsim.HostID {
	rng := rand.New(f.random)
	out := f.brokersNow()
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	out = out[:min(n, len(out))]
	slices.Sort(out)
	return out
}

func (f *faults) primaries() (out []netsim.HostID) {
	for _, t := range f.view.image().Topics {
		for _, p := range t.Partitions {
			if h, ok := f.view.layout.broker(p.Leader); ok && !slices.Contains(out, h) {
				out = append(out, h)
			}
		}
	}
	slices.Sort(out)
	return out
}

func (f *faults) everybody() (out []netsim.HostID) {
	for i := range f.view.layout.hosts {
		out = append(out, netsim.HostID(i))
	}
	return out
}

// others returns every host that is not in set.
func (f *faults) others(set []netsim.HostID) []netsim.HostID {
	return slices.DeleteFunc(f.everybody(), func(h netsim.HostID) bool { return slices.Contains(set, h) })
}
