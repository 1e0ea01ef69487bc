package host

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What takes time is tested in a bubble whose clock moves when all goroutines
// wait, with pipes for sockets.

// pipes is a listener whose connections are made by dial.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
	case <-p.closed: // the test has failed, and who still dials must end with it
		_ = theirs.Close()
	}
	return ours
}

// inBubble runs a test against a host in a bubble.
func inBubble(t *testing.T, limits Limits, test func(t *testing.T, h *Host, p *pipes)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		h, err := Open(Config{Dir: dir, Limits: limits, Listeners: []Listener{{Name: "TEST", Socket: p}}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- h.Run(context.Background(), &echo{}) }()
		defer func() { // also of a test that has failed, or its bubble would never end
			h.Shutdown()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute) // of the bubble: clients notice
		}()
		test(t, h, p)
	})
}

// announce begins a frame of n bytes, of which it sends one.
func announce(t *testing.T, c net.Conn, n int) {
	t.Helper()
	if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(n)), 'x')); err != nil {
		t.Fatal(err)
	}
}

// lifetime is how long the host keeps a connection on which nothing moves.
func lifetime(c net.Conn) time.Duration {
	begin := time.Now()
	_, _ = io.Copy(io.Discard, c) // however it ends
	return time.Since(begin)
}

func TestASilentConnectionLivesForTheIdleTime(t *testing.T) {
	inBubble(t, Limits{IdleTime: time.Minute}, func(t *testing.T, _ *Host, p *pipes) {
		c := p.dial()
		for range 5 { // each answer begins the time anew
			time.Sleep(50 * time.Second)
			sendFrame(t, c, "a")
			expectFrame(t, c, "a")
		}
		if got := lifetime(c); got < time.Minute || got > 2*time.Minute {
			t.Errorf("closed after %v, want 1m0s", got)
		}
	})
}

func TestASilentConnectionMayLiveForEver(t *testing.T) {
	inBubble(t, Limits{IdleTime: -time.Millisecond}, func(t *testing.T, _ *Host, p *pipes) {
		c := p.dial()
		sendFrame(t, c, "a")
		expectFrame(t, c, "a")
		time.Sleep(1000 * time.Hour)
		sendFrame(t, c, "b")
		expectFrame(t, c, "b")
	})
}

func TestAFrameHasItsTime(t *testing.T) {
	limits := Limits{FrameTime: 10 * time.Second, FrameBytesPerSecond: 100}
	inBubble(t, limits, func(t *testing.T, _ *Host, p *pipes) {
		short, long, slow := p.dial(), p.dial(), p.dial()
		announce(t, short, 100)
		announce(t, long, 1000)
		if got := lifetime(short); got < 9*time.Second || got > 11*time.Second {
			t.Errorf("100 bytes were given %v, want 11s", got)
		}
		if got := lifetime(long); got < 7*time.Second || got > 9*time.Second {
			t.Errorf("1000 bytes were given 9s more than 100, and those %v", got)
		}
		// What comes in time is taken, however slowly.
		announce(t, slow, 20)
		for range 19 {
			time.Sleep(400 * time.Millisecond)
			if _, err := slow.Write([]byte{'x'}); err != nil {
				t.Fatal(err)
			}
		}
		expectFrame(t, slow, strings.Repeat("x", 20))
	})
}

// Many clients announce large frames and send them slowly, until they hold all
// the memory that frames may take. The host holds no more than that, and others
// are served: within two looks at who is slowest, not when the frames' time is over.
func TestSlowLargeFramesDoNotKeepOthersOut(t *testing.T) {
	const budget, clients, frameBytes = 1 << 20, 300, 1 << 20
	limits := Limits{InFlightBytes: budget, FrameTime: 10 * time.Minute}
	inBubble(t, limits, func(t *testing.T, h *Host, p *pipes) {
		for i := range clients {
			c := p.dial()
			go func() {
				if _, err := c.Write(binary.BigEndian.AppendUint32(nil, frameBytes)); err != nil {
					return // it has been shed
				}
				for {
					if _, err := c.Write(make([]byte, 1+i)); err != nil {
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
			}()
		}
		synctest.Wait()
		for range 20 {
			time.Sleep(time.Second)
			begin := time.Now()
			c := p.dial()
			text := strings.Repeat("y", 100<<10)
			go func() { // the pipe takes nothing in advance
				_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)) // who waits will tell
			}()
			expectFrame(t, c, text)
			if took := time.Since(begin); took > 4*pressureTime {
				t.Errorf("another client was served after %v", took)
			}
			if used := h.Load().InFlightBytes; used > budget+frameBytes {
				t.Errorf("frames hold %d bytes, at most %d", used, budget)
			}
			_ = c.Close() // it has been served
		}
	})
}

// Requests that wait for something, as a produce for its followers, keep their
// frames: until they are answered nobody else gets that memory. Short frames of
// others pass meanwhile, however many clients send all they can, and then
// everybody is served.
func TestRequestsThatWaitHoldTheirMemory(t *testing.T) {
	const budget, clients, frameBytes = 4 << 20, 40, 100 << 10
	limits := Limits{InFlightBytes: budget, FrameTime: 10 * time.Minute}
	inBubble(t, limits, func(t *testing.T, h *Host, p *pipes) {
		long, short := "keep"+strings.Repeat("x", frameBytes), "keep"+strings.Repeat("y", 1<<10)
		var conns []net.Conn
		for range clients {
			c := p.dial()
			conns = append(conns, c)
			go func() {
				frames := binary.BigEndian.AppendUint32(nil, uint32(len(long)))
				frames = append(frames, long...)
				for range 10 {
					frames = append(binary.BigEndian.AppendUint32(nil, uint32(len(short))), append([]byte(short), frames...)...)
				}
				_, _ = c.Write(frames) // who waits will tell
			}()
		}
		synctest.Wait()
		for range 60 {
			time.Sleep(time.Second)
			c := p.dial()
			if err := c.SetDeadline(time.Now().Add(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			sendFrame(t, c, "a")
			expectFrame(t, c, "a")
			_ = c.Close() // it has been served
			if used := h.Load().InFlightBytes; used < budget/2 || used > budget+frameBytes {
				t.Fatalf("frames hold %d bytes, of %d", used, budget)
			}
		}
		stop := make(chan struct{})
		go func() { // what comes into the freed memory is kept, too
			for {
				select {
				case <-stop:
					return
				default:
				}
				c := p.dial()
				sendFrame(t, c, "let go")
				expectFrame(t, c, "let go")
				_ = c.Close()
				time.Sleep(time.Second)
			}
		}()
		for _, c := range conns {
			for range 10 {
				expectFrame(t, c, short)
			}
			expectFrame(t, c, long)
		}
		close(stop)
		synctest.Wait()
		time.Sleep(time.Minute)
		if used := h.Load().InFlightBytes; used != 0 {
			t.Errorf("%d bytes are still in flight", used)
		}
	})
}

// Clients that do not read hold memory too. Each stays below what one may, all
// together may not: the one for which most waits is closed.
func TestWhatNobodyReadsIsBounded(t *testing.T) {
	limits := Limits{SlowClientBytes: 1 << 20, UnreadBytes: 1 << 20, IdleTime: time.Hour}
	inBubble(t, limits, func(t *testing.T, h *Host, p *pipes) {
		var conns []net.Conn
		for i := range 20 {
			c := p.dial()
			conns = append(conns, c)
			sendFrame(t, c, strings.Repeat("z", (i+1)<<10*4)) // answered with twice as much
			synctest.Wait()
			if got := h.Load().UnreadBytes; got > limits.UnreadBytes {
				t.Fatalf("%d bytes wait for clients, at most %d may", got, limits.UnreadBytes)
			}
		}
		expectFrame(t, conns[0], strings.Repeat("z", 4<<10))
		expectClosed(t, conns[len(conns)-1])
	})
}
