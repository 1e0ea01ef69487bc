package log

import (
	"errors"
	"fmt"
	"slices"
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
	r.fill(t, 8)
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
	r.fill(t, 2)
	r.log().Flush(&r.c)
	r.collect()
	r.settle()
	r.restart("power")
	if l := r.log(); l.StartOffset() != 0 || l.EndOffset() != 2 || l.HighWatermark() != 0 {
		t.Fatalf("the new log is %d to %d, high watermark %d", l.StartOffset(), l.EndOffset(), l.HighWatermark())
	}
}

// Goal: nor does it while those checkpoints are still on their way, or were when the
// power went. Method: the manager's queue, which carries them, stands still while all
// else is done; the new log takes nothing then, and what it has synced later is there
// after a power loss. Or the power goes with the renamed directory on disk and the
// checkpoints not; the log is then created behind the next boot.
func TestRecreatedLogWaitsForCheckpoints(t *testing.T) {
	for _, crash := range []bool{false, true} {
		r := newRig(testConfig())
		r.create()
		r.fill(t, 8)
		r.settle()
		r.log().SetHighWatermark(8)
		r.log().AdvanceStart(&r.c, 5)
		r.log().Flush(&r.c)
		r.collect()
		r.advance(2 * time.Minute)
		r.m.Delete(&r.c, thePartition)
		r.collect()
		if crash {
			r.settleBut(r.m.queue)
			r.restart("power")
			if r.log() != nil {
				t.Fatal("the log is back")
			}
			r.create()
		} else {
			r.create()
			r.settleBut(r.m.queue)
			if _, err := r.append(batchOptions{bytes: 300}, 0); !errors.Is(err, ErrRebuilding) {
				t.Fatalf("an append before the checkpoints are written: %v", err)
			}
			r.settle()
		}
		r.fill(t, 6)
		r.log().Flush(&r.c)
		r.collect()
		r.settle()
		r.restart("power")
		if l := r.log(); l.StartOffset() != 0 || l.EndOffset() != 6 || l.HighWatermark() != 0 {
			t.Fatalf("crash %v: the new log is %d to %d, high watermark %d", crash, l.StartOffset(), l.EndOffset(), l.HighWatermark())
		}
	}
}

// Goal: the clean shutdown file appears when nothing is left to do: whoever boots from
// what is stable at that moment finds the whole log, its producers and its high
// watermark without looking at it. Method: the power goes as soon as the file is there,
// with the checkpoints before all else and behind it.
func TestCleanShutdownFileIsLast(t *testing.T) {
	for _, checkpointsFirst := range []bool{true, false} {
		r := newRig(testConfig())
		r.create()
		for i := range int32(8) {
			if _, err := r.append(batchOptions{bytes: 300, producer: 5, sequence: i}, 0); err != nil {
				t.Fatal(err)
			}
		}
		r.settle()
		r.advance(10 * time.Second) // a checkpoint of the high watermark, which moves on
		r.log().SetHighWatermark(8)
		r.m.writeCheckpoint(&r.c, checkpointHighWatermark)
		r.log().SetHighWatermark(7)
		r.m.Shutdown(&r.c)
		r.collect()
		if _, err := r.append(batchOptions{}, 0); err != ErrStopped {
			t.Fatalf("append to a log that is shut down: %v", err)
		}
		for r.disk.stable[cleanShutdownFile] == nil {
			queue := r.logQueue()
			if i := slices.Index(r.disk.queues, r.m.queue); i >= 0 && (checkpointsFirst || queue < 0) {
				queue = i
			}
			r.one(queue)
		}
		r.disk.powerLoss(r.random)
		r.boot()
		reads := 0
		for len(r.disk.queues) > 0 {
			if strings.HasPrefix(r.disk.pendingOps()[0], "read at") {
				reads++
			}
			r.one(0)
		}
		l := r.log()
		if !r.m.CleanShutdown() || l.EndOffset() != 8 || l.FlushedOffset() != 8 || l.HighWatermark() != 7 || reads > 2 {
			t.Fatalf("clean %v, %s, %d reads", r.m.CleanShutdown(), r.state(), reads)
		}
		if info, err := r.append(batchOptions{bytes: 300, producer: 5, sequence: 7}, 0); err != ErrDuplicate || info.BaseOffset != 7 {
			t.Fatalf("retry of the last batch: %+v, %v", info, err)
		}
	}
}

// A shutdown in the middle of the recovery ends at once, and is no clean one.
func TestShutdownDuringRecovery(t *testing.T) {
	r := newRig(testConfig())
	r.create()
	if _, err := r.append(batchOptions{}, 0); err != nil {
		t.Fatal(err)
	}
	r.settle()
	r.crash("kill")
	r.boot()
	r.one(0)
	r.m.Shutdown(&r.c)
	r.collect()
	if !r.m.Stopped() {
		t.Fatal("the shutdown waits for the recovery")
	}
	r.restart("kill")
	if r.m.CleanShutdown() || r.log().EndOffset() != 1 {
		t.Fatalf("clean %v, %s", r.m.CleanShutdown(), r.state())
	}
}

// Goal: a log rolls as Kafka's does: when a batch does not fit, when the segment's first
// record is older by more than segment.ms less the jitter, and when an index is full.
func TestRolls(t *testing.T) {
	for _, x := range []struct {
		name string
		cfg  func(c *config.Topic)
		more []int64 // timestamps of batches between the first and the last
		next batchOptions
		want int // segments
	}{
		{"exactly full", func(c *config.Topic) { c.SegmentBytes = 640 }, nil, batchOptions{bytes: 250}, 1},
		{"one byte too much", func(c *config.Topic) { c.SegmentBytes = 639 }, nil, batchOptions{bytes: 250}, 2},
		{"just in time", func(c *config.Topic) { c.SegmentMillis = 5000 }, nil, batchOptions{timestamp: 1_005_000}, 1},
		{"too late", func(c *config.Topic) { c.SegmentMillis = 5000 }, nil, batchOptions{timestamp: 1_005_001}, 2},
		// An entry for each batch but the first: 5 fit into the offset index, 3 into the
		// time index, which needs one for its end.
		{"the offset index has room", fiveEntries, slices.Repeat([]int64{1_000_000}, 4), batchOptions{timestamp: 1_000_000}, 1},
		{"the offset index is full", fiveEntries, slices.Repeat([]int64{1_000_000}, 5), batchOptions{timestamp: 1_000_000}, 2},
		{"the time index has room", fiveEntries, []int64{1_000_001}, batchOptions{timestamp: 1_000_002}, 1},
		{"the time index is full", fiveEntries, []int64{1_000_001, 1_000_002}, batchOptions{timestamp: 1_000_003}, 2},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.TopicDefaults.SegmentBytes = 1 << 20
			x.cfg(&cfg.TopicDefaults)
			r := newRig(cfg)
			r.create()
			if _, err := r.append(batchOptions{bytes: 250, timestamp: 1_000_000}, 0); err != nil {
				t.Fatal(err)
			}
			for _, at := range x.more {
				if _, err := r.append(batchOptions{timestamp: at}, 0); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.append(x.next, 0); err != nil {
				t.Fatal(err)
			}
			if got := len(r.log().segments); got != x.want {
				t.Fatalf("%d segments, want %d", got, x.want)
			}
		})
	}
}

func fiveEntries(c *config.Topic) { c.SegmentIndexBytes, c.IndexIntervalBytes = 40, 0 }

// The jitter takes some of segment.ms away, never all of it and more.
func TestRollJitter(t *testing.T) {
	cfg := testConfig()
	cfg.TopicDefaults.SegmentMillis, cfg.TopicDefaults.SegmentJitterMillis = 1000, 1<<40
	cfg.TopicDefaults.SegmentBytes = 1 << 20
	early := 0
	for seed := range 30 {
		r := newRig(cfg)
		for range seed {
			r.random.Uint64()
		}
		r.create()
		for _, at := range []int64{1_000_000, 1_000_000, 1_000_500} {
			if _, err := r.append(batchOptions{timestamp: at}, 0); err != nil {
				t.Fatal(err)
			}
			if n := len(r.log().segments); at == 1_000_000 && n > 1 {
				t.Fatal("two records of the same time are in two segments")
			}
		}
		early += len(r.log().segments) - 1
	}
	if early == 0 || early == 30 {
		t.Fatalf("%d of 30 logs rolled after half of segment.ms", early)
	}
}

// Goal: a log may be deleted while its segments are being synced beside its queue.
// Method: the syncs come after the directory has got another name.
func TestDeletedWhileSegmentsAreSynced(t *testing.T) {
	r := newRig(testConfig())
	l := r.create()
	r.settle()
	for range 20 {
		if _, err := r.append(batchOptions{bytes: 200}, 0); err != nil {
			t.Fatal(err)
		}
		r.settleBut(l.queue + queueSyncs)
	}
	if len(r.disk.pending[l.queue+queueSyncs]) < 4 {
		t.Fatalf("%d operations wait beside the queue", len(r.disk.pending[l.queue+queueSyncs]))
	}
	r.m.Delete(&r.c, thePartition)
	r.collect()
	r.settleBut(l.queue + queueSyncs)
	r.settle()
	if r.out.Halt != "" {
		t.Fatal(r.out.Halt)
	}
	r.advance(time.Minute)
	if n := len(r.disk.list("")); n != 3 {
		t.Errorf("left in the data directory: %v", r.disk.list(""))
	}
}

// Goal: a sync that began before its segment was cut says nothing of what has been
// written since. Method: it ends when the segment has grown again and its next sync is
// under way.
func TestSyncFromBeforeACut(t *testing.T) {
	r := newRig(testConfig())
	l := r.create()
	r.settle()
	syncs := l.queue + queueSyncs
	fill := func() {
		for len(l.segments) < 2 {
			if _, err := r.append(batchOptions{bytes: 200}, 0); err != nil {
				t.Fatal(err)
			}
			r.settleBut(syncs)
		}
	}
	fill()
	r.one(slices.Index(r.disk.queues, syncs)) // the directory
	early := r.disk.step(slices.Index(r.disk.queues, syncs))
	l.TruncateTo(&r.c, 1)
	r.collect()
	r.settleBut(syncs)
	fill()
	r.m.Disk(&r.c, &early)
	r.collect()
	checkStable(t, r)
	r.settle()
	checkStable(t, r)
	if l.FlushedOffset() < l.segments[0].end {
		t.Errorf("flushed up to %d of %d", l.FlushedOffset(), l.segments[0].end)
	}
}

// Goal: a log that starts in the middle of the first batch that it can copy takes it, and
// is the same after a restart: log start, batch, and what it tells of its producer.
func TestBeginsInTheMiddleOfABatch(t *testing.T) {
	for _, how := range []string{"clean", "kill", "power"} {
		t.Run(how, func(t *testing.T) {
			r := newRig(testConfig())
			r.create()
			r.settle()
			r.log().TruncateFullyAndStartAt(&r.c, 5)
			r.collect()
			r.settle()
			r.restart("kill") // leaves a snapshot at the log start
			for _, bad := range []int64{0, 1, 6} {
				if err := r.appendFollower(batchOptions{base: bad, records: 4, producer: 3}); !errors.Is(err, ErrOffsetGap) {
					t.Fatalf("batch from %d to %d in an empty log at 5: %v", bad, bad+3, err)
				}
			}
			if err := r.appendFollower(batchOptions{base: 3, records: 4, producer: 3}); err != nil {
				t.Fatal(err)
			}
			if err := r.appendFollower(batchOptions{base: 7, records: 1, producer: 3, sequence: 4}); err != nil {
				t.Fatal(err)
			}
			r.settle()
			r.log().Flush(&r.c)
			r.collect()
			r.settle()
			checkStable(t, r)
			r.restart(how)
			l := r.log()
			if l.StartOffset() != 5 || l.EndOffset() != 8 {
				t.Fatalf("the log is %d to %d", l.StartOffset(), l.EndOffset())
			}
			if got := r.readAll(t, 5, 1); len(got) != 2 || got[0].BaseOffset() != 3 {
				t.Fatalf("%d batches", len(got))
			}
			e := l.producers.get(3)
			if e == nil || e.count != 2 || e.last().lastSequence != 4 {
				t.Fatalf("producer: %+v", e)
			}
		})
	}
}

// Goal: a follower copies batches that are larger than segment.bytes has become, each into
// a segment of its own.
func TestFollowerTakesLargeBatches(t *testing.T) {
	for _, preallocate := range []bool{false, true} {
		cfg := testConfig()
		cfg.TopicDefaults.Preallocate = preallocate
		r := newRig(cfg)
		r.create()
		for base := range int64(4) {
			if err := r.appendFollower(batchOptions{base: base, bytes: int(base%2) * 3000}); err != nil {
				t.Fatal(err)
			}
		}
		r.settle()
		if n := len(r.log().segments); n != 4 {
			t.Errorf("%d segments", n)
		}
		for _, how := range []string{"clean", "kill"} {
			if got := r.readAll(t, 0, 1); len(got) != 4 {
				t.Errorf("%d batches", len(got))
			}
			r.restart(how)
		}
	}
}
