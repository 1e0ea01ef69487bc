package log

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
)

// Goal: many logs come back, in order, with their topic ids, and the clean
// shutdown file is gone before any of them is touched. Method: 30 logs, a clean
// shutdown, a boot whose operations are watched.
func TestManyLogsComeBack(t *testing.T) {
	r := newRig(testConfig())
	var want []string
	for i := range 30 {
		p := Partition{fmt.Sprintf("topic-%d", i/3), int32(i % 3)}
		l := r.m.Create(&r.c, p, meta.TopicID{byte(i)}, r.cfg.TopicDefaults)
		for range i {
			b := r.batch(batchOptions{bytes: 100})
			if _, err := l.Append(&r.c, b, 0, b.Len(), 0); err != nil {
				t.Fatal(err)
			}
			b.Release()
		}
		r.collect()
	}
	r.settle()
	for _, l := range r.m.Logs() {
		l.SetHighWatermark(l.EndOffset() / 2)
		want = append(want, fmt.Sprintf("%s %s %d %d", l.Partition(), l.TopicID(), l.EndOffset(), l.HighWatermark()))
	}
	r.m.SetBrokerEpoch(&r.c, 77)
	r.m.SetMetaProperties(&r.c, MetaProperties{ClusterID: "c", NodeID: 4})
	r.crash("clean")
	r.boot()
	active := 0
	for len(r.disk.queues) > 0 {
		for _, line := range r.disk.pendingOps() {
			if _, there := r.disk.stable[cleanShutdownFile]; there && strings.Contains(line, "topic-") {
				t.Fatalf("%s while the clean shutdown file is there", line)
			}
		}
		active = max(active, r.m.boot.active)
		r.one(0)
	}
	if !r.m.Ready() || !r.m.CleanShutdown() || r.m.PreviousBrokerEpoch() != 77 || active != recoverParallelMax {
		t.Fatalf("ready %v, clean %v, epoch %d, %d at a time",
			r.m.Ready(), r.m.CleanShutdown(), r.m.PreviousBrokerEpoch(), active)
	}
	if p, ok := r.m.MetaProperties(); !ok || p.NodeID != 4 || p.ClusterID != "c" {
		t.Fatalf("meta.properties: %+v %v", p, ok)
	}
	var got []string
	for _, l := range r.m.Logs() {
		got = append(got, fmt.Sprintf("%s %s %d %d", l.Partition(), l.TopicID(), l.EndOffset(), l.HighWatermark()))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	r.crash("kill")
	r.boot()
	r.settle()
	if r.m.CleanShutdown() || r.m.PreviousBrokerEpoch() != -1 {
		t.Fatal("a kill looks like a clean shutdown")
	}
}

// Goal: a topic deleted and created again while writes are in flight leaves the
// new log alone. Method: delete at every point of the old log's operations.
func TestRecreateWhileBusy(t *testing.T) {
	for point := range 40 {
		r := newRig(testConfig())
		r.create()
		for range 6 {
			if _, err := r.append(batchOptions{bytes: 300}, 0); err != nil {
				t.Fatal(err)
			}
		}
		for range point {
			if len(r.disk.queues) > 0 {
				r.one(0)
			}
		}
		old := r.log()
		r.m.Delete(&r.c, thePartition)
		if _, err := old.Append(&r.c, edge.NewBuffer(nil), 0, 0, 0); err != ErrDeleted {
			t.Fatalf("append to a deleted log: %v", err)
		}
		r.create()
		if _, err := r.append(batchOptions{bytes: 10}, 4); err != nil {
			t.Fatal(err)
		}
		r.settle()
		r.advance(5 * time.Second)
		if len(r.disk.open) != 1 {
			t.Fatalf("point %d: %d files are open", point, len(r.disk.open))
		}
		r.restart("clean")
		if l := r.log(); l.EndOffset() != 1 || len(r.m.Logs()) != 1 || r.out.Halt != "" {
			t.Fatalf("point %d: new log ends at %d, %d logs, %s", point, l.EndOffset(), len(r.m.Logs()), r.out.Halt)
		}
		for p := range r.disk.entries {
			if isDeletedDir(dirOf(p)) {
				t.Fatalf("point %d: %s is left", point, p)
			}
		}
	}
}

// Goal: every kind of failing operation halts the node and says where. Method:
// fail the first operation of each kind during a busy life.
func TestDiskErrorsHalt(t *testing.T) {
	for kind := edge.OpMkdir; kind <= edge.OpReplaceFile; kind++ {
		r := newRig(testConfig())
		r.disk.fail = kind
		r.create()
		for range 8 {
			_, _ = r.append(batchOptions{bytes: 300}, 0)
			r.settle()
		}
		if r.out.Halt == "" && (kind == edge.OpList || kind == edge.OpRead || kind == edge.OpReadFile) {
			r.crash("kill")
			r.boot()
			r.settle()
		}
		if r.out.Halt == "" {
			r.log().SetHighWatermark(8)
			r.log().TruncateTo(&r.c, 7)
			r.collect()
			r.settle()
			r.m.Delete(&r.c, thePartition)
			r.collect()
			r.settle()
			r.advance(3 * time.Second)
		}
		if !strings.Contains(r.out.Halt, kind.String()) || !strings.Contains(r.out.Halt, "no space") {
			t.Errorf("%s fails: halt %q", kind, r.out.Halt)
		}
	}
}

// Goal: segment.ms counts from the segment's first record, across restarts.
func TestRollByTime(t *testing.T) {
	cfg := testConfig()
	cfg.TopicDefaults.SegmentMillis = 10_000
	cfg.TopicDefaults.SegmentBytes = 1 << 20
	r := newRig(cfg)
	r.create()
	for i := range 10 {
		if _, err := r.append(batchOptions{bytes: 100, timestamp: 1_000_000 + int64(i)*1000}, 0); err != nil {
			t.Fatal(err)
		}
	}
	r.settle()
	r.restart("clean")
	if n := len(r.log().segments); n != 1 {
		t.Fatalf("%d segments before the time", n)
	}
	if _, err := r.append(batchOptions{timestamp: 1_010_001}, 0); err != nil {
		t.Fatal(err)
	}
	if n := len(r.log().segments); n != 2 {
		t.Fatalf("%d segments after segment.ms", n)
	}
}

// Goal: a follower that had led an epoch without writing takes its new leader's
// older batches (KIP-101).
func TestEmptyEpochGivesWay(t *testing.T) {
	r := newRig(testConfig())
	l := r.create()
	if _, err := r.append(batchOptions{}, 4); err != nil {
		t.Fatal(err)
	}
	l.AssignEpoch(&r.c, 5, l.AppendEnd())
	r.collect()
	l.TruncateTo(&r.c, 1)
	r.collect()
	if l.LatestEpoch() != 4 {
		t.Fatalf("latest epoch %d after a truncation without effect", l.LatestEpoch())
	}
	l.AssignEpoch(&r.c, 5, l.AppendEnd())
	if err := r.appendFollower(batchOptions{base: 1, leader: 4}); err != nil {
		t.Fatal(err)
	}
	if err := r.appendFollower(batchOptions{base: 2, leader: 3}); err == nil {
		t.Fatal("a falling epoch was accepted")
	}
}

// Goal: a topic that is deleted and created again does not inherit what the
// checkpoints said of the old one: its log start would throw the new records away,
// its recovery point would vouch for them. Method: the power goes right after.
func TestRecreatedLogIsBelieved(t *testing.T) {
	cfg := testConfig()
	cfg.TopicDefaults.CleanupPolicy = config.CleanupDelete | config.CleanupCompact
	r := newRig(cfg)
	r.create()
	for range 8 {
		if _, err := r.append(batchOptions{bytes: 300}, 0); err != nil {
			t.Fatal(err)
		}
	}
	r.settle()
	r.log().SetHighWatermark(8)
	r.log().AdvanceStart(&r.c, 5)
	r.collect()
	r.advance(2 * time.Minute)
	if point, start := r.checkpointed(t, recoveryPointFile), r.checkpointed(t, startOffsetFile); point == 0 || start != 5 {
		t.Fatalf("the checkpoints say recovery point %d and log start %d", point, start)
	}
	r.m.Delete(&r.c, thePartition)
	r.collect()
	r.settle()
	for _, path := range []string{recoveryPointFile, startOffsetFile, highWatermarkFile, cleanerOffsetFile} {
		if file := r.disk.entries[path]; file == nil || strings.Contains(string(file.data), "t 0 ") {
			t.Errorf("%s still tells of the log: %v", path, file)
		}
	}
	r.create()
	for range 2 {
		if _, err := r.append(batchOptions{bytes: 300}, 0); err != nil {
			t.Fatal(err)
		}
	}
	r.log().Flush(&r.c)
	r.collect()
	r.settle()
	r.restart("power")
	if l := r.log(); l.StartOffset() != 0 || l.EndOffset() != 2 || l.HighWatermark() != 0 {
		t.Fatalf("the new log is %d to %d, high watermark %d", l.StartOffset(), l.EndOffset(), l.HighWatermark())
	}
}
