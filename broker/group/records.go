package group

import (
	"errors"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var errShortKey = errors.New("record key of fewer than two bytes")

// metadataVersion is the version of GroupMetadataValue that Kafka has written
// since 2.3.
const metadataVersion = 3

// putMetadata adds the group's metadata record. The assignments are those of the
// generation, by the order of the members.
func putMetadata(r *coordinator.Records, g *group, assignments [][]byte) {
	v := kmsg.NewGroupMetadataValue()
	v.Version, v.ProtocolType, v.Generation, v.Protocol = metadataVersion, g.protocolType, g.generation, g.protocol
	if g.leader != "" {
		v.Leader = &g.leader
	}
	v.CurrentStateTimestamp = int64(g.since)
	for i, m := range g.members {
		out := kmsg.NewGroupMetadataValueMember()
		out.MemberID, out.InstanceID, out.ClientID, out.ClientHost = m.id, m.instance, m.clientID, m.clientHost
		out.RebalanceTimeoutMillis, out.SessionTimeoutMillis = millis(m.rebalanceTimeout), millis(m.sessionTimeout)
		out.Subscription, out.Assignment = m.metadata(g.protocolName()), assignments[i]
		v.Members = append(v.Members, out)
	}
	r.Put(&kmsg.GroupMetadataKey{Version: keyGroupMetadata, Group: g.id}, &v)
}

func deleteMetadata(r *coordinator.Records, id string) {
	r.Delete(&kmsg.GroupMetadataKey{Version: keyGroupMetadata, Group: id})
}

func putOffset(r *coordinator.Records, id string, at topicPartition, c *committed) {
	v := kmsg.OffsetCommitValue{
		Version: 3, Offset: c.offset, LeaderEpoch: c.leaderEpoch, Metadata: c.metadata,
		CommitTimestamp: c.timestamp, TopicID: c.topicID,
	}
	switch {
	case c.expires >= 0:
		// Only version 1 has room for it, and none for the leader epoch.
		v.Version, v.ExpireTimestamp = 1, c.expires
	case c.topicID != [16]byte{}:
		v.Version = 4 // KAFKA-19141
	}
	r.Put(offsetKey(id, at), &v)
}

func deleteOffset(r *coordinator.Records, id string, at topicPartition) { r.Delete(offsetKey(id, at)) }

func offsetKey(id string, at topicPartition) *kmsg.OffsetCommitKey {
	return &kmsg.OffsetCommitKey{Version: keyOffsetCommit, Group: id, Topic: at.topic, Partition: at.partition}
}

func millis(d time.Duration) int32 { return int32(d / time.Millisecond) }

func duration(millis int32) time.Duration { return time.Duration(millis) * time.Millisecond }
