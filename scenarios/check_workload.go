package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// executorKeys says which keys belong to which executor: the first list must be
// given, the second may be.
var executorKeys = []struct {
	name            string
	must, may, none []string
}{
	{"constant-arrival-rate", []string{"rate"}, nil, []string{"stages", "vus", "think_time", "records"}},
	{"ramping-arrival-rate", []string{"rate", "stages"}, nil, []string{"vus", "think_time", "records"}},
	{"constant-vus", []string{"vus"}, []string{"think_time"}, []string{"rate", "stages", "records"}},
	{"shared-iterations", []string{"records"}, []string{"vus"}, []string{"rate", "stages", "think_time", "for"}},
}

// keyKeys says the same for key distributions.
var keyKeys = []struct {
	name string
	none []string
}{
	{"none", []string{"cardinality", "exponent", "share"}},
	{"uniform", []string{"exponent", "share"}},
	{"zipf", []string{"share"}},
	{"sequential", []string{"exponent", "share"}},
	{"hot", []string{"exponent"}},
}

func (l *loader) checkProducers(s *Scenario) *Error {
	if len(s.Workload.Producers) == 0 {
		return l.failAt(l.at("workload/producers"), "producers must have at least one entry: a run without load proves nothing", "")
	}
	clients := int64(0)
	for i := range s.Workload.Producers {
		p, path := &s.Workload.Producers[i], fmt.Sprintf("workload/producers[%d]", i)
		if err := l.uniqueClient(s, p.Name, path, i, -1); err != nil {
			return err
		}
		if clients += p.Count; clients > clientsMax {
			return l.failAt(l.at(path+"/count"), fmt.Sprintf("more than %d clients", clientsMax), "")
		}
		if err := l.placed(s, path, p.Zone); err != nil {
			return err
		}
		topic, err := l.topic(s, p.Topic, path+"/topic")
		if err != nil {
			return err
		}
		if err := l.checkLoad(s, p, path); err != nil {
			return err
		}
		settings, problem := clientconfig.ParseProducer(p.Config)
		if problem != nil {
			return l.property(path+"/config", problem)
		}
		p.Settings = settings
		if err := l.checkRecordKeys(p, topic, path); err != nil {
			return err
		}
		if largest := min(topic.Settings.MaxMessageBytes, settings.MaxRequestSizeBytes); int64(p.MessageSize) > largest {
			return l.failAt(l.at(path+"/message_size"), fmt.Sprintf("no record of this size fits: max.message.bytes and max.request.size allow %d bytes", largest), "")
		}
	}
	return nil
}

// compactedKeysMax bounds the keys of a compacted topic's producers, each of which
// the checkers remember for every reader.
const compactedKeysMax = 1_000_000

// checkRecordKeys holds the keys of records to what compaction needs.
func (l *loader) checkRecordKeys(p *Producer, topic *Topic, path string) *Error {
	keyless := p.Keys.Distribution == "none"
	place := path + "/keys/distribution"
	if !l.has(place) {
		place = path + "/topic"
	}
	switch {
	case keyless && topic.Compacted():
		return l.failAt(l.at(place), fmt.Sprintf("the topic %s is compacted and takes no record without a key: its producers need keys, such as { distribution: uniform }", topic.Name), "")
	case keyless && p.Tombstones > 0:
		return l.failAt(l.at(path+"/tombstones"), "a tombstone names the key to forget: tombstones need keys, such as { distribution: uniform }", "")
	case topic.Compacted() && p.Keys.Cardinality > compactedKeysMax:
		return l.failAt(l.at(path+"/keys/cardinality"), fmt.Sprintf("the checkers remember each key of a compacted topic, at most %d", compactedKeysMax), "")
	}
	return nil
}

func (l *loader) checkLoad(s *Scenario, p *Producer, path string) *Error {
	for _, e := range executorKeys {
		if e.name != p.Executor {
			continue
		}
		for _, key := range e.must {
			if !l.has(path + "/" + key) {
				n := l.at(path + "/executor")
				return l.failAt(n, fmt.Sprintf("%s needs the key %q", p.Executor, key), "")
			}
		}
		for _, key := range e.none {
			if l.has(path + "/" + key) {
				return l.failAt(l.at(path+"/"+key), fmt.Sprintf("%s has no meaning for the executor %s", key, p.Executor), "")
			}
		}
	}
	for _, k := range keyKeys {
		for _, key := range k.none {
			if k.name == p.Keys.Distribution && l.has(path+"/keys/"+key) {
				return l.failAt(l.at(path+"/keys/"+key), fmt.Sprintf("%s has no meaning for the distribution %s", key, k.name), "")
			}
		}
	}
	if l.has(path+"/rate") && p.Rate.Count == 0 && p.Executor == "constant-arrival-rate" {
		return l.failAt(l.at(path+"/rate"), "a rate of nothing is no load", "")
	}
	loud := func(stage Stage) bool { return stage.Target.Count > 0 }
	if p.Executor == "ramping-arrival-rate" && p.Rate.Count == 0 && !slices.ContainsFunc(p.Stages, loud) {
		return l.failAt(l.at(path+"/stages"), "no stage has a target above nothing: this is no load", "")
	}
	ramp := time.Duration(0)
	for i, stage := range p.Stages {
		ramp += stage.Duration
		if err := l.within(fmt.Sprintf("%s/stages[%d]/duration", path, i), p.StartAt+ramp, s.Duration, "the end of this stage"); err != nil {
			return err
		}
	}
	if p.StartAt >= s.Duration {
		return l.failAt(l.at(path+"/start_at"), fmt.Sprintf("starts after the end of the scenario at %s", s.Duration), "")
	}
	return l.within(path+"/for", p.StartAt+p.For, s.Duration, "the end of the load")
}

// uniqueClient holds names apart, since clients are named after their groups.
func (l *loader) uniqueClient(s *Scenario, name, path string, producers, consumers int) *Error {
	if !legalName(name) {
		return l.failAt(l.at(path+"/name"), "a client's name is made of a-z, 0-9, - and _", "")
	}
	var earlier []string
	for i := range s.Workload.Producers {
		if i < producers || consumers >= 0 {
			earlier = append(earlier, s.Workload.Producers[i].Name)
		}
	}
	for i := range max(0, consumers) {
		earlier = append(earlier, s.Workload.Consumers[i].Name)
	}
	if slices.Contains(earlier, name) {
		return l.failAt(l.at(path+"/name"), "another group of clients has this name", "")
	}
	return nil
}

func (l *loader) checkConsumers(s *Scenario) *Error {
	clients := int64(0)
	for i := range s.Workload.Consumers {
		c, path := &s.Workload.Consumers[i], fmt.Sprintf("workload/consumers[%d]", i)
		if err := l.uniqueClient(s, c.Name, path, 0, i); err != nil {
			return err
		}
		if clients += c.Count; clients > clientsMax {
			return l.failAt(l.at(path+"/count"), fmt.Sprintf("more than %d clients", clientsMax), "")
		}
		if err := l.placed(s, path, c.Zone); err != nil {
			return err
		}
		for j, name := range c.Topics {
			place := fmt.Sprintf("%s/topic[%d]", path, j)
			if _, err := l.topic(s, name, place); err != nil {
				return err
			}
		}
		if len(c.Topics) == 0 {
			return l.failAt(l.at(path+"/topic"), "topic must name at least one topic", "")
		}
		if err := l.checkTimes(s, c, path); err != nil {
			return err
		}
		if err := l.checkConsumerConfig(s, c, path); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) checkConsumerConfig(s *Scenario, c *Consumer, path string) *Error {
	settings, problem := clientconfig.ParseConsumer(c.Config)
	if problem != nil {
		return l.property(path+"/config", problem)
	}
	if settings.GroupID != "" && settings.GroupID != c.Group {
		return l.failAt(l.at(path+"/config//group.id="), "group.id contradicts the key group", c.Group)
	}
	if settings.GroupInstanceID != "" && c.Count > 1 {
		return l.failAt(l.at(path+"/config//group.instance.id="), "several members cannot share one group.instance.id; use instance_ids: true", "")
	}
	if place := path + "/config//group.instance.id"; c.InstanceIDs && l.has(place) {
		return l.failAt(l.at(place), "instance_ids gives each member a group.instance.id of its own", "")
	}
	settings.GroupID = c.Group
	b := &s.Cluster.Brokers.Settings
	if t := settings.SessionTimeoutMillis; t < b.GroupMinSessionTimeoutMillis || t > b.GroupMaxSessionTimeoutMillis {
		place := path + "/config//session.timeout.ms="
		if !l.has(place) {
			place = path + "/group"
		}
		return l.failAt(l.at(place), fmt.Sprintf("the brokers allow session.timeout.ms from %d to %d", b.GroupMinSessionTimeoutMillis, b.GroupMaxSessionTimeoutMillis), "")
	}
	brokers := s.Cluster.brokerCount()
	if b.OffsetsTopicReplicationFactor > brokers {
		n := l.at(path + "/group")
		return l.failAt(n, fmt.Sprintf("a group needs __consumer_offsets with offsets.topic.replication.factor %d, but there are %d brokers", b.OffsetsTopicReplicationFactor, brokers), "")
	}
	c.Settings = settings
	return nil
}

func (l *loader) checkTimes(s *Scenario, c *Consumer, path string) *Error {
	if c.StartAt >= s.Duration {
		return l.failAt(l.at(path+"/start_at"), fmt.Sprintf("starts after the end of the scenario at %s", s.Duration), "")
	}
	if c.StopAt != 0 && c.StopAt <= c.StartAt {
		return l.failAt(l.at(path+"/stop_at"), "stops before it starts", "")
	}
	if err := l.within(path+"/stop_at", c.StopAt, s.Duration, "stop_at"); err != nil {
		return err
	}
	if len(c.Pauses) > pausesMax {
		return l.failAt(l.at(path+"/pauses"), fmt.Sprintf("more than %d pauses", pausesMax), "")
	}
	if err := l.checkWindows(s, c, c.Pauses, path, "pause"); err != nil {
		return err
	}
	return l.checkWindows(s, c, c.Stalls, path, "stall")
}

// pausesMax bounds how often a consumer is started again.
const pausesMax = 100

// checkWindows holds the pauses or stalls of a consumer to its life.
func (l *loader) checkWindows(s *Scenario, c *Consumer, windows []Window, path, what string) *Error {
	end := c.StartAt
	for i, w := range windows {
		place := fmt.Sprintf("%s/%ss[%d]", path, what, i)
		if w.At < end {
			return l.failAt(l.at(place+"/at"), what+"s are in order, do not overlap and lie after start_at", "")
		}
		end = w.At + w.For
		limit := s.Duration
		if c.StopAt != 0 {
			limit = c.StopAt
		}
		if err := l.within(place+"/for", end, limit, "the end of this "+what); err != nil {
			return err
		}
	}
	return nil
}
