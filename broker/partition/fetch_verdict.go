package partition

import (
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// FetchVerdict is what has been found out about an answer before the Step that
// consumes it: read as a leader's to a follower's fetch, and its batches whose
// CRC is right. An answer does not say what it answers, so there are verdicts
// about others too; nobody asks for them.
type FetchVerdict struct {
	frame *edge.Buffer
	resp  wire.FetchResponse
	sound []place // in the order of the answer
	next  int     // of sound
}

// place is where a batch begins.
type place struct {
	buffer *edge.Buffer
	at     int32
}

// Inspect reads an answer; it is false if this is no answer to a fetch.
func (v *FetchVerdict) Inspect(frame *edge.Buffer) bool {
	v.frame, v.sound, v.next = nil, v.sound[:0], 0
	v.resp.Version = replicaFetchVersion
	head, _, _ := frame.Pieces()
	_, body, err := wire.ParseResponseHeader(head, wire.KeyFetch, replicaFetchVersion)
	if err != nil || v.resp.ReadFrame(frame, len(head)-len(body)) != nil {
		return false
	}
	for i := range v.resp.Topics {
		for j := range v.resp.Topics[i].Partitions {
			for _, s := range v.resp.Topics[i].Partitions[j].Slices {
				v.check(s)
			}
		}
	}
	v.frame = frame
	return true
}

func (v *FetchVerdict) check(s edge.Slice) {
	at := s.From
	for rest := s.Bytes(); len(rest) > 0; {
		batch, after, err := record.Next(rest)
		if err != nil {
			return // whoever appends the batches says what is wrong
		}
		if batch.CheckCRCAt(s.Buffer, at) == nil {
			v.sound = append(v.sound, place{s.Buffer, at})
		}
		at += int32(len(batch))
		rest = after
	}
}

// Sound is how many batches have the right CRC.
func (v *FetchVerdict) Sound() int { return len(v.sound) }

// vouches tells whether the CRC of the batch at a place is known to be right. It
// is asked in the order of the answer.
func (v *FetchVerdict) vouches(buffer *edge.Buffer, at int32) bool {
	if v == nil {
		return false
	}
	for i := v.next; i < len(v.sound); i++ {
		if v.sound[i] == (place{buffer, at}) {
			v.next = i + 1
			return true
		}
	}
	return false
}

// decode returns a leader's answer, as the step's verdict has it if there is one.
func (f *fetcher) decode(c *step.Context, r *caller.Reply) (*wire.FetchResponse, error) {
	if v, _ := c.Verdict.(*FetchVerdict); v != nil && v.frame == r.Frame {
		return &v.resp, nil
	}
	f.resp.Version = replicaFetchVersion
	return &f.resp, f.resp.ReadFrame(r.Frame, r.BodyAt)
}
