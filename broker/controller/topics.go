package controller

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	topicNameMax = 249 // a log's directory name must have room for the partition
	// partitionsPerRequestMax is KRaft's bound of partitions created at once.
	partitionsPerRequestMax = 10_000
)

// failure is an error code with a message for the client.
type failure struct {
	*kerr.Error
	message string
}

func fail(e *kerr.Error, format string, args ...any) *failure {
	return &failure{e, fmt.Sprintf(format, args...)}
}

// checkTopicName is Kafka's Topic.validate.
func checkTopicName(name string) *failure {
	switch {
	case name == "":
		return fail(kerr.InvalidTopicException, "Topic name is invalid: the empty string is not allowed")
	case name == "." || name == "..":
		return fail(kerr.InvalidTopicException, "Topic name is invalid: '.' or '..' is not allowed")
	case len(name) > topicNameMax:
		return fail(kerr.InvalidTopicException, "Topic name is invalid: the length of '%s' is longer than the max allowed length %d",
			name, topicNameMax)
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-') {
			return fail(kerr.InvalidTopicException, "Topic name is invalid: '%s' contains one or more characters other than "+
				"ASCII alphanumerics, '.', '_' and '-'", name)
		}
	}
	return nil
}

// collision finds a topic whose name differs only in '.' and '_', which share a
// name in metrics.
func collision(image *meta.Image, name string) (string, bool) {
	if !strings.ContainsAny(name, "._") {
		return "", false
	}
	unified := strings.ReplaceAll(name, ".", "_")
	for _, t := range image.Topics {
		if strings.ReplaceAll(t.Name, ".", "_") == unified {
			return t.Name, true
		}
	}
	return "", false
}

// createTopics is CreateTopics (19). Topics fail one by one.
func (t *change) createTopics(req *kmsg.CreateTopicsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	count := make(map[string]int)
	partitions := 0
	for i := range req.Topics {
		rt := &req.Topics[i]
		count[rt.Topic]++
		partitions += max(int(rt.NumPartitions), len(rt.ReplicaAssignment), 1)
	}
	for i := range req.Topics {
		rt := &req.Topics[i]
		if count[rt.Topic] < 0 {
			continue // a duplicate that has been answered
		}
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic, out.NumPartitions, out.ReplicationFactor = rt.Topic, -1, -1
		var f *failure
		switch {
		case count[rt.Topic] > 1:
			f = fail(kerr.InvalidRequest, "Duplicate topic name.")
			count[rt.Topic] = -1
		case partitions > partitionsPerRequestMax:
			f = fail(kerr.PolicyViolation, "Excessively large number of partitions per request.")
		default:
			f = t.createTopic(rt, req.ValidateOnly, &out)
		}
		if f != nil {
			out.ErrorCode, out.ErrorMessage = f.Code, &f.message
			out.Configs = []kmsg.CreateTopicsResponseTopicConfig{} // null would be "you may not see them"
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (t *change) createTopic(rt *kmsg.CreateTopicsRequestTopic, validateOnly bool, out *kmsg.CreateTopicsResponseTopic) *failure {
	if f := checkTopicName(rt.Topic); f != nil {
		return f
	}
	if rt.Topic == metadataTopic {
		return fail(kerr.InvalidRequest, "Creation of internal topic %s is prohibited.", rt.Topic)
	}
	if t.image.Topic(rt.Topic) != nil {
		return fail(kerr.TopicAlreadyExists, "Topic '%s' already exists.", rt.Topic)
	}
	if other, ok := collision(t.image, rt.Topic); ok {
		return fail(kerr.InvalidTopicException, "Topic '%s' collides with existing topic: %s", rt.Topic, other)
	}
	values := make([]meta.ConfigValue, 0, len(rt.Configs))
	for _, kv := range rt.Configs {
		if kv.Value == nil {
			return fail(kerr.InvalidConfig, "Null value not supported for topic config: %s", kv.Name)
		}
		values = setValue(values, kv.Name, *kv.Value)
	}
	if f := t.checkTopicConfig(values); f != nil {
		return f
	}
	assignment, f := t.newAssignment(rt)
	if f != nil {
		return f
	}
	out.NumPartitions, out.ReplicationFactor = int32(len(assignment)), int16(len(assignment[0]))
	out.Configs = t.describeTopicConfig(values)
	if validateOnly {
		return nil
	}
	id := t.newTopicID()
	out.TopicID = id
	records := []meta.Record{&meta.TopicRecord{Name: rt.Topic, TopicID: id}}
	for _, v := range values {
		records = append(records, &meta.ConfigRecord{Type: meta.ResourceTopic, Resource: rt.Topic, Name: v.Name, Value: v.Value})
	}
	for i, replicas := range assignment {
		records = append(records, t.newPartition(id, int32(i), replicas))
	}
	t.add(records...)
	return nil
}

// newTopicID makes a version 4 UUID from the node's own random numbers.
func (t *change) newTopicID() (id meta.TopicID) {
	for {
		for i := range id {
			id[i] = byte(t.c.Random.Uint32())
		}
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if t.image.TopicByID(id) == nil {
			return id
		}
	}
}

// newAssignment returns the replicas of each partition, at least one.
func (t *change) newAssignment(rt *kmsg.CreateTopicsRequestTopic) ([][]int32, *failure) {
	if len(rt.ReplicaAssignment) > 0 {
		if rt.NumPartitions != -1 || rt.ReplicationFactor != -1 {
			return nil, fail(kerr.InvalidRequest, "A manual partition assignment was specified, but numPartitions or "+
				"replicationFactor was not set to -1.")
		}
		return t.manualAssignment(rt.ReplicaAssignment)
	}
	partitions, factor := int64(rt.NumPartitions), int64(rt.ReplicationFactor)
	if partitions == -1 {
		partitions = t.k.cfg.Broker.NumPartitions
	}
	if factor == -1 {
		factor = t.k.cfg.Broker.DefaultReplicationFactor
	}
	if partitions <= 0 {
		return nil, fail(kerr.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	if factor <= 0 {
		return nil, fail(kerr.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	return t.place(int(partitions), int(factor))
}

func (t *change) place(partitions, factor int) ([][]int32, *failure) {
	p := newPlacer(t.image, t.c.Random)
	switch {
	case p.unfenced == 0 && p.brokers >= factor:
		return nil, fail(kerr.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): All brokers are currently fenced.", factor)
	case p.brokers < factor:
		return nil, fail(kerr.InvalidReplicationFactor, "Unable to replicate the partition %d time(s): The target replication "+
			"factor of %d cannot be reached because only %d broker(s) are registered.", factor, factor, p.brokers)
	}
	assignment := make([][]int32, partitions)
	for i := range assignment {
		assignment[i] = p.place(factor)
	}
	return assignment, nil
}

func (t *change) manualAssignment(list []kmsg.CreateTopicsRequestTopicReplicaAssignment) ([][]int32, *failure) {
	assignment := make([][]int32, len(list))
	for _, a := range list {
		if a.Partition < 0 || int(a.Partition) >= len(list) {
			return nil, fail(kerr.InvalidReplicaAssignment, "Partitions should be a consecutive 0-based integer sequence.")
		}
		if assignment[a.Partition] != nil {
			return nil, fail(kerr.InvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		if f := t.checkReplicas(a.Replicas, len(list[0].Replicas)); f != nil {
			return nil, f
		}
		assignment[a.Partition] = a.Replicas
	}
	return assignment, nil
}

// checkReplicas checks a manual assignment of one new partition.
func (t *change) checkReplicas(replicas []int32, factor int) *failure {
	if f := t.checkReplicaList(replicas); f != nil {
		return f
	}
	if len(replicas) != factor {
		return fail(kerr.InvalidReplicaAssignment, "The manual partition assignment includes a partition with %d replica(s), "+
			"but this is not consistent with previous partitions, which have %d replica(s).", len(replicas), factor)
	}
	if !slices.ContainsFunc(replicas, t.image.Active) {
		return fail(kerr.InvalidReplicaAssignment, "All brokers specified in the manual partition assignment are currently "+
			"fenced or in controlled shutdown.")
	}
	return nil
}

// checkReplicaList checks that replicas are registered brokers, each once.
func (t *change) checkReplicaList(replicas []int32) *failure {
	if len(replicas) == 0 {
		return fail(kerr.InvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	for i, id := range replicas {
		if t.image.Broker(id) == nil {
			return fail(kerr.InvalidReplicaAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if slices.Contains(replicas[:i], id) {
			return fail(kerr.InvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	return nil
}

// newPartition starts with those replicas in sync that are live.
func (t *change) newPartition(id meta.TopicID, index int32, replicas []int32) *meta.PartitionRecord {
	p := meta.Partition{Replicas: replicas, Leader: meta.NoLeader}
	for _, r := range replicas {
		if t.image.Active(r) {
			p.ISR = append(p.ISR, r)
		}
	}
	if len(p.ISR) > 0 {
		p.Leader = p.ISR[0]
	}
	return &meta.PartitionRecord{TopicID: id, PartitionID: index, Partition: p}
}

// deletions brings both forms of the request into one.
func deletions(req *kmsg.DeleteTopicsRequest) []kmsg.DeleteTopicsRequestTopic {
	if req.Version >= 6 {
		return req.Topics
	}
	list := make([]kmsg.DeleteTopicsRequestTopic, len(req.TopicNames))
	for i := range list {
		list[i].Topic = &req.TopicNames[i]
	}
	return list
}

// deleteTopics is DeleteTopics (20).
func (t *change) deleteTopics(req *kmsg.DeleteTopicsRequest) kmsg.Response {
	if !t.k.cfg.Broker.DeleteTopicEnable {
		if req.Version < 3 {
			return refuse(req, kerr.InvalidRequest)
		}
		return refuse(req, kerr.TopicDeletionDisabled)
	}
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	list := deletions(req)
	n := newNamed(list)
	for i := range list {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID = list[i].Topic, list[i].TopicID
		topic, f := t.deletion(&list[i], n)
		switch {
		case topic == nil && f == nil:
			continue // another mention of it is answered
		case f != nil:
			out.ErrorCode, out.ErrorMessage = f.Code, &f.message
		}
		if topic != nil {
			name := topic.Name
			out.Topic, out.TopicID = &name, topic.ID
		}
		if f == nil {
			t.add(&meta.RemoveTopicRecord{TopicID: topic.ID})
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

// named is how often a request names a topic, and -1 once that was answered.
type named struct {
	names map[string]int
	ids   map[meta.TopicID]int
}

func newNamed(list []kmsg.DeleteTopicsRequestTopic) named {
	n := named{make(map[string]int), make(map[meta.TopicID]int)}
	for _, rt := range list {
		switch {
		case rt.Topic == nil:
			n.ids[rt.TopicID]++
		case rt.TopicID == meta.TopicID{}:
			n.names[*rt.Topic]++
		}
	}
	return n
}

// deletion finds the topic that is to be deleted, or says why it is not; both are
// nil for a mention that another one speaks for.
func (t *change) deletion(rt *kmsg.DeleteTopicsRequestTopic, n named) (*meta.Topic, *failure) {
	byID := rt.TopicID != [16]byte{}
	switch {
	case byID && rt.Topic != nil:
		return nil, fail(kerr.InvalidRequest, "You may not specify both topic name and topic id.")
	case byID:
		return t.deletionByID(rt.TopicID, n)
	case rt.Topic == nil:
		return nil, fail(kerr.InvalidRequest, "Neither topic name nor id were specified.")
	}
	name := *rt.Topic
	if n.names[name] < 0 {
		return nil, nil
	}
	if n.names[name] > 1 {
		n.names[name] = -1
		return nil, fail(kerr.InvalidRequest, "Duplicate topic name.")
	}
	topic := t.image.Topic(name)
	switch {
	case topic == nil:
		return nil, fail(kerr.UnknownTopicOrPartition, "%s", kerr.UnknownTopicOrPartition.Description)
	case n.ids[topic.ID] != 0:
		return topic, fail(kerr.InvalidRequest, "The provided topic name maps to an ID that was already supplied.")
	}
	return topic, nil
}

func (t *change) deletionByID(id meta.TopicID, n named) (*meta.Topic, *failure) {
	if n.ids[id] < 0 {
		return nil, nil
	}
	if n.ids[id] > 1 {
		n.ids[id] = -1
		return nil, fail(kerr.InvalidRequest, "Duplicate topic id.")
	}
	topic := t.image.TopicByID(id)
	if topic == nil {
		return nil, fail(kerr.UnknownTopicID, "%s", kerr.UnknownTopicID.Description)
	}
	if n.names[topic.Name] == 1 { // the name is refused
		return nil, nil
	}
	return topic, nil
}

// createPartitions is CreatePartitions (37).
func (t *change) createPartitions(req *kmsg.CreatePartitionsRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	count := make(map[string]int)
	for i := range req.Topics {
		count[req.Topics[i].Topic]++
	}
	for i := range req.Topics {
		rt := &req.Topics[i]
		if count[rt.Topic] < 0 {
			continue // a duplicate that has been answered
		}
		out := kmsg.NewCreatePartitionsResponseTopic()
		out.Topic = rt.Topic
		var f *failure
		if count[rt.Topic] > 1 {
			f = fail(kerr.InvalidRequest, "Duplicate topic name.")
			count[rt.Topic] = -1
		} else {
			f = t.growTopic(rt, req.ValidateOnly)
		}
		if f != nil {
			out.ErrorCode, out.ErrorMessage = f.Code, &f.message
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp
}

func (t *change) growTopic(rt *kmsg.CreatePartitionsRequestTopic, validateOnly bool) *failure {
	topic := t.image.Topic(rt.Topic)
	if topic == nil {
		return fail(kerr.UnknownTopicOrPartition, "%s", kerr.UnknownTopicOrPartition.Description)
	}
	have := int32(len(topic.Partitions))
	switch {
	case rt.Count == have:
		return fail(kerr.InvalidPartitions, "Topic already has %d partition(s).", have)
	case rt.Count < have:
		return fail(kerr.InvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", rt.Topic, have, rt.Count)
	case rt.Count-have > partitionsPerRequestMax:
		return fail(kerr.PolicyViolation, "Excessively large number of partitions per request.")
	}
	added := int(rt.Count - have)
	factor := len(without(topic.Partitions[0].Replicas, topic.Partitions[0].RemovingReplicas))
	var assignment [][]int32
	if rt.Assignment != nil {
		if len(rt.Assignment) != added {
			return fail(kerr.InvalidReplicaAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.",
				added, len(rt.Assignment))
		}
		for _, a := range rt.Assignment {
			if f := t.checkReplicas(a.Replicas, factor); f != nil {
				return f
			}
			assignment = append(assignment, a.Replicas)
		}
	} else {
		var f *failure
		if assignment, f = t.place(added, factor); f != nil {
			return f
		}
	}
	if validateOnly {
		return nil
	}
	records := make([]meta.Record, 0, added)
	for i, replicas := range assignment {
		records = append(records, t.newPartition(topic.ID, have+int32(i), replicas))
	}
	t.add(records...)
	return nil
}
