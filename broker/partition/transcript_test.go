package partition

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
)

// The transcripts drive whole brokers (partition and log managers on a disk in
// memory) through produce, replication, ISR changes, elections and fetches, and
// show what clients are told and where every replica stands.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var w *world
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "cluster" {
				brokers, minISR := 3, 2
				d.MaybeScanArgs(t, "brokers", &brokers)
				d.MaybeScanArgs(t, "min-isr", &minISR)
				w = newWorld(t, brokers, int64(minISR))
				w.run()
				return w.states()
			}
			w.command(t, d)
			out := strings.Join(w.said, "\n")
			w.said = nil
			if out != "" {
				out += "\n"
			}
			if d.HasArg("quiet") {
				return out
			}
			return out + w.states()
		})
	})
}

func (w *world) states() string {
	var b strings.Builder
	for _, n := range w.nodes {
		fmt.Fprintln(&b, n.state())
	}
	return b.String()
}

func (w *world) command(t *testing.T, d *datadriven.TestData) {
	var broker, leader int
	d.MaybeScanArgs(t, "broker", &broker)
	d.MaybeScanArgs(t, "leader", &leader)
	switch d.Cmd {
	case "produce":
		w.produceCommand(t, d)
	case "fetch":
		w.fetchCommand(t, d)
	case "list":
		w.listCommand(t, d)
	case "delete-records":
		w.deleteCommand(t, d)
	case "cleanup":
		w.cleanupCommand(t, d)
	case "retention":
		w.node(int32(broker)).deleteAll()
	case "codecs":
		w.codecsCommand(t, w.node(int32(broker)))
	case "broker-config":
		w.brokerConfigCommand(t, d)
	case "run":
	case "advance":
		var by string
		d.ScanArgs(t, "by", &by)
		span, err := time.ParseDuration(by)
		if err != nil {
			t.Fatal(err)
		}
		w.advance(span)
	case "hold":
		w.holdCommand(t, d)
	case "release":
		w.hold = nil
	case "let":
		w.letCommand(t, d)
	case "omit-alter":
		w.omitAlter = true
	case "refuse-alter":
		code := 0
		d.MaybeScanArgs(t, "code", &code)
		w.refuseAlter = int16(code)
	case "alters":
		w.said = append(w.said, fmt.Sprintf("%d AlterPartition requests", w.alters))
		w.alters = 0
	case "damage":
		w.damageCommand(t, d)
	case "hold-disk":
		w.node(int32(broker)).holdIO = true
	case "release-disk":
		w.node(int32(broker)).holdIO = false
		w.node(int32(broker)).flow()
	case "elect":
		w.elect(int32(leader))
	case "isr":
		w.change(func(p *meta.Partition) { p.ISR = w.idsArgument(t, d) })
	case "replicas":
		w.change(func(p *meta.Partition) { p.Replicas = w.idsArgument(t, d) })
	case "fence":
		w.fence(int32(broker))
	case "unfence":
		w.changeBroker(int32(broker), func(b *meta.Broker) { b.Fenced = false })
	case "shutting-down":
		w.changeBroker(int32(broker), func(b *meta.Broker) { b.InControlledShutdown = true })
	case "rack":
		var rack string
		d.ScanArgs(t, "rack", &rack)
		w.changeBroker(int32(broker), func(b *meta.Broker) { b.Rack = rack })
		for _, n := range w.nodes {
			if !d.HasArg("no-selector") {
				n.parts.cfg.ReplicaSelector = config.SelectRackAware
			}
		}
	case "kill":
		w.node(int32(broker)).kill()
	case "start":
		n := w.node(int32(broker))
		n.epoch++
		w.changeBroker(n.id, func(b *meta.Broker) { b.Epoch = n.epoch })
		n.start()
	case "publish":
		if broker != 0 {
			w.node(int32(broker)).apply()
			break
		}
		w.publish()
	default:
		t.Fatalf("%s: unknown command", d.Cmd)
	}
	if !d.HasArg("still") {
		w.run()
	}
}

// idsArgument reads broker ids, as in ids=(1,2).
func (w *world) idsArgument(t *testing.T, d *datadriven.TestData) (ids []int32) {
	for _, v := range d.CmdArgs[0].Vals {
		var id int32
		if _, err := fmt.Sscan(v, &id); err != nil {
			d.Fatalf(t, "%s %s: %v", d.Cmd, v, err)
		}
		ids = append(ids, id)
	}
	return ids
}

func (w *world) produceCommand(t *testing.T, d *datadriven.TestData) {
	var id, to int
	acks, timeout := -1, 30000
	pid, epoch, seq := -1, 0, 0
	var value string
	d.ScanArgs(t, "id", &id)
	d.ScanArgs(t, "to", &to)
	d.ScanArgs(t, "value", &value)
	d.MaybeScanArgs(t, "acks", &acks)
	d.MaybeScanArgs(t, "timeout", &timeout)
	var codec string
	o := record.NoProducer(record.None)
	if d.MaybeScanArgs(t, "codec", &codec) {
		var err error
		if o.Codec, err = record.ParseCodec(codec); err != nil {
			d.Fatalf(t, "%v", err)
		}
	}
	times := 1
	d.MaybeScanArgs(t, "times", &times)
	version := produceVersion
	d.MaybeScanArgs(t, "version", &version)
	w.produceVersion = int16(version)
	if d.MaybeScanArgs(t, "pid", &pid) {
		d.MaybeScanArgs(t, "epoch", &epoch)
		d.MaybeScanArgs(t, "seq", &seq)
		o.ProducerID, o.ProducerEpoch, o.BaseSequence = int64(pid), int16(epoch), int32(seq)
	}
	w.node(int32(to)).produce(conn.RequestID(id)+1000, int16(acks), time.Duration(timeout)*time.Millisecond, o, strings.Split(strings.Repeat(value, times), "+")...)
}

func (w *world) fetchCommand(t *testing.T, d *datadriven.TestData) {
	var id, from, offset, session int
	maxWait, minBytes, maxBytes, version := 0, 1, 1<<20, 12
	epoch, current, last, replica, replicaEpoch := -1, -1, -1, -1, -1
	var rack string
	d.ScanArgs(t, "id", &id)
	d.ScanArgs(t, "from", &from)
	d.MaybeScanArgs(t, "session", &session)
	d.MaybeScanArgs(t, "session-epoch", &epoch)
	d.MaybeScanArgs(t, "max-wait", &maxWait)
	d.MaybeScanArgs(t, "min-bytes", &minBytes)
	d.MaybeScanArgs(t, "max-bytes", &maxBytes)
	partitionBytes := maxBytes
	d.MaybeScanArgs(t, "partition-bytes", &partitionBytes)
	d.MaybeScanArgs(t, "version", &version)
	d.MaybeScanArgs(t, "leader-epoch", &current)
	d.MaybeScanArgs(t, "last-epoch", &last)
	d.MaybeScanArgs(t, "replica", &replica)
	d.MaybeScanArgs(t, "replica-epoch", &replicaEpoch)
	d.MaybeScanArgs(t, "rack", &rack)
	n := w.node(int32(from))
	f := n.parts.NewFetch()
	f.Request, f.Version, f.ReplicaID = conn.RequestID(id)+2000, int16(version), int32(replica)
	f.MaxWaitMillis, f.MinBytes, f.MaxBytes, f.Rack = int32(maxWait), int32(minBytes), int32(maxBytes), rack
	f.SessionID, f.SessionEpoch, f.ReplicaEpoch = int32(session), int32(epoch), int64(replicaEpoch)
	if session == 1 { // whichever the broker has made
		f.SessionID = n.parts.sessions.list[len(n.parts.sessions.list)-1].id
	}
	if d.MaybeScanArgs(t, "offset", &offset) {
		ask := FetchAsk{Topic: worldTopic, Offset: int64(offset), LeaderEpoch: int32(current), LastFetchedEpoch: int32(last), MaxBytes: int32(partitionBytes)}
		if version >= 13 {
			ask.Topic, ask.TopicID = "", w.topic
		}
		f.Asks = append(f.Asks, ask)
	}
	if d.HasArg("forget") {
		f.Forgotten = append(f.Forgotten, FetchForgotten{Topic: worldTopic})
	}
	n.parts.Fetch(n.context(), f)
	n.flow()
}

func (w *world) listCommand(t *testing.T, d *datadriven.TestData) {
	var from, timestamp int
	epoch, version := -1, 10
	d.ScanArgs(t, "from", &from)
	d.ScanArgs(t, "timestamp", &timestamp)
	d.MaybeScanArgs(t, "leader-epoch", &epoch)
	n := w.node(int32(from))
	l := n.parts.NewListOffsets()
	d.MaybeScanArgs(t, "version", &version)
	l.Version = int16(version)
	l.Parts = append(l.Parts, ListPart{Topic: worldTopic, LeaderEpoch: int32(epoch), Timestamp: int64(timestamp)})
	n.parts.ListOffsets(n.context(), l)
	n.flow()
}

func (w *world) deleteCommand(t *testing.T, d *datadriven.TestData) {
	var from, before int
	timeout := 30000
	topic := worldTopic
	d.ScanArgs(t, "from", &from)
	d.ScanArgs(t, "before", &before)
	d.MaybeScanArgs(t, "timeout", &timeout)
	d.MaybeScanArgs(t, "topic", &topic)
	n := w.node(int32(from))
	n.parts.DeleteRecords(n.context(), &DeleteRecords{TimeoutMillis: int32(timeout),
		Parts: []DeletePart{{Topic: topic, Offset: int64(before)}}})
	n.flow()
}

// brokerConfigCommand replaces the dynamic properties of all brokers, as a node
// does when an image brings them.
func (w *world) brokerConfigCommand(t *testing.T, d *datadriven.TestData) {
	next := *w.image
	next.Offset++
	next.BrokerConfigs = nil
	var values []meta.ConfigValue
	for _, line := range strings.Fields(d.Input) {
		name, value, _ := strings.Cut(line, "=")
		values = append(values, meta.ConfigValue{Name: name, Value: value})
	}
	if len(values) > 0 {
		next.BrokerConfigs = []meta.ResourceConfig{{Values: values}}
	}
	w.image = &next
	for _, n := range w.nodes {
		layers := w.image.ConfigLayers(n.id, nil)
		cfg, err := config.UpdateBroker(w.cfg, layers.Dynamic())
		if err != nil {
			t.Fatal(err)
		}
		n.logs.SetConfig(cfg)
		n.parts.SetConfig(cfg)
		n.apply()
	}
}

// codecsCommand says how a replica has stored each batch, and in how many bytes.
func (w *world) codecsCommand(t *testing.T, n *node) {
	l := n.partition().Log()
	r := l.Read(n.context(), l.StartOffset(), 1<<30, l.EndOffset(), true, nil)
	defer release(r.Slices)
	if r.Err != nil || r.Loading || r.Next != l.EndOffset() {
		t.Fatalf("read to %d of %d: %+v", r.Next, l.EndOffset(), r)
	}
	for _, s := range r.Slices {
		for rest := s.Bytes(); len(rest) > 0; {
			batch, after, err := record.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			w.said = append(w.said, fmt.Sprintf("%d: %s in %d bytes", batch.BaseOffset(), batch.Attributes().Codec(), len(batch)))
			rest = after
		}
	}
}

// cleanupCommand sets the topic's cleanup.policy behind the metadata's back.
func (w *world) cleanupCommand(t *testing.T, d *datadriven.TestData) {
	for _, n := range w.nodes {
		if !n.partition().cfg.CleanupPolicy.Set(d.CmdArgs[0].Key) {
			d.Fatalf(t, "cleanup policy %s", d.CmdArgs[0].Key)
		}
	}
}

// deleteAll has retention.bytes leave nothing of what is committed, this time.
func (n *node) deleteAll() {
	l := n.partition().Log()
	cfg := *l.Config()
	none := cfg
	none.RetentionBytes = 0
	l.SetConfig(none)
	l.Retention(n.context())
	l.SetConfig(cfg)
	n.flow()
}

// damageCommand changes the first batch in the answers to a follower's fetches that
// are held: a bit of its records, or its leader epoch, which no CRC covers.
func (w *world) damageCommand(t *testing.T, d *datadriven.TestData) {
	var to, epoch int
	d.ScanArgs(t, "to", &to)
	changed := 0
	for _, m := range w.messages {
		if !m.reply || m.to != int32(to) || m.call.Key != wire.KeyFetch {
			continue
		}
		resp := wire.FetchResponse{Version: m.call.Version}
		if err := resp.ReadFrom(m.body); err != nil {
			t.Fatal(err)
		}
		records := resp.Topics[0].Partitions[0].Records
		if len(records) == 0 {
			continue
		}
		batch := slices.Clone(records[0])
		if d.MaybeScanArgs(t, "epoch", &epoch) {
			record.Batch(batch).SetLeaderEpoch(int32(epoch))
		} else {
			batch[len(batch)-1] ^= 1
		}
		resp.Topics[0].Partitions[0].Records = [][]byte{batch}
		m.body = resp.AppendTo(nil)
		changed++
	}
	if changed == 0 {
		d.Fatalf(t, "no answer with records is held")
	}
}

// holdCommand holds what matches any line of its input and every hold before:
// "alter", "alter-reply", "fetch FROM", "fetch-reply TO".
func (w *world) holdCommand(t *testing.T, d *datadriven.TestData) {
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	w.hold = func(m *message) bool { return m.isOneOf(lines) }
}

// letCommand delivers the first held message that its input names, or with "lost"
// tells the sender that the connection broke.
func (w *world) letCommand(t *testing.T, d *datadriven.TestData) {
	lines := strings.Split(strings.TrimSpace(d.Input), "\n")
	at := slices.IndexFunc(w.messages, func(m *message) bool { return m.isOneOf(lines) })
	if at < 0 {
		d.Fatalf(t, "no such message is held")
	}
	if d.HasArg("lost") {
		w.messages[at].status, w.messages[at].body = caller.Disconnected, nil
	}
	w.deliver(at)
}

// isOneOf says that a message is of a kind, or of a kind and a broker.
func (m *message) isOneOf(lines []string) bool {
	kind := "alter"
	if m.call.Key == wire.KeyFetch {
		kind = "fetch"
	}
	if m.reply {
		kind += "-reply"
	}
	who := m.from
	if m.reply {
		who = m.to
	}
	return slices.Contains(lines, kind) || slices.Contains(lines, fmt.Sprintf("%s %d", kind, who))
}
