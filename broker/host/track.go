package host

import (
	"sync"
	"time"
)

// tracker knows the connections that are open, to close them at the end.
type tracker struct {
	mu     sync.Mutex
	open   map[*connection]struct{}
	closed bool
	empty  chan struct{} // closed once closed and nothing is open
}

// track enters a connection; it is false, and the connection closed, when the
// host is stopping.
func (h *Host) track(c *connection) bool {
	t := &h.tracked
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		c.abort()
		return false
	}
	t.open[c] = struct{}{}
	return true
}

func (h *Host) untrack(c *connection) {
	t := &h.tracked
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, c)
	if t.closed && len(t.open) == 0 {
		close(t.empty)
	}
}

// closeConnections ends all connections; gently lets them take what was sent
// before, for at most the flush time.
func (h *Host) closeConnections(gently bool) {
	t := &h.tracked
	t.mu.Lock()
	t.closed = true
	open := make([]*connection, 0, len(t.open))
	for c := range t.open {
		open = append(open, c)
	}
	if len(open) == 0 {
		close(t.empty)
	}
	t.mu.Unlock()
	if gently {
		for _, c := range open {
			c.out.finish()
		}
		timer := time.NewTimer(h.limits.FlushTime)
		defer timer.Stop()
		select {
		case <-t.empty:
		case <-timer.C:
		}
	}
	for _, c := range open {
		c.abort()
	}
}
