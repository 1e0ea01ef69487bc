package sim

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// textTrace writes one line per event, and one per effect, log line and fault.
// It is for people and for finding the first difference of two runs; the hash
// does not depend on it.
type textTrace struct {
	w       io.Writer
	line    []byte
	names   []string
	inbound map[connOf]bool // connections on which requests arrive
	err     error
}

type connOf struct {
	host netsim.HostID
	conn edge.ConnID
}

func newTextTrace(w io.Writer, names []string) *textTrace {
	return &textTrace{w: w, names: names, inbound: map[connOf]bool{}}
}

func (t *textTrace) start(now clock.Instant, h netsim.HostID) {
	name := "*"
	if h >= 0 {
		name = t.names[h]
	}
	t.line = fmt.Appendf(t.line[:0], "%d.%09d %s ", now/1e9, now%1e9, name)
}

func (t *textTrace) end() {
	t.line = append(t.line, '\n')
	if t.err == nil {
		_, t.err = t.w.Write(t.line)
	}
}

func (t *textTrace) note(now clock.Instant, h netsim.HostID, what string) {
	t.start(now, h)
	t.line = append(t.line, what...)
	t.end()
}

func (t *textTrace) event(now clock.Instant, h netsim.HostID, ev *edge.Event) {
	t.start(now, h)
	key := connOf{h, ev.Conn}
	switch ev.Kind {
	case edge.EventBoot:
		t.line = append(t.line, "boot"...)
	case edge.EventWake:
		t.line = append(t.line, "wake"...)
	case edge.EventShutdown:
		t.line = append(t.line, "shutdown"...)
	case edge.EventConnOpened:
		if ev.Dial == 0 {
			t.inbound[key] = true
			t.line = fmt.Appendf(t.line, "accepted conn %d on listener %d from %s", ev.Conn, ev.Listener, ev.Peer)
		} else {
			delete(t.inbound, key) // of an earlier boot, perhaps
			t.line = fmt.Appendf(t.line, "opened conn %d, dial %d", ev.Conn, ev.Dial)
		}
	case edge.EventConnFailed:
		t.line = fmt.Appendf(t.line, "failed dial %d", ev.Dial)
	case edge.EventConnClosed:
		delete(t.inbound, key)
		t.line = fmt.Appendf(t.line, "closed conn %d", ev.Conn)
	case edge.EventFrame:
		b := ev.Frame.Bytes()
		t.line = fmt.Appendf(t.line, "frame conn %d, %d bytes, hash %016x", ev.Conn, len(b), hashFrame(0, ev.Frame, true))
		if t.inbound[key] && len(b) >= 8 {
			api := int16(binary.BigEndian.Uint16(b))
			t.line = fmt.Appendf(t.line, ", request %s v%d correlation %d",
				kmsg.NameForKey(api), binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint32(b[4:]))
		} else if len(b) >= 4 {
			t.line = fmt.Appendf(t.line, ", response correlation %d", binary.BigEndian.Uint32(b))
		}
	case edge.EventDisk:
		r := &ev.Disk
		t.line = fmt.Appendf(t.line, "disk %v %v, length %d, token %d/%d/%d/%d", r.Op, r.Err, r.Length,
			r.Token.Owner, r.Token.Kind, r.Token.A, r.Token.B)
		if r.Data != nil {
			t.line = fmt.Appendf(t.line, ", %d bytes, hash %016x", r.Data.Len(), hashFrame(0, r.Data, true))
		}
		if len(r.Entries) > 0 {
			t.line = fmt.Appendf(t.line, ", %d entries", len(r.Entries))
		}
	}
	t.end()
}

func (t *textTrace) effects(now clock.Instant, h netsim.HostID, e *edge.Effects) {
	for i := range e.Logs {
		t.start(now, h)
		t.line = fmt.Appendf(t.line, "  log %d: %s", e.Logs[i].Severity, e.Logs[i].Text)
		t.end()
	}
	for i := range e.Disk {
		op := &e.Disk[i]
		length := op.Length
		for j := range op.Data {
			length += int64(op.Data[j].Len())
		}
		t.start(now, h)
		t.line = fmt.Appendf(t.line, "  -> disk %v queue %d file %d %s %s offset %d length %d",
			op.Kind, op.Queue, op.File, op.Path, op.NewPath, op.Offset, length)
		t.end()
	}
	for i := range e.Sends {
		t.start(now, h)
		t.line = fmt.Appendf(t.line, "  -> send conn %d, %d bytes", e.Sends[i].Conn, sendLength(&e.Sends[i]))
		t.end()
	}
	for i := range e.Dials {
		t.start(now, h)
		t.line = fmt.Appendf(t.line, "  -> dial %d to %s:%d", e.Dials[i].ID, e.Dials[i].Host, e.Dials[i].Port)
		t.end()
	}
	for _, c := range e.Close {
		delete(t.inbound, connOf{h, c})
		t.start(now, h)
		t.line = fmt.Appendf(t.line, "  -> close conn %d", c)
		t.end()
	}
	if e.Halt != "" || e.Stopped {
		t.start(now, h)
		t.line = fmt.Appendf(t.line, "  -> exit, stopped %v, halt %q", e.Stopped, e.Halt)
		t.end()
	}
}
