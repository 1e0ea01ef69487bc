package invariant

import (
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

// logFile is a segment that a broker has open.
type logFile struct {
	key log.Partition
	l   *ledger // nil before the first write
}

// seenBatch is a batch that some replica has written.
type seenBatch struct {
	base  int64
	epoch int32
	delta int32
	crc   uint32
	used  bool
}

// batchesKept is how many batches of a partition are remembered. A follower
// that lags by more is compared at the end only (CompareContents).
const (
	batchesKept     = 512
	batchesKeptBits = 9
)

// wrote looks at the batches that a step writes. The CRC covers all of a batch
// but its base offset, length, and leader epoch.
func (c *Checker) wrote(n *nodeState, logs *log.Manager, e *edge.Effects) {
	for i := range e.Disk {
		op := &e.Disk[i]
		switch op.Kind {
		case edge.OpOpen:
			if key, ok := segmentOf(op.Path); ok {
				if n.files == nil {
					n.files = make(map[edge.FileID]logFile)
				}
				n.files[op.File] = logFile{key: key}
			}
		case edge.OpRename:
			c.compacted(n, logs, op)
		case edge.OpClose:
			delete(n.files, op.File)
		case edge.OpWrite:
			f, ok := n.files[op.File]
			if !ok {
				continue
			}
			if f.l == nil {
				lg := logs.Get(f.key)
				if lg == nil {
					continue
				}
				f.l = c.ledger(f.key, lg.TopicID())
				n.files[op.File] = f
			}
			for _, s := range op.Data {
				c.wroteBatches(n, f.l, s.Bytes())
			}
		}
	}
}

// compacted looks at a segment that compaction puts in the place of another.
func (c *Checker) compacted(n *nodeState, logs *log.Manager, op *edge.DiskOp) {
	key, ok := segmentOf(op.NewPath)
	if !ok || op.Path != op.NewPath+".cleaned" {
		return
	}
	lg := logs.Get(key)
	if lg == nil {
		return
	}
	name := strings.TrimSuffix(op.NewPath[strings.IndexByte(op.NewPath, '/')+1:], ".log")
	base, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return
	}
	end, active := lg.Segment(base)
	c.sealedOnly(n, c.ledger(key, lg.TopicID()), cleanedSegment{base, end, active, lg.HighWatermark()})
}

type cleanedSegment struct {
	base, end int64
	active    bool
	mark      int64 // the replica's high watermark
}

// sealedOnly: what may still be truncated, or is still being written, is no place to
// learn from which records are the newest of their keys.
func (c *Checker) sealedOnly(n *nodeState, l *ledger, s cleanedSegment) {
	c.checks++
	if s.active || s.end > s.mark {
		c.violated(ruleSealedOnly, l, "%s compacts the segment %d to %d (active: %v) with the high watermark at %d", n.Name, s.base, s.end, s.active, s.mark)
	}
}

func (c *Checker) wroteBatches(n *nodeState, l *ledger, b []byte) {
	if c.cfg.Compacted != nil && c.cfg.Compacted(l.key.Topic) {
		return // a follower may get batches that its leader has thinned out
	}
	for len(b) > 0 {
		batch, rest, err := record.Next(b)
		if err != nil {
			c.violated(ruleOneContent, l, "%s writes what is no batch: %v", n.Name, err)
			return
		}
		c.oneContent(n, l, seenBatch{base: batch.BaseOffset(), epoch: batch.LeaderEpoch(),
			delta: batch.LastOffsetDelta(), crc: batch.CRC(), used: true})
		b = rest
	}
}

// oneContent: a batch is named by its base offset and leader epoch. Only the
// epoch's leader assigns them, once, so wherever the name is written again, the
// content is the same: committed or not, on every replica, for ever.
func (c *Checker) oneContent(n *nodeState, l *ledger, b seenBatch) {
	if l.batches == nil {
		l.batches = make([]seenBatch, batchesKept)
	}
	was := &l.batches[slotOf(b.base)]
	if was.used && was.base == b.base && was.epoch == b.epoch && *was != b {
		c.violated(ruleOneContent, l, "%s writes offsets %d to %d of leader epoch %d with CRC %08x; they were written up to %d with CRC %08x",
			n.Name, b.base, b.base+int64(b.delta), b.epoch, b.crc, was.base+int64(was.delta), was.crc)
		return
	}
	*was = b
}

// slotOf is where the batch with a base offset is remembered: neighbours beside
// each other, so that writing a log goes along memory, and stretches of the log
// scattered over all slots, as the base offsets of batches of equal size are
// multiples.
func slotOf(base int64) uint64 {
	const golden = 0x9e3779b97f4a7c15
	stretch := uint64(base) >> batchesKeptBits
	return (uint64(base) ^ stretch*golden>>(64-batchesKeptBits)) % batchesKept
}

// segmentOf names the partition of a segment's path, "topic-0/000.log".
func segmentOf(path string) (log.Partition, bool) {
	dir, file, ok := strings.Cut(path, "/")
	if !ok || !strings.HasSuffix(file, ".log") {
		return log.Partition{}, false
	}
	at := strings.LastIndexByte(dir, '-')
	if at <= 0 {
		return log.Partition{}, false
	}
	index, err := strconv.ParseInt(dir[at+1:], 10, 32)
	if err != nil || index < 0 {
		return log.Partition{}, false
	}
	return log.Partition{Topic: dir[:at], Index: int32(index)}, true
}
