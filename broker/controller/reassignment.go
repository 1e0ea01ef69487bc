package controller

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A reassignment, as the controller carries it out (KIP-455):
//
//	(none) --target--> in progress       replicas = target, then those to be removed
//	(none) --target--> (none)            at once, if the ISR has all of the target already
//	in progress --ISR has the whole target--> (none)   replicas = target
//	in progress --another target--> in progress
//	in progress --cancel--> (none)       replicas without those that were being added
//
// The leader and the ISR carry on meanwhile; new replicas become in sync as any
// follower does. Whenever a replica leaves, the leader epoch rises, so that it is
// fenced from then on, and clients see the epochs in order (KAFKA-9212).

// reassigning tells whether a partition's reassignment is in progress.
func reassigning(p *meta.Partition) bool { return len(p.AddingReplicas)+len(p.RemovingReplicas) > 0 }

// without returns the ids of list that are not in gone.
func without(list, gone []int32) []int32 {
	out := make([]int32, 0, len(list))
	for _, id := range list {
		if !slices.Contains(gone, id) {
			out = append(out, id)
		}
	}
	return out
}

// contains tells whether list has all of the ids.
func contains(list, ids []int32) bool {
	return !slices.ContainsFunc(ids, func(id int32) bool { return !slices.Contains(list, id) })
}

// alterReassignments is AlterPartitionReassignments (45).
func (t *change) alterReassignments(req *kmsg.AlterPartitionAssignmentsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	resp.AllowReplicationFactorChange = req.AllowReplicationFactorChange
	for i := range req.Topics {
		rt := &req.Topics[i]
		out := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		out.Topic = rt.Topic
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			p.Partition = rp.Partition
			if f := t.alterReassignment(rt.Topic, rp, req.AllowReplicationFactorChange || req.Version < 1); f != nil {
				p.ErrorCode, p.ErrorMessage = f.Code, &f.message
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (t *change) alterReassignment(name string, rp *kmsg.AlterPartitionAssignmentsRequestTopicPartition, factorMayChange bool) *failure {
	topic := t.image.Topic(name)
	if topic == nil {
		return fail(kerr.UnknownTopicOrPartition, "Unable to find a topic named %s.", name)
	}
	if rp.Partition < 0 || int(rp.Partition) >= len(topic.Partitions) {
		return fail(kerr.UnknownTopicOrPartition, "Unable to find partition %s:%d.", name, rp.Partition)
	}
	t.see(topic.ID, rp.Partition)
	topic = t.image.TopicByID(topic.ID)
	b := t.partitionChange(topic, rp.Partition, transition{nobody, nobody, nobody})
	var f *failure
	if rp.Replicas == nil {
		f = t.cancelReassignment(b)
	} else {
		f = t.reassign(b, rp.Replicas, factorMayChange)
	}
	if f != nil {
		return f
	}
	if r := b.build(); r != nil {
		t.later(r)
	}
	return nil
}

// reassign aims at new replicas. Those that an earlier reassignment was adding,
// and that are neither wanted any more nor in sync, go at once.
func (t *change) reassign(b *partitionChange, target []int32, factorMayChange bool) *failure {
	if f := t.checkReplicaList(target); f != nil {
		return f
	}
	p := b.p
	original := without(p.Replicas, p.AddingReplicas)
	if !factorMayChange && len(target) != len(original) {
		return fail(kerr.InvalidReplicationFactor, "The replication factor of partition %s-%d cannot be changed from %d to %d.",
			b.topic.Name, b.index, len(original), len(target))
	}
	current := make([]int32, 0, len(p.Replicas))
	for _, id := range p.Replicas {
		if !slices.Contains(p.AddingReplicas, id) || slices.Contains(p.ISR, id) || slices.Contains(target, id) {
			current = append(current, id)
		}
	}
	b.removing = without(current, target)
	b.adding = without(target, original)
	b.replicas = append(slices.Clone(target), b.removing...)
	slices.Sort(b.removing)
	slices.Sort(b.adding)
	return nil
}

// cancelReassignment takes back out what was being added. If nobody else is in
// sync, only an unclean election could go on, and only where that is allowed.
func (t *change) cancelReassignment(b *partitionChange) *failure {
	p := b.p
	if !reassigning(p) {
		return fail(kerr.NoReassignmentInProgress, "%s", kerr.NoReassignmentInProgress.Description)
	}
	b.replicas = without(p.Replicas, p.AddingReplicas)
	b.isr = without(p.ISR, p.AddingReplicas)
	b.adding, b.removing = nil, nil
	if len(b.isr) == 0 && b.election != electUnclean {
		return fail(kerr.InvalidReplicaAssignment, "Unable to revert partition assignment for %s-%d because it would require "+
			"an unclean leader election.", b.topic.Name, b.index)
	}
	return nil
}

// completeReassignment ends a reassignment whose whole target is in sync: fewer
// would leave the partition with less than it was promised, perhaps on a replica
// that has everything only because nothing was written (KAFKA-15665).
func (b *partitionChange) completeReassignment() {
	if len(b.adding)+len(b.removing) == 0 {
		return
	}
	target := without(b.replicas, b.removing)
	isr := without(b.isr, b.removing)
	if len(isr) == 0 || !contains(isr, target) && !(b.bugs.Has(bugs.ReassignWithoutISR) && contains(target, isr)) {
		return
	}
	b.replicas, b.isr, b.adding, b.removing = target, isr, nil, nil
}

// listReassignments is ListPartitionReassignments (46). Without topics it means
// all that are in progress.
func (t *change) listReassignments(req *kmsg.ListPartitionReassignmentsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	for _, topic := range t.image.Topics {
		at := slices.IndexFunc(req.Topics, func(rt kmsg.ListPartitionReassignmentsRequestTopic) bool { return rt.Topic == topic.Name })
		if req.Topics != nil && at < 0 {
			continue
		}
		out := kmsg.NewListPartitionReassignmentsResponseTopic()
		out.Topic = topic.Name
		for i, p := range topic.Partitions {
			if !reassigning(p) || at >= 0 && !slices.Contains(req.Topics[at].Partitions, int32(i)) {
				continue
			}
			rp := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
			rp.Partition, rp.Replicas, rp.AddingReplicas, rp.RemovingReplicas = int32(i), p.Replicas, p.AddingReplicas, p.RemovingReplicas
			out.Partitions = append(out.Partitions, rp)
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
	return resp
}
