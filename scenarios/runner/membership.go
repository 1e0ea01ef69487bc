package runner

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/lifecycle"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
)

// arrival is brokers that have been started for the first time and do not all
// serve yet.
type arrival struct {
	span  int // index in faults.done
	hosts []netsim.HostID
}

func (a *arrival) complete(v *view) bool {
	return !slices.ContainsFunc(a.hosts, func(h netsim.HostID) bool {
		n := v.node(h)
		return n == nil || n.State() != lifecycle.Running
	})
}

// departure is a decommission as an operator's script does it.
//
//	moving --it holds no replica--> stopping --its process has ended--> fencing
//	fencing --it is fenced and holds no replica--> leaving --unregistered--> done
//
// Until it is fenced the controller may give it a replica of a topic that is created
// just then; that moves, too.
type departure struct {
	span  int // index in faults.done
	host  netsim.HostID
	id    int32
	zone  string
	phase departurePhase
	boots int                    // of the host when it was told to stop
	asked map[log.Partition]bool // only looked up
}

type departurePhase uint8

const (
	moving departurePhase = iota
	stopping
	fencing
	leaving
)

// advance takes the next step and tells whether the broker is gone.
func (d *departure) advance(w *sim.World, v *view, o *operator) bool {
	switch d.phase {
	case moving:
		if d.empty(w, v.image(), o) {
			d.phase = stopping
			o.gone = append(o.gone, d.host) // nothing that heals may start it again
			d.stop(w)
		}
	case stopping:
		switch w.State(d.host) {
		case sim.Running, sim.Paused:
			if w.Boots(d.host) != d.boots {
				d.stop(w) // it had halted, and its supervisor was faster
			}
		default:
			d.phase = fencing
			return d.advance(w, v, o)
		}
	case fencing:
		if b := v.image().Broker(d.id); (b == nil || b.Fenced) && d.empty(w, v.image(), o) {
			d.phase = leaving
			o.do(w, client.Operation{Kind: client.Unregister, Broker: d.id})
		}
	case leaving:
		return v.image().Broker(d.id) == nil
	}
	return false
}

func (d *departure) stop(w *sim.World) {
	d.boots = w.Boots(d.host)
	w.Shutdown(d.host, 0)
}

// empty tells whether the broker holds no replica, and asks for a successor of each
// that it holds.
func (d *departure) empty(w *sim.World, image *meta.Image, o *operator) bool {
	load, empty := replicaCounts(image), true
	for _, t := range image.Topics {
		for index, p := range t.Partitions {
			if !slices.Contains(p.Replicas, d.id) {
				continue
			}
			empty = false
			name := log.Partition{Topic: t.Name, Index: int32(index)}
			if d.asked[name] || len(p.AddingReplicas)+len(p.RemovingReplicas) > 0 {
				continue
			}
			successor, found := d.successor(image, p, load)
			if !found {
				continue // until somebody is there
			}
			d.asked[name] = true
			load[successor]++
			replicas := slices.Clone(p.Replicas)
			replicas[slices.Index(replicas, d.id)] = successor
			o.do(w, client.Operation{Kind: client.Reassign, Topic: t.Name, Partitions: []int32{int32(index)}, Replicas: replicas})
		}
	}
	return empty
}

// replicaCounts is how many replicas each broker holds; it is only looked up.
func replicaCounts(image *meta.Image) map[int32]int {
	load := map[int32]int{}
	for _, t := range image.Topics {
		for _, p := range t.Partitions {
			for _, id := range p.Replicas {
				load[id]++
			}
		}
	}
	return load
}

// successor is who takes a replica: a broker of the same zone before one of a zone
// that has none, that before any other, and among those the one with the fewest.
func (d *departure) successor(image *meta.Image, p *meta.Partition, load map[int32]int) (int32, bool) {
	rank := func(b *meta.Broker) int {
		switch {
		case b.Rack == d.zone:
			return 0
		case slices.ContainsFunc(p.Replicas, func(id int32) bool { other := image.Broker(id); return other != nil && other.Rack == b.Rack }):
			return 2
		}
		return 1
	}
	var best *meta.Broker
	for _, b := range image.Brokers {
		if b.Fenced || b.InControlledShutdown || slices.Contains(p.Replicas, b.ID) {
			continue
		}
		if best == nil || cmp.Or(rank(b)-rank(best), load[b.ID]-load[best.ID]) < 0 {
			best = b
		}
	}
	if best == nil {
		return 0, false
	}
	return best.ID, true
}

// join starts the brokers that an event adds.
func (f *faults) join(now clock.Instant, w *sim.World, index int, e *scenarios.Event) {
	a := arrival{span: len(f.done)}
	for i := range f.view.layout.hosts {
		if f.view.layout.hosts[i].addedBy == index+1 {
			a.hosts = append(a.hosts, netsim.HostID(i))
		}
	}
	w.Note(e.Verb() + " " + f.names(a.hosts))
	each(a.hosts, func(h netsim.HostID) { w.Start(h, 0) })
	f.operate.arrivals = append(f.operate.arrivals, a)
	f.operate.next = now.Add(pollEvery)
	f.done = append(f.done, span{event: index, from: now, to: clock.Never, hosts: a.hosts})
}

// leave begins to take a broker out of the cluster.
func (f *faults) leave(now clock.Instant, w *sim.World, index int, e *scenarios.Event, host netsim.HostID) {
	if f.operate.admin == nil {
		f.nothing(now, e, "the administrator was not up")
		return
	}
	w.Note(e.Verb() + " " + f.names([]netsim.HostID{host}))
	h := &f.view.layout.hosts[host]
	f.operate.departures = append(f.operate.departures, departure{
		span: len(f.done), host: host, id: h.nodeID, zone: h.zone, asked: map[log.Partition]bool{},
	})
	f.operate.next = now.Add(pollEvery)
	f.done = append(f.done, span{event: index, from: now, to: clock.Never, hosts: []netsim.HostID{host}})
}

// belongs tells whether a host is part of the cluster now: not one that is yet to
// be added, nor one that has been decommissioned. Clients always are.
func (f *faults) belongs(h netsim.HostID) bool {
	return f.view.layout.hosts[h].role > roleBroker || f.view.world.Boots(h) > 0 && !slices.Contains(f.operate.gone, h)
}

// brokersNow are those that belong to the cluster now.
func (f *faults) brokersNow() (out []netsim.HostID) {
	for _, h := range f.view.layout.brokers {
		if f.belongs(h) {
			out = append(out, h)
		}
	}
	return out
}

// start starts a node that a fault has taken down, if it still belongs here.
func (f *faults) start(w *sim.World, h netsim.HostID) {
	if f.belongs(h) {
		w.Start(h, 0)
	}
}

func (d *departure) text(v *view) string {
	left := 0
	for _, t := range v.image().Topics {
		for _, p := range t.Partitions {
			if slices.Contains(p.Replicas, d.id) {
				left++
			}
		}
	}
	name := v.layout.hosts[d.host].name
	if left > 0 {
		return fmt.Sprintf("decommission of %s: it still held %d replicas at the end", name, left)
	}
	return fmt.Sprintf("decommission of %s: it was not unregistered at the end", name)
}
