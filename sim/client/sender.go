package client

import (
	"encoding/binary"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func putKey(key *[keyBytes]byte, k Key) { binary.BigEndian.PutUint64(key[:], uint64(k.Number())) }

// drainNode is a broker with the partitions that it leads.
type drainNode struct {
	id         int32
	partitions []int32
	turn       int // where the next request begins, so that no partition starves
	ready      bool
}

// leaders sorts the partitions by leader when metadata has changed.
func (p *Producer) leaders() {
	if p.nodesAs == p.meta.version && len(p.nodeOf) == len(p.partitions) {
		return
	}
	p.nodesAs = p.meta.version
	p.nodeOf = p.nodeOf[:0]
	for i := range p.nodes {
		p.nodes[i].partitions = p.nodes[i].partitions[:0]
	}
	for partition := range p.partitions {
		leader := p.meta.partition(0, int32(partition)).leader
		place := int32(-1)
		if leader >= 0 {
			for i := range p.nodes {
				if p.nodes[i].id == leader {
					place = int32(i)
				}
			}
			if place < 0 {
				place = int32(len(p.nodes))
				p.nodes = append(p.nodes, drainNode{id: leader})
			}
			p.nodes[place].partitions = append(p.nodes[place].partitions, int32(partition))
		}
		p.nodeOf = append(p.nodeOf, place)
	}
}

// send makes requests of what is ready, for every broker that can take one.
func (p *Producer) send() {
	if p.queued == 0 {
		return
	}
	p.leaders()
	any := false
	for i := range p.partitions {
		q := &p.partitions[i]
		if len(q.queue) == 0 {
			continue
		}
		if p.nodeOf[i] < 0 {
			p.meta.request()
			continue
		}
		if p.sendable(q) {
			p.nodes[p.nodeOf[i]].ready, any = true, true
		}
	}
	if any {
		for i := range p.nodes {
			node := &p.nodes[i]
			if !node.ready {
				continue
			}
			node.ready = false
			for to := p.net.find(node.id); p.net.ready(to, int(p.settings.MaxInFlight)) && p.drain(node, to); {
			}
		}
	}
	p.meta.maintain()
}

// sendable tells whether the partition's first batch is worth a request: full,
// or lingered enough, and not waiting after an error.
func (p *Producer) sendable(q *partitionQueue) bool {
	b := q.queue[0]
	now := p.net.now
	switch {
	case b.backoffUntil > now || p.mutedByOrder(q):
		return false
	case b.retried || len(q.queue) > 1 || b.closed || p.blocked || p.finishing():
		return true
	}
	return p.lingers() && now.Sub(b.created) >= millis(p.settings.LingerMillis)
}

// mutedByOrder: with one request in flight at a time a partition takes part in
// one only, whichever broker it goes to.
func (p *Producer) mutedByOrder(q *partitionQueue) bool {
	return p.settings.MaxInFlight == 1 && q.flying > 0
}

// queueWake is when a batch becomes sendable by the mere passing of time.
func (p *Producer) queueWake() clock.Instant {
	at := clock.Never
	if p.queued == 0 {
		return at
	}
	for i := range p.partitions {
		q := &p.partitions[i]
		if len(q.queue) == 0 {
			continue
		}
		b := q.queue[0]
		due := b.created.Add(millis(p.settings.LingerMillis))
		switch {
		case b.retried:
			due = b.backoffUntil
		case b.closed || len(q.queue) > 1 || !p.lingers():
			continue // an answer or a connection moves it
		}
		if due > p.net.now {
			at = min(at, due)
		}
	}
	return at
}

// drain makes one request to a broker: a batch of each of its partitions, lingered
// or not, since the request is sent anyway. It returns false if there was none.
func (p *Producer) drain(node *drainNode, to *peer) bool {
	slot := p.slot()
	r := &p.requests[slot]
	size := 0
	n := len(node.partitions)
	for k, start := 0, node.turn; k < n; k++ {
		partition := node.partitions[(start+k)%n]
		q := &p.partitions[partition]
		if len(q.queue) == 0 || p.mutedByOrder(q) {
			continue
		}
		b := q.queue[0]
		if b.backoffUntil > p.net.now || !p.lingers() && !b.closed && !p.finishing() && !p.blocked {
			continue
		}
		if len(r.batches) > 0 && int64(size+b.size) > p.settings.MaxRequestSizeBytes {
			break
		}
		node.turn = (start + k + 1) % n
		if p.settings.EnableIdempotence && p.held(q, b) {
			continue
		}
		q.queue = q.queue[:copy(q.queue, q.queue[1:])]
		p.queued--
		p.board(q, b)
		size += b.view.Bytes
		r.batches = append(r.batches, b)
	}
	if len(r.batches) == 0 {
		p.free = append(p.free, slot)
		return false
	}
	r.used = true
	p.transmit(slot, to)
	return true
}

// board makes a batch ready for the wire.
func (p *Producer) board(q *partitionQueue, b *batch) {
	p.closeAppends(b)
	if p.settings.EnableIdempotence {
		p.assign(q, b)
	}
	if b.buffer == nil {
		p.encoder.encode(b)
	} else {
		p.encoder.refresh(b)
	}
	q.flying++
	b.flying = true
	b.view.Attempts++
	b.view.Now = p.net.now
	leader := p.meta.partition(0, b.view.Partition)
	b.leaderEpoch, b.view.Leader = leader.epoch, leader.leader
	if !b.invoked {
		b.invoked = true
		p.stats.Sent += int64(b.view.Count)
		b.view.Keys = b.keys
		p.observer.Invoked(&b.view)
	}
}

func (p *Producer) slot() uint32 {
	if n := len(p.free); n > 0 {
		s := p.free[n-1]
		p.free = p.free[:n-1]
		return s
	}
	p.requests = append(p.requests, produceRequest{})
	return uint32(len(p.requests) - 1)
}

func (p *Producer) transmit(slot uint32, to *peer) {
	n := &p.net
	r := &p.requests[slot]
	t := &p.meta.topics[0]
	version := max(to.version(kmsg.Produce), wire.ProduceVersionMin)
	if t.id == ([16]byte{}) {
		version = min(version, 12)
	}
	n.correlation++
	h := wire.RequestHeader{Key: wire.KeyProduce, Version: version, CorrelationID: n.correlation, ClientID: n.clientID, HasClientID: true}
	n.out.Sends = append(n.out.Sends, edge.Send{Conn: to.conn})
	s := &n.out.Sends[len(n.out.Sends)-1]
	s.Head = n.out.Head()
	s.Body, s.Pieces = n.out.Body()
	produceFrame(&h, t, int16(p.settings.Acks), int32(p.settings.RequestTimeoutMillis), r.batches, s)
	p.stats.Requests++
	if p.settings.Acks == clientconfig.AcksNone {
		to.lastUsed = n.now
		at := n.now.Add(forgottenAfter)
		p.forgotten = append(p.forgotten, forgotten{slot, at})
		if len(p.forgotten) == 1 {
			n.timers.Set(timer.ID{Owner: ownerClient, Kind: timerForgotten}, at)
		}
		return
	}
	n.flying(to, call{correlation: n.correlation, key: wire.KeyProduce, version: version, kind: callProduce, slot: slot}, n.requestTimeout())
}

// forget ends requests with acks=0: the operating system has them.
func (p *Producer) forget() {
	done := 0
	for done < len(p.forgotten) && p.forgotten[done].at <= p.net.now {
		p.endRequest(p.forgotten[done].slot, codeNone)
		done++
	}
	p.forgotten = p.forgotten[:copy(p.forgotten, p.forgotten[done:])]
	if len(p.forgotten) > 0 {
		p.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerForgotten}, p.forgotten[0].at)
	}
}

// endRequest ends all batches of a request alike.
func (p *Producer) endRequest(slot uint32, code int16) {
	r := &p.requests[slot]
	for i := range r.batches {
		p.complete(r.batches[i], code, -1, -1)
	}
	p.freeRequest(slot)
}

func (p *Producer) freeRequest(slot uint32) {
	r := &p.requests[slot]
	clear(r.batches)
	r.batches, r.used = r.batches[:0], false
	p.free = append(p.free, slot)
}

// produced takes the answer to a Produce.
func (p *Producer) produced(from *peer, c *call, body []byte) {
	resp := &p.response
	resp.Reset(c.version)
	if err := resp.ReadFrom(body); err != nil {
		p.endRequest(c.slot, codeNetworkException)
		p.net.hangUp(from, false)
		return
	}
	p.net.throttle(from, resp.ThrottleMillis)
	for i := range resp.NodeEndpoints {
		e := &resp.NodeEndpoints[i]
		p.meta.endpoint(e.NodeID, e.Host, e.Port, e.Rack.String)
	}
	r := &p.requests[c.slot]
	for i := range r.batches {
		b := r.batches[i]
		a := findAnswer(resp, b.view.Partition)
		if a == nil {
			p.complete(b, codeUnknownServer, -1, -1)
			continue
		}
		if a.ErrorCode != codeNone {
			p.meta.leaderMoved(0, a.Partition, a.CurrentLeader.LeaderID, a.CurrentLeader.LeaderEpoch)
		}
		p.complete(b, a.ErrorCode, a.BaseOffset, a.LogStartOffset)
	}
	p.freeRequest(c.slot)
}

func findAnswer(resp *wire.ProduceResponse, partition int32) *wire.ProducePartitionResponse {
	for i := range resp.Topics {
		for k := range resp.Topics[i].Partitions {
			if a := &resp.Topics[i].Partitions[k]; a.Partition == partition {
				return a
			}
		}
	}
	return nil
}
