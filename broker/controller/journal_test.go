package controller

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
	pb "go.etcd.io/raft/v3/raftpb"
)

func testEntry(index, term uint64, data string) *pb.Entry {
	return &pb.Entry{Index: new(index), Term: new(term), Data: []byte(data)}
}

// testSegment is a segment of three frames, and where they begin.
func testSegment() (file []byte, starts []int) {
	id := base{Index: 1, Term: 1, NodeID: 0, ClusterID: "toy"}
	for _, payload := range [][]byte{
		appendState(id.append(nil), firstHardState(), nil),
		appendState(nil, nil, []*pb.Entry{testEntry(2, 2, "two"), testEntry(3, 2, "three")}),
		appendState(nil, &pb.HardState{Term: new(uint64(3)), Vote: new(uint64(1)), Commit: new(uint64(2))},
			[]*pb.Entry{testEntry(3, 3, "other"), testEntry(4, 3, "four")}),
	} {
		starts = append(starts, len(file))
		file = append(file, frame(int64(len(file)), payload)...)
	}
	return file, append(starts, len(file))
}

// Goal: of a torn tail nothing is believed, and rot before the tail is never
// taken for one. Method: cut and flip at every byte.
func TestReadSegment(t *testing.T) {
	file, starts := testSegment()
	for n := range len(file) + 1 {
		s, err := readSegment(file[:n])
		whole := 0
		for _, at := range starts[1:] {
			if n >= at {
				whole++
			}
		}
		if whole == 0 {
			if n > 0 && err != errTorn {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		}
		if err != nil || s.bytes != int64(starts[whole]) || len(s.entries) != []int{0, 0, 2, 3}[whole] {
			t.Fatalf("cut at %d: %+v, %v", n, s, err)
		}
	}
	for n := range file {
		bad := slices.Clone(file)
		bad[n] ^= 0x10
		s, err := readSegment(bad)
		if last := starts[len(starts)-2]; n < last && err == nil {
			t.Fatalf("flip at %d went unnoticed", n)
		} else if n >= last && (err != nil || s.bytes != int64(last)) {
			t.Fatalf("flip at %d: %+v, %v", n, s, err)
		}
	}
	s, err := readSegment(file)
	if err != nil || string(s.entries[1].GetData()) != "other" || s.hard.GetTerm() != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func FuzzReadSegment(f *testing.F) {
	file, starts := testSegment()
	f.Add(file)
	f.Add(file[:starts[2]])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readSegment(b)
		if err != nil {
			return
		}
		if s.bytes > int64(len(b)) {
			t.Fatalf("%d valid bytes of %d", s.bytes, len(b))
		}
		for i, e := range s.entries {
			if e.GetIndex() != s.base.Index+uint64(i)+1 {
				t.Fatalf("entry %d has index %d", i, e.GetIndex())
			}
		}
	})
}

// FuzzReplay feeds well-formed frames with arbitrary items.
func FuzzReplay(f *testing.F) {
	id := base{Index: 1, Term: 1, ClusterID: "toy"}
	f.Add(appendState(id.append(nil), firstHardState(), []*pb.Entry{testEntry(2, 2, "two")}))
	f.Fuzz(func(_ *testing.T, payload []byte) {
		_, _ = readSegment(frame(0, payload))
	})
}

// Goal: a restart finds the image again, from checkpoint and segment, however
// the roll was cut short. Method: crash at every event while topics are created.
func TestRecovery(t *testing.T) {
	for crashAt := 20; crashAt < 1200; crashAt += 7 {
		w := newWorld(t, uint64(crashAt), 1)
		w.run(time.Second)
		n := w.nodes[0]
		n.call(registration(1))
		events, created := 0, 0
		for created = 0; events < crashAt; created++ {
			n.ask(allocate(n))
			for n.k.Applied() < n.k.active.nextOffset-1 && events < crashAt && w.step(w.now.Add(time.Second)) {
				events++
			}
		}
		before := n.k.Image()
		if crashAt%2 == 0 {
			// Killed, started, and then the power fails: what the second boot has
			// relied on must be on the disk by then.
			w.kill(0)
			w.boot(0)
			for !n.k.IsActive() && w.step(w.now.Add(time.Second)) {
			}
			if got := n.k.Image(); got.Offset > before.Offset {
				before = got
			}
		}
		w.crash(0)
		w.boot(0)
		w.run(2 * time.Second)
		if n.halted != "" {
			t.Fatalf("crash at %d: %s", crashAt, n.halted)
		}
		after := n.k.Image()
		if !n.k.IsActive() || after.NextProducerID < before.NextProducerID || after.Offset <= before.Offset {
			t.Fatalf("crash at %d: producer id %d after %d, offset %d after %d", crashAt, after.NextProducerID,
				before.NextProducerID, after.Offset, before.Offset)
		}
		files := 0
		for name := range n.disk.files {
			if strings.HasSuffix(name, segmentSuffix) || strings.HasSuffix(name, checkpointSuffix) {
				files++
			}
		}
		if files > 2 {
			t.Fatalf("crash at %d: %d files are left", crashAt, files)
		}
	}
}

func allocate(n *toyNode) *kmsg.AllocateProducerIDsRequest {
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID = 1
	if b := n.k.Image().Broker(1); b != nil {
		req.BrokerEpoch = b.Epoch
	}
	return req
}

// Goal: a node whose disk fails makes no promise. Method: fail each kind of
// operation in turn.
func TestDiskFailureHalts(t *testing.T) {
	for _, kind := range []edge.DiskOpKind{edge.OpWrite, edge.OpSync, edge.OpReplaceFile, edge.OpSyncDir, edge.OpOpen} {
		w := newWorld(t, 3, 1)
		w.run(time.Second)
		n := w.nodes[0]
		n.call(registration(1))
		n.disk.fail = kind
		answered := 0
		for range 100 {
			if !n.up {
				break
			}
			if n.call(allocate(n)) != nil {
				answered++
			}
		}
		if n.halted == "" || !strings.Contains(n.halted, "input/output error") {
			t.Fatalf("%s: halted %q", kind, n.halted)
		}
		if (kind == edge.OpWrite || kind == edge.OpSync) && answered > 0 {
			t.Fatalf("%s: %d requests were answered", kind, answered)
		}
	}
}

// Goal: a file of another node or cluster is refused, and so is rot.
func TestRecoveryRefuses(t *testing.T) {
	for _, change := range []struct {
		what string
		edit func(w *world, f *toyFile)
		want string
	}{
		{"node", func(_ *world, f *toyFile) {
			id := base{Index: 1, Term: 1, NodeID: 7, ClusterID: "toy"}
			f.seen = frame(0, appendState(id.append(nil), firstHardState(), nil))
		}, "belongs to node 7"},
		{"cluster", func(_ *world, f *toyFile) {
			id := base{Index: 1, Term: 1, ClusterID: "other"}
			f.seen = frame(0, appendState(id.append(nil), firstHardState(), nil))
		}, `belongs to cluster "other"`},
		{"rot", func(_ *world, f *toyFile) { f.seen = slices.Clone(f.seen); f.seen[30] ^= 1 }, "is corrupt"},
	} {
		w := newWorld(t, 3, 1)
		w.run(time.Second)
		n := w.nodes[0]
		n.call(registration(1))
		w.crash(0)
		change.edit(w, n.disk.files[segmentPath(firstIndex)])
		w.boot(0)
		w.run(time.Second)
		if !strings.Contains(n.halted, change.want) {
			t.Fatalf("%s: halted %q", change.what, n.halted)
		}
	}
}

// Goal: a broker that follows the active controller has its image at every
// offset, from a snapshot or from batches, across failovers. Method: a
// meta.Follower polls whoever answers.
func TestMetadataFetch(t *testing.T) {
	w := newWorld(t, 11, 3)
	w.run(3 * time.Second)
	f := meta.NewFollower()
	snapshots, waits := 0, 0
	poll := func(n *toyNode, wait int32) {
		t.Helper()
		req := f.Request(1, [16]byte{1}, wait)
		w.nextID++
		id := w.nextID
		n.do(func(c *step.Context) {
			n.k.Handle(c, &conn.Request{ID: id, Key: KeyMetadataFetch, Body: req.AppendTo(nil)})
		})
		if _, ok := n.fetched[id]; !ok {
			waits++
			n.ask(registration(5)) // news, and then again none
			for until := w.now.Add(time.Duration(wait+1000) * time.Millisecond); n.up && w.step(until); {
				if _, ok := n.fetched[id]; ok {
					break
				}
			}
		}
		resp, ok := n.fetched[id]
		if !ok {
			t.Fatalf("no answer\n%s", w.notes.String())
		}
		if resp.ErrorCode != 0 {
			return
		}
		if len(resp.Snapshot) > 0 {
			snapshots++
		}
		before := f.Image().Offset
		if _, err := f.Feed(&resp); err != nil {
			t.Fatal(err)
		}
		if f.Image().Offset < before {
			t.Fatalf("the follower goes back from %d to %d", before, f.Image().Offset)
		}
		if hash, ok := w.hash[f.Image().Offset]; ok && hash != f.Image().Hash() {
			t.Fatalf("the follower differs at offset %d", f.Image().Offset)
		}
	}
	for i := range 30 {
		n := w.active()
		n.call(registration(int32(i % 4)))
		for range i % 9 * 3 {
			n.call(allocate(n))
		}
		poll(n, int32(i%3)*500)
		if i%10 == 9 {
			w.crash(n.index)
			w.run(8 * time.Second)
			w.boot(n.index)
			w.run(2 * time.Second)
		}
		if i%7 == 3 {
			poll(w.active(), 300)
		}
	}
	poll(w.active(), 0)
	if n := w.active(); f.Image().Offset != n.k.Applied() || !f.Image().Equal(n.k.Image()) {
		t.Fatalf("the follower is at %d, the controller at %d", f.Image().Offset, n.k.Applied())
	}
	if snapshots == 0 || waits == 0 {
		t.Fatalf("%d snapshots, %d waits: the test has lost its point", snapshots, waits)
	}
}

// Goal: raft messages that no peer of ours sends are dropped without harm.
func TestForeignRaftMessages(t *testing.T) {
	w := newWorld(t, 5, 3)
	w.run(3 * time.Second)
	n := w.active()
	term := n.k.Term()
	for _, m := range []*pb.Message{
		{},
		{Type: pb.MsgHup.Enum(), From: new(uint64(2)), To: new(raftID(int32(n.index)))},
		{Type: pb.MsgApp.Enum(), From: new(uint64(99)), To: new(raftID(int32(n.index))), Term: new(uint64(1000))},
		{Type: pb.MsgSnap.Enum(), From: new(raftID(int32(n.index+1) % 3)), To: new(raftID(int32(n.index))), Term: new(uint64(1000))},
		{Type: pb.MsgStorageAppendResp.Enum(), From: new(raftID(int32(n.index+1) % 3)), To: new(raftID(int32(n.index)))},
	} {
		body := append([]byte{byte(len(marshal(m)))}, marshal(m)...)
		n.do(func(c *step.Context) { n.k.Handle(c, &conn.Request{Key: KeyRaft, Body: append(body, 0xff)}) })
	}
	if !n.k.IsActive() || n.k.Term() != term {
		t.Fatalf("active %v at term %d", n.k.IsActive(), n.k.Term())
	}
}
