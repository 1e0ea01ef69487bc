package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
)

// predictor says which acknowledged records must be lost: those that the log of
// the newest leader does not hold. It looks at elections only, never at what is
// read afterwards. What one election takes away another may bring back, if a
// replica leads again that has it still.
type predictor struct {
	ledger *ledger
	parts  [][]predicted // by topic, partition
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

// predicted is one partition's.
type predicted struct {
	epochs  []epochBegin // of leaders that have begun, rising
	acked   []ackedBatch // what the newest leader's log holds
	missing []ackedBatch // what it does not
}

// epochBegin says from which offset on a leader appended under its epoch.
type epochBegin struct {
	epoch int32
	begin int64
	// before is the index of the epoch in which the log that the leader had then was
	// written last, and so on back; -1 for none. The log itself does not know all of
	// them: what a cleaner took away before a follower fetched it, with all of an
	// epoch, leaves no trace in the follower's leader-epoch checkpoint.
	before int

	leader int32
	at     clock.Instant // when it was first seen to lead
}

type ackedBatch struct {
	base  int64
	count int32
	at    clock.Instant
	due   clock.Instant // of its youngest record
	epoch int32         // under which it was acknowledged
	wrote int32         // under which it was appended: older for a duplicate; noEpoch is not known
}

func (b *ackedBatch) end() int64 { return b.base + int64(b.count) }

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

// leads looks at a replica that leads. If its epoch is new, its log decides anew
// what of the acknowledged is there.
func (p *predictor) leads(r *partition.Partition) {
	part, topic := p.at(r.Key().Topic, r.Key().Index)
	if part == nil {
		return
	}
	name, pl := partitionOf(topic, r.Key().Index), p.ledger.part(topic, r.Key().Index)
	if r.StartOffset() > pl.logStart {
		reason := p.ledger.topics[topic].retention.reason(part, leaderLog{r.LeaderEpoch(), r.StartOffset(), r.Log().Size()}, p.ledger.world.Now())
		pl.logStart = r.StartOffset()
		part.expire(pl.logStart)
		p.ledger.checker.LogStart(name, pl.logStart, reason, p.ledger.event())
	}
	epoch := r.LeaderEpoch()
	p.noteLeader(topic, r.Key().Index, r.LeaderID(), epoch)
	if n := len(part.epochs); n > 0 && part.epochs[n-1].epoch >= epoch {
		return
	}
	part.begin(r, p.ledger.world.Now())
	if start := part.divergence(); start < max(pl.ackedEnd, pl.seenEnd) {
		p.ledger.checker.Truncated(name, start, 0, p.ledger.event())
		pl.seenEnd = min(pl.seenEnd, start)
		pl.ackedEnd = min(pl.ackedEnd, start)
		p.ledger.truncated(topic, r.Key().Index, start)
	}
	pl.ackedEnd = max(pl.ackedEnd, part.settle())
}

// begin takes a new leader in, behind the newest epoch that its log knows.
func (p *predicted) begin(r *partition.Partition, now clock.Instant) {
	newest := epochBegin{epoch: r.LeaderEpoch(), begin: r.EpochStart(), before: len(p.epochs) - 1, leader: r.LeaderID(), at: now}
	for ; newest.before >= 0; newest.before-- {
		if start, has := r.Log().EpochStart(p.epochs[newest.before].epoch); has && start < newest.begin {
			break
		}
	}
	p.epochs = append(p.epochs, newest)
}

// ledBy is the last election of a partition before then; nil if none was seen.
func (p *predictor) ledBy(at lin.Partition, then clock.Instant) (last *epochBegin) {
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

// holds tells whether the newest leader's log has a batch: below where it began
// to append itself, and under the epoch that the batch was appended in. Where that
// log begins later, or the epoch was not seen, it is as it was before.
func (p *predicted) holds(b *ackedBatch, before bool) bool {
	if len(p.epochs) == 0 {
		return before
	}
	newest := p.epochs[len(p.epochs)-1]
	if b.epoch >= newest.epoch {
		return true
	}
	if b.end() > newest.begin {
		return false
	}
	wrote := p.wrote(newest.before, b.base)
	if b.wrote == noEpoch || wrote == noEpoch {
		return before
	}
	return wrote == b.wrote
}

// wrote is the epoch in which an offset was appended to the log of a leader, given
// by the index of its epoch; noEpoch if that lies before what was seen.
func (p *predicted) wrote(leader int, offset int64) int32 {
	for ; leader >= 0; leader = p.epochs[leader].before {
		if e := &p.epochs[leader]; e.begin <= offset {
			return e.epoch
		}
	}
	return noEpoch
}

// divergence is where the newest leader's log leaves what was acknowledged: where
// it began to append, or at the first batch before that which it does not hold.
// What it has there instead nobody acknowledged.
func (p *predicted) divergence() int64 {
	start := p.epochs[len(p.epochs)-1].begin
	for i := range p.acked {
		if b := &p.acked[i]; !p.holds(b, true) {
			start = min(start, b.base)
		}
	}
	return start
}

// settle sorts what was acknowledged by whether it is there now, and returns the
// end of what has come back.
func (p *predicted) settle() (back int64) {
	all := slices.Concat(p.acked, p.missing)
	was := len(p.acked)
	p.acked, p.missing = p.acked[:0], p.missing[:0]
	for i := range all {
		switch b := &all[i]; {
		case !p.holds(b, i < was):
			p.missing = append(p.missing, *b)
		default:
			p.acked = append(p.acked, *b)
			if i >= was {
				back = max(back, b.end())
			}
		}
	}
	return back
}

// expire forgets the acknowledged batches that retention has deleted: no election
// can lose them any more.
func (p *predicted) expire(logStart int64) {
	p.acked = slices.DeleteFunc(p.acked, func(b ackedBatch) bool { return b.end() <= logStart })
}

// ackedBy notes an acknowledgement by the leader that gave it, and tells whether
// the newest leader's log has the batch: an isolated old leader may acknowledge
// what has been overruled.
func (p *predictor) ackedBy(b *client.Batch, base int64, epoch int32) (held bool) {
	part := &p.parts[b.Topic][b.Partition]
	leader := len(part.epochs) - 1
	for leader >= 0 && part.epochs[leader].epoch > epoch {
		leader--
	}
	a := ackedBatch{base: base, count: b.Count, at: b.Now, epoch: epoch, wrote: part.wrote(leader, base)}
	for _, due := range b.Intended {
		a.due = max(a.due, due.At)
	}
	list := &part.acked
	if held = part.holds(&a, true); !held {
		list = &part.missing
	}
	if len(*list) >= ackedMax {
		*list = append((*list)[:0], (*list)[ackedMax/2:]...)
	}
	*list = append(*list, a)
	return held
}

// replaced tells whether a batch that was acknowledged at this base offset must be
// lost, and what stands there now was appended under another epoch.
func (p *predicted) replaced(base int64, epoch int32) bool {
	return slices.ContainsFunc(p.missing, func(b ackedBatch) bool {
		return b.base == base && b.wrote != noEpoch && b.wrote != epoch
	})
}

// lost counts the records of a partition that must be lost.
func (p *predicted) lost() (records int64) {
	for i := range p.missing {
		records += int64(p.missing[i].count)
	}
	return records
}

// span is the time in which what must be lost was acknowledged.
func (p *predictor) span() (from, to clock.Instant) {
	from = clock.Never
	for t := range p.parts {
		for i := range p.parts[t] {
			for k := range p.parts[t][i].missing {
				at := p.parts[t][i].missing[k].at
				from, to = min(from, at), max(to, at)
			}
		}
	}
	return min(from, to), to
}
