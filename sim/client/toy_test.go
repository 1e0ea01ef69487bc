package client

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// toy is a cluster in memory that checks what Kafka's leaders check of a
// producer, and a world that drives clients against it. Its brokers share one
// log per partition: it has leaders, but no replication to get wrong.
type toy struct {
	now      clock.Instant
	seq      int
	events   toyEvents
	rng      *rand.Rand
	machines []edge.Machine
	wakes    []clock.Instant
	out      edge.Effects
	conns    []*toyConn
	brokers  int
	topics   map[string]*toyTopic
	nextPID  int64
	groups   toyGroups
	trace    func(string)

	// Faults, in parts per thousand of produce and other requests.
	dropBefore, dropAfter, errorsPer int
	move                             int // leaders moved
	batchMax                         int // larger batches are refused; 0 is none
	down                             map[int]bool
	steps                            int
}

type toyTopic struct {
	name       string
	id         [16]byte
	partitions []*toyPartition
}

type toyPartition struct {
	leader, epoch int32
	batches       []record.Batch
	end           int64
	producers     map[int64]*toyProducer
}

type toyProducer struct {
	epoch  int16
	last   int32
	recent []toyAppend
}

type toyAppend struct {
	first, last int32
	offset      int64
}

type toyConn struct {
	machine, broker int
	open            bool
	last            [2]clock.Instant // arrivals are in order, each way
	busy            bool             // a request is being served: the next ones wait
	backlog         [][]byte
}

type toyEvent struct {
	at      clock.Instant
	seq     int
	machine int // -1: a request arrives at a broker
	conn    edge.ConnID
	ev      edge.Event
	request []byte
	call    func()
}

type toyEvents []toyEvent

func (h toyEvents) Len() int { return len(h) }
func (h toyEvents) Less(i, k int) bool {
	return h[i].at < h[k].at || h[i].at == h[k].at && h[i].seq < h[k].seq
}
func (h toyEvents) Swap(i, k int) { h[i], h[k] = h[k], h[i] }
func (h *toyEvents) Push(x any)   { *h = append(*h, x.(toyEvent)) }
func (h *toyEvents) Pop() any {
	x := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return x
}

func newToy(seed uint64, brokers int) *toy {
	return &toy{rng: rand.New(rand.NewPCG(seed, 1)), brokers: brokers, topics: map[string]*toyTopic{}, nextPID: 1000, down: map[int]bool{}}
}

func (w *toy) topic(name string, partitions int) *toyTopic {
	t := &toyTopic{name: name}
	binary.BigEndian.PutUint64(t.id[:], uint64(len(w.topics)+1))
	for i := range partitions {
		t.partitions = append(t.partitions, &toyPartition{leader: int32(1 + i%w.brokers), epoch: 1, producers: map[int64]*toyProducer{}})
	}
	w.topics[name] = t
	return t
}

func (w *toy) addresses() (out []Address) {
	for i := range w.brokers {
		out = append(out, Address{fmt.Sprintf("broker-%d", i+1), 9092})
	}
	return out
}

func (w *toy) add(m edge.Machine) {
	w.machines = append(w.machines, m)
	w.wakes = append(w.wakes, clock.Never)
	w.push(toyEvent{at: w.now, machine: len(w.machines) - 1, ev: edge.Event{Kind: edge.EventBoot}})
}

func (w *toy) push(e toyEvent) {
	w.seq++
	e.seq = w.seq
	heap.Push(&w.events, e)
}

// run goes on until the condition holds or time is over; it returns whether it
// came to hold.
func (w *toy) run(until clock.Instant, done func() bool) bool {
	for !done() {
		wake := -1
		next := clock.Never
		if len(w.events) > 0 {
			next = w.events[0].at
		}
		for i, at := range w.wakes {
			if at < next {
				next, wake = at, i
			}
		}
		if next > until {
			w.now = until
			return false
		}
		if w.steps++; w.steps > 20_000_000 {
			panic("toy: too many steps")
		}
		if next < w.now {
			next = w.now
		}
		w.now = next
		if wake >= 0 {
			w.wakes[wake] = clock.Never
			w.step(wake, &edge.Event{Kind: edge.EventWake})
			continue
		}
		e := heap.Pop(&w.events).(toyEvent)
		if e.call != nil {
			e.call()
			continue
		}
		if e.machine >= 0 {
			if e.conn != 0 && !w.conns[e.conn-1].open && e.ev.Kind == edge.EventFrame {
				continue
			}
			w.step(e.machine, &e.ev)
		} else if c := w.conns[e.conn-1]; c.open && !w.down[c.broker] {
			c.backlog = append(c.backlog, e.request)
			w.next(e.conn, c)
		}
	}
	return true
}

// next serves a connection's next request once the one before is answered, as a
// broker does, which mutes the connection meanwhile.
func (w *toy) next(id edge.ConnID, c *toyConn) {
	for !c.busy && c.open && len(c.backlog) > 0 {
		r := c.backlog[0]
		c.backlog = c.backlog[1:]
		c.busy = true
		w.serve(id, c, r)
	}
}

const toyWall = 1_700_000_000_000

func (w *toy) step(machine int, ev *edge.Event) {
	ev.Now, ev.Wall = w.now, clock.Wall(toyWall+w.now.Millis())
	w.out.Reset()
	w.machines[machine].Step(ev, &w.out)
	w.wakes[machine] = w.out.Wake
	if w.trace != nil {
		w.traced(machine)
	}
	for i := range w.out.Sends {
		w.sent(&w.out.Sends[i])
	}
	for _, d := range w.out.Dials {
		var b int
		if _, err := fmt.Sscanf(d.Host, "broker-%d", &b); err != nil {
			b = 0 // nobody listens there
		}
		at := w.now.Add(w.delay())
		if w.down[b] || b < 1 || b > w.brokers {
			w.push(toyEvent{at: at, machine: machine, ev: edge.Event{Kind: edge.EventConnFailed, Dial: d.ID}})
			continue
		}
		w.conns = append(w.conns, &toyConn{machine: machine, broker: b, open: true, last: [2]clock.Instant{at, at}})
		id := edge.ConnID(len(w.conns))
		w.push(toyEvent{at: at, machine: machine, conn: id, ev: edge.Event{Kind: edge.EventConnOpened, Dial: d.ID, Conn: id}})
	}
	for _, c := range w.out.Close {
		w.conns[c-1].open = false
	}
}

// traced writes a line for everything that a machine has asked for.
func (w *toy) traced(machine int) {
	line := func(format string, args ...any) {
		w.trace(fmt.Sprintf("%9.3fms %d: ", float64(w.now)/1e6, machine) + fmt.Sprintf(format, args...))
	}
	for i := range w.out.Sends {
		s := &w.out.Sends[i]
		key, version := int16(binary.BigEndian.Uint16(s.Head[4:])), binary.BigEndian.Uint16(s.Head[6:])
		line("%s v%d to broker-%d, %d bytes", kmsg.NameForKey(key), version, w.conns[s.Conn-1].broker, binary.BigEndian.Uint32(s.Head))
	}
	for _, d := range w.out.Dials {
		line("dial %s:%d", d.Host, d.Port)
	}
	for _, c := range w.out.Close {
		line("close the connection to broker-%d", w.conns[c-1].broker)
	}
}

func (w *toy) delay() time.Duration { return time.Duration(200+w.rng.IntN(800)) * time.Microsecond }

func (w *toy) sent(s *edge.Send) {
	var frame []byte
	at := 4
	for i := range s.Body {
		frame = append(frame, s.Head[at:s.Pieces[i]]...)
		at = int(s.Pieces[i])
		frame = append(frame, s.Body[i].Bytes()...)
		s.Body[i].Buffer.Release()
	}
	frame = append(frame, s.Head[at:]...)
	if got := int(binary.BigEndian.Uint32(s.Head)); got != len(frame) {
		panic(fmt.Sprintf("toy: frame of %d bytes says %d", len(frame), got))
	}
	c := w.conns[s.Conn-1]
	c.last[0] = max(c.last[0], w.now.Add(w.delay()))
	w.push(toyEvent{at: c.last[0], machine: -1, conn: s.Conn, request: frame})
}

func (w *toy) reply(id edge.ConnID, frame []byte) {
	c := w.conns[id-1]
	c.last[1] = max(c.last[1], w.now.Add(w.delay()))
	w.push(toyEvent{at: c.last[1], machine: c.machine, conn: id, ev: edge.Event{Kind: edge.EventFrame, Conn: id, Frame: edge.NewBuffer(frame[4:])}})
	c.busy = false
	w.push(toyEvent{at: w.now, call: func() { w.next(id, c) }})
}

func (w *toy) cut(id edge.ConnID) {
	c := w.conns[id-1]
	if c.open {
		c.open = false
		w.push(toyEvent{at: max(w.now, c.last[1]), machine: c.machine, ev: edge.Event{Kind: edge.EventConnClosed, Conn: id}})
	}
}

// fail takes a broker down or up.
func (w *toy) fail(broker int, down bool) {
	w.down[broker] = down
	for i, c := range w.conns {
		if down && c.broker == broker {
			w.cut(edge.ConnID(i + 1))
		}
	}
}

func (w *toy) chance(perMille int) bool { return perMille > 0 && w.rng.IntN(1000) < perMille }

func (w *toy) serve(id edge.ConnID, c *toyConn, frame []byte) {
	h, body, err := wire.ParseRequestHeader(frame)
	if err != nil {
		panic(err)
	}
	if h.Key == wire.KeyProduce {
		w.produce(id, c, &h, body)
		return
	}
	if w.chance(w.dropBefore) {
		w.cut(id)
		return
	}
	if h.Key == wire.KeyFetch {
		w.fetch(id, c, &h, body)
		return
	}
	req := kmsg.RequestForKey(h.Key)
	req.SetVersion(h.Version)
	if err := req.ReadFrom(body); err != nil {
		panic(fmt.Sprintf("toy: %s v%d: %v", kmsg.NameForKey(h.Key), h.Version, err))
	}
	resp := req.ResponseKind()
	switch req := req.(type) {
	case *kmsg.ApiVersionsRequest:
		for _, s := range spoken {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MinVersion, k.MaxVersion = s.key, s.min, s.max
			r := resp.(*kmsg.ApiVersionsResponse)
			r.ApiKeys = append(r.ApiKeys, k)
		}
	case *kmsg.MetadataRequest:
		w.metadata(req, resp.(*kmsg.MetadataResponse))
	case *kmsg.InitProducerIDRequest:
		r := resp.(*kmsg.InitProducerIDResponse)
		r.ProducerID, r.ProducerEpoch = w.nextPID, 0
		w.nextPID++
	case *kmsg.CreateTopicsRequest:
		for i := range req.Topics {
			t := kmsg.NewCreateTopicsResponseTopic()
			t.Topic = req.Topics[i].Topic
			if w.topics[t.Topic] == nil {
				w.topic(t.Topic, int(req.Topics[i].NumPartitions))
			} else {
				t.ErrorCode = codeTopicExists
			}
			resp.(*kmsg.CreateTopicsResponse).Topics = append(resp.(*kmsg.CreateTopicsResponse).Topics, t)
		}
	case *kmsg.ElectLeadersRequest:
	default:
		if !w.serveConsumer(id, c, h.CorrelationID, req, resp) {
			panic("toy: unexpected " + kmsg.NameForKey(h.Key))
		}
		return
	}
	w.reply(id, wire.AppendResponse(nil, h.CorrelationID, resp))
}

func (w *toy) metadata(req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) {
	for i := range w.brokers {
		if !w.down[i+1] {
			b := kmsg.NewMetadataResponseBroker()
			b.NodeID, b.Host, b.Port = int32(i+1), fmt.Sprintf("broker-%d", i+1), 9092
			resp.Brokers = append(resp.Brokers, b)
		}
	}
	for i := range req.Topics {
		t := kmsg.NewMetadataResponseTopic()
		t.Topic = req.Topics[i].Topic
		if have := w.topics[*t.Topic]; have == nil {
			t.ErrorCode = codeUnknownTopicPartition
		} else {
			t.TopicID = have.id
			for k, p := range have.partitions {
				x := kmsg.NewMetadataResponseTopicPartition()
				x.Partition, x.Leader, x.LeaderEpoch = int32(k), p.leader, p.epoch
				t.Partitions = append(t.Partitions, x)
			}
		}
		resp.Topics = append(resp.Topics, t)
	}
}

func (w *toy) topicOf(id [16]byte, name string) *toyTopic {
	for _, t := range w.topics {
		if t.id == id || t.name == name {
			return t
		}
	}
	return nil
}

func (w *toy) produce(id edge.ConnID, c *toyConn, h *wire.RequestHeader, body []byte) {
	if w.chance(w.dropBefore) {
		w.cut(id)
		return
	}
	req := wire.ProduceRequest{Version: h.Version}
	if err := req.ReadFrom(body); err != nil {
		panic(err)
	}
	var resp wire.ProduceResponse
	resp.Reset(h.Version)
	for i := range req.Topics {
		t := &req.Topics[i]
		topic := w.topicOf(t.TopicID, t.Topic)
		answer := resp.AddTopic(t.Topic, t.TopicID)
		for k := range t.Partitions {
			a := answer.AddPartition(t.Partitions[k].Partition)
			p := topic.partitions[t.Partitions[k].Partition]
			if w.chance(w.move) {
				p.leader = int32(1 + w.rng.IntN(w.brokers))
				p.epoch++
			}
			switch {
			case p.leader != int32(c.broker):
				a.ErrorCode = codeNotLeader
				if w.rng.IntN(2) == 0 {
					a.CurrentLeader.LeaderID, a.CurrentLeader.LeaderEpoch = p.leader, p.epoch
				}
			case w.batchMax > 0 && len(t.Partitions[k].Records) > w.batchMax:
				a.ErrorCode = codeMessageTooLarge
			case w.chance(w.errorsPer):
				a.ErrorCode = []int16{codeRequestTimedOut, 19, codeNotEnoughReplicasAfter}[w.rng.IntN(3)]
				if a.ErrorCode != 19 && w.rng.IntN(2) == 0 {
					p.append(t.Partitions[k].Records)
				}
			default:
				a.ErrorCode, a.BaseOffset = p.append(t.Partitions[k].Records)
				a.LogStartOffset = 0
			}
		}
	}
	if w.chance(w.dropAfter) {
		w.cut(id)
		return
	}
	if req.Acks != 0 {
		w.reply(id, wire.AppendResponse(nil, h.CorrelationID, &resp))
	} else {
		c.busy = false
	}
}

// append is a leader's check of producer id, epoch and sequence.
func (p *toyPartition) append(records []byte) (code int16, base int64) {
	b, rest, err := record.Next(slices.Clone(records))
	if err != nil || len(rest) > 0 {
		panic(fmt.Sprintf("toy: not one batch: %v", err))
	}
	var scratch record.Scratch
	if err := b.Validate(&scratch, &record.Limits{}); err != nil {
		panic(fmt.Sprintf("toy: %v", err))
	}
	if id := b.ProducerID(); id >= 0 {
		s := p.producers[id]
		switch {
		case s == nil || b.ProducerEpoch() > s.epoch:
			if s != nil && b.BaseSequence() != 0 {
				return codeOutOfOrderSequence, -1
			}
			if s == nil && b.BaseSequence() != 0 {
				return codeOutOfOrderSequence, -1
			}
			s = &toyProducer{epoch: b.ProducerEpoch(), last: -1}
			p.producers[id] = s
		case b.ProducerEpoch() < s.epoch:
			return codeInvalidProducerEpoch, -1
		}
		for _, r := range s.recent {
			if r.first == b.BaseSequence() && r.last == b.LastSequence() {
				return codeNone, r.offset
			}
		}
		if !record.InSequence(s.last, b.BaseSequence()) && !(s.last == -1 && b.BaseSequence() == 0) {
			return codeOutOfOrderSequence, -1
		}
		s.last = b.LastSequence()
		s.recent = append(s.recent, toyAppend{b.BaseSequence(), b.LastSequence(), p.end})
		if len(s.recent) > 5 {
			s.recent = s.recent[1:]
		}
	}
	b.SetBaseOffset(p.end)
	b.SetLeaderEpoch(p.epoch)
	p.batches = append(p.batches, b)
	base = p.end
	p.end += int64(b.Count())
	return codeNone, base
}
