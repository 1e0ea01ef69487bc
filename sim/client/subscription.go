package client

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// subscription encodes what a JoinGroup says to an assignor.
func (c *Consumer) subscription(a interface{ Protocol() string }) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Version = 3
	for i := range c.cfg.Topics {
		m.Topics = append(m.Topics, c.cfg.Topics[i].Name)
	}
	m.Generation = c.group.lastGener
	switch a.Protocol() {
	case "cooperative-sticky":
		for i := range c.partitions {
			p := &c.partitions[i]
			if !p.assigned {
				continue
			}
			name := c.cfg.Topics[p.topic].Name
			if n := len(m.OwnedPartitions); n == 0 || m.OwnedPartitions[n-1].Topic != name {
				o := kmsg.NewConsumerMemberMetadataOwnedPartition()
				o.Topic = name
				m.OwnedPartitions = append(m.OwnedPartitions, o)
			}
			o := &m.OwnedPartitions[len(m.OwnedPartitions)-1]
			o.Partitions = append(o.Partitions, p.number)
		}
	case "sticky":
		s := kmsg.NewStickyMemberMetadata()
		s.Generation = c.group.lastGener
		for _, x := range c.group.last {
			name := c.cfg.Topics[x.topic].Name
			if n := len(s.CurrentAssignment); n == 0 || s.CurrentAssignment[n-1].Topic != name {
				t := kmsg.NewStickyMemberMetadataCurrentAssignment()
				t.Topic = name
				s.CurrentAssignment = append(s.CurrentAssignment, t)
			}
			t := &s.CurrentAssignment[len(s.CurrentAssignment)-1]
			t.Partitions = append(t.Partitions, x.number)
		}
		m.UserData = s.AppendTo(nil)
	}
	rack := c.settings.ClientRack
	if rack == "" {
		rack = c.cfg.Rack
	}
	if rack != "" {
		m.Rack = kmsg.StringPtr(rack)
	}
	return m.AppendTo(nil)
}

// assignGroup is the leader's part: it deals the partitions to the members.
func (c *Consumer) assignGroup(members []kmsg.JoinGroupResponseMember) ([]kmsg.SyncGroupRequestGroupAssignment, error) {
	var all []assignMember
	for i := range members {
		m, err := readMember(&members[i])
		if err != nil {
			return nil, fmt.Errorf("read the subscription of member %s: %w", members[i].MemberID, err)
		}
		all = append(all, m)
	}
	dealt, err := assign(c.group.protocol, all, func(topic string) int32 {
		if t := c.meta.topicByName(topic); t >= 0 {
			return int32(len(c.meta.topics[t].partitions))
		}
		return 0
	})
	if err != nil {
		return nil, err
	}
	var out []kmsg.SyncGroupRequestGroupAssignment
	for i := range all {
		a := kmsg.NewConsumerMemberAssignment()
		for _, p := range dealt[i] {
			if n := len(a.Topics); n == 0 || a.Topics[n-1].Topic != p.topic {
				t := kmsg.NewConsumerMemberAssignmentTopic()
				t.Topic = p.topic
				a.Topics = append(a.Topics, t)
			}
			t := &a.Topics[len(a.Topics)-1]
			t.Partitions = append(t.Partitions, p.partition)
		}
		g := kmsg.NewSyncGroupRequestGroupAssignment()
		g.MemberID, g.MemberAssignment = all[i].id, a.AppendTo(nil)
		out = append(out, g)
	}
	return out, nil
}
