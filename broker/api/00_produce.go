package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Produce (key 0, versions 3 to 13). Version 13 names topics by id (KIP-516),
// 8 returns the record that is wrong (KIP-467), 10 whom to ask instead
// (KIP-951). ApiVersions shows 0 as the lowest version, because librdkafka drops
// compression otherwise (KAFKA-18659); those requests themselves are refused.
//
// acks=0 is never answered: an error closes the connection.

// Produce appends the request's batches.
func (d *Data) Produce(c *step.Context, r *conn.Request) {
	req := &d.produce
	req.Version = r.Version
	if r.Version < wire.ProduceVersionMin {
		c.Logf(edge.Warn, "closing connection of %s: Produce version %d is of magic 0 or 1", r.Peer, r.Version)
		d.Responder.Disconnect(c, r.ID)
		return
	}
	if err := req.ReadFrom(r.Body); err != nil {
		c.Logf(edge.Warn, "closing connection of %s: Produce version %d: %v", r.Peer, r.Version, err)
		d.Responder.Disconnect(c, r.ID)
		return
	}
	p := d.Partitions.NewProduce()
	p.Request, p.Session, p.Version, p.Acks, p.TimeoutMillis, p.Frame = r.ID, r.Session, r.Version, req.Acks, req.TimeoutMillis, r.Frame
	d.asked.reset()
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			records := t.Partitions[j].Records
			from := 0
			if len(records) > 0 {
				from = partition.PlaceIn(r.Frame.Bytes(), records)
			}
			place, again := d.asked.place(onceKey{t.Topic, t.TopicID, t.Partitions[j].Partition})
			if again { // of two batches for one partition the later counts
				p.Parts[place].From, p.Parts[place].To = from, from+len(records)
				continue
			}
			p.AddPart(t.Topic, t.TopicID, t.Partitions[j].Partition, from, from+len(records))
		}
	}
	if req.Acks < -1 || req.Acks > 1 {
		for i := range p.Parts {
			p.Parts[i].ErrorCode = kerr.InvalidRequiredAcks.Code
		}
		d.AnswerProduce(c, p)
		d.Partitions.Discard(p)
		return
	}
	d.Partitions.Produce(c, p)
}

// AnswerProduce implements partition.Answerer.
func (d *Data) AnswerProduce(c *step.Context, p *partition.Produce) {
	if p.Acks == 0 {
		for i := range p.Parts {
			if p.Parts[i].ErrorCode != 0 {
				d.Responder.Disconnect(c, p.Request)
				return
			}
		}
		d.Responder.NoResponse(c, p.Request)
		return
	}
	resp := &d.produceResp
	resp.Reset(p.Version)
	d.endpoints = d.endpoints[:0]
	var t *wire.ProduceTopicResponse
	for i := range p.Parts {
		part := &p.Parts[i]
		if i == 0 || part.Topic != p.Parts[i-1].Topic || part.TopicID != p.Parts[i-1].TopicID {
			t = resp.AddTopic(part.Topic, part.TopicID)
		}
		d.produced(p.Request, t, part)
	}
	resp.NodeEndpoints = append(resp.NodeEndpoints[:0], d.endpoints...)
	head := resp.AppendTo(d.Responder.ResponseHead(p.Request, c.Out.Head()))
	d.Responder.RespondEncoded(c, p.Request, edge.Send{Head: head})
}

func (d *Data) produced(id conn.RequestID, t *wire.ProduceTopicResponse, part *partition.ProducePart) {
	out := t.AddPartition(part.Partition)
	out.ErrorCode, out.LogStartOffset = part.ErrorCode, part.LogStartOffset
	if part.ErrorCode == 0 {
		out.BaseOffset, out.LogAppendTimeMillis = part.BaseOffset, part.LogAppendTime
		return
	}
	if part.ErrorMessage != "" {
		out.ErrorMessage = wire.Some(part.ErrorMessage)
	}
	if part.RecordIndex >= 0 {
		out.RecordErrors = append(out.RecordErrors, wire.RecordError{BatchIndex: part.RecordIndex, Message: wire.Some(part.ErrorMessage)})
	}
	out.CurrentLeader = wire.CurrentLeader{LeaderID: part.LeaderID, LeaderEpoch: part.LeaderEpoch}
	d.endpoint(id, part.LeaderID)
}
