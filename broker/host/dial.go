package host

import (
	"net"
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// dial attempts to connect and serves the connection.
func (h *Host) dial(d edge.Dial) {
	dialer := net.Dialer{Timeout: h.limits.DialTime}
	address := net.JoinHostPort(d.Host, strconv.Itoa(int(d.Port)))
	raw, err := dialer.DialContext(h.dialing, "tcp", address)
	if err != nil {
		h.log.Debug("no connection", "to", address, "cause", err)
		h.inbox.push(arrival{event: edge.Event{Kind: edge.EventConnFailed, Dial: d.ID}})
		return
	}
	conn, err := h.secureClient(raw, h.cfg.Security[d.Listener], d.Host)
	if err != nil {
		h.log.Warn("no connection", "to", address, "cause", err)
		_ = raw.Close() // never used
		h.inbox.push(arrival{event: edge.Event{Kind: edge.EventConnFailed, Dial: d.ID}})
		return
	}
	c := h.newConnection(conn, address)
	if !h.track(c) {
		return
	}
	defer h.untrack(c)
	h.inbox.push(arrival{conn: c, event: edge.Event{Kind: edge.EventConnOpened, Conn: c.id, Dial: d.ID}})
	h.serve(c)
}
