package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Verb is the event's verb, fault or operator's action.
func (e *Event) Verb() string {
	if e.Fault != "" {
		return e.Fault
	}
	return e.Operator
}

// optionKeys are the keys of an event that belong to particular verbs.
var optionKeys = func() (keys []string) {
	for _, v := range verbs {
		for _, key := range v.options {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}()

func (l *loader) checkTimeline(s *Scenario) *Error {
	if len(s.Timeline) > eventsMax {
		return l.failAt(l.at("timeline"), fmt.Sprintf("more than %d events in the timeline", eventsMax), "")
	}
	if err := l.addBrokers(s); err != nil {
		return err
	}
	for i := range s.Timeline {
		e, path := &s.Timeline[i], fmt.Sprintf("timeline[%d]", i)
		n := l.at(path)
		e.Line = n.line
		if (e.Fault == "") == (e.Operator == "") {
			return l.fail(n.line, n.column, "an event has either a fault or an operator's action", "", "")
		}
		v, _ := findVerb(e.Verb())
		for _, part := range []func(*Scenario, *Event, verb, string) *Error{l.checkKeys, l.checkSpan, l.checkTargets, l.checkHits, l.checkVerb} {
			if err := part(s, e, v, path); err != nil {
				return err
			}
		}
	}
	return l.checkOverlap(s)
}

// addBrokers lists the brokers that the timeline adds, whose names other events may
// use.
func (l *loader) addBrokers(s *Scenario) *Error {
	for i := range s.Timeline {
		e, path := &s.Timeline[i], fmt.Sprintf("timeline[%d]/zones", i)
		if e.Operator != "add_brokers" {
			continue
		}
		if l.has(path) && len(e.Zones) == 0 {
			return l.failAt(l.at(path), "zones names the zone of at least one new broker", "")
		}
		for j, zone := range e.Zones {
			if err := l.knownZone(s, zone, fmt.Sprintf("%s[%d]", path, j)); err != nil {
				return err
			}
			s.Cluster.Brokers.Added = append(s.Cluster.Brokers.Added, AddedBroker{Zone: zone, Event: i})
		}
		if s.Cluster.brokerCount()+int64(len(s.Cluster.Brokers.Added)) > brokersMax {
			return l.failAt(l.at(path), fmt.Sprintf("more than %d brokers in the cluster", brokersMax), "")
		}
	}
	return nil
}

// checkKeys holds an event to the keys of its verb.
func (l *loader) checkKeys(_ *Scenario, _ *Event, v verb, path string) *Error {
	for _, key := range optionKeys {
		if l.has(path+"/"+key) && !slices.Contains(v.options, key) {
			takes := "it takes none"
			if len(v.options) > 0 {
				takes = "it takes: " + strings.Join(v.options, ", ")
			}
			return l.failAt(l.at(path+"/"+key), fmt.Sprintf("%s does not take the key %q; %s", v.name, key, takes), "")
		}
	}
	n := l.at(path)
	missing := func(key string) *Error {
		return l.fail(n.line, n.column, fmt.Sprintf("%s needs the key %q", v.name, key), "", "")
	}
	for _, key := range v.needs {
		if !l.has(path + "/" + key) {
			return missing(key)
		}
	}
	if len(v.oneOf) > 0 && !slices.ContainsFunc(v.oneOf, func(key string) bool { return l.has(path + "/" + key) }) {
		return l.fail(n.line, n.column, fmt.Sprintf("%s does nothing: it needs one of: %s", v.name, strings.Join(v.oneOf, ", ")), "", "")
	}
	for _, key := range []struct {
		name string
		need need
	}{{"for", v.lasts}, {"target", v.target}} {
		given := l.has(path + "/" + key.name)
		if key.need == required && !given {
			return missing(key.name)
		}
		if key.need == never && given {
			return l.failAt(l.at(path+"/"+key.name), fmt.Sprintf("%s does not take the key %q", v.name, key.name), "")
		}
	}
	return nil
}

// checkSpan keeps an event inside the scenario and its two spellings of "until
// when" equal.
func (l *loader) checkSpan(s *Scenario, e *Event, v verb, path string) *Error {
	if e.At >= s.Duration {
		return l.failAt(l.at(path+"/at"), fmt.Sprintf("begins after the end of the scenario at %s", s.Duration), "")
	}
	if l.has(path+"/for") && e.For == 0 {
		return l.failAt(l.at(path+"/for"), "a fault that lasts no time does nothing", "")
	}
	if l.has(path+"/for") && l.has(path+"/restart_after") {
		return l.failAt(l.at(path+"/restart_after"), "for and restart_after say the same; give one", "")
	}
	if e.End() > s.Duration {
		key := "/for"
		if e.RestartAfter > 0 {
			key = "/restart_after"
		}
		return l.failAt(l.at(path+key), fmt.Sprintf("%s ends at %s, after the end of the scenario at %s", v.name, e.End(), s.Duration), "")
	}
	if slices.Contains(v.options, "restart_after") {
		e.For = max(e.For, e.RestartAfter)
		e.RestartAfter = e.For
	}
	return nil
}

func (l *loader) checkTargets(s *Scenario, e *Event, v verb, path string) *Error {
	for _, t := range []struct {
		key    string
		target *Target
	}{{"/target", &e.Target}, {"/from", &e.From}, {"/to", &e.To}} {
		if err := l.checkTarget(s, t.target, path+t.key); err != nil {
			return err
		}
		for _, name := range t.target.Nodes {
			if at := addedAt(s, name); at > e.At {
				n := l.at(path + t.key)
				return l.fail(n.line, n.column, fmt.Sprintf("%s is added only at %s", name, at), t.target.Text, "")
			}
		}
	}
	if e.Target.Kind != TargetNone && !slices.Contains(v.kinds, "nodes") && e.Target.Kind != TargetZone {
		return l.fail(l.at(path+"/target").line, l.at(path+"/target").column, v.name+" is aimed at a zone, like { zone: b }", e.Target.Text, "")
	}
	if e.Target.Kind == TargetClients && !slices.Contains(v.kinds, "clients") {
		return l.failAt(l.at(path+"/target"), v.name+" is aimed at nodes, not at clients", "")
	}
	if e.To.Kind == TargetClients {
		return l.failAt(l.at(path+"/to"), v.name+" is aimed at nodes, not at clients", "")
	}
	return nil
}

// addedAt is when a node joins the cluster: zero if it is there from the start.
func addedAt(s *Scenario, name string) time.Duration {
	for _, node := range s.Cluster.Nodes() {
		if node.Name == name && node.AddedBy > 0 {
			return s.Timeline[node.AddedBy-1].At
		}
	}
	return 0
}

// checkTarget refuses a target that is nothing.
func (l *loader) checkTarget(s *Scenario, t *Target, path string) *Error {
	place := path
	if l.has(path + "/value") {
		place += "/value"
	}
	n := l.at(place)
	switch t.Kind {
	case TargetZone:
		return l.knownZone(s, t.Zone, place)
	case TargetNodes:
		for i, name := range t.Nodes {
			item := place
			if l.has(fmt.Sprintf("%s[%d]", place, i)) {
				item = fmt.Sprintf("%s[%d]", place, i)
			}
			if err := l.knownNode(s, name, item); err != nil {
				return err
			}
		}
	case TargetClients:
		for i, name := range t.Clients {
			item := place
			if l.has(fmt.Sprintf("%s[%d]", place, i)) {
				item = fmt.Sprintf("%s[%d]", place, i)
			}
			if names := s.Workload.clients(); !slices.Contains(names, name) {
				return l.failAt(l.at(item), "no client of the workload is named so", nearest(name, names))
			}
		}
	case TargetLeaderOf, TargetFollowerOf:
		topic, err := l.topic(s, t.Topic, place)
		if err != nil {
			return err
		}
		if count := s.PartitionsAtEnd(topic); int64(t.Partition) >= count {
			return l.failAt(n, fmt.Sprintf("%s has partitions 0 to %d", topic.Name, count-1), "")
		}
		if t.Kind == TargetFollowerOf && topic.ReplicationFactor == 1 {
			return l.failAt(n, topic.Name+" has no followers: its replication.factor is 1", "")
		}
	case TargetCoordinatorOf:
		var groups []string
		for i := range s.Workload.Consumers {
			groups = append(groups, s.Workload.Consumers[i].Group)
		}
		if !slices.Contains(groups, t.Group) {
			return l.fail(n.line, n.column, "unknown group; known are: "+strings.Join(groups, ", "), t.Group, nearest(t.Group, groups))
		}
	case TargetRandom:
		if brokers := s.Cluster.brokerCount(); t.Count > brokers {
			return l.failAt(n, fmt.Sprintf("there are only %d brokers", brokers), "")
		}
	}
	return nil
}

// clients lists what a target may call clients: a name for all of it, or one with
// its number.
func (w *Workload) clients() (names []string) {
	add := func(name string, count int64) {
		names = append(names, name)
		for i := range count {
			names = append(names, fmt.Sprintf("%s-%d", name, i+1))
		}
	}
	for i := range w.Producers {
		add(w.Producers[i].Name, w.Producers[i].Count)
	}
	for i := range w.Consumers {
		add(w.Consumers[i].Name, w.Consumers[i].Count)
	}
	return names
}

func (l *loader) knownNode(s *Scenario, name, path string) *Error {
	var names []string
	for _, node := range s.Cluster.Nodes() {
		names = append(names, node.Name)
	}
	if slices.Contains(names, name) {
		return nil
	}
	n := l.at(path)
	known := strings.Join(names, ", ")
	if len(names) > 12 {
		known = fmt.Sprintf("%s to %s", names[0], names[len(names)-1])
	}
	return l.fail(n.line, n.column, "unknown node; known are: "+known, name, nearest(name, names))
}

// checkVerb holds each verb to its own rules.
func (l *loader) checkVerb(s *Scenario, e *Event, v verb, path string) *Error {
	switch v.name {
	case "partition":
		return l.checkPartition(s, e, path)
	case "link":
		return l.checkLink(s, e, path)
	case "hold_rpc":
		return l.checkAPI(e, path)
	case "disk":
		return l.checkDisk(s, e, path)
	case "clock":
		return l.checkClock(e, path)
	case "dns":
		return l.checkNames(e, path)
	case "move_leader", "reassign":
		if err := l.checkReplicas(s, e, path); err != nil {
			return err
		}
		target := Target{Kind: TargetLeaderOf, Text: e.Partition}
		var ok bool
		if target.Topic, target.Partition, ok = ParsePartition(e.Partition); !ok {
			return l.failAt(l.at(path+"/partition"), "partition must be topic/partition, like orders/3", "")
		}
		return l.checkTarget(s, &target, path+"/partition")
	case "add_partitions":
		return l.checkGrowth(s, e, path)
	case "admin_storm":
		return l.checkStorm(s, e, path)
	case "restore_backup":
		if e.Age > e.At {
			return l.failAt(l.at(path+"/age"), "the copy would be older than the scenario", "")
		}
		return l.checkDown(s, e, path, "age")
	case "decommission":
		return l.checkDecommission(s, e, path)
	}
	return nil
}

func (l *loader) checkClock(e *Event, path string) *Error {
	switch {
	case l.has(path+"/bump") && l.has(path+"/strobe"):
		return l.failAt(l.at(path+"/strobe"), "bump and strobe exclude each other: write two events", "")
	case e.Bump == 0 && e.Strobe == 0:
		return l.failAt(l.at(path), "clock does nothing: it jumps by no time", "")
	case (e.Strobe > 0) != (e.For > 0):
		return l.failAt(l.at(path), "strobe needs 'for', and bump, which happens once, does not take it", "")
	case l.has(path+"/period") && e.Strobe == 0:
		return l.failAt(l.at(path+"/period"), "period belongs to strobe", "")
	}
	return nil
}

// checkNames tells what lasts from what happens once.
func (l *loader) checkNames(e *Event, path string) *Error {
	switch {
	case e.Fail && e.ChangeIP:
		return l.failAt(l.at(path+"/change_ip"), "fail lasts and change_ip happens once: write two events", "")
	case !e.Fail && !e.ChangeIP:
		return l.failAt(l.at(path), "dns does nothing: fail and change_ip are false", "")
	case e.Fail != (e.For > 0):
		return l.failAt(l.at(path), "fail needs 'for', and change_ip, which happens once, does not take it", "")
	case e.ChangeIP && e.Target.Kind == TargetClients:
		return l.failAt(l.at(path+"/target"), "nobody asks for the name of a client; change_ip is aimed at nodes", "")
	}
	return nil
}

func (l *loader) checkPartition(s *Scenario, e *Event, path string) *Error {
	if l.has(path+"/between") && l.has(path+"/shape") {
		return l.failAt(l.at(path+"/shape"), "between and shape exclude each other", "")
	}
	isolate := e.Shape == "isolate"
	if l.has(path+"/direction") && e.Shape != "" && !isolate {
		return l.failAt(l.at(path+"/direction"), fmt.Sprintf("the shape %s cuts both ways; direction belongs to between and isolate", e.Shape), "")
	}
	if given := l.has(path + "/target"); given != isolate {
		if isolate {
			return l.failAt(l.at(path+"/shape"), "isolate needs a target", "")
		}
		return l.fail(l.at(path+"/target").line, l.at(path+"/target").column, "only the shape isolate takes a target", e.Target.Text, "")
	}
	if least := map[string]int{"halves": 2, "bridge": 3, "majorities-ring": 3, "majority": 3}[e.Shape]; least > 0 {
		parts := len(s.Cluster.Zones)
		if parts == 1 {
			parts = len(s.Cluster.Nodes())
		}
		if parts < least {
			return l.failAt(l.at(path+"/shape"), fmt.Sprintf("%s needs at least %d zones (or %d nodes in one zone), there are %d", e.Shape, least, least, parts), "")
		}
	}
	return l.checkSets(s, e, path)
}

// checkSets refuses sets of zones and nodes that are unknown or overlap.
func (l *loader) checkSets(s *Scenario, e *Event, path string) *Error {
	if len(e.Between) == 0 {
		return nil
	}
	seen := map[string]bool{} // only looked up
	for i, set := range e.Between {
		place := fmt.Sprintf("%s/between[%d]", path, i)
		if len(set) == 0 {
			return l.failAt(l.at(path+"/between"), "a set is empty: the fault is aimed at nothing", "")
		}
		for j, name := range set {
			item := fmt.Sprintf("%s[%d]", place, j)
			if !l.has(item) {
				item = path + "/between"
			}
			if !slices.Contains(s.Cluster.Zones, name) {
				var names []string
				for _, node := range s.Cluster.Nodes() {
					names = append(names, node.Name)
				}
				if !slices.Contains(names, name) {
					all := append(slices.Clone(s.Cluster.Zones), names...)
					return l.failAt(l.at(item), "neither a zone nor a node; zones are: "+strings.Join(s.Cluster.Zones, ", "), nearest(name, all))
				}
			}
			if slices.Contains(s.Cluster.Zones, name) && !s.Inhabited(name) {
				return l.failAt(l.at(item), emptyZone, "")
			}
			for _, node := range members(s, name) {
				if seen[node] {
					return l.failAt(l.at(item), "is in both sets", "")
				}
			}
		}
		for _, name := range set {
			for _, node := range members(s, name) {
				seen[node] = true
			}
		}
	}
	return nil
}

// members lists the nodes of a zone, or a node by itself.
func members(s *Scenario, name string) []string {
	var out []string
	for _, node := range s.Cluster.Nodes() {
		if node.Zone == name || node.Name == name {
			out = append(out, node.Name)
		}
	}
	return out
}

func (l *loader) checkLink(s *Scenario, e *Event, path string) *Error {
	if l.has(path+"/zones") == l.has(path+"/between") {
		return l.failAt(l.at(path), "link needs either 'zones' or 'between'", "")
	}
	if l.has(path+"/zones") && (len(e.Zones) != 2 || e.Zones[0] == e.Zones[1]) {
		return l.failAt(l.at(path+"/zones"), "zones must name two zones", "")
	}
	for i, zone := range e.Zones {
		place := fmt.Sprintf("%s/zones[%d]", path, i)
		if err := l.knownZone(s, zone, place); err != nil {
			return err
		}
		if !s.Inhabited(zone) {
			return l.failAt(l.at(place), emptyZone, "")
		}
	}
	if e.Latency+e.Jitter == 0 && e.LostPackets()+e.Duplicate+e.Reorder == 0 && e.Bandwidth == 0 {
		return l.failAt(l.at(path), "link does nothing: every option is zero", "")
	}
	return l.checkSets(s, e, path)
}

func (l *loader) checkAPI(e *Event, path string) *Error {
	var names []string
	for key := range int16(kmsg.MaxKey + 1) {
		if name := kmsg.NameForKey(key); name != "" && name != "Unknown" {
			names = append(names, name)
		}
	}
	if !slices.Contains(names, e.API) {
		return l.failAt(l.at(path+"/api"), "not a Kafka request", nearest(e.API, names))
	}
	return nil
}

func (l *loader) checkDisk(s *Scenario, e *Event, path string) *Error {
	lasting := e.Latency > 0 || e.Full || e.Error > 0
	once := e.BitFlip > 0 || e.Truncate > 0 || e.Lose
	switch {
	case lasting && once:
		return l.failAt(l.at(path), "latency, full and error last; bitflip, truncate and lose happen once: write two events", "")
	case !lasting && !once:
		return l.failAt(l.at(path), "disk does nothing: every option is zero or false", "")
	case lasting && e.For == 0:
		return l.failAt(l.at(path), "a slow, full or faulty disk needs the key \"for\"", "")
	case once && e.For > 0:
		return l.failAt(l.at(path+"/for"), "bitflip, truncate and lose happen once and do not take the key \"for\"", "")
	case e.Lose:
		return l.checkDown(s, e, path, "lose")
	}
	return nil
}

// checkDown holds the replacement of a disk to nodes that are down at that time: a
// process does not survive the loss of its files, so that it would be a kill in
// disguise.
func (l *loader) checkDown(s *Scenario, e *Event, path, key string) *Error {
	nodes := named(s, e)
	if len(nodes) == 0 {
		n := l.at(path + "/target")
		return l.fail(n.line, n.column, key+" needs nodes by name, or a zone, that an event before it takes down", e.Target.Text, "")
	}
	for _, name := range nodes {
		if !slices.ContainsFunc(s.Timeline, func(o Event) bool {
			return o.Fault != "pause" && o.At < e.At && e.At < until(s, &o) && slices.Contains(down(s, &o), name)
		}) {
			return l.failAt(l.at(path+"/"+key), fmt.Sprintf("%s runs at that time: take it down with kill or power_loss first", name), "")
		}
	}
	return nil
}

// down lists the nodes that an event is known to take down, or to stop, before
// the run.
func down(s *Scenario, e *Event) []string {
	if !slices.Contains([]string{"zone_outage", "kill", "pause", "power_loss"}, e.Fault) || e.Mode == "network" && e.Fault == "zone_outage" {
		return nil
	}
	return named(s, e)
}

// named lists the nodes that an event's target names; others are found when it
// begins.
func named(s *Scenario, e *Event) []string {
	if e.Target.Kind == TargetNodes {
		return e.Target.Nodes
	}
	return members(s, e.Target.Zone)
}

// until is when an event that takes nodes down gives them back.
func until(s *Scenario, e *Event) time.Duration {
	if e.For == 0 {
		return s.Duration
	}
	return e.End()
}

// checkOverlap refuses two events that take the same nodes down at once, and the
// restart of one that is down: the second would do nothing, or the end of the
// first would undo it.
func (l *loader) checkOverlap(s *Scenario) *Error {
	for i := range s.Timeline {
		for j := range i {
			first, second := j, i
			if s.Timeline[i].At < s.Timeline[j].At {
				first, second = i, j
			}
			a, b := &s.Timeline[first], &s.Timeline[second]
			if b.At >= until(s, a) {
				continue
			}
			hit := down(s, b)
			if b.Operator == "restart" {
				hit = named(s, b)
			}
			for _, name := range hit {
				if slices.Contains(down(s, a), name) {
					return l.failAt(l.at(fmt.Sprintf("timeline[%d]/target", second)), fmt.Sprintf("%s is already down at that time by line %d", name, a.Line), "")
				}
			}
		}
	}
	return nil
}
