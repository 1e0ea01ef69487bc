package meta

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Apply returns the image after the records of one batch. The old image stays
// valid and shares all that did not change. All records of a batch share its
// offset; the epoch is the controller epoch that wrote it. A batch may be empty
// (a new controller's first entry): then only offset and epoch move.
//
// It panics on records that contradict the image or a lower offset: a log that
// holds them was written by a bug, and going on would make replicas diverge.
func (m *Image) Apply(records []Record, offset int64, epoch int32) *Image {
	if offset <= m.Offset {
		panic(fmt.Sprintf("meta: batch at offset %d applied to an image at %d", offset, m.Offset))
	}
	next := *m
	next.Offset, next.Epoch = offset, epoch
	a := applier{m: &next}
	for _, r := range records {
		a.apply(r)
	}
	return &next
}

// Preview is Apply for a batch that is not complete yet: the controller looks
// at the effect of its first records before it adds more at the same offset.
func (m *Image) Preview(records []Record) *Image {
	next := *m
	a := applier{m: &next}
	for _, r := range records {
		a.apply(r)
	}
	return &next
}

// At returns a previewed image as it will be once its batch has an offset and
// an epoch: m.Preview(r).At(o, e) equals m.Apply(r, o, e).
func (m *Image) At(offset int64, epoch int32) *Image {
	next := *m
	next.Offset, next.Epoch = offset, epoch
	return &next
}

// applier copies what it changes, once per batch.
type applier struct {
	m              *Image
	topicsOwned    bool
	brokersOwned   bool
	topicOwned     map[TopicID]struct{} // topics whose struct and partition list are ours
	configsOwned   [2]bool
	configResource [2]map[string]struct{} // whose value lists are ours
	featuresOwned  bool
	aclsOwned      bool
	usersOwned     bool
}

func (a *applier) apply(r Record) {
	switch r := r.(type) {
	case *ClusterRecord:
		a.m.ClusterID = r.ClusterID
	case *RegisterBrokerRecord:
		a.registerBroker(r)
	case *BrokerRegistrationChangeRecord:
		a.changeBroker(r)
	case *UnregisterBrokerRecord:
		i := a.brokerIndex(r.BrokerID, r.BrokerEpoch, "unregister")
		a.ownBrokers()
		a.m.Brokers = slices.Delete(a.m.Brokers, i, i+1)
	case *TopicRecord:
		a.addTopic(r)
	case *RemoveTopicRecord:
		a.removeTopic(r)
	case *PartitionRecord:
		a.partition(r)
	case *PartitionChangeRecord:
		a.changePartition(r)
	case *ConfigRecord:
		a.config(r)
	case *ProducerIdsRecord:
		if r.NextProducerID < a.m.NextProducerID {
			panic(fmt.Sprintf("meta: next producer id goes back from %d to %d", a.m.NextProducerID, r.NextProducerID))
		}
		a.m.NextProducerID = r.NextProducerID
	case *FeatureLevelRecord:
		a.feature(r)
	case *AccessControlEntryRecord:
		a.addACL(&r.Binding)
	case *RemoveAccessControlEntryRecord:
		a.removeACL(&r.Binding)
	case *UserScramCredentialRecord:
		a.setScramUser(&ScramUser{r.Name, r.Mechanism, r.ScramCredential})
	case *RemoveUserScramCredentialRecord:
		a.removeScramUser(r)
	default:
		panic(fmt.Sprintf("meta: record of type %T", r))
	}
}

func (a *applier) ownBrokers() {
	if !a.brokersOwned {
		a.m.Brokers = slices.Clone(a.m.Brokers)
		a.brokersOwned = true
	}
}

func (a *applier) brokerIndex(id int32, epoch int64, what string) int {
	i, ok := slices.BinarySearchFunc(a.m.Brokers, id, compareBroker)
	if !ok {
		panic(fmt.Sprintf("meta: %s: broker %d is not registered", what, id))
	}
	if a.m.Brokers[i].Epoch != epoch {
		panic(fmt.Sprintf("meta: %s: broker %d has epoch %d, the record %d", what, id, a.m.Brokers[i].Epoch, epoch))
	}
	return i
}

func (a *applier) registerBroker(r *RegisterBrokerRecord) {
	b := &Broker{
		ID: r.BrokerID, Epoch: r.BrokerEpoch, Incarnation: r.IncarnationID, Rack: r.Rack, Endpoints: r.Endpoints,
		Fenced: r.Fenced, InControlledShutdown: r.InControlledShutdown,
	}
	a.ownBrokers()
	i, ok := slices.BinarySearchFunc(a.m.Brokers, r.BrokerID, compareBroker)
	if ok {
		a.m.Brokers[i] = b
		return
	}
	a.m.Brokers = slices.Insert(a.m.Brokers, i, b)
}

func (a *applier) changeBroker(r *BrokerRegistrationChangeRecord) {
	i := a.brokerIndex(r.BrokerID, r.BrokerEpoch, "change registration")
	a.ownBrokers()
	b := *a.m.Brokers[i]
	if r.Fenced != FencingNoChange {
		b.Fenced = r.Fenced == FencingFence
	}
	if r.InControlledShutdown {
		b.InControlledShutdown = true
	}
	a.m.Brokers[i] = &b
}

func (a *applier) ownTopics() {
	if a.topicsOwned {
		return
	}
	a.topicsOwned = true
	byID := a.m.idIndex()
	a.m.Topics = slices.Clone(a.m.Topics)
	a.m.topicsByID = slices.Clone(byID)
	a.topicOwned = make(map[TopicID]struct{})
}

func (a *applier) addTopic(r *TopicRecord) {
	a.ownTopics()
	i, ok := slices.BinarySearchFunc(a.m.Topics, r.Name, compareTopicName)
	j, okID := slices.BinarySearchFunc(a.m.topicsByID, r.TopicID, compareTopicID)
	if ok || okID {
		panic(fmt.Sprintf("meta: topic %s with id %s exists", r.Name, r.TopicID))
	}
	t := &Topic{Name: r.Name, ID: r.TopicID}
	a.m.Topics = slices.Insert(a.m.Topics, i, t)
	a.m.topicsByID = slices.Insert(a.m.topicsByID, j, t)
	a.topicOwned[r.TopicID] = struct{}{}
}

func (a *applier) removeTopic(r *RemoveTopicRecord) {
	a.ownTopics()
	j, ok := slices.BinarySearchFunc(a.m.topicsByID, r.TopicID, compareTopicID)
	if !ok {
		panic(fmt.Sprintf("meta: remove topic: id %s is unknown", r.TopicID))
	}
	name := a.m.topicsByID[j].Name
	i, _ := slices.BinarySearchFunc(a.m.Topics, name, compareTopicName)
	a.m.Topics = slices.Delete(a.m.Topics, i, i+1)
	a.m.topicsByID = slices.Delete(a.m.topicsByID, j, j+1)
	k, ok := slices.BinarySearchFunc(a.m.TopicConfigs, name, compareResource)
	if ok {
		list := a.ownConfigs(ResourceTopic)
		*list = slices.Delete(*list, k, k+1)
	}
}

// topic returns a topic that may be changed in place.
func (a *applier) topic(id TopicID) *Topic {
	a.ownTopics()
	j, ok := slices.BinarySearchFunc(a.m.topicsByID, id, compareTopicID)
	if !ok {
		panic(fmt.Sprintf("meta: partition of an unknown topic id %s", id))
	}
	t := a.m.topicsByID[j]
	if _, ok := a.topicOwned[id]; ok {
		return t
	}
	owned := &Topic{Name: t.Name, ID: t.ID, Partitions: slices.Clone(t.Partitions)}
	i, _ := slices.BinarySearchFunc(a.m.Topics, t.Name, compareTopicName)
	a.m.Topics[i], a.m.topicsByID[j] = owned, owned
	a.topicOwned[id] = struct{}{}
	return owned
}

func (a *applier) partition(r *PartitionRecord) {
	t := a.topic(r.TopicID)
	p := r.Partition
	switch n := int32(len(t.Partitions)); {
	case r.PartitionID == n:
		t.Partitions = append(t.Partitions, &p)
	case r.PartitionID >= 0 && r.PartitionID < n:
		t.Partitions[r.PartitionID] = &p
	default:
		panic(fmt.Sprintf("meta: partition %s-%d added to a topic with %d", t.Name, r.PartitionID, n))
	}
}

func (a *applier) changePartition(r *PartitionChangeRecord) {
	t := a.topic(r.TopicID)
	if r.PartitionID < 0 || int(r.PartitionID) >= len(t.Partitions) {
		panic(fmt.Sprintf("meta: change of partition %s-%d, the topic has %d", t.Name, r.PartitionID, len(t.Partitions)))
	}
	t.Partitions[r.PartitionID] = t.Partitions[r.PartitionID].Merge(r)
}

// Merge returns the partition as the record changes it.
func (p *Partition) Merge(r *PartitionChangeRecord) *Partition {
	next := *p
	set := func(field *[]int32, v []int32) {
		if v != nil {
			*field = v
		}
	}
	set(&next.ISR, r.ISR)
	set(&next.Replicas, r.Replicas)
	set(&next.AddingReplicas, r.AddingReplicas)
	set(&next.RemovingReplicas, r.RemovingReplicas)
	set(&next.ELR, r.ELR)
	set(&next.LastKnownELR, r.LastKnownELR)
	if r.Leader != NoLeaderChange {
		next.Leader = r.Leader
		next.LeaderEpoch++
	}
	if r.Recovery != RecoveryNoChange {
		next.Recovering = r.Recovery == Recovering
	}
	next.PartitionEpoch++
	return &next
}

func (a *applier) ownConfigs(t ConfigResource) *[]ResourceConfig {
	list, k := &a.m.TopicConfigs, 0
	if t == ResourceBroker {
		list, k = &a.m.BrokerConfigs, 1
	}
	if !a.configsOwned[k] {
		*list = slices.Clone(*list)
		a.configsOwned[k] = true
		a.configResource[k] = make(map[string]struct{})
	}
	return list
}

func (a *applier) config(r *ConfigRecord) {
	list := a.ownConfigs(r.Type)
	i, ok := slices.BinarySearchFunc(*list, r.Resource, compareResource)
	if !ok {
		if r.Remove {
			return
		}
		*list = slices.Insert(*list, i, ResourceConfig{Resource: r.Resource})
	}
	k := 0
	if r.Type == ResourceBroker {
		k = 1
	}
	rc := &(*list)[i]
	if _, owned := a.configResource[k][r.Resource]; !owned {
		rc.Values = slices.Clone(rc.Values)
		a.configResource[k][r.Resource] = struct{}{}
	}
	j, ok := slices.BinarySearchFunc(rc.Values, r.Name, compareConfigName)
	switch {
	case r.Remove && ok:
		rc.Values = slices.Delete(rc.Values, j, j+1)
	case r.Remove:
	case ok:
		rc.Values[j].Value = r.Value
	default:
		rc.Values = slices.Insert(rc.Values, j, ConfigValue{Name: r.Name, Value: r.Value})
	}
	if len(rc.Values) == 0 {
		*list = slices.Delete(*list, i, i+1)
		delete(a.configResource[k], r.Resource)
	}
}

func (a *applier) feature(r *FeatureLevelRecord) {
	if !a.featuresOwned {
		a.m.Features = slices.Clone(a.m.Features)
		a.featuresOwned = true
	}
	i, ok := slices.BinarySearchFunc(a.m.Features, r.Name, func(f Feature, name string) int {
		return strings.Compare(f.Name, name)
	})
	switch {
	case ok && r.Level == 0:
		a.m.Features = slices.Delete(a.m.Features, i, i+1)
	case ok:
		a.m.Features[i].Level = r.Level
	case r.Level != 0:
		a.m.Features = slices.Insert(a.m.Features, i, Feature{r.Name, r.Level})
	}
}

func compareBroker(b *Broker, id int32) int             { return cmp.Compare(b.ID, id) }
func compareTopicName(t *Topic, name string) int        { return strings.Compare(t.Name, name) }
func compareTopicID(t *Topic, id TopicID) int           { return bytes.Compare(t.ID[:], id[:]) }
func compareResource(r ResourceConfig, name string) int { return strings.Compare(r.Resource, name) }
func compareConfigName(v ConfigValue, name string) int  { return strings.Compare(v.Name, name) }
