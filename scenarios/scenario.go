// Package scenarios owns the scenario file: its vocabulary, its strict loader,
// the files that are shipped, and the reference and JSON Schema generated from
// the struct tags below. The tags are the only place where a key is described.
//
// The loader never fills a gap by guessing: what it does not understand is one
// error with file, line, column, the offending text and the nearest valid word.
package scenarios

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// Scenario is one loaded and checked file. Everything in it is explicit:
// defaults have been filled in and Kafka properties parsed.
type Scenario struct {
	File string // the name under which it was loaded

	Name        string        `key:"name" need:"yes" doc:"The scenario's name: lower-case letters, digits and dashes."`
	Description string        `key:"description" doc:"One sentence that says what happens."`
	Seed        Seed          `key:"seed" default:"1" doc:"The first seed, decimal or 0x; a run with the same seed is the same run."`
	Runs        int64         `key:"runs" default:"1" min:"1" max:"1000000" doc:"How many seeds to run, counting up from seed."`
	Duration    time.Duration `key:"duration" need:"yes" min:"1s" max:"720h" doc:"Virtual time during which load is offered and faults happen. Load that is counted in records (shared-iterations) ends when they are sent; the duration is then its limit."`
	Settle      time.Duration `key:"settle" default:"0s" min:"0s" max:"24h" doc:"Virtual time after the duration in which everything must come to rest; 0s takes twice the larger of replica lag and group session."`
	KnownBugs   []string      `key:"known_bugs" doc:"Switches of the museum that are turned on; each breaks one rule of the protocol on purpose."`
	Cluster     Cluster       `key:"cluster" need:"yes" doc:"The simulated machines and what connects them."`
	Topics      []Topic       `key:"topics" need:"yes" named:"yes" doc:"The topics, by name."`
	Workload    Workload      `key:"workload" need:"yes" doc:"Who writes and who reads."`
	Timeline    []Event       `key:"timeline" doc:"Faults and operator actions, in any order."`
	Expect      Expect        `key:"expect" doc:"What the run must show to pass."`
	Checks      Checks        `key:"checks" doc:"How much the costly checkers look at."`
}

// Cluster is the simulated hardware.
type Cluster struct {
	Zones       []string    `key:"zones" need:"yes" doc:"Failure domains; each is also the rack of its brokers."`
	Controllers Controllers `key:"controllers" need:"yes" doc:"The metadata quorum. Controllers are nodes of their own, named controller-1 and so on."`
	Brokers     Brokers     `key:"brokers" need:"yes" doc:"The brokers, named broker-1 and so on."`
	Network     Network     `key:"network" doc:"Latency and capacity between nodes."`
	Disks       Disks       `key:"disks" doc:"The disk of each node."`
}

// Controllers says how many controllers there are and where. Exactly one of
// the fields is given.
type Controllers struct {
	PerZone int64    `key:"per_zone" min:"1" max:"9" doc:"Controllers in each zone."`
	Count   int64    `key:"count" min:"1" max:"9" doc:"Controllers in all, dealt to the zones in turn."`
	Nodes   []string `key:"nodes" repeats:"yes" doc:"The zone of each controller, for layouts such as [a, b, c, a, b]."`
}

// Brokers says how many brokers there are. Exactly one of PerZone, Count and Nodes
// is given.
type Brokers struct {
	PerZone  int64         `key:"per_zone" min:"1" max:"100" doc:"Brokers in each zone; zone after zone, so that broker-1 and broker-2 share the first."`
	Count    int64         `key:"count" min:"1" max:"300" doc:"Brokers in all, dealt to the zones in turn."`
	Nodes    []string      `key:"nodes" repeats:"yes" doc:"The zone of each broker, for layouts such as [a, a, b, b] with a third zone for a controller alone."`
	Config   []KV          `key:"config" doc:"Kafka broker properties, by their Kafka names; see config.md. Controllers get them too."`
	Settings config.Broker // Config on top of Kafka's defaults
	Added    []AddedBroker // by the timeline's add_brokers, in the order of the file
}

// AddedBroker is a broker that joins the running cluster.
type AddedBroker struct {
	Zone  string
	Event int // index in the timeline
}

// Network describes the links of a healthy cluster.
type Network struct {
	SameZone  Link       `key:"same_zone" doc:"Between two machines of one zone: nodes, or a client and a node."`
	CrossZone Link       `key:"cross_zone" doc:"Between different zones."`
	Links     []ZoneLink `key:"links" doc:"Between particular zones, instead of cross_zone or same_zone: a region that is far away."`
	Interface Bandwidth  `key:"interface" default:"0bit" doc:"Capacity of each machine's network interface, in and out, for all of its connections together; 0bit is no limit."`
}

// Link is one direction of a connection between two machines.
type Link struct {
	Latency   time.Duration `key:"latency" min:"0s" max:"1m" doc:"One-way delay; with p99, its median."`
	Jitter    time.Duration `key:"jitter" default:"0s" min:"0s" max:"1m" doc:"Added to the delay, uniformly from zero to this."`
	P99       time.Duration `key:"p99" default:"0s" min:"0s" max:"1m" doc:"The delay of one packet in a hundred, instead of jitter: delays are then lognormal, as on a busy network."`
	Measured  []string      `key:"measured" repeats:"yes" doc:"Delays that were measured, instead of latency: each is equally likely, for example [280us, 300us, 310us, 2ms]."`
	Loss      PPM           `key:"loss" default:"0%" doc:"Share of packets lost, always; TCP shows it as delay and resets."`
	Bandwidth Bandwidth     `key:"bandwidth" default:"0bit" doc:"Capacity in each direction, shared by all machines of the two zones; 0bit is no limit."`

	Delays []time.Duration // Measured, parsed
}

// ZoneLink is the link between two zones, in both directions.
type ZoneLink struct {
	Between []string `key:"between" need:"yes" repeats:"yes" doc:"The two zones; one zone twice is the network within it."`
	Link    Link     `key:"link" need:"yes" doc:"What lies between them."`
}

// Disks describes the disk of every node.
type Disks struct {
	WriteLatency time.Duration `key:"write_latency" default:"100us" min:"0s" max:"10s" doc:"Time for a write to reach the page cache."`
	SyncLatency  time.Duration `key:"sync_latency" default:"500us" min:"0s" max:"10s" doc:"Time for fsync."`
	ReadLatency  time.Duration `key:"read_latency" default:"100us" min:"0s" max:"10s" doc:"Time for a read that the page cache does not answer."`
	Bandwidth    Size          `key:"bandwidth" default:"0B" max:"1TiB" doc:"Bytes a second; 0B is no limit."`
	Capacity     Size          `key:"capacity" default:"0B" max:"1PiB" doc:"Size of the disk; 0B is no limit."`
	Flush        Flush         `key:"flush" default:"os" doc:"When logs are synced: os as in Kafka (power loss takes unsynced pages), 'every N' records, or before_ack. It is the default of the topic property flush.messages."`
}

// Topic is a topic that exists before the load starts.
type Topic struct {
	Name              string
	Partitions        int64        `key:"partitions" need:"yes" min:"1" max:"10000" doc:"Number of partitions."`
	ReplicationFactor int64        `key:"replication.factor" need:"yes" min:"1" max:"100" doc:"Copies of each partition, spread over zones."`
	Config            []KV         `key:"config" doc:"Kafka topic properties, by their Kafka names; see config.md."`
	Settings          config.Topic // Config on top of the brokers' defaults
}

// Compacted tells whether cleanup.policy has compact.
func (t *Topic) Compacted() bool { return t.Settings.CleanupPolicy.Has(config.CleanupCompact) }

// Compacts tells whether any topic is compacted.
func (s *Scenario) Compacts() bool {
	return slices.ContainsFunc(s.Topics, func(t Topic) bool { return t.Compacted() })
}

// PartitionsAtEnd is how many partitions a topic has once the timeline's
// add_partitions have been carried out.
func (s *Scenario) PartitionsAtEnd(t *Topic) int64 {
	count := t.Partitions
	for i := range s.Timeline {
		if e := &s.Timeline[i]; e.Operator == "add_partitions" && e.Topic == t.Name {
			count = max(count, e.Partitions)
		}
	}
	return count
}

// Grows tells whether the timeline adds partitions to a topic.
func (s *Scenario) Grows() bool {
	return slices.ContainsFunc(s.Topics, func(t Topic) bool { return s.PartitionsAtEnd(&t) > t.Partitions })
}

// Workload is everything that the clients do.
type Workload struct {
	Producers []Producer `key:"producers" need:"yes" doc:"Groups of identical producers."`
	Consumers []Consumer `key:"consumers" doc:"Groups of identical consumers."`
}

// Producer is a group of identical producers.
type Producer struct {
	Name         string        `key:"name" need:"yes" doc:"Name of the group; clients are called name-1 and so on."`
	Count        int64         `key:"count" default:"1" min:"1" max:"10000" doc:"How many producers."`
	Spread       string        `key:"spread" enum:"zones" doc:"zones deals the clients to the zones in turn, which is the default."`
	Zone         string        `key:"zone" doc:"Puts all of them in one zone instead."`
	Topic        string        `key:"topic" need:"yes" doc:"The topic that they write."`
	Executor     string        `key:"executor" need:"yes" enum:"constant-arrival-rate|ramping-arrival-rate|constant-vus|shared-iterations" doc:"How load is made. The arrival rates are open models: a stall does not lower the offered load."`
	Rate         Rate          `key:"rate" doc:"Records a second by all of them together (constant-arrival-rate; first rate of ramping-arrival-rate)."`
	Stages       []Stage       `key:"stages" doc:"Rates to move to in straight lines (ramping-arrival-rate)."`
	VUs          int64         `key:"vus" min:"1" max:"10000" doc:"Records in flight at a time in each producer (constant-vus)."`
	ThinkTime    time.Duration `key:"think_time" default:"0s" min:"0s" max:"1h" doc:"Pause after an acknowledgement before the next record (constant-vus)."`
	Records      int64         `key:"records" min:"1" max:"1000000000000" doc:"Records in all, sent as fast as the cluster takes them (shared-iterations)."`
	MessageSize  Size          `key:"message_size" default:"1KiB" min:"16B" max:"16MiB" doc:"Bytes of a record's value; the first sixteen identify the record."`
	Keys         Keys          `key:"keys" doc:"How keys are chosen."`
	Tombstones   PPM           `key:"tombstones" default:"0%" doc:"Share of records that have a key and no value: a compacted topic forgets the key. What identifies such a record stands in a header. Needs keys."`
	BatchRecords int64         `key:"batch_records" default:"0" min:"0" max:"100000" doc:"Close every batch at this many records; 0 leaves it to batch.size and linger.ms."`
	StartAt      time.Duration `key:"start_at" default:"0s" min:"0s" max:"720h" doc:"When they start."`
	For          time.Duration `key:"for" default:"0s" min:"0s" max:"720h" doc:"How long they send; 0s is until the duration ends."`
	Config       []KV          `key:"config" doc:"Kafka producer properties, by their Kafka names; see config.md."`
	Settings     clientconfig.Producer
}

// Stage is one leg of a ramp.
type Stage struct {
	Duration time.Duration `key:"duration" need:"yes" min:"1ms" max:"720h" doc:"How long the leg takes."`
	Target   Rate          `key:"target" need:"yes" doc:"The rate at its end."`
}

// Keys says how record keys are chosen.
type Keys struct {
	Distribution string     `key:"distribution" default:"none" enum:"none|uniform|zipf|sequential|hot" doc:"none sends no key; hot gives one key its share and spreads the rest."`
	Cardinality  int64      `key:"cardinality" default:"1000" min:"1" max:"100000000" doc:"Number of different keys."`
	Exponent     Hundredths `key:"exponent" default:"0.99" doc:"How steep zipf is, in steps of 0.01 from 0.01 to 5.00."`
	Share        PPM        `key:"share" default:"50%" doc:"The hot key's share of all records."`
}

// Consumer is a group of identical consumers.
type Consumer struct {
	Name           string        `key:"name" need:"yes" doc:"Name of the clients, which are called name-1 and so on."`
	Group          string        `key:"group" need:"yes" doc:"The consumer group that they join."`
	Count          int64         `key:"count" default:"1" min:"1" max:"10000" doc:"How many consumers."`
	Spread         string        `key:"spread" enum:"zones" doc:"zones deals the clients to the zones in turn, which is the default."`
	Zone           string        `key:"zone" doc:"Puts all of them in one zone instead."`
	Topics         []string      `key:"topic" need:"yes" doc:"The topic that they read, or a list of topics."`
	ProcessingTime time.Duration `key:"processing_time" default:"0s" min:"0s" max:"1h" doc:"Time that the application takes for each record."`
	StartAt        time.Duration `key:"start_at" default:"0s" min:"0s" max:"720h" doc:"When they start."`
	StopAt         time.Duration `key:"stop_at" default:"0s" min:"0s" max:"720h" doc:"When they stop and leave the group; 0s is never."`
	Pauses         []Window      `key:"pauses" doc:"Times in which they are stopped, as an operator stops a deployment: they leave the group (but for static members), and other processes join it when the time is over. At most 100."`
	Stalls         []Window      `key:"stalls" doc:"Times in which their application does not poll, as one that hangs: the client's heartbeats go on until max.poll.interval.ms has passed."`
	InstanceIDs    bool          `key:"instance_ids" default:"false" doc:"Whether each has a group.instance.id of its own (static membership)."`
	Config         []KV          `key:"config" doc:"Kafka consumer properties, by their Kafka names; see config.md."`
	Settings       clientconfig.Consumer
}

// Window is a span of virtual time.
type Window struct {
	At  time.Duration `key:"at" need:"yes" min:"0s" max:"720h" doc:"When it begins."`
	For time.Duration `key:"for" need:"yes" min:"1ms" max:"720h" doc:"How long it lasts."`
}

// Checks tunes the checkers; the streaming checks always see every record.
type Checks struct {
	Porcupine  PPM   `key:"porcupine" default:"10%" doc:"Share of partitions whose whole history porcupine checks as well; at least one partition unless 0%."`
	Window     int64 `key:"window" default:"256" min:"16" max:"4096" doc:"Operations in one porcupine window."`
	SweepEvery int64 `key:"sweep_every" default:"100000" min:"100" max:"1000000000" doc:"Events between two full sweeps of the cluster's invariants."`
}

// KV is one Kafka property as written.
type KV = config.KV
