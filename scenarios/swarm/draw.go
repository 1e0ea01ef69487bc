package swarm

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"pgregory.net/rapid"
)

// Bounds of what is drawn: large enough that every mechanism has a part in it,
// small enough that a run takes a fraction of a second.
const (
	zonesMax      = 5
	brokersMax    = 9
	partitionsMax = 8
	topicsMax     = 2
	durationMin   = 20 // seconds
	durationMax   = 90
	eventsMax     = 8
	clientsMax    = 3 // of one group of clients
	// quiet is the end of every scenario in which no fault begins or ends.
	quiet = 2 * time.Second
	// settle is the time after the duration in which everything must come to
	// rest; recoverWithin, counted from the last heal, is the generous limit for
	// it. A replica that lags may need the whole of replica.lag.time.max.ms, a
	// member that vanished a session, a broker that halted its restart.
	settle        = 75 * time.Second
	recoverWithin = 70 * time.Second
)

// blank is one of everything with the loader's defaults filled in, so that what
// is drawn changes defaults and never leaves a field without one.
const blank = `
name: swarm
duration: 20s
cluster:
  zones: [a]
  controllers: { count: 1 }
  brokers: { count: 3 }
topics:
  t: { partitions: 1, replication.factor: 1 }
workload:
  producers: [{ name: p, topic: t, executor: constant-arrival-rate, rate: 50/s }]
  consumers: [{ name: c, group: g, topic: t, config: { session.timeout.ms: 10000 } }]
timeline: [{ at: 1s, fault: reset_connections, target: all }]
`

// drawer is one scenario in the making.
type drawer struct {
	t     *rapid.T
	s     *scenarios.Scenario
	blank *scenarios.Scenario
	// calm holds while the timeline leaves every node up and undamaged at the end,
	// so that the cluster owes its users a full recovery.
	calm bool
	down []span
}

// span is when a node is down on the scenario's own order.
type span struct {
	node     string
	from, to time.Duration
}

// Draw returns a scenario that the loader accepts, exactly as it would be read
// back from its file. Rapid shrinks it towards one zone, one broker, one client
// of each kind, the lowest rate and no fault.
func Draw(t *rapid.T) *scenarios.Scenario {
	template, err := scenarios.Load([]byte(blank), "blank.yaml")
	if err != nil {
		panic(err) // the constant above
	}
	s := *template
	s.Topics, s.Timeline = nil, nil
	s.Workload = scenarios.Workload{}
	d := &drawer{t: t, s: &s, blank: template, calm: true}
	s.Description = "A random cluster under random load and random faults."
	s.Seed = scenarios.Seed(rapid.Uint32().Draw(t, "seed"))
	s.Duration = d.seconds("duration", durationMin, durationMax)
	s.Settle = settle
	d.cluster()
	d.topics()
	d.workload()
	d.timeline()
	d.expect()
	return Reload(t, &s)
}

// TB is what Reload needs of a test.
type TB interface {
	Fatalf(format string, args ...any)
}

// Reload writes a scenario, loads it, and holds Marshal and Load to each other:
// the file must be accepted, and written again it must be the same.
func Reload(t TB, s *scenarios.Scenario) *scenarios.Scenario {
	text := scenarios.Marshal(s)
	loaded, err := scenarios.Load(text, FileName)
	if err != nil {
		t.Fatalf("the loader refuses what was drawn: %v\n%s", err, text)
		return nil
	}
	again, err := scenarios.Load(scenarios.Marshal(loaded), FileName)
	if err != nil {
		t.Fatalf("the loader refuses what it had loaded: %v\n%s", err, text)
		return nil
	}
	if diff := cmp.Diff(loaded, again); diff != "" {
		t.Fatalf("Marshal and Load disagree (-loaded +again):\n%s\n%s", diff, text)
	}
	if second := scenarios.Marshal(loaded); !bytes.Equal(text, second) {
		t.Fatalf("Marshal and Load disagree (-written +again):\n%s", cmp.Diff(string(text), string(second)))
	}
	return loaded
}

// FileName is the name that drawn scenarios bear until they are written.
const FileName = "swarm.yaml"

func (d *drawer) number(what string, low, high int) int {
	return rapid.IntRange(low, high).Draw(d.t, what)
}

func (d *drawer) seconds(what string, low, high int) time.Duration {
	return time.Duration(d.number(what, low, high)) * time.Second
}

func (d *drawer) millis(what string, low, high int) time.Duration {
	return time.Duration(d.number(what, low, high)) * time.Millisecond
}

func (d *drawer) flip(what string) bool { return rapid.Bool().Draw(d.t, what) }

// often is true in all but one of n cases.
func (d *drawer) often(what string, n int) bool { return d.number(what, 0, n-1) != n-1 }

func pick[T any](d *drawer, what string, from ...T) T {
	return rapid.SampledFrom(from).Draw(d.t, what)
}

// property adds a Kafka property in half of the cases; the first value is the
// one that shrinking prefers.
func property(d *drawer, to *[]scenarios.KV, name string, values ...string) {
	if value := pick(d, name, append([]string{""}, values...)...); value != "" {
		set(to, name, value)
	}
}

func set(to *[]scenarios.KV, name, value string) {
	*to = append(*to, scenarios.KV{Name: name, Value: value})
}

func (d *drawer) cluster() {
	c := &d.s.Cluster
	c.Zones = slices.Clone([]string{"a", "b", "c", "d", "e"}[:d.number("zones", 1, zonesMax)])
	zones := len(c.Zones)
	c.Brokers = scenarios.Brokers{}
	if most := brokersMax / zones; d.flip("brokers per zone") {
		c.Brokers.PerZone = int64(d.number("per zone", 1, most))
	} else if d.flip("cramped brokers") { // zones with more of them, or with none
		for range d.number("broker nodes", 1, brokersMax) {
			c.Brokers.Nodes = append(c.Brokers.Nodes, pick(d, "broker zone", c.Zones...))
		}
	} else {
		c.Brokers.Count = int64(d.number("brokers", 1, brokersMax))
	}
	c.Controllers = scenarios.Controllers{Count: pick[int64](d, "controllers", 1, 3, 5)}
	if d.flip("cramped controllers") { // the quorum may die with a zone
		c.Controllers = scenarios.Controllers{}
		for range pick(d, "controller nodes", 1, 3, 5) {
			c.Controllers.Nodes = append(c.Controllers.Nodes, pick(d, "controller zone", c.Zones...))
		}
	}
	d.brokerConfig()
	links := &c.Network
	links.SameZone.Latency, links.SameZone.Jitter = 300*time.Microsecond, d.millis("same zone jitter", 0, 2)
	links.CrossZone.Latency, links.CrossZone.Jitter = d.millis("cross zone latency", 1, 30), d.millis("cross zone jitter", 0, 20)
	links.CrossZone.Bandwidth = pick[scenarios.Bandwidth](d, "bandwidth", 0, 1e9, 20e6)
	if !d.often("lognormal delays", 4) {
		links.CrossZone.Jitter, links.CrossZone.P99 = 0, links.CrossZone.Latency+d.millis("p99 above the median", 1, 200)
	}
	if zones > 1 && !d.often("far zone", 5) {
		far := []string{d.livingZone(), d.livingZone()}
		links.Links = []scenarios.ZoneLink{{Between: far, Link: scenarios.Link{Latency: d.millis("far latency", 20, 80)}}}
	}
	links.Interface = pick[scenarios.Bandwidth](d, "interface", 0, 100e6)
	disks := &c.Disks
	disks.WriteLatency = pick(d, "write latency", 100*time.Microsecond, time.Millisecond, 0)
	disks.SyncLatency = pick(d, "sync latency", 500*time.Microsecond, 10*time.Millisecond, 0)
	disks.Flush = pick(d, "flush", scenarios.Flush{}, scenarios.Flush{Mode: scenarios.FlushBeforeAck},
		scenarios.Flush{Mode: scenarios.FlushEvery, Every: 1}, scenarios.Flush{Mode: scenarios.FlushEvery, Every: 20})
}

func (d *drawer) brokerConfig() {
	kv := &d.s.Cluster.Brokers.Config
	set(kv, "offsets.topic.replication.factor", strconv.Itoa(min(3, d.brokers())))
	set(kv, "offsets.topic.num.partitions", pick(d, "offsets partitions", "1", "3"))
	set(kv, "log.initial.task.delay.ms", "1000")
	set(kv, "log.retention.check.interval.ms", "5000")
	property(d, kv, "broker.session.timeout.ms", "6000", "18000")
	property(d, kv, "replica.lag.time.max.ms", "4000", "10000")
	property(d, kv, "group.initial.rebalance.delay.ms", "0", "1000")
	property(d, kv, "leader.imbalance.check.interval.seconds", "5", "20")
	property(d, kv, "replica.fetch.max.bytes", "262144")
	property(d, kv, "replica.high.watermark.checkpoint.interval.ms", "1000")
	property(d, kv, "metadata.log.max.record.bytes.between.snapshots", "2048")
	property(d, kv, "controlled.shutdown.enable", "false")
	property(d, kv, "replica.selector.class", "org.apache.kafka.common.replica.RackAwareReplicaSelector")
	property(d, kv, "max.incremental.fetch.session.cache.slots", "2", "0")
	property(d, kv, "connections.max.idle.ms", "5000")
	set(kv, "log.cleaner.backoff.ms", "300")
	d.brokerTimes(kv)
	// Both are looked for by the minute or day with Kafka's defaults.
	if !d.often("offsets expire", 4) {
		set(kv, "offsets.retention.minutes", "1")
		set(kv, "offsets.retention.check.interval.ms", "5000")
	}
	if !d.often("producers expire", 6) {
		set(kv, "producer.id.expiration.ms", "20000")
		set(kv, "producer.id.expiration.check.interval.ms", "3000")
	}
}

// brokerTimes are intervals and waits inside the cluster.
func (d *drawer) brokerTimes(kv *[]scenarios.KV) {
	property(d, kv, "controller.quorum.election.timeout.ms", "300", "3000")
	property(d, kv, "controller.quorum.fetch.timeout.ms", "1000", "5000")
	property(d, kv, "broker.heartbeat.interval.ms", "500")
	// Followers that wait for bytes hold up every commit: no longer than the load takes.
	if d.often("followers wait for bytes", 3) {
		property(d, kv, "replica.fetch.wait.max.ms", "50", "2000")
	} else {
		set(kv, "replica.fetch.wait.max.ms", "50")
		set(kv, "replica.fetch.min.bytes", "2000")
	}
	property(d, kv, "replica.fetch.response.max.bytes", "30000")
	property(d, kv, "replica.fetch.backoff.ms", "100")
	property(d, kv, "replica.socket.timeout.ms", "4000")
	property(d, kv, "log.flush.offset.checkpoint.interval.ms", "1000")
	property(d, kv, "log.flush.start.offset.checkpoint.interval.ms", "1000")
	property(d, kv, "unclean.leader.election.interval.ms", "5000")
}

func (d *drawer) brokers() int {
	b := &d.s.Cluster.Brokers
	return int(b.Count) + len(b.Nodes) + int(b.PerZone)*len(d.s.Cluster.Zones)
}

func (d *drawer) topics() {
	brokers := d.brokers()
	for i := range d.number("topics", 1, topicsMax) {
		topic := d.blank.Topics[0]
		topic.Name = fmt.Sprintf("t%d", i+1)
		topic.Partitions = int64(d.number("partitions", 1, partitionsMax))
		topic.ReplicationFactor = int64(d.number("replication factor", 1, min(5, brokers)))
		topic.Config = nil
		set(&topic.Config, "min.insync.replicas", strconv.Itoa(d.number("min.insync.replicas", 1, int(topic.ReplicationFactor))))
		property(d, &topic.Config, "unclean.leader.election.enable", "false", "true")
		property(d, &topic.Config, "segment.ms", "2000", "10000")
		property(d, &topic.Config, "segment.jitter.ms", "1500")
		property(d, &topic.Config, "index.interval.bytes", "64", "1024")
		// 4 and 33 entries: then a segment is full. With the shortest ones a slow disk
		// does nothing but sync, and its broker is out of sync for minutes.
		if d.s.Cluster.Disks.SyncLatency < 10*time.Millisecond {
			property(d, &topic.Config, "segment.index.bytes", "48", "400")
		} else {
			property(d, &topic.Config, "segment.index.bytes", "400")
		}
		if !d.often("retention", 4) {
			set(&topic.Config, "retention.ms", pick(d, "retention.ms", "30000", "8000"))
			set(&topic.Config, "file.delete.delay.ms", pick(d, "file.delete.delay.ms", "1000", "0"))
			property(d, &topic.Config, "retention.bytes", "20000")
		}
		if !d.often("compaction", 3) {
			d.compaction(&topic.Config)
		}
		if d.s.Cluster.Disks.Flush.Mode == scenarios.FlushOS {
			property(d, &topic.Config, "flush.messages", "50")
			property(d, &topic.Config, "flush.ms", "500")
		}
		property(d, &topic.Config, "compression.type", "producer", "lz4", "zstd")
		property(d, &topic.Config, "message.timestamp.type", "LogAppendTime")
		property(d, &topic.Config, "preallocate", "true")
		property(d, &topic.Config, "segment.bytes", "1048576", "4194304")
		property(d, &topic.Config, "max.message.bytes", "20000")
		d.s.Topics = append(d.s.Topics, topic)
	}
}

// compaction makes a topic compacted, with cleaners that have something to do in
// the time of a run.
func (d *drawer) compaction(kv *[]scenarios.KV) {
	set(kv, "cleanup.policy", pick(d, "cleanup.policy", "compact", "compact,delete"))
	set(kv, "min.cleanable.dirty.ratio", pick(d, "min.cleanable.dirty.ratio", "0.01", "0.5"))
	if !slices.ContainsFunc(*kv, func(kv scenarios.KV) bool { return kv.Name == "segment.ms" }) {
		set(kv, "segment.ms", pick(d, "compacted segment.ms", "1000", "4000"))
	}
	set(kv, "delete.retention.ms", pick(d, "delete.retention.ms", "600000", "40000", "1000"))
	property(d, kv, "min.compaction.lag.ms", "5000", "200")
	property(d, kv, "max.compaction.lag.ms", "6000")
}

// expect asks for what the configuration allows; the loss that it permits must
// be the predicted one. A full recovery is asked for only when the cluster has
// everything that it needs.
func (d *drawer) expect() {
	x := &d.s.Expect
	*x = d.blank.Expect
	x.Loss = "predicted"
	x.Minimums = scenarios.Minimums{}
	d.s.Checks.Porcupine = pick[scenarios.PPM](d, "porcupine", 100_000, 1_000_000)
	for i := range d.s.Timeline {
		if d.s.Timeline[i].Fault != "" {
			x.Minimums.Faults++
		}
	}
	if !d.calm || len(d.s.Timeline) == 0 {
		return
	}
	for _, name := range []string{"online_partitions", "in_sync_replicas"} {
		x.AfterHeal = append(x.AfterHeal, scenarios.Recovery{Name: name, Reach: 1_000_000, ReachText: "100%", Within: recoverWithin})
	}
	if d.allStay() && !d.mayOverlook() {
		x.AfterHeal = append(x.AfterHeal, scenarios.Recovery{Name: "stable_groups", Reach: 1_000_000, ReachText: "100%", Within: recoverWithin})
		x.Safety = append(x.Safety, "all_read")
	}
}

// mayOverlook tells whether partitions may stay without an owner, by the Java
// client's own rules: a static member that comes back as its group's leader keeps
// the assignment that the coordinator has (KIP-814) and takes the metadata of that
// moment for dealt, with the partitions that were added while it was away.
func (d *drawer) mayOverlook() bool {
	return d.s.Grows() && slices.ContainsFunc(d.s.Workload.Consumers, func(c scenarios.Consumer) bool { return c.InstanceIDs })
}

// allStay tells whether consumers read what is written, and all of them read everything
// from the first record on and stay to the end.
func (d *drawer) allStay() bool {
	for i := range d.s.Workload.Consumers {
		c := &d.s.Workload.Consumers[i]
		if c.StopAt != 0 || !slices.Contains(c.Config, scenarios.KV{Name: "auto.offset.reset", Value: "earliest"}) {
			return false
		}
	}
	for i := range d.s.Topics {
		if slices.ContainsFunc(d.s.Topics[i].Config, func(kv scenarios.KV) bool { return kv.Name == "retention.ms" }) {
			return false
		}
	}
	return d.s.ReadsWhatIsWritten()
}
