package log

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"pgregory.net/rapid"
)

// Goal: whatever is written, compacted, truncated and crashed, the newest value of
// every key stays at its offset until a tombstone's time has passed, nothing comes
// back that had gone for good, offsets never change, and readers get across.
// Method: a model of keys against a log on the test's disk, restarted in all ways.
func TestCompactionModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newCompacted()
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			x.step(t)
		}
		x.check(t)
		x.complete(t)
		x.check(t)
	})
}

type compacted struct {
	*rig
	values []keyed // by offset, as appended
	seq    int32
	// cut says that a truncation took batches behind compacted ones. A recovery that
	// looks at the records again may find no trace of a producer's last batch then, as
	// in Kafka, and the producer has to begin a new epoch.
	cut bool
}

type keyed struct {
	key   string // "": nothing is there any more
	value string // "": a tombstone
}

func newCompacted() *compacted {
	cfg := testConfig()
	cfg.TopicDefaults.CleanupPolicy = config.CleanupCompact
	cfg.TopicDefaults.SegmentBytes = 400
	cfg.TopicDefaults.DeleteRetentionMillis = 60_000
	cfg.TopicDefaults.MaxCompactionLagMillis = 1 << 40
	x := &compacted{rig: newRig(cfg)}
	x.create()
	x.settle()
	return x
}

func (x *compacted) step(t *rapid.T) {
	switch rapid.IntRange(0, 11).Draw(t, "action") {
	case 0, 1, 2, 3, 4:
		x.write(t)
	case 5, 6:
		x.settle()
		x.log().SetHighWatermark(x.log().EndOffset())
		x.advance(16 * time.Second)
	case 7:
		x.advance(2 * time.Minute)
	case 8:
		how := rapid.SampledFrom([]string{"kill", "power", "clean"}).Draw(t, "how")
		if how != "clean" {
			x.log().Flush(&x.c)
			x.collect()
			x.settle()
		}
		x.again(how)
		x.log().SetHighWatermark(x.log().EndOffset())
	case 9:
		x.beginCompaction(t)
		x.again(rapid.SampledFrom([]string{"kill", "power"}).Draw(t, "how"))
		x.log().SetHighWatermark(x.log().EndOffset())
	default: // a new leader knows better
		x.beginCompaction(t)
		x.log().TruncateTo(&x.c, rapid.Int64Range(0, x.log().EndOffset()).Draw(t, "offset"))
		x.collect()
		if rapid.Bool().Draw(t, "crash") {
			x.operations(t)
			x.again(rapid.SampledFrom([]string{"kill", "power"}).Draw(t, "how"))
		}
		x.settle()
		x.rewind(t)
	}
	x.check(t)
}

// again restarts the broker, which gives the log its configuration.
func (x *compacted) again(how string) {
	x.restart(how)
	x.log().SetConfig(x.cfg.TopicDefaults)
	if how != "clean" && x.cut {
		x.takeSequence()
	}
}

// takeSequence has the producer go on behind what the log knows of it.
func (x *compacted) takeSequence() {
	x.seq = 0
	for _, p := range x.log().Producers() {
		x.seq = p.LastSequence + 1
	}
}

// beginCompaction stops in the middle of one, if there is anything to compact.
func (x *compacted) beginCompaction(t *rapid.T) {
	x.settle()
	x.log().Flush(&x.c)
	x.collect()
	x.settle()
	x.log().SetHighWatermark(x.log().EndOffset())
	x.m.cleanNext(&x.c)
	x.collect()
	x.operations(t)
}

// operations lets the disk do some of what it has been asked for.
func (x *compacted) operations(t *rapid.T) {
	for range rapid.IntRange(0, 30).Draw(t, "operations") {
		if n := len(x.disk.queues); n > 0 {
			x.one(rapid.IntRange(0, n-1).Draw(t, "queue"))
		}
	}
}

// rewind makes the model what is left after a truncation. A record that had been
// compacted away stays away, though the one that came after it may be gone, too.
func (x *compacted) rewind(t fataler) {
	left := make([]keyed, x.log().EndOffset())
	for _, o := range x.offsets(t) {
		left[o] = x.values[o]
	}
	x.values, x.cut = left, true
	x.takeSequence()
}

// complete demands that nothing is left to compact: of each key in the sealed
// segments only the newest record is there.
func (x *compacted) complete(t fataler) {
	t.Helper()
	l := x.log()
	l.Flush(&x.c)
	x.collect()
	x.settle()
	l.SetHighWatermark(l.EndOffset())
	x.advance(time.Minute) // the first round may only list the log as one with gaps
	sealed := l.active().base
	newest := x.newest(sealed)
	for _, o := range x.offsets(t) {
		if o < sealed && o != newest[x.values[o].key] {
			t.Fatalf("%v at %d is still there, though %d is newer and also below %d", x.values[o], o, newest[x.values[o].key], sealed)
		}
	}
}

// newest is where the last record of each key is, below an offset.
func (x *compacted) newest(below int64) map[string]int64 {
	at := map[string]int64{}
	for o, k := range x.values[:below] {
		if k.key != "" {
			at[k.key] = int64(o)
		}
	}
	return at
}

// offsets lists the records that are there.
func (x *compacted) offsets(t fataler) (list []int64) {
	var reader record.Reader
	var scratch record.Scratch
	for _, b := range x.readAll(t, x.log().StartOffset(), 300) {
		if err := reader.Reset(b, &scratch); err != nil {
			t.Fatalf("%v", err)
		}
		for {
			_, ok, err := reader.Next()
			if err != nil {
				t.Fatalf("%v", err)
			}
			if !ok {
				break
			}
			list = append(list, reader.Offset())
		}
	}
	return list
}

func (x *compacted) write(t *rapid.T) {
	o := record.NoProducer(rapid.SampledFrom([]record.Codec{record.None, record.Lz4}).Draw(t, "codec"))
	n := rapid.IntRange(1, 4).Draw(t, "records")
	if rapid.Bool().Draw(t, "idempotent") {
		o.ProducerID, o.ProducerEpoch, o.BaseSequence = 7, 0, x.seq
		x.seq += int32(n)
	}
	var b record.Builder
	b.Reset(nil, o)
	for range n {
		k := keyed{key: fmt.Sprint("k", rapid.IntRange(0, 5).Draw(t, "key"))}
		value := []byte(nil)
		if !rapid.Bool().Draw(t, "tombstone") {
			k.value = fmt.Sprint("v", len(x.values))
			value = []byte(k.value)
		}
		b.Append(int64(x.c.Wall), []byte(k.key), value, nil)
		x.values = append(x.values, k)
	}
	x.appendBatch(t, b.Finish())
}

func (x *compacted) appendBatch(t fataler, batch record.Batch) {
	t.Helper()
	buffer := x.pool.Get(len(batch))
	copy(buffer.Bytes(), batch)
	if _, err := x.log().Append(&x.c, buffer, 0, buffer.Len(), 0); err != nil {
		t.Fatalf("append: %v", err)
	}
	buffer.Release()
	x.collect()
	x.settle()
}

// check reads everything and compares it with the model.
func (x *compacted) check(t *rapid.T) {
	x.settle()
	checkTrust(t, x.rig)
	l := x.log()
	if l.EndOffset() != int64(len(x.values)) {
		t.Fatalf("the log ends at %d, %d were appended", l.EndOffset(), len(x.values))
	}
	newest := x.newest(int64(len(x.values)))
	seen := map[int64]bool{}
	var reader record.Reader
	var scratch record.Scratch
	next := int64(0)
	for _, b := range x.readAll(t, l.StartOffset(), 300) {
		if b.BaseOffset() < next {
			t.Fatalf("batch at %d after %d", b.BaseOffset(), next)
		}
		next = b.NextOffset()
		if err := b.CheckCRC(); err != nil {
			t.Fatal(err)
		}
		if err := reader.Reset(b, &scratch); err != nil {
			t.Fatal(err)
		}
		for {
			rec, ok, err := reader.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			o := reader.Offset()
			want := x.values[o]
			if string(rec.Key) != want.key || string(rec.Value) != want.value || (rec.Value == nil) != (want.value == "") {
				t.Fatalf("offset %d holds %s=%s, appended was %v", o, rec.Key, rec.Value, want)
			}
			seen[o] = true
		}
	}
	if next != l.EndOffset() {
		t.Fatalf("readers get to %d of %d", next, l.EndOffset())
	}
	for key, o := range newest {
		if x.values[o].value != "" && !seen[o] {
			t.Fatalf("the newest value of %s at %d is gone", key, o)
		}
		if x.values[o].value == "" && !seen[o] {
			// The tombstone has gone: nothing of the key may be left.
			for older := range seen {
				if x.values[older].key == key && x.values[older].value != "" {
					t.Fatalf("%s is back at %d: its tombstone at %d is gone", key, older, o)
				}
			}
		}
	}
}

// A directed story: what goes, what stays, and that it takes the disk's space with it.
func TestCompacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if compactionStory(t) == 0 {
			t.Fatal("nothing was compacted")
		}
	})
}

func compactionStory(t *rapid.T) (gone int) {
	x := newCompacted()
	for range 60 {
		x.write(t)
	}
	before := x.log().Size()
	x.log().SetHighWatermark(x.log().EndOffset())
	x.advance(16 * time.Second)
	x.check(t)
	if x.log().cleaned == 0 || x.log().Size() >= before {
		t.Fatalf("cleaned up to %d, %d bytes of %d are left", x.log().cleaned, x.log().Size(), before)
	}
	kept := 0
	for _, b := range x.readAll(t, 0, 300) {
		kept += int(b.Count())
	}
	return len(x.values) - kept
}

// Goal: a part of the log that counts as compacted is, in memory and on disk, wherever
// a compaction is cut off: a tombstone in it goes in time, and what it deletes must
// have gone before. Method: behind each of the operations the process is killed, the
// log truncated, or its oldest segments deleted, with the checkpoints before all else
// and behind it; the next compaction must leave nothing behind.
func TestInterruptedCompaction(t *testing.T) {
	for _, interrupt := range []func(x *compacted){
		func(x *compacted) {
			x.restart("kill")
			x.log().SetConfig(x.cfg.TopicDefaults)
		},
		func(x *compacted) { x.log().TruncateTo(&x.c, 9) },
		func(x *compacted) {
			x.log().AdvanceStart(&x.c, 9)
			x.log().Retention(&x.c)
		},
	} {
		for _, checkpointsFirst := range []bool{true, false} {
			operations := 0
			for over := false; !over; operations++ {
				var x *compacted
				x, over = startCompaction(t, operations, checkpointsFirst)
				interrupt(x)
				x.collect()
				x.settleLogs()
				x.settle()
				x.rewind(t)
				checkTrust(t, x.rig)
				for range 10 {
					x.appendKey(t)
				}
				x.complete(t)
			}
			if operations < 20 {
				t.Fatalf("a compaction of %d operations", operations)
			}
		}
	}
}

// startCompaction lets so many operations of a compaction happen, and tells whether
// these are all.
func startCompaction(t fataler, operations int, checkpointsFirst bool) (x *compacted, over bool) {
	x = newCompacted()
	for range 20 {
		x.appendKey(t)
	}
	x.log().SetHighWatermark(x.log().EndOffset())
	x.m.writeCheckpoint(&x.c, checkpointCleaner) // lists the log as one with gaps
	x.collect()
	x.settle()
	x.m.cleanNext(&x.c)
	x.collect()
	for range operations {
		queue := x.logQueue()
		if i := slices.Index(x.disk.queues, x.m.queue); i >= 0 && (checkpointsFirst || queue < 0) {
			queue = i
		}
		if queue < 0 {
			break
		}
		x.one(queue)
	}
	return x, len(x.disk.queues) == 0
}

// appendKey appends one record, always of the same key.
func (x *compacted) appendKey(t fataler) {
	var b record.Builder
	b.Reset(nil, record.NoProducer(record.None))
	b.Append(int64(x.c.Wall), []byte("key"), []byte("value"), nil)
	x.values = append(x.values, keyed{"key", "value"})
	x.appendBatch(t, b.Finish())
}

// Goal: what is compacted, and when: nothing above the high watermark, nothing younger
// than min.compaction.lag.ms, and what is older than max.compaction.lag.ms however
// little of the log it is.
func TestCompactionIsDue(t *testing.T) {
	for _, test := range []struct {
		name          string
		cfg           func(c *config.Topic)
		mark          int64
		early, atLast bool // compacted within the minute, within two
	}{
		{"at once", func(*config.Topic) {}, 20, true, true},
		{"up to the high watermark", func(*config.Topic) {}, 11, true, true},
		{"not before min.compaction.lag.ms", func(c *config.Topic) { c.MinCompactionLagMillis = 60_000 }, 20, false, true},
		{"not dirty enough", func(c *config.Topic) { c.MinCleanableDirtyRatio = 1_000_001 }, 20, false, false},
		{"after max.compaction.lag.ms", func(c *config.Topic) {
			c.MinCleanableDirtyRatio, c.MaxCompactionLagMillis = 1_000_001, 60_000
		}, 20, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := newCompacted()
			cfg := x.cfg.TopicDefaults
			test.cfg(&cfg)
			x.log().SetConfig(cfg)
			for range 20 {
				x.appendKey(t)
			}
			x.log().SetHighWatermark(test.mark)
			x.advance(50 * time.Second)
			if got := x.log().cleaned > 0; got != test.early {
				t.Errorf("compacted up to %d in 50 s", x.log().cleaned)
			}
			x.advance(70 * time.Second)
			if got := x.log().cleaned > 0; got != test.atLast || x.log().cleaned > test.mark {
				t.Errorf("compacted up to %d in 2 minutes, the high watermark is %d", x.log().cleaned, test.mark)
			}
			left := map[int64]bool{}
			for _, o := range x.offsets(t) {
				left[o] = true
			}
			for o := test.mark; o < 20; o++ {
				if !left[o] {
					t.Errorf("the record at %d is gone", o)
				}
			}
		})
	}
}
