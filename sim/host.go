package sim

import (
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// State is what a host is doing.
//
//	Off --Start--> Running <--Resume/Pause--> Paused
//	Running, Paused --Kill, Halt, Stopped--> Exited --Start--> Running
//	any --PowerLoss--> Off
type State uint8

// The states.
const (
	Off     State = iota // no power: nothing but the stable storage is left
	Exited               // the machine's kernel runs, its process does not
	Running              // the process runs
	Paused               // the process is stopped (SIGSTOP, a long GC); the kernel runs
)

func (s State) String() string { return [...]string{"off", "exited", "running", "paused"}[s] }

// BootInfo is what a new process knows besides its disk.
type BootInfo struct {
	Host   netsim.HostID
	Name   string
	Number int    // 1 is the first boot
	Seed   uint64 // for the process's own randomness, another one at each boot
}

// HostConfig says what runs on a host of the topology, which has the same index.
type HostConfig struct {
	// Boot makes the machine of one boot. Whatever it kept of an earlier boot
	// would be a hole in the simulation: only the disk survives. Nil is a host
	// without a process.
	Boot func(BootInfo) edge.Machine
	Disk *disk.Config // nil is no disk; a machine that then uses it is wrong
	Cost Cost         // processing time; the zero value is none
	// RestartAfterExit is when a process that halted, or ended its shutdown, is
	// started again (systemd's RestartSec); zero leaves it down. Kill and
	// PowerLoss have their own Start.
	RestartAfterExit time.Duration
	// StayDown keeps the host off until Start; otherwise it boots at time zero.
	StayDown bool
}

// Cost is the processing time of a machine. It makes a machine a server with a
// queue: an event is consumed at its arrival when the server is idle, and the
// next one waits until the cost of this one has passed. An idle machine thus
// answers at once; a busy one saturates at the rate that the costs allow.
type Cost struct {
	Frame   time.Duration // each frame received
	KiB     time.Duration // each KiB of frames received or sent, read or written
	Send    time.Duration // each frame sent
	Disk    time.Duration // each disk result, and each operation submitted
	Conn    time.Duration // each connection opened, failed or closed
	Wake    time.Duration // each wake-up
	Threads int32         // over which the work is spread evenly; 0 is 1
}

// BrokerCost is a broker process that a single thread drives: about 150,000
// small requests a second, or 2 GB/s.
func BrokerCost() Cost {
	return Cost{Frame: 3 * time.Microsecond, KiB: 400 * time.Nanosecond, Send: 2 * time.Microsecond,
		Disk: time.Microsecond, Conn: 20 * time.Microsecond, Wake: time.Microsecond}
}

// of returns the cost of one step; received is the length of what came with
// the event, which the machine may have released.
func (c *Cost) of(ev *edge.Event, received int, e *edge.Effects) time.Duration {
	var t time.Duration
	bytes := received
	switch ev.Kind {
	case edge.EventFrame:
		t = c.Frame
	case edge.EventDisk:
		t = c.Disk
	case edge.EventWake:
		t = c.Wake
	case edge.EventConnOpened, edge.EventConnFailed, edge.EventConnClosed:
		t = c.Conn
	}
	for i := range e.Sends {
		t += c.Send
		bytes += sendLength(&e.Sends[i])
	}
	for i := range e.Disk {
		t += c.Disk
		for j := range e.Disk[i].Data {
			bytes += e.Disk[i].Data[j].Len()
		}
	}
	t += c.KiB * time.Duration(bytes) / 1024
	if c.Threads > 1 {
		t /= time.Duration(c.Threads)
	}
	return t
}

const million = 1_000_000

// spent returns how long the work of one step takes on a processor of which others
// take their share: with half of it gone, twice as long.
func (h *host) spent(cost time.Duration) time.Duration {
	if h.stress == 0 {
		return cost
	}
	return cost * million / (million - time.Duration(h.stress))
}

// inboxMax bounds the events that wait for a busy or paused machine. Peers'
// limits of requests in flight keep far below it; a simulation that reaches it
// offers load without any such limit, which no TCP window would admit.
const inboxMax = 1 << 20

// arrival is an event on its way to a busy or paused machine.
type arrival struct {
	at    clock.Instant
	event edge.Event
}

// inbox is a ring of waiting events.
type inbox struct {
	ring []arrival
	head int
	n    int
}

func (b *inbox) push(at clock.Instant, ev *edge.Event) {
	if b.n == len(b.ring) {
		if b.n >= inboxMax {
			panic(fmt.Sprintf("sim: %d events wait for one machine, at most %d can", b.n, inboxMax))
		}
		ring := make([]arrival, max(16, 2*b.n))
		for i := range b.n {
			ring[i] = b.ring[(b.head+i)%len(b.ring)]
		}
		b.ring, b.head = ring, 0
	}
	a := &b.ring[(b.head+b.n)%len(b.ring)]
	a.at, a.event = at, *ev
	b.n++
}

// pop moves the first event to ev.
func (b *inbox) pop(ev *edge.Event) {
	a := &b.ring[b.head]
	*ev = a.event
	*a = arrival{}
	b.head = (b.head + 1) % len(b.ring)
	b.n--
}

func (b *inbox) first() clock.Instant {
	if b.n == 0 {
		return clock.Never
	}
	return b.ring[b.head].at
}

// clear forgets what waits.
func (b *inbox) clear() {
	var ev edge.Event
	for b.n > 0 {
		b.pop(&ev)
		releaseEvent(&ev)
	}
}

// releaseEvent gives back what nobody will consume.
func releaseEvent(ev *edge.Event) {
	if ev.Frame != nil {
		ev.Frame.Release()
	}
	if ev.Disk.Data != nil {
		ev.Disk.Data.Release()
	}
}

// host is one machine of the world.
type host struct {
	id      netsim.HostID
	name    string
	cfg     HostConfig
	state   State
	machine edge.Machine
	// inspector is nil of a machine that wants none; verdict is the last one on a
	// request, opinion on an answer, whose memory is used again.
	inspector edge.Inspector
	verdict   edge.Verdict
	opinion   edge.Verdict
	boots     int
	disk      *disk.Disk
	clock     *clock.NodeClock

	inbox     inbox
	busyUntil clock.Instant
	stress    int64         // parts per million of its processor that others take
	wish      clock.Instant // the wake-up wanted, in the node's time
	wake      clock.Instant // the same in true time
	last      clock.Instant // the node's time at its last event
	startAt   clock.Instant // of the next boot
	shutdown  time.Duration // after Stopped: when to start again; negative: as configured
}

// next is when the machine's own source has something to do.
func (h *host) next() clock.Instant {
	if h.state != Running {
		return h.startAt
	}
	at := min(h.inbox.first(), h.wake)
	if at == clock.Never {
		return at
	}
	return max(at, h.busyUntil)
}

// inspect lets the machine's inspector look at a frame before the Step that
// consumes it, as a real host does.
func (h *host) inspect(ev *edge.Event) {
	inspect, used := h.inspector.InspectAnswer, &h.opinion
	if ev.Inbound {
		inspect, used = h.inspector.Inspect, &h.verdict
	}
	if ev.Verdict = inspect(ev.Frame, *used); ev.Verdict != nil {
		*used = ev.Verdict
	}
}
