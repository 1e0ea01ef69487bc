package caller

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Sender is what a component needs to send requests to other nodes.
type Sender interface {
	Send(c *step.Context, call Call)
}

const (
	// maxQueued bounds the calls that wait for one connection to be set up or
	// that are in flight on it. Beyond it calls fail as Disconnected.
	maxQueued = 1024
	// firstBackoff and maxBackoff are reconnect.backoff.ms (50) and its maximum
	// (1000) of Kafka's inter-broker clients.
	firstBackoff = 50 * time.Millisecond
	maxBackoff   = time.Second
	// connectTimeout bounds one attempt: socket.connection.setup.timeout.ms.
	connectTimeout = 10 * time.Second
)

var errUnasked = errors.New("a response that nobody asked for")

// Address is where a node listens for other nodes.
type Address struct {
	Host string
	Port int32
}

// link is one connection to another node, for one channel.
type link struct {
	index   uint32
	to      NodeID
	channel Channel
	dial    edge.DialID // attempt under way
	conn    edge.ConnID // open connection
	queued  []queuedCall
	sent    []sentCall // in flight, in the order of their correlation ids
	backoff time.Duration
	retryAt clock.Instant // no attempt before
	started clock.Instant // of the attempt under way
	// exchange is under way: nothing else is sent meanwhile. reauthAt is when the
	// next one begins, 0 if there is no need.
	exchange sasl.Client
	reauthAt clock.Instant
}

type queuedCall struct {
	Call
	deadline clock.Instant
}

type sentCall struct {
	correlation int32
	key         int16
	version     int16
	token       edge.Token
	deadline    clock.Instant
	exchange    bool // a part of an exchange: there is nobody to tell
}

// Caller keeps the connections of one node to others. Connections are opened
// when a call needs one and stay open.
type Caller struct {
	self        NodeID
	header      wire.RequestHeader // of the last request
	timeout     time.Duration
	brokerLogin Login         // nil: brokers' listener asks for none
	quorumLogin Login         // the same of controllers
	interBroker edge.Listener // of brokers
	quorum      edge.Listener // of controllers
	brokers     map[NodeID]Address
	voters      map[NodeID]Address
	controllers []NodeID // the voters, in configuration order
	active      NodeID   // the controller believed active, or -1
	probe       int      // which voter is asked while it is unknown
	links       []*link
	byTarget    map[target]*link
	byConn      map[edge.ConnID]*link
	byDial      map[edge.DialID]*link
	nextDial    edge.DialID
	correlation int32
	replies     []Reply
}

type target struct {
	to      NodeID
	channel Channel
}

// New returns a caller for node self. timeout is request.timeout.ms.
func New(self NodeID, timeout time.Duration) *Caller {
	return &Caller{
		self: self, header: wire.RequestHeader{ClientID: fmt.Sprintf("broker-%d", self), HasClientID: true}, timeout: timeout, active: -1,
		brokers: make(map[NodeID]Address), voters: make(map[NodeID]Address), byTarget: make(map[target]*link),
		byConn: make(map[edge.ConnID]*link), byDial: make(map[edge.DialID]*link),
	}
}

// SetControllers names the voters of the metadata quorum, which are asked in
// turn while the active one is not known.
func (k *Caller) SetControllers(ids []NodeID) { k.controllers = ids }

// SetListeners says by which of their listeners brokers and controllers are
// reached.
func (k *Caller) SetListeners(brokers, controllers edge.Listener) {
	k.interBroker, k.quorum = brokers, controllers
}

// SetController says where a controller listens.
func (k *Caller) SetController(id NodeID, a Address) { k.voters[id] = a }

// SetBroker says where a broker listens for other brokers. If it has moved, the
// old connections stay until they fail. A node that is both broker and
// controller has two addresses.
func (k *Caller) SetBroker(id NodeID, a Address) { k.brokers[id] = a }

// address is where calls of a channel to a node go.
func (k *Caller) address(t target) (Address, bool) {
	addresses := k.voters
	if t.channel.toBrokers() {
		addresses = k.brokers
	}
	a, ok := addresses[t.to]
	return a, ok
}

// SetActiveController says which controller is active: one that has answered as
// such, or that another named.
func (k *Caller) SetActiveController(id NodeID) { k.active = id }

// ControllerFailed tells that the node that was asked as the active controller
// is not it or did not answer; the next voter is tried. Several parts of a node ask
// at the same time: only a failure of the one that is asked now counts, or those
// who still wait for a dead one would take the others past the living.
func (k *Caller) ControllerFailed(id NodeID) {
	if id != k.Controller() {
		return
	}
	k.active = -1
	if at := slices.Index(k.controllers, id); at >= 0 {
		k.probe = (at + 1) % len(k.controllers)
	}
}

// Controller returns the node that calls to ActiveController go to at present.
func (k *Caller) Controller() NodeID {
	if k.active >= 0 {
		return k.active
	}
	if len(k.controllers) == 0 {
		return -1
	}
	return k.controllers[k.probe]
}

// Send implements Sender.
func (k *Caller) Send(c *step.Context, call Call) {
	if call.To == ActiveController {
		call.To = k.Controller()
	}
	if _, ok := k.address(target{call.To, call.Channel}); !ok {
		k.fail(&call, Unknown)
		return
	}
	if call.Timeout == 0 {
		call.Timeout = k.timeout
	}
	l := k.link(call.To, call.Channel)
	deadline := c.Now.Add(call.Timeout)
	if l.conn != 0 && k.admitted(c, l) {
		k.write(c, l, &call, deadline)
		return
	}
	if len(l.queued) >= maxQueued {
		k.fail(&call, Disconnected)
		return
	}
	call.Body = slices.Clone(call.Body)
	l.queued = append(l.queued, queuedCall{call, deadline})
	k.connect(c, l)
}

func (k *Caller) fail(call *Call, s Status) {
	k.replies = append(k.replies, Reply{Token: call.Token, From: call.To, Key: call.Key, Version: call.Version, Status: s})
}

func (k *Caller) link(to NodeID, ch Channel) *link {
	t := target{to, ch}
	l := k.byTarget[t]
	if l == nil {
		l = &link{index: uint32(len(k.links)), to: to, channel: ch}
		k.links = append(k.links, l)
		k.byTarget[t] = l
	}
	return l
}

// connect starts an attempt unless one is under way or it is too early.
func (k *Caller) connect(c *step.Context, l *link) {
	if l.conn != 0 || l.dial != 0 {
		return
	}
	if c.Now < l.retryAt {
		k.arm(c, l)
		return
	}
	k.nextDial++
	l.dial, l.started = k.nextDial, c.Now
	k.byDial[l.dial] = l
	a, _ := k.address(target{l.to, l.channel})
	listener := k.quorum
	if l.channel.toBrokers() {
		listener = k.interBroker
	}
	c.Out.Dials = append(c.Out.Dials, edge.Dial{ID: l.dial, Host: a.Host, Port: a.Port, Listener: listener})
	k.arm(c, l)
}

// Opened takes the outcome of an attempt; false if it is not one of ours.
func (k *Caller) Opened(c *step.Context, ev *edge.Event) bool {
	l := k.byDial[ev.Dial]
	if l == nil {
		return false
	}
	delete(k.byDial, ev.Dial)
	if l.dial != ev.Dial { // given up meanwhile
		c.Out.Close = append(c.Out.Close, ev.Conn)
		return true
	}
	l.dial, l.conn = 0, ev.Conn
	k.byConn[ev.Conn] = l
	if login := k.login(l); login != nil {
		k.authenticate(c, l, login)
	} else {
		k.flush(c, l)
	}
	return true
}

// flush sends what has waited for a connection.
func (k *Caller) flush(c *step.Context, l *link) {
	l.backoff, l.retryAt = 0, 0
	queued := l.queued
	l.queued = nil
	for i := range queued {
		k.write(c, l, &queued[i].Call, queued[i].deadline)
	}
	k.arm(c, l)
}

// Failed takes a failed attempt; false if it is not one of ours.
func (k *Caller) Failed(c *step.Context, dial edge.DialID) bool {
	l := k.byDial[dial]
	if l == nil {
		return false
	}
	delete(k.byDial, dial)
	if l.dial == dial {
		k.attemptFailed(c, l)
	}
	return true
}

func (k *Caller) attemptFailed(c *step.Context, l *link) {
	l.dial = 0
	k.backOff(c, l)
	k.failQueued(l)
	k.arm(c, l)
}

func (k *Caller) failQueued(l *link) {
	queued := l.queued
	l.queued = nil
	for i := range queued {
		k.fail(&queued[i].Call, Disconnected)
	}
}

// backOff doubles the wait before the next attempt, with a fifth of jitter.
func (k *Caller) backOff(c *step.Context, l *link) {
	l.backoff = min(max(2*l.backoff, firstBackoff), maxBackoff)
	jitter := time.Duration(c.Random.Int64N(int64(l.backoff)*2/5)) - l.backoff/5
	l.retryAt = c.Now.Add(l.backoff + jitter)
}

// Closed takes the loss of a connection; false if it is not one of ours.
func (k *Caller) Closed(c *step.Context, conn edge.ConnID) bool {
	l := k.byConn[conn]
	if l == nil {
		return false
	}
	k.lost(c, l, Disconnected)
	return true
}

func (k *Caller) lost(c *step.Context, l *link, s Status) {
	delete(k.byConn, l.conn)
	l.conn, l.exchange, l.reauthAt = 0, nil, 0
	k.backOff(c, l)
	k.failQueued(l) // what has waited for the exchange
	for i := range l.sent {
		p := &l.sent[i]
		if p.exchange {
			continue
		}
		k.replies = append(k.replies, Reply{Token: p.token, From: l.to, Key: p.key, Version: p.version, Status: s})
	}
	l.sent = l.sent[:0]
	k.arm(c, l)
}

func (k *Caller) write(c *step.Context, l *link, call *Call, deadline clock.Instant) {
	if len(l.sent) >= maxQueued {
		k.fail(call, Disconnected)
		return
	}
	k.correlation++
	k.header.Key, k.header.Version, k.header.CorrelationID = call.Key, call.Version, k.correlation
	head := append(c.Out.Head(), 0, 0, 0, 0)
	head = wire.AppendRequestHeader(head, &k.header, wire.IsFlexible(call.Key, call.Version))
	head = append(head, call.Body...)
	binary.BigEndian.PutUint32(head, uint32(len(head)-4))
	c.Out.Sends = append(c.Out.Sends, edge.Send{Conn: l.conn, Head: head})
	l.sent = append(l.sent, sentCall{k.correlation, call.Key, call.Version, call.Token, deadline, false})
	k.arm(c, l)
}

// Frame takes a response; false if the connection is not one of ours.
func (k *Caller) Frame(c *step.Context, conn edge.ConnID, frame *edge.Buffer) bool {
	l := k.byConn[conn]
	if l == nil {
		return false
	}
	var body []byte
	var p sentCall
	err := errUnasked
	head, pieces, _ := frame.Pieces()
	if len(l.sent) > 0 {
		p = l.sent[0]
		if len(pieces) > 0 && p.key != wire.KeyFetch {
			head = frame.Bytes()
		}
		var correlation int32
		if correlation, body, err = wire.ParseResponseHeader(head, p.key, p.version); err == nil && correlation != p.correlation {
			err = errUnasked
		}
	}
	if err != nil {
		c.Logf(edge.Error, "closing connection to node %d: %v", l.to, err)
		c.Out.Close = append(c.Out.Close, conn)
		frame.Release()
		k.lost(c, l, Disconnected)
		return true
	}
	l.sent = append(l.sent[:0], l.sent[1:]...)
	if p.exchange {
		k.exchanged(c, l, &p, body)
		frame.Release()
		return true
	}
	k.replies = append(k.replies, Reply{
		Token: p.token, From: l.to, Key: p.key, Version: p.version, Body: body, Frame: frame, BodyAt: len(head) - len(body),
	})
	k.arm(c, l)
	return true
}

// TakeReply hands out the replies that have come in, in order. The receiver
// calls Done with each.
func (k *Caller) TakeReply() (Reply, bool) {
	if len(k.replies) == 0 {
		return Reply{}, false
	}
	r := k.replies[0]
	k.replies = append(k.replies[:0], k.replies[1:]...)
	return r, true
}

// Done ends the dispatch of a reply.
func (r *Reply) Done() {
	if r.Frame != nil {
		r.Frame.Release()
	}
}

// arm sets the link's timer to what is due first: the attempt's own time-out,
// the next attempt, or the oldest deadline.
func (k *Caller) arm(c *step.Context, l *link) {
	at := clock.Never
	if l.dial != 0 {
		at = l.started.Add(connectTimeout)
	} else if l.conn == 0 && len(l.queued) > 0 {
		at = l.retryAt
	}
	for i := range l.queued {
		at = min(at, l.queued[i].deadline)
	}
	for i := range l.sent {
		at = min(at, l.sent[i].deadline)
	}
	id := timer.ID{Owner: step.OwnerCaller, A: l.index}
	if at == clock.Never {
		c.Timers.Cancel(id)
		return
	}
	c.Timers.Set(id, at)
}

// Timer handles a due link.
func (k *Caller) Timer(c *step.Context, id timer.ID) {
	l := k.links[id.A]
	if l.dial != 0 && c.Now >= l.started.Add(connectTimeout) {
		k.attemptFailed(c, l)
	}
	for i := range l.sent {
		if c.Now >= l.sent[i].deadline {
			// A late answer could not be told from the next one's delay: Kafka's
			// client closes the connection as well.
			c.Out.Close = append(c.Out.Close, l.conn)
			k.lost(c, l, TimedOut)
			break
		}
	}
	kept := l.queued[:0]
	for i := range l.queued {
		if c.Now >= l.queued[i].deadline {
			k.fail(&l.queued[i].Call, TimedOut)
			continue
		}
		kept = append(kept, l.queued[i])
	}
	l.queued = kept
	if len(l.queued) > 0 {
		k.connect(c, l)
	}
	k.arm(c, l)
}
