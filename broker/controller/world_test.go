package controller

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// world is a toy of the simulator, for this package alone: a few controllers, a
// network that delays and drops, and disks that lose what was not synced.
type world struct {
	t      testing.TB
	random *rand.Rand
	now    clock.Instant
	seq    int
	queue  []happening // unordered; next takes the earliest
	nodes  []*toyNode
	drop   int    // per cent of the raft messages that are lost
	cut    []bool // by node: neither sends nor receives
	hash   map[int64]uint64
	leader map[int32]int32 // term -> node
	trace  uint64
	notes  strings.Builder
	nextID conn.RequestID
}

// happening is a message or a disk result on its way.
type happening struct {
	at   clock.Instant
	seq  int
	node int
	boot int
	body []byte // raft messages, or
	disk *edge.DiskResult
}

type toyNode struct {
	w         *world
	index     int
	boot      int
	up        bool
	k         *Controller
	timers    *timer.Queue
	out       edge.Effects
	random    *rand.Rand
	disk      toyDisk
	diskFree  clock.Instant
	responses map[conn.RequestID]kmsg.Response
	fetched   map[conn.RequestID]meta.FetchResponse
	halted    string
	peer      *security.Session // who asks
}

func newWorld(t testing.TB, seed uint64, nodes int) *world {
	w := &world{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), hash: make(map[int64]uint64), leader: make(map[int32]int32),
		cut: make([]bool, nodes), now: clock.Instant(time.Second),
	}
	for i := range nodes {
		n := &toyNode{w: w, index: i, disk: newToyDisk()}
		w.nodes = append(w.nodes, n)
	}
	for i := range w.nodes {
		w.boot(i)
	}
	return w
}

func testConfig(node, nodes int) Config {
	cfg := Config{NodeID: int32(node), ClusterID: "toy", Broker: config.DefaultBroker()}
	for i := range nodes {
		cfg.Voters = append(cfg.Voters, Voter{ID: int32(i), Host: fmt.Sprintf("c%d", i), Port: 9093})
	}
	return cfg
}

func (w *world) boot(i int) {
	n := w.nodes[i]
	n.boot++
	n.up = true
	n.timers = &timer.Queue{}
	n.random = rand.New(rand.NewPCG(w.random.Uint64(), uint64(i)))
	n.k = New(testConfig(i, len(w.nodes)), n, n)
	n.k.quorum.snapshotEntries, n.k.quorum.keptEntries = 40, 10
	n.responses = make(map[conn.RequestID]kmsg.Response)
	n.fetched = make(map[conn.RequestID]meta.FetchResponse)
	n.diskFree = w.now
	n.do(func(c *step.Context) { n.k.Boot(c) })
}

// crash loses everything but what the disk holds.
func (w *world) crash(i int) {
	n := w.nodes[i]
	if !n.up {
		return
	}
	n.up = false
	n.disk.powerLoss(w.random)
}

// kill ends the process and leaves the page cache.
func (w *world) kill(i int) {
	n := w.nodes[i]
	n.up = false
	n.disk.queued = nil
	n.disk.open = map[edge.FileID]*toyFile{}
}

func (n *toyNode) do(f func(c *step.Context)) {
	c := &step.Context{Now: n.w.now, Wall: clock.Wall(n.w.now), Out: &n.out, Timers: n.timers, Random: n.random}
	f(c)
	for i := range n.out.Disk {
		op := &n.out.Disk[i]
		n.diskFree = max(n.diskFree, n.w.now).Add(time.Duration(50+n.w.random.IntN(2000)) * time.Microsecond)
		n.w.push(happening{at: n.diskFree, node: n.index, boot: n.boot, disk: &edge.DiskResult{Token: op.Token, Op: op.Kind}}, op)
	}
	for _, l := range n.out.Logs {
		fmt.Fprintf(&n.w.notes, "%s node %d: %s\n", n.w.now, n.index, l.Text)
	}
	if n.out.Halt != "" {
		n.halted = n.out.Halt
		n.up = false
	}
	n.out.Reset()
	if n.up {
		n.w.check(n)
	}
}

func (w *world) push(h happening, op *edge.DiskOp) {
	w.seq++
	h.seq = w.seq
	if op != nil {
		cp := *op
		w.nodes[h.node].disk.queued = append(w.nodes[h.node].disk.queued, queuedOp{h.seq, cp})
	}
	w.queue = append(w.queue, h)
}

// Send implements caller.Sender.
func (n *toyNode) Send(_ *step.Context, call caller.Call) {
	w := n.w
	if call.Key != KeyRaft || call.Channel != caller.ChannelRaft && call.Channel != caller.ChannelSnapshot {
		w.t.Fatalf("unexpected call %+v", call)
	}
	if w.cut[n.index] || w.cut[call.To] || w.random.IntN(100) < w.drop {
		return
	}
	at := w.now.Add(time.Duration(200+w.random.IntN(5000)) * time.Microsecond)
	w.push(happening{at: at, node: int(call.To), boot: -1, body: call.Body}, nil)
}

// step performs the next event; it reports false after until.
func (w *world) step(until clock.Instant) bool {
	best, at := -1, clock.Never
	for i := range w.queue {
		h := &w.queue[i]
		if h.at < at || h.at == at && h.seq < w.queue[best].seq {
			best, at = i, h.at
		}
	}
	timed := -1
	for i, n := range w.nodes {
		if n.up && n.timers.Next() < at {
			timed, at = i, n.timers.Next()
		}
	}
	if at > until {
		w.now = until
		return false
	}
	w.now = max(w.now, at)
	if timed >= 0 {
		n := w.nodes[timed]
		id, ok := n.timers.Pop(w.now)
		if !ok {
			w.t.Fatalf("timer of node %d is not due", timed)
		}
		w.note("%d timer %d %d", w.now, timed, id.Kind)
		n.do(func(c *step.Context) { n.k.Timer(c, id) })
		return true
	}
	h := w.queue[best]
	w.queue[best] = w.queue[len(w.queue)-1]
	w.queue = w.queue[:len(w.queue)-1]
	w.deliver(h)
	return true
}

func (w *world) deliver(h happening) {
	n := w.nodes[h.node]
	if h.disk != nil {
		if !n.up || h.boot != n.boot {
			return
		}
		n.disk.perform(h.seq, h.disk)
		w.note("%d disk %d %d %d", w.now, h.node, h.disk.Op, h.disk.Err)
		n.do(func(c *step.Context) { n.k.Disk(c, h.disk) })
		return
	}
	if !n.up || w.cut[h.node] {
		return
	}
	w.note("%d raft %d %x", w.now, h.node, h.body)
	n.do(func(c *step.Context) { n.k.Handle(c, &conn.Request{Key: KeyRaft, Body: h.body, Peer: "peer"}) })
}

func (w *world) run(d time.Duration) {
	until := w.now.Add(d)
	for w.step(until) {
	}
}

func (w *world) note(format string, args ...any) {
	h := fnv.New64a()
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], w.trace)
	h.Write(b[:])
	_, _ = fmt.Fprintf(h, format, args...) // a hash never fails
	w.trace = h.Sum64()
}

// check holds after every step of every node.
func (w *world) check(n *toyNode) {
	k := n.k
	if !k.Ready() {
		return
	}
	hash, applied := k.Image().Hash(), k.Applied()
	if old, ok := w.hash[applied]; ok && old != hash && applied > firstIndex {
		w.t.Fatalf("node %d at offset %d has hash %x, another had %x\n%s", n.index, applied, hash, old, w.notes.String())
	}
	w.hash[applied] = hash
	if k.Role() == Leader {
		if old, ok := w.leader[k.Term()]; ok && old != int32(n.index) {
			w.t.Fatalf("nodes %d and %d both lead term %d\n%s", old, n.index, k.Term(), w.notes.String())
		}
		w.leader[k.Term()] = int32(n.index)
	}
	if n.up && k.IsActive() && k.Role() != Leader {
		w.t.Fatalf("node %d is active and %s", n.index, k.Role())
	}
}

// active returns the active controller of the highest term, or nil.
func (w *world) active() *toyNode {
	var best *toyNode
	for _, n := range w.nodes {
		if n.up && n.k.IsActive() && (best == nil || n.k.Term() > best.k.Term()) {
			best = n
		}
	}
	return best
}

// ask sends a request to a node. The response may come later.
func (n *toyNode) ask(req kmsg.Request) conn.RequestID {
	n.w.nextID++
	id := n.w.nextID
	r := &conn.Request{ID: id, Key: req.Key(), Version: req.GetVersion(), Body: req.AppendTo(nil), Peer: "client", Session: n.peer}
	n.do(func(c *step.Context) { n.k.Handle(c, r) })
	return id
}

// call asks and waits for the answer, at most some seconds.
func (n *toyNode) call(req kmsg.Request) kmsg.Response {
	id := n.ask(req)
	until := n.w.now.Add(5 * time.Second)
	for n.responses[id] == nil && n.w.step(until) {
	}
	return n.responses[id]
}

// Respond and its siblings implement conn.Responder. Every response must be
// encodable at its version.
func (n *toyNode) Respond(_ *step.Context, id conn.RequestID, resp kmsg.Response) {
	resp.AppendTo(nil)
	if n.responses[id] != nil {
		n.w.t.Fatalf("request %d answered twice", id)
	}
	n.responses[id] = resp
}

func (n *toyNode) RespondEncoded(_ *step.Context, id conn.RequestID, send edge.Send) {
	if id == 0 { // raft messages
		if len(send.Head) != 0 {
			n.w.t.Fatalf("raft messages are answered with %x", send.Head)
		}
		return
	}
	var resp meta.FetchResponse
	if err := resp.ReadFrom(slices.Clone(send.Head)); err != nil {
		n.w.t.Fatalf("metadata fetch response: %v", err)
	}
	n.fetched[id] = resp
}

func (n *toyNode) ResponseHead(_ conn.RequestID, dst []byte) []byte { return dst }
func (n *toyNode) NoResponse(*step.Context, conn.RequestID)         {}
func (n *toyNode) Disconnect(_ *step.Context, id conn.RequestID) {
	n.w.t.Fatalf("request %d disconnected", id)
}
