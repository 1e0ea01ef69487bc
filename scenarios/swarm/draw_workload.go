package swarm

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// tail is the time before the end in which no client starts any more.
const tail = 8 * time.Second

func (d *drawer) workload() {
	for i := range d.number("producers", 1, 3) {
		d.producer(i)
	}
	for i := range d.number("consumers", 0, 3) {
		d.consumer(i)
	}
}

func (d *drawer) topic(what string) string {
	return d.s.Topics[d.number(what, 0, len(d.s.Topics)-1)].Name
}

// zone puts a group of clients in one zone in one of three cases.
func (d *drawer) zone(what string) string {
	if d.often(what+" spread", 3) {
		return ""
	}
	return pick(d, what, d.s.Cluster.Zones...)
}

func (d *drawer) producer(i int) {
	p := d.blank.Workload.Producers[0]
	p.Name = fmt.Sprintf("p%d", i+1)
	p.Count = int64(d.number("producer count", 1, clientsMax))
	p.Zone, p.Topic = d.zone("producer zone"), d.topic("producer topic")
	p.Rate = scenarios.Rate{}
	p.Executor = pick(d, "executor", "constant-arrival-rate", "ramping-arrival-rate", "constant-vus", "shared-iterations")
	switch p.Executor {
	case "constant-arrival-rate":
		p.Rate = d.rate("rate", 50)
	case "ramping-arrival-rate":
		p.Rate = d.rate("first rate", 0)
		left := d.s.Duration
		for range d.number("stages", 1, 3) {
			stage := scenarios.Stage{Duration: d.seconds("stage", 1, int(left/time.Second)/4), Target: d.rate("stage rate", 0)}
			left -= stage.Duration
			p.Stages = append(p.Stages, stage)
		}
		loud := func(stage scenarios.Stage) bool { return stage.Target.Count > 0 }
		if p.Rate.Count == 0 && !slices.ContainsFunc(p.Stages, loud) {
			p.Stages[0].Target.Count = 1 // the loader takes no ramp of nothing
		}
	case "constant-vus":
		p.VUs, p.ThinkTime = int64(d.number("vus", 1, 2)), d.millis("think time", 20, 200)
	case "shared-iterations":
		p.Records = int64(d.number("records", 1, 3000))
	}
	p.MessageSize = pick[scenarios.Size](d, "message size", 16, 100, 1000)
	keys := []string{"none", "uniform", "zipf", "sequential", "hot"}
	if slices.ContainsFunc(d.s.Topics, func(t scenarios.Topic) bool { return t.Name == p.Topic && compacted(&t) }) {
		keys = keys[1:]
	}
	p.Keys.Distribution = pick(d, "keys", keys...)
	if p.Keys.Distribution != "none" {
		p.Keys.Cardinality = int64(d.number("cardinality", 1, 1000))
		p.Tombstones = pick[scenarios.PPM](d, "tombstones", 0, 50_000, 400_000)
	}
	p.BatchRecords = int64(pick(d, "batch records", 0, 1, 7))
	if p.Executor != "shared-iterations" && d.flip("producer window") {
		p.StartAt = d.seconds("producer start", 0, int((d.s.Duration-tail)/time.Second))
		if len(p.Stages) > 0 {
			p.StartAt = 0
		}
	}
	p.Config = nil
	d.producerConfig(&p.Config)
	d.s.Workload.Producers = append(d.s.Workload.Producers, p)
}

// compacted tells what the loader will find.
func compacted(t *scenarios.Topic) bool {
	return slices.ContainsFunc(t.Config, func(kv scenarios.KV) bool { return kv.Name == "cleanup.policy" })
}

func (d *drawer) rate(what string, low int) scenarios.Rate {
	return scenarios.Rate{Count: int64(d.number(what, low, 200)), Per: time.Second}
}

func (d *drawer) producerConfig(kv *[]scenarios.KV) {
	acks := "all"
	if !d.often("acks", 4) {
		acks = pick(d, "weak acks", "1", "0")
	}
	set(kv, "acks", acks)
	if idempotent := acks == "all" && d.often("idempotence", 4); idempotent {
		set(kv, "enable.idempotence", "true")
		property(d, kv, "max.in.flight.requests.per.connection", "1", "2", "5")
		property(d, kv, "retries", "2147483647", "3")
	} else {
		set(kv, "enable.idempotence", "false")
		property(d, kv, "max.in.flight.requests.per.connection", "1", "5", "8")
		property(d, kv, "retries", "2147483647", "0", "3")
	}
	property(d, kv, "linger.ms", "0", "20", "200")
	property(d, kv, "batch.size", "0", "500", "65536")
	property(d, kv, "compression.type", "none", "gzip", "snappy", "lz4", "zstd")
	timeout := d.number("request.timeout.ms", 2, 10) * 1000
	set(kv, "request.timeout.ms", strconv.Itoa(timeout))
	set(kv, "delivery.timeout.ms", strconv.Itoa(timeout+d.number("delivery.timeout.ms", 1, 30)*1000))
	property(d, kv, "buffer.memory", "200000")
	property(d, kv, "max.block.ms", "2000", "10000")
	property(d, kv, "partitioner.class", "org.apache.kafka.clients.producer.RoundRobinPartitioner")
	property(d, kv, "partitioner.ignore.keys", "true")
	property(d, kv, "partitioner.adaptive.partitioning.enable", "false")
	property(d, kv, "max.request.size", "30000")
	d.clientConfig(kv)
}

// clientConfig is what producers and consumers have alike.
func (d *drawer) clientConfig(kv *[]scenarios.KV) {
	property(d, kv, "metadata.max.age.ms", "2000", "20000")
	property(d, kv, "connections.max.idle.ms", "3000")
	property(d, kv, "reconnect.backoff.max.ms", "50")
	property(d, kv, "retry.backoff.ms", "10")
	property(d, kv, "socket.connection.setup.timeout.ms", "1000")
	property(d, kv, "metadata.recovery.rebootstrap.trigger.ms", "4000")
}

const assignors = "org.apache.kafka.clients.consumer."

func (d *drawer) consumer(i int) {
	c := d.blank.Workload.Consumers[0]
	c.Name = fmt.Sprintf("c%d", i+1)
	c.Group = fmt.Sprintf("g%d", i+1)
	c.Count = int64(d.number("consumer count", 1, clientsMax))
	c.Zone = d.zone("consumer zone")
	c.Topics = []string{d.topic("consumer topic")}
	if len(d.s.Topics) > 1 && d.flip("all topics") {
		c.Topics = nil
		for j := range d.s.Topics {
			c.Topics = append(c.Topics, d.s.Topics[j].Name)
		}
	}
	c.ProcessingTime = pick(d, "processing time", 0, 100*time.Microsecond)
	last := int((d.s.Duration - tail) / time.Second)
	if d.flip("late consumer") {
		c.StartAt = d.seconds("consumer start", 0, last)
	}
	limit := d.s.Duration - quiet
	if !d.often("stop", 5) {
		c.StopAt = c.StartAt + d.seconds("stop", 1, 5)
		limit = c.StopAt
	}
	at := c.StartAt
	for range d.number("pauses", 0, 2) {
		pause := scenarios.Window{At: at + d.millis("pause at", 0, 10_000), For: d.millis("pause for", 1, 10_000)}
		if at = pause.At + pause.For; at > limit {
			break
		}
		c.Pauses = append(c.Pauses, pause)
	}
	if !d.often("stalls", 3) { // a consumer that hangs, instead of one that is stopped
		c.Pauses, c.Stalls = nil, c.Pauses
	}
	c.InstanceIDs = d.flip("static members")
	c.Config = nil
	kv := &c.Config
	session := d.number("session.timeout.ms", 6, 15) * 1000
	set(kv, "session.timeout.ms", strconv.Itoa(session))
	set(kv, "heartbeat.interval.ms", strconv.Itoa(session/d.number("heartbeats", 3, 6)))
	set(kv, "auto.offset.reset", pick(d, "reset", "earliest", "earliest", "latest"))
	set(kv, "enable.auto.commit", strconv.FormatBool(d.flip("auto commit")))
	property(d, kv, "auto.commit.interval.ms", "500", "2000")
	if count := d.number("assignors", 0, 2); count > 0 {
		list := assignors + pick(d, "assignor", "RangeAssignor", "RoundRobinAssignor", "StickyAssignor", "CooperativeStickyAssignor")
		if other := assignors + "RangeAssignor"; count == 2 && list != other {
			list += "," + other
		}
		set(kv, "partition.assignment.strategy", list)
	}
	property(d, kv, "max.poll.records", "50", "200") // each poll is committed: fewer would be slower than the load
	// A minimum above what one partition may give would hold every fetch for
	// fetch.max.wait.ms, which is slower than the load.
	property(d, kv, "fetch.min.bytes", "1", "2000")
	property(d, kv, "max.partition.fetch.bytes", "10000", "60000")
	property(d, kv, "fetch.max.bytes", "20000")
	property(d, kv, "fetch.max.wait.ms", "50", "2000")
	d.clientConfig(kv)
	// A JoinGroup waits this long and five seconds for its answer: with Kafka's
	// default, a coordinator that loses power meanwhile holds a group up for 305 s.
	set(kv, "max.poll.interval.ms", pick(d, "max.poll.interval.ms", "15000", "8000"))
	d.s.Workload.Consumers = append(d.s.Workload.Consumers, c)
}
