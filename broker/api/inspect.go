package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// inspector looks at the batches of Produce requests: their CRC, and each of
// their records, decompressed if need be; and at the CRC of those that a leader
// answers with. What cannot be read it leaves to the step that consumes the frame.
type inspector struct {
	header  wire.RequestHeader
	produce wire.ProduceRequest
	scratch record.Scratch
}

// NewInspector returns what inspects the requests of clients and the answers of
// leaders.
func NewInspector() edge.Inspector { return &inspector{} }

// Inspect implements edge.Inspector.
func (i *inspector) Inspect(frame *edge.Buffer, used edge.Verdict) edge.Verdict {
	body, err := i.header.ParseUnnamed(frame.Bytes())
	if err != nil || i.header.Key != wire.KeyProduce ||
		i.header.Version < wire.ProduceVersionMin || i.header.Version > wire.ProduceVersionMax {
		return nil
	}
	i.produce.Version = i.header.Version
	if i.produce.ReadFrom(body) != nil {
		return nil
	}
	verdict, _ := used.(*partition.Verdict)
	if verdict == nil {
		verdict = new(partition.Verdict)
	}
	verdict.Reset(frame)
	for t := range i.produce.Topics {
		for p := range i.produce.Topics[t].Partitions {
			verdict.Inspect(i.produce.Topics[t].Partitions[p].Records, &i.scratch)
		}
	}
	return verdict
}

// InspectAnswer implements edge.Inspector.
func (i *inspector) InspectAnswer(frame *edge.Buffer, used edge.Verdict) edge.Verdict {
	verdict, _ := used.(*partition.FetchVerdict)
	if verdict == nil {
		verdict = new(partition.FetchVerdict)
	}
	if !verdict.Inspect(frame) {
		return nil
	}
	return verdict
}
