package invariant

import (
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// Sweep looks at every replica of every running broker, touched or not, and
// compares replicas with each other. The checker does so every SweepEvery events;
// the runner does it at the end.
func (c *Checker) Sweep() {
	c.nextSweep = c.steps + c.cfg.SweepEvery
	for i := range c.nodes {
		n := &c.nodes[i]
		if n.process == nil || n.Controller || n.process.Partitions() == nil {
			continue
		}
		if image := n.process.Image(); image != n.image {
			c.brokerImage(n, image)
		}
		m := n.process.Partitions()
		for _, p := range m.Partitions() {
			c.look(int32(i), m, p)
		}
	}
	c.prune()
	for _, l := range c.ledgers {
		c.membersHold(l)
		c.epochCaches(l)
	}
}

// prune forgets deleted topics once no running broker has them.
func (c *Checker) prune() {
	kept := c.ledgers[:0]
	for _, l := range c.ledgers {
		if l.gone && !c.held(l) {
			delete(c.byTopic, ledgerKey{l.id, l.key.Index})
			if c.byName[l.key] == l {
				delete(c.byName, l.key)
			}
			continue
		}
		kept = append(kept, l)
	}
	clear(c.ledgers[len(kept):])
	c.ledgers = kept
}

func (c *Checker) held(l *ledger) bool {
	for i := range c.nodes {
		if c.replicaOf(l, i) != nil {
			return true
		}
	}
	return false
}

// replicaOf returns a running broker's replica, or nil.
func (c *Checker) replicaOf(l *ledger, node int) *partition.Partition {
	n := &c.nodes[node]
	if n.process == nil || n.Controller || n.process.Partitions() == nil {
		return nil
	}
	if p := n.process.Partitions().Get(l.key); p != nil && p.TopicID() == l.id {
		return p
	}
	return nil
}

// epochsCompared bounds how many epochs of a partition a sweep compares.
const epochsCompared = 16

// epochCaches: below the least high watermark two replicas agree on which leader
// epoch each offset belongs to, hence on where each epoch begins; with one
// content per offset and epoch, that makes the replicas equal. Replicas that do
// not act, or whose disk was corrupted, or that still hold what an unclean
// election undid, are left out, and so is whatever lies below a log start.
func (c *Checker) epochCaches(l *ledger) {
	if c.quorumVoid {
		return
	}
	var first *partition.Partition
	var firstName string
	for i := range c.nodes {
		p := c.comparable(l, i)
		if p == nil {
			continue
		}
		if first == nil {
			first, firstName = p, c.nodes[i].Name
			continue
		}
		c.checks++
		c.compareEpochs(l, epochSide{firstName, first.Log()}, epochSide{c.nodes[i].Name, p.Log()})
	}
}

// comparable returns a replica whose committed part is the partition's, or nil.
func (c *Checker) comparable(l *ledger, node int) *partition.Partition {
	n := &c.nodes[node]
	p := c.replicaOf(l, node)
	if p == nil || !n.acts || n.corrupted || !p.Log().Usable() || p.LeaderEpoch() < l.floor {
		return nil
	}
	// After an unclean election only the new ISR is known to be reconciled.
	if l.floor > 0 && !slices.Contains(p.ISR(), n.ID) {
		return nil
	}
	return p
}

// epochLog is what is compared of a log; *log.Log has it.
type epochLog interface {
	StartOffset() int64
	HighWatermark() int64
	EpochAt(offset int64) int32
	EpochStart(epoch int32) (int64, bool)
}

var _ epochLog = (*log.Log)(nil)

type epochSide struct {
	name string
	log  epochLog
}

func (c *Checker) compareEpochs(l *ledger, a, b epochSide) {
	low := max(a.log.StartOffset(), b.log.StartOffset())
	at := min(a.log.HighWatermark(), b.log.HighWatermark()) - 1
	for range epochsCompared {
		if at < low {
			return
		}
		x, y := a.log.EpochAt(at), b.log.EpochAt(at)
		if x < 0 || y < 0 {
			return
		}
		xs, _ := a.log.EpochStart(x)
		ys, _ := b.log.EpochStart(y)
		xs, ys = max(xs, low), max(ys, low)
		if x != y || xs != ys {
			c.violated(ruleEpochCaches, l, "offset %d is of leader epoch %d (from %d) on %s, of %d (from %d) on %s",
				at, x, xs, a.name, y, ys, b.name)
			return
		}
		at = xs - 1
	}
}

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
			side := contentSide{name: c.nodes[i].Name, start: p.StartOffset(), mark: p.HighWatermark()}
			maxBytes -= side.read(disks(c.nodes[i].Host), files[i], l.key)
			sides = append(sides, side)
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
}

type storedBatch struct {
	base, next int64
	epoch      int32
	crc        uint32
	bad        bool // the CRC is wrong
}

// read collects the batches from start to mark.
func (s *contentSide) read(d *disk.Disk, files []disk.FileInfo, key log.Partition) (bytes int64) {
	prefix := key.String() + "/"
	at := int64(-1) // the next offset, once there is one
	for _, f := range files {
		if !strings.HasPrefix(f.Path, prefix) {
			continue
		}
		data, ok := d.Contents(f.Path)
		if !ok {
			continue
		}
		bytes += int64(len(data))
		for len(data) > 0 && at < s.mark {
			b, rest, err := record.Next(data)
			if err != nil {
				s.flaw = err.Error()
				break
			}
			data = rest
			switch {
			case b.NextOffset() <= s.start:
				continue
			case at >= 0 && b.BaseOffset() != at:
				s.flaw = "the batches are not contiguous"
			}
			at = b.NextOffset()
			if at <= s.mark {
				s.stored = append(s.stored, storedBatch{base: b.BaseOffset(), next: at, epoch: b.LeaderEpoch(),
					crc: b.CRC(), bad: b.CheckCRC() != nil})
			}
		}
	}
	if at >= s.mark {
		s.flaw = ""
	} else if s.flaw == "" && s.mark > s.start {
		s.flaw = "the files end"
	}
	return bytes
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

func firstDifference(a, b []storedBatch) int {
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return -1
}
