package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// reassign is AlterPartitionReassignments of one partition; without replicas it
// cancels.
func (s *story) reassign(d *datadriven.TestData) string {
	req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
	req.Version = 1
	req.AllowReplicationFactorChange = !d.HasArg("same-factor")
	resp := s.w.active().call(reassignment(req, text(d, "topic"), int32(number(d, "partition", 0)), ids(d, "replicas")))
	p := resp.(*kmsg.AlterPartitionAssignmentsResponse).Topics[0].Partitions[0]
	return outcome(p.ErrorCode, p.ErrorMessage)
}

func reassignment(req *kmsg.AlterPartitionAssignmentsRequest, topic string, index int32, replicas []int32) kmsg.Request {
	rt := kmsg.NewAlterPartitionAssignmentsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
	rp.Partition, rp.Replicas = index, replicas
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

func (s *story) reassignments(d *datadriven.TestData) string {
	req := kmsg.NewPtrListPartitionReassignmentsRequest()
	if name := text(d, "topic"); name != "" {
		rt := kmsg.NewListPartitionReassignmentsRequestTopic()
		rt.Topic, rt.Partitions = name, ids(d, "partitions")
		req.Topics = append(req.Topics, rt)
	}
	var b strings.Builder
	for _, t := range s.w.active().call(req).(*kmsg.ListPartitionReassignmentsResponse).Topics {
		for _, p := range t.Partitions {
			fmt.Fprintf(&b, "%s-%d replicas %v adding %v removing %v\n", t.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas)
		}
	}
	return b.String()
}

// Goal: whatever operators, leaders and failing brokers do, a reassignment ends
// with its whole target in sync, or by being cancelled, and never otherwise; the
// registration stays well-formed, and epochs only rise.
// Method: random requests against one controller; each change of the image is
// compared with the one before.
func TestReassignmentProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newReassigner(t)
		for range rapid.IntRange(5, 30).Draw(t, "steps") {
			r.step(t)
		}
	})
}

const reassignBrokers = 5

type reassigner struct {
	w     *world
	epoch [reassignBrokers + 1]int64
}

func newReassigner(t *rapid.T) *reassigner {
	r := &reassigner{w: newWorld(quiet{}, rapid.Uint64().Draw(t, "seed"), 1)}
	r.w.run(3 * time.Second)
	for id := int32(1); id <= reassignBrokers; id++ {
		req := kmsg.NewPtrBrokerRegistrationRequest()
		req.Version, req.BrokerID, req.ClusterID = 3, id, "toy"
		req.IncarnationID[0], req.PreviousBrokerEpoch = byte(id), -1
		l := kmsg.NewBrokerRegistrationRequestListener()
		l.Name, l.Host, l.Port = "PLAINTEXT", "b", 1
		req.Listeners = append(req.Listeners, l)
		r.epoch[id] = r.call(req).(*kmsg.BrokerRegistrationResponse).BrokerEpoch
		r.beat(id, false)
	}
	req := createTopic("t")
	req.Topics[0].NumPartitions, req.Topics[0].ReplicationFactor = 1, 3
	r.call(req)
	return r
}

func (r *reassigner) call(req kmsg.Request) kmsg.Response { return r.w.active().call(req) }

func (r *reassigner) beat(id int32, fence bool) {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset, req.WantFence = id, r.epoch[id], 1<<40, fence
	r.call(req)
}

func (r *reassigner) partition() *meta.Partition {
	return r.w.active().k.Image().Topic("t").Partitions[0]
}

func (r *reassigner) step(t *rapid.T) {
	for id := int32(1); id <= reassignBrokers; id++ {
		if !r.w.active().k.Image().Broker(id).Fenced {
			r.beat(id, false) // or their sessions would end
		}
	}
	before := r.partition()
	broker := rapid.Int32Range(1, reassignBrokers).Draw(t, "broker")
	cancelled := false
	switch rapid.IntRange(0, 5).Draw(t, "action") {
	case 0, 1:
		target := rapid.SliceOfNDistinct(rapid.Int32Range(1, reassignBrokers), 1, 4, rapid.ID[int32]).Draw(t, "target")
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		r.call(reassignment(req, "t", 0, target))
	case 2:
		cancelled = true
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		r.call(reassignment(req, "t", 0, nil))
	case 3:
		r.beat(broker, true)
	case 4:
		r.beat(broker, false)
	default:
		r.alterISR(t, before)
	}
	checkReassigned(t, before, r.partition(), cancelled)
}

// alterISR is a leader that proposes itself and some of the replicas.
func (r *reassigner) alterISR(t *rapid.T, p *meta.Partition) {
	r.proposeISR(p, func(int32) bool { return rapid.Bool().Draw(t, "in sync") })
}

// proposeISR is what a leader, if there is one, asks for: itself and the replicas that
// it finds in sync.
func (r *reassigner) proposeISR(p *meta.Partition, inSync func(id int32) bool) {
	if p.Leader < 0 {
		return
	}
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID, req.BrokerEpoch = 3, p.Leader, r.epoch[p.Leader]
	rt := kmsg.NewAlterPartitionRequestTopic()
	rt.TopicID = r.w.active().k.Image().Topic("t").ID
	rp := kmsg.NewAlterPartitionRequestTopicPartition()
	rp.LeaderEpoch, rp.PartitionEpoch = p.LeaderEpoch, p.PartitionEpoch
	for _, id := range p.Replicas {
		if id != p.Leader && !inSync(id) {
			continue
		}
		m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		m.BrokerID, m.BrokerEpoch = id, r.epoch[id]
		rp.NewEpochISR = append(rp.NewEpochISR, m)
	}
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	r.call(req)
}

func checkReassigned(t *rapid.T, before, p *meta.Partition, cancelled bool) {
	fail := func(why string) { t.Fatalf("%s:\nbefore %+v\nafter  %+v", why, *before, *p) }
	if before == p {
		return
	}
	target := without(p.Replicas, p.RemovingReplicas)
	for i, id := range p.Replicas {
		if slices.Contains(p.Replicas[:i], id) {
			fail("a replica is listed twice")
		}
	}
	switch {
	case len(target) == 0:
		fail("nothing is left at the end")
	case !contains(p.Replicas, p.ISR), !contains(p.Replicas, p.ELR), !contains(p.Replicas, p.AddingReplicas), !contains(p.Replicas, p.RemovingReplicas):
		fail("who is no replica is in sync, eligible, being added or removed")
	case len(without(p.AddingReplicas, p.RemovingReplicas)) != len(p.AddingReplicas), len(without(p.ELR, p.ISR)) != len(p.ELR):
		fail("being added and removed, or eligible and in sync, at a time")
	case p.Leader != meta.NoLeader && !slices.Contains(p.ISR, p.Leader):
		fail("the leader is not in sync")
	case p.PartitionEpoch != before.PartitionEpoch+1 || p.LeaderEpoch < before.LeaderEpoch || p.LeaderEpoch > before.LeaderEpoch+1:
		fail("epochs do not rise as they should")
	case (p.Leader != before.Leader || !contains(p.Replicas, before.Replicas)) && p.LeaderEpoch == before.LeaderEpoch:
		fail("another leader, or a replica gone, in the same leader epoch")
	case reassigning(before) && !reassigning(p) && !cancelled && !contains(p.ISR, p.Replicas) && !sameReplicas(p, before):
		fail("complete without the whole target in sync (KAFKA-15665)")
	case reassigning(p) && contains(p.ISR, target):
		fail("the whole target is in sync, and it is not complete")
	}
}

// sameReplicas: back to the assignment from before the reassignment, as cancelling it.
func sameReplicas(p, before *meta.Partition) bool {
	original := without(before.Replicas, before.AddingReplicas)
	return contains(p.Replicas, original) && contains(original, p.Replicas)
}

// quiet is a testing.TB for a world inside a property, whose failures panic.
type quiet struct{ testing.TB }

func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
