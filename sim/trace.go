package sim

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
)

// Trace is the fingerprint of a run: a rolling hash over every event that a
// machine has consumed, what it asked for in return, and everything that was
// done to the hosts. Two runs with equal hashes did the same.
type Trace struct {
	hash        uint64
	events      uint64
	whole       bool // hash all of every frame
	interval    uint64
	checkpoints []Checkpoint
	text        *textTrace // nil unless a full trace is written
}

// Checkpoint is the hash after a number of events.
type Checkpoint struct {
	Events uint64
	Time   clock.Instant
	Hash   uint64
}

const (
	// checkpointInterval is the first distance of checkpoints, in events.
	checkpointInterval = 1 << 20
	// checkpointsMax bounds their number: when it is reached, every second one
	// is dropped and the distance doubles.
	checkpointsMax = 4096
)

func newTrace(seed uint64, whole bool) Trace {
	return Trace{hash: splitmix(seed), whole: whole, interval: checkpointInterval}
}

// Hash returns the hash over all that has happened so far.
func (t *Trace) Hash() uint64 { return t.hash }

// Events returns how many events machines have consumed.
func (t *Trace) Events() uint64 { return t.events }

// Checkpoints returns the checkpoints so far, in order.
func (t *Trace) Checkpoints() []Checkpoint { return t.checkpoints }

// FirstDifference returns the last checkpoint that two runs share and the
// first in which they differ: the event to look for lies between them. ok is
// false if no common checkpoint differs.
func FirstDifference(a, b []Checkpoint) (same, differ Checkpoint, ok bool) {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i].Events < b[j].Events:
			i++
		case a[i].Events > b[j].Events:
			j++
		case a[i] != b[j]:
			return same, a[i], true
		default:
			same = a[i]
			i++
			j++
		}
	}
	return same, differ, false
}

// arrived hashes an event before the machine consumes it.
func (t *Trace) arrived(now clock.Instant, h netsim.HostID, ev *edge.Event) {
	x := mix(t.hash, uint64(now))
	x = mix(x, uint64(h)<<8|uint64(ev.Kind))
	switch ev.Kind {
	case edge.EventFrame:
		x = mix(x, uint64(ev.Conn))
		x = hashFrame(x, ev.Frame, t.whole)
	case edge.EventDisk:
		r := &ev.Disk
		x = mix(x, uint64(r.Err)|uint64(r.Op)<<8|uint64(r.Token.Owner)<<16|uint64(r.Token.Kind)<<24|uint64(r.Token.A)<<32)
		x = mix(x, r.Token.B^uint64(r.Length)<<20)
		if r.Data != nil {
			x = hashFrame(x, r.Data, t.whole)
		}
		for i := range r.Entries {
			x = hashString(x, r.Entries[i].Name)
		}
	case edge.EventConnOpened, edge.EventConnFailed, edge.EventConnClosed:
		x = mix(x, uint64(ev.Conn))
		x = mix(x, uint64(ev.Dial)<<8|uint64(ev.Listener))
	}
	t.hash = x
	t.events++
	if t.text != nil {
		t.text.event(now, h, ev)
	}
}

// answered hashes a summary of what a machine asked for. Contents of sends are
// hashed where they arrive.
func (t *Trace) answered(now clock.Instant, h netsim.HostID, e *edge.Effects) {
	x := mix(t.hash, uint64(e.Wake))
	for i := range e.Disk {
		op := &e.Disk[i]
		x = mix(x, uint64(op.Kind)|uint64(op.Queue)<<8|uint64(op.File)<<40)
		x = mix(x, uint64(op.Offset)^uint64(op.Length)<<32)
	}
	for i := range e.Sends {
		s := &e.Sends[i]
		x = mix(x, uint64(s.Conn)<<32^uint64(sendLength(s)))
	}
	for i := range e.Dials {
		x = hashString(mix(x, uint64(e.Dials[i].ID)), e.Dials[i].Host)
	}
	for _, c := range e.Close {
		x = mix(x, uint64(c)|1<<63)
	}
	if e.Halt != "" || e.Stopped {
		x = hashString(x, e.Halt)
	}
	t.hash = mix(x, uint64(len(e.Disk))|uint64(len(e.Sends))<<16|uint64(len(e.Dials))<<32|uint64(len(e.Logs))<<48)
	if t.text != nil {
		t.text.effects(now, h, e)
	}
	if t.events%t.interval == 0 {
		t.checkpoint(now)
	}
}

// happened hashes what was done to a host, or to the network.
func (t *Trace) happened(now clock.Instant, h netsim.HostID, what string) {
	t.hash = hashString(mix(mix(t.hash, uint64(now)), uint64(h)), what)
	if t.text != nil {
		t.text.note(now, h, what)
	}
}

func (t *Trace) checkpoint(now clock.Instant) {
	t.checkpoints = append(t.checkpoints, Checkpoint{Events: t.events, Time: now, Hash: t.hash})
	if len(t.checkpoints) < checkpointsMax {
		return
	}
	keep := t.checkpoints[:0]
	t.interval *= 2
	for _, c := range t.checkpoints {
		if c.Events%t.interval == 0 {
			keep = append(keep, c)
		}
	}
	t.checkpoints = keep
}

func sendLength(s *edge.Send) int {
	n := len(s.Head)
	for i := range s.Body {
		n += s.Body[i].Len()
	}
	return n
}
