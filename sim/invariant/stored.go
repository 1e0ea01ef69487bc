package invariant

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// CompareContents reads the segments of replicas from their disks, as the page
// cache has them, checks every batch's CRC and compares what lies below the
// least high watermark. It goes through the partitions in rotation until it has
// read maxBytes, always at least one partition, and returns how many batches
// were compared. Replicas as in epochCaches; a truncation that is still on its
// way to the disk concerns offsets above the high watermark.
func (c *Checker) CompareContents(disks func(netsim.HostID) *disk.Disk, maxBytes int64) (batches int64) {
	if c.quorumVoid || len(c.ledgers) == 0 {
		return 0
	}
	files := make([][]disk.FileInfo, len(c.nodes))
	for i := range c.nodes {
		n := &c.nodes[i]
		if d := disks(n.Host); d != nil && n.process != nil && !n.Controller {
			d.Walk(func(f disk.FileInfo) {
				if _, ok := segmentOf(f.Path); ok {
					files[i] = append(files[i], f)
				}
			})
		}
	}
	for range c.ledgers {
		if maxBytes <= 0 {
			break
		}
		l := c.ledgers[c.rotation%len(c.ledgers)]
		c.rotation++
		var sides []contentSide
		for i := range c.nodes {
			p := c.comparable(l, i)
			if p == nil || len(files[i]) == 0 {
				continue
			}
			side := contentSide{name: c.nodes[i].Name, start: p.StartOffset(), mark: p.HighWatermark(),
				compacted: c.cfg.Compacted != nil && c.cfg.Compacted(l.key.Topic)}
			maxBytes -= side.read(disks(c.nodes[i].Host), files[i], l.key, &c.window)
			sides = append(sides, side)
		}
		if len(sides) > 0 && sides[0].compacted {
			batches += c.sameNewest(l, sides)
			continue
		}
		batches += c.sameContents(l, sides)
	}
	return batches
}

// contentSide is one replica's log as it is on disk.
type contentSide struct {
	name        string
	start, mark int64
	stored      []storedBatch // below mark
	flaw        string        // why reading ended before mark
	compacted   bool
	records     []storedRecord // of a compacted log, in order
}

type storedBatch struct {
	base, next    int64
	producer      int64 // -1: not idempotent
	epoch         int32
	crc           uint32
	sequence      int32 // of the first record; -1: none
	lastSequence  int32
	producerEpoch int16
	bad           bool // the CRC is wrong
}

// windowBytes is how much of a segment is read at a time, unless one batch is
// larger: a segment may hold a gigabyte.
const windowBytes = 1 << 20

// read collects the batches from start to mark. window is memory to read into.
func (s *contentSide) read(d *disk.Disk, files []disk.FileInfo, key log.Partition, window *[]byte) (bytes int64) {
	prefix := key.String() + "/"
	at := int64(-1) // the next offset, once there is one
	for _, f := range files {
		if strings.HasPrefix(f.Path, prefix) {
			bytes += f.Size
			at = s.readSegment(d, f.Path, at, window)
		}
	}
	if at >= s.mark {
		s.flaw = ""
	} else if s.flaw == "" && s.mark > s.start {
		s.flaw = "the files end"
	}
	return bytes
}

// readSegment collects a segment's batches below mark. It takes and returns the
// next offset, -1 while there is none.
func (s *contentSide) readSegment(d *disk.Disk, path string, at int64, memory *[]byte) int64 {
	if *memory == nil {
		*memory = make([]byte, windowBytes)
	}
	window, held := *memory, 0
	for position := int64(0); at < s.mark; {
		n := d.ContentsAt(path, position, window[held:])
		position += int64(n)
		data := window[:held+n]
		for len(data) > 0 && at < s.mark {
			b, rest, err := record.Next(data)
			if err == record.ErrShort && n > 0 {
				break // the rest of it comes next
			}
			if err != nil {
				if !zerosOnly(d, path, position, data) {
					s.flaw = err.Error()
				}
				return at
			}
			data = rest
			at = s.take(b, at)
		}
		if n == 0 {
			break
		}
		if held = copy(window, data); held == len(window) {
			window = append(window, make([]byte, len(window))...)
			*memory = window
		}
	}
	return at
}

// zerosOnly says whether nothing but zeros is left of a file: data, and what
// follows at position. A segment is created with its whole size if the topic says
// so (preallocate).
func zerosOnly(d *disk.Disk, path string, position int64, data []byte) bool {
	for len(data) > 0 {
		if bytes.Count(data, []byte{0}) < len(data) {
			return false
		}
		n := d.ContentsAt(path, position, data)
		position += int64(n)
		data = data[:n]
	}
	return true
}

// take adds one batch, and returns the offset behind it.
func (s *contentSide) take(b record.Batch, at int64) int64 {
	switch {
	case b.NextOffset() <= s.start:
		return at
	case at >= 0 && (b.BaseOffset() < at || b.BaseOffset() > at && !s.compacted):
		s.flaw = "the batches are not contiguous"
	}
	at = b.NextOffset()
	if s.compacted && s.keep(b) != nil {
		s.flaw = "a batch cannot be read"
	}
	if at <= s.mark {
		s.stored = append(s.stored, storedBatch{base: b.BaseOffset(), next: at, epoch: b.LeaderEpoch(),
			crc: b.CRC(), bad: b.CheckCRC() != nil, producer: b.ProducerID(), producerEpoch: b.ProducerEpoch(),
			sequence: b.BaseSequence(), lastSequence: b.LastSequence()})
	}
	return at
}

// sameContents: below the least high watermark and above the highest log start
// all replicas hold the same batches, whole, gapless and with the right CRC.
func (c *Checker) sameContents(l *ledger, sides []contentSide) (batches int64) {
	low, mark := int64(0), int64(1)<<62
	for i := range sides {
		s := &sides[i]
		low, mark = max(low, s.start), min(mark, s.mark)
		if s.flaw != "" {
			c.violated(ruleSameContents, l, "%s: high watermark %d, but on disk after %d batches from %d: %s",
				s.name, s.mark, len(s.stored), s.start, s.flaw)
		}
	}
	var first []storedBatch
	for i := range sides {
		s := &sides[i]
		s.stored = slices.DeleteFunc(s.stored, func(b storedBatch) bool { return b.base < low || b.next > mark })
		for _, b := range s.stored {
			if b.bad {
				c.violated(ruleSameContents, l, "%s: the batch at offset %d has a wrong CRC on disk", s.name, b.base)
			}
		}
		batches += int64(len(s.stored))
		if i == 0 {
			first = s.stored
			c.sequences(l, s)
			continue
		}
		c.checks++
		if at := firstDifference(first, s.stored); at >= 0 {
			c.violated(ruleSameContents, l, "%s and %s differ at the %d. batch from offset %d, below the high watermark %d",
				sides[0].name, s.name, at+1, low, mark)
		}
	}
	return batches
}

// sequences: in the committed log, a producer's epochs rise and, within one, each
// batch continues the sequence of the one before: none twice, none missing. A
// producer whose state the brokers have dropped (producer.id.expiration.ms) may
// begin anywhere (KIP-360): a run that lasts longer than that must say so by
// Config.ProducersExpire. Markers and plain producers have no sequence.
func (c *Checker) sequences(l *ledger, s *contentSide) {
	if c.cfg.ProducersExpire {
		return
	}
	last := make(map[int64]storedBatch)
	for _, b := range s.stored {
		if b.producer < 0 || b.sequence < 0 {
			continue
		}
		was, known := last[b.producer]
		last[b.producer] = b
		if !known {
			continue
		}
		want := int32(0)
		if b.producerEpoch == was.producerEpoch && was.lastSequence != math.MaxInt32 {
			want = was.lastSequence + 1
		}
		if b.producerEpoch < was.producerEpoch || b.sequence != want {
			c.violated(ruleSequences, l, "%s: producer %d, epoch %d, sequence %d at offset %d after epoch %d, sequence %d at offset %d",
				s.name, b.producer, b.producerEpoch, b.sequence, b.base, was.producerEpoch, was.lastSequence, was.next-1)
		}
	}
}

func firstDifference(a, b []storedBatch) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}

// storedRecord is a record of a compacted log.
type storedRecord struct {
	offset     int64
	key, value string
	tombstone  bool
}

func (s *contentSide) keep(b record.Batch) error {
	var reader record.Reader
	var scratch record.Scratch
	if err := reader.Reset(b, &scratch); err != nil {
		return err
	}
	for {
		r, ok, err := reader.Next()
		if !ok {
			return err
		}
		s.records = append(s.records, storedRecord{reader.Offset(), string(r.Key), string(r.Value), r.Value == nil})
	}
}

// sameNewest: replicas compact on their own, so that one may hold what another
// has dropped; but the newest record of each key below the least high watermark
// is on every replica, unless that replica has a newer one of the key, or it is
// a tombstone, whose time may have passed. A replica that has been away for longer
// than tombstones stay may hold values that the others have deleted.
func (c *Checker) sameNewest(l *ledger, sides []contentSide) (batches int64) {
	mark := int64(1) << 62
	for i := range sides {
		s := &sides[i]
		mark = min(mark, s.mark)
		batches += int64(len(s.stored))
		if s.flaw != "" {
			c.violated(ruleSameContents, l, "%s: high watermark %d, but on disk after %d batches from %d: %s",
				s.name, s.mark, len(s.stored), s.start, s.flaw)
		}
		for _, b := range s.stored {
			if b.bad {
				c.violated(ruleSameContents, l, "%s: the batch at offset %d has a wrong CRC on disk", s.name, b.base)
			}
		}
	}
	resurrects := c.cfg.Resurrects != nil && c.cfg.Resurrects(l.key.Topic)
	for i := range sides {
		newest := make(map[string]storedRecord)
		for _, r := range sides[i].records {
			newest[r.key] = r
		}
		for k := range sides {
			c.checks++
			for _, r := range newestBelow(sides[k].records, mark) {
				own, ok := newest[r.key]
				if r.offset < sides[i].start || ok && own.offset > r.offset || own == r || r.tombstone && (!ok || resurrects) || !ok && resurrects {
					continue
				}
				c.violated(ruleSameContents, l, "%s holds at offset %d the newest record of a key below %d, %s does not",
					sides[k].name, r.offset, mark, sides[i].name)
				break
			}
		}
	}
	return batches
}

// newestBelow lists the newest record of each key below an offset, in order.
func newestBelow(records []storedRecord, mark int64) (list []storedRecord) {
	seen := make(map[string]bool)
	for i := len(records) - 1; i >= 0; i-- {
		if r := records[i]; r.offset < mark && !seen[r.key] {
			seen[r.key] = true
			list = append(list, r)
		}
	}
	return list
}
