package host

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

const (
	// readBufferBytes is what a connection reads ahead: short frames that follow
	// each other come with one system call, and ten thousand idle connections
	// hold little.
	readBufferBytes = 4 << 10
	// firstPieceBytes is what a frame may take of memory before anything of it
	// has come, unless its connection has carried a longer one before; then it
	// grows to growthFactor times what has come. A client that announces much and
	// sends nothing holds nothing.
	firstPieceBytes = 16 << 10
	growthFactor    = 4
	// frameOverheadBytes is what a frame takes of the memory budget besides its
	// bytes: its place in the inbox and the request that it becomes count too.
	frameOverheadBytes = 256
	// pooledBytesMin is the shortest frame whose memory is reused.
	pooledBytesMin = 4 << 10
	prefixBytes    = 4
	// promptBytesMax is the longest frame with which a reader drives the machine
	// itself.
	promptBytesMax = 64 << 10
)

var errPeerClosed = errors.New("closed by the peer")

// connection is one TCP or TLS connection, of either direction.
type connection struct {
	id   edge.ConnID
	peer string
	raw  net.Conn
	// inbound is set of connections that the peer has opened.
	inbound bool
	out     outbox
	moved   atomic.Int64 // unix nanoseconds at which something was last written
	spoken  atomic.Bool  // something was sent
	kept    atomic.Int64 // of the budget: frames that the machine has not settled

	record *bufio.Writer // of the writer, with TLS: a record being filled
	// Of the reader.
	proven   int       // the longest frame that has come whole
	deadline time.Time // of its reads
	begun    holder    // the frame that is coming in

	// Of the turn.
	direct *direct // nil with TLS
	dirty  bool
	fresh  []edge.Send
}

// abort ends the connection at once. Reader and writer notice by themselves.
func (c *connection) abort() {
	_ = c.raw.Close() // it is being thrown away
}

// refuse ends a connection on which nothing was ever sent as if nobody had
// accepted it, with a reset: a node that does not serve yet closes what comes,
// where Kafka would not listen. Clients then try elsewhere at once; an orderly
// end they take for a peer that speaks another protocol.
func (c *connection) refuse() {
	raw := c.raw
	if secured, ok := raw.(*tls.Conn); ok {
		raw = secured.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it is being thrown away
	}
	_ = raw.Close() // first, or TLS would take its leave
	c.abort()
}

// serve starts the writer and reads until the connection ends. The machine has
// been told of the connection before.
func (h *Host) serve(c *connection) {
	h.tasks.Go(func() { h.write(c) })
	h.log.Debug("connection ended", "peer", c.peer, "cause", h.read(c))
	c.out.abandon()
	c.abort()
	h.inbox.push(arrival{event: edge.Event{Kind: edge.EventConnClosed, Conn: c.id}, conn: c})
}

// read hands frames to the core until the connection ends, and says why.
func (h *Host) read(c *connection) error {
	in := bufio.NewReaderSize(c.raw, readBufferBytes)
	for {
		n, err := h.prefix(c, in)
		if err != nil {
			return err
		}
		frame, charge, err := h.frame(c, in, n)
		if err != nil {
			return err
		}
		ev := edge.Event{Kind: edge.EventFrame, Conn: c.id, Frame: frame, Inbound: c.inbound}
		ev.Verdict = h.inspect(&ev)
		if c.inbound {
			c.kept.Add(int64(charge))
		}
		a := arrival{event: ev, conn: c, charge: charge}
		if n > promptBytesMax {
			h.inbox.push(a) // the next one is read meanwhile
			continue
		}
		h.inbox.add(a)
		h.prompt()
	}
}

// inspect does the work per byte of a frame that the core need not do. There are
// as many inspectors as processors: more would not be faster, and each may hold
// what a batch of a hundred bytes decompresses to.
func (h *Host) inspect(ev *edge.Event) edge.Verdict {
	if h.inspectors == nil {
		return nil
	}
	i := <-h.inspectors
	defer func() { h.inspectors <- i }()
	if ev.Inbound {
		return i.Inspect(ev.Frame, nil)
	}
	return i.InspectAnswer(ev.Frame, nil)
}

// prefix waits for the length of the next frame. A connection on which nothing
// moves in either direction is closed after the idle time.
func (h *Host) prefix(c *connection, in *bufio.Reader) (int, error) {
	if err := h.awaitFrame(c, in); err != nil {
		return 0, err
	}
	if in.Buffered() < prefixBytes {
		if err := c.readWithin(time.Now(), h.limits.frameTime(0)); err != nil {
			return 0, err
		}
	}
	b, err := in.Peek(prefixBytes)
	if err != nil {
		return 0, fmt.Errorf("read a frame's length: %w", err)
	}
	n := int32(binary.BigEndian.Uint32(b))
	if n < 0 || int(n) > h.limits.FrameBytes {
		return 0, fmt.Errorf("a frame of %d bytes, at most %d are read (socket.request.max.bytes)", n, h.limits.FrameBytes)
	}
	if _, err := in.Discard(prefixBytes); err != nil {
		return 0, fmt.Errorf("read a frame's length: %w", err)
	}
	return int(n), nil
}

func (h *Host) awaitFrame(c *connection, in *bufio.Reader) error {
	now := time.Now()
	for since := now; in.Buffered() == 0; now = time.Now() {
		if err := c.readWithin(now, h.limits.IdleTime); err != nil {
			return err
		}
		_, err := in.Peek(1)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if moved := time.Unix(0, c.moved.Load()); moved.After(since) {
				since = moved
			}
			if time.Since(since) >= h.limits.IdleTime {
				return fmt.Errorf("idle for %v (connections.max.idle.ms)", h.limits.IdleTime)
			}
		case errors.Is(err, io.EOF):
			return errPeerClosed
		default:
			return fmt.Errorf("read: %w", err)
		}
	}
	return nil
}

// deadlineSlack is the part of a time-out by which it may come early: deadlines
// cost a timer, and one that is nearly right is left as it is.
const deadlineSlack = 8

// readWithin has the next reads fail d from now, or at most an eighth of that
// earlier.
func (c *connection) readWithin(now time.Time, d time.Duration) error {
	want := now.Add(d)
	if early := want.Sub(c.deadline); early >= 0 && early <= d/deadlineSlack {
		return nil
	}
	if err := c.raw.SetReadDeadline(want); err != nil {
		return fmt.Errorf("set the read deadline: %w", err)
	}
	c.deadline = want
	return nil
}

// charge takes memory for a frame of the budget, or for more of it than there is.
func (h *Host) charge(c *connection, n int, short bool, begun *holder, limit time.Duration) error {
	if !c.inbound {
		h.memory.demand(n)
		return nil
	}
	return h.memory.take(n, short, begun, limit)
}

// frame reads n bytes. Their memory is taken from the budget piece by piece, as
// the bytes come; charge is what has to be given back.
func (h *Host) frame(c *connection, in *bufio.Reader, n int) (b *edge.Buffer, charge int, err error) {
	short := n <= shortFrameBytes && c.kept.Load() <= shortFrameBytes
	size := min(n, max(firstPieceBytes, c.proven))
	if size > readBufferBytes && !short && h.memory.tight() {
		size = readBufferBytes
	}
	charge = size + frameOverheadBytes
	if err := h.charge(c, charge, short, nil, -1); err != nil {
		return nil, 0, err
	}
	b = h.buffer(size)
	defer func() {
		if err == nil && c.inbound {
			h.memory.keep(charge)
		}
		if c.begun.linked {
			h.memory.hasRead(&c.begun)
		}
		if err != nil {
			b.Release()
			h.memory.giveBack(charge)
		}
	}()
	for read := 0; ; {
		if in.Buffered() < size-read {
			now := time.Now()
			h.memory.reading(&c.begun, charge, now)
			if err := c.readWithin(now, h.limits.frameTime(size-read)); err != nil {
				return b, charge, err
			}
		}
		if _, err := io.ReadFull(in, b.Bytes()[read:]); err != nil {
			return b, charge, fmt.Errorf("read a frame of %d bytes: %w", n, err)
		}
		if read = size; read == n {
			c.proven = max(c.proven, n)
			return b, charge, nil
		}
		size = min(n, growthFactor*read)
		h.memory.reading(&c.begun, charge, time.Now())
		if err := h.charge(c, size-read, false, &c.begun, h.limits.FrameTime); err != nil {
			return b, charge, err
		}
		charge += size - read
		longer := h.buffer(size)
		copy(longer.Bytes(), b.Bytes())
		b.Release()
		b = longer
	}
}

// buffer returns memory for a frame. What is short is left to the garbage
// collector, which needs no lock for it.
func (h *Host) buffer(n int) *edge.Buffer {
	if n < pooledBytesMin {
		return edge.NewBuffer(make([]byte, n))
	}
	return h.buffers.Get(n)
}
