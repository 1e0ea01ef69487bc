package cli

import (
	"errors"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// lagOfConsumerProtocol describes a group of the consumer protocol (KIP-848) as
// kadm.Lag describes a classic one: that request does not know the new groups
// and calls them dead.
func (s *session) lagOfConsumerProtocol(name string) (kadm.DescribedGroupLag, error) {
	described, err := s.admin.DescribeConsumerGroups(s.ctx, name)
	if err != nil {
		return kadm.DescribedGroupLag{}, err
	}
	group := described[name]
	out := kadm.DescribedGroupLag{
		Group: name, Coordinator: group.Coordinator, State: group.State, ProtocolType: "consumer", Protocol: group.AssignorName,
		Lag: kadm.GroupLag{}, DescribeErr: group.Err,
	}
	if group.Err != nil {
		return out, nil
	}
	commits, err := s.admin.FetchOffsets(s.ctx, name)
	if err != nil {
		out.FetchErr = err
		return out, nil
	}
	owners := map[topicPartition]*kadm.DescribedGroupMember{}
	partitions, subscribed := commits.Partitions(), []string(nil)
	for _, m := range group.Members {
		out.Members = append(out.Members, kadm.DescribedGroupMember{MemberID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost})
		owner := out.Members[len(out.Members)-1]
		partitions.Merge(m.Assignment)
		subscribed = append(subscribed, m.SubscribedTopics...)
		for topic, numbers := range m.Assignment {
			for p := range numbers {
				owners[topicPartition{topic, p}] = &owner
			}
		}
	}
	delete(partitions, "") // from brokers that tell ids only
	return out, s.addLag(&out, partitions, subscribed, commits, owners)
}

// addLag compares what was committed with what is there, for partitions and for
// all of the topics that are subscribed.
func (s *session) addLag(out *kadm.DescribedGroupLag, partitions kadm.TopicsSet, subscribed []string, commits kadm.OffsetResponses, owners map[topicPartition]*kadm.DescribedGroupMember) error {
	topics := append(partitions.Topics(), subscribed...)
	slices.Sort(topics)
	topics = slices.Compact(topics)
	if len(topics) == 0 {
		return nil
	}
	starts, err := s.admin.ListStartOffsets(s.ctx, topics...)
	if err = partly(err); err != nil {
		return err
	}
	ends, err := s.admin.ListEndOffsets(s.ctx, topics...)
	if err = partly(err); err != nil {
		return err
	}
	for _, topic := range subscribed {
		for p := range ends[topic] {
			partitions.Add(topic, p)
		}
	}
	for topic, numbers := range partitions {
		out.Lag[topic] = map[int32]kadm.GroupMemberLag{}
		for p := range numbers {
			row := kadm.GroupMemberLag{Topic: topic, Partition: p, Lag: -1, Member: owners[topicPartition{topic, p}], Commit: kadm.Offset{Topic: topic, Partition: p, At: -1}}
			if commit, ok := commits.Lookup(topic, p); ok {
				row.Commit, row.Err = commit.Offset, commit.Err
			}
			row.Start, row.End = listedOr(starts, topic, p), listedOr(ends, topic, p)
			if row.Err = errors.Join(row.Err, row.Start.Err, row.End.Err); row.Err == nil {
				row.Lag = row.End.Offset - max(row.Commit.At, row.Start.Offset)
			}
			out.Lag[topic][p] = row
		}
	}
	return nil
}

// listedOr is an offset, or the error that there is none.
func listedOr(listed kadm.ListedOffsets, topic string, partition int32) kadm.ListedOffset {
	if found, ok := listed.Lookup(topic, partition); ok {
		return found
	}
	return kadm.ListedOffset{Topic: topic, Partition: partition, Err: kerr.UnknownTopicOrPartition}
}
