package partition

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// ackWait is one appended batch that waits for an offset to be passed: the high
// watermark (acks=all) or the log end (acks=0 and 1).
type ackWait struct {
	produce    *Produce // nil: of a coordinator
	generation uint32
	part       int32
	required   int64
	token      edge.Token // of a coordinator
	base       int64
}

// ackQueue holds waits in the order of their offsets: a ring over a slice.
type ackQueue struct {
	list []ackWait
	head int
}

// push adds a wait; only a duplicate ever goes before the last.
func (q *ackQueue) push(w ackWait) {
	if q.head > 0 && len(q.list) == cap(q.list) {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	at := len(q.list)
	for at > q.head && q.list[at-1].required > w.required {
		at--
	}
	if at == len(q.list) {
		q.list = append(q.list, w)
		return
	}
	q.list = slices.Insert(q.list, at, w)
}

// pop takes the first wait if the offset satisfies it.
func (q *ackQueue) pop(offset int64) (ackWait, bool) {
	if q.head == len(q.list) || q.list[q.head].required > offset {
		return ackWait{}, false
	}
	w := q.list[q.head]
	q.list[q.head] = ackWait{}
	q.head++
	if q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
	return w, true
}

// answerReplicated decides the batches that are below the high watermark now.
func (m *Manager) answerReplicated(c *step.Context, p *Partition) {
	mark := p.log.HighWatermark()
	for {
		w, ok := p.acks.pop(mark)
		if !ok {
			return
		}
		m.decideWait(c, &w, p.replicatedCode())
	}
}

// answerWritten decides the batches of acks=0 and acks=1 that are written now.
func (m *Manager) answerWritten(c *step.Context, p *Partition) {
	end := p.log.EndOffset()
	for {
		w, ok := p.writes.pop(end)
		if !ok {
			return
		}
		m.decideWait(c, &w, errNone)
	}
}

// replicatedCode is the result of a batch that every in-sync replica has: an
// error, though the data stays, if those are too few by now.
func (p *Partition) replicatedCode() int16 {
	if p.underMinISR() {
		return errNotEnoughReplicasAfter
	}
	return errNone
}

// failAcks decides everything that waits on a partition.
func (m *Manager) failAcks(c *step.Context, p *Partition, code int16) {
	const everything = int64(1<<63 - 1)
	for _, q := range [...]*ackQueue{&p.acks, &p.writes} {
		for {
			w, ok := q.pop(everything)
			if !ok {
				break
			}
			m.decideWait(c, &w, code)
		}
	}
}

func (m *Manager) decideWait(c *step.Context, w *ackWait, code int16) {
	if w.produce == nil {
		m.internal.done(InternalResult{Kind: InternalAppended, Token: w.token, Error: code,
			BaseOffset: w.base, LastOffset: w.required - 1})
		return
	}
	if w.produce.generation == w.generation && !w.produce.Parts[w.part].decided {
		m.decide(c, w.produce, w.part, code)
	}
}

// decide ends one part; with the last one the request is answered.
func (m *Manager) decide(c *step.Context, req *Produce, index int32, code int16) {
	part := &req.Parts[index]
	if code == errNone && part.duplicate {
		code = errDuplicateSequence
	}
	part.ErrorCode, part.decided = code, true
	if code != errNone {
		part.BaseOffset, part.LogAppendTime = -1, -1
		if !tellsLogStart(code) {
			part.LogStartOffset = -1
		}
	}
	if code == errNotLeaderOrFollower {
		part.LeaderID, part.LeaderEpoch = m.hint(part.Topic, part.Partition)
	}
	req.waiting--
	if req.waiting == 0 {
		m.answerProduce(c, req)
	}
}

func (m *Manager) answerProduce(c *step.Context, req *Produce) {
	if req.slot != 0 {
		c.Timers.Cancel(timer.ID{Owner: step.OwnerPartition, Kind: timerProduce, A: req.slot})
	}
	m.answerer.AnswerProduce(c, req)
	m.produces.put(req)
}

// awaitProduce bounds the wait with the request's own timeout.
func (m *Manager) awaitProduce(c *step.Context, req *Produce) {
	m.produces.park(req)
	at := waitFrom(c.Now, req.TimeoutMillis)
	c.Timers.Set(timer.ID{Owner: step.OwnerPartition, Kind: timerProduce, A: req.slot}, at)
}

// produceTimeout answers a request whose acks did not come in time. Its batches
// stay in the log and may yet be committed.
func (m *Manager) produceTimeout(c *step.Context, slot uint32) {
	req := m.produces.at(slot)
	if req == nil {
		return
	}
	// The last part to be decided answers and reuses the request.
	parts := req.Parts
	for i := range parts {
		if !parts[i].decided {
			m.decide(c, req, int32(i), errRequestTimedOut)
		}
	}
}

// produceTable holds the requests that wait, by slot, and those to be reused.
type produceTable struct {
	slots []*Produce // slots[0] is not used
	free  []uint32
	spare []*Produce
}

// spareRequestsMax bounds what each table of requests keeps for reuse.
// sparePartsMax is how many partitions one of them may have room for.
const (
	spareRequestsMax = 1024
	sparePartsMax    = 4096
)

func (t *produceTable) get() *Produce {
	if n := len(t.spare); n > 0 {
		p := t.spare[n-1]
		t.spare = t.spare[:n-1]
		return p
	}
	return &Produce{}
}

func (t *produceTable) park(p *Produce) {
	if len(t.slots) == 0 {
		t.slots = append(t.slots, nil)
	}
	if n := len(t.free); n > 0 {
		p.slot = t.free[n-1]
		t.free = t.free[:n-1]
		t.slots[p.slot] = p
		return
	}
	p.slot = uint32(len(t.slots))
	t.slots = append(t.slots, p)
}

func (t *produceTable) at(slot uint32) *Produce {
	if int(slot) >= len(t.slots) {
		return nil
	}
	return t.slots[slot]
}

// put takes a request back; its generation tells waits of its former life apart.
func (t *produceTable) put(p *Produce) {
	if p.slot != 0 {
		t.slots[p.slot] = nil
		t.free = append(t.free, p.slot)
	}
	*p = Produce{Parts: p.Parts[:0], generation: p.generation + 1}
	if len(t.spare) < spareRequestsMax && cap(p.Parts) <= sparePartsMax {
		t.spare = append(t.spare, p)
	}
}
