package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
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

func (w *watch) compare(old, t *meta.Topic, now phase) {
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

// predictor says which acknowledged records must be lost: those that a leader
// of an older epoch acknowledged at or above the offset at which a newer epoch
// begins. It looks at elections only, never at what is read afterwards.
type predictor struct {
	ledger *ledger
	parts  [][]predicted // by topic, partition
	// The acknowledgements of what is lost were given in this time.
	lostFrom, lostTo clock.Instant
	losing           bool
	// led is the newest epoch that each broker has led, by topic, partition and
	// broker id; noEpoch for none.
	led [][][]int32
}

const noEpoch = -1

// epochOf is the leader epoch under which a batch was acknowledged: the newest
// that the broker has led to which it went. A broker answers within the epoch
// in which it appended, or with an error.
func (p *predictor) epochOf(b *client.Batch) int32 {
	if led := p.led[b.Topic][b.Partition]; b.Leader >= 0 && int(b.Leader) < len(led) {
		return led[b.Leader]
	}
	return noEpoch
}

// noteLeader notes that a broker leads a partition in an epoch.
func (p *predictor) noteLeader(topic, index, broker, epoch int32) {
	led := &p.led[topic][index]
	for int(broker) >= len(*led) {
		*led = append(*led, noEpoch)
	}
	(*led)[broker] = epoch
}

type predicted struct {
	epochs []epochStart // of leaders that have begun, rising
	acked  []ackedBatch // still above the last epoch that all replicas have passed
	lost   int64        // records
}

type epochStart struct {
	epoch int32
	start int64 // from here on, older acknowledgements are void
	begin int64 // from here on, the leader appended under its epoch

	leader int32
	at     clock.Instant // when it was first seen to lead
}

type ackedBatch struct {
	base  int64
	count int32
	at    clock.Instant
	epoch int32 // under which it was acknowledged
	wrote int32 // under which it was appended: older for a duplicate; -1 is not known
}

// ackedMax bounds the acknowledged batches that are remembered per partition:
// those behind can only be lost by an election that goes back further, which the
// checker then reports as unexplained.
const ackedMax = 1 << 16

func newPredictor(l *ledger) predictor {
	p := predictor{ledger: l}
	for i := range l.topics {
		n := len(l.topics[i].partitions)
		p.parts = append(p.parts, make([]predicted, n))
		p.led = append(p.led, make([][]int32, n))
	}
	return p
}

func (p *predictor) at(topic string, index int32) (*predicted, int32) {
	for t := range p.ledger.topics {
		if p.ledger.topics[t].name == topic && int(index) < len(p.parts[t]) {
			return &p.parts[t][index], int32(t)
		}
	}
	return nil, -1
}

// leads looks at a replica that leads: if its epoch is new, everything
// acknowledged by older ones at or above its start is gone.
func (p *predictor) leads(w *watch, r *partition.Partition) {
	part, topic := p.at(r.Key().Topic, r.Key().Index)
	if part == nil {
		return
	}
	if pl := p.ledger.part(topic, r.Key().Index); r.StartOffset() > pl.logStart {
		pl.logStart = r.StartOffset() // retention: nothing else moves it
		part.expire(pl.logStart)
		p.ledger.checker.LogStart(partitionOf(topic, r.Key().Index), pl.logStart, lin.RetentionReason, p.ledger.event())
	}
	epoch := r.LeaderEpoch()
	p.noteLeader(topic, r.Key().Index, r.LeaderID(), epoch)
	if n := len(part.epochs); n > 0 && part.epochs[n-1].epoch >= epoch {
		return
	}
	start := part.divergence(r)
	part.epochs = append(part.epochs, epochStart{epoch, start, r.EpochStart(), r.LeaderID(), p.ledger.world.Now()})
	name := partitionOf(topic, r.Key().Index)
	pl := p.ledger.part(topic, r.Key().Index)
	if start < max(pl.ackedEnd, pl.seenEnd) {
		p.ledger.checker.Truncated(name, start, 0, p.ledger.event())
		pl.seenEnd = min(pl.seenEnd, start)
		pl.ackedEnd = min(pl.ackedEnd, start)
		p.ledger.truncated(topic, r.Key().Index, start)
	}
	kept := part.acked[:0]
	for _, b := range part.acked {
		if b.base+int64(b.count) > start && b.epoch < epoch {
			p.lose(part, b.base+int64(b.count)-max(start, b.base), b.at)
			continue
		}
		kept = append(kept, b)
	}
	part.acked = kept
}

// ledBy is the last election of a partition before then; nil if none was seen.
func (p *predictor) ledBy(at lin.Partition, then clock.Instant) (last *epochStart) {
	if at.Topic < 0 || int(at.Topic) >= len(p.parts) || int(at.Index) >= len(p.parts[at.Topic]) {
		return nil
	}
	list := p.parts[at.Topic][at.Index].epochs
	for i := range list {
		if list[i].at <= then {
			last = &list[i]
		}
	}
	return last
}

// lose counts records that were acknowledged then.
func (p *predictor) lose(part *predicted, records int64, acked clock.Instant) {
	if !p.losing {
		p.losing, p.lostFrom = true, acked
	}
	part.lost += records
	p.lostFrom, p.lostTo = min(p.lostFrom, acked), max(p.lostTo, acked)
}

// expire forgets the acknowledged batches that retention has deleted: no election
// can lose them any more.
func (p *predicted) expire(logStart int64) {
	p.acked = slices.DeleteFunc(p.acked, func(b ackedBatch) bool { return b.base+int64(b.count) <= logStart })
}

// divergence is where a new leader's log leaves what was acknowledged: at its own
// epoch's start, or before it, where a leader acknowledged records of whose epoch
// this log has none. What it holds there instead nobody acknowledged.
func (p *predicted) divergence(r *partition.Partition) int64 {
	start := r.EpochStart()
	for _, b := range p.acked {
		if b.wrote < 0 || b.base < r.StartOffset() || b.base >= start || b.wrote >= r.LeaderEpoch() {
			continue
		}
		if _, has := r.Log().EpochStart(b.wrote); !has {
			start = b.base
		}
	}
	return start
}

// ackedBy notes an acknowledgement by the leader that gave it. An isolated old
// leader may acknowledge what a newer epoch has already overruled.
func (p *predictor) ackedBy(b *client.Batch, base int64, epoch int32) {
	part := &p.parts[b.Topic][b.Partition]
	end := base + int64(b.Count)
	for _, e := range part.epochs {
		if e.epoch > epoch && end > e.start {
			p.lose(part, end-max(e.start, base), b.Now)
			p.ledger.checker.Overruled(lin.BatchID(b.ID))
			return
		}
	}
	if len(part.acked) >= ackedMax {
		part.acked = append(part.acked[:0], part.acked[ackedMax/2:]...)
	}
	wrote := int32(-1)
	for _, e := range part.epochs {
		if e.epoch <= epoch && e.begin <= base {
			wrote = e.epoch
		}
	}
	part.acked = append(part.acked, ackedBatch{base, b.Count, b.Now, epoch, wrote})
}
