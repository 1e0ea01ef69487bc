package disk

import (
	"path"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// Kinds is a set of kinds of operation.
type Kinds uint32

// AllKinds is every kind of operation.
const AllKinds = ^Kinds(0)

// KindsOf collects kinds of operation.
func KindsOf(kinds ...edge.DiskOpKind) Kinds {
	var s Kinds
	for _, k := range kinds {
		s |= 1 << k
	}
	return s
}

func (s Kinds) has(k edge.DiskOpKind) bool { return s&(1<<k) != 0 }

type faults struct {
	slowKinds Kinds
	slow      time.Duration
	errKinds  Kinds
	err       edge.DiskError
	errPPM    uint32
	full      bool
}

func (f *faults) extra(k edge.DiskOpKind) time.Duration {
	if f.slow > 0 && f.slowKinds.has(k) {
		return f.slow
	}
	return 0
}

func (f *faults) draw(d *Disk, k edge.DiskOpKind) edge.DiskError {
	if f.errPPM == 0 || !f.errKinds.has(k) || d.below(1e6) >= uint64(f.errPPM) {
		return edge.DiskOK
	}
	return f.err
}

// SetLatency makes each operation of these kinds take extra longer from now
// on; zero ends it. The extra time does not occupy the device.
func (d *Disk) SetLatency(kinds Kinds, extra time.Duration) {
	d.faults.slowKinds, d.faults.slow = kinds, extra
}

// SetError makes ppm of a million operations of these kinds fail with err from
// now on; zero ends it.
func (d *Disk) SetError(kinds Kinds, err edge.DiskError, ppm uint32) {
	d.faults.errKinds, d.faults.err, d.faults.errPPM = kinds, err, ppm
}

// SetFull makes every write that needs space fail, or ends that.
func (d *Disk) SetFull(full bool) { d.faults.full = full }

// SetCapacity changes the bytes that files can hold; 0 is unlimited. What is
// there stays.
func (d *Disk) SetCapacity(bytes int64) { d.cfg.Capacity = bytes }

// Corruption says what FlipBit or TruncateFile has damaged.
type Corruption struct {
	Path   string
	Offset int64 // of the flipped byte, or the new size
	Bit    uint8
}

// matching returns the non-empty files whose path, or last part, matches a
// pattern of path.Match, in path order.
func (d *Disk) matching(pattern string) (paths []string) {
	d.Walk(func(f FileInfo) {
		whole, err := path.Match(pattern, f.Path)
		last, _ := path.Match(pattern, path.Base(f.Path))
		if err == nil && (whole || last) && f.Size > 0 {
			paths = append(paths, f.Path)
		}
	})
	return paths
}

// FlipBit inverts one bit of one file whose path (or name) matches the
// pattern, on stable storage and in the cache. It returns false if no file
// matches. The writers' buffers are not touched: the damaged part is a copy.
func (d *Disk) FlipBit(pattern string) (Corruption, bool) {
	paths := d.matching(pattern)
	if len(paths) == 0 {
		return Corruption{}, false
	}
	c := Corruption{Path: paths[d.below(uint64(len(paths)))]}
	n := d.lookup(c.Path)
	c.Offset = int64(d.below(uint64(n.size)))
	c.Bit = uint8(d.below(8))
	d.unpack(n, c.Offset)
	e := &n.extents[n.position(c.Offset)]
	b := edge.NewBuffer(append([]byte(nil), e.slice.Bytes()...))
	b.Bytes()[c.Offset-e.off] ^= 1 << c.Bit
	e.slice.Buffer.Release()
	e.slice = b.All()
	d.stats.BitsFlipped++
	return c, true
}

// TruncateFile cuts bytes off the end of one file whose path (or name) matches
// the pattern, on stable storage and in the cache: of the files of a directory
// that match it takes the last one, which in a log is the newest segment.
func (d *Disk) TruncateFile(pattern string, bytes int64) (Corruption, bool) {
	var newest []string
	for _, p := range d.matching(pattern) { // in path order
		if n := len(newest); n > 0 && path.Dir(newest[n-1]) == path.Dir(p) {
			newest[n-1] = p
			continue
		}
		newest = append(newest, p)
	}
	if len(newest) == 0 {
		return Corruption{}, false
	}
	c := Corruption{Path: newest[d.below(uint64(len(newest)))]}
	n := d.lookup(c.Path)
	c.Offset = max(0, n.size-bytes)
	n.refs++
	d.truncate(0, n, c.Offset)
	d.settle(n, n.lastSeq)
	d.drop(n)
	d.stats.FilesTruncated++
	return c, true
}
