package host

import (
	"sync"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// arrival is one event on its way to the core.
type arrival struct {
	event edge.Event
	conn  *connection // of connection events
	// charge is what the event's frame has taken of the memory budget.
	charge int
}

// inbox takes what the other goroutines have for the core. It needs no bound
// of its own: frames are bounded by the memory budget, connections by their
// number, disk results and returns by what the core has submitted.
type inbox struct {
	mu       sync.Mutex
	arrivals []arrival
	returns  []edge.Send  // written, or dropped with their connection
	wrote    []edge.Slice // of disk operations that have ended
	views    []func()
	signals  stopSignal
	closed   bool
	wakeup   chan struct{} // holds a token while there is something to take
}

// stopSignal says what the host has been asked for.
type stopSignal uint8

const (
	askedToStop stopSignal = 1 << iota
	forcedToStop
)

// round is what the core takes out of the inbox at a time.
type round struct {
	arrivals []arrival
	returns  []edge.Send
	wrote    []edge.Slice
	views    []func()
	signals  stopSignal
}

func (b *inbox) init() { b.wakeup = make(chan struct{}, 1) }

func (b *inbox) ring() {
	select {
	case b.wakeup <- struct{}{}:
	default:
	}
}

// push hands over an event.
func (b *inbox) push(a arrival) {
	b.add(a)
	b.ring()
}

// add is push by one who sees to it that the event is taken.
func (b *inbox) add(a arrival) {
	b.mu.Lock()
	b.arrivals = append(b.arrivals, a)
	b.mu.Unlock()
}

// filled tells whether there is something that the core waits for.
func (b *inbox) filled() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.arrivals) > 0 || len(b.views) > 0
}

// finished takes the results of disk operations and the buffers that they have
// written, from one who sees to it that they are taken.
func (b *inbox) finished(results []arrival, wrote []edge.Slice) {
	b.mu.Lock()
	b.arrivals = append(b.arrivals, results...)
	b.wrote = append(b.wrote, wrote...)
	b.mu.Unlock()
}

// giveBack returns the memory of sends. It is no news to the core, which takes
// it up with the next round.
func (b *inbox) giveBack(sends []edge.Send) {
	b.mu.Lock()
	b.returns = append(b.returns, sends...)
	b.mu.Unlock()
}

// signal notes a wish to stop; it tells whether the wish is new.
func (b *inbox) signal(s stopSignal) bool {
	b.mu.Lock()
	fresh := b.signals&s == 0
	b.signals |= s
	b.mu.Unlock()
	b.ring()
	return fresh
}

func (b *inbox) view(look func()) bool {
	b.mu.Lock()
	open := !b.closed
	if open {
		b.views = append(b.views, look)
	}
	b.mu.Unlock()
	b.ring()
	return open
}

// take moves everything to r, which gives its memory in exchange.
func (b *inbox) take(r *round) {
	clear(r.arrivals)
	clear(r.returns)
	clear(r.wrote)
	clear(r.views)
	b.mu.Lock()
	r.arrivals, b.arrivals = b.arrivals, r.arrivals[:0]
	r.returns, b.returns = b.returns, r.returns[:0]
	r.wrote, b.wrote = b.wrote, r.wrote[:0]
	r.views, b.views = b.views, r.views[:0]
	r.signals = b.signals
	b.mu.Unlock()
}

// close ends the inbox for views, and returns those that nobody will run.
func (b *inbox) close() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.views
}
