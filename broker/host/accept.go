package host

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// acceptBackoff is the pause after a failed accept: usually the process has no
// file descriptor left, which only time can change.
const acceptBackoff = 50 * time.Millisecond

// doors counts the connections that are open.
type doors struct {
	limits Limits
	mu     sync.Mutex
	open   int
	byIP   map[string]int
	nextID atomic.Uint64
}

func newDoors(l Limits) *doors { return &doors{limits: l, byIP: make(map[string]int)} }

// enter counts a connection; it is false when there are too many.
func (d *doors) enter(ip string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open >= d.limits.Connections || d.byIP[ip] >= d.limits.ConnectionsPerIP {
		return false
	}
	d.open++
	d.byIP[ip]++
	return true
}

func (d *doors) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

func (d *doors) leave(ip string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
	if d.byIP[ip]--; d.byIP[ip] == 0 {
		delete(d.byIP, ip)
	}
}

func (h *Host) newConnection(raw net.Conn, peer string) *connection {
	c := &connection{id: edge.ConnID(h.doors.nextID.Add(1)), peer: peer, raw: raw, direct: newDirect(raw)}
	c.begun.abort = c.abort
	c.out.init(&h.unread)
	c.moved.Store(time.Now().UnixNano())
	return c
}

// accept takes connections of one listener until its socket is closed.
func (h *Host) accept(l *Listener) {
	for {
		raw, err := l.Socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			h.log.Warn("accept failed", "listener", l.Name, "cause", err)
			select {
			case <-h.dialing.Done():
				return
			case <-time.After(acceptBackoff):
			}
			continue
		}
		ip := hostOf(raw.RemoteAddr())
		if !h.doors.enter(ip) {
			h.log.Debug("refused a connection: too many are open", "listener", l.Name, "peer", ip)
			_ = raw.Close() // never used
			continue
		}
		h.tasks.Go(func() {
			defer h.doors.leave(ip)
			h.welcome(l, raw, ip)
		})
	}
}

// welcome serves an accepted connection.
func (h *Host) welcome(l *Listener, raw net.Conn, ip string) {
	conn, principal, err := h.secureServer(raw, h.cfg.Security[l.Number])
	if err != nil {
		h.log.Info("refused a connection", "listener", l.Name, "peer", ip, "cause", err)
		_ = raw.Close() // never used
		return
	}
	c := h.newConnection(conn, ip)
	c.inbound = true
	if !h.track(c) {
		return
	}
	defer h.untrack(c)
	h.inbox.push(arrival{conn: c, event: edge.Event{
		Kind: edge.EventConnOpened, Conn: c.id, Listener: l.Number, Peer: ip, Principal: principal,
	}})
	h.serve(c)
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}
