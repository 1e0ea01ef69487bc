package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// watch observes the cluster from inside: elections, changes of in-sync sets,
// and from both the loss that must follow where the configuration permits it.
type watch struct {
	view   *view
	ledger *ledger
	minISR map[string]int // by topic

	image    *meta.Image // of the active controller, last seen
	term     int32
	elected  tally // controllers that became active after the first
	leaders  tally // partition leaders elected after the first
	unclean  tally
	shrinks  tally
	expands  tally
	under    stall // of all partitions' having all replicas in sync
	underMin stall // of all partitions' having min.insync.replicas

	predictor predictor
	versions  *lin.MetadataChecker
	seen      []*meta.Image // by host: the broker's image last looked at
}

func newWatch(v *view, l *ledger, minISR map[string]int) *watch {
	return &watch{
		view: v, ledger: l, minISR: minISR, image: meta.Empty(), term: -1,
		predictor: newPredictor(l), versions: lin.NewMetadataChecker(), seen: make([]*meta.Image, len(v.layout.hosts)),
	}
}

// Stepped implements sim.Observer.
func (w *watch) Stepped(now clock.Instant, h netsim.HostID, _ *edge.Event, _ *edge.Effects) {
	info := &w.view.layout.hosts[h]
	switch info.role {
	case roleController:
		w.controller(now, h)
	case roleBroker:
		n := w.view.node(h)
		if n == nil {
			return
		}
		if image := n.Image(); image != w.seen[h] {
			w.seen[h] = image
			w.observe(h, image)
		}
	}
}

// Changed implements sim.Observer.
func (w *watch) Changed(clock.Instant, netsim.HostID, sim.State, string) {}

func (w *watch) controller(now clock.Instant, h netsim.HostID) {
	n := w.view.node(h)
	if n == nil || !n.Controller().IsActive() {
		return
	}
	k := n.Controller()
	if k.Term() > w.term {
		if w.term >= 0 {
			w.elected.add(w.ledger.phaseOf(now), 1)
		}
		w.term = k.Term()
	}
	image := k.Image()
	if image == w.image || image.Offset <= w.image.Offset {
		return
	}
	for _, t := range image.Topics {
		if old := w.image.Topic(t.Name); old != nil && old.ID == t.ID {
			w.compare(old, t, w.ledger.phaseOf(now))
		}
	}
	w.image, w.view.last = image, image
	health := w.view.healthOf(image, w.minISROf)
	w.short(&w.under, now, health.underReplicated > 0)
	w.short(&w.underMin, now, health.underMinISR > 0)
}

// short takes in whether replicas are missing now.
func (w *watch) short(s *stall, now clock.Instant, missing bool) {
	if missing {
		s.want(now)
	} else {
		s.done(now, w.ledger.faults)
	}
}

func (w *watch) minISROf(topic string) int { return w.minISR[topic] }

func (w *watch) compare(old, t *meta.Topic, now phase.Phase) {
	if len(t.Partitions) > len(old.Partitions) {
		w.ledger.grown(t.Name, len(t.Partitions))
	}
	for i, p := range t.Partitions {
		if i >= len(old.Partitions) || old.Partitions[i] == p {
			continue
		}
		q := old.Partitions[i]
		if p.Leader != q.Leader && p.Leader != meta.NoLeader {
			w.leaders.add(now, 1)
			if !slices.Contains(q.ISR, p.Leader) && !slices.Contains(q.ELR, p.Leader) {
				w.unclean.add(now, 1)
			}
		}
		for _, id := range q.ISR {
			if !slices.Contains(p.ISR, id) {
				w.shrinks.add(now, 1)
			}
		}
		for _, id := range p.ISR {
			if !slices.Contains(q.ISR, id) {
				w.expands.add(now, 1)
			}
		}
	}
}

// observe gives a broker's new image to the metadata register: a broker never
// goes back, and a version has one value.
func (w *watch) observe(h netsim.HostID, image *meta.Image) {
	observer := int32(h)<<12 | int32(w.view.world.Boots(h)&0xfff)
	for t := range w.ledger.topics {
		topic := image.Topic(w.ledger.topics[t].name)
		if topic == nil {
			continue
		}
		for i, p := range topic.Partitions {
			w.versions.Observed(observer, partitionOf(int32(t), int32(i)),
				lin.MetadataVersion{LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch}, valueOf(p), w.ledger.event())
		}
	}
}

// valueOf is a hash of what a version of a partition's metadata says.
func valueOf(p *meta.Partition) uint64 {
	h := uint64(14695981039346656037)
	mix := func(v uint64) { h = (h ^ v) * 1099511628211 }
	mix(uint64(uint32(p.Leader)))
	for _, list := range [][]int32{p.Replicas, p.ISR} {
		mix(uint64(len(list)))
		for _, id := range list {
			mix(uint64(uint32(id)))
		}
	}
	return h
}
