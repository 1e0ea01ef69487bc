// Package sim is the kernel of the simulation: one queue of sources, the hosts
// with their machines, disks and clocks, the network, and the trace.
//
// It owns true time and every decision about what happens next. It never looks
// inside a frame, knows no Kafka, and runs on one goroutine. Everything that
// happens follows from the configuration and the seed.
package sim

import (
	"fmt"
	"io"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// Config describes a world.
type Config struct {
	Seed     uint64
	Topology netsim.Topology // valid (netsim.Topology.Validate)
	Hosts    []HostConfig    // one for each host of the topology
	Start    clock.Wall      // wall time at instant zero
	// Timelines act on the world from outside: faults, load phases, sampling.
	Timelines []Timeline
	Observers []Observer
	// WholeFrames makes the trace hash cover all bytes of all frames.
	WholeFrames bool
	// TraceTo receives a line for everything that happens; nil is none.
	TraceTo io.Writer
}

// Timeline is a source of actions on the world. Among sources that are due at
// the same instant the order is that in which they asked.
type Timeline interface {
	// Next is when Act wants to be called; clock.Never if not any more.
	Next() clock.Instant
	// Act is called at that instant and may use all methods of the world but
	// Run and StepOne. Afterwards Next must be later, or Never.
	Act(now clock.Instant, w *World)
}

// Observer sees everything and changes nothing.
type Observer interface {
	// Stepped is called after each step of a machine and before its effects are
	// performed. Event and effects are valid during the call; ev.Frame still is.
	Stepped(now clock.Instant, h netsim.HostID, ev *edge.Event, e *edge.Effects)
	// Changed is called after a host has changed its state, with the reason.
	Changed(now clock.Instant, h netsim.HostID, s State, why string)
}

// The sources of the queue: first the network, then two for each host, then the
// timelines.
const sourceNetwork = Source(0)

func sourceDisk(h netsim.HostID) Source    { return Source(1 + 2*h) }
func sourceMachine(h netsim.HostID) Source { return Source(2 + 2*h) }

// standingMax bounds the events of one instant.
const standingMax = 1 << 24

// World is one simulated world.
type World struct {
	cfg      Config
	streams  Streams
	queue    *Queue
	clock    *clock.Virtual
	net      *netsim.Network
	hosts    []host
	trace    Trace
	stopped  string
	standing int // events since time has moved

	event   edge.Event // the one being consumed
	effects edge.Effects
	inStep  bool
}

// New builds a world at instant zero. Hosts boot with the first step.
func New(cfg Config) *World {
	if len(cfg.Hosts) != len(cfg.Topology.Hosts) {
		panic(fmt.Sprintf("sim: %d host configurations for %d hosts", len(cfg.Hosts), len(cfg.Topology.Hosts)))
	}
	n := len(cfg.Hosts)
	w := &World{
		cfg: cfg, streams: Streams(cfg.Seed), hosts: make([]host, n), trace: newTrace(cfg.Seed, cfg.WholeFrames),
		queue: NewQueue(1 + 2*n + len(cfg.Timelines)), clock: clock.NewVirtual(cfg.Start, n),
	}
	w.net = netsim.New(cfg.Topology, w.streams.Seed("network", 0))
	names := make([]string, n)
	archive := disk.NewArchive()
	for i := range w.hosts {
		names[i] = cfg.Topology.Hosts[i].Name
		id := netsim.HostID(i)
		w.hosts[i] = host{id: id, name: names[i], cfg: cfg.Hosts[i], state: Exited, clock: w.clock.Node(i),
			wish: clock.Never, wake: clock.Never, startAt: clock.Never}
		h := &w.hosts[i]
		if h.cfg.Disk != nil {
			h.disk = disk.New(*h.cfg.Disk, w.streams.Seed("disk", i))
			h.disk.Share(archive, w.net.Pool())
		}
		if h.cfg.Boot != nil && !h.cfg.StayDown {
			h.startAt = 0
			w.queue.Set(sourceMachine(id), 0)
		}
	}
	for i, t := range cfg.Timelines {
		w.queue.Set(w.sourceTimeline(i), t.Next())
	}
	if cfg.TraceTo != nil {
		w.trace.text = newTextTrace(cfg.TraceTo, names)
	}
	return w
}

func (w *World) sourceTimeline(i int) Source { return Source(1 + 2*len(w.hosts) + i) }

// Now returns the true time.
func (w *World) Now() clock.Instant { return w.clock.Now() }

// Hosts returns the number of hosts.
func (w *World) Hosts() int { return len(w.hosts) }

// Name returns a host's name.
func (w *World) Name(h netsim.HostID) string { return w.hosts[h].name }

// Host returns the host with that name.
func (w *World) Host(name string) (netsim.HostID, bool) { return w.net.Host(name) }

// Zone returns the name of a host's zone.
func (w *World) Zone(h netsim.HostID) string { return w.cfg.Topology.Hosts[h].Zone }

// State returns what a host is doing.
func (w *World) State(h netsim.HostID) State { return w.hosts[h].state }

// Boots returns how often a host's process has been started.
func (w *World) Boots(h netsim.HostID) int { return w.hosts[h].boots }

// Machine returns the process of a host, for observers; nil if none runs.
func (w *World) Machine(h netsim.HostID) edge.Machine { return w.hosts[h].machine }

// Disk returns a host's disk, to read or to disturb it; nil if it has none.
func (w *World) Disk(h netsim.HostID) *disk.Disk { return w.hosts[h].disk }

// Network returns the network, to read or to disturb it.
func (w *World) Network() *netsim.Network { return w.net }

// Streams returns the run's seeds.
func (w *World) Streams() Streams { return w.streams }

// Trace returns the run's fingerprint.
func (w *World) Trace() *Trace { return &w.trace }

// TraceError returns the first error of writing the full trace.
func (w *World) TraceError() error {
	if w.trace.text == nil {
		return nil
	}
	return w.trace.text.err
}

// Stop ends Run after the present event.
func (w *World) Stop(why string) { w.stopped = why }

// Stopped returns why Run was ended; empty if it was not.
func (w *World) Stopped() string { return w.stopped }

// Next returns when something happens next.
func (w *World) Next() clock.Instant {
	_, at := w.queue.Next()
	return at
}

// Run lets everything happen that happens until then, that instant included,
// and leaves the time at it. It returns false if Stop ended it earlier.
func (w *World) Run(until clock.Instant) bool {
	for w.stopped == "" {
		s, at := w.queue.Next()
		if at > until {
			if until != clock.Never {
				w.clock.Advance(until)
			}
			return true
		}
		w.step(s, at)
	}
	return false
}

// StepOne lets the next thing happen. It returns false if nothing ever does.
func (w *World) StepOne() bool {
	s, at := w.queue.Next()
	if at == clock.Never {
		return false
	}
	w.step(s, at)
	return true
}

// TimelineMoved must be called when a timeline's Next has changed other than by
// its Act. It may be called by an observer.
func (w *World) TimelineMoved(t Timeline) {
	for i := range w.cfg.Timelines {
		if w.cfg.Timelines[i] == t {
			w.queue.Set(w.sourceTimeline(i), t.Next())
		}
	}
}

func (w *World) step(s Source, at clock.Instant) {
	now := w.clock.Now()
	if at > now {
		now = at
		w.clock.Advance(now)
		w.standing = 0
	} else if w.standing++; w.standing > standingMax {
		panic(fmt.Sprintf("sim: %d events at %v, the last of source %d: somebody asks for the present again and again",
			w.standing, now, s))
	}
	switch {
	case s == sourceNetwork:
		if d, ok := w.net.Pop(now); ok {
			w.arrive(now, &w.hosts[d.To], &d.Event)
		}
		w.queue.Set(sourceNetwork, w.net.Next())
	case int(s) > 2*len(w.hosts):
		t := w.cfg.Timelines[int(s)-1-2*len(w.hosts)]
		t.Act(now, w)
		if next := t.Next(); next > now {
			w.queue.Set(s, next)
		} else {
			panic(fmt.Sprintf("sim: timeline wants to act at %v again, now is %v", next, now))
		}
		w.networkMoved()
	default:
		h := &w.hosts[(s-1)/2]
		if s == sourceMachine(h.id) {
			w.turn(now, h)
			return
		}
		if r, ok := h.disk.Pop(now); ok {
			ev := edge.Event{Kind: edge.EventDisk, Disk: r}
			w.arrive(now, h, &ev)
		}
		w.queue.Set(s, h.disk.Next())
	}
}

// arrive hands an event to a machine, or to its inbox if it is busy or paused.
func (w *World) arrive(now clock.Instant, h *host, ev *edge.Event) {
	if h.state == Running && h.inbox.n == 0 && h.busyUntil <= now {
		w.event = *ev
		w.consume(now, h)
		return
	}
	if h.state != Running && h.state != Paused {
		releaseEvent(ev)
		return
	}
	h.inbox.push(now, ev)
	w.machineMoved(h)
}

// turn is the machine's own source: a boot, a wake-up, or the next event of
// the inbox, whichever was due first.
func (w *World) turn(now clock.Instant, h *host) {
	switch {
	case h.state != Running:
		w.boot(now, h)
	case h.inbox.first() <= h.wake:
		h.inbox.pop(&w.event)
		w.consume(now, h)
	default:
		h.wish, h.wake = clock.Never, clock.Never
		w.event = edge.Event{Kind: edge.EventWake}
		w.consume(now, h)
	}
}

// consume lets the machine consume w.event and performs what it asks for.
func (w *World) consume(now clock.Instant, h *host) {
	if w.inStep {
		panic("sim: a machine steps within another one's step")
	}
	w.inStep = true
	ev, e := &w.event, &w.effects
	ev.Now, ev.Wall = h.clock.Now(now), h.clock.Wall(now)
	if ev.Now < h.last {
		panic(fmt.Sprintf("sim: monotonic time of %s went back from %v to %v", h.name, h.last, ev.Now))
	}
	h.last = ev.Now
	frame := ev.Frame
	length := 0
	if frame != nil {
		length = frame.Len()
		frame.Retain() // for the observers; the machine may release its own
	}
	if ev.Disk.Data != nil {
		length = ev.Disk.Data.Len()
	}
	w.trace.arrived(now, h.id, ev)
	if frame != nil && h.inspector != nil {
		h.inspect(ev)
	}
	e.Reset()
	h.machine.Step(ev, e)
	w.trace.answered(now, h.id, e)
	for _, o := range w.cfg.Observers {
		o.Stepped(now, h.id, ev, e)
	}
	if frame != nil {
		frame.Release()
	}
	h.busyUntil = now.Add(h.spent(h.cfg.Cost.of(ev, length, e)))
	*ev = edge.Event{}
	w.inStep = false
	w.perform(now, h, e)
}

// perform carries out a machine's effects, in the order of their fields.
func (w *World) perform(now clock.Instant, h *host, e *edge.Effects) {
	if len(e.Disk) > 0 {
		if h.disk == nil {
			panic(fmt.Sprintf("sim: %s has no disk and asks for %v", h.name, e.Disk[0].Kind))
		}
		for i := range e.Disk {
			h.disk.Submit(now, &e.Disk[i])
		}
		w.queue.Set(sourceDisk(h.id), h.disk.Next())
	}
	if len(e.Sends)+len(e.Dials)+len(e.Close) > 0 {
		for i := range e.Sends {
			w.net.Send(now, h.id, &e.Sends[i])
			e.GiveBackSend(&e.Sends[i])
		}
		for i := range e.Dials {
			w.net.Dial(now, h.id, e.Dials[i])
		}
		for _, c := range e.Close {
			w.net.Close(now, h.id, c)
		}
		w.networkMoved()
	}
	h.wish, h.wake = e.Wake, h.clock.True(e.Wake)
	switch {
	case e.Halt != "":
		w.exit(now, h, "halted: "+e.Halt, h.cfg.RestartAfterExit)
	case e.Stopped:
		after := h.shutdown
		if after < 0 {
			after = h.cfg.RestartAfterExit
		}
		w.exit(now, h, "stopped", after)
	default:
		w.machineMoved(h)
	}
}

func (w *World) machineMoved(h *host) { w.queue.Set(sourceMachine(h.id), h.next()) }
func (w *World) networkMoved()        { w.queue.Set(sourceNetwork, w.net.Next()) }
