package controller

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterPartition is AlterPartition (56): a leader proposes a new ISR. Three
// epochs guard it: the sender's broker epoch, the leader epoch and the
// partition epoch; since version 3 each member's broker epoch as well (KIP-903).
func (t *change) alterPartition(req *kmsg.AlterPartitionRequest) kmsg.Response {
	if e := t.checkBrokerEpoch(req.BrokerID, req.BrokerEpoch); e != nil {
		return refuse(req, e)
	}
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	for i := range req.Topics {
		rt := &req.Topics[i]
		out := kmsg.NewAlterPartitionResponseTopic()
		out.Topic, out.TopidID = rt.Topic, rt.TopicID
		var topic *meta.Topic
		missing := kerr.UnknownTopicID
		if req.Version >= 2 {
			topic = t.image.TopicByID(rt.TopicID)
		} else {
			topic, missing = t.image.Topic(rt.Topic), kerr.UnknownTopicOrPartition
		}
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			po := kmsg.NewAlterPartitionResponseTopicPartition()
			po.Partition = rp.Partition
			if topic == nil {
				po.ErrorCode = missing.Code
			} else {
				t.alterISR(req, topic, rp, &po)
			}
			out.Partitions = append(out.Partitions, po)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (t *change) alterISR(req *kmsg.AlterPartitionRequest, topic *meta.Topic, rp *kmsg.AlterPartitionRequestTopicPartition,
	out *kmsg.AlterPartitionResponseTopicPartition,
) {
	if rp.Partition < 0 || int(rp.Partition) >= len(topic.Partitions) {
		out.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return
	}
	t.see(topic.ID, rp.Partition)
	// The image, not the topic, which was looked up before our own changes.
	topic = t.image.TopicByID(topic.ID)
	p := topic.Partitions[rp.Partition]
	members := memberEpochs(req.Version, rp)
	if e := t.checkAlter(req, p, rp, members); e != nil {
		out.ErrorCode = e.Code
		return
	}
	b := t.partitionChange(topic, rp.Partition, transition{nobody, nobody, nobody})
	b.isr = make([]int32, 0, len(members))
	for _, m := range members {
		b.isr = append(b.isr, m.BrokerID)
	}
	b.recovered = rp.LeaderRecoveryState == 0
	if r := b.build(); r != nil {
		t.later(r)
		p = p.Merge(r)
	}
	if p.Leader != req.BrokerID {
		// The end of a reassignment has moved the leader.
		out.ErrorCode = kerr.NewLeaderElected.Code
		return
	}
	out.LeaderID, out.LeaderEpoch, out.PartitionEpoch = p.Leader, p.LeaderEpoch, p.PartitionEpoch
	out.ISR = p.ISR
	if p.Recovering {
		out.LeaderRecoveryState = 1
	}
}

// memberEpochs brings both forms of the new ISR into one; -1 is any epoch.
func memberEpochs(version int16, rp *kmsg.AlterPartitionRequestTopicPartition) []kmsg.AlterPartitionRequestTopicPartitionNewEpochISR {
	if version >= 3 {
		return rp.NewEpochISR
	}
	members := make([]kmsg.AlterPartitionRequestTopicPartitionNewEpochISR, len(rp.NewISR))
	for i, id := range rp.NewISR {
		members[i].BrokerID, members[i].BrokerEpoch = id, -1
	}
	return members
}

func (t *change) checkAlter(req *kmsg.AlterPartitionRequest, p *meta.Partition, rp *kmsg.AlterPartitionRequestTopicPartition,
	members []kmsg.AlterPartitionRequestTopicPartitionNewEpochISR,
) *kerr.Error {
	switch {
	case rp.LeaderEpoch > p.LeaderEpoch || rp.PartitionEpoch > p.PartitionEpoch:
		// The leader knows more than we do: another controller is active.
		return kerr.NotController
	case rp.LeaderEpoch < p.LeaderEpoch:
		return kerr.FencedLeaderEpoch
	case req.BrokerID != p.Leader:
		return kerr.InvalidRequest
	case rp.PartitionEpoch < p.PartitionEpoch:
		return kerr.InvalidUpdateVersion
	case len(members) == 0 || rp.LeaderRecoveryState < 0 || rp.LeaderRecoveryState > 1:
		return kerr.InvalidRequest
	case rp.LeaderRecoveryState == 1 && (len(members) > 1 || !p.Recovering):
		return kerr.InvalidRequest
	}
	leads := false
	for i, m := range members {
		if !slices.Contains(p.Replicas, m.BrokerID) {
			return kerr.InvalidRequest
		}
		for _, other := range members[:i] {
			if other.BrokerID == m.BrokerID {
				return kerr.InvalidRequest
			}
		}
		leads = leads || m.BrokerID == req.BrokerID
	}
	if !leads {
		return kerr.InvalidRequest
	}
	for _, m := range members {
		b := t.image.Broker(m.BrokerID)
		if !t.image.Active(m.BrokerID) || m.BrokerEpoch != -1 && m.BrokerEpoch != b.Epoch {
			if req.Version < 2 {
				return kerr.OperationNotAttempted
			}
			return kerr.IneligibleReplica
		}
	}
	return nil
}
