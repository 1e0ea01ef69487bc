package swarm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// earliest is when the first fault may begin; before it every group has formed.
const earliest = 3 * time.Second

// faultVerbs are the verbs of the vocabulary, the mildest first, since shrinking
// goes that way. Those that take nodes down stand twice: they find the most.
var faultVerbs = []string{
	"reset_connections", "link", "pause", "kill", "partition", "power_loss", "zone_outage", "hold_rpc", "disk", "clock", "dns", "stress",
	"rolling_restart", "restart", "add_partitions", "add_brokers", "admin_storm", "kill", "partition", "power_loss", "pause",
}

func (d *drawer) timeline() {
	for range d.number("events", 0, eventsMax) {
		e := d.blank.Timeline[0]
		e.Fault, e.Target = "", scenarios.Target{}
		latest := d.s.Duration - quiet - time.Second
		e.At = earliest + d.millis("at", 0, int((latest-earliest)/time.Millisecond))
		e.For = d.millis("for", 1, int(min(20*time.Second, d.s.Duration-quiet-e.At)/time.Millisecond))
		d.verb(&e, pick(d, "verb", faultVerbs...))
		if !d.takesDown(&e) || e.Operator != "" && d.operated(&e) {
			continue
		}
		d.s.Timeline = append(d.s.Timeline, e)
		if e.Operator == "add_brokers" && !d.often("decommission", 2) {
			d.decommission(&e)
		}
		if (e.Fault == "kill" || e.Fault == "power_loss") && e.For > 0 && !d.often("restart as it starts", 3) {
			d.restart(&e)
		}
		if e.Fault == "kill" && e.For > time.Second && e.Target.Kind == scenarios.TargetNodes && !d.often("replace disk", 4) {
			d.replace(&e)
		}
	}
}

// operated tells whether an operator does the same already. A second rolling
// restart beside the first does nothing, and a run that carries out less than it
// says is no proof; a topic can only grow, whatever the order of the events.
func (d *drawer) operated(e *scenarios.Event) bool {
	return e.Operator != "restart" && slices.ContainsFunc(d.s.Timeline, func(o scenarios.Event) bool { return o.Operator == e.Operator && o.Topic == e.Topic })
}

// restart stops nodes again that only just start.
func (d *drawer) restart(down *scenarios.Event) {
	again := d.blank.Timeline[0]
	again.Fault, again.Operator, again.Target = "", "restart", down.Target
	again.At = down.End() + d.millis("after the start", 1, 1000)
	if again.At < d.s.Duration-quiet && d.takesDown(&again) {
		d.s.Timeline = append(d.s.Timeline, again)
	}
}

// decommission takes a broker out after another has come.
func (d *drawer) decommission(added *scenarios.Event) {
	leaves := d.blank.Timeline[0]
	leaves.Fault, leaves.Operator, leaves.Target = "", "decommission", d.broker()
	leaves.At = added.At + d.millis("until decommission", 0, 10_000)
	if leaves.At < d.s.Duration-quiet {
		d.s.Timeline = append(d.s.Timeline, leaves)
	}
}

// replace gives the brokers that are down an empty disk, or an old copy of theirs,
// before they come back.
func (d *drawer) replace(down *scenarios.Event) {
	lost := d.blank.Timeline[0]
	lost.Fault, lost.Lose, lost.At = "disk", true, down.At+down.For/2
	if d.flip("restore") {
		lost.Fault, lost.Lose, lost.Operator = "", false, "restore_backup"
		lost.Age = time.Second + d.millis("age of the backup", 0, int((lost.At-time.Second)/time.Millisecond))
	}
	lost.Target = scenarios.Target{Kind: scenarios.TargetNodes}
	for _, name := range down.Target.Nodes {
		if strings.HasPrefix(name, "broker") {
			lost.Target.Nodes = append(lost.Target.Nodes, name)
		}
	}
	if len(lost.Target.Nodes) > 0 {
		d.s.Timeline = append(d.s.Timeline, lost)
	}
}

func (d *drawer) verb(e *scenarios.Event, verb string) {
	e.Fault = verb
	switch verb {
	case "reset_connections":
		e.For, e.Target = 0, d.target()
	case "link":
		d.link(e)
	case "pause":
		e.Target = d.target()
	case "kill", "power_loss":
		e.Target = d.target()
		if !d.often("for good", 12) && d.spare() {
			e.Target, e.For, d.calm = d.broker(), 0, false
		}
		e.RestartAfter = e.For // as Load leaves it
	case "partition":
		d.partition(e)
	case "zone_outage":
		e.Target = scenarios.Target{Kind: scenarios.TargetZone, Zone: d.livingZone()}
		e.Mode = pick(d, "mode", "power_loss", "network", "kill")
	case "hold_rpc":
		e.API = pick(d, "api", "Fetch", "Produce", "AlterPartition", "BrokerHeartbeat", "OffsetForLeaderEpoch", "BrokerRegistration")
		e.From, e.To = d.target(), d.target()
	case "disk":
		d.disk(e)
	case "clock":
		e.Target = d.target()
		if e.For, e.Bump = 0, d.millis("bump", -30_000, 30_000); e.Bump == 0 {
			e.Bump = time.Millisecond
		}
	case "dns":
		e.Target = d.target()
		if e.Fail = d.flip("lookups fail"); !e.Fail {
			e.ChangeIP, e.For = true, 0
		}
	case "stress":
		e.Target, e.CPU = d.target(), scenarios.PPM(d.number("cpu", 50, 99))*10_000
	case "rolling_restart":
		e.Fault, e.Operator, e.For = "", verb, 0
		e.Gap = d.millis("gap", 0, 3000)
		// Without controlled shutdowns every step takes a session: too long for the
		// run to see the end.
		d.calm = d.calm && !slices.Contains(d.s.Cluster.Brokers.Config, scenarios.KV{Name: "controlled.shutdown.enable", Value: "false"})
	case "restart":
		e.Fault, e.Operator, e.For, e.Target = "", verb, 0, d.target()
	case "add_brokers":
		e.Fault, e.Operator, e.For, e.Zones = "", verb, 0, []string{d.livingZone()}
	case "admin_storm":
		e.Fault, e.Operator = "", verb
		e.Rate = scenarios.Rate{Count: int64(d.number("storm rate", 1, 50)), Per: time.Second}
		e.Partitions, e.Names = int64(d.number("storm partitions", 1, 4)), int64(d.number("storm names", 1, 20))
	case "add_partitions":
		topic := &d.s.Topics[d.number("growing topic", 0, len(d.s.Topics)-1)]
		e.Fault, e.Operator, e.For = "", verb, 0
		e.Topic, e.Partitions = topic.Name, topic.Partitions+int64(d.number("more partitions", 1, 4))
		d.refresh(pick(d, "metadata.max.age.ms", "10000", "2000"))
	}
}

// refresh makes all clients ask for metadata now and then. With Kafka's default of
// five minutes they would not hear of new partitions before the end.
func (d *drawer) refresh(millis string) {
	age := scenarios.KV{Name: "metadata.max.age.ms", Value: millis}
	add := func(kv *[]scenarios.KV) {
		if !slices.ContainsFunc(*kv, func(had scenarios.KV) bool { return had.Name == age.Name }) {
			*kv = append(*kv, age)
		}
	}
	for i := range d.s.Workload.Producers {
		add(&d.s.Workload.Producers[i].Config)
	}
	for i := range d.s.Workload.Consumers {
		add(&d.s.Workload.Consumers[i].Config)
	}
}

func (d *drawer) nodes() []string {
	var out []string
	for _, node := range d.s.Cluster.Nodes() {
		out = append(out, node.Name)
	}
	return out
}

// spare tells whether every topic has replicas to spare: only then a broker may go
// for good. Where the only copy is gone, nothing can be read and nothing is proved.
func (d *drawer) spare() bool {
	return d.brokers() > 1 && !slices.ContainsFunc(d.s.Topics, func(t scenarios.Topic) bool { return t.ReplicationFactor == 1 })
}

// livingZone draws a zone in which there are nodes: a fault of another hits nobody.
func (d *drawer) livingZone() string {
	var zones []string
	for _, node := range d.s.Cluster.Nodes() {
		if !slices.Contains(zones, node.Zone) {
			zones = append(zones, node.Zone)
		}
	}
	return pick(d, "zone", zones...)
}

// written draws a broker that holds records: the leader of a partition that a
// producer writes to.
func (d *drawer) written() scenarios.Target {
	t := scenarios.Target{Kind: scenarios.TargetLeaderOf, Topic: d.s.Workload.Producers[0].Topic}
	for i := range d.s.Topics {
		if d.s.Topics[i].Name == t.Topic {
			t.Partition = int32(d.number("damaged partition", 0, int(d.s.Topics[i].Partitions)-1))
		}
	}
	return t
}

func (d *drawer) broker() scenarios.Target {
	return scenarios.Target{Kind: scenarios.TargetNodes, Nodes: []string{fmt.Sprintf("broker-%d", d.number("broker", 1, d.brokers()))}}
}

// target draws any target that the vocabulary has and this cluster allows.
func (d *drawer) target() scenarios.Target {
	kind := pick(d, "target", scenarios.TargetNodes, scenarios.TargetLeaderOf, scenarios.TargetFollowerOf, scenarios.TargetOne,
		scenarios.TargetActiveController, scenarios.TargetZone, scenarios.TargetRandom, scenarios.TargetCoordinatorOf,
		scenarios.TargetMinority, scenarios.TargetMajority, scenarios.TargetPrimaries, scenarios.TargetBrokers,
		scenarios.TargetControllers, scenarios.TargetAll)
	t := scenarios.Target{Kind: kind}
	switch kind {
	case scenarios.TargetNodes:
		for _, name := range d.nodes() {
			if len(t.Nodes) == 0 || d.number("another", 0, 4) == 4 {
				t.Nodes = append(t.Nodes, name)
			}
		}
		skip := d.number("skip", 0, len(d.nodes())-1)
		if len(t.Nodes) == 1 {
			t.Nodes[0] = d.nodes()[skip]
		}
	case scenarios.TargetLeaderOf, scenarios.TargetFollowerOf:
		topic := &d.s.Topics[d.number("event topic", 0, len(d.s.Topics)-1)]
		t.Topic, t.Partition = topic.Name, int32(d.number("event partition", 0, int(topic.Partitions)-1))
		if topic.ReplicationFactor == 1 {
			t.Kind = scenarios.TargetLeaderOf
		}
	case scenarios.TargetZone:
		t.Zone = d.livingZone()
	case scenarios.TargetRandom:
		t.Count = int64(d.number("count", 1, d.brokers()))
	case scenarios.TargetCoordinatorOf:
		if len(d.s.Workload.Consumers) == 0 {
			return scenarios.Target{Kind: scenarios.TargetOne}
		}
		t.Group = d.s.Workload.Consumers[d.number("group", 0, len(d.s.Workload.Consumers)-1)].Group
	case scenarios.TargetMinority:
		if d.brokers() < 3 { // no minority of one or two
			t.Kind = scenarios.TargetOne
		}
	}
	return t
}

// zones lists the zones in which there is somebody: nothing can be done to others.
func (d *drawer) zones() []string {
	return slices.DeleteFunc(slices.Clone(d.s.Cluster.Zones), func(zone string) bool { return !d.s.Inhabited(zone) })
}

// sets draws two sets of zones, or of nodes, that have nothing in common.
func (d *drawer) sets() [][]string {
	names := d.zones()
	if len(names) < 2 || d.flip("sets of nodes") {
		names = d.nodes() // at least a broker and a controller
	}
	out := [][]string{{names[0]}, {names[1]}}
	for _, name := range names[2:] {
		if side := d.number("side", 0, 2); side < 2 {
			out[side] = append(out[side], name)
		}
	}
	return out
}

func (d *drawer) partition(e *scenarios.Event) {
	e.Direction = pick(d, "direction", "both", "to", "from")
	points := len(d.s.Cluster.Zones)
	if points == 1 {
		points = d.brokers()
	}
	switch shape := pick(d, "shape", "", "isolate", "halves", "majority", "bridge", "majorities-ring"); {
	case shape == "isolate":
		e.Shape, e.Target = shape, d.target()
	case shape == "halves" && points >= 2, shape != "" && points >= 3:
		e.Shape, e.Direction = shape, "both"
	default:
		e.Between = d.sets()
	}
}

func (d *drawer) link(e *scenarios.Event) {
	if zones := d.zones(); len(zones) > 1 && d.flip("between zones") {
		first := d.number("first zone", 0, len(zones)-2)
		e.Zones = []string{zones[first], zones[d.number("second zone", first+1, len(zones)-1)]}
	} else {
		e.Between = d.sets()
	}
	e.Latency, e.Jitter = d.millis("latency", 1, 500), d.millis("jitter", 0, 500)
	e.Loss = scenarios.PPM(d.number("loss", 0, 20)) * 10_000
	e.Corrupt = scenarios.PPM(d.number("corrupt", 0, 5)) * 10_000
	e.Duplicate = scenarios.PPM(d.number("duplicate", 0, 5)) * 10_000
	e.Reorder = scenarios.PPM(d.number("reorder", 0, 5)) * 10_000
	e.Bandwidth = pick[scenarios.Bandwidth](d, "link bandwidth", 0, 1e6, 100e3)
}

// disk damages data only on brokers: a quorum that has lost its own log has lost
// the cluster, about which no configuration claims anything.
func (d *drawer) disk(e *scenarios.Event) {
	e.Target = d.target()
	switch pick(d, "disk", "latency", "full", "error", "bitflip", "truncate") {
	case "latency":
		e.Latency = d.millis("disk latency", 1, 2000)
	case "full":
		e.Full = true
	case "error":
		e.Error = scenarios.PPM(d.number("disk error", 1, 100)) * 10_000
	case "bitflip":
		e.Target, e.BitFlip, e.For, d.calm = d.written(), int64(d.number("bits", 1, 3)), 0, false
	case "truncate":
		e.Target, e.Truncate, e.For, d.calm = d.written(), scenarios.Size(d.number("bytes", 1, 4096)), 0, false
	}
}

// takesDown books the nodes that an event names and takes down or restarts; false
// if one of them is down then already, which the loader refuses.
func (d *drawer) takesDown(e *scenarios.Event) bool {
	if e.Operator != "restart" && !slices.Contains([]string{"zone_outage", "kill", "pause", "power_loss"}, e.Fault) {
		return true
	}
	names := e.Target.Nodes
	if e.Target.Kind == scenarios.TargetZone {
		names = nil
		for _, node := range d.s.Cluster.Nodes() {
			if node.Zone == e.Target.Zone {
				names = append(names, node.Name)
			}
		}
	}
	end := e.End()
	switch {
	case e.Operator == "restart":
		end += time.Millisecond // it takes the node as it is, and must not find it down
	case e.For == 0:
		end = d.s.Duration
	}
	for _, s := range d.down {
		if slices.Contains(names, s.node) && s.from < end && e.At < s.to {
			return false
		}
	}
	for _, name := range names {
		d.down = append(d.down, span{name, e.At, end})
	}
	return true
}
