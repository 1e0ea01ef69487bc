package host

import (
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// directBytesMax is the most that who has the turn writes himself to a
	// connection, and directConnsMax to how many in a round. Below that waking a
	// writer takes longer than the write, and a client waits for it; above it the
	// core has better things to do.
	directBytesMax = 32 << 10
	directConnsMax = 8
)

// direct writes to a socket without waiting. It is of the turn.
type direct struct {
	socket syscall.RawConn
	parts  net.Buffers
	n      int
	err    error
	try    func(fd uintptr)
}

// newDirect returns nil for connections that cannot be written to without
// waiting, which are those with TLS.
func newDirect(raw net.Conn) *direct {
	tcp, plain := raw.(*net.TCPConn)
	if !plain {
		return nil
	}
	socket, err := tcp.SyscallConn()
	if err != nil {
		return nil // closed already: the reader will say so
	}
	d := &direct{socket: socket}
	d.try = func(fd uintptr) { d.n, d.err = unix.SendmsgBuffers(int(fd), d.parts, nil, nil, 0) }
	return d
}

// write writes what the socket has room for.
func (d *direct) write() (int, error) {
	d.n, d.err = 0, nil
	if err := d.socket.Control(d.try); err != nil {
		return 0, err
	}
	switch {
	case d.err == nil:
		return d.n, nil
	case errors.Is(d.err, syscall.EAGAIN), errors.Is(d.err, syscall.EINTR):
		return 0, nil
	}
	return 0, d.err
}

// writeDirectly writes what the round has collected for a connection, if that is
// little and nothing waits before it. It returns how many bytes have been
// written, and whether all is done: then the memory has been given back.
func (h *Host) writeDirectly(c *connection) (written int, done bool) {
	d := c.direct
	if d == nil || len(c.fresh) == 0 || !c.out.idle() {
		return 0, false
	}
	bytes := 0
	d.parts = d.parts[:0]
	for i := range c.fresh {
		bytes += sendBytes(&c.fresh[i])
		if bytes > directBytesMax || len(d.parts)+1+2*len(c.fresh[i].Body) > writeBuffersMax {
			return 0, false
		}
		d.parts = appendSend(d.parts, &c.fresh[i])
	}
	written, err := d.write()
	clear(d.parts)
	if err != nil {
		h.log.Debug("connection ended", "peer", c.peer, "cause", err)
		c.out.abandon()
		c.abort()
	}
	if written > 0 {
		c.spoken.Store(true)
		c.moved.Store(time.Now().UnixNano())
	}
	if err == nil && written < bytes {
		return written, false
	}
	for i := range c.fresh {
		h.releaseSend(&c.fresh[i])
	}
	return written, true
}
