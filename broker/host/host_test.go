package host

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// A host's promises are tested with a machine of a few lines over real sockets
// and files: frames come back whole and in order, what is written can be read,
// timers fire, limits close connections, and the host ends when its machine
// does.

// echo answers each frame with its own bytes, twice: once copied into the head,
// once as body. A frame that begins with "log:" is written to a file first and
// answered when it is synced. Those that begin with "keep" are answered when
// "let go" has come.
type echo struct {
	kept    []reply
	file    edge.FileID
	end     int64
	waiting map[uint64]reply
	next    uint64
	opened  int
	closed  int
	wakes   int
}

type reply struct {
	conn  edge.ConnID
	frame *edge.Buffer
}

func (m *echo) Step(ev *edge.Event, out *edge.Effects) {
	switch ev.Kind {
	case edge.EventBoot:
		m.waiting = map[uint64]reply{}
		m.file = 1
		out.Disk = append(out.Disk,
			edge.DiskOp{Kind: edge.OpMkdir, Path: "a"},
			edge.DiskOp{Kind: edge.OpOpen, File: m.file, Path: "a/log"})
		out.Wake = ev.Now.Add(1)
		return
	case edge.EventWake:
		m.wakes++
	case edge.EventConnOpened:
		m.opened++
	case edge.EventConnClosed:
		m.closed++
	case edge.EventShutdown:
		out.Stopped = true
	case edge.EventFrame:
		m.frame(ev, out)
	case edge.EventDisk:
		if ev.Disk.Err != edge.DiskOK {
			out.Halt = fmt.Sprintf("%v: %v", ev.Disk.Op, ev.Disk.Err)
			return
		}
		if r, ok := m.waiting[ev.Disk.Token.B]; ok && ev.Disk.Op == edge.OpSync {
			delete(m.waiting, ev.Disk.Token.B)
			m.answer(r, out)
		}
	}
	out.Wake = clock.Never
	if m.wakes == 0 {
		out.Wake = ev.Now.Add(1) // each step replaces the wish before
	}
}

// NewInspector implements edge.Inspected.
func (m *echo) NewInspector() edge.Inspector { return inspector{} }

// inspector finds out how long a frame is.
type inspector struct{}

func (inspector) Inspect(frame *edge.Buffer, _ edge.Verdict) edge.Verdict { return frame.Len() }

func (inspector) InspectAnswer(*edge.Buffer, edge.Verdict) edge.Verdict { return nil }

func (m *echo) frame(ev *edge.Event, out *edge.Effects) {
	if !ev.Inbound || ev.Verdict != ev.Frame.Len() {
		out.Halt = fmt.Sprintf("a frame of %d bytes with the verdict %v", ev.Frame.Len(), ev.Verdict)
		return
	}
	r := reply{ev.Conn, ev.Frame}
	if string(ev.Frame.Bytes()) == "halt" {
		out.Halt = "it was asked to"
		return
	}
	if string(ev.Frame.Bytes()) == "not yet" {
		out.Settle(ev.Conn, ev.Frame)
		ev.Frame.Release()
		out.Close = append(out.Close, ev.Conn)
		return
	}
	if strings.HasPrefix(string(ev.Frame.Bytes()), "keep") {
		m.kept = append(m.kept, r)
		return
	}
	if string(ev.Frame.Bytes()) == "let go" {
		for _, kept := range m.kept {
			m.answer(kept, out)
		}
		m.kept = nil
	}
	if !strings.HasPrefix(string(ev.Frame.Bytes()), "log:") {
		if string(ev.Frame.Bytes()) == "bye" {
			out.Close = append(out.Close, ev.Conn)
		}
		m.answer(r, out)
		return
	}
	m.next++
	m.waiting[m.next] = r
	ev.Frame.Retain()
	out.Disk = append(out.Disk,
		edge.DiskOp{Kind: edge.OpWrite, File: m.file, Offset: m.end, Data: []edge.Slice{ev.Frame.All()}},
		edge.DiskOp{Kind: edge.OpSync, File: m.file, Token: edge.Token{B: m.next}})
	m.end += int64(ev.Frame.Len())
}

func (m *echo) answer(r reply, out *edge.Effects) {
	n := r.frame.Len()
	head := append(out.Head(), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(head, uint32(2*n+1))
	head = append(head, r.frame.Bytes()...)
	body, pieces := out.Body()
	body, pieces = append(body, r.frame.All()), append(pieces, int32(len(head)))
	head = append(head, '.')
	out.Sends = append(out.Sends, edge.Send{Conn: r.conn, Head: head, Body: body, Pieces: pieces})
	out.Settle(r.conn, r.frame)
	// The frame's own reference goes with the body.
}

// running is a host with its machine, and how it ended.
type running struct {
	*Host
	t       *testing.T
	machine *echo
	address string
	dir     string
	ended   chan error
}

func start(t *testing.T, limits Limits) *running {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h, err := Open(Config{Dir: dir, Limits: limits, Listeners: []Listener{{Name: "TEST", Socket: socket}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Host: h, t: t, machine: &echo{}, address: socket.Addr().String(), dir: dir, ended: make(chan error, 1)}
	go func() { r.ended <- h.Run(context.Background(), r.machine) }()
	t.Cleanup(func() {
		r.Shutdown()
		_ = r.end() // a test that wants to know has asked
	})
	return r
}

// end waits for the host's end, and leaves it for the cleanup too.
func (r *running) end() error {
	err := <-r.ended
	r.ended <- err
	return err
}

func (r *running) connect() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func sendFrame(t *testing.T, c net.Conn, text string) {
	t.Helper()
	b := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	if _, err := c.Write(append(b, text...)); err != nil {
		t.Fatal(err)
	}
}

func receiveFrame(c net.Conn) (string, error) {
	var prefix [4]byte
	if _, err := io.ReadFull(c, prefix[:]); err != nil {
		return "", err
	}
	b := make([]byte, binary.BigEndian.Uint32(prefix[:]))
	_, err := io.ReadFull(c, b)
	return string(b), err
}

func expectFrame(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got, err := receiveFrame(c)
	if err != nil {
		t.Fatal(err)
	}
	if got != want+want+"." {
		t.Fatalf("%d bytes, want %d twice and a full stop", len(got), len(want))
	}
}

// expectClosed reads until the host closes the connection.
func expectClosed(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.Copy(io.Discard, c); err != nil && !isReset(err) {
		t.Fatalf("waiting for the end of the connection: %v", err)
	}
}

func isReset(err error) bool {
	return strings.Contains(err.Error(), "reset") || strings.Contains(err.Error(), "broken pipe")
}

func TestFramesComeBackInOrder(t *testing.T) {
	r := start(t, Limits{})
	c := r.connect()
	long := strings.Repeat("x", 3*firstPieceBytes+7)
	texts := []string{"", "a", "log:b", long, "log:" + long}
	for range 5 {
		texts = append(texts, texts...)
	}
	go func() {
		for _, s := range texts {
			sendFrame(t, c, s)
		}
	}()
	// Those that are written come after those that are not; each kind in order.
	var plain, logged, gotPlain, gotLogged []string
	for _, s := range texts {
		if strings.HasPrefix(s, "log:") {
			logged = append(logged, s+s+".")
		} else {
			plain = append(plain, s+s+".")
		}
	}
	for range texts {
		got, err := receiveFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(got, "log:") {
			gotLogged = append(gotLogged, got)
		} else {
			gotPlain = append(gotPlain, got)
		}
	}
	if diff := cmp.Diff(plain, gotPlain); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(logged, gotLogged); diff != "" {
		t.Error(diff)
	}
	data, err := os.ReadFile(filepath.Join(r.dir, "a", "log"))
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, s := range texts {
		if strings.HasPrefix(s, "log:") {
			want.WriteString(s)
		}
	}
	if string(data) != want.String() {
		t.Errorf("the file has %d bytes, %d were written", len(data), want.Len())
	}
	if err := r.View(context.Background(), func() {
		if r.machine.wakes == 0 {
			t.Error("the machine was not woken")
		}
	}); err != nil {
		t.Error(err)
	}
}

func TestAnOversizedFrameClosesItsConnectionOnly(t *testing.T) {
	r := start(t, Limits{FrameBytes: 100})
	good, bad := r.connect(), r.connect()
	if _, err := bad.Write([]byte{0, 0, 0, 101, 'x'}); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, bad)
	negative := r.connect()
	if _, err := negative.Write([]byte{0xff, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, negative)
	sendFrame(t, good, strings.Repeat("y", 100))
	expectFrame(t, good, strings.Repeat("y", 100))
}

// A client whose authentication failed is told so in the step that closes its
// connection.
func TestTheLastAnswerLeavesBeforeTheConnectionCloses(t *testing.T) {
	r := start(t, Limits{})
	c := r.connect()
	sendFrame(t, c, "bye")
	expectFrame(t, c, "bye")
	expectClosed(t, c)
}

// A node that does not serve yet is to clients as one that does not listen.
func TestAConnectionWithoutAnAnswerIsReset(t *testing.T) {
	r := start(t, Limits{})
	c := r.connect()
	sendFrame(t, c, "not yet")
	if _, err := c.Read(make([]byte, 1)); err == nil || !isReset(err) {
		t.Errorf("%v; want a reset", err)
	}
}

// TLS takes its leave where nobody stops it, and that is an orderly end.
func TestAnEncryptedConnectionWithoutAnAnswerIsReset(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	socket, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	go func() {
		raw, err := socket.Accept()
		if err != nil {
			return // the client will notice
		}
		secured := tls.Server(raw, &tls.Config{Certificates: web.TLS.Certificates})
		_ = secured.Handshake() // the same
		(&connection{raw: secured}).refuse()
	}()
	trusted := web.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusted.ServerName = "example.com"
	c, err := tls.Dial("tcp", socket.Addr().String(), trusted)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil || !isReset(err) {
		t.Errorf("%v; want a reset", err)
	}
}

func TestConnectionsAreCounted(t *testing.T) {
	r := start(t, Limits{ConnectionsPerIP: 2})
	a, b := r.connect(), r.connect()
	sendFrame(t, a, "a")
	expectFrame(t, a, "a")
	sendFrame(t, b, "b")
	expectFrame(t, b, "b")
	expectClosed(t, r.connect())
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for { // the place is free once the host has noticed
		c := r.connect()
		sendFrame(t, c, "c")
		if got, err := receiveFrame(c); err == nil && got == "cc." {
			break
		}
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	r := start(t, Limits{IdleTime: 1})
	expectClosed(t, r.connect())
}

func TestAFrameThatDoesNotEndIsGivenUp(t *testing.T) {
	r := start(t, Limits{FrameTime: 1, FrameBytesPerSecond: 1 << 30})
	c := r.connect()
	if _, err := c.Write([]byte{0, 0, 0, 9, 'x'}); err != nil {
		t.Fatal(err)
	}
	expectClosed(t, c)
}

func TestAMachineThatHalts(t *testing.T) {
	r := start(t, Limits{})
	c := r.connect()
	sendFrame(t, c, "halt")
	if err := r.end(); !errors.Is(err, ErrHalted) || !strings.Contains(err.Error(), "asked to") {
		t.Errorf("%v", err)
	}
	expectClosed(t, c)
	if err := r.View(context.Background(), func() {}); err == nil {
		t.Error("a machine that has ended can be viewed")
	}
}

func TestShutdownLetsAnswersLeave(t *testing.T) {
	r := start(t, Limits{})
	c := r.connect()
	long := strings.Repeat("z", 1<<20)
	sendFrame(t, c, long)
	var prefix [4]byte
	if _, err := io.ReadFull(c, prefix[:]); err != nil {
		t.Fatal(err)
	}
	r.Shutdown()
	rest, err := io.ReadAll(c)
	if err != nil || len(rest) != 2*len(long)+1 {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	dir := t.TempDir()
	h, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
