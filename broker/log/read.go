package log

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// Read returns whole batches from the one that holds from, up to maxBytes and
// below limit (exclusive; EndOffset bounds it too): only batches that end at or
// below it. With minOneBatch the first batch is returned even if it alone
// exceeds maxBytes. It never waits: recent batches come from memory, others
// from the cache of cold reads, and if they are not there, Loading is set and a
// read issued. A result may hold less than there is; a next read goes on.
func (l *Log) Read(c *step.Context, from int64, maxBytes int, limit int64, minOneBatch bool, dst []edge.Slice) ReadResult {
	r := ReadResult{Slices: dst, Next: from}
	if r.Err = l.readable(from); r.Err != nil {
		return r
	}
	limit = min(limit, l.end)
	if from >= limit {
		return r
	}
	t := take{maxBytes: maxBytes, limit: limit, minOneBatch: minOneBatch}
	for !t.full && r.Next < limit {
		if i, ok := l.tail.find(r.Next); ok {
			l.m.touch(l)
			t.tail(&r, l.tail.live()[i:])
			return r
		}
		// What follows is read ahead: a reader that has come to the end of a chunk
		// will want the next one when its client has taken this one.
		k, err := l.cold(c, r.Next)
		if k == nil {
			if r.Bytes == 0 {
				r.Loading, r.Err = err == nil, err
			}
			return r
		}
		t.chunk(&r, k, l.partition)
		if !t.full { // behind the last batch there may be a gap
			r.Next = max(r.Next, min(k.next, limit))
		}
	}
	return r
}

// take is how much one Read may take.
type take struct {
	maxBytes    int
	limit       int64 // exclusive, of offsets
	minOneBatch bool
	full        bool // the next batch is too large or above the limit
}

func (t *take) fits(r *ReadResult, bytes int, next int64) bool {
	above := next > t.limit
	r.Full = !above && r.Bytes+bytes > t.maxBytes && (r.Bytes > 0 || !t.minOneBatch)
	t.full = above || r.Full
	return !t.full
}

func (t *take) tail(r *ReadResult, entries []tailEntry) {
	for _, e := range entries {
		if !t.fits(r, e.slice.Len(), e.next) {
			return
		}
		r.add(e.slice, e.next)
	}
}

func (t *take) chunk(r *ReadResult, k *chunk, partition Partition) {
	at := int32(0)
	for rest := k.batches(); len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			panic(fmt.Sprintf("log %s: chunk at %d holds no batch: %v", partition, k.position, err))
		}
		rest = after
		if b.LastOffset() >= r.Next {
			if !t.fits(r, len(b), b.NextOffset()) {
				return
			}
			r.add(edge.Slice{Buffer: k.buffer, From: at, To: at + int32(len(b))}, b.NextOffset())
		}
		at += int32(len(b))
	}
}

// add appends a batch, joining it to the slice before where memory is contiguous.
func (r *ReadResult) add(s edge.Slice, next int64) {
	n := len(r.Slices)
	if r.Bytes > 0 && r.Slices[n-1].Buffer == s.Buffer && r.Slices[n-1].To == s.From {
		r.Slices[n-1].To = s.To
	} else {
		s.Buffer.Retain()
		r.Slices = append(r.Slices, s)
	}
	r.Bytes += s.Len()
	r.Next = next
}

func (l *Log) readable(from int64) error {
	switch {
	case l.state == deleted:
		return ErrDeleted
	case l.state != usable:
		return ErrRebuilding
	case from < l.start || from > l.end:
		return fmt.Errorf("%w: %d is not in %d to %d of %s", ErrOffsetOutOfRange, from, l.start, l.end, l.partition)
	}
	return nil
}

// cold returns the chunk that holds offset, or nil after issuing its read.
func (l *Log) cold(c *step.Context, offset int64) (*chunk, error) {
	s := l.segments[l.segmentAt(offset)]
	k, position := l.m.chunkFor(s, offset)
	if k != nil && k.buffer == nil {
		return nil, fmt.Errorf("%w: %s has no batch at offset %d (segment %d, byte %d)",
			ErrCorrupt, l.partition, offset, s.base, k.position)
	}
	if k == nil {
		l.startLoad(c, s, load{file: s.file, position: position, length: l.m.coldLength(), wanted: offset})
	}
	return k, nil
}

// startLoad reads from disk, unless the same read, or too many, are under way:
// then the Loaded of one of those makes the reader try again.
func (l *Log) startLoad(c *step.Context, s *segment, d load) {
	d.length = min(d.length, s.written-d.position)
	d.generation = l.generation
	if d.length <= 0 {
		k := chunk{file: s.file, position: d.position, end: d.position, first: d.wanted, next: d.wanted + 1}
		if l.endsInGap(s, d.position) {
			k.next, k.buffer = s.end, edge.NewBuffer(nil)
		}
		l.m.keep(k)
		l.m.changed(l, Loaded)
		return
	}
	if len(l.loads) >= coldLoadsMax {
		return
	}
	for i := range l.loads {
		// Its length may be less, if many reads were in flight when it began.
		if o := &l.loads[i]; o.file == d.file && o.position == d.position && o.generation == d.generation {
			return
		}
	}
	l.loads = append(l.loads, d)
	l.m.loading++
	s.ops++
	l.besideOp(c, queueReads, edge.DiskOp{
		Kind: edge.OpRead, File: d.file, Offset: d.position, Length: d.length, Token: edge.Token{B: uint64(d.file)},
	}, tokenLoad)
}

// loaded handles the oldest load's result: the background queue is in order.
func (l *Log) loaded(c *step.Context, r *edge.DiskResult) {
	d := l.loads[0]
	l.loads = l.loads[:copy(l.loads, l.loads[1:])]
	s := l.segmentOf(d.file)
	s.ops--
	if d.generation != l.generation || l.state != usable || s.closing != 0 {
		r.Data.Release()
		if l.state == usable {
			l.m.changed(l, Loaded)
		}
		return
	}
	b := r.Data.Bytes()
	n, first, next, need, bad := wholeBatches(b, s.base, s.end)
	switch {
	case need > d.length && need <= s.written-d.position:
		r.Data.Release()
		d.length = need
		l.startLoad(c, s, d)
		return
	case bad || n == 0:
		r.Data.Release()
		l.m.keep(chunk{file: s.file, position: d.position, first: d.wanted, next: d.wanted + 1})
		l.m.changed(l, Loaded)
		return
	}
	if l.endsInGap(s, d.position+int64(n)) {
		next = s.end
	}
	if d.wanted < next {
		first = min(first, d.wanted) // compaction may have left a gap before the first batch
	}
	l.m.keep(chunk{
		file: s.file, position: d.position, end: d.position + int64(n), first: first, next: next, buffer: r.Data,
	})
	if next <= d.wanted && next < s.end {
		l.startLoad(c, s, load{file: d.file, position: d.position + int64(n), length: l.m.coldLength(), wanted: d.wanted})
		return
	}
	l.m.changed(l, Loaded)
}

// endsInGap says whether nothing follows a position of a segment that has ended:
// offsets up to the next segment, if any are left, are those of records that
// compaction has taken away.
func (l *Log) endsInGap(s *segment, position int64) bool {
	return s != l.active() && position >= s.size && s.written == s.size
}

// OffsetForTime finds the first record at or after a time (milliseconds) below
// limit (exclusive), as ListOffsets asks: by the time index, then batch by
// batch, then within the batch. With Loading it must be called again.
func (l *Log) OffsetForTime(c *step.Context, ms, limit int64) TimeResult {
	none := TimeResult{Offset: -1, Timestamp: record.NoTimestamp, Epoch: UndefinedEpoch}
	if none.Err = l.readable(l.end); none.Err != nil {
		return none
	}
	limit = min(limit, l.end)
	for _, s := range l.segments {
		if s.maxTimestamp < ms || s.end <= l.start {
			continue
		}
		at := max(l.start, s.times.floor(s.base, ms))
		for at < min(limit, s.end) {
			b, err := l.batchAt(c, at)
			if err == errGap {
				break
			}
			if b == nil {
				none.Loading, none.Err = err == nil, err
				return none
			}
			if b.MaxTimestamp() >= ms {
				if r, ok := l.recordAt(b, ms, limit); ok || r.Err != nil {
					return r
				}
			}
			at = b.NextOffset()
		}
	}
	return none
}

// MaxTimestampOffset finds the record with the largest timestamp (KIP-734), the
// first of its batch; it is not found when it is not below limit.
func (l *Log) MaxTimestampOffset(c *step.Context, limit int64) TimeResult {
	none := TimeResult{Offset: -1, Timestamp: record.NoTimestamp, Epoch: UndefinedEpoch}
	if none.Err = l.readable(l.end); none.Err != nil {
		return none
	}
	var best *segment
	for _, s := range l.segments {
		if s.end > l.start && s.maxTimestamp >= 0 && (best == nil || s.maxTimestamp > best.maxTimestamp) {
			best = s
		}
	}
	if best == nil || best.maxOffset >= min(limit, l.end) || best.maxOffset < l.start {
		return none
	}
	b, err := l.batchAt(c, best.maxOffset)
	if b == nil {
		none.Loading, none.Err = err == nil, err
		return none
	}
	if r, ok := l.recordAt(b, b.MaxTimestamp(), limit); ok || r.Err != nil {
		return r
	}
	return none
}

// errGap says that no batch of a segment ends at or above an offset.
var errGap = fmt.Errorf("%w: no batch in the segment", ErrCorrupt)

// batchAt returns the batch that holds offset, or follows it in its segment, or
// nil while it is loading.
func (l *Log) batchAt(c *step.Context, offset int64) (record.Batch, error) {
	if i, ok := l.tail.find(offset); ok {
		return record.Batch(l.tail.live()[i].slice.Bytes()), nil
	}
	k, err := l.cold(c, offset)
	if k == nil {
		return nil, err
	}
	for rest := k.batches(); len(rest) > 0; {
		b, after, err := record.Next(rest)
		if err != nil {
			break
		}
		if b.LastOffset() >= offset {
			return b, nil
		}
		rest = after
	}
	return nil, errGap
}

// recordAt finds the first record of a batch at or after a time.
func (l *Log) recordAt(b record.Batch, ms, limit int64) (TimeResult, bool) {
	none := TimeResult{Offset: -1, Timestamp: record.NoTimestamp, Epoch: UndefinedEpoch}
	reader := &l.m.reader
	if err := reader.Reset(b, &l.m.scratch); err != nil {
		none.Err = fmt.Errorf("%w: %s at offset %d: %v", ErrCorrupt, l.partition, b.BaseOffset(), err)
		return none, false
	}
	for {
		_, ok, err := reader.Next()
		if err != nil {
			none.Err = fmt.Errorf("%w: %s at offset %d: %v", ErrCorrupt, l.partition, b.BaseOffset(), err)
			return none, false
		}
		if !ok {
			return none, false
		}
		if o := reader.Offset(); reader.Timestamp() >= ms && o >= l.start && o < limit {
			return TimeResult{Offset: o, Timestamp: reader.Timestamp(), Epoch: b.LeaderEpoch(), Found: true}, true
		}
	}
}
