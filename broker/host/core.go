package host

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// stepsPerRoundMax bounds how many events are consumed before what they made
// the machine send is handed to the writers.
const stepsPerRoundMax = 128

// drive is the core's goroutine: it consumes the inbox until the machine ends.
func (h *Host) drive() error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	h.armed = clock.Never
	var r round
	h.event = edge.Event{Kind: edge.EventBoot}
	err := h.step()
	for err == nil && !h.effects.Stopped {
		h.flush()
		h.sleep(timer)
		h.inbox.take(&r)
		err = h.consume(&r)
	}
	h.flush()
	for _, look := range h.inbox.close() {
		look() // the machine stands still; its viewers need not know
	}
	return err
}

// sleep waits for the inbox or for the machine's next wake-up. A timer that is
// set for an earlier moment is left alone: most wishes are later ones, and to wake
// up once for nothing costs less than to set it each time.
func (h *Host) sleep(timer *time.Timer) {
	if h.wake < h.armed {
		wait := h.wake.Sub(h.clock.Now())
		if wait <= 0 {
			select {
			case <-h.inbox.wakeup:
			default:
			}
			return
		}
		timer.Reset(wait)
		h.armed = h.wake
	}
	select {
	case <-h.inbox.wakeup:
	case <-timer.C:
		h.armed = clock.Never
	}
}

// consume lets the machine consume a round.
func (h *Host) consume(r *round) error {
	h.release(r)
	for _, look := range r.views {
		look()
	}
	if r.signals&forcedToStop != 0 {
		return ErrForced
	}
	if r.signals&askedToStop != 0 && !h.stopping {
		h.stopping = true
		h.event = edge.Event{Kind: edge.EventShutdown}
		if err := h.step(); err != nil || h.effects.Stopped {
			return err
		}
	}
	for i := range r.arrivals {
		a := &r.arrivals[i]
		known := h.arrived(a)
		if a.charge > 0 {
			h.memory.giveBack(a.charge)
		}
		if !known {
			continue
		}
		h.event = a.event
		if err := h.step(); err != nil || h.effects.Stopped {
			return err
		}
		if i%stepsPerRoundMax == stepsPerRoundMax-1 {
			h.flush()
		}
	}
	if h.wake <= h.clock.Now() {
		h.event = edge.Event{Kind: edge.EventWake}
		return h.step()
	}
	return nil
}

// release ends the host's ownership of what has been written. Reference counts
// belong to this goroutine.
func (h *Host) release(r *round) {
	for i := range r.returns {
		h.releaseSend(&r.returns[i])
	}
	for i := range r.wrote {
		r.wrote[i].Buffer.Release()
	}
}

func (h *Host) releaseSend(s *edge.Send) {
	for j := range s.Body {
		s.Body[j].Buffer.Release()
	}
	h.effects.GiveBackSend(s)
}

// arrived keeps the table of connections; it tells whether the machine is to
// hear of the event. What still comes of a connection that the machine has
// closed does not concern it any more.
func (h *Host) arrived(a *arrival) bool {
	switch a.event.Kind {
	case edge.EventConnOpened:
		h.conns[a.conn.id] = a.conn
		return true
	case edge.EventConnClosed:
		known := h.conns[a.conn.id] == a.conn
		delete(h.conns, a.conn.id)
		return known
	case edge.EventFrame:
		if h.conns[a.conn.id] != a.conn {
			a.event.Frame.Release()
			return false
		}
	}
	return true
}

func (h *Host) step() error {
	ev, e := &h.event, &h.effects
	ev.Now, ev.Wall = max(h.clock.Now(), h.last), h.clock.Wall()
	h.last = ev.Now
	e.Reset()
	h.machine.Step(ev, e)
	*ev = edge.Event{}
	h.perform()
	if e.Halt != "" {
		return fmt.Errorf("%w: %s", ErrHalted, e.Halt)
	}
	return nil
}

// perform carries out the effects, in the order of their fields.
func (h *Host) perform() {
	e := &h.effects
	for i := range e.Disk {
		h.disk.submit(&e.Disk[i])
	}
	for i := range e.Sends {
		s := &e.Sends[i]
		if c := h.conns[s.Conn]; c != nil {
			h.queue(c, s)
			continue
		}
		h.releaseSend(s)
	}
	for _, d := range e.Dials {
		h.tasks.Go(func() { h.dial(d) })
	}
	for _, id := range e.Close {
		if c := h.conns[id]; c != nil {
			delete(h.conns, id)
			h.hand(c, false) // what was sent with the close or before it leaves first
			c.out.finish()
		}
	}
	h.wake = e.Wake
	for i := range e.Logs {
		h.log.Log(context.Background(), level(e.Logs[i].Severity), e.Logs[i].Text)
	}
}

func level(s edge.Severity) slog.Level {
	switch s {
	case edge.Debug:
		return slog.LevelDebug
	case edge.Info:
		return slog.LevelInfo
	case edge.Warn:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// queue collects frames of a connection until the end of the round: those that
// follow each other leave in one system call.
func (h *Host) queue(c *connection, s *edge.Send) {
	if !c.dirty {
		c.dirty = true
		h.dirty = append(h.dirty, c)
	}
	c.fresh = append(c.fresh, *s)
	*s = edge.Send{}
}

// flush hands to the disk what the round has collected, and then writes what it
// has collected for connections, or hands it to their writers.
func (h *Host) flush() {
	h.disk.kick()
	few := len(h.dirty) <= directConnsMax
	for i, c := range h.dirty {
		c.dirty = false
		h.hand(c, few)
		h.dirty[i] = nil
	}
	h.dirty = h.dirty[:0]
}

// hand writes what the round has collected for a connection, or gives it to its
// writer.
func (h *Host) hand(c *connection, directly bool) {
	begun, done := 0, false
	if directly {
		begun, done = h.writeDirectly(c)
	}
	if !done && !c.out.put(c.fresh, begun, h.limits.SlowClientBytes) && h.conns[c.id] == c {
		h.log.Warn("closing the connection of a client that does not read", "peer", c.peer,
			"bytes", h.limits.SlowClientBytes)
		c.abort() // its reader tells the machine
	}
	clear(c.fresh)
	c.fresh = c.fresh[:0]
	for h.unread.Load() > h.limits.UnreadBytes && h.shedReader() {
	}
}

// shedReader closes the connection of the client for which most waits.
func (h *Host) shedReader() bool {
	var slowest *connection
	most := 0
	for _, c := range h.conns {
		if n := c.out.waiting(); n > most {
			slowest, most = c, n
		}
	}
	if slowest == nil {
		return false
	}
	h.log.Warn("closing a connection: too much waits for all clients, and most for this one", "peer", slowest.peer,
		"bytes", most, "max", h.limits.UnreadBytes)
	slowest.out.abandon()
	slowest.abort() // its reader tells the machine
	return true
}
