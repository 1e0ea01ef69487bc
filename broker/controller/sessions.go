package controller

import (
	"cmp"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// session is what only the active controller knows about a broker. A new
// controller gives everybody a fresh one, or a failover would fence the cluster.
type session struct {
	id      int32
	epoch   int64
	contact clock.Instant // last heartbeat or registration
	offset  int64         // the metadata offset that it has reported, -1 for none
	// shutdownOffset is the offset at which its last leadership was given away;
	// the others must have seen it before the broker may go. -1: not yet.
	shutdownOffset int64
}

// sessions are sorted by broker id.
type sessions []session

func (s *sessions) touch(id int32, epoch int64, now clock.Instant) *session {
	i, ok := slices.BinarySearchFunc(*s, id, func(e session, id int32) int { return cmp.Compare(e.id, id) })
	if !ok {
		*s = slices.Insert(*s, i, session{id: id, epoch: epoch, offset: -1, shutdownOffset: -1})
	}
	e := &(*s)[i]
	if e.epoch != epoch {
		*e = session{id: id, epoch: epoch, offset: -1, shutdownOffset: -1}
	}
	e.contact = now
	return e
}

func (s sessions) get(id int32) *session {
	i, ok := slices.BinarySearchFunc(s, id, func(e session, id int32) int { return cmp.Compare(e.id, id) })
	if !ok {
		return nil
	}
	return &s[i]
}

func (k *Controller) activateSessions(c *step.Context) {
	for _, b := range k.active.head.Brokers {
		k.active.sessions.touch(b.ID, b.Epoch, c.Now)
	}
	k.sessionsChanged(c)
}

// alive tells whether a broker's session is valid; a fenced broker has none.
func (k *Controller) alive(b *meta.Broker, now clock.Instant) bool {
	s := k.active.sessions.get(b.ID)
	return !b.Fenced && s != nil && s.epoch == b.Epoch && now.Before(k.sessionEnd(s))
}

func (k *Controller) sessionEnd(s *session) clock.Instant {
	return s.contact.Add(millis(k.cfg.Broker.SessionTimeoutMillis))
}

// sessionsChanged sets the timer to the end of the earliest session. It drops
// the sessions of brokers that are gone.
func (k *Controller) sessionsChanged(c *step.Context) {
	a := k.active
	a.sessions = slices.DeleteFunc(a.sessions, func(s session) bool { return a.head.Broker(s.id) == nil })
	earliest := clock.Never
	for i := range a.sessions {
		if b := a.head.Broker(a.sessions[i].id); !b.Fenced {
			earliest = min(earliest, k.sessionEnd(&a.sessions[i]))
		}
	}
	id := timer.ID{Owner: step.OwnerController, Kind: timerSession}
	if earliest == clock.Never {
		c.Timers.Cancel(id)
		return
	}
	c.Timers.Set(id, earliest)
}

// sessionTimer fences the brokers whose sessions have ended, each with a batch
// of its own.
func (k *Controller) sessionTimer(c *step.Context) {
	if k.active == nil {
		return
	}
	for _, b := range k.active.head.Brokers {
		if b.Fenced || k.alive(b, c.Now) {
			continue
		}
		c.Logf(edge.Info, "controller: fencing broker %d, its session has timed out", b.ID)
		t := k.begin(c)
		t.fence(b)
		k.propose(t)
	}
	k.sessionsChanged(c)
	k.drive(c)
}
