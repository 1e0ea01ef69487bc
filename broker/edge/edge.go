// Package edge is the border between the core and the world: events come in,
// effects go out, and nothing else passes. The broker's core, and the simulated
// clients, are machines with one method, Step(*Event, *Effects).
//
// The package holds data only. It performs no I/O and knows no Kafka.
package edge

import (
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Machine is anything that a host drives: a broker node, a controller node, a
// simulated client. Step consumes one event and appends what it wants done to
// the effects. It never blocks and never keeps a pointer to either argument.
type Machine interface {
	Step(*Event, *Effects)
}

// ConnID names one connection at one endpoint. The host hands it out, never
// twice within one boot of a machine; zero is no connection.
type ConnID uint64

// DialID names an attempt to connect. The machine chooses it, never twice
// within one boot.
type DialID uint64

// FileID names an open file or a directory of a machine's disk. The machine
// chooses it with OpOpen, never twice within one boot.
type FileID uint32

// QueueID names a sequence of disk operations. Operations of one queue are
// performed, and their results delivered, in the order in which they were
// submitted; different queues may overtake each other. After a failed
// operation the later ones of its queue are still performed.
type QueueID uint32

// EventKind says which fields of an Event are set.
type EventKind uint8

// The kinds of event.
const (
	EventNone       EventKind = iota
	EventBoot                 // first event of a boot: nothing but the disk has survived
	EventWake                 // the instant asked for by Effects.Wake has come
	EventConnOpened           // inbound: Dial is 0 and Listener is set; outbound: Dial names the attempt
	EventConnFailed           // the attempt Dial failed: refused, unreachable or timed out
	EventConnClosed           // the peer closed, or the connection was reset
	EventFrame                // one whole length-prefixed frame, without the prefix, in Frame
	EventDisk                 // a disk operation has ended: Disk
	EventShutdown             // operator asks for a controlled shutdown (SIGTERM)
)

// Event is what the world tells a machine. It is valid during Step only,
// except Frame, which may be kept by retaining it.
type Event struct {
	Kind     EventKind
	Now      clock.Instant // monotonic; never earlier than at the previous Step
	Wall     clock.Wall    // the node's own, possibly wrong, wall clock
	Conn     ConnID
	Dial     DialID
	Listener Listener
	Peer     string // EventConnOpened inbound: the peer's host, without port
	// Principal is set of an inbound EventConnOpened whose peer has shown a
	// certificate that the listener trusts: the subject's name, mapped by
	// ssl.principal.mapping.rules. Empty is a peer that has shown none.
	Principal string
	Frame     *Buffer // EventFrame: owned by the machine from now on (see Buffer)
	// Inbound is set of an EventFrame whose connection the peer has opened. Verdict
	// is what the machine's inspector has found in the frame; see Inspected.
	Inbound bool
	Verdict Verdict
	Disk    DiskResult
}

// Listener is the number of one of a node's listeners, in the order of its
// configuration.
type Listener uint8

// The listeners of a node that has no more than it must.
const (
	ListenerClient     Listener = iota // clients and other brokers
	ListenerController                 // controllers and brokers, for the metadata quorum
)

// Effects is what a machine asks of the world during one Step. The host
// performs them in the order of the fields, each list in its order, and calls
// Reset. Slices keep their capacity.
type Effects struct {
	Disk  []DiskOp
	Sends []Send
	Dials []Dial
	// Settled are frames of connections which the peer has opened that the machine
	// keeps no longer: their requests have been answered, or dropped. Each such
	// frame is settled once, in any order.
	Settled []Settled
	Close   []ConnID // closed after the sends of this step have been handed over
	// Wake is when the machine wants its next EventWake; clock.Never if only
	// other events can move it. Each Step replaces the previous wish.
	Wake clock.Instant
	// Halt, when not empty, ends the process after the effects above: the
	// reason is logged. Kafka halts a broker whose only log directory fails.
	Halt string
	// Stopped says that a controlled shutdown is complete.
	Stopped bool
	Logs    []LogLine

	heads  [][]byte
	bodies [][]Slice
	pieces [][]int32
}

// headsMax bounds the heads that are kept for reuse, and the bodies;
// headBytesMax and bodySlicesMax each of them.
const (
	headsMax      = 256
	headBytesMax  = 64 << 10
	bodySlicesMax = 4 << 10
)

// Head returns an empty slice to encode a Send's Head into.
func (e *Effects) Head() []byte {
	if n := len(e.heads); n > 0 {
		h := e.heads[n-1]
		e.heads = e.heads[:n-1]
		return h[:0]
	}
	return make([]byte, 0, 256)
}

// GiveBack takes a Head that the host has copied or written, for reuse.
func (e *Effects) GiveBack(head []byte) {
	if len(e.heads) < headsMax && cap(head) <= headBytesMax {
		e.heads = append(e.heads, head)
	}
}

// Body returns empty slices to put a Send's Body and Pieces into.
func (e *Effects) Body() ([]Slice, []int32) {
	n := len(e.bodies)
	if n == 0 {
		return make([]Slice, 0, 8), make([]int32, 0, 8)
	}
	body, pieces := e.bodies[n-1], e.pieces[n-1]
	e.bodies, e.pieces = e.bodies[:n-1], e.pieces[:n-1]
	return body[:0], pieces[:0]
}

// GiveBackSend takes the memory of a Send that the host has copied or written,
// for reuse. Its buffers have been released.
func (e *Effects) GiveBackSend(s *Send) {
	e.GiveBack(s.Head)
	if cap(s.Body) > 0 && cap(s.Pieces) > 0 && cap(s.Body) <= bodySlicesMax && len(e.bodies) < headsMax {
		clear(s.Body)
		e.bodies, e.pieces = append(e.bodies, s.Body[:0]), append(e.pieces, s.Pieces[:0])
	}
	s.Head, s.Body, s.Pieces = nil, nil, nil
}

// Reset empties the effects and keeps the memory.
func (e *Effects) Reset() {
	clear(e.Disk)
	clear(e.Sends)
	e.Disk, e.Sends, e.Dials, e.Close, e.Logs = e.Disk[:0], e.Sends[:0], e.Dials[:0], e.Close[:0], e.Logs[:0]
	e.Settled = e.Settled[:0]
	e.Wake, e.Halt, e.Stopped = clock.Never, "", false
}

// Settle notes that a frame is kept no longer.
func (e *Effects) Settle(id ConnID, frame *Buffer) {
	e.Settled = append(e.Settled, Settled{Conn: id, Bytes: frame.Len()})
}

// Settled is a frame that a machine keeps no longer.
type Settled struct {
	Conn  ConnID
	Bytes int // of the frame
}

// Send hands one frame to a connection. Head holds the length prefix, the
// header and all that was encoded; Body, when not empty, follows it on the wire
// without being copied (a writev): the batches of a fetch response. The total
// length in the prefix covers both.
//
// Head belongs to the host from now on, which may give it back to the effects.
// Each Body buffer has been retained for
// the host, which releases it once written.
type Send struct {
	Conn ConnID
	Head []byte
	Body []Slice
	// Pieces says where Body goes: Pieces[i] is the position in Head before
	// which Body[i] is inserted. Positions do not decrease.
	Pieces []int32
}

// Slice is a part of an immutable buffer.
type Slice struct {
	Buffer   *Buffer
	From, To int32
}

// Bytes returns the part. It must not be changed.
func (s Slice) Bytes() []byte { return s.Buffer.Bytes()[s.From:s.To] }

// Len returns the part's length in bytes.
func (s Slice) Len() int { return int(s.To - s.From) }

// Dial asks for a connection to a host by name and port, as listed in the
// cluster metadata or in the configuration.
type Dial struct {
	ID   DialID
	Host string
	Port int32
	// Listener is the machine's own number of the peer's listener: the connection
	// is secured as that one demands, with the key that this node has for it.
	Listener Listener
}

// Severity ranks a log line.
type Severity uint8

// The severities, as in Kafka's log4j files.
const (
	Debug Severity = iota
	Info
	Warn
	Error
)

// LogLine is one line of the node's own log, already formatted.
type LogLine struct {
	Severity Severity
	Text     string
}
