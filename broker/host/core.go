package host

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// stepsPerRoundMax bounds how many events are consumed before what they made
// the machine send is handed to the writers.
const stepsPerRoundMax = 128

// drive takes turns until the machine ends. Others take some, too; see prompt.
func (h *Host) drive() error {
	defer h.timer.Stop()
	h.turn.Lock()
	h.event = edge.Event{Kind: edge.EventBoot}
	h.end(h.step())
	h.flush()
	h.arm()
	for !h.ended {
		h.turn.Unlock()
		fired := h.await()
		h.turn.Lock()
		if fired {
			h.armed = clock.Never
		}
		h.takeTurn()
	}
	h.turn.Unlock()
	for _, look := range h.inbox.close() {
		look() // the machine stands still; its viewers need not know
	}
	return h.failure
}

// await waits for the inbox or for the machine's next wake-up; it tells whether
// the timer has fired.
func (h *Host) await() bool {
	if h.inbox.filled() {
		return false // while this goroutine had the turn, or another one
	}
	select {
	case <-h.inbox.wakeup:
		return false
	case <-h.timer.C:
		return true
	}
}

// prompt lets the machine consume what the inbox holds on this goroutine, if
// nobody drives it at the moment. An answer then needs no other goroutine to be
// woken, which on a busy machine takes longer than all else. Somebody who has the
// turn looks into the inbox again when he has given it back.
func (h *Host) prompt() {
	if !h.turn.TryLock() {
		return
	}
	h.takeTurn()
	ended := h.ended
	h.turn.Unlock()
	if ended || h.inbox.filled() {
		h.inbox.ring() // one round is enough for a goroutine that has work of its own
	}
}

// takeTurn consumes a round. The caller has the turn.
func (h *Host) takeTurn() {
	if h.ended {
		return
	}
	h.inbox.take(&h.round)
	h.end(h.consume(&h.round))
	h.flush()
	h.arm()
}

// diskDone hands over what a disk worker has done.
func (h *Host) diskDone(results []arrival, wrote []edge.Slice) {
	h.inbox.finished(results, wrote)
	h.prompt()
}

// end notes whether the machine has come to its end.
func (h *Host) end(failure error) {
	h.failure = failure
	h.ended = failure != nil || h.effects.Stopped
}

// arm sets the timer for the machine's next wake-up. One that is set for an
// earlier moment is left alone: most wishes are later ones, and to wake up once
// for nothing costs less than to set it each time.
func (h *Host) arm() {
	if h.wake < h.armed {
		h.timer.Reset(max(0, h.wake.Sub(h.clock.Now())))
		h.armed = h.wake
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
		if !h.arrived(a) {
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
		known := h.conns[a.conn.id] == a.conn
		switch {
		case !a.event.Inbound:
			h.memory.giveBack(a.charge)
		case !known:
			h.memory.settle(a.charge)
		}
		if !known {
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
	for _, s := range e.Settled {
		h.settle(s)
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

// settle ends the charge of a frame.
func (h *Host) settle(s edge.Settled) {
	charge := s.Bytes + frameOverheadBytes
	h.memory.settle(charge)
	if c := h.conns[s.Conn]; c != nil {
		c.kept.Add(-int64(charge))
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
