package host

import (
	"bufio"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// writeBuffersMax bounds the parts of one system call: IOV_MAX of Linux.
const writeBuffersMax = 1024

// outbox holds what a connection's writer has not yet written.
type outbox struct {
	mu       sync.Mutex
	ready    sync.Cond
	sends    []edge.Send
	begun    int           // bytes of the first of sends that are with the kernel already
	bytes    int           // of sends, and of what the writer has taken
	unread   *atomic.Int64 // the bytes of all outboxes
	writing  bool          // the writer has taken sends and is not back
	finished bool
	dead     bool
}

func (o *outbox) init(unread *atomic.Int64) { o.ready.L, o.unread = &o.mu, unread }

// add counts bytes that wait, or no longer do.
func (o *outbox) add(n int) {
	o.bytes += n
	o.unread.Add(int64(n))
}

// die drops what waits.
func (o *outbox) die() {
	o.dead, o.sends = true, nil
	o.add(-o.bytes)
	o.ready.Signal()
}

// idle tells whether nothing waits or is being written, so that who puts sends
// here may as well write them.
func (o *outbox) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.sends) == 0 && !o.writing && !o.finished && !o.dead
}

// put adds sends, of the first of which begun bytes have been written; only an
// idle outbox takes such. It is false, and nothing more will be written, if more
// than max bytes wait besides the first of what is added. The frames of a dead
// outbox are left to the garbage collector.
func (o *outbox) put(sends []edge.Send, begun, max int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead || o.finished {
		return true
	}
	if o.bytes > max {
		o.die()
		return false
	}
	bytes := -begun
	for i := range sends {
		bytes += sendBytes(&sends[i])
	}
	o.add(bytes)
	o.begun += begun
	o.sends = append(o.sends, sends...)
	o.ready.Signal()
	return true
}

// finish lets the writer write what is there and then close the connection.
func (o *outbox) finish() {
	o.mu.Lock()
	o.finished = true
	o.mu.Unlock()
	o.ready.Signal()
}

// abandon ends the writer at once.
func (o *outbox) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.die()
}

// waiting returns how many bytes the client has not taken.
func (o *outbox) waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// take waits for sends and moves them to the writer, which gives its memory in
// exchange; begun bytes of them are written. None means that the writer is to
// end.
func (o *outbox) take(memory []edge.Send) (sends []edge.Send, begun int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	for len(o.sends) == 0 && !o.finished && !o.dead {
		o.ready.Wait()
	}
	if o.dead {
		return nil, 0
	}
	sends, begun = o.sends, o.begun
	o.sends, o.begun = memory[:0], 0
	o.writing = true
	return sends, begun
}

// wrote says that n bytes are with the kernel.
func (o *outbox) wrote(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.dead {
		o.add(-n)
	}
}

func sendBytes(s *edge.Send) int {
	n := len(s.Head)
	for i := range s.Body {
		n += s.Body[i].Len()
	}
	return n
}

// write is a connection's writer.
func (h *Host) write(c *connection) {
	var sends []edge.Send
	var begun int
	var parts net.Buffers
	for {
		sends, begun = c.out.take(sends)
		if len(sends) == 0 {
			if !c.spoken.Load() {
				c.refuse()
			} else {
				c.abort()
			}
			return
		}
		c.spoken.Store(true)
		err := h.writeAll(c, sends, begun, &parts)
		h.inbox.giveBack(sends)
		clear(sends)
		if err != nil {
			h.log.Debug("connection ended", "peer", c.peer, "cause", err)
			c.out.abandon()
			c.abort()
			return
		}
	}
}

// writeAll writes frames behind their first begun bytes with as few system calls
// as possible. A client that takes nothing for the idle time is given up.
func (h *Host) writeAll(c *connection, sends []edge.Send, begun int, memory *net.Buffers) error {
	for i := 0; i < len(sends); {
		parts, n := (*memory)[:0], 0
		for ; i < len(sends); i++ {
			if len(parts) > 0 && len(parts)+1+2*len(sends[i].Body) > writeBuffersMax {
				break
			}
			parts = appendSend(parts, &sends[i])
			n += sendBytes(&sends[i])
		}
		*memory = parts[:0]
		parts, n, begun = behind(parts, begun), n-begun, 0
		if err := c.raw.SetWriteDeadline(time.Now().Add(h.limits.IdleTime)); err != nil {
			return fmt.Errorf("set the write deadline: %w", err)
		}
		if err := c.writeParts(parts); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		c.out.wrote(n)
		c.moved.Store(time.Now().UnixNano())
	}
	return nil
}

// recordBytes is how much one TLS record holds. Short parts are joined to it:
// each call of Write makes a record, and costs a system call.
const recordBytes = 16 << 10

func (c *connection) writeParts(parts net.Buffers) error {
	if _, plain := c.raw.(*net.TCPConn); plain {
		_, err := parts.WriteTo(c.raw)
		return err
	}
	if c.record == nil {
		c.record = bufio.NewWriterSize(c.raw, recordBytes)
	}
	for _, part := range parts {
		if _, err := c.record.Write(part); err != nil {
			return err
		}
	}
	return c.record.Flush()
}

// appendSend appends the bytes of a frame in their order: pieces of the body
// are inserted into the head where Pieces says.
func appendSend(parts net.Buffers, s *edge.Send) net.Buffers {
	if len(s.Pieces) == 0 {
		parts = appendPart(parts, s.Head)
		for i := range s.Body {
			parts = appendPart(parts, s.Body[i].Bytes())
		}
		return parts
	}
	from := 0
	for i := range s.Body {
		at := int(s.Pieces[i])
		parts = appendPart(parts, s.Head[from:at])
		parts = appendPart(parts, s.Body[i].Bytes())
		from = at
	}
	return appendPart(parts, s.Head[from:])
}

func appendPart(parts net.Buffers, b []byte) net.Buffers {
	if len(b) == 0 {
		return parts
	}
	return append(parts, b)
}

// behind drops the first n bytes of parts.
func behind(parts [][]byte, n int) [][]byte {
	for len(parts) > 0 && n >= len(parts[0]) {
		n -= len(parts[0])
		parts = parts[1:]
	}
	if len(parts) > 0 {
		parts[0] = parts[0][n:]
	}
	return parts
}
