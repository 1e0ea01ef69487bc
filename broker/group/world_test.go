package group

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/coordinator"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fakeLog is the one partition of __consumer_offsets, with its replication
// reduced to a high watermark that moves at once, or when a test says so.
type fakeLog struct {
	leader  bool
	batches []*edge.Buffer
	end     int64
	mark    int64
	hold    bool  // appended batches stay above the high watermark
	refuse  int16 // the code for appends, if it is not 0
	waiting []partition.InternalResult
	results []partition.InternalResult
}

var _ coordinator.Log = (*fakeLog)(nil)

func (l *fakeLog) Replica(key log.Partition) (coordinator.Replica, bool) {
	return coordinator.Replica{Leader: l.leader, TopicID: meta.TopicID{1}, AppendEnd: l.end, HighWatermark: l.mark},
		key == log.Partition{Topic: offsetsTopic}
}

func (l *fakeLog) AppendInternal(_ *step.Context, _ log.Partition, b *edge.Buffer, token edge.Token) (int64, int16) {
	res := partition.InternalResult{Kind: partition.InternalAppended, Token: token, Error: l.refuse, BaseOffset: -1, LastOffset: -1}
	if l.refuse != 0 {
		l.results = append(l.results, res)
		return -1, l.refuse
	}
	batch := record.Batch(b.Bytes())
	batch.SetBaseOffset(l.end)
	if err := batch.CheckCRC(); err != nil {
		panic(err)
	}
	res.BaseOffset, l.end = l.end, batch.NextOffset()
	res.LastOffset = l.end - 1
	l.batches = append(l.batches, b.Retain())
	l.waiting = append(l.waiting, res)
	if !l.hold {
		l.commit()
	}
	return res.BaseOffset, 0
}

// commit moves the high watermark to the end.
func (l *fakeLog) commit() {
	l.mark = l.end
	l.results = append(l.results, l.waiting...)
	l.waiting = nil
}

// doubt ends what is in flight so that nobody knows: the batches stay.
func (l *fakeLog) doubt() {
	for i := range l.waiting {
		l.waiting[i].Error = 20
	}
	l.commit()
}

// stepDown loses what is above the high watermark, or only the knowledge of it.
func (l *fakeLog) stepDown(truncate bool) {
	l.leader, l.waiting = false, nil
	for truncate && l.end > l.mark {
		last := record.Batch(l.batches[len(l.batches)-1].Bytes())
		l.batches, l.end = l.batches[:len(l.batches)-1], last.BaseOffset()
	}
}

func (l *fakeLog) ReadInternal(_ *step.Context, _ log.Partition, from int64, maxBytes int, _ edge.Token, dst []edge.Slice) log.ReadResult {
	r := log.ReadResult{Slices: dst, Next: from}
	for _, b := range l.batches {
		batch := record.Batch(b.Bytes())
		if batch.LastOffset() < from || r.Bytes >= maxBytes {
			continue
		}
		b.Retain()
		r.Slices, r.Bytes, r.Next = append(r.Slices, b.All()), r.Bytes+b.Len(), batch.NextOffset()
	}
	return r
}

func (l *fakeLog) TakeInternal(dst []partition.InternalResult) []partition.InternalResult {
	dst = append(dst, l.results...)
	l.results = l.results[:0]
	return dst
}

// world is one coordinator after the other on the same log, and its clients.
type world struct {
	cfg      config.Broker
	log      fakeLog
	m        *Manager
	image    *meta.Image
	now      clock.Instant
	wall     clock.Wall // ahead of now by this much
	timers   timer.Queue
	random   *rand.Rand
	pool     edge.Pool
	out      edge.Effects
	lastID   conn.RequestID
	requests map[conn.RequestID]kmsg.Request
	answered func(id conn.RequestID, req kmsg.Request, resp kmsg.Response)
	names    []string          // member ids in the order in which they were first seen
	gate     *security.Gate    // nil: everybody may do everything
	peer     *security.Session // who asks
}

// authorize puts an authorizer before the coordinator; each line is an entry such
// as "alice READ group g".
func (w *world) authorize(lines []string) error {
	var bindings []acl.Binding
	for _, line := range lines {
		f := strings.Fields(line)
		if len(f) != 4 {
			return fmt.Errorf("malformed entry %q", line)
		}
		op, err := kmsg.ParseACLOperation(f[1])
		kind, err2 := kmsg.ParseACLResourceType(f[2])
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		bindings = append(bindings, acl.Binding{Resource: acl.Resource{Type: kind, Pattern: acl.Literal, Name: f[3]},
			Principal: "User:" + f[0], Host: "*", Operation: op, Permission: acl.Allow})
	}
	w.gate = security.NewGate([]security.Principal{security.User("root")}, false)
	w.gate.SetBindings(bindings)
	w.m.SetGate(w.gate)
	return nil
}

func newWorld() *world {
	w := &world{cfg: config.DefaultBroker(), wall: 1_000_000, random: rand.New(rand.NewPCG(1, 2)),
		requests: make(map[conn.RequestID]kmsg.Request)}
	w.image = image("orders", "users")
	w.log.leader = true
	w.start()
	return w
}

// image has the offsets topic with one partition, and the given topics. A topic's
// id is made of its name without a trailing "'", so that "orders'" replaces "orders".
func image(names ...string) *meta.Image {
	im := &meta.Image{Topics: []*meta.Topic{{Name: offsetsTopic, ID: meta.TopicID{1}, Partitions: []*meta.Partition{{}}}}}
	for _, name := range names {
		t := &meta.Topic{Name: strings.TrimSuffix(name, "'"), Partitions: []*meta.Partition{{}, {}, {}, {}, {}, {}, {}, {}}}
		copy(t.ID[:], name)
		im.Topics = append(im.Topics, t)
	}
	slices.SortFunc(im.Topics, func(a, b *meta.Topic) int { return strings.Compare(a.Name, b.Name) })
	return im
}

// start boots a coordinator; timers die with the old one.
func (w *world) start() {
	w.timers = timer.Queue{}
	w.m = newManager(w.cfg, &w.log, w)
	w.m.SetGate(w.gate)
	w.m.Apply(w.context(), meta.Empty(), w.image)
	w.settle()
}

func (w *world) context() *step.Context {
	return &step.Context{Now: w.now, Wall: w.wall + clock.Wall(w.now.Millis()), Out: &w.out, Timers: &w.timers,
		Random: w.random, Buffers: &w.pool}
}

func (w *world) settle() {
	for w.m.Settle(w.context()) {
	}
}

func (w *world) apply(image *meta.Image) {
	old := w.image
	w.image = image
	w.m.Apply(w.context(), old, image)
	w.settle()
}

// advance lets time pass.
func (w *world) advance(d time.Duration) {
	until := w.now.Add(d)
	for w.timers.Next() <= until {
		w.now = w.timers.Next()
		id, _ := w.timers.Pop(w.now)
		w.m.Timer(w.context(), id)
		w.settle()
	}
	w.now = until
}

// failover moves the coordinator to a fresh one. With lag, the new leader's high
// watermark stays where it was until the next commit.
func (w *world) failover(truncate, lag bool) {
	w.log.stepDown(truncate)
	w.m.Apply(w.context(), w.image, w.image)
	w.settle()
	w.log.leader, w.log.results = true, nil
	if !lag {
		w.log.mark = w.log.end
	}
	w.start()
}

// send is one request of a client.
func (w *world) send(client string, req kmsg.Request) conn.RequestID {
	w.lastID++
	w.requests[w.lastID] = req
	r := &conn.Request{ID: w.lastID, Key: req.Key(), Version: req.GetVersion(), ClientID: client, Peer: "10.0.0.1",
		Body: req.AppendTo(nil), Session: w.peer}
	c := w.context()
	switch req.(type) {
	case *kmsg.OffsetCommitRequest:
		w.m.OffsetCommit(c, r)
	case *kmsg.OffsetFetchRequest:
		w.m.OffsetFetch(c, r)
	case *kmsg.JoinGroupRequest:
		w.m.JoinGroup(c, r)
	case *kmsg.HeartbeatRequest:
		w.m.Heartbeat(c, r)
	case *kmsg.LeaveGroupRequest:
		w.m.LeaveGroup(c, r)
	case *kmsg.SyncGroupRequest:
		w.m.SyncGroup(c, r)
	case *kmsg.DescribeGroupsRequest:
		w.m.DescribeGroups(c, r)
	case *kmsg.ListGroupsRequest:
		w.m.ListGroups(c, r)
	case *kmsg.DeleteGroupsRequest:
		w.m.DeleteGroups(c, r)
	case *kmsg.OffsetDeleteRequest:
		w.m.OffsetDelete(c, r)
	}
	id := w.lastID
	w.settle()
	return id
}

// Respond implements conn.Responder. The response goes over the wire and back.
func (w *world) Respond(_ *step.Context, id conn.RequestID, resp kmsg.Response) {
	req := w.requests[id]
	if req == nil {
		panic(fmt.Sprintf("request %d is answered twice, or never was: %T", id, resp))
	}
	delete(w.requests, id)
	got := req.ResponseKind()
	got.SetVersion(req.GetVersion())
	if err := got.ReadFrom(resp.AppendTo(nil)); err != nil || resp.GetVersion() != req.GetVersion() {
		panic(fmt.Sprintf("response %T of version %d to %d: %v", resp, resp.GetVersion(), req.GetVersion(), err))
	}
	w.answered(id, req, got)
}

func (w *world) RespondEncoded(*step.Context, conn.RequestID, edge.Send) { panic("not used") }
func (w *world) ResponseHead(conn.RequestID, []byte) []byte              { panic("not used") }
func (w *world) NoResponse(*step.Context, conn.RequestID)                { panic("not used") }
func (w *world) Disconnect(_ *step.Context, id conn.RequestID) {
	panic(fmt.Sprintf("request %d disconnects", id))
}

var uuidMember = regexp.MustCompile(`[a-z0-9]+-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// short replaces the random member ids of a text by m1, m2 and so on.
func (w *world) short(text string) string {
	return uuidMember.ReplaceAllStringFunc(text, func(id string) string {
		i := slices.Index(w.names, id)
		if i < 0 {
			i = len(w.names)
			w.names = append(w.names, id)
		}
		return fmt.Sprintf("m%d", i+1)
	})
}

// long is the reverse of short for one id.
func (w *world) long(name string) string {
	var i int
	if n, _ := fmt.Sscanf(name, "m%d", &i); n == 1 && i <= len(w.names) {
		return w.names[i-1]
	}
	return name
}
