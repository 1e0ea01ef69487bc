package runner

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kerr"
)

// host is the simulated machine of a host of the layout.
func (r *run) host(id netsim.HostID) sim.HostConfig {
	h := &r.layout.hosts[id]
	if h.role <= roleBroker {
		return r.layout.nodeHost(r.scenario, h)
	}
	return sim.HostConfig{Boot: func(info sim.BootInfo) edge.Machine { return r.client(id, h, info) }}
}

func (r *run) client(id netsim.HostID, h *hostInfo, info sim.BootInfo) edge.Machine {
	identity := client.Identity{Name: h.name, Rack: h.zone, Seed: info.Seed, Boot: info.Number, Bootstrap: r.bootstrap(h)}
	switch h.role {
	case roleProducer:
		p := client.NewProducer(r.producerConfig(h, identity))
		r.producer = append(r.producer, p)
		return p
	case roleConsumer:
		if info.Number > 1 {
			r.ledger.restarted(r.readerIndex(h))
		}
		return client.NewConsumer(r.consumerConfig(h, identity))
	case roleAuditor:
		return client.NewConsumer(r.auditorConfig(identity))
	case roleCompactionAuditor:
		return client.NewConsumer(r.compactionAuditorConfig(identity))
	default:
		r.admin = client.NewAdmin(r.adminConfig(identity))
		r.faults.operate.admin, r.faults.operate.host = r.admin, id
		return r.admin
	}
}

// bootstrap is every broker that is there from the start, those of the client's own
// zone first. Auditors and the administrator, who may begin or go on when all of these
// have been decommissioned, know those that are added, too.
func (r *run) bootstrap(h *hostInfo) (out []client.Address) {
	ours := h.role == roleAuditor || h.role == roleCompactionAuditor || h.role == roleAdmin
	for _, near := range []bool{true, false} {
		for _, id := range r.layout.brokers {
			if b := &r.layout.hosts[id]; (b.addedBy == 0 || ours) && (b.zone == h.zone) == near {
				out = append(out, client.Address{Host: b.name, Port: clientPort})
			}
		}
	}
	return out
}

func (r *run) topic(name string) client.Topic {
	for i := range r.scenario.Topics {
		if r.scenario.Topics[i].Name == name {
			return client.Topic{Name: name, Index: int32(i)}
		}
	}
	panic("runner: the loader let the unknown topic " + name + " pass")
}

func (r *run) producerConfig(h *hostInfo, identity client.Identity) client.ProducerConfig {
	p := &r.scenario.Workload.Producers[h.group]
	load := client.Load{
		Start: r.origin.Add(p.StartAt), End: r.origin.Add(r.scenario.Duration),
		Rate: client.Rate{Count: p.Rate.Count, Per: p.Rate.Per}, VUs: p.VUs, ThinkTime: p.ThinkTime, Records: p.Records,
		Instance: int64(h.index), Instances: p.Count, MessageSizeBytes: max(int(p.MessageSize), client.PayloadHeaderBytes),
		BatchRecords: int32(p.BatchRecords), Keys: keysOf(&p.Keys),
	}
	load.Keys.TombstonesPPM = int64(p.Tombstones)
	if p.For > 0 {
		load.End = min(load.End, load.Start.Add(p.For))
	}
	switch p.Executor {
	case "constant-arrival-rate":
		load.Kind = client.ConstantRate
	case "ramping-arrival-rate":
		load.Kind = client.RampingRate
		for _, stage := range p.Stages {
			load.Stages = append(load.Stages, client.Stage{
				Duration: stage.Duration, Target: client.Rate{Count: stage.Target.Count, Per: stage.Target.Per},
			})
		}
	case "constant-vus":
		load.Kind = client.ConstantVUs
	case "shared-iterations":
		load.Kind, load.End = client.SharedIterations, clock.Never
	}
	return client.ProducerConfig{
		Identity: identity, Index: r.producerIndex(h), Settings: p.Settings, Topic: r.topic(p.Topic), Load: load, Observer: r.ledger,
	}
}

// producerIndex numbers the producers of all groups.
func (r *run) producerIndex(h *hostInfo) int32 {
	n := h.index
	for g := range h.group {
		n += int(r.scenario.Workload.Producers[g].Count)
	}
	return int32(n)
}

func keysOf(k *scenarios.Keys) client.Keys {
	return client.Keys{
		Distribution: map[string]client.KeyDistribution{
			"none": client.NoKeys, "uniform": client.UniformKeys, "zipf": client.ZipfKeys, "sequential": client.SequentialKeys, "hot": client.HotKey,
		}[k.Distribution],
		Cardinality: k.Cardinality, Exponent: int64(k.Exponent), SharePPM: int64(k.Share),
	}
}

func (r *run) consumerConfig(h *hostInfo, identity client.Identity) client.ConsumerConfig {
	c := &r.scenario.Workload.Consumers[h.group]
	settings := c.Settings
	settings.GroupID = c.Group
	if c.InstanceIDs {
		settings.GroupInstanceID = h.name
	}
	out := client.ConsumerConfig{
		Identity: identity, Index: r.readerIndex(h), Settings: settings, CommitAfterPoll: true, ProcessingTime: c.ProcessingTime,
		Start: r.origin.Add(c.StartAt), Stop: clock.Never, Keys: r.scenario.Compacts(), Observer: r.ledger,
	}
	if c.StartAt == 0 {
		out.Start = clock.Instant(joinAt)
	}
	for _, name := range c.Topics {
		out.Topics = append(out.Topics, r.topic(name))
	}
	if c.StopAt > 0 {
		out.Stop = r.origin.Add(c.StopAt)
	}
	for _, p := range c.Stalls {
		out.Stalls = append(out.Stalls, client.Window{From: r.origin.Add(p.At), To: r.origin.Add(p.At + p.For)})
	}
	return out
}

// readerIndex numbers the consumers of all groups; the auditor comes last.
func (r *run) readerIndex(h *hostInfo) int32 {
	n := h.index
	for g := range h.group {
		n += int(r.scenario.Workload.Consumers[g].Count)
	}
	return int32(n)
}

// readers registers every reader with the ledger, in the order of their numbers.
func (r *run) readers() {
	for g := range r.scenario.Workload.Consumers {
		c := &r.scenario.Workload.Consumers[g]
		var topics []int
		for _, name := range c.Topics {
			topics = append(topics, int(r.topic(name).Index))
		}
		for range c.Count {
			r.ledger.addReader(c.Group, topics)
		}
	}
	for i := range r.ledger.groups {
		g := &r.ledger.groups[i]
		g.presence = newPresence(r.scenario, g.name, r.origin)
		g.earliest = r.fromTheStart(g.name)
		g.stable.want(r.origin)
	}
	r.auditor = r.ledger.addReader("", nil)
	r.ledger.auditor = r.auditor
	r.compactionAuditor = r.ledger.addReader("", nil)
	for i := range r.scenario.Topics {
		parts := make([]audit, r.scenario.PartitionsAtEnd(&r.scenario.Topics[i]))
		for p := range parts {
			parts[p].invoked = -1
		}
		r.audited = append(r.audited, parts)
		r.ledger.auditedEnd = append(r.ledger.auditedEnd, make([]int64, len(parts)))
	}
}

// auditorConfig is a reader of everything, from the first record on. Where loss
// is permitted it starts after everything has settled: what was truncated
// meanwhile is then not in what it reads.
func (r *run) auditorConfig(identity client.Identity) client.ConsumerConfig {
	settings := clientconfig.DefaultConsumer()
	settings.AutoOffsetReset, settings.EnableAutoCommit = clientconfig.ResetEarliest, false
	settings.RequestTimeoutMillis = 5000 // a silent broker must not hold up the audit
	out := client.ConsumerConfig{
		Identity: identity, Index: r.auditor, Settings: settings, Assign: true, Start: r.origin, Stop: clock.Never,
		Ends: auditEvery, Keys: r.scenario.Compacts(), Observer: (*auditObserver)(r),
	}
	if r.scenario.Grows() {
		out.Settings.MetadataMaxAgeMillis = auditorMetadataMillis // it must learn of new partitions before the end
	}
	if !r.claims.Made("no_lost_acks") {
		out.Start = r.origin.Add(r.scenario.Duration + r.scenario.Settle)
	}
	for i := range r.scenario.Topics {
		out.Topics = append(out.Topics, r.topic(r.scenario.Topics[i].Name))
	}
	return out
}

// compactionAuditorConfig is a second auditor, of compacted topics: once everything
// has settled it reads what compaction has left of them. The first one sees records
// before they go, so that it is known what must be left.
func (r *run) compactionAuditorConfig(identity client.Identity) client.ConsumerConfig {
	out := r.auditorConfig(identity)
	out.Index, out.Topics = r.compactionAuditor, nil
	out.Start = r.origin.Add(r.scenario.Duration + r.scenario.Settle)
	for i := range r.scenario.Topics {
		if t := &r.scenario.Topics[i]; t.Compacted() {
			out.Topics = append(out.Topics, r.topic(t.Name))
		}
	}
	return out
}

// auditorOf is the reader whose word decides about a topic in the end.
func (r *run) auditorOf(topic int32) int32 {
	if r.scenario.Topics[topic].Compacted() {
		return r.compactionAuditor
	}
	return r.auditor
}

// auditObserver is the ledger with an eye on how far the auditor has come.
type auditObserver run

func (a *auditObserver) ListInvoked(reader int32, p client.TopicPartition, now clock.Instant) {
	a.ledger.ListInvoked(reader, p, now)
}

func (a *auditObserver) ListedEnd(e *client.ListedEnd) {
	a.ledger.ListedEnd(e)
	if e.Reader != (*run)(a).auditorOf(e.Topic) {
		return
	}
	a.audited[e.Topic][e.Partition] = audit{end: e.Offset, invoked: e.Invoked}
}

func (a *auditObserver) Delivered(d *client.Delivery) {
	a.ledger.Delivered(d)
	a.stands(d.Reader, d.Topic, d.Partition, d.BaseOffset+int64(d.Count))
}

func (a *auditObserver) PassedOver(o *client.PassedOver) {
	a.ledger.PassedOver(o)
	a.stands(o.Reader, o.Topic, o.Partition, o.To)
}

// stands notes the position of the auditor whose word decides.
func (a *auditObserver) stands(reader, topic, index int32, offset int64) {
	if reader == (*run)(a).auditorOf(topic) {
		a.ledger.auditedEnd[topic][index] = offset
	}
}

func (a *auditObserver) HighWatermark(reader int32, p client.TopicPartition, hw int64, epoch int32) {
	a.ledger.HighWatermark(reader, p, hw, epoch)
}

func (a *auditObserver) Position(reader int32, p client.TopicPartition, offset int64, reason client.PositionReason) {
	a.ledger.Position(reader, p, offset, reason)
	a.stands(reader, p.Topic, p.Partition, offset)
}

func (a *auditObserver) FetchInvoked(int32, client.TopicPartition)                       {}
func (a *auditObserver) FetchAnswered(int32, client.TopicPartition, int64, uint64, bool) {}
func (a *auditObserver) CommitInvoked(*client.Commit)                                    {}
func (a *auditObserver) Committed(*client.Commit, bool, int16)                           {}
func (a *auditObserver) Assigned(int32, int32, string, []client.TopicPartition)          {}
func (a *auditObserver) Revoked(int32, int32, string, []client.TopicPartition)           {}
func (a *auditObserver) Lost(int32, int32, string, []client.TopicPartition)              {}
func (a *auditObserver) Corrupt(r int32, p client.TopicPartition, o int64, w string) {
	a.ledger.Corrupt(r, p, o, w)
}
func (a *auditObserver) Stopped(r int32, code int16, reason string) {
	a.ledger.Stopped(r, code, reason)
}

// An administrator's change is probed by setting a property of the first topic to
// the value that it has, and taking the override back: each is a record that the
// quorum must commit.
const (
	probeEvery         = time.Second
	probeProperty      = "file.delete.delay.ms"
	probeTimeoutMillis = 2000
)

// adminObserver measures how long an administrator waits.
type adminObserver run

func (a *adminObserver) Created(string, int16) {}

// Operated implements client.AdminObserver: what the cluster refused did nothing.
// A second attempt at an addition, or at forgetting a broker, is refused where the
// answer to the first was lost; whether it has come about is looked at in any case.
func (a *adminObserver) Operated(o *client.Operation, code int16) {
	if o.Kind == client.AddPartitions && code == kerr.InvalidPartitions.Code && a.view.partition(o.Topic, o.Count-1) != nil {
		return
	}
	if o.Kind == client.Reassign && code == kerr.UnknownTopicOrPartition.Code && strings.HasPrefix(o.Topic, scenarios.StormPrefix) {
		return // deleted since it was looked for
	}
	if o.Kind == client.Unregister && a.view.image().Broker(o.Broker) == nil {
		return
	}
	if code != 0 {
		a.faults.missed = append(a.faults.missed, fmt.Sprintf("the cluster refused what an operator wanted of %s %v with error %d", o.Topic, o.Partitions, code))
	}
}

// Refused implements client.AdminObserver.
func (a *adminObserver) Refused(topic string, code int16) {
	a.faults.missed = append(a.faults.missed, fmt.Sprintf("the cluster would not create or delete %s: error %d", topic, code))
}

// Probed implements client.AdminObserver.
func (a *adminObserver) Probed(intended, now clock.Instant, done bool) {
	a.ledger.admin.want(intended)
	if done {
		a.ledger.admin.done(now, a.ledger.faults)
	}
}

func (r *run) adminConfig(identity client.Identity) client.AdminConfig {
	out := client.AdminConfig{Identity: identity, Common: client.DefaultCommon(), Observer: (*adminObserver)(r)}
	if asserts(r.scenario, "admin_unavailability", "") {
		out.Probe = client.Probe{
			From: r.origin, To: r.origin.Add(r.scenario.Duration), Every: probeEvery, Topic: r.scenario.Topics[0].Name,
			Property: probeProperty, Value: strconv.FormatInt(r.scenario.Topics[0].Settings.FileDeleteDelayMillis, 10),
		}
		out.Common.RequestTimeoutMillis = probeTimeoutMillis
	}
	for _, id := range r.layout.brokers {
		if r.layout.hosts[id].addedBy == 0 {
			out.Brokers++
		}
	}
	for i := range r.scenario.Topics {
		t := &r.scenario.Topics[i]
		topic := client.NewTopic{Name: t.Name, Partitions: int32(t.Partitions), ReplicationFactor: int16(t.ReplicationFactor)}
		for _, kv := range t.Config {
			topic.Configs = append(topic.Configs, clientconfig.KV(kv))
		}
		out.Topics = append(out.Topics, topic)
	}
	return out
}
