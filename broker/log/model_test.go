package log

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"pgregory.net/rapid"
)

// model is what a log should be: its batches, with the producers' states that
// they add up to.
type model struct {
	r       *rig
	batches []record.Batch // deleted ones, too
	base    int64          // where the log begins without any
	epoch   int32
	// before holds the batches as they were before each truncation that may not
	// have reached the disk: a crash may bring them back.
	before [][]record.Batch
	anew   bool // one of them began the log anew: it may end lower, too
}

func (m *model) end() int64 {
	if n := len(m.batches); n > 0 {
		return m.batches[n-1].NextOffset()
	}
	return m.base
}

// from are the batches from an offset on.
func from(batches []record.Batch, offset int64) []record.Batch {
	n := 0
	for n < len(batches) && batches[n].LastOffset() < offset {
		n++
	}
	return batches[n:]
}

func (m *model) cut(offset int64) {
	n := len(m.batches)
	for n > 0 && m.batches[n-1].LastOffset() >= offset {
		n--
	}
	m.batches = m.batches[:n]
}

// adopt finds which of the states that a crash may leave the log is a prefix of.
func (m *model) adopt(t *rapid.T) {
	l := m.r.log()
	start := l.StartOffset()
	got := m.r.readAll(t, start, 1<<20)
	for _, state := range append(m.before, m.batches) {
		left := from(state, start)
		if len(got) > len(left) || !cmp.Equal(got, left[:len(got)], cmpopts.EquateEmpty()) {
			continue
		}
		n := len(state) - len(left) + len(got)
		if n > 0 && (state[n-1].NextOffset() != l.EndOffset() || len(l.producers.entries) == 0 && l.segments[0].base == start && len(got) == 0) {
			n = 0
		}
		m.batches, m.base = state[:n:n], start
		if n > 0 {
			m.base = state[0].BaseOffset()
		} else if len(l.producers.entries) > 0 {
			continue
		}
		m.before, m.anew = nil, false
		return
	}
	t.Fatalf("recovered log of %d batches is a prefix of nothing that was written", len(got))
}

// check compares log and model: contents by reads from random offsets, producer
// state with a replay.
func (m *model) check(t *rapid.T) {
	l := m.r.log()
	if !l.Usable() {
		t.Fatalf("log is in state %d at rest", l.state)
	}
	if l.AppendEnd() != m.end() || l.EndOffset() != m.end() {
		t.Fatalf("log ends at %d (%d), model at %d", l.EndOffset(), l.AppendEnd(), m.end())
	}
	at := rapid.Int64Range(l.StartOffset(), l.EndOffset()).Draw(t, "from")
	got := m.r.readAll(t, at, rapid.IntRange(1, 3000).Draw(t, "maxBytes"))
	if d := cmp.Diff(from(m.batches, at), got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("read from %d (-want +got):\n%s", at, d)
	}
	var replay producerState
	for _, b := range m.batches {
		replay.update(b)
	}
	for i := range replay.entries {
		want := &replay.entries[i]
		got := l.producers.get(want.id)
		if got == nil || got.epoch != want.epoch || got.count != want.count || got.batches != want.batches || got.before != want.before {
			t.Fatalf("producer %d: log %+v, replay %+v", want.id, got, *want)
		}
	}
	if len(l.producers.entries) != len(replay.entries) {
		t.Fatalf("%d producers, replay has %d", len(l.producers.entries), len(replay.entries))
	}
	var epochs epochCache
	for _, b := range m.batches {
		if b.LeaderEpoch() > epochs.latest() {
			epochs.assign(b.LeaderEpoch(), b.BaseOffset())
		}
	}
	start := l.StartOffset()
	if x := l.epochs.entries; len(x) > 0 {
		start = max(start, x[0].start) // a crash may have brought deleted segments back
	}
	epochs.truncateStart(start)
	known := epochCache{slices.Clone(l.epochs.entries)}
	if l.StartOffset() == l.EndOffset() { // the epoch of what has been deleted may be known
		known, epochs = epochCache{}, epochCache{}
	}
	if d := cmp.Diff(epochs.entries, known.entries, cmp.AllowUnexported(epochEntry{})); d != "" && len(m.batches) > 0 {
		t.Fatalf("epochs (-want +got):\n%s", d)
	}
	m.checkTimes(t)
}

// checkTimes looks a random time up, and the maximum.
func (m *model) checkTimes(t *rapid.T) {
	l := m.r.log()
	at := rapid.Int64Range(999_000, 1_010_000).Draw(t, "time")
	want, best := int64(-1), int64(-1)
	highest := int64(-1)
	for _, b := range m.batches {
		for i := int64(0); i < int64(b.Count()); i++ {
			ts := b.BaseTimestamp() + i
			if b.BaseOffset()+i < l.StartOffset() {
				continue
			}
			if want < 0 && ts >= at {
				want = b.BaseOffset() + i
			}
			if ts > highest {
				highest, best = ts, b.BaseOffset()+i
			}
		}
	}
	wait := func(find func() TimeResult) int64 {
		for {
			r := find()
			m.r.collect()
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if !r.Loading {
				return r.Offset
			}
			m.r.settle()
		}
	}
	if got := wait(func() TimeResult { return l.OffsetForTime(&m.r.c, at, l.EndOffset()) }); got != want {
		t.Fatalf("first offset at or after %d: %d, want %d", at, got, want)
	}
	if l.StartOffset() > l.segments[0].base {
		return // the maximum may be of a record that has been deleted
	}
	if got := wait(func() TimeResult { return l.MaxTimestampOffset(&m.r.c, l.EndOffset()) }); got != best {
		t.Fatalf("offset of the largest timestamp: %d, want %d", got, best)
	}
}

// checkTrust holds the checkpoints on disk against a log that takes appends: what
// a recovery would not look at must be stable, and what it would throw away must
// be gone.
func checkTrust(t fataler, r *rig) {
	t.Helper()
	l := r.log()
	if l == nil || !l.Usable() {
		return
	}
	if point := r.checkpointed(t, recoveryPointFile); point > l.FlushedOffset() {
		t.Fatalf("the recovery point on disk is %d, flushed is up to %d", point, l.FlushedOffset())
	}
	if mark := r.checkpointed(t, highWatermarkFile); mark > l.HighWatermark() {
		t.Fatalf("the high watermark on disk is %d, it is %d", mark, l.HighWatermark())
	}
	if start := r.checkpointed(t, startOffsetFile); start > l.StartOffset() {
		t.Fatalf("the log start on disk is %d, the log begins at %d", start, l.StartOffset())
	}
	if mark := l.HighWatermark(); mark < l.StartOffset() || mark > l.EndOffset() || l.FlushedOffset() > l.EndOffset() || l.EndOffset() > l.AppendEnd() {
		t.Fatalf("out of order: %s", r.state())
	}
	if cleaned := r.checkpointed(t, cleanerOffsetFile); cleaned > l.cleaned || l.cleaned > l.EndOffset() {
		t.Fatalf("compacted up to %d on disk, to %d in memory, of %d", cleaned, l.cleaned, l.EndOffset())
	}
}

// checkStable demands that all that counts as flushed would survive a power loss.
func checkStable(t fataler, r *rig) {
	t.Helper()
	l := r.log()
	if l == nil || !l.Usable() {
		return
	}
	for _, s := range l.segments {
		if s.base >= l.FlushedOffset() {
			break
		}
		path := segmentPath(l.dir, s.base, logSuffix)
		file := r.disk.stable[path]
		switch {
		case file == nil:
			t.Fatalf("flushed up to %d, and %s has no stable name", l.FlushedOffset(), path)
		case s.end <= l.FlushedOffset() && int64(len(file.stable)) < s.size:
			t.Fatalf("flushed up to %d, and %d bytes of %d of %s are stable", l.FlushedOffset(), len(file.stable), s.size, path)
		}
	}
}

// checkpointed is what a checkpoint on disk says of the partition, 0 if nothing.
func (r *rig) checkpointed(t fataler, path string) int64 {
	t.Helper()
	file := r.disk.entries[path]
	if file == nil {
		return 0
	}
	offsets, err := decodeOffsets(file.data)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return offsets[thePartition]
}

// Goal: whatever is appended, truncated, killed and recovered, the log is a
// prefix of what the model holds, at least up to what was reported flushed.
// Method: random operations, disk operations in any order the queues allow,
// three ways to end a process.
func TestLogAgreesWithModel(t *testing.T) { rapid.Check(t, checkLog) }

func checkLog(t *rapid.T) {
	cfg := testConfig()
	cfg.TopicDefaults.FlushMessages = rapid.SampledFrom([]int64{1, 7, 1<<63 - 1}).Draw(t, "flush.messages")
	cfg.TopicDefaults.IndexIntervalBytes = rapid.SampledFrom([]int64{0, 150, 4096}).Draw(t, "index.interval.bytes")
	cfg.TopicDefaults.Preallocate = rapid.Bool().Draw(t, "preallocate")
	r := newRig(cfg)
	if rapid.Bool().Draw(t, "small caches") {
		r.limits = &limits{tailBytesPerLog: 300, tailBytes: 300, coldBytes: 100, scanBytes: 120}
		r.m.limits = *r.limits
	}
	m := &model{r: r}
	r.create()
	seq := map[int64]int32{}
	resync := func() {
		clear(seq)
		for _, b := range m.batches {
			if b.ProducerID() >= 0 {
				seq[b.ProducerID()] = record.IncrementSequence(b.LastSequence(), 1)
			}
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"append": func(t *rapid.T) {
			if !r.log().Usable() {
				r.settle()
			}
			if rapid.IntRange(0, 9).Draw(t, "election") == 0 {
				m.epoch++
				r.log().AssignEpoch(&r.c, m.epoch, r.log().AppendEnd())
				r.collect()
			}
			o := batchOptions{
				records: rapid.IntRange(1, 4).Draw(t, "records"), bytes: rapid.IntRange(0, 200).Draw(t, "bytes"),
				producer:  rapid.Int64Range(0, 3).Draw(t, "producer"),
				timestamp: rapid.Int64Range(1_000_000, 1_009_000).Draw(t, "timestamp"),
			}
			o.sequence = seq[o.producer]
			b := r.batch(o)
			if rapid.Bool().Draw(t, "follower") {
				record.Batch(b.Bytes()).SetBaseOffset(m.end())
				record.Batch(b.Bytes()).SetLeaderEpoch(m.epoch)
				if err := r.log().AppendFollower(&r.c, []edge.Slice{b.All()}); err != nil {
					t.Fatalf("append at %d: %v", m.end(), err)
				}
			} else if info, err := r.log().Append(&r.c, b, 0, b.Len(), m.epoch); err != nil || info.BaseOffset != m.end() {
				t.Fatalf("append: %+v %v, model ends at %d", info, err, m.end())
			}
			m.batches = append(m.batches, record.Batch(append([]byte(nil), b.Bytes()...)))
			if o.producer > 0 {
				seq[o.producer] += int32(o.records)
			}
			b.Release()
			r.collect()
		},
		"disk": func(t *rapid.T) {
			for range rapid.IntRange(1, 5).Draw(t, "operations") {
				if n := len(r.disk.queues); n > 0 {
					r.one(rapid.IntRange(0, n-1).Draw(t, "queue"))
				}
			}
		},
		"duplicate": func(t *rapid.T) {
			if !r.log().Usable() || len(m.batches) == 0 {
				return
			}
			b := m.batches[len(m.batches)-1]
			if b.ProducerID() < 0 {
				return
			}
			buf := r.pool.Get(len(b))
			copy(buf.Bytes(), b)
			info, err := r.log().Append(&r.c, buf, 0, buf.Len(), m.epoch)
			buf.Release()
			if err != ErrDuplicate || info.BaseOffset != b.BaseOffset() {
				t.Fatalf("duplicate: %+v %v, want %d", info, err, b.BaseOffset())
			}
		},
		"truncate": func(t *rapid.T) {
			offset := rapid.Int64Range(0, m.end()+2).Draw(t, "offset")
			first := r.log().segments[0].base
			r.log().TruncateTo(&r.c, offset)
			r.collect()
			m.before = append(m.before, slices.Clone(m.batches))
			if m.cut(offset); offset < max(first, m.base) {
				m.batches, m.base, m.anew = nil, offset, true
			}
			resync()
		},
		"start anew": func(t *rapid.T) {
			offset := rapid.Int64Range(0, m.end()+20).Draw(t, "offset")
			r.log().TruncateFullyAndStartAt(&r.c, offset)
			r.collect()
			m.before = append(m.before, slices.Clone(m.batches))
			m.batches, m.base, m.anew = nil, offset, true
			resync()
		},
		"retention": func(t *rapid.T) {
			l := r.log()
			if !l.Usable() {
				return
			}
			l.SetHighWatermark(rapid.Int64Range(l.HighWatermark(), l.EndOffset()).Draw(t, "high watermark"))
			l.AdvanceStart(&r.c, rapid.Int64Range(0, max(0, min(l.HighWatermark(), l.EndOffset()-1))).Draw(t, "start"))
			cfg := r.cfg.TopicDefaults
			cfg.RetentionBytes = rapid.SampledFrom([]int64{-1, 1, 1500}).Draw(t, "retention.bytes")
			l.SetConfig(cfg)
			l.Retention(&r.c)
			r.collect()
		},
		"restart": func(t *rapid.T) {
			how := rapid.SampledFrom([]string{"kill", "power", "clean"}).Draw(t, "how")
			if how == "clean" {
				r.settle()
			}
			// A truncation that is under way may end below what was asked for.
			flushed, end := min(r.log().FlushedOffset(), m.end()), min(r.log().EndOffset(), m.end())
			start := r.log().StartOffset()
			if how != "clean" && (!r.log().Usable() || m.anew) {
				flushed, end, start = 0, 0, 1<<62
			}
			if how != "clean" && rapid.Bool().Draw(t, "crash during recovery") {
				r.crash(how)
				r.boot()
				for range rapid.IntRange(0, 30).Draw(t, "operations") {
					if n := len(r.disk.queues); n > 0 {
						r.one(rapid.IntRange(0, n-1).Draw(t, "queue"))
					}
				}
			}
			r.restart(how)
			l := r.log()
			if l == nil {
				if flushed > 0 {
					t.Fatal("log is gone")
				}
				r.create()
				r.settle()
				l = r.log()
			}
			switch {
			case l.StartOffset() > max(start, m.end()):
				t.Fatalf("after %s: log starts at %d, started at %d", how, l.StartOffset(), start)
			case how == "clean" && (l.EndOffset() != m.end() || l.StartOffset() != start), l.EndOffset() < flushed,
				cfg.TopicDefaults.FlushMessages == 1 && l.EndOffset() < end:
				t.Fatalf("after %s: log ends at %d, was flushed to %d, ended at %d", how, l.EndOffset(), flushed, end)
			}
			if r.m.CleanShutdown() != (how == "clean") {
				t.Fatalf("clean shutdown is %v after %s", r.m.CleanShutdown(), how)
			}
			m.adopt(t)
			resync()
			m.check(t)
		},
		"checkpoint": func(t *rapid.T) {
			end := m.end() + 1 // one more than there is
			r.log().SetHighWatermark(rapid.Int64Range(min(r.log().HighWatermark(), end), end).Draw(t, "high watermark"))
			r.m.writeCheckpoint(&r.c, checkpointHighWatermark)
			r.m.checkpointNow(&r.c)
			r.collect()
		},
		"time": func(t *rapid.T) {
			if r.log().Usable() {
				r.advance(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second)
			}
		},
		"check": func(t *rapid.T) {
			r.settle()
			m.before, m.anew = nil, false
			m.check(t)
		},
		"": func(t *rapid.T) {
			if r.out.Halt != "" {
				t.Fatal(r.out.Halt)
			}
			checkTrust(t, r)
			checkStable(t, r)
		},
	})
}
