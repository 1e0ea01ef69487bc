package log

import (
	"sort"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// recoveryPhase is how far the recovery of a log has come. From recoverScan it
// goes back to recoverSnapshot when a clean log turns out not to be.
type recoveryPhase uint8

const (
	recoverList     recoveryPhase = iota // the directory
	recoverFiles                         // metadata, epochs, indexes, and every segment opened
	recoverSnapshot                      // the newest producer snapshot that can be used
	recoverScan                          // the log behind what can be trusted
	recoverSync                          // what was found is made stable
)

// recovery is the recovery of one log, in progress.
type recovery struct {
	phase   recoveryPhase
	waiting int
	// unclean: everything from the recovery point on is checked.
	unclean       bool
	flushed       int64 // the recovery point of the checkpoint
	start         int64 // the log start of the checkpoint
	highWatermark int64
	epochsChanged bool
	badIndex      []bool // by segment
	candidates    []int64
	tail          bool // only behind the last index entry
	whole         int  // the first segment that is scanned as a whole
	replayFrom    int64
}

// What is read, in the upper half of a token's B; the lower is a segment's index.
const (
	readList uint64 = iota << 32
	readMetadata
	readEpochs
	readIndex
	readTimeIndex
	readOpen
	readSnapshot
	readFirst
)

const readKind = ^uint64(1<<32 - 1)

// isDeletedDir says whether a directory is that of a deleted log, as Delete and
// Kafka name them.
func isDeletedDir(name string) bool { return strings.HasSuffix(name, "-delete") }

// recover starts the recovery of a log that has a directory.
func (l *Log) recover(c *step.Context) {
	b := &l.m.boot
	for kind := range checkpointKinds {
		l.checkpointed[kind] = b.checkpoints[kind][l.partition]
	}
	if _, listed := b.checkpoints[checkpointCleaner][l.partition]; listed {
		l.cleaned, l.gaps = l.checkpointed[checkpointCleaner], gapsKnown
	}
	_, hasPoint := b.checkpoints[checkpointRecovery][l.partition]
	l.recovery = &recovery{
		unclean: !b.clean || !hasPoint, flushed: l.checkpointed[checkpointRecovery],
		start: l.checkpointed[checkpointStart], highWatermark: l.checkpointed[checkpointHighWatermark],
	}
	l.op(c, edge.DiskOp{Kind: edge.OpList, Path: l.dir, Token: edge.Token{B: readList}}, tokenRecovery)
}

// recovered handles the result of a recovery's operation.
func (l *Log) recovered(c *step.Context, r *edge.DiskResult) {
	if l.state != recovering {
		if r.Data != nil {
			r.Data.Release()
		}
		return
	}
	var data []byte
	if r.Err == edge.DiskOK && r.Data != nil {
		data = r.Data.Bytes()
	}
	kind, i := r.Token.B&readKind, int(uint32(r.Token.B))
	switch kind {
	case readList:
		l.recoverListed(c, r.Entries)
	case readFirst:
		if len(data) == record.HeaderBytes {
			l.active().firstTimestamp = record.Batch(data).MaxTimestamp()
		}
	case readSnapshot:
		l.recoverSnapshotRead(c, data, r.Err == edge.DiskOK)
	default:
		l.recoverFile(c, kind, i, data, r)
	}
	if r.Data != nil {
		r.Data.Release()
	}
}

// recoverListed sorts what lies in the directory and reads the small files.
func (l *Log) recoverListed(c *step.Context, entries []edge.DirEntry) {
	x := l.recovery
	x.phase = recoverFiles
	var indexes []edge.DirEntry
	for _, e := range entries {
		base, suffix, ok := parseSegmentName(e.Name)
		switch {
		case isLeftover(e.Name):
			l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: l.dir + "/" + e.Name}, tokenPlain)
		case ok && suffix == logSuffix && !e.Dir:
			l.segments = append(l.segments, &segment{
				base: base, end: base, file: l.m.nextFile(), created: c.Wall, firstTimestamp: -1, maxTimestamp: -1, maxOffset: base,
				entrySynced: false,
			})
		case ok && suffix == snapshotSuffix:
			l.snapshots = append(l.snapshots, base)
		case ok:
			indexes = append(indexes, e)
		}
	}
	sort.Slice(l.segments, func(i, j int) bool { return l.segments[i].base < l.segments[j].base })
	sort.Slice(l.snapshots, func(i, j int) bool { return l.snapshots[i] < l.snapshots[j] })
	x.badIndex = make([]bool, len(l.segments))
	l.read(c, readMetadata, l.dir+"/"+partitionFile)
	l.read(c, readEpochs, l.dir+"/"+epochFile)
	for i, s := range l.segments {
		op := edge.DiskOp{
			Kind: edge.OpOpen, File: s.file, Path: segmentPath(l.dir, s.base, logSuffix),
			Token: edge.Token{B: readOpen | uint64(i)},
		}
		l.op(c, op, tokenRecovery)
		x.waiting++
	}
	// Behind the opens, so that the size is known when an index is checked.
	for i, s := range l.segments {
		l.read(c, readIndex|uint64(i), segmentPath(l.dir, s.base, indexSuffix))
		l.read(c, readTimeIndex|uint64(i), segmentPath(l.dir, s.base, timeSuffix))
	}
	for _, e := range indexes {
		base, _, _ := parseSegmentName(e.Name)
		if i := l.segmentAt(base); len(l.segments) == 0 || l.segments[i].base != base {
			l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: l.dir + "/" + e.Name}, tokenPlain)
		}
	}
}

func (l *Log) read(c *step.Context, what uint64, path string) {
	l.recovery.waiting++
	l.op(c, edge.DiskOp{Kind: edge.OpReadFile, Path: path, Length: checkpointBytesMax, Token: edge.Token{B: what}}, tokenRecovery)
}

// parseSegmentName reads NNNNNNNNNNNNNNNNNNNN.suffix.
func parseSegmentName(name string) (base int64, suffix string, ok bool) {
	const digits = 20
	if len(name) <= digits {
		return 0, "", false
	}
	base, err := strconv.ParseInt(name[:digits], 10, 64)
	suffix = name[digits:]
	ok = err == nil && base >= 0 && base <= offsetMax && name[0] != '+' &&
		(suffix == logSuffix || suffix == indexSuffix || suffix == timeSuffix || suffix == snapshotSuffix)
	return base, suffix, ok
}

// isLeftover names what an interrupted deletion, cleaning or replacement leaves.
func isLeftover(name string) bool {
	for _, suffix := range [...]string{deletedSuffix, ".cleaned", ".swap", ".tmp"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// recoverFile handles one small file or open.
func (l *Log) recoverFile(c *step.Context, kind uint64, i int, data []byte, r *edge.DiskResult) {
	x := l.recovery
	ok := true
	switch kind {
	case readMetadata:
		if id, err := decodePartitionMetadata(data); err == nil {
			l.topicID = id
		} else if r.Err == edge.DiskOK {
			c.Logf(edge.Error, "log %s: %v", l.partition, err)
		}
	case readEpochs:
		var err error
		if l.epochs, err = decodeEpochs(data); err != nil && r.Err == edge.DiskOK {
			// Epochs below the recovery point can only be had from the log itself.
			c.Logf(edge.Error, "log %s: %v", l.partition, err)
			x.unclean, x.flushed = true, 0
		}
	case readOpen:
		s := l.segments[i]
		s.size, s.written = r.Length, r.Length
	case readIndex:
		s := l.segments[i]
		s.offsets, ok = decodeOffsetIndex(data, s.size)
	case readTimeIndex:
		l.segments[i].times, ok = decodeTimeIndex(data)
	}
	if !ok || r.Err != edge.DiskOK && (kind == readIndex || kind == readTimeIndex) {
		x.badIndex[i] = true
	}
	if x.waiting--; x.waiting == 0 {
		l.recoverPlan(c)
	}
}

// recoverPlan decides from where the log must be read.
func (l *Log) recoverPlan(c *step.Context) {
	x := l.recovery
	if len(l.segments) == 0 {
		l.epochs.entries = l.epochs.entries[:0]
		l.dropSnapshots(c, -1, 1<<63-1)
		l.openSegment(c, x.start)
		l.recoverDone(c)
		return
	}
	n := len(l.segments)
	x.whole = n
	if x.unclean {
		x.whole = l.segmentAt(x.flushed)
	}
	for i, s := range l.segments {
		if i+1 < n {
			s.end = l.segments[i+1].base
		}
		if e := s.offsets.entries; len(e) > 0 && i+1 < n && s.base+int64(e[len(e)-1].relative) >= s.end {
			x.badIndex[i] = true
		}
		if x.badIndex[i] {
			x.whole = min(x.whole, i)
		}
		s.maxTimestamp, s.maxOffset = -1, s.base
		if t := s.times.entries; len(t) > 0 {
			s.maxTimestamp, s.maxOffset = t[len(t)-1].timestamp, s.base+int64(t[len(t)-1].relative)
		}
	}
	if x.whole < n {
		// A later snapshot may know of batches that are lost.
		l.dropSnapshots(c, l.segments[x.whole].base+1, 1<<63-1)
	}
	// What lies before the log is of one that was to begin anew, or misses batches of
	// segments that have been deleted.
	l.dropSnapshots(c, -1, l.segments[0].base)
	x.phase = recoverSnapshot
	x.candidates = append(x.candidates[:0], l.snapshots...)
	l.producers.reset()
	l.recoverNextSnapshot(c)
}

// recoverNextSnapshot reads the newest candidate, or starts the scan without one.
func (l *Log) recoverNextSnapshot(c *step.Context) {
	x := l.recovery
	if n := len(x.candidates); n > 0 {
		path := segmentPath(l.dir, x.candidates[n-1], snapshotSuffix)
		l.op(c, edge.DiskOp{
			Kind: edge.OpReadFile, Path: path, Length: checkpointBytesMax, Token: edge.Token{B: readSnapshot},
		}, tokenRecovery)
		return
	}
	x.whole = 0
	x.replayFrom = 0
	l.recoverStartScan(c)
}

func (l *Log) recoverSnapshotRead(c *step.Context, data []byte, found bool) {
	x := l.recovery
	offset := x.candidates[len(x.candidates)-1]
	err := l.producers.decodeSnapshot(data)
	if err != nil || !found {
		if found {
			c.Logf(edge.Warn, "log %s: snapshot %d: %v", l.partition, offset, err)
		}
		x.candidates = x.candidates[:len(x.candidates)-1]
		l.dropSnapshots(c, offset, offset+1)
		l.recoverNextSnapshot(c)
		return
	}
	x.replayFrom = offset
	// Batches from the snapshot on are read to be replayed. Behind the last index
	// entry of the last segment they are read anyhow.
	last := l.segments[len(l.segments)-1]
	covered := last.base
	if n := len(last.offsets.entries); n > 0 {
		covered = last.base + int64(last.offsets.entries[n-1].relative) + 1
	}
	if offset < covered {
		x.whole = min(x.whole, l.segmentAt(offset))
	}
	l.recoverStartScan(c)
}

// recoverStartScan reads whole segments from x.whole on, or the end of the last
// one to learn where the log ends.
func (l *Log) recoverStartScan(c *step.Context) {
	x := l.recovery
	x.phase = recoverScan
	n := len(l.segments)
	if x.tail = x.whole == n; x.tail {
		s := l.segments[n-1]
		s.sinceIndex = 0
		if s.indexed() > 0 { // what segment.ms counts from lies before the part that is scanned
			l.op(c, edge.DiskOp{
				Kind: edge.OpRead, File: s.file, Length: record.HeaderBytes, Token: edge.Token{B: readFirst},
			}, tokenRecovery)
		}
		l.startScan(c, scanner{
			kind: scanTail, segment: n - 1, position: s.indexed(), from: x.replayFrom, next: s.base, epoch: UndefinedEpoch,
		})
		return
	}
	s := l.segments[x.whole]
	s.reset()
	if n > 1 || s.size > 0 { // else nothing will tell again
		x.epochsChanged = l.epochs.truncateEnd(s.base) || x.epochsChanged
	}
	l.startScan(c, scanner{
		kind: scanRecover, segment: x.whole, from: x.replayFrom, next: s.base, epoch: l.epochs.latest(),
	})
}
