package partition

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// world is a few brokers with one topic, a toy controller, and messages that
// can be held.
type world struct {
	t        failer
	now      clock.Instant
	nodes    []*node
	image    *meta.Image
	topic    meta.TopicID
	messages []*message

	produceVersion int16
	hold           func(*message) bool // nil: nothing is held
	said           []string
	refuseAlter    int16 // what the controller answers for each partition, if it is not 0
	omitAlter      bool  // the next answer says nothing of the partition
	alters         int   // AlterPartition requests that it has had
	cfg            config.Broker
	minISR         int64
}

// failer is a *testing.T or a *rapid.T.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// message is a request to a node (or the controller), or the reply to one.
type message struct {
	from, to int32 // to -1: the controller
	reply    bool
	call     caller.Call
	status   caller.Status
	body     []byte
	boot     int // of the receiver of a reply
}

type node struct {
	w       *world
	id      int32
	epoch   int64
	boot    int
	down    bool
	disk    *memoryDisk
	timers  timer.Queue
	logs    *log.Manager
	parts   *Manager
	image   *meta.Image
	out     edge.Effects
	random  *rand.Rand
	buffers edge.Pool
	holdIO  bool
	pending []edge.DiskResult
	served  map[conn.RequestID]*message // replica fetches being served
	judge   *judge
	next    conn.RequestID
}

const worldTopic = "t"

// produceVersion is the version of Produce that is played if none is named.
const produceVersion = 9

func newWorld(t failer, brokers int, minISR int64) *world {
	w := &world{t: t, produceVersion: produceVersion, cfg: config.DefaultBroker(), minISR: minISR}
	w.cfg.TopicDefaults.MinInsyncReplicas = minISR
	w.topic[15] = 7
	p := &meta.Partition{Leader: 1, LeaderEpoch: 0, PartitionEpoch: 0}
	w.image = &meta.Image{Offset: 1}
	for id := int32(1); id <= int32(brokers); id++ {
		w.nodes = append(w.nodes, &node{w: w, id: id, epoch: int64(id) * 10, disk: newMemoryDisk()})
		p.Replicas = append(p.Replicas, id)
		p.ISR = append(p.ISR, id)
		w.image.Brokers = append(w.image.Brokers, &meta.Broker{ID: id, Epoch: int64(id) * 10, Endpoints: []meta.Endpoint{{Name: "PLAINTEXT", Host: fmt.Sprintf("b%d", id), Port: 9092}}})
	}
	w.image.Topics = []*meta.Topic{{Name: worldTopic, ID: w.topic, Partitions: []*meta.Partition{p}}}
	for _, n := range w.nodes {
		n.start()
	}
	return w
}

func (w *world) node(id int32) *node { return w.nodes[id-1] }

// start boots a node on its disk, with a new broker epoch after the first time.
func (n *node) start() {
	n.boot++
	n.down = false
	n.timers, n.out = timer.Queue{}, edge.Effects{}
	n.random = rand.New(rand.NewPCG(uint64(n.id), uint64(n.boot)))
	n.served = map[conn.RequestID]*message{}
	n.logs = log.NewManager(n.w.cfg)
	n.parts = NewManager(n.w.cfg, n.id, n.logs, n)
	n.parts.SetAnswerer(n)
	n.parts.SetBrokerEpoch(n.epoch)
	n.logs.Boot(n.context())
	n.io()
	if !n.logs.Ready() {
		n.w.t.Fatalf("broker %d: logs are not ready after boot", n.id)
	}
	n.parts.Start(n.context())
	n.image = nil
	n.apply()
}

// kill ends the process; the disk stays. Whoever waits for an answer learns that
// the connection is gone.
func (n *node) kill() {
	n.down, n.holdIO, n.pending = true, false, nil
	var ids []conn.RequestID
	for id := range n.served {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		m := n.served[id]
		n.w.messages = append(n.w.messages, &message{from: m.to, to: m.from, reply: true, call: m.call, status: caller.Disconnected, boot: m.boot})
	}
	n.served = nil
}

func (n *node) apply() {
	old := n.image
	n.image = n.w.image
	n.parts.Apply(n.context(), old, n.image)
	n.io()
}

func (n *node) context() *step.Context {
	return &step.Context{Now: n.w.now, Wall: clock.Wall(1_700_000_000_000 + n.w.now.Millis()), Out: &n.out,
		Timers: &n.timers, Random: n.random, Buffers: &n.buffers}
}

// io performs the disk operations and hands their results on until there are
// none, or keeps them while held.
func (n *node) io() {
	for i := 0; ; i++ {
		if i > 10000 {
			n.w.t.Fatalf("broker %d: disk operations never end", n.id)
		}
		for k := range n.out.Disk {
			n.pending = append(n.pending, n.disk.do(&n.out.Disk[k]))
		}
		for _, l := range n.out.Logs {
			if l.Severity >= edge.Warn {
				n.w.said = append(n.w.said, fmt.Sprintf("broker %d logs: %s", n.id, l.Text))
			}
		}
		if n.out.Halt != "" {
			n.w.t.Fatalf("broker %d halts: %s", n.id, n.out.Halt)
		}
		n.out.Reset()
		if n.holdIO || len(n.pending) == 0 {
			return
		}
		results := n.pending
		n.pending = nil
		for k := range results {
			n.logs.Disk(n.context(), &results[k])
			n.parts.LogChanges(n.context(), n.logs.TakeChanges(nil))
		}
	}
}

// flow hands on changes that did not need the disk.
func (n *node) flow() {
	n.parts.LogChanges(n.context(), n.logs.TakeChanges(nil))
	n.io()
	n.parts.LogChanges(n.context(), n.logs.TakeChanges(nil))
	n.io()
}

// Send implements caller.Sender.
func (n *node) Send(_ *step.Context, call caller.Call) {
	call.Body = slices.Clone(call.Body)
	n.w.messages = append(n.w.messages, &message{from: n.id, to: call.To, call: call, boot: n.boot})
}

// run delivers messages until only held ones are left.
func (w *world) run() {
	for i := 0; ; i++ {
		if i > 100000 {
			w.t.Fatalf("messages never end")
		}
		at := slices.IndexFunc(w.messages, func(m *message) bool { return w.hold == nil || !w.hold(m) })
		if at < 0 {
			return
		}
		w.deliver(at)
	}
}

func (w *world) deliver(at int) {
	m := w.messages[at]
	w.messages = slices.Delete(w.messages, at, at+1)
	switch {
	case m.reply:
		w.deliverReply(m)
	case m.to == caller.ActiveController:
		w.alter(m)
	case w.node(m.to).down:
		w.messages = append(w.messages, &message{from: m.to, to: m.from, reply: true, call: m.call, status: caller.Disconnected, boot: m.boot})
	case m.call.Key == wire.KeyFetch:
		w.node(m.to).serveFetch(m)
	default:
		w.node(m.to).serveList(m)
	}
}

func (w *world) deliverReply(m *message) {
	n := w.node(m.to)
	if n.down || n.boot != m.boot {
		return
	}
	frame := edge.NewBuffer(append([]byte(nil), m.body...))
	n.parts.Reply(n.context(), &caller.Reply{Token: m.call.Token, From: m.from, Key: m.call.Key, Version: m.call.Version,
		Status: m.status, Body: frame.Bytes(), Frame: frame})
	n.flow()
}

func (w *world) answer(request *message, body []byte) {
	w.messages = append(w.messages, &message{from: request.to, to: request.from, reply: true, call: request.call, body: body, boot: request.boot})
}

// serveFetch hands a follower's fetch to the leader's manager.
func (n *node) serveFetch(m *message) {
	req := wire.FetchRequest{Version: m.call.Version}
	if err := req.ReadFrom(m.call.Body); err != nil {
		n.w.t.Fatal(err)
	}
	f := n.parts.NewFetch()
	n.next++
	n.served[n.next] = m
	f.Request, f.Version, f.ReplicaID, f.ReplicaEpoch = n.next, req.Version, req.ReplicaID, req.ReplicaEpoch
	f.MaxWaitMillis, f.MinBytes, f.MaxBytes = req.MaxWaitMillis, req.MinBytes, req.MaxBytes
	f.SessionID, f.SessionEpoch = req.SessionID, req.SessionEpoch
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			f.Asks = append(f.Asks, FetchAsk{TopicID: t.TopicID, Partition: p.Partition, LeaderEpoch: p.CurrentLeaderEpoch,
				LastFetchedEpoch: p.LastFetchedEpoch, Offset: p.FetchOffset, LogStartOffset: p.LogStartOffset, MaxBytes: p.MaxBytes})
		}
	}
	for _, t := range req.Forgotten {
		for _, index := range t.Partitions {
			f.Forgotten = append(f.Forgotten, FetchForgotten{TopicID: t.TopicID, Partition: index})
		}
	}
	n.parts.Fetch(n.context(), f)
	n.flow()
}

func (n *node) serveList(m *message) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version = m.call.Version
	if err := req.ReadFrom(m.call.Body); err != nil {
		n.w.t.Fatal(err)
	}
	l := n.parts.NewListOffsets()
	n.next++
	n.served[n.next] = m
	l.Request, l.Version, l.ReplicaID = n.next, req.Version, req.ReplicaID
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			l.Parts = append(l.Parts, ListPart{Topic: t.Topic, Partition: p.Partition, LeaderEpoch: p.CurrentLeaderEpoch, Timestamp: p.Timestamp})
		}
	}
	n.parts.ListOffsets(n.context(), l)
	n.flow()
}

// AnswerProduce implements Answerer.
func (n *node) AnswerProduce(_ *step.Context, p *Produce) {
	if n.judge != nil {
		n.judge.produced(p)
		return
	}
	for i := range p.Parts {
		line := fmt.Sprintf("produce %d: error=%d base=%d", p.Request, p.Parts[i].ErrorCode, p.Parts[i].BaseOffset)
		if p.Parts[i].ErrorCode != errNone && p.Parts[i].LogStartOffset >= 0 {
			line += fmt.Sprintf(" start=%d", p.Parts[i].LogStartOffset)
		}
		n.w.said = append(n.w.said, line)
	}
}

// AnswerFetch implements Answerer: followers get it on the wire.
func (n *node) AnswerFetch(_ *step.Context, f *Fetch) {
	m := n.served[f.Request]
	if m == nil {
		n.consumerFetched(f)
		return
	}
	delete(n.served, f.Request)
	resp := wire.FetchResponse{Version: f.Version, ErrorCode: f.ErrorCode, SessionID: f.OutSessionID}
	for i := range f.Results {
		r := &f.Results[i]
		p := resp.AddTopic("", r.TopicID).AddPartition(r.Partition)
		p.ErrorCode, p.HighWatermark, p.LastStableOffset, p.LogStartOffset = r.ErrorCode, r.HighWatermark, r.LastStableOffset, r.LogStartOffset
		if r.DivergingEpoch >= 0 {
			p.DivergingEpoch = wire.EpochEndOffset{Epoch: r.DivergingEpoch, EndOffset: r.DivergingEnd}
		}
		for _, s := range f.Records[r.From:r.To] {
			p.Records = append(p.Records, s.Bytes())
		}
	}
	n.w.answer(m, resp.AppendTo(nil))
	release(f.Records)
}

func (n *node) consumerFetched(f *Fetch) {
	if f.ErrorCode != 0 {
		n.w.said = append(n.w.said, fmt.Sprintf("fetch %d: error=%d session=%d", f.Request, f.ErrorCode, f.OutSessionID))
	}
	for i := range f.Results {
		r := &f.Results[i]
		line := fmt.Sprintf("fetch %d: %s-%d error=%d hw=%d start=%d", f.Request, r.Topic, r.Partition, r.ErrorCode, r.HighWatermark, r.LogStartOffset)
		if r.DivergingEpoch >= 0 {
			line += fmt.Sprintf(" diverging=%d@%d", r.DivergingEpoch, r.DivergingEnd)
		}
		if r.LeaderID >= 0 {
			line += fmt.Sprintf(" leader=%d@%d", r.LeaderID, r.LeaderEpoch)
		}
		if r.PreferredReplica >= 0 {
			line += fmt.Sprintf(" prefer=%d", r.PreferredReplica)
		}
		for _, s := range f.Records[r.From:r.To] {
			line += " " + values(s.Bytes())
		}
		n.w.said = append(n.w.said, line)
	}
	if len(f.Results) == 0 && f.ErrorCode == 0 {
		n.w.said = append(n.w.said, fmt.Sprintf("fetch %d: nothing", f.Request))
	}
	release(f.Records)
}

// AnswerDeleteRecords implements Answerer.
func (n *node) AnswerDeleteRecords(_ *step.Context, d *DeleteRecords) {
	for i := range d.Parts {
		p := &d.Parts[i]
		n.w.said = append(n.w.said, fmt.Sprintf("delete %d: error=%d low=%d", p.Offset, p.ErrorCode, p.LowWatermark))
	}
}

// AnswerListOffsets implements Answerer.
func (n *node) AnswerListOffsets(_ *step.Context, l *ListOffsets) {
	m := n.served[l.Request]
	if m == nil {
		for i := range l.Parts {
			p := &l.Parts[i]
			n.w.said = append(n.w.said, fmt.Sprintf("list %d: error=%d offset=%d time=%d epoch=%d", p.Timestamp, p.ErrorCode, p.Offset, p.OffsetTimestamp, p.OffsetEpoch))
		}
		return
	}
	delete(n.served, l.Request)
	resp := kmsg.NewPtrListOffsetsResponse()
	resp.Version = l.Version
	for i := range l.Parts {
		p := &l.Parts[i]
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = p.Topic
		rp := kmsg.NewListOffsetsResponseTopicPartition()
		rp.Partition, rp.ErrorCode, rp.Offset, rp.Timestamp, rp.LeaderEpoch = p.Partition, p.ErrorCode, p.Offset, p.OffsetTimestamp, p.OffsetEpoch
		rt.Partitions = append(rt.Partitions, rp)
		resp.Topics = append(resp.Topics, rt)
	}
	n.w.answer(m, resp.AppendTo(nil))
}

// values renders the values of batches as [base:a b].
func values(b []byte) string {
	s := ""
	var scratch record.Scratch
	var reader record.Reader
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err != nil {
			return s + " " + err.Error()
		}
		s += fmt.Sprintf("[%d:", batch.BaseOffset())
		if err := reader.Reset(batch, &scratch); err != nil {
			return s + err.Error()
		}
		for {
			r, ok, err := reader.Next()
			if err != nil || !ok {
				break
			}
			s += " " + string(r.Value)
		}
		s += "]"
		b = rest
	}
	return s
}

// batch encodes values as a producer would.
func batch(at int64, o record.Options, values ...string) []byte {
	var b record.Builder
	b.Reset(nil, o)
	for _, v := range values {
		b.Append(at, nil, []byte(v), nil)
	}
	return b.Finish()
}

func (n *node) produce(id conn.RequestID, acks int16, timeout time.Duration, o record.Options, values ...string) {
	b := batch(int64(n.context().Wall), o, values...)
	req := n.parts.NewProduce()
	req.Request, req.Version, req.Acks, req.TimeoutMillis = id, n.w.produceVersion, acks, int32(timeout.Milliseconds())
	req.Frame = edge.NewBuffer(b)
	req.AddPart(worldTopic, meta.TopicID{}, 0, 0, len(b))
	n.parts.Produce(n.context(), req)
	n.flow()
}

// change edits a copy of the registration and publishes nothing.
func (w *world) change(edit func(p *meta.Partition)) {
	image := *w.image
	image.Offset++
	p := *image.Topics[0].Partitions[0]
	p.ISR = slices.Clone(p.ISR)
	edit(&p)
	p.PartitionEpoch++
	image.Topics = []*meta.Topic{{Name: worldTopic, ID: w.topic, Partitions: []*meta.Partition{&p}}}
	w.image = &image
}

func (w *world) changeBroker(id int32, edit func(b *meta.Broker)) {
	image := *w.image
	image.Offset++
	image.Brokers = slices.Clone(image.Brokers)
	b := *image.Brokers[id-1]
	edit(&b)
	image.Brokers[id-1] = &b
	w.image = &image
}

func (w *world) registration() *meta.Partition { return w.image.Topics[0].Partitions[0] }

// publish gives the image to every live node.
func (w *world) publish() {
	for _, n := range w.nodes {
		if !n.down && n.image != w.image {
			n.apply()
		}
	}
}

// alter is the controller's side of AlterPartition.
func (w *world) alter(m *message) {
	req := kmsg.NewPtrAlterPartitionRequest()
	req.Version = m.call.Version
	if err := req.ReadFrom(m.call.Body); err != nil {
		w.t.Fatal(err)
	}
	w.alters++
	resp := kmsg.NewPtrAlterPartitionResponse()
	resp.Version = req.Version
	for _, t := range req.Topics {
		rt := kmsg.NewAlterPartitionResponseTopic()
		rt.TopidID = t.TopicID
		for i := range t.Partitions {
			if !w.omitAlter {
				rt.Partitions = append(rt.Partitions, w.alterPartition(req.BrokerID, &t.Partitions[i]))
			}
		}
		w.omitAlter = false
		resp.Topics = append(resp.Topics, rt)
	}
	if w.image.Brokers[req.BrokerID-1].Epoch != req.BrokerEpoch {
		resp = kmsg.NewPtrAlterPartitionResponse()
		resp.Version, resp.ErrorCode = req.Version, 77
	}
	w.answer(m, resp.AppendTo(nil))
}

func (w *world) alterPartition(broker int32, r *kmsg.AlterPartitionRequestTopicPartition) kmsg.AlterPartitionResponseTopicPartition {
	out := kmsg.NewAlterPartitionResponseTopicPartition()
	out.Partition = r.Partition
	p := w.registration()
	var isr []int32
	for _, e := range r.NewEpochISR {
		b := w.image.Brokers[e.BrokerID-1]
		if b.Fenced || b.InControlledShutdown || e.BrokerEpoch != -1 && e.BrokerEpoch != b.Epoch {
			out.ErrorCode = errIneligibleReplica
		}
		isr = append(isr, e.BrokerID)
	}
	switch {
	case p.Leader != broker, r.LeaderEpoch < p.LeaderEpoch:
		out.ErrorCode = errFencedLeaderEpoch
	case r.PartitionEpoch != p.PartitionEpoch:
		out.ErrorCode = errInvalidUpdateVersion
	}
	if w.refuseAlter != 0 {
		out.ErrorCode = w.refuseAlter
	}
	if out.ErrorCode != 0 {
		return out
	}
	w.change(func(p *meta.Partition) { p.ISR = isr })
	p = w.registration()
	out.LeaderID, out.LeaderEpoch, out.ISR, out.PartitionEpoch = p.Leader, p.LeaderEpoch, p.ISR, p.PartitionEpoch
	return out
}

// elect makes a broker the leader, or nobody (-1).
func (w *world) elect(leader int32) {
	w.change(func(p *meta.Partition) { p.Leader = leader; p.LeaderEpoch++ })
}

// fence takes a broker out of the cluster as the controller does: out of the
// ISR unless it is the last, and away from leadership.
func (w *world) fence(id int32) {
	w.changeBroker(id, func(b *meta.Broker) { b.Fenced = true })
	p := w.registration()
	left := slices.DeleteFunc(slices.Clone(p.ISR), func(m int32) bool { return m == id })
	if len(left) == 0 {
		left = p.ISR
	}
	leader := p.Leader
	if leader == id {
		leader = meta.NoLeader
		for _, m := range left {
			if m != id && !w.image.Brokers[m-1].Fenced {
				leader = m
				break
			}
		}
	}
	w.change(func(q *meta.Partition) {
		q.ISR = left
		if leader != q.Leader {
			q.Leader = leader
			q.LeaderEpoch++
		}
	})
}

// advance lets time pass, firing timers and delivering messages.
func (w *world) advance(d time.Duration) {
	end := w.now.Add(d)
	for i := 0; ; i++ {
		if i > 100000 {
			w.t.Fatalf("timers never end")
		}
		w.run()
		var first *node
		for _, n := range w.nodes {
			if !n.down && n.timers.Next() <= end && (first == nil || n.timers.Next() < first.timers.Next()) {
				first = n
			}
		}
		if first == nil {
			w.now = end
			return
		}
		w.now = max(w.now, first.timers.Next())
		first.fire()
	}
}

func (n *node) fire() {
	id, ok := n.timers.Pop(n.w.now)
	if !ok {
		return
	}
	if id.Owner == step.OwnerLog {
		n.logs.Timer(n.context(), id)
	} else {
		n.parts.Timer(n.context(), id)
	}
	n.flow()
}

func (n *node) partition() *Partition { return n.parts.Get(log.Partition{Topic: worldTopic, Index: 0}) }

func (n *node) state() string {
	if n.down {
		return fmt.Sprintf("%d: down", n.id)
	}
	p := n.partition()
	if p == nil {
		return fmt.Sprintf("%d: no replica", n.id)
	}
	return fmt.Sprintf("%d: %s epoch=%d.%d isr=%v max=%v start=%d hw=%d end=%d", n.id, p.Role(), p.LeaderEpoch(),
		p.PartitionEpoch(), p.ISR(), p.MaximalISR(), p.StartOffset(), p.HighWatermark(), p.EndOffset())
}
