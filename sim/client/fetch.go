package client

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func durationOf(n int) time.Duration { return time.Duration(n) }

// fetchNode is a broker to fetch from, with the fetch session there (KIP-227).
type fetchNode struct {
	id       int32
	inFlight bool
	any      bool          // there is something to fetch from it in this round
	asked    clock.Instant // when the request in flight, or the last one, was sent
	session  int32
	epoch    int32 // of the next request; 0 opens a session
	held     []heldPartition
}

// heldPartition is what the broker's side of the session knows of a partition.
type heldPartition struct {
	in     bool
	wanted bool // by the request being built
	offset int64
	epoch  int32
	last   int32
}

// completedFetch holds records that the application has not been given.
type completedFetch struct {
	partition int          // place in partitions
	records   []edge.Slice // as the frame brought them; from next on they are retained
	next      int
	offset    int64 // position that was asked for
	FetchAnswer
}

// rest is what has not been handed out of the first piece that has any.
func (f *completedFetch) rest() []byte {
	for f.next < len(f.records) {
		if s := &f.records[f.next]; s.Len() > 0 {
			return s.Bytes()
		}
		f.records[f.next].Buffer.Release()
		f.next++
	}
	return nil
}

// handedOut leaves rest of the present piece.
func (f *completedFetch) handedOut(rest []byte) {
	s := &f.records[f.next]
	s.From = s.To - int32(len(rest))
}

// spareFetchesMax bounds the lists of pieces that are kept for reuse.
const spareFetchesMax = 256

func (c *Consumer) complete(n *fetchNode, partition int, records []edge.Slice) {
	f := completedFetch{partition: partition, offset: n.held[partition].offset,
		FetchAnswer: FetchAnswer{Asked: n.asked, Fetched: c.net.now, Broker: n.id, Epoch: n.held[partition].epoch}}
	if n := len(c.spareFetches); n > 0 {
		f.records, c.spareFetches = c.spareFetches[n-1], c.spareFetches[:n-1]
	}
	for i := range records {
		records[i].Buffer.Retain()
	}
	f.records = append(f.records, records...)
	c.completed = append(c.completed, f)
}

// forget gives back what a completed fetch still holds.
func (c *Consumer) forget(f *completedFetch) {
	for ; f.next < len(f.records); f.next++ {
		f.records[f.next].Buffer.Release()
	}
	if len(c.spareFetches) < spareFetchesMax {
		clear(f.records)
		c.spareFetches = append(c.spareFetches, f.records[:0])
	}
	f.records = nil
}

// sessionsForget begins all sessions anew, since partitions have moved in their
// table.
func (c *Consumer) sessionsForget() {
	for i := range c.nodes {
		c.nodes[i].epoch = 0
		c.nodes[i].held = nil
	}
	for i := range c.completed {
		c.forget(&c.completed[i])
	}
	c.completed = c.completed[:0]
	for i := range c.partitions {
		c.partitions[i].buffered = false
	}
}

// discard drops what was fetched of a partition.
func (c *Consumer) discard(p *readPartition) {
	at := c.first[p.topic] + int(p.number)
	kept := c.completed[:0]
	for i := range c.completed {
		if f := &c.completed[i]; f.partition == at {
			c.forget(f)
		} else {
			kept = append(kept, *f)
		}
	}
	c.completed = kept
	p.buffered = false
}

func (c *Consumer) node(id int32) *fetchNode {
	for i := range c.nodes {
		if c.nodes[i].id == id {
			return &c.nodes[i]
		}
	}
	c.nodes = append(c.nodes, fetchNode{id: id})
	return &c.nodes[len(c.nodes)-1]
}

// readFrom is the broker to fetch a partition from: the preferred replica while
// that holds (KIP-392), else the leader; -1 if unknown.
func (c *Consumer) readFrom(p *readPartition) int32 {
	if p.replica >= 0 {
		known := c.meta.find(p.replica) >= 0
		if known && p.replicaUntil > c.net.now {
			return p.replica
		}
		if !known { // the leader, which goes on naming it, knows a later image
			c.meta.request()
		}
		p.replica = -1
	}
	m := c.meta.partition(int(p.topic), p.number)
	if m.leader < 0 {
		c.meta.request()
	}
	return m.leader
}

// fetchable tells whether a partition takes part in the next fetch.
func (c *Consumer) fetchable(p *readPartition) bool {
	return p.assigned && p.state == positionValid && !p.buffered && p.retryAt <= c.net.now
}

// sendFetches sends one fetch to each broker that has none to answer.
func (c *Consumer) sendFetches() {
	for i := range c.partitions {
		p := &c.partitions[i]
		p.from = noBroker
		if !c.fetchable(p) {
			continue
		}
		if p.from = c.readFrom(p); p.from >= 0 {
			c.node(p.from).any = true
		}
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		any := n.any
		n.any = false
		if !any || n.inFlight {
			continue
		}
		if p := c.net.find(n.id); p != nil && c.meta.find(n.id) >= 0 && c.net.ready(p, 1<<30) {
			c.want(n)
			c.fetch(n, p)
		}
	}
}

// want marks what the node is to send.
func (c *Consumer) want(n *fetchNode) {
	for len(n.held) < len(c.partitions) {
		n.held = append(n.held, heldPartition{})
	}
	for i := range c.partitions {
		n.held[i].wanted = c.partitions[i].from == n.id
	}
}

// fetch sends what has changed in the session since the last request.
func (c *Consumer) fetch(n *fetchNode, to *peer) {
	r := &c.request
	version := max(to.version(kmsg.Fetch), wire.FetchVersionMin)
	for i := range c.meta.topics {
		if c.meta.topics[i].id == ([16]byte{}) {
			version = min(version, 12)
		}
	}
	r.Reset(version)
	r.ReplicaID = -1
	r.MaxWaitMillis, r.MinBytes = int32(c.settings.FetchMaxWaitMillis), int32(c.settings.FetchMinBytes)
	r.MaxBytes, r.IsolationLevel = int32(c.settings.FetchMaxBytes), int8(c.settings.Isolation)
	if r.Rack = c.settings.ClientRack; r.Rack == "" {
		r.Rack = c.cfg.Rack
	}
	r.SessionID, r.SessionEpoch = n.session, n.epoch
	full := n.epoch == 0
	total := len(c.partitions)
	var topic *wire.FetchTopic
	last := int32(-1)
	i := c.turn%total - 1
	for range total {
		if i++; i == total {
			i = 0
		}
		p, h := &c.partitions[i], &n.held[i]
		if full {
			h.in = false
		}
		if !h.wanted {
			continue
		}
		if h.in && h.offset == p.position && h.epoch == p.leaderEpoch && h.last == p.epoch {
			continue
		}
		h.in, h.offset, h.epoch, h.last = true, p.position, p.leaderEpoch, p.epoch
		if topic == nil || last != p.topic {
			topic, last = r.AddTopic(c.meta.topics[p.topic].name, c.meta.topics[p.topic].id), p.topic
		}
		f := topic.AddPartition(p.number)
		f.CurrentLeaderEpoch, f.FetchOffset, f.MaxBytes = p.leaderEpoch, p.position, int32(c.settings.MaxPartitionFetchBytes)
		// Consumers leave last.fetched.epoch to OffsetForLeaderEpoch, as Java's do.
	}
	c.forgotten(n, r)
	c.turn++
	c.stats.Fetches++
	n.inFlight, n.asked = true, c.net.now
	net := &c.net
	net.correlation++
	head := wire.RequestHeader{Key: wire.KeyFetch, Version: version, CorrelationID: net.correlation, ClientID: net.clientID, HasClientID: true}
	b := append(net.out.Head(), 0, 0, 0, 0)
	b = r.AppendTo(wire.AppendRequestHeader(b, &head, r.IsFlexible()))
	size := len(b) - wire.FrameLengthBytes
	b[0], b[1], b[2], b[3] = byte(size>>24), byte(size>>16), byte(size>>8), byte(size)
	net.out.Sends = append(net.out.Sends, edge.Send{Conn: to.conn, Head: b})
	net.flying(to, call{correlation: net.correlation, key: wire.KeyFetch, version: version, kind: callFetch, slot: uint32(n.id)}, net.requestTimeout())
}

// forgotten takes out of the session what is not wanted.
func (c *Consumer) forgotten(n *fetchNode, r *wire.FetchRequest) {
	var topic *wire.ForgottenTopic
	last := int32(-1)
	for i := range n.held {
		h := &n.held[i]
		if !h.in || h.wanted {
			continue
		}
		h.in = false
		p := &c.partitions[i]
		if topic == nil || last != p.topic {
			topic, last = r.AddForgotten(c.meta.topics[p.topic].name, c.meta.topics[p.topic].id), p.topic
		}
		topic.Partitions = append(topic.Partitions, p.number)
	}
}

func (c *Consumer) fetchLost(from *peer) {
	n := c.node(from.id)
	// The session may live on: close it while opening another.
	n.inFlight, n.epoch = false, 0
}

// fetched takes the answer to a fetch, whose frame may be in pieces: body is the
// rest of its head.
func (c *Consumer) fetched(from *peer, r *call, body []byte, frame *edge.Buffer) bool {
	n := c.node(from.id)
	n.inFlight = false
	resp := &c.response
	resp.Reset(r.version)
	head, _, _ := frame.Pieces()
	if err := resp.ReadFrame(frame, len(head)-len(body)); err != nil {
		n.epoch = 0
		return false
	}
	c.net.throttle(from, resp.ThrottleMillis)
	for i := range resp.NodeEndpoints {
		e := &resp.NodeEndpoints[i]
		c.meta.endpoint(e.NodeID, e.Host, e.Port, e.Rack.String)
	}
	if resp.ErrorCode != codeNone {
		n.epoch = 0
		if resp.ErrorCode == codeFetchSessionNotFound {
			n.session = 0
		}
		if resp.ErrorCode == codeFetchSessionTopicID || staleMetadata(resp.ErrorCode) {
			c.meta.request()
		}
		return true
	}
	c.sessionAnswered(n, resp.SessionID)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		topic := c.meta.topicByName(t.Topic)
		if r.version >= 13 {
			topic = c.meta.topicByID(t.TopicID)
		}
		if topic < 0 {
			continue
		}
		for k := range t.Partitions {
			if p := c.partition(topic, t.Partitions[k].Partition); p != nil && p.assigned {
				c.fetchedPartition(n, p, &t.Partitions[k])
			}
		}
	}
	return true
}

func (c *Consumer) sessionAnswered(n *fetchNode, id int32) {
	switch {
	case id == 0: // the broker has no room for a session
		n.session, n.epoch = 0, 0
	case n.epoch == 0:
		n.session, n.epoch = id, 1
	case n.epoch == math.MaxInt32:
		n.epoch = 1
	default:
		n.epoch++
	}
}

func (c *Consumer) fetchedPartition(n *fetchNode, p *readPartition, a *wire.FetchPartitionResponse) {
	at := c.first[p.topic] + int(p.number)
	if at >= len(n.held) {
		return
	}
	asked := n.held[at].offset
	if p.state != positionValid || asked != p.position || p.buffered {
		return // the position has moved since
	}
	if a.ErrorCode != codeNone {
		c.fetchFailed(n, p, a)
		return
	}
	p.end = max(a.HighWatermark, -1)
	epoch := p.leaderEpoch
	if n.id != c.meta.partition(int(p.topic), p.number).leader {
		epoch = -1
	}
	c.observer.HighWatermark(c.cfg.Index, c.public(p), a.HighWatermark, epoch)
	if a.PreferredReadReplica >= 0 {
		p.replica, p.replicaUntil = a.PreferredReadReplica, c.net.now.Add(millis(c.net.common.MetadataMaxAgeMillis))
	}
	if len(a.Slices) == 0 {
		return
	}
	p.buffered = true
	c.complete(n, at, a.Slices)
}

func (c *Consumer) fetchFailed(n *fetchNode, p *readPartition, a *wire.FetchPartitionResponse) {
	n.held[c.first[p.topic]+int(p.number)].offset = -1 // sent again in the session
	p.retryAt = c.net.now.Add(millis(c.net.common.RetryBackoffMillis))
	switch a.ErrorCode {
	case codeOffsetOutOfRange:
		if p.replica >= 0 {
			p.replica, p.retryAt = -1, 0 // a follower may lag: ask the leader
			return
		}
		c.reset(p, PositionOutOfRange)
	case codeUnknownLeaderEpoch, codeOffsetNotAvailable:
		if a.ErrorCode == codeOffsetNotAvailable {
			c.meta.request()
		}
	default:
		if c.meta.leaderMoved(int(p.topic), p.number, a.CurrentLeader.LeaderID, a.CurrentLeader.LeaderEpoch) {
			p.retryAt = 0
		}
		p.replica = -1
		c.meta.request()
	}
}

// reset has the position found anew by auto.offset.reset.
func (c *Consumer) reset(p *readPartition, why PositionReason) {
	if c.settings.AutoOffsetReset == clientconfig.ResetNone {
		c.fatal(codeOffsetOutOfRange, "auto.offset.reset is none: "+why.String())
		return
	}
	p.state, p.reason, p.retryAt, p.attempts = positionResetting, why, 0, 0
	c.discard(p)
}

// collect hands out up to max.poll.records.
func (c *Consumer) collect() (records int) {
	limit := int(c.settings.MaxPollRecords)
	for len(c.completed) > 0 && records < limit {
		f := &c.completed[0]
		p := &c.partitions[f.partition]
		n, exhausted := 0, true
		if p.assigned && p.state == positionValid { // else it is fetched again
			n, exhausted = c.handOut(p, f, limit-records)
		}
		records += n
		if !exhausted {
			break
		}
		c.forget(f)
		p.buffered = false
		c.completed = c.completed[:copy(c.completed, c.completed[1:])]
	}
	c.stats.Records += int64(records)
	return records
}

// handOut gives the application up to limit records of one completed fetch.
// Every batch is checked before: CRC, structure, payloads.
func (c *Consumer) handOut(p *readPartition, f *completedFetch, limit int) (records int, exhausted bool) {
	for records < limit {
		batches := f.rest()
		b, rest, err := record.Next(batches)
		if err == record.ErrShort || len(batches) == 0 {
			return records, true // a partial batch at the end is fetched again
		}
		if err != nil {
			c.observer.Corrupt(c.cfg.Index, c.public(p), p.position, err.Error())
			p.retryAt = c.net.now.Add(millis(c.net.common.RetryBackoffMillis))
			return records, true
		}
		if b.NextOffset() <= p.position {
			f.handedOut(rest)
			continue
		}
		s := &f.records[f.next]
		if err := b.CheckCRCAt(s.Buffer, s.From); err != nil {
			c.observer.Corrupt(c.cfg.Index, c.public(p), b.BaseOffset(), err.Error())
		}
		n, done := c.handOutBatch(p, f, b, limit-records)
		records += n
		if done {
			f.handedOut(rest)
			c.passOver(p, f, b)
			p.position, p.epoch = b.NextOffset(), b.LeaderEpoch()
			c.stats.Batches++
		}
	}
	return records, len(f.rest()) == 0
}

// handOutBatch delivers a batch's records from the position on; done tells
// whether it got to the batch's end.
func (c *Consumer) handOutBatch(p *readPartition, f *completedFetch, b record.Batch, limit int) (n int, done bool) {
	if b.Attributes().Control() {
		return 0, true
	}
	if err := c.reader.Reset(b, &c.scratch); err != nil {
		c.observer.Corrupt(c.cfg.Index, c.public(p), b.BaseOffset(), err.Error())
		return 0, true
	}
	d := &c.delivery
	*d = Delivery{Reader: c.cfg.Index, Topic: c.cfg.Topics[p.topic].Index, Partition: p.number, LeaderEpoch: b.LeaderEpoch(), FetchAnswer: f.FetchAnswer, Now: c.net.now}
	c.intended, c.keys = c.intended[:0], c.keys[:0]
	v := &c.payload
	epoch, base, position := b.LeaderEpoch(), b.BaseOffset(), p.position
	for n < limit {
		rec, ok, err := c.reader.Next()
		if err != nil {
			c.observer.Corrupt(c.cfg.Index, c.public(p), b.BaseOffset(), err.Error())
		}
		if !ok {
			done = true
			break
		}
		offset := base + int64(rec.OffsetDelta)
		if offset < position {
			continue
		}
		if problem := v.read(identityOf(rec)); problem != "" {
			c.observer.Corrupt(c.cfg.Index, c.public(p), offset, problem)
			continue
		}
		if v.topic != d.Topic || v.partition != p.number {
			c.observer.Corrupt(c.cfg.Index, c.public(p), offset, "record of another partition")
		}
		if d.Count > 0 && (v.batch != d.BatchID || int32(v.index) != d.FirstIndex+d.Count || offset != d.BaseOffset+int64(d.Count)) {
			c.deliver(d)
		}
		if d.Count == 0 {
			d.BatchID, d.FirstIndex, d.BatchCount, d.BaseOffset = v.batch, int32(v.index), int32(v.count), offset
		}
		d.Count++
		c.intended = appendDue(c.intended, v.intended, 1)
		if c.cfg.Keys {
			c.keys = append(c.keys, keyOf(rec.Key, rec.Value))
		}
		more := c.handOutAlike(d, limit-n-1)
		n += 1 + more
		position = offset + 1 + int64(more)
		p.position, p.epoch = position, epoch
	}
	c.deliver(d)
	return n, done || position >= b.NextOffset()
}

// handOutAlike adds up to limit records to a delivery that continue its last one in
// every respect: nearly all that follow the first of a batch.
func (c *Consumer) handOutAlike(d *Delivery, limit int) int {
	v := &c.payload
	if v.topic != d.Topic || v.partition != d.Partition {
		return 0
	}
	run := c.reader.Alike(int32(min(limit, math.MaxInt32)))
	if run.Count == 0 {
		return 0
	}
	run.Count = v.follow(&run)
	c.reader.Pass(run.Count)
	d.Count += run.Count
	c.intended = appendDue(c.intended, v.intended, run.Count)
	if c.cfg.Keys {
		for i := range run.Count {
			c.keys = append(c.keys, keyOf(run.Key(i), run.Value(i)))
		}
	}
	return int(run.Count)
}

// identityOf is where a record says what it is: its value, or a tombstone's header.
func identityOf(rec *record.Record) []byte {
	if rec.Value == nil && len(rec.Headers) == 1 && string(rec.Headers[0].Key) == identityHeader {
		return rec.Headers[0].Value
	}
	return rec.Value
}

func keyOf(key, value []byte) Key {
	if len(key) != keyBytes {
		return NoKey
	}
	k := Key(binary.BigEndian.Uint64(key))
	if value == nil {
		k |= tombstoneBit
	}
	return k
}

// passOver says that a batch's end has no records, if so.
func (c *Consumer) passOver(p *readPartition, f *completedFetch, b record.Batch) {
	if b.NextOffset() > p.position && !b.Attributes().Control() {
		c.observer.PassedOver(&PassedOver{Reader: c.cfg.Index, Topic: c.cfg.Topics[p.topic].Index, Partition: p.number,
			To: b.NextOffset(), FetchAnswer: f.FetchAnswer})
	}
}

func (c *Consumer) deliver(d *Delivery) {
	if d.Count > 0 {
		d.Intended, d.Keys = c.intended, c.keys
		c.observer.Delivered(d)
		d.Count, c.intended, c.keys = 0, c.intended[:0], c.keys[:0]
	}
}
