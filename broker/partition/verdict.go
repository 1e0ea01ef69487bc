package partition

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// Verdict is what has been found out about the batches of a produce request
// before the Step that appends them: those in which nothing is wrong, whatever
// topic they are for. Of all others it says nothing, so that Produce looks at
// them itself and says what is wrong with them.
type Verdict struct {
	frame *edge.Buffer
	good  []goodBatch // in the order of the request
	next  int         // of good
}

type goodBatch struct {
	at  int // in the frame
	sum record.Summary
}

// Reset empties the verdict, which keeps its memory, for another frame.
func (v *Verdict) Reset(frame *edge.Buffer) { v.frame, v.good, v.next = frame, v.good[:0], 0 }

// Inspect looks at the batch that records, a part of the frame, begin with.
func (v *Verdict) Inspect(records []byte, scratch *record.Scratch) {
	batch, _, err := record.Next(records)
	if err != nil {
		return
	}
	var sum record.Summary
	at, limits := PlaceIn(v.frame.Bytes(), records), record.Unlimited()
	if batch.CheckHeader(limits) == nil && batch.CheckCRCAt(v.frame, int32(at)) == nil &&
		batch.InspectRecords(scratch, limits, &sum) == nil {
		v.good = append(v.good, goodBatch{at, sum})
	}
}

// Good is how many batches the verdict vouches for.
func (v *Verdict) Good() int { return len(v.good) }

// of returns what is known of the batch at a place of a frame. It is asked for
// places that do not go down.
func (v *Verdict) of(frame *edge.Buffer, at int) *record.Summary {
	if v == nil || v.frame != frame {
		return nil
	}
	for v.next < len(v.good) && v.good[v.next].at < at {
		v.next++
	}
	if v.next < len(v.good) && v.good[v.next].at == at {
		return &v.good[v.next].sum
	}
	return nil
}

// inspect checks a batch under a topic's limits, as far as the step's verdict
// does not know already. A request whose frame had to wait comes without one.
func (m *Manager) inspect(c *step.Context, p *Partition, req *Produce, part *ProducePart, batch record.Batch) (record.Summary, error) {
	limits := p.limits(int64(c.Wall))
	verdict, _ := c.Verdict.(*Verdict)
	if sum := verdict.of(req.Frame, part.From); sum != nil && limits.Accepts(batch, sum) {
		return *sum, nil
	}
	var sum record.Summary
	err := batch.Inspect(&m.scratch, &limits, &sum)
	return sum, err
}
