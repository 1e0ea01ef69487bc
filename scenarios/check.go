package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/units"
)

// Bounds on the size of a simulated cluster.
const (
	replicasMax = 100_000
	clientsMax  = 20_000
	eventsMax   = 1000
	brokersMax  = 300
	delaysMax   = 10_000
	// diskBandwidthMin is a byte in a microsecond, below which a disk cannot count.
	diskBandwidthMin = 1_000_000
)

// Latencies of a network that the file does not describe.
const (
	sameZoneLatency  = 250 * time.Microsecond
	crossZoneLatency = time.Millisecond
)

// check holds the file to everything that no single key can know, and fills in
// what follows from other keys.
func (l *loader) check(s *Scenario) *Error {
	if !legalName(s.Name) {
		return l.failAt(l.at("name"), "name is made of a-z, 0-9, - and _, at most 64 characters", "")
	}
	for _, part := range []func(*Scenario) *Error{
		l.checkCluster, l.checkBugs, l.checkTopics, l.checkProducers, l.checkConsumers, l.checkTimeline, l.checkExpect,
	} {
		if err := part(s); err != nil {
			return err
		}
	}
	if s.Settle == 0 {
		longest := s.Cluster.Brokers.Settings.ReplicaLagTimeMaxMillis
		for i := range s.Workload.Consumers {
			longest = max(longest, s.Workload.Consumers[i].Settings.SessionTimeoutMillis)
		}
		s.Settle = 2 * time.Duration(longest) * time.Millisecond
	}
	return nil
}

// checkBugs turns on the switches of the museum.
func (l *loader) checkBugs(s *Scenario) *Error {
	for i, name := range s.KnownBugs {
		set, known := s.Cluster.Brokers.Settings.Bugs.With(name)
		if !known {
			return l.failAt(l.at(fmt.Sprintf("known_bugs[%d]", i)), "the museum has no such switch", nearest(name, knownSwitches()))
		}
		s.Cluster.Brokers.Settings.Bugs = set
	}
	return nil
}

func (l *loader) checkCluster(s *Scenario) *Error {
	c := &s.Cluster
	if len(c.Zones) == 0 {
		return l.failAt(l.at("cluster/zones"), "zones must name at least one zone", "")
	}
	for i, zone := range c.Zones {
		if !legalName(zone) {
			return l.failAt(l.at(fmt.Sprintf("cluster/zones[%d]", i)), "a zone's name is made of a-z, 0-9, - and _", "")
		}
	}
	if err := l.exactlyOne("cluster/controllers", "per_zone", "count", "nodes"); err != nil {
		return err
	}
	for i, zone := range c.Controllers.Nodes {
		if err := l.knownZone(s, zone, fmt.Sprintf("cluster/controllers/nodes[%d]", i)); err != nil {
			return err
		}
	}
	if n := len(c.Controllers.Nodes); l.has("cluster/controllers/nodes") && (n == 0 || n > 9) {
		return l.failAt(l.at("cluster/controllers/nodes"), "nodes must name the zones of 1 to 9 controllers", "")
	}
	if err := l.exactlyOne("cluster/brokers", "per_zone", "count", "nodes"); err != nil {
		return err
	}
	for i, zone := range c.Brokers.Nodes {
		if err := l.knownZone(s, zone, fmt.Sprintf("cluster/brokers/nodes[%d]", i)); err != nil {
			return err
		}
	}
	if n := len(c.Brokers.Nodes); l.has("cluster/brokers/nodes") && (n == 0 || n > brokersMax) {
		return l.failAt(l.at("cluster/brokers/nodes"), fmt.Sprintf("nodes must name the zones of 1 to %d brokers", brokersMax), "")
	}
	if err := l.checkNetwork(s); err != nil {
		return err
	}
	if c.Disks.Bandwidth > 0 && c.Disks.Bandwidth < diskBandwidthMin {
		return l.failAt(l.at("cluster/disks/bandwidth"), "a disk moves at least 1MB a second", "1MB")
	}
	settings, err := config.ParseBroker(c.Brokers.Config)
	if err != nil {
		return l.property("cluster/brokers/config", err)
	}
	if at := slices.IndexFunc(c.Brokers.Config, func(kv KV) bool { return kv.Name == "broker.rack" }); at >= 0 {
		return l.failAt(l.at("cluster/brokers/config//broker.rack"), "a broker's rack is its zone", "")
	}
	c.Brokers.Settings = settings
	return l.applyFlush(c)
}

func (l *loader) checkNetwork(s *Scenario) *Error {
	n := &s.Cluster.Network
	if err := l.checkDelays(&n.SameZone, "cluster/network/same_zone", sameZoneLatency); err != nil {
		return err
	}
	if err := l.checkDelays(&n.CrossZone, "cluster/network/cross_zone", crossZoneLatency); err != nil {
		return err
	}
	for i := range n.Links {
		z, path := &n.Links[i], fmt.Sprintf("cluster/network/links[%d]", i)
		if len(z.Between) != 2 {
			return l.failAt(l.at(path+"/between"), "between must name two zones", "")
		}
		for j, zone := range z.Between {
			if err := l.knownZone(s, zone, fmt.Sprintf("%s/between[%d]", path, j)); err != nil {
				return err
			}
			if !s.Inhabited(zone) {
				return l.failAt(l.at(fmt.Sprintf("%s/between[%d]", path, j)), emptyZone, "")
			}
		}
		for j := range i {
			if o := n.Links[j].Between; slices.Equal(o, z.Between) || o[0] == z.Between[1] && o[1] == z.Between[0] {
				return l.failAt(l.at(path+"/between"), "these two zones have a link already", "")
			}
		}
		if err := l.checkDelays(&z.Link, path+"/link", crossZoneLatency); err != nil {
			return err
		}
	}
	return nil
}

// checkDelays holds a link to one way of saying its delays, and reads those that
// were measured.
func (l *loader) checkDelays(link *Link, path string, usual time.Duration) *Error {
	given := func(key string) bool { return l.has(path + "/" + key) }
	if !given("latency") && !given("measured") {
		link.Latency = usual
	}
	for _, pair := range [][2]string{{"latency", "measured"}, {"jitter", "measured"}, {"p99", "measured"}, {"jitter", "p99"}} {
		if given(pair[0]) && given(pair[1]) {
			return l.failAt(l.at(path+"/"+pair[1]), fmt.Sprintf("%s and %s exclude each other", pair[0], pair[1]), "")
		}
	}
	if given("p99") && (link.Latency == 0 || link.P99 < link.Latency) {
		return l.failAt(l.at(path+"/p99"), fmt.Sprintf("p99 is not below the latency, which is %s and not zero", link.Latency), "")
	}
	if given("measured") && (len(link.Measured) == 0 || len(link.Measured) > delaysMax) {
		return l.failAt(l.at(path+"/measured"), fmt.Sprintf("measured holds 1 to %d delays", delaysMax), "")
	}
	for i, text := range link.Measured {
		delay, problem, suggestion := units.Parse(text, units.Durations, "duration")
		if problem == "" && (delay < 0 || delay > int64(time.Minute)) {
			problem = "a delay lies between 0s and 1m"
		}
		if problem != "" {
			return l.failAt(l.at(fmt.Sprintf("%s/measured[%d]", path, i)), problem, suggestion)
		}
		link.Delays = append(link.Delays, time.Duration(delay))
	}
	return nil
}

// applyFlush turns the disks' flush policy into the topics' default of
// flush.messages, so that the broker has one rule: a log that is synced after
// every record is synced before its ack.
func (l *loader) applyFlush(c *Cluster) *Error {
	if c.Disks.Flush.Mode == FlushOS {
		return nil
	}
	if place := "cluster/brokers/config//log.flush.interval.messages"; l.has(place) {
		return l.failAt(l.at(place), "contradicts the flush policy of the disks", "")
	}
	c.Brokers.Settings.TopicDefaults.FlushMessages = max(1, c.Disks.Flush.Every)
	return nil
}

// property lays out an error of package config or clientconfig.
func (l *loader) property(path string, err error) *Error {
	var e *config.Error
	if !errors.As(err, &e) {
		return l.fail(l.at(path).line, l.at(path).column, err.Error(), "", "")
	}
	place := path + "//" + e.Name
	if e.NameWrong {
		return l.fail(l.at(place).line, l.at(place).column, e.What+" "+e.Problem, e.Name, e.Suggestion)
	}
	if l.has(place + "=") {
		place += "="
	} else { // a default broke the rule against a property that was given
		place = path
		for _, word := range strings.Fields(e.Problem) {
			if l.has(path + "//" + word + "=") {
				place = path + "//" + word
			}
		}
	}
	return l.fail(l.at(place).line, l.at(place).column, e.What+" "+e.Name+" "+e.Problem, e.Value, e.Suggestion)
}

func (l *loader) exactlyOne(path string, keys ...string) *Error {
	var given []string
	for _, key := range keys {
		if l.has(path + "/" + key) {
			given = append(given, key)
		}
	}
	n := l.at(path)
	switch len(given) {
	case 0:
		return l.fail(n.line, n.column, "needs one of: "+strings.Join(keys, ", "), "", "")
	case 1:
		return nil
	}
	return l.failAt(l.at(path+"/"+given[1]), fmt.Sprintf("%s and %s exclude each other", given[0], given[1]), "")
}

func (l *loader) knownZone(s *Scenario, zone, path string) *Error {
	if slices.Contains(s.Cluster.Zones, zone) {
		return nil
	}
	n := l.at(path)
	return l.fail(n.line, n.column, "unknown zone; known are: "+strings.Join(s.Cluster.Zones, ", "), zone, nearest(zone, s.Cluster.Zones))
}

func (l *loader) checkTopics(s *Scenario) *Error {
	brokers := s.Cluster.brokerCount()
	replicas := int64(0)
	if len(s.Topics) == 0 {
		return l.failAt(l.at("topics"), "topics must name at least one topic", "")
	}
	for i := range s.Topics {
		t, path := &s.Topics[i], fmt.Sprintf("topics[%d]", i)
		if !legalTopic(t.Name) || strings.HasPrefix(t.Name, "__") {
			return l.failAt(l.at(path+"/name"), "not a legal topic name", "")
		}
		if t.ReplicationFactor > brokers {
			return l.failAt(l.at(path+"/replication.factor"), fmt.Sprintf("replication.factor is larger than the number of brokers, which is %d", brokers), "")
		}
		settings, err := config.ParseTopic(t.Config, s.Cluster.Brokers.Settings.TopicDefaults)
		if err != nil {
			return l.property(path+"/config", err)
		}
		if settings.MinInsyncReplicas > t.ReplicationFactor {
			place := path + "/config//min.insync.replicas="
			if !l.has(place) {
				place = path + "/replication.factor"
			}
			return l.failAt(l.at(place), fmt.Sprintf("min.insync.replicas %d can never be reached with replication.factor %d", settings.MinInsyncReplicas, t.ReplicationFactor), "")
		}
		t.Settings = settings
		if replicas += t.Partitions * t.ReplicationFactor; replicas > replicasMax {
			return l.failAt(l.at(path+"/partitions"), fmt.Sprintf("more than %d replicas in the cluster", replicasMax), "")
		}
	}
	return nil
}

func (l *loader) topic(s *Scenario, name, path string) (*Topic, *Error) {
	var names []string
	for i := range s.Topics {
		if s.Topics[i].Name == name {
			return &s.Topics[i], nil
		}
		names = append(names, s.Topics[i].Name)
	}
	n := l.at(path)
	return nil, l.fail(n.line, n.column, "unknown topic; known are: "+strings.Join(names, ", "), name, nearest(name, names))
}

// placed checks spread and zone, which exclude each other.
func (l *loader) placed(s *Scenario, path, zone string) *Error {
	if zone == "" {
		return nil
	}
	if l.has(path + "/spread") {
		return l.failAt(l.at(path+"/zone"), "spread and zone exclude each other", "")
	}
	return l.knownZone(s, zone, path+"/zone")
}

func (l *loader) within(path string, at, limit time.Duration, what string) *Error {
	if at <= limit {
		return nil
	}
	return l.failAt(l.at(path), fmt.Sprintf("%s is after the end of the scenario at %s", what, limit), "")
}
