package conn

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxInFlightPerConnection bounds the requests of one connection that are
	// being handled. Further frames wait in order. Kafka's own limit is one (it
	// mutes the channel); we start the next request at once and keep only the
	// responses in order, so that a pipelining producer is not slowed to one
	// request a round of replication.
	maxInFlightPerConnection = 64
	// maxWaitingPerConnection bounds the frames that wait behind those. A client
	// that sends more without reading is disconnected.
	maxWaitingPerConnection = 1024
	// maxBytesPerConnection bounds the bytes of the requests that are being
	// handled, beyond the first of them, and of those that wait. No client has so
	// much in flight; one that does wants our memory.
	maxBytesPerConnection = 64 << 20
)

// Table holds the connections of a node and their requests in flight.
type Table struct {
	conns    map[edge.ConnID]*connection
	last     *connection // looked up last; nil after any loss
	slots    []*pending  // of the requests in flight, by the low bits of their ids; nil is free
	vacant   []uint32
	inFlight int
	free     []*pending
	nextID   RequestID
	ready    []*pending // admitted requests that the node has not yet taken
	admitted [kmsg.MaxKey + 1]uint64

	frameBytesMax int64 // of one request
}

type connection struct {
	id       edge.ConnID
	listener edge.Listener
	peer     string
	session  *security.Session
	header   wire.RequestHeader // of the last request: keeps the client id's memory
	order    []*pending         // in flight, in the order of arrival
	held     int64              // bytes of the frames of order that are not answered
	waiting  []*edge.Buffer
	queued   int64 // bytes of waiting
	closed   bool
	muted    bool
	tokens   bool // frames have no headers
}

// full tells whether the next request has to wait.
func (cn *connection) full(next *edge.Buffer) bool {
	return len(cn.order) >= maxInFlightPerConnection || cn.held > 0 && cn.held+int64(next.Len()) > maxBytesPerConnection
}

// pending is a request in flight together with its answer, once there is one.
type pending struct {
	Request
	conn     *connection
	answered bool
	silent   bool // gets no response
	send     edge.Send
}

var _ Responder = (*Table)(nil)

// NewTable returns a table without connections. frameBytesMax is socket.request.max.bytes: a larger request closes its
// connection.
func NewTable(frameBytesMax int64) *Table {
	return &Table{conns: make(map[edge.ConnID]*connection), frameBytesMax: frameBytesMax}
}

// Opened registers an inbound connection.
func (t *Table) Opened(ev *edge.Event) {
	who := security.Anonymous
	if ev.Principal != "" {
		who = security.User(ev.Principal)
	}
	t.conns[ev.Conn] = &connection{id: ev.Conn, listener: ev.Listener, peer: ev.Peer, session: security.NewSession(who, ev.Peer)}
}

// Has tells whether the connection is one of the table's, not an outbound one.
func (t *Table) Has(id edge.ConnID) bool { return t.connection(id) != nil }

func (t *Table) connection(id edge.ConnID) *connection {
	if cn := t.last; cn != nil && cn.id == id {
		return cn
	}
	cn := t.conns[id]
	if cn != nil {
		t.last = cn
	}
	return cn
}

// Len returns the number of open connections.
func (t *Table) Len() int { return len(t.conns) }

// Admitted returns how many requests of an API key have been begun.
func (t *Table) Admitted(key int16) uint64 { return t.admitted[key] }

// InFlight returns the number of requests that have not been answered.
func (t *Table) InFlight() int { return t.inFlight }

// Closed forgets a connection. Its requests in flight are still carried out;
// their answers go nowhere.
func (t *Table) Closed(c *step.Context, id edge.ConnID) {
	cn := t.conns[id]
	if cn == nil {
		return
	}
	delete(t.conns, id)
	t.last = nil
	cn.closed = true
	cn.dropWaiting(c)
	for _, p := range cn.order {
		if p.answered {
			t.recycle(p)
		}
	}
	cn.order = nil
}

// Frame takes a frame that has arrived. A frame that holds no request closes
// the connection. What Frame admits is handed out by Next.
func (t *Table) Frame(c *step.Context, id edge.ConnID, frame *edge.Buffer) {
	cn := t.connection(id)
	if cn == nil {
		dropFrame(c, id, frame)
		return
	}
	if n := int64(len(frame.Bytes())); n > t.frameBytesMax {
		c.Logf(edge.Warn, "closing connection of %s: a request of %d bytes, at most %d", cn.peer, n, t.frameBytesMax)
		t.drop(c, cn)
		dropFrame(c, id, frame)
		return
	}
	if cn.muted {
		dropFrame(c, id, frame)
		return
	}
	if len(cn.waiting) > 0 || cn.full(frame) {
		if len(cn.waiting) >= maxWaitingPerConnection || len(cn.waiting) > 0 && cn.queued+int64(frame.Len()) > maxBytesPerConnection {
			c.Logf(edge.Warn, "closing connection of %s: more than %d requests or %d bytes waiting", cn.peer,
				maxWaitingPerConnection, maxBytesPerConnection)
			t.drop(c, cn)
			dropFrame(c, id, frame)
			return
		}
		cn.waiting = append(cn.waiting, frame)
		cn.queued += int64(frame.Len())
		return
	}
	t.admit(c, cn, frame)
}

// dropFrame gives up the frame of a request that is answered, or never will be.
func dropFrame(c *step.Context, id edge.ConnID, frame *edge.Buffer) {
	c.Out.Settle(id, frame)
	frame.Release()
}

func (cn *connection) dropWaiting(c *step.Context) {
	for _, frame := range cn.waiting {
		dropFrame(c, cn.id, frame)
	}
	cn.waiting = nil
}

// Next hands out the requests that have been admitted, in order. The request
// stays valid until it is answered.
func (t *Table) Next() (*Request, bool) {
	if len(t.ready) == 0 {
		return nil, false
	}
	p := t.ready[0]
	copy(t.ready, t.ready[1:])
	t.ready = t.ready[:len(t.ready)-1]
	return &p.Request, true
}

// Get returns a request in flight, or nil.
func (t *Table) Get(id RequestID) *Request {
	if p := t.find(id); p != nil {
		return &p.Request
	}
	return nil
}

// slotBits is how many bits of a RequestID say where the request is. The others
// count, so that no id comes twice.
const slotBits = 24

func (t *Table) find(id RequestID) *pending {
	if i := int(id & (1<<slotBits - 1)); i < len(t.slots) {
		if p := t.slots[i]; p != nil && p.ID == id {
			return p
		}
	}
	return nil
}

// enter gives a request its id.
func (t *Table) enter(p *pending) {
	var slot uint32
	if n := len(t.vacant); n > 0 {
		slot = t.vacant[n-1]
		t.vacant = t.vacant[:n-1]
	} else {
		slot = uint32(len(t.slots))
		if slot >= 1<<slotBits {
			panic(fmt.Sprintf("conn: %d requests in flight", slot))
		}
		t.slots = append(t.slots, nil)
	}
	t.nextID++
	p.ID = t.nextID<<slotBits | RequestID(slot)
	t.slots[slot] = p
	t.inFlight++
}

func (t *Table) leave(id RequestID) {
	slot := uint32(id & (1<<slotBits - 1))
	t.slots[slot] = nil
	t.vacant = append(t.vacant, slot)
	t.inFlight--
}

func (t *Table) admit(c *step.Context, cn *connection, frame *edge.Buffer) {
	p := t.alloc()
	body, err := cn.parse(frame.Bytes())
	if err != nil {
		c.Logf(edge.Warn, "closing connection of %s: %v", cn.peer, err)
		t.free = append(t.free, p)
		dropFrame(c, cn.id, frame)
		t.drop(c, cn)
		return
	}
	h := &cn.header
	p.Key, p.Version, p.CorrelationID, p.ClientID, p.Body = h.Key, h.Version, h.CorrelationID, h.ClientID, body
	if h.Key >= 0 && h.Key <= kmsg.MaxKey {
		t.admitted[h.Key]++
	}
	t.enter(p)
	p.Conn, p.Listener, p.Peer, p.Session, p.Token = cn.id, cn.listener, cn.peer, cn.session, cn.tokens
	p.Frame, p.Received, p.conn = frame, c.Now, cn
	cn.order = append(cn.order, p)
	cn.held += int64(frame.Len())
	t.ready = append(t.ready, p)
}

// parse splits a frame into the header and what follows it.
func (cn *connection) parse(frame []byte) (body []byte, err error) {
	if cn.tokens {
		cn.header.Key, cn.header.Version, cn.header.CorrelationID = int16(kmsg.SASLAuthenticate), 0, 0
		return frame, nil
	}
	return cn.header.Parse(frame)
}

// Respond implements Responder.
func (t *Table) Respond(c *step.Context, id RequestID, resp kmsg.Response) {
	if t.find(id) == nil {
		return
	}
	head := resp.AppendTo(t.ResponseHead(id, c.Out.Head()))
	t.RespondEncoded(c, id, edge.Send{Head: head})
}

// ResponseHead implements Responder.
func (t *Table) ResponseHead(id RequestID, dst []byte) []byte {
	dst = append(dst, 0, 0, 0, 0)
	if p := t.find(id); p != nil && !p.Token {
		dst = wire.AppendResponseHeader(dst, p.Key, p.Version, p.CorrelationID)
	}
	return dst
}

// RespondEncoded implements Responder.
func (t *Table) RespondEncoded(c *step.Context, id RequestID, send edge.Send) {
	p := t.find(id)
	if p == nil {
		releaseBody(send)
		return
	}
	total := len(send.Head) - 4
	for i := range send.Body {
		total += send.Body[i].Len()
	}
	binary.BigEndian.PutUint32(send.Head, uint32(total))
	p.send = send
	t.answer(c, p)
}

// Listener returns the listener by which a request came.
func (t *Table) Listener(id RequestID) edge.Listener {
	if p := t.find(id); p != nil {
		return p.Listener
	}
	return 0
}

// NoResponse implements Responder.
func (t *Table) NoResponse(c *step.Context, id RequestID) {
	if p := t.find(id); p != nil {
		p.silent = true
		t.answer(c, p)
	}
}

// Disconnect implements Responder.
func (t *Table) Disconnect(c *step.Context, id RequestID) {
	p := t.find(id)
	if p == nil {
		return
	}
	p.silent = true
	cn := p.conn
	t.answer(c, p)
	if !cn.closed {
		t.drop(c, cn)
	}
}

// Mute takes nothing more from a connection that is about to be closed.
func (t *Table) Mute(c *step.Context, id edge.ConnID) {
	cn := t.connection(id)
	if cn == nil {
		return
	}
	cn.muted = true
	cn.dropWaiting(c)
}

// Tokens says whether frames are tokens of SASL without headers from now on.
func (t *Table) Tokens(id edge.ConnID, on bool) {
	if cn := t.connection(id); cn != nil {
		cn.tokens = on
	}
}

// Session returns the session of a connection, or nil.
func (t *Table) Session(id edge.ConnID) *security.Session {
	if cn := t.connection(id); cn != nil {
		return cn.session
	}
	return nil
}

// Close closes a connection once what has been answered is sent.
func (t *Table) Close(c *step.Context, id edge.ConnID) {
	if cn := t.connection(id); cn != nil {
		t.drop(c, cn)
	}
}

// DropAll closes every connection, in the order of their ids: a node that stops.
func (t *Table) DropAll(c *step.Context) {
	ids := make([]edge.ConnID, 0, len(t.conns))
	for id := range t.conns { //lint:maporder sorted below
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	for _, id := range ids {
		t.drop(c, t.conns[id])
	}
}

func (t *Table) drop(c *step.Context, cn *connection) {
	c.Out.Close = append(c.Out.Close, cn.id)
	t.Closed(c, cn.id)
}

// answer marks p as answered and sends what may leave now.
func (t *Table) answer(c *step.Context, p *pending) {
	if p.answered {
		panic(fmt.Sprintf("conn: request %d (key %d) answered twice", p.ID, p.Key))
	}
	p.answered = true
	t.leave(p.ID)
	p.conn.held -= int64(p.Frame.Len())
	dropFrame(c, p.Conn, p.Frame)
	p.Frame, p.Body = nil, nil
	cn := p.conn
	if cn.closed {
		t.recycle(p)
		return
	}
	sent := 0
	for sent < len(cn.order) && cn.order[sent].answered {
		q := cn.order[sent]
		if !q.silent {
			q.send.Conn = cn.id
			c.Out.Sends = append(c.Out.Sends, q.send)
			q.send = edge.Send{}
		}
		t.recycle(q)
		sent++
	}
	cn.order = append(cn.order[:0], cn.order[sent:]...)
	for len(cn.waiting) > 0 && !cn.full(cn.waiting[0]) && !cn.closed {
		frame := cn.waiting[0]
		cn.queued -= int64(frame.Len())
		cn.waiting = append(cn.waiting[:0], cn.waiting[1:]...)
		t.admit(c, cn, frame)
	}
}

func (t *Table) alloc() *pending {
	if n := len(t.free); n > 0 {
		p := t.free[n-1]
		t.free = t.free[:n-1]
		*p = pending{}
		return p
	}
	return new(pending)
}

func (t *Table) recycle(p *pending) {
	releaseBody(p.send)
	*p = pending{}
	t.free = append(t.free, p)
}

func releaseBody(s edge.Send) {
	for i := range s.Body {
		s.Body[i].Buffer.Release()
	}
}
