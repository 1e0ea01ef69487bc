package group

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: the coordinator runs on the broker's real logs and partitions: writes
// wait for the disk, and after a restart all is read back from it. Method: one
// broker, alone in its cluster, and a disk in memory.
func TestRealPartitions(t *testing.T) {
	disk := &files{data: map[string][]byte{}, open: map[edge.FileID]string{}}
	w := newWorld()
	var answers []kmsg.Response
	w.answered = func(_ conn.RequestID, _ kmsg.Request, resp kmsg.Response) { answers = append(answers, resp) }
	w.image.Offset = 1
	w.image.Topics[0].Partitions[0] = &meta.Partition{Replicas: []int32{1}, ISR: []int32{1}, Leader: 1}
	b := startBroker(t, w, disk)

	join := kmsg.NewPtrJoinGroupRequest()
	join.SetVersion(3)
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "g", "consumer", 10_000, 60_000
	join.Protocols = append(join.Protocols, kmsg.JoinGroupRequestProtocol{Name: "range", Metadata: []byte("x")})
	b.send(join)
	b.advance(3 * time.Second)
	joined := answers[0].(*kmsg.JoinGroupResponse)
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.SetVersion(3)
	sync.Group, sync.MemberID, sync.Generation = "g", joined.MemberID, joined.Generation
	sync.GroupAssignment = append(sync.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: joined.MemberID, MemberAssignment: []byte("A")})
	b.send(sync)
	if got := string(answers[1].(*kmsg.SyncGroupResponse).MemberAssignment); got != "A" {
		t.Fatalf("assigned %q: %+v %+v", got, joined, answers[1])
	}
	for offset := range int64(2000) {
		b.send(commitOf("g", joined, offset))
		if code := answers[len(answers)-1].(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatalf("commit of %d: code %d", offset, code)
		}
	}
	before, offsets := w.m.Groups(), w.m.Offsets("g")
	if len(offsets) != 1 || offsets[0].Offset != 1999 || before[0].State != Stable {
		t.Fatalf("before the restart: %+v %+v", before, offsets)
	}

	b = startBroker(t, w, disk)
	if diff := cmp.Diff(before, w.m.Groups()); diff != "" {
		t.Fatalf("after the restart (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(offsets, w.m.Offsets("g")); diff != "" {
		t.Fatalf("after the restart (-want +got):\n%s", diff)
	}
	b.send(commitOf("g", joined, 2000))
	if got := w.m.Offsets("g")[0].Offset; got != 2000 {
		t.Fatalf("committed %d", got)
	}
}

func commitOf(group string, joined *kmsg.JoinGroupResponse, offset int64) kmsg.Request {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.SetVersion(8)
	r.Group, r.MemberID, r.Generation = group, joined.MemberID, joined.Generation
	r.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: offset}}}}
	return r
}

// realBroker is as much of a node as a coordinator needs.
type realBroker struct {
	*world
	logs  *log.Manager
	parts *partition.Manager
	disk  *files
	// changes is reused.
	changes []log.Change
}

// startBroker boots from the disk and takes up the image.
func startBroker(t *testing.T, w *world, disk *files) *realBroker {
	w.timers, w.out, w.random = timer.Queue{}, edge.Effects{}, rand.New(rand.NewPCG(3, 4))
	b := &realBroker{world: w, logs: log.NewManager(config.DefaultBroker()), disk: disk}
	b.logs.Boot(w.context())
	b.work()
	if !b.logs.Ready() {
		t.Fatal("the logs are not ready")
	}
	b.parts = partition.NewManager(w.cfg, 1, b.logs, nobody{})
	w.m = NewManager(w.cfg, b.parts, w)
	b.parts.Start(w.context())
	b.parts.Apply(w.context(), meta.Empty(), w.image)
	w.m.Apply(w.context(), meta.Empty(), w.image)
	b.work()
	if got := w.m.Shards(); len(got) != 1 || got[0].State.String() != "active" {
		t.Fatalf("shards: %v", got)
	}
	return b
}

// nobody is whom a lonely broker calls.
type nobody struct{}

func (nobody) Send(*step.Context, caller.Call) { panic("a call") }

func (b *realBroker) send(req kmsg.Request) {
	b.world.send("c", req)
	b.work()
}

// work lets disk, logs, partitions and coordinator go on until all is quiet.
func (b *realBroker) work() {
	for {
		ops := slices.Clone(b.out.Disk)
		b.out.Reset()
		for i := range ops {
			r := b.disk.do(&ops[i])
			b.logs.Disk(b.context(), &r)
		}
		quiet := len(ops) == 0
		if b.changes = b.logs.TakeChanges(b.changes[:0]); len(b.changes) > 0 && b.parts != nil {
			quiet = false
			b.parts.LogChanges(b.context(), b.changes)
		}
		if b.parts != nil && b.m.Settle(b.context()) {
			quiet = false
		}
		if quiet && len(b.out.Disk) == 0 {
			return
		}
	}
}

func (b *realBroker) advance(d time.Duration) {
	b.now = b.now.Add(d)
	for {
		id, due := b.timers.Pop(b.now)
		if !due {
			break
		}
		switch id.Owner {
		case step.OwnerGroup:
			b.m.Timer(b.context(), id)
		case step.OwnerLog:
			b.logs.Timer(b.context(), id)
		default:
			b.parts.Timer(b.context(), id)
		}
	}
	b.work()
}

// files is a disk that does everything at once and never fails.
type files struct {
	data map[string][]byte
	open map[edge.FileID]string
}

func (f *files) do(op *edge.DiskOp) edge.DiskResult {
	r := edge.DiskResult{Token: op.Token, Op: op.Kind}
	var in []byte
	for _, s := range op.Data {
		in = append(in, s.Bytes()...)
		s.Buffer.Release()
	}
	path := op.Path
	if path == "" {
		path = f.open[op.File]
	}
	at := f.data[path]
	switch op.Kind {
	case edge.OpList:
		r.Entries = f.list(path)
	case edge.OpOpen:
		f.open[op.File], f.data[path] = path, at
		r.Length = int64(len(at))
	case edge.OpRead:
		from := min(op.Offset, int64(len(at)))
		r.Data = edge.NewBuffer(slices.Clone(at[from:min(from+op.Length, int64(len(at)))]))
	case edge.OpWrite:
		f.data[path] = append(at[:op.Offset:op.Offset], in...)
		r.Length = int64(len(in))
	case edge.OpTruncate:
		f.data[path] = at[:op.Length:op.Length]
	case edge.OpReadFile:
		if _, ok := f.data[path]; !ok {
			r.Err = edge.ErrNotFound
			return r
		}
		r.Data = edge.NewBuffer(slices.Clone(at))
	case edge.OpReplaceFile:
		f.data[path] = in
	case edge.OpRename:
		f.data[op.NewPath] = at
		delete(f.data, path)
	case edge.OpRemove:
		delete(f.data, path)
	}
	return r
}

func (f *files) list(dir string) []edge.DirEntry {
	found := map[string]edge.DirEntry{}
	for path, data := range f.data {
		rest, ok := strings.CutPrefix(path, strings.TrimPrefix(dir+"/", "/"))
		if ok {
			name, _, deeper := strings.Cut(rest, "/")
			found[name] = edge.DirEntry{Name: name, Dir: deeper, Size: int64(len(data))}
		}
	}
	var list []edge.DirEntry
	for _, e := range found {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b edge.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return list
}
