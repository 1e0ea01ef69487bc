package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetForLeaderEpoch (key 23, versions 2 to 4): where a leader epoch ended, so
// that a consumer can tell whether its position was truncated (KIP-320). Only
// the leader answers (KIP-101).

// OffsetForLeaderEpoch answers at once.
func (d *Data) OffsetForLeaderEpoch(c *step.Context, r *conn.Request) {
	var req kmsg.OffsetForLeaderEpochRequest
	if !decode(d.Responder, c, r, &req) {
		return
	}
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	resp.SetVersion(r.Version)
	follower := d.gate.MayCluster(r.Session, acl.ClusterAction)
	for i := range req.Topics {
		allowed := follower || d.gate.May(r.Session, acl.Describe, acl.Topic, req.Topics[i].Topic)
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, p := range req.Topics[i].Partitions {
			if !allowed {
				out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				out.Partition, out.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				t.Partitions = append(t.Partitions, out)
				continue
			}
			end := d.Partitions.EndOffsetForEpoch(log.Partition{Topic: t.Topic, Index: p.Partition}, p.CurrentLeaderEpoch, p.LeaderEpoch)
			out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			out.Partition, out.ErrorCode, out.LeaderEpoch, out.EndOffset = p.Partition, end.ErrorCode, end.LeaderEpoch, end.EndOffset
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	d.Responder.Respond(c, r.ID, resp)
}
