package scenarios

import (
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
)

// need says whether a key must, may or must not be given.
type need uint8

const (
	never need = iota
	optional
	required
)

// verb is one row of the table of what may stand in a timeline.
type verb struct {
	name     string
	operator bool
	lasts    need     // the key for
	target   need     // the key target
	kinds    []string // groups of targets: "zone", "nodes"
	options  []string // further keys that it takes
	needs    []string // of those, the ones that must be given
	oneOf    []string // of those, at least one must be given
	doc      string
}

var verbs = []verb{
	{name: "zone_outage", lasts: required, target: required, kinds: []string{"zone"}, options: []string{"mode"},
		doc: "A zone fails and comes back."},
	{name: "kill", lasts: optional, target: required, kinds: []string{"zone", "nodes"}, options: []string{"restart_after"},
		doc: "Processes end at once; what they wrote survives in the page cache. Without 'for' or 'restart_after' they stay down."},
	{name: "pause", lasts: required, target: required, kinds: []string{"zone", "nodes", "clients"},
		doc: "Processes stand still, as under SIGSTOP or a long garbage collection, and go on."},
	{name: "power_loss", lasts: optional, target: required, kinds: []string{"zone", "nodes"}, options: []string{"restart_after"},
		doc: "Machines lose power; unsynced data is gone. Without 'for' or 'restart_after' they stay down."},
	{name: "partition", lasts: required, target: optional, kinds: []string{"zone", "nodes", "clients"}, options: []string{"between", "shape", "direction"},
		oneOf: []string{"between", "shape"}, doc: "Packets between two sets are dropped."},
	{name: "link", lasts: required, target: never, options: []string{"between", "zones", "latency", "jitter", "loss", "corrupt", "duplicate", "reorder", "bandwidth"},
		oneOf: []string{"latency", "jitter", "loss", "corrupt", "duplicate", "reorder", "bandwidth"}, doc: "Links get worse."},
	{name: "reset_connections", lasts: never, target: required, kinds: []string{"zone", "nodes", "clients"},
		doc: "Every connection of the target is reset once."},
	{name: "hold_rpc", lasts: required, target: never, options: []string{"api", "from", "to"}, needs: []string{"api", "from", "to"},
		doc: "Requests of one kind from one node to another are held back and delivered at the end."},
	{name: "disk", lasts: optional, target: required, kinds: []string{"zone", "nodes"}, options: []string{"latency", "full", "error", "bitflip", "truncate", "lose"},
		oneOf: []string{"latency", "full", "error", "bitflip", "truncate", "lose"}, doc: "Disks are slow, full or faulty for a while, or damaged once."},
	{name: "clock", lasts: optional, target: required, kinds: []string{"zone", "nodes"}, options: []string{"bump", "strobe", "period"},
		oneOf: []string{"bump", "strobe"}, doc: "The wall clock jumps; monotonic time does not."},
	{name: "dns", lasts: optional, target: required, kinds: []string{"zone", "nodes", "clients"}, options: []string{"fail", "change_ip"},
		oneOf: []string{"fail", "change_ip"}, doc: "Names cannot be looked up, or a name stands for another address."},
	{name: "stress", lasts: required, target: required, kinds: []string{"zone", "nodes"}, options: []string{"cpu"}, needs: []string{"cpu"},
		doc: "Something else uses the machines: their nodes are slower."},

	{name: "rolling_restart", operator: true, lasts: never, target: optional, kinds: []string{"zone", "nodes"}, options: []string{"gap"},
		doc: "Nodes are stopped in order and started again one by one, each after all replicas are in sync; every broker unless a target says otherwise."},
	{name: "restart", operator: true, lasts: never, target: required, kinds: []string{"zone", "nodes"},
		doc: "Nodes are stopped in the controlled way (SIGTERM) and started again at once, all together and whatever state they are in, as an orchestrator does that does not look. It lasts until all of them serve again."},
	{name: "move_leader", operator: true, lasts: never, target: never, options: []string{"partition", "to"}, needs: []string{"partition", "to"},
		doc: "A partition's leadership is moved to one of its replicas, by a reassignment to another order and a preferred election."},
	{name: "reassign", operator: true, lasts: never, target: never, options: []string{"partition", "to"}, needs: []string{"partition"},
		doc: "A partition moves to other replicas, 'to' in their order; without 'to', a reassignment in progress is cancelled. It lasts until the whole target is in sync."},
	{name: "add_brokers", operator: true, lasts: never, target: never, options: []string{"zones"}, needs: []string{"zones"},
		doc: "A broker with an empty disk joins in each of the zones. It holds nothing until a reassignment or a new topic gives it replicas. It lasts until all of them serve."},
	{name: "decommission", operator: true, lasts: never, target: required, kinds: []string{"nodes"},
		doc: "A broker gives all its replicas to others, of its own zone where there is one, is shut down and unregistered. It lasts until it is gone."},
	{name: "restore_backup", operator: true, lasts: never, target: required, kinds: []string{"zone", "nodes"}, options: []string{"age"}, needs: []string{"age"},
		doc: "The disk of a node that is down is replaced by the copy of it that was taken 'age' before. An earlier event must have taken the node down."},
	{name: "add_partitions", operator: true, lasts: never, target: never, options: []string{"topic", "partitions"}, needs: []string{"topic", "partitions"},
		doc: "A topic gets more partitions, as kafka-topics --alter --partitions does it. Clients learn of them with their next metadata (metadata.max.age.ms), and keys move to other partitions; a static member that returns as its group's leader overlooks what was added while it was away (KIP-814). It lasts until each new partition has a leader."},
	{name: "admin_storm", operator: true, lasts: required, target: never, options: []string{"rate", "partitions", "names"}, needs: []string{"rate", "partitions"},
		doc: "Topics named admin-storm-N-M are created and deleted in turn, each name again and again, with three replicas or as many as there are brokers and a file.delete.delay.ms of 1 s. After 'for' those that are left are deleted. It lasts until none is known to the controllers or lies on a disk."},
}

// laterVerbs are words that the vocabulary reserves.
var laterVerbs = []string{"upgrade"}

// knownSwitches are the museum's switches that a scenario may turn on.
func knownSwitches() []string {
	var names []string
	for _, e := range bugs.Exhibits() {
		names = append(names, e.Name)
	}
	return names
}

func findVerb(name string) (verb, bool) {
	i := slices.IndexFunc(verbs, func(v verb) bool { return v.name == name })
	if i < 0 {
		return verb{}, false
	}
	return verbs[i], true
}

// vocabulary resolves an enum tag: words, or the name of a table.
func vocabulary(tag string) []string {
	var out []string
	switch tag {
	case "@fault", "@operator":
		for _, v := range verbs {
			if v.operator == (tag == "@operator") {
				out = append(out, v.name)
			}
		}
	case "@safety":
		for _, claim := range safetyClaims {
			out = append(out, claim.name)
		}
	default:
		out = strings.Split(tag, "|")
	}
	return out
}

// targetForms documents every way to write a target; the loader's own list of
// words is taken from it.
var targetForms = []struct {
	key     string // of a mapping; empty for a bare word
	word    string
	kind    TargetKind
	written string
	doc     string
}{
	{"zone", "", TargetZone, "{ zone: b }", "Every node of a zone."},
	{"node", "", TargetNodes, "{ node: broker-1 }", "One node."},
	{"nodes", "", TargetNodes, "{ nodes: [broker-1, broker-4] }", "Several."},
	{"clients", "", TargetClients, "{ clients: [billing, checkout-2] }", "Clients of the workload: all of a name, or one of them. pause, partition, reset_connections and hold_rpc (from) take them."},
	{"leader_of", "", TargetLeaderOf, "{ leader_of: orders/3 }", "The broker that leads the partition when the event begins."},
	{"follower_of", "", TargetFollowerOf, "{ follower_of: orders/3 }", "Its first in-sync follower."},
	{"coordinator_of", "", TargetCoordinatorOf, "{ coordinator_of: billing }", "The group's coordinator."},
	{"random", "", TargetRandom, "{ random: 2 }", "So many brokers, drawn from the seed."},
	{"", "active_controller", TargetActiveController, "active_controller", "The controller that leads the quorum."},
	{"", "one", TargetOne, "one", "A broker, drawn from the seed."},
	{"", "minority", TargetMinority, "minority", "The largest minority of the brokers, drawn from the seed."},
	{"", "majority", TargetMajority, "majority", "The smallest majority of the brokers, drawn from the seed."},
	{"", "primaries", TargetPrimaries, "primaries", "Every broker that leads a partition."},
	{"", "all", TargetAll, "all", "Every node."},
	{"", "brokers", TargetBrokers, "brokers", "Every broker."},
	{"", "controllers", TargetControllers, "controllers", "Every controller."},
}

func targetWords() (keys, words []string) {
	for _, form := range targetForms {
		if form.key != "" {
			keys = append(keys, form.key)
		} else {
			words = append(words, form.word)
		}
	}
	return append(keys, "role"), words
}
