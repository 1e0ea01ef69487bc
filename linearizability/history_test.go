package linearizability

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// A test history is the list of calls that both checkers receive, so that it can
// be mutated and given to a reference that shares nothing with them.

type callKind uint8

const (
	invokeCall callKind = iota
	ackCall
	failCall
	unknownCall
	goneCall
	askCall
	watermarkCall
	readCall
	resetCall
	logStartCall
	drainCall
)

type call struct {
	kind   callKind
	reader int32
	id     BatchID
	base   int64 // also the watermark, the reset target, the log start
	count  int32
	first  int32
	epoch  int32
	flag   bool // acksAll, strict
}

func (c call) String() string {
	name := [...]string{"invoke", "ack", "fail", "unknown", "gone", "ask", "hw", "read", "reset", "logstart", "drained"}[c.kind]
	return fmt.Sprintf("%s c%d %s base=%d count=%d first=%d epoch=%d %v", name, c.reader, c.id, c.base, c.count, c.first, c.epoch, c.flag)
}

func describe(history []call) string {
	var text strings.Builder
	for i, c := range history {
		fmt.Fprintf(&text, "%4d %s\n", i+1, c)
	}
	return text.String()
}

var testPartition = Partition{Topic: 0, Index: 3}

func (c *Checker) apply(history []call) {
	p := testPartition
	for i, x := range history {
		event := uint64(i + 1)
		switch x.kind {
		case invokeCall:
			c.Invoke(p, x.id, x.count, x.flag, event)
		case ackCall:
			c.Acked(p, x.id, x.base, event)
		case failCall:
			c.Failed(p, x.id, event)
		case unknownCall:
			c.Unknown(p, x.id, x.flag, event)
		case goneCall:
			c.Gone(p, x.id, 1, event)
		case askCall:
			c.InvokeRead(x.reader, p, event)
		case watermarkCall:
			c.HighWatermark(x.reader, p, x.base, x.epoch, x.flag, event)
		case readCall:
			c.ReadBatch(x.reader, p, x.base, x.count, x.id, x.first, event)
		case resetCall:
			c.ReaderReset(x.reader, p, x.base, event)
		case logStartCall:
			c.LogStart(p, x.base, RetentionReason, event)
		case drainCall:
			c.Drained(x.reader, p, x.base, event)
		}
	}
}

func (r *Recorder) apply(history []call) {
	for i, x := range history {
		event := uint64(i + 1)
		switch x.kind {
		case invokeCall:
			r.Invoke(x.id, x.count, x.flag, event)
		case ackCall:
			r.Acked(x.id, x.base, event)
		case failCall:
			r.Failed(x.id, event)
		case unknownCall:
			r.Unknown(x.id, x.flag, event)
		case goneCall:
			r.Gone(x.id, event)
		case askCall:
			r.InvokeRead(x.reader, event)
		case watermarkCall:
			r.HighWatermark(x.reader, x.base, x.epoch, x.flag, event)
		case readCall:
			r.ReadBatch(x.reader, x.base, x.count, x.id, x.first, event)
		case resetCall:
			r.ReaderReset(x.reader, x.base, event)
		case logStartCall:
			r.LogStart(x.base, RetentionReason, event)
		case drainCall:
			r.Drained(x.reader, x.base, event)
		}
	}
}

// traits says what a generated history may contain.
type traits struct {
	asserted  Asserted
	steps     int
	producers int
	readers   int
	batchMax  int
	weak      bool // some acks below all, so elections may lose acknowledged records
	repeats   bool // retries are appended again
	retention bool
	forget    int // one ack in so many carries no offset
}

// sent is a batch in the model cluster.
type sent struct {
	id       BatchID
	count    int32
	acksAll  bool
	base     int64
	state    uint8 // queued, in the log, dropped
	answered bool  // the producer has an outcome
	weakAck  bool
}

const (
	queued uint8 = iota
	logged
	dropped
)

type consumer struct {
	position int64
	asking   bool
	askedHW  int64
}

// cluster is a model of one Kafka partition that only produces legal histories.
type cluster struct {
	traits
	r         *rand.Rand
	calls     []call
	batches   []*sent   // in program order of each producer
	log       []*sent   // in offset order
	places    []int64   // base of each entry of log
	next      []uint64  // next sequence of each producer
	queue     [][]*sent // of each producer
	committed int       // entries of log below the true high watermark
	visible   int       // entries below the watermark that the leader tells
	epoch     int32
	logStart  int64
	consumers []consumer
}

const drainReader = 99

func (c *cluster) end(entries int) int64 {
	if entries == 0 {
		return 0
	}
	return c.places[entries-1] + int64(c.log[entries-1].count)
}

func (c *cluster) emit(x call) { c.calls = append(c.calls, x) }

// generate returns a legal history that ends with a drain.
func generate(r *rand.Rand, t traits) []call {
	c := &cluster{traits: t, r: r, next: make([]uint64, t.producers), queue: make([][]*sent, t.producers), consumers: make([]consumer, t.readers)}
	for range t.steps {
		c.step()
	}
	c.settle()
	return c.calls
}

func (c *cluster) step() {
	switch n := c.r.IntN(100); {
	case n < 20:
		c.send()
	case n < 45:
		c.appendNext()
	case n < 57:
		c.commit()
	case n < 72:
		c.answer(false)
	case n < 75:
		c.elect()
	case n < 92:
		c.poll(int32(c.r.IntN(c.readers)))
	case n < 97:
		c.strict(int32(c.r.IntN(c.readers)))
	case n < 98 && c.retention:
		c.retain()
	case n < 99:
		reader := c.r.IntN(c.readers)
		to := c.logStart + c.r.Int64N(c.end(c.visible)+1)
		c.consumers[reader].position = to
		c.emit(call{kind: resetCall, reader: int32(reader), base: to})
	default:
		c.refuse()
	}
}

func (c *cluster) send() {
	p := c.r.IntN(c.producers)
	if len(c.queue[p]) >= 5 {
		return
	}
	c.next[p]++
	b := &sent{id: NewBatchID(uint32(p+1), c.next[p]), count: int32(1 + c.r.IntN(c.batchMax)), base: -1, acksAll: !c.weak || c.r.IntN(3) > 0}
	c.batches = append(c.batches, b)
	c.queue[p] = append(c.queue[p], b)
	c.emit(call{kind: invokeCall, id: b.id, count: b.count, flag: b.acksAll})
}

// appendNext moves the oldest queued batch of a producer into the log.
func (c *cluster) appendNext() {
	p := c.r.IntN(c.producers)
	if len(c.queue[p]) == 0 {
		return
	}
	b := c.queue[p][0]
	c.queue[p] = c.queue[p][1:]
	if b.answered && c.r.IntN(2) == 0 {
		b.state = dropped
		return
	}
	c.push(b)
	if c.repeats && c.r.IntN(6) == 0 {
		c.push(b) // the answer was lost and the retry is appended again
	}
	if !b.acksAll && !b.answered && c.r.IntN(2) == 0 {
		b.answered, b.weakAck = true, true
		c.emit(call{kind: ackCall, id: b.id, base: b.base})
	}
}

func (c *cluster) push(b *sent) {
	base := c.end(len(c.log))
	c.log = append(c.log, b)
	c.places = append(c.places, base)
	b.base, b.state = base, logged
}

func (c *cluster) commit() {
	if c.committed < len(c.log) {
		c.committed += 1 + c.r.IntN(len(c.log)-c.committed)
	}
	if c.visible < c.committed {
		c.visible += 1 + c.r.IntN(c.committed-c.visible)
	}
}

// answer gives an outcome to a batch that has none.
func (c *cluster) answer(last bool) {
	for try := 0; try < 4 && len(c.batches) > 0; try++ {
		at := c.r.IntN(len(c.batches))
		if last {
			at = 0
		}
		b := c.batches[at]
		safe := b.state == logged && b.base < c.end(c.committed)
		switch {
		case b.answered:
		case safe && b.acksAll && c.r.IntN(12) > 0:
			base := b.base
			if c.r.IntN(c.forget) == 0 {
				base = -1 // a duplicate whose first offset is forgotten
			}
			c.emit(call{kind: ackCall, id: b.id, base: base})
		case last || c.r.IntN(6) == 0:
			c.emit(call{kind: unknownCall, id: b.id})
		default:
			continue
		}
		b.answered = true
		c.batches[at] = c.batches[len(c.batches)-1]
		c.batches = c.batches[:len(c.batches)-1]
		return
	}
}

// refuse fails a batch that was never appended.
func (c *cluster) refuse() {
	p := c.r.IntN(c.producers)
	if n := len(c.queue[p]); n > 0 {
		b := c.queue[p][n-1]
		if b.answered || b.base >= 0 {
			return
		}
		b.answered, b.state = true, dropped
		c.queue[p] = c.queue[p][:n-1]
		c.emit(call{kind: failCall, id: b.id})
	}
}

// elect truncates an uncommitted tail, whose producers retry, and makes the new
// leader tell an older high watermark to those who may hear it.
func (c *cluster) elect() {
	c.epoch++
	keep := c.committed + c.r.IntN(len(c.log)-c.committed+1)
	again := map[*sent]bool{}
	var order []*sent
	for i := keep; i < len(c.log); i++ {
		if b := c.log[i]; !again[b] && b.base >= c.end(keep) {
			again[b] = true
			order = append(order, b)
		}
	}
	c.log, c.places = c.log[:keep], c.places[:keep]
	for i := len(order) - 1; i >= 0; i-- {
		b := order[i]
		b.base = -1
		if first := slices.Index(c.log, b); first >= 0 {
			b.base = c.places[first] // only its second copy was truncated
			continue
		}
		if b.answered || b.weakAck {
			b.state = dropped
			continue
		}
		b.state = queued
		p := b.id.Producer() - 1
		c.queue[p] = append([]*sent{b}, c.queue[p]...)
	}
	c.visible = c.r.IntN(c.committed + 1)
}

func (c *cluster) strict(reader int32) {
	k := &c.consumers[reader]
	if !k.asking {
		k.asking, k.askedHW = true, -1
		c.emit(call{kind: askCall, reader: reader})
		return
	}
	if c.visible == c.committed { // otherwise OFFSET_NOT_AVAILABLE
		k.asking = false
		c.emit(call{kind: watermarkCall, reader: reader, base: c.end(c.committed), epoch: c.epoch, flag: true})
	}
}

func (c *cluster) poll(reader int32) {
	k := &c.consumers[reader]
	c.emit(call{kind: watermarkCall, reader: reader, base: c.end(c.visible), epoch: c.epoch})
	if k.position < c.logStart {
		k.position = c.logStart
	}
	c.read(reader, &k.position, 1+c.r.IntN(6), c.visible)
}

// read delivers runs from a position on, sometimes stopping inside a batch.
func (c *cluster) read(reader int32, position *int64, runs, below int) {
	for i := range below {
		b, base := c.log[i], c.places[i]
		end := base + int64(b.count)
		if end <= *position || runs == 0 {
			continue
		}
		runs--
		count := int32(end - *position)
		if count > 1 && c.r.IntN(8) == 0 && reader != drainReader {
			count, runs = int32(1+c.r.IntN(int(count)-1)), 0
		}
		c.emit(call{kind: readCall, reader: reader, id: b.id, base: *position, count: count, first: int32(*position - base)})
		*position += int64(count)
	}
}

func (c *cluster) retain() {
	if c.visible > 0 {
		to := c.places[c.r.IntN(c.visible)]
		if to > c.logStart {
			c.logStart = to
			c.emit(call{kind: logStartCall, base: to})
		}
	}
}

// settle heals everything and drains.
func (c *cluster) settle() {
	for p := range c.queue {
		for len(c.queue[p]) > 0 {
			b := c.queue[p][0]
			c.queue[p] = c.queue[p][1:]
			if b.answered {
				b.state = dropped
			} else {
				c.push(b)
			}
		}
	}
	c.committed, c.visible = len(c.log), len(c.log)
	for len(c.batches) > 0 {
		c.answer(true)
	}
	end := c.end(c.committed)
	c.emit(call{kind: askCall, reader: drainReader})
	c.emit(call{kind: watermarkCall, reader: drainReader, base: end, epoch: c.epoch, flag: true})
	c.emit(call{kind: resetCall, reader: drainReader, base: c.logStart})
	position := c.logStart
	c.read(drainReader, &position, len(c.log), c.committed)
	c.emit(call{kind: drainCall, reader: drainReader, base: end})
}
