package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteRecords (key 21, versions 0 to 2) moves the log start of partitions that
// this broker leads; -1 means up to the high watermark (KIP-107).
//
// Authorisation: DELETE on each topic.

// DeleteRecords answers when every live replica has followed.
func (d *Data) DeleteRecords(c *step.Context, r *conn.Request) {
	var req kmsg.DeleteRecordsRequest
	if !decode(d.Responder, c, r, &req) {
		return
	}
	out := &partition.DeleteRecords{Request: r.ID, Version: r.Version, TimeoutMillis: req.TimeoutMillis}
	for i := range req.Topics {
		allowed := d.gate.May(r.Session, acl.Delete, acl.Topic, req.Topics[i].Topic)
		for _, p := range req.Topics[i].Partitions {
			out.Parts = append(out.Parts, partition.DeletePart{Topic: req.Topics[i].Topic, Partition: p.Partition, Offset: p.Offset})
			if !allowed {
				out.Parts[len(out.Parts)-1].Refuse(kerr.TopicAuthorizationFailed.Code)
			}
		}
	}
	d.Partitions.DeleteRecords(c, out)
}

// AnswerDeleteRecords implements partition.Answerer.
func (d *Data) AnswerDeleteRecords(c *step.Context, r *partition.DeleteRecords) {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	resp.SetVersion(r.Version)
	for i := range r.Parts {
		part := &r.Parts[i]
		if i == 0 || part.Topic != r.Parts[i-1].Topic {
			t := kmsg.NewDeleteRecordsResponseTopic()
			t.Topic = part.Topic
			resp.Topics = append(resp.Topics, t)
		}
		out := kmsg.NewDeleteRecordsResponseTopicPartition()
		out.Partition, out.ErrorCode, out.LowWatermark = part.Partition, part.ErrorCode, part.LowWatermark
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, out)
	}
	d.Responder.Respond(c, r.Request, resp)
}
