package log

import (
	"fmt"
	"math"
	"sort"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// segment is one file of a log with its indexes. The last segment of a log is
// active; the others are sealed and do not change.
type segment struct {
	base    int64
	end     int64       // the offset after its last batch; base when empty
	file    edge.FileID // of the .log file
	size    int64       // bytes, those not written yet included
	written int64       // bytes whose write has ended: what may be read from disk
	issued  int64       // the offset up to which writes have been issued
	synced  int64       // all below is on stable storage, entry in the directory included
	created clock.Wall
	// jitter shortens segment.ms, so that the logs of a topic do not all roll at once.
	jitter int64

	offsets    offsetIndex
	times      timeIndex
	sinceIndex int64 // bytes since the last index entry

	firstTimestamp int64 // of the first batch, milliseconds, -1: what segment.ms counts from
	maxTimestamp   int64 // milliseconds, -1
	maxOffset      int64 // the last offset of the batch that holds maxTimestamp

	// allocated says that the file is longer than what is in it: it was created
	// with its full size (preallocate). trimming is the cut that ends this, in flight.
	allocated, trimming bool

	ops         int32 // disk operations in flight on file
	syncing     bool  // sealed, and a sync up to its end is on its way
	awaitsSync  bool  // that sync is issued when the last write has ended
	cutSyncs    int32 // such syncs in flight from before a cut: what is written now, they may have missed
	entrySynced bool  // the directory entry is on stable storage, or will be before any later sync
	closing     clock.Instant
	nameless    bool // compaction has given its name to another file, or it never had one
}

// relativeMax is how far an offset may lie above its segment's base: indexes
// hold 31 bits.
const relativeMax = math.MaxInt32

// segmentPath returns the path of one of a segment's files, whose name is its base
// offset in twenty digits.
func segmentPath(dir string, base int64, suffix string) string {
	var digits [20]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = '0' + byte(base%10)
		base /= 10
	}
	return dir + "/" + string(digits[:]) + suffix
}

const (
	logSuffix      = ".log"
	indexSuffix    = ".index"
	timeSuffix     = ".timeindex"
	snapshotSuffix = ".snapshot"
	deletedSuffix  = ".deleted"
)

// add accounts for a batch at the segment's end, as Kafka's LogSegment.append.
func (s *segment) add(b record.Batch, indexInterval int64) {
	last := b.LastOffset()
	if ts := b.MaxTimestamp(); ts > s.maxTimestamp {
		s.maxTimestamp, s.maxOffset = ts, last
	}
	if s.size == 0 {
		s.firstTimestamp = b.MaxTimestamp()
	}
	if s.sinceIndex > indexInterval {
		s.offsets.entries = append(s.offsets.entries, offsetEntry{uint32(last - s.base), uint32(s.size)})
		s.times.add(timeEntry{s.maxTimestamp, uint32(s.maxOffset - s.base)})
		s.sinceIndex = 0
	}
	s.size += int64(len(b))
	s.sinceIndex += int64(len(b))
	s.end = last + 1
}

// seal completes the time index: its last entry tells the segment's maximum.
func (s *segment) seal() { s.times.add(timeEntry{s.maxTimestamp, uint32(max(0, s.maxOffset-s.base))}) }

// trim drops the index entries of batches that end at or above offset, and with
// them what is known of timestamps behind the last entry left.
func (s *segment) trim(offset int64) {
	n := len(s.offsets.entries)
	for n > 0 && s.base+int64(s.offsets.entries[n-1].relative) >= offset {
		n--
	}
	s.offsets.entries = s.offsets.entries[:n]
	s.times.truncate(s.base, offset)
	s.maxTimestamp, s.maxOffset = -1, s.base
	if n := len(s.times.entries); n > 0 {
		s.maxTimestamp, s.maxOffset = s.times.entries[n-1].timestamp, s.base+int64(s.times.entries[n-1].relative)
	}
}

// indexed returns the position of the last index entry's batch.
func (s *segment) indexed() int64 {
	if n := len(s.offsets.entries); n > 0 {
		return int64(s.offsets.entries[n-1].position)
	}
	return 0
}

// cut ends the segment at a position, where offset begins; it has been trimmed.
func (s *segment) cut(position, offset int64) {
	s.allocated = s.allocated && position == s.size // else its file is cut there
	s.size, s.written = position, min(s.written, position)
	s.end, s.issued, s.synced = offset, min(s.issued, offset), min(s.synced, offset)
	if s.syncing && !s.awaitsSync {
		s.cutSyncs++
	}
	s.syncing, s.awaitsSync = false, false
	s.sinceIndex = position - s.indexed()
	if position == 0 {
		s.firstTimestamp = -1
	}
}

// full says whether a batch must go into a new segment.
func (s *segment) full(cfg *config.Topic, b record.Batch, lastOffset int64, wall clock.Wall) bool {
	if s.size == 0 {
		return lastOffset-s.base > relativeMax
	}
	if s.size > cfg.SegmentBytes-int64(len(b)) || lastOffset-s.base > relativeMax {
		return true
	}
	if s.age(b.MaxTimestamp(), wall) > cfg.SegmentMillis-s.jitter {
		return true
	}
	entries := int64(len(s.offsets.entries))
	return entries >= cfg.SegmentIndexBytes/offsetEntryBytes || int64(len(s.times.entries)) >= cfg.SegmentIndexBytes/timeEntryBytes-1
}

// age is how long the segment has waited for its roll, in milliseconds: by the
// records' own time, as Kafka counts, and by the wall clock without any.
func (s *segment) age(timestamp int64, wall clock.Wall) int64 {
	if s.firstTimestamp >= 0 && timestamp >= 0 {
		return timestamp - s.firstTimestamp
	}
	return int64(wall - s.created)
}

// youngest is what retention.ms is compared with.
func (s *segment) youngest() int64 {
	if s.maxTimestamp >= 0 {
		return s.maxTimestamp
	}
	return int64(s.created)
}

// segmentAt returns the index of the segment that holds offset, or would.
func (l *Log) segmentAt(offset int64) int {
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].base > offset })
	return max(0, i-1)
}

func (l *Log) active() *segment { return l.segments[len(l.segments)-1] }

// segmentOf finds the segment of a file, dead ones included.
func (l *Log) segmentOf(file edge.FileID) *segment {
	for i := len(l.segments) - 1; i >= 0; i-- {
		if l.segments[i].file == file {
			return l.segments[i]
		}
	}
	for _, s := range l.dead {
		if s.file == file {
			return s
		}
	}
	panic(fmt.Sprintf("log %s: result for file %d, which is none of its segments", l.partition, file))
}
