package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListOffsets (key 2, versions 1 to 11): the first offset at or after a time, or
// one with a name: -1 latest, -2 earliest, -3 largest timestamp (version 7), -4
// earliest local (8), -5 latest tiered (9), -6 earliest not uploaded (11). A
// partition that is asked for twice is refused, as in Kafka.

// listOffsetsSince is the first version that knows each named offset.
func listOffsetsSince(timestamp int64) int16 {
	switch timestamp {
	case partition.TimestampMax:
		return 7
	case partition.TimestampEarliestLocal:
		return 8
	case partition.TimestampLatestTiered:
		return 9
	case partition.TimestampEarliestUpload:
		return 11
	}
	return 1
}

// ListOffsets looks offsets up by time.
func (d *Data) ListOffsets(c *step.Context, r *conn.Request) {
	var req kmsg.ListOffsetsRequest
	if !decode(d.Responder, c, r, &req) {
		return
	}
	l := d.Partitions.NewListOffsets()
	l.Request, l.Version, l.ReplicaID, l.ReadCommitted = r.ID, r.Version, req.ReplicaID, req.IsolationLevel == 1
	d.asked.reset()
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			part := partition.ListPart{Topic: t.Topic, Partition: p.Partition, LeaderEpoch: p.CurrentLeaderEpoch, Timestamp: p.Timestamp}
			if p.Timestamp < partition.TimestampEarliestUpload || r.Version < listOffsetsSince(p.Timestamp) {
				part.Refuse(kerr.UnsupportedVersion.Code)
			}
			if !d.gate.May(r.Session, acl.Describe, acl.Topic, t.Topic) {
				part.Refuse(kerr.TopicAuthorizationFailed.Code)
			}
			if place, again := d.asked.place(onceKey{topic: t.Topic, partition: p.Partition}); again {
				l.Parts[place].Refuse(kerr.InvalidRequest.Code)
				continue
			}
			l.Parts = append(l.Parts, part)
		}
	}
	d.Partitions.ListOffsets(c, l)
}

// AnswerListOffsets implements partition.Answerer.
func (d *Data) AnswerListOffsets(c *step.Context, l *partition.ListOffsets) {
	resp := kmsg.NewPtrListOffsetsResponse()
	resp.SetVersion(l.Version)
	for i := range l.Parts {
		part := &l.Parts[i]
		if i == 0 || part.Topic != l.Parts[i-1].Topic {
			t := kmsg.NewListOffsetsResponseTopic()
			t.Topic = part.Topic
			resp.Topics = append(resp.Topics, t)
		}
		out := kmsg.NewListOffsetsResponseTopicPartition()
		out.Partition, out.ErrorCode = part.Partition, part.ErrorCode
		out.Offset, out.Timestamp, out.LeaderEpoch = part.Offset, part.OffsetTimestamp, part.OffsetEpoch
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, out)
	}
	d.Responder.Respond(c, l.Request, resp)
}
