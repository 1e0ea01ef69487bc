package controller

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: the controller's decisions read like a story. Method: transcripts of
// requests against a real quorum in the toy world; brokers are only names.
func TestController(t *testing.T) {
	datadriven.Walk(t, "testdata/controller", func(t *testing.T, path string) {
		s := &story{t: t}
		datadriven.RunTest(t, path, s.run)
	})
}

type story struct {
	t        *testing.T
	w        *world
	previous map[int32]int64 // broker epochs as the brokers remember them
}

func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "cluster":
		s.w = newWorld(t, 7, number(d, "controllers", 3))
		s.previous = make(map[int32]int64)
		s.w.run(3 * time.Second)
		return s.status()
	case "register":
		return s.register(d)
	case "heartbeat":
		return s.heartbeat(d)
	case "beats":
		return s.beats(d)
	case "advance":
		s.w.run(time.Duration(number(d, "ms", 0)) * time.Millisecond)
		return s.status()
	case "kill-active":
		s.w.crash(s.w.active().index)
		s.w.run(8 * time.Second)
		return s.status()
	case "cut-active":
		s.w.cut[s.w.active().index] = true
		return ""
	case "create-topics":
		return s.createTopics(d)
	case "alter-partition":
		return s.alterPartition(d)
	case "alter-config":
		return s.alterConfig(d)
	case "reassign":
		return s.reassign(d)
	case "reassignments":
		return s.reassignments(d)
	case "replace-config":
		return s.replaceConfig(d)
	case "configs":
		return s.configs()
	case "elect":
		return s.elect(d)
	case "standby":
		for _, n := range s.w.nodes {
			if n.up && !n.k.IsActive() {
				resp := n.call(createTopic("nope")).(*kmsg.CreateTopicsResponse)
				return outcome(resp.Topics[0].ErrorCode, nil)
			}
		}
	case "quorum":
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Version = 2
		rt := kmsg.NewDescribeQuorumRequestTopic()
		rt.Topic = metadataTopic
		rt.Partitions = append(rt.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
		req.Topics = append(req.Topics, rt)
		p := s.w.active().call(req).(*kmsg.DescribeQuorumResponse).Topics[0].Partitions[0]
		var b strings.Builder
		fmt.Fprintf(&b, "leader %d epoch %d high watermark %d\n", p.LeaderID, p.LeaderEpoch, p.HighWatermark)
		for _, v := range p.CurrentVoters {
			fmt.Fprintf(&b, "voter %d log end offset %d\n", v.ReplicaID, v.LogEndOffset)
		}
		for _, v := range p.Observers {
			fmt.Fprintf(&b, "observer %d log end offset %d\n", v.ReplicaID, v.LogEndOffset)
		}
		return b.String()
	case "image":
		return s.image()
	default:
		return s.admin(t, d)
	}
	return ""
}

// admin holds the commands that are one request and one error.
func (s *story) admin(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "delete-topic":
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = 6
		rt := kmsg.NewDeleteTopicsRequestTopic()
		name := text(d, "topic")
		rt.Topic = &name
		for range number(d, "times", 1) {
			req.Topics = append(req.Topics, rt)
		}
		for range number(d, "ids", 0) { // as often by its id
			req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{TopicID: s.w.active().k.Image().Topic(name).ID})
		}
		var b strings.Builder
		for _, t := range s.w.active().call(req).(*kmsg.DeleteTopicsResponse).Topics {
			b.WriteString(outcome(t.ErrorCode, t.ErrorMessage))
		}
		return b.String()
	case "create-partitions":
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.Version = 3
		rt := kmsg.NewCreatePartitionsRequestTopic()
		rt.Topic, rt.Count = text(d, "topic"), int32(number(d, "count", 0))
		for range number(d, "times", 1) {
			req.Topics = append(req.Topics, rt)
		}
		resp := s.w.active().call(req).(*kmsg.CreatePartitionsResponse)
		return outcome(resp.Topics[0].ErrorCode, resp.Topics[0].ErrorMessage)
	case "update-feature":
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.Version = int16(number(d, "v", 2))
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel = text(d, "feature"), int16(number(d, "level", 0))
		u.UpgradeType = int8(number(d, "upgrade-type", 1))
		req.FeatureUpdates = append(req.FeatureUpdates, u)
		resp := s.w.active().call(req).(*kmsg.UpdateFeaturesResponse)
		return fmt.Sprintf("results %d: %s", len(resp.Results), outcome(resp.ErrorCode, resp.ErrorMessage))
	case "unregister":
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = int32(number(d, "broker", 0))
		resp := s.w.active().call(req).(*kmsg.UnregisterBrokerResponse)
		return outcome(resp.ErrorCode, nil)
	case "producer-ids":
		req := kmsg.NewPtrAllocateProducerIDsRequest()
		req.BrokerID = int32(number(d, "broker", 0))
		req.BrokerEpoch = s.epoch(d, req.BrokerID)
		resp := s.w.active().call(req).(*kmsg.AllocateProducerIDsResponse)
		return fmt.Sprintf("start %d length %d: %s", resp.ProducerIDStart, resp.ProducerIDLen, outcome(resp.ErrorCode, nil))
	default:
		d.Fatalf(t, "unknown command")
	}
	return ""
}

func (s *story) status() string {
	n := s.w.active()
	if n == nil {
		return "no active controller\n"
	}
	return fmt.Sprintf("active controller %d term %d\n", n.index, n.k.Term())
}

func number(d *datadriven.TestData, key string, otherwise int) int {
	if v := text(d, key); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			panic(err)
		}
		return n
	}
	return otherwise
}

func text(d *datadriven.TestData, key string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func ids(d *datadriven.TestData, key string) (list []int32) {
	for _, a := range d.CmdArgs {
		if a.Key == key {
			for _, v := range a.Vals {
				n, err := strconv.Atoi(v)
				if err != nil {
					panic(err)
				}
				list = append(list, int32(n))
			}
		}
	}
	return list
}

func outcome(code int16, message *string) string {
	if code == 0 {
		return "ok\n"
	}
	out := kerr.TypedErrorForCode(code).Message
	// The wording of configuration errors belongs to package config.
	if message != nil && code != kerr.InvalidConfig.Code {
		out += ": " + *message
	}
	return out + "\n"
}

func (s *story) epoch(d *datadriven.TestData, broker int32) int64 {
	if v := text(d, "epoch"); v != "" {
		return int64(number(d, "epoch", 0))
	}
	return s.previous[broker]
}

func (s *story) register(d *datadriven.TestData) string {
	var b strings.Builder
	for _, id := range ids(d, "broker") {
		req := registration(id)
		req.IncarnationID[1] = byte(number(d, "incarnation", 1))
		if rack := text(d, "rack"); rack != "" {
			req.Rack = &rack
		}
		if d.HasArg("clean") {
			req.PreviousBrokerEpoch = s.previous[id]
		}
		resp := s.w.active().call(req).(*kmsg.BrokerRegistrationResponse)
		if resp.ErrorCode == 0 {
			s.previous[id] = resp.BrokerEpoch
		}
		fmt.Fprintf(&b, "broker %d epoch %d: %s", id, resp.BrokerEpoch, outcome(resp.ErrorCode, nil))
	}
	return b.String()
}

func (s *story) heartbeat(d *datadriven.TestData) string {
	var b strings.Builder
	for _, id := range ids(d, "broker") {
		req := kmsg.NewPtrBrokerHeartbeatRequest()
		req.Version, req.BrokerID, req.BrokerEpoch = 1, id, s.epoch(d, id)
		req.CurrentMetadataOffset = int64(number(d, "offset", int(s.w.active().k.Applied())))
		req.WantFence, req.WantShutdown = d.HasArg("want-fence"), d.HasArg("want-shutdown")
		resp := s.w.active().call(req).(*kmsg.BrokerHeartbeatResponse)
		fmt.Fprintf(&b, "broker %d caught-up=%v fenced=%v should-shutdown=%v: %s", id, resp.IsCaughtUp, resp.IsFenced,
			resp.ShouldShutdown, outcome(resp.ErrorCode, nil))
	}
	return b.String()
}

// beats lets some brokers send heartbeats for a while.
func (s *story) beats(d *datadriven.TestData) string {
	for range number(d, "seconds", 1) {
		s.heartbeat(d)
		s.w.run(time.Second)
	}
	return ""
}

func (s *story) createTopics(d *datadriven.TestData) string {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = 7, d.HasArg("validate-only")
	for _, name := range strings.Split(text(d, "topic"), ",") {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions = name, int32(number(d, "partitions", -1))
		rt.ReplicationFactor = int16(number(d, "rf", -1))
		if replicas := ids(d, "replicas"); replicas != nil {
			a := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			a.Replicas = replicas
			rt.ReplicaAssignment = append(rt.ReplicaAssignment, a)
		}
		for _, line := range strings.Fields(d.Input) {
			kv := kmsg.NewCreateTopicsRequestTopicConfig()
			key, value, _ := strings.Cut(line, "=")
			kv.Name, kv.Value = key, &value
			rt.Configs = append(rt.Configs, kv)
		}
		req.Topics = append(req.Topics, rt)
	}
	var b strings.Builder
	for _, rt := range s.w.active().call(req).(*kmsg.CreateTopicsResponse).Topics {
		fmt.Fprintf(&b, "%s partitions %d rf %d: %s", rt.Topic, rt.NumPartitions, rt.ReplicationFactor, outcome(rt.ErrorCode, rt.ErrorMessage))
	}
	return b.String()
}

func (s *story) alterPartition(d *datadriven.TestData) string {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version, req.BrokerID = 3, int32(number(d, "broker", 0))
	req.BrokerEpoch = s.epoch(d, req.BrokerID)
	image := s.w.active().k.Image()
	topic := image.Topic(text(d, "topic"))
	p := topic.Partitions[number(d, "partition", 0)]
	rt := kmsg.NewAlterPartitionRequestTopic()
	rt.TopicID = topic.ID
	rp := kmsg.NewAlterPartitionRequestTopicPartition()
	rp.Partition = int32(number(d, "partition", 0))
	rp.LeaderEpoch = int32(number(d, "leader-epoch", int(p.LeaderEpoch)))
	rp.PartitionEpoch = int32(number(d, "partition-epoch", int(p.PartitionEpoch)))
	if d.HasArg("recovering") {
		rp.LeaderRecoveryState = 1
	}
	for _, id := range ids(d, "isr") {
		m := kmsg.NewAlterPartitionRequestTopicPartitionNewEpochISR()
		m.BrokerID, m.BrokerEpoch = id, s.previous[id]
		if d.HasArg("old-member-epoch") && id != req.BrokerID {
			m.BrokerEpoch--
		}
		rp.NewEpochISR = append(rp.NewEpochISR, m)
	}
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp := s.w.active().call(req).(*kmsg.AlterPartitionResponse)
	if resp.ErrorCode != 0 {
		return outcome(resp.ErrorCode, nil)
	}
	out := resp.Topics[0].Partitions[0]
	if out.ErrorCode != 0 {
		return outcome(out.ErrorCode, nil)
	}
	return fmt.Sprintf("leader %d epoch %d isr %v partition epoch %d\n", out.LeaderID, out.LeaderEpoch, out.ISR, out.PartitionEpoch)
}

func (s *story) alterConfig(d *datadriven.TestData) string {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = configTarget(d)
	for _, line := range strings.Fields(d.Input) {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		op, rest, _ := strings.Cut(line, ":")
		key, value, _ := strings.Cut(rest, "=")
		c.Op = map[string]kmsg.IncrementalAlterConfigOp{"set": 0, "delete": 1, "append": 2, "subtract": 3}[op]
		c.Name = key
		if op != "delete" {
			c.Value = &value
		}
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	resp := s.w.active().call(req).(*kmsg.IncrementalAlterConfigsResponse)
	return outcome(resp.Resources[0].ErrorCode, resp.Resources[0].ErrorMessage)
}

// configTarget is topic=name, or broker=id, or broker=all.
func configTarget(d *datadriven.TestData) (kmsg.ConfigResourceType, string) {
	switch broker := text(d, "broker"); broker {
	case "":
		return kmsg.ConfigResourceTypeTopic, text(d, "topic")
	case "all":
		return kmsg.ConfigResourceTypeBroker, ""
	default:
		return kmsg.ConfigResourceTypeBroker, broker
	}
}

// replaceConfig is AlterConfigs, which drops what it does not name.
func (s *story) replaceConfig(d *datadriven.TestData) string {
	req := kmsg.NewPtrAlterConfigsRequest()
	req.Version = 2
	r := kmsg.NewAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = configTarget(d)
	for _, line := range strings.Fields(d.Input) {
		c := kmsg.NewAlterConfigsRequestResourceConfig()
		key, value, _ := strings.Cut(line, "=")
		c.Name, c.Value = key, &value
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	resp := s.w.active().call(req).(*kmsg.AlterConfigsResponse)
	return outcome(resp.Resources[0].ErrorCode, resp.Resources[0].ErrorMessage)
}

// configs shows every override in the image.
func (s *story) configs() string {
	var b strings.Builder
	image := s.w.active().k.Image()
	for _, list := range [][]meta.ResourceConfig{image.TopicConfigs, image.BrokerConfigs} {
		for _, r := range list {
			fmt.Fprintf(&b, "%q:", r.Resource)
			for _, v := range r.Values {
				fmt.Fprintf(&b, " %s=%s", v.Name, v.Value)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func (s *story) elect(d *datadriven.TestData) string {
	req := kmsg.NewPtrElectLeadersRequest()
	req.Version = 2
	if d.HasArg("unclean") {
		req.ElectionType = 1
	}
	if name := text(d, "topic"); name != "" {
		rt := kmsg.NewElectLeadersRequestTopic()
		rt.Topic, rt.Partitions = name, []int32{0}
		req.Topics = append(req.Topics, rt)
	}
	var b strings.Builder
	for _, rt := range s.w.active().call(req).(*kmsg.ElectLeadersResponse).Topics {
		for _, p := range rt.Partitions {
			fmt.Fprintf(&b, "%s-%d: %s", rt.Topic, p.Partition, outcome(p.ErrorCode, nil))
		}
	}
	return b.String()
}

func (s *story) image() string {
	image := s.w.active().k.Image()
	var b strings.Builder
	for _, x := range image.Brokers {
		fmt.Fprintf(&b, "broker %d epoch %d rack %q fenced=%v shutdown=%v\n", x.ID, x.Epoch, x.Rack, x.Fenced, x.InControlledShutdown)
	}
	for _, topic := range image.Topics {
		for i, p := range topic.Partitions {
			fmt.Fprintf(&b, "%s-%d replicas %v leader %d epoch %d isr %v", topic.Name, i, p.Replicas, p.Leader, p.LeaderEpoch, p.ISR)
			if len(p.ELR) > 0 || len(p.LastKnownELR) > 0 {
				fmt.Fprintf(&b, " elr %v last-known %v", p.ELR, p.LastKnownELR)
			}
			if reassigning(p) {
				fmt.Fprintf(&b, " adding %v removing %v", p.AddingReplicas, p.RemovingReplicas)
			}
			if p.Recovering {
				b.WriteString(" recovering")
			}
			fmt.Fprintf(&b, " partition epoch %d\n", p.PartitionEpoch)
		}
		for _, v := range image.TopicConfig(topic.Name) {
			fmt.Fprintf(&b, "%s %s=%s\n", topic.Name, v.Name, v.Value)
		}
	}
	return b.String()
}
