package scenarios

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Event is one line of the timeline: a fault or an operator's action. Which
// options a verb takes is in the table verbs.
type Event struct {
	At       time.Duration `key:"at" need:"yes" min:"0s" max:"720h" doc:"When it begins."`
	For      time.Duration `key:"for" default:"0s" min:"0s" max:"720h" doc:"How long it lasts; needed by every fault that must heal."`
	Fault    string        `key:"fault" enum:"@fault" doc:"The fault, one of the verbs below."`
	Operator string        `key:"operator" enum:"@operator" doc:"The operator's action, one of the verbs below."`
	Target   Target        `key:"target" doc:"Whom it hits; see targets below."`

	Mode         string        `key:"mode" default:"power_loss" enum:"power_loss|network|kill" doc:"zone_outage: power_loss drops unsynced data, network cuts the zone off, kill stops its processes."`
	RestartAfter time.Duration `key:"restart_after" default:"0s" min:"0s" max:"720h" doc:"kill, power_loss: start the node again after this long; 'for' says the same."`

	Between   [][]string `key:"between" doc:"partition, link: two sets of zones or nodes, for example [[a], [b, c]]."`
	Shape     string     `key:"shape" enum:"halves|majority|bridge|majorities-ring|isolate" doc:"partition: a shape over zones (over brokers when there is one zone), drawn from the seed, instead of 'between'. isolate cuts the target off."`
	Direction string     `key:"direction" default:"both" enum:"both|to|from" doc:"partition, with between or isolate: both ways, only packets to the first set (or the target), or only packets from it."`

	Zones     []string      `key:"zones" repeats:"yes" doc:"link: the two zones whose link gets worse, instead of 'between'. add_brokers: the zone of each new broker."`
	Latency   time.Duration `key:"latency" default:"0s" min:"0s" max:"1m" doc:"link: added delay. disk: added to every operation."`
	Jitter    time.Duration `key:"jitter" default:"0s" min:"0s" max:"1m" doc:"link: added to the delay, uniformly from zero to this."`
	Loss      PPM           `key:"loss" default:"0%" doc:"link: share of packets lost; TCP shows it as delay and resets."`
	Duplicate PPM           `key:"duplicate" default:"0%" doc:"link: share of packets sent twice."`
	Reorder   PPM           `key:"reorder" default:"0%" doc:"link: share of packets overtaken by packets of other connections."`
	Corrupt   PPM           `key:"corrupt" default:"0%" doc:"link: share of packets damaged on the way; TCP's checksum finds them, so that they count as lost."`
	Bandwidth Bandwidth     `key:"bandwidth" default:"0bit" doc:"link: capacity while the fault lasts, for each direction, shared by all that it covers; 0bit leaves it as it is."`

	API  string `key:"api" doc:"hold_rpc: the Kafka request that is held back, for example Fetch."`
	From Target `key:"from" doc:"hold_rpc: the node that sends it."`
	To   Target `key:"to" doc:"hold_rpc: the node that it is meant for. move_leader: the node that shall lead. reassign: the brokers that shall hold the partition, the preferred leader first."`

	Full     bool  `key:"full" default:"false" doc:"disk: writes fail with ENOSPC."`
	Error    PPM   `key:"error" default:"0%" doc:"disk: share of operations that fail with EIO."`
	BitFlip  int64 `key:"bitflip" default:"0" min:"0" max:"1000" doc:"disk: bits to flip in segments that are on disk, each in one drawn from the seed."`
	Truncate Size  `key:"truncate" default:"0B" max:"1GiB" doc:"disk: bytes to cut off the newest segment of one partition, drawn from the seed."`
	Lose     bool  `key:"lose" default:"false" doc:"disk: the disk comes back empty; an earlier event must have taken the node down."`

	Bump   time.Duration `key:"bump" default:"0s" min:"-720h" max:"720h" doc:"clock: set the wall clock forward or, negative, back, for good."`
	Strobe time.Duration `key:"strobe" default:"0s" min:"0s" max:"720h" doc:"clock: let the wall clock jump to and fro by this much while the fault lasts."`
	Period time.Duration `key:"period" default:"1s" min:"1ms" max:"1h" doc:"clock: how often it jumps."`

	Fail     bool `key:"fail" default:"false" doc:"dns: lookups by the target get no answer; each fails after two questions of 5 s. Connections that stand go on."`
	ChangeIP bool `key:"change_ip" default:"false" doc:"dns: the target gets another address. What is connected to the old one hears nothing any more; who asks for the name gets the new one."`

	CPU PPM `key:"cpu" min:"1%" max:"99.9%" doc:"stress: share of the target's processor that others take; with half of it gone everything takes twice as long."`

	Gap       time.Duration `key:"gap" default:"0s" min:"0s" max:"1h" doc:"rolling_restart: wait before the next node, after all replicas are in sync again."`
	Partition string        `key:"partition" doc:"move_leader, reassign: topic/partition."`

	Age time.Duration `key:"age" min:"1s" max:"720h" doc:"restore_backup: how old the copy is."`

	Topic      string `key:"topic" doc:"add_partitions: the topic."`
	Partitions int64  `key:"partitions" min:"1" max:"10000" doc:"add_partitions: how many partitions the topic has from then on; more than it had. admin_storm: how many each topic has."`

	Rate  Rate  `key:"rate" doc:"admin_storm: requests, each of which creates or deletes one topic."`
	Names int64 `key:"names" default:"20" min:"1" max:"1000" doc:"admin_storm: how many topics there may be at a time."`

	Line int // of the file, for reports
}

// End is when the event's effect is withdrawn; At for one that has no end.
func (e *Event) End() time.Duration { return e.At + max(e.For, e.RestartAfter) }

// ReplacesDisk tells whether the event puts another disk in the place of what was
// written: an empty one, or an old copy.
func (e *Event) ReplacesDisk() bool { return e.Lose || e.Operator == "restore_backup" }

// HitsClients tells whether a fault is one of the network's, which hits the clients
// of a zone too.
func (e *Event) HitsClients() bool {
	switch e.Fault {
	case "partition", "link", "reset_connections", "hold_rpc", "dns":
		return true
	case "zone_outage":
		return e.Mode == "network"
	}
	return false
}

// Lasts tells whether the event is in force for a time, and not over as it begins.
func (e *Event) Lasts() bool {
	switch {
	case e.End() > e.At, e.Fault == "kill", e.Fault == "power_loss":
		return true
	}
	return e.Operator != "" && e.Operator != "restore_backup"
}

// LostPackets is the share of a link's packets that do not arrive: those that are
// lost, and those that TCP's checksum drops.
func (e *Event) LostPackets() PPM { return min(e.Loss+e.Corrupt, 1_000_000) }

// APIKey is the key of the request that hold_rpc names.
func (e *Event) APIKey() int16 {
	for key := range int16(kmsg.MaxKey + 1) {
		if kmsg.NameForKey(key) == e.API {
			return key
		}
	}
	panic("scenarios: the loader let the unknown request " + e.API + " pass")
}

// TargetKind says how a target is to be resolved.
type TargetKind uint8

// The kinds of target. Those after TargetClients are resolved when the event
// begins, from the cluster's state or the seed.
const (
	TargetNone TargetKind = iota
	TargetZone
	TargetNodes
	TargetClients
	TargetLeaderOf
	TargetFollowerOf
	TargetCoordinatorOf
	TargetActiveController
	TargetRandom   // Count nodes, drawn from the seed
	TargetOne      // one random broker
	TargetMinority // a random minority of the brokers
	TargetMajority // a random majority of the brokers
	TargetPrimaries
	TargetAll
	TargetBrokers     // every broker
	TargetControllers // every controller
)

// Target is whom an event hits.
type Target struct {
	Kind      TargetKind
	Zone      string   // TargetZone
	Nodes     []string // TargetNodes
	Clients   []string // TargetClients: of the workload, all of a name or one
	Topic     string   // TargetLeaderOf, TargetFollowerOf
	Partition int32    // TargetLeaderOf, TargetFollowerOf
	Group     string   // TargetCoordinatorOf
	Count     int64    // TargetRandom
	Text      string   // as written, for reports
}
