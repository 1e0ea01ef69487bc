package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/group"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// view looks into the simulated cluster from outside: what only a simulator can
// know. It changes nothing.
type view struct {
	world  *sim.World
	layout *layout
	last   *meta.Image // of the last active controller seen
}

// node returns the process of a controller or broker host, or nil if none runs.
func (v *view) node(h netsim.HostID) *broker.Node {
	n, _ := v.world.Machine(h).(*broker.Node)
	return n
}

// alive tells whether a host's process runs or is paused.
func (v *view) alive(h netsim.HostID) bool {
	s := v.world.State(h)
	return s == sim.Running || s == sim.Paused
}

// activeController returns the active controller of the highest term and its
// host; nil if there is none.
func (v *view) activeController() (*controller.Controller, netsim.HostID) {
	var best *controller.Controller
	var host netsim.HostID
	for _, h := range v.layout.controllers {
		n := v.node(h)
		if n == nil || !v.alive(h) || n.Controller() == nil || !n.Controller().IsActive() {
			continue
		}
		if best == nil || n.Controller().Term() > best.Term() {
			best, host = n.Controller(), h
		}
	}
	return best, host
}

// image is the metadata of the active controller, or the last that was seen.
func (v *view) image() *meta.Image {
	if c, _ := v.activeController(); c != nil {
		v.last = c.Image()
	}
	if v.last == nil {
		v.last = meta.Empty()
	}
	return v.last
}

// partition returns a partition's registration, or nil.
func (v *view) partition(topic string, index int32) *meta.Partition {
	t := v.image().Topic(topic)
	if t == nil || int(index) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[index]
}

// led tells whether every partition of a topic has a leader.
func (v *view) led(topic string) bool {
	t := v.image().Topic(topic)
	return t != nil && !slices.ContainsFunc(t.Partitions, func(p *meta.Partition) bool { return p.Leader == meta.NoLeader })
}

// coordinator returns the broker id of a group's coordinator, or meta.NoLeader.
func (v *view) coordinator(name string) int32 {
	const offsetsTopic = "__consumer_offsets"
	t := v.image().Topic(offsetsTopic)
	if t == nil {
		return meta.NoLeader
	}
	return t.Partitions[group.PartitionFor(name, len(t.Partitions))].Leader
}

// replicaHealth counts the replicas of user topics and those in sync, and the
// partitions with their preferred leader and with any leader.
type replicaHealth struct {
	partitions, online, preferred int
	replicas, inSync              int
	underReplicated, underMinISR  int
}

func (v *view) health(minISR func(topic string) int) replicaHealth {
	return v.healthOf(v.image(), minISR)
}

func (v *view) healthOf(image *meta.Image, minISR func(topic string) int) (h replicaHealth) {
	for _, t := range image.Topics {
		for _, p := range t.Partitions {
			h.partitions++
			h.replicas += len(p.Replicas)
			h.inSync += len(p.ISR)
			if len(p.ISR) < len(p.Replicas) {
				h.underReplicated++
			}
			if len(p.ISR) < minISR(t.Name) {
				h.underMinISR++
			}
			if p.Leader != meta.NoLeader {
				h.online++
				if p.Leader == p.Replicas[0] {
					h.preferred++
				}
			}
		}
	}
	return h
}
