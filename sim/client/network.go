package client

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// call is a request in flight. What it means is up to the client: kind and slot
// lead it to the struct that waits.
type call struct {
	correlation int32
	key         int16
	version     int16
	kind        uint8
	slot        uint32
	sent        clock.Instant
	deadline    clock.Instant
}

// peerState is how far a connection has come.
//
//	idle --dial--> dialing --opened--> greeting --ApiVersions answered--> ready
//	any --failed, closed, timed out--> idle, with a wait before the next dial
type peerState uint8

const (
	peerIdle peerState = iota
	peerDialing
	peerGreeting
	peerReady
)

// peer is one connection to a broker, or the wish for one. A group's
// coordinator has a peer of its own beside the broker's, as in the Java client.
type peer struct {
	index uint32 // its place among the peers
	id    int32
	host  string
	port  int32
	state peerState
	dial  edge.DialID
	conn  edge.ConnID

	attemptAt      clock.Instant // of the last dial
	retryAt        clock.Instant // no dial before
	setupDeadline  clock.Instant
	failures       int32 // in a row; until a connection is ready
	setupFailures  int32
	lastUsed       clock.Instant
	throttledUntil clock.Instant
	versions       [apiKeysMax]int16 // what to speak; -1 is unsupported

	calls    []call        // in the order of sending
	callsDue clock.Instant // of the timer that looks after them; Never if it is not set
}

// owner is the client behind a network.
type owner interface {
	// answered: the body, and the frame that it aliases, live during the call.
	// The frame of a fetch may be in pieces; body is then the rest of its head.
	answered(p *peer, c *call, body []byte, frame *edge.Buffer)
	// lost: the connection was closed, by the peer or, when timedOut, by us.
	lost(p *peer, c *call, timedOut bool)
	// closed comes after all lost calls of a connection, and after a failed dial.
	closed(p *peer)
}

// The timers of the network, whose A is the peer's place.
const (
	ownerNetwork uint8 = iota + 1
	ownerMetadata
	ownerClient
)

const (
	timerCalls uint8 = iota + 1
	timerSetup
	timerIdle
	timerReconnect // nothing to do but to look again
)

// peersMax bounds the connections of one client.
const peersMax = 4096

// coordinatorPeer is the id of the connection to a broker as coordinator.
func coordinatorPeer(broker int32) int32 { return 1<<31 - 1 - broker }

// network owns a client's connections: dialing with back-off, the ApiVersions
// handshake, correlation, time-outs. It knows of no API but ApiVersions.
type network struct {
	common   *clientconfig.Common
	clientID string
	owner    owner
	rng      *rand.Rand
	timers   timer.Queue
	current  call // whose answer is being handled

	now  clock.Instant
	wall clock.Wall
	out  *edge.Effects

	peers       []*peer
	dials       edge.DialID
	correlation int32
	disconnects int64
}

const pcgStream = 0x636c69656e74

func newNetwork(id *Identity, common *clientconfig.Common, o owner) network {
	name := common.ClientID
	if name == "" {
		name = id.Name
	}
	return network{common: common, clientID: name, owner: o, rng: rand.New(rand.NewPCG(id.Seed, pcgStream))}
}

// begin takes an event's time and effects.
func (n *network) begin(ev *edge.Event, out *edge.Effects) {
	n.now, n.wall, n.out = ev.Now, ev.Wall, out
}

// handle consumes what concerns connections.
func (n *network) handle(ev *edge.Event) {
	switch ev.Kind {
	case edge.EventConnOpened:
		for i := range n.peers {
			if p := n.peers[i]; p.state == peerDialing && p.dial == ev.Dial {
				n.greet(p, ev.Conn)
				return
			}
		}
		n.out.Close = append(n.out.Close, ev.Conn) // given up meanwhile
	case edge.EventConnFailed:
		for i := range n.peers {
			if p := n.peers[i]; p.state == peerDialing && p.dial == ev.Dial {
				n.drop(p, false)
			}
		}
	case edge.EventConnClosed:
		if p := n.byConn(ev.Conn); p != nil {
			n.drop(p, false)
		}
	case edge.EventFrame:
		if p := n.byConn(ev.Conn); p != nil {
			n.receive(p, ev.Frame)
		}
		ev.Frame.Release()
	}
}

func (n *network) byConn(c edge.ConnID) *peer {
	for i := range n.peers {
		if p := n.peers[i]; p.conn == c && p.state >= peerGreeting {
			return p
		}
	}
	return nil
}

// find returns the peer with that id, or nil.
func (n *network) find(id int32) *peer {
	for i := range n.peers {
		if n.peers[i].id == id {
			return n.peers[i]
		}
	}
	return nil
}

// address makes a peer known, or gives it a new address for its next dial.
func (n *network) address(id int32, host string, port int32) {
	if p := n.find(id); p != nil {
		p.host, p.port = host, port
		return
	}
	if len(n.peers) >= peersMax {
		panic(fmt.Sprintf("client: %d brokers", len(n.peers)))
	}
	n.peers = append(n.peers, &peer{index: uint32(len(n.peers)), id: id, host: host, port: port, callsDue: clock.Never})
}

// ready tells whether a request can be sent now; if not for want of a
// connection, it starts to make one.
func (n *network) ready(p *peer, inFlightMax int) bool {
	if p.state == peerReady {
		return len(p.calls) < inFlightMax && p.throttledUntil <= n.now
	}
	n.connect(p)
	return false
}

// connect dials unless that is under way or too early.
func (n *network) connect(p *peer) {
	if p.state != peerIdle {
		return
	}
	i := p.index
	if p.retryAt > n.now {
		n.timers.Set(timer.ID{Owner: ownerNetwork, Kind: timerReconnect, A: i}, p.retryAt)
		return
	}
	n.dials++
	p.state, p.dial, p.attemptAt = peerDialing, n.dials, n.now
	p.setupDeadline = n.now.Add(n.backoff(n.common.ConnectionSetupTimeoutMillis, n.common.ConnectionSetupTimeoutMaxMillis, p.setupFailures))
	n.timers.Set(timer.ID{Owner: ownerNetwork, Kind: timerSetup, A: i}, p.setupDeadline)
	n.out.Dials = append(n.out.Dials, edge.Dial{ID: p.dial, Host: p.host, Port: p.port})
}

// backoff is KIP-580's: the first wait doubled for each failure, ±20 %, and at
// most the longest.
func (n *network) backoff(firstMillis, maxMillis int64, failures int32) time.Duration {
	wait := firstMillis
	for range failures {
		if wait >= maxMillis {
			break
		}
		wait *= 2
	}
	// Microseconds, so that the jitter of short waits is not rounded away.
	micros := min(wait, max(maxMillis, firstMillis)) * (800_000 + n.rng.Int64N(400_001)) / 1000
	return time.Duration(min(micros, max(maxMillis, firstMillis)*1000)) * time.Microsecond
}

func (n *network) greet(p *peer, c edge.ConnID) {
	i := p.index
	n.timers.Cancel(timer.ID{Owner: ownerNetwork, Kind: timerSetup, A: i})
	p.conn, p.state, p.setupFailures, p.lastUsed = c, peerGreeting, 0, n.now
	n.sendApiVersions(p, apiVersionsVersion)
	if n.common.ConnectionsMaxIdleMillis >= 0 {
		n.timers.Set(timer.ID{Owner: ownerNetwork, Kind: timerIdle, A: i}, n.now.Add(millis(n.common.ConnectionsMaxIdleMillis)))
	}
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// drop ends a connection, or an attempt at one, and tells the owner which calls
// it took with it.
func (n *network) drop(p *peer, timedOut bool) {
	i := p.index
	n.timers.Cancel(timer.ID{Owner: ownerNetwork, Kind: timerSetup, A: i})
	n.timers.Cancel(timer.ID{Owner: ownerNetwork, Kind: timerCalls, A: i})
	p.callsDue = clock.Never
	n.timers.Cancel(timer.ID{Owner: ownerNetwork, Kind: timerIdle, A: i})
	if p.state == peerDialing {
		p.setupFailures++
	}
	calls := p.calls
	p.calls, p.conn, p.dial, p.state = nil, 0, 0, peerIdle
	p.retryAt = p.attemptAt.Add(n.backoff(n.common.ReconnectBackoffMillis, n.common.ReconnectBackoffMaxMillis, p.failures))
	p.failures++
	p.throttledUntil = 0
	n.disconnects++
	for k := range calls {
		if calls[k].key != wire.KeyApiVersions {
			n.owner.lost(p, &calls[k], timedOut)
		}
	}
	n.owner.closed(p)
	if p.calls == nil {
		p.calls = calls[:0]
	}
}

// hangUp closes a connection from our side.
func (n *network) hangUp(p *peer, timedOut bool) {
	if p.conn != 0 {
		n.out.Close = append(n.out.Close, p.conn)
	}
	n.drop(p, timedOut)
}

// due handles the network's timers; others are for the client.
func (n *network) due(id timer.ID) {
	p := n.peers[id.A]
	switch id.Kind {
	case timerSetup:
		n.drop(p, true)
	case timerCalls:
		// The earliest deadline may have been answered meanwhile.
		p.callsDue = clock.Never
		next := clock.Never
		for i := range p.calls {
			next = min(next, p.calls[i].deadline)
		}
		if next <= n.now {
			n.hangUp(p, true)
		} else if next != clock.Never {
			n.setCallsTimer(p, next)
		}
	case timerIdle:
		if at := p.lastUsed.Add(millis(n.common.ConnectionsMaxIdleMillis)); at > n.now || len(p.calls) > 0 {
			n.timers.Set(id, max(at, n.now.Add(time.Second)))
		} else {
			n.hangUp(p, false)
			p.failures = 0
		}
	}
}

// send encodes a request and puts it in flight.
func (n *network) send(p *peer, req kmsg.Request, kind uint8, slot uint32, timeout time.Duration) {
	n.correlation++
	head := wire.AppendRequest(n.out.Head(), n.correlation, n.clientID, req)
	n.out.Sends = append(n.out.Sends, edge.Send{Conn: p.conn, Head: head})
	n.flying(p, call{correlation: n.correlation, key: req.Key(), version: req.GetVersion(), kind: kind, slot: slot}, timeout)
}

func (n *network) flying(p *peer, c call, timeout time.Duration) {
	c.sent, c.deadline = n.now, n.now.Add(timeout)
	p.lastUsed = n.now
	p.calls = append(p.calls, c)
	// A timer that is set already and too early looks again when it is due:
	// the usual request is answered long before, and costs no timer.
	if p.callsDue > c.deadline {
		n.setCallsTimer(p, c.deadline)
	}
}

func (n *network) setCallsTimer(p *peer, at clock.Instant) {
	p.callsDue = at
	n.timers.Set(timer.ID{Owner: ownerNetwork, Kind: timerCalls, A: p.index}, at)
}

// requestTimeout is request.timeout.ms.
func (n *network) requestTimeout() time.Duration { return millis(n.common.RequestTimeoutMillis) }

func (n *network) receive(p *peer, frame *edge.Buffer) {
	head, pieces, _ := frame.Pieces()
	if len(pieces) > 0 && len(p.calls) > 0 && p.calls[0].key != wire.KeyFetch {
		head = frame.Bytes()
	}
	id, err := wire.ResponseCorrelationID(head)
	if err != nil || len(p.calls) == 0 || p.calls[0].correlation != id {
		// Kafka answers in order: whatever this is, it is no answer of ours.
		n.hangUp(p, false)
		return
	}
	n.current = p.calls[0]
	c := &n.current
	p.calls = p.calls[:copy(p.calls, p.calls[1:])]
	p.lastUsed = n.now
	_, body, err := wire.ParseResponseHeader(head, c.key, c.version)
	if err != nil {
		p.calls = append(p.calls, *c) // lost with the connection
		n.hangUp(p, false)
		return
	}
	if c.key == wire.KeyApiVersions {
		n.greeted(p, c, body)
		return
	}
	n.owner.answered(p, c, body, frame)
}

// throttle mutes a peer on our side (KIP-219).
func (n *network) throttle(p *peer, ms int32) {
	if ms <= 0 {
		return
	}
	p.throttledUntil = n.now.Add(millis(int64(ms)))
	n.timers.Set(timer.ID{Owner: ownerNetwork, Kind: timerReconnect, A: p.index}, p.throttledUntil)
}

// leastLoaded returns the peer among brokers to ask something that any of them
// can answer: an idle connection, else the one with the fewest requests in
// flight, else one being made, else one that can be made. any tells whether
// there is hope: a connection or the right to dial.
func (n *network) leastLoaded(brokers []broker, inFlightMax int) (best *peer, any bool) {
	if len(brokers) == 0 {
		return nil, false
	}
	offset := n.rng.IntN(len(brokers))
	var connecting, possible *peer
	inflight := inFlightMax
	for i := range brokers {
		p := n.find(brokers[(offset+i)%len(brokers)].id)
		switch {
		case p.state == peerReady:
			any = true
			if len(p.calls) < inflight && p.throttledUntil <= n.now {
				best, inflight = p, len(p.calls)
			}
		case p.state != peerIdle:
			any = true
			connecting = p
		case p.retryAt <= n.now:
			if any = true; possible == nil || p.attemptAt < possible.attemptAt {
				possible = p
			}
		default:
			// Its timer looks again when it may be dialed.
			n.timers.Set(timer.ID{Owner: ownerNetwork, Kind: timerReconnect, A: p.index}, p.retryAt)
		}
	}
	for _, p := range []*peer{best, connecting, possible} {
		if p != nil {
			return p, true
		}
	}
	return nil, any
}
