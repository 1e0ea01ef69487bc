package log

import (
	"sort"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
)

const (
	// tailBytesPerLogMax and tailBytesMax bound the recent batches kept in memory,
	// of one log and of all together. A batch counts with tailEntryBytes more. The
	// buffer of a request that wrote to many logs stays as long as one of its
	// batches does.
	tailBytesPerLogMax = 256 << 10
	tailBytesMax       = 16 << 20
	tailEntryBytes     = 48
	// coldBytes is how much a cold read asks for, unless one batch is larger: as
	// much as a consumer takes of a partition at a time (max.partition.fetch.bytes).
	// While coldReadsLong reads are in flight, a quarter of it.
	coldBytes     = 1 << 20
	coldReadsLong = 16
	// coldCacheBytes and coldChunksMax bound what is kept of their results;
	// coldLoadsMax how many reads one log has in flight.
	coldCacheBytes = 16 << 20
	coldChunksMax  = 64
	coldLoadsMax   = 16
)

// limits are those of the constants that tests lower.
type limits struct {
	tailBytesPerLog, tailBytes, coldBytes, scanBytes int64
}

// tailEntry is one recent batch.
type tailEntry struct {
	base, next int64
	position   int64 // in its segment's file
	slice      edge.Slice
}

// tail holds the newest batches of a log, without a gap up to AppendEnd.
// Entries before head are gone.
type tail struct {
	entries []tailEntry
	head    int
	bytes   int64
	// The manager's list of logs by last use.
	newer, older *Log
}

func (t *tail) live() []tailEntry { return t.entries[t.head:] }

// find returns the index in live of the batch that holds offset, or false when
// that is older than the tail.
func (t *tail) find(offset int64) (int, bool) {
	live := t.live()
	if len(live) == 0 || offset < live[0].base {
		return 0, false
	}
	i := sort.Search(len(live), func(i int) bool { return live[i].next > offset })
	return i, i < len(live)
}

func (l *Log) tailAdd(e tailEntry) {
	e.slice.Buffer.Retain()
	t := &l.tail
	if t.head > 0 && len(t.entries) == cap(t.entries) {
		n := copy(t.entries, t.entries[t.head:])
		clear(t.entries[n:])
		t.entries, t.head = t.entries[:n], 0
	}
	t.entries = append(t.entries, e)
	n := int64(e.slice.Len()) + tailEntryBytes
	t.bytes += n
	l.m.tailBytes += n
	l.m.touch(l)
	for t.bytes > l.m.limits.tailBytesPerLog && len(t.live()) > 1 {
		l.tailDropOldest()
	}
	for l.m.tailBytes > l.m.limits.tailBytes && l.m.oldest != nil {
		l.m.oldest.tailDropOldest()
	}
}

func (l *Log) tailDropOldest() {
	t := &l.tail
	e := &t.entries[t.head]
	n := int64(e.slice.Len()) + tailEntryBytes
	t.bytes -= n
	l.m.tailBytes -= n
	e.slice.Buffer.Release()
	*e = tailEntry{}
	t.head++
	if t.head == len(t.entries) {
		t.entries, t.head = t.entries[:0], 0
		l.m.unlink(l)
	}
}

// tailCut drops batches that end above offset.
func (l *Log) tailCut(offset int64) {
	t := &l.tail
	for n := len(t.entries); n > t.head && t.entries[n-1].next > offset; n-- {
		e := &t.entries[n-1]
		b := int64(e.slice.Len()) + tailEntryBytes
		t.bytes -= b
		l.m.tailBytes -= b
		e.slice.Buffer.Release()
		*e = tailEntry{}
		t.entries = t.entries[:n-1]
	}
	if t.head == len(t.entries) {
		t.entries, t.head = t.entries[:0], 0
		l.m.unlink(l)
	}
}

// touch makes l the most recently used log. A log is linked while its tail
// holds anything.
func (m *Manager) touch(l *Log) {
	if m.newest == l {
		return
	}
	m.unlink(l)
	l.tail.older = m.newest
	if m.newest != nil {
		m.newest.tail.newer = l
	}
	m.newest = l
	if m.oldest == nil {
		m.oldest = l
	}
}

func (m *Manager) unlink(l *Log) {
	t := &l.tail
	if t.newer != nil {
		t.newer.tail.older = t.older
	} else if m.newest == l {
		m.newest = t.older
	}
	if t.older != nil {
		t.older.tail.newer = t.newer
	} else if m.oldest == l {
		m.oldest = t.newer
	}
	t.newer, t.older = nil, nil
}

// chunk is a stretch of a segment file in memory: whole batches, from first to
// next. A chunk without buffer says that there is no batch at position.
type chunk struct {
	file          edge.FileID
	position, end int64 // bytes of the file
	first, next   int64 // offsets
	buffer        *edge.Buffer
	used          uint64
}

// batches returns the bytes of the chunk's whole batches; a torn one may follow
// them in the buffer.
func (k *chunk) batches() []byte { return k.buffer.Bytes()[:k.end-k.position] }

// memory is what a chunk holds, in bytes.
func (k *chunk) memory() int {
	if k.buffer == nil {
		return 0
	}
	return k.buffer.Cap()
}

// coldLength is how much the next cold read asks for.
func (m *Manager) coldLength() int64 {
	if m.loading >= coldReadsLong {
		return m.limits.coldBytes / 4
	}
	return m.limits.coldBytes
}

// load is a cold read in flight.
type load struct {
	file             edge.FileID
	position, length int64
	wanted           int64 // offset
	generation       uint32
}

// chunkFor returns the chunk that holds an offset of a segment; without one,
// the position from which to read for it.
func (m *Manager) chunkFor(s *segment, offset int64) (*chunk, int64) {
	position := s.offsets.floor(s.base, offset)
	for i := range m.chunks {
		k := &m.chunks[i]
		if k.file != s.file {
			continue
		}
		if k.first <= offset && offset < k.next {
			m.uses++
			k.used = m.uses
			return k, 0
		}
		if k.next <= offset && k.end > position {
			position = k.end
		}
	}
	return nil, position
}

func (m *Manager) keep(k chunk) {
	for len(m.chunks) == coldChunksMax || len(m.chunks) > 0 && m.chunkBytes+k.memory() > coldCacheBytes {
		oldest := 0
		for i := range m.chunks {
			if m.chunks[i].used < m.chunks[oldest].used {
				oldest = i
			}
		}
		m.drop(oldest)
	}
	m.uses++
	k.used = m.uses
	m.chunkBytes += k.memory()
	m.chunks = append(m.chunks, k)
}

func (m *Manager) drop(i int) {
	m.chunkBytes -= m.chunks[i].memory()
	if b := m.chunks[i].buffer; b != nil {
		b.Release()
	}
	n := len(m.chunks) - 1
	m.chunks[i] = m.chunks[n]
	m.chunks[n] = chunk{}
	m.chunks = m.chunks[:n]
}

// forget drops the chunks of a file that reach above an offset.
func (m *Manager) forget(file edge.FileID, offset int64) {
	for i := len(m.chunks) - 1; i >= 0; i-- {
		if m.chunks[i].file == file && m.chunks[i].next > offset {
			m.drop(i)
		}
	}
}

// wholeBatches measures the batches at the start of b that continue offset from
// and end at or below limit. need is the length of the first batch if b is too
// short for it; bad says that the first one is none.
func wholeBatches(b []byte, from, limit int64) (length int, first, next int64, need int64, bad bool) {
	first, next = from, from
	for rest := b; len(rest) > 0; {
		batch, after, err := record.Next(rest)
		if err == record.ErrShort && length == 0 && len(rest) >= record.LogOverhead {
			return 0, first, next, int64(uint32(rest[8])<<24|uint32(rest[9])<<16|uint32(rest[10])<<8|uint32(rest[11])) + record.LogOverhead, false
		}
		if err != nil || batch.BaseOffset() < next || batch.LastOffsetDelta() < 0 || batch.NextOffset() > limit {
			return length, first, next, 0, length == 0
		}
		if length == 0 {
			first = batch.BaseOffset()
		}
		length += len(batch)
		next = batch.NextOffset()
		rest = after
	}
	return length, first, next, 0, length == 0
}
