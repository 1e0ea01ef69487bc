package edge

import (
	"fmt"
	"math/bits"
)

// Buffer holds bytes that travel: a frame, a stretch of a log. Once handed over
// it is immutable and may be shared.
//
// References are counted so that hot paths can reuse memory, and counting is an
// optimisation only: a buffer that is never released is left to the garbage
// collector. Releasing a buffer that somebody still reads is a bug; hence the
// rule: release only what you retained or own, and when in doubt do not release.
//
// Buffers belong to one thread of execution (a simulation, or one node's core
// with its host's hand-over); only the memory of a shared pool may come from
// another one, which fills it before it hands it over.
type Buffer struct {
	data   []byte
	refs   int32
	class  int8
	pool   *Pool
	pieces *scattered // of a frame that is not in one place; then data is nil
	sums   []sum      // of parts; see Slice.CRC32C
}

// NewBuffer wraps bytes that stay with the garbage collector. It has one owner.
func NewBuffer(b []byte) *Buffer { return &Buffer{data: b, refs: 1, class: -1} }

// Bytes returns the contents in one place. They must not be changed once shared.
func (b *Buffer) Bytes() []byte {
	if b.pieces != nil {
		return b.join()
	}
	return b.data
}

// Len returns the length in bytes.
func (b *Buffer) Len() int {
	if b.pieces != nil {
		return b.pieces.length
	}
	return len(b.data)
}

// Shorten keeps the first n bytes of a buffer that has not been handed over yet:
// the rest was not filled.
func (b *Buffer) Shorten(n int) { b.data = b.data[:n] }

// Cap returns how many bytes of memory the buffer holds.
func (b *Buffer) Cap() int { return cap(b.data) }

// Slice returns the part [from, to) without retaining the buffer.
func (b *Buffer) Slice(from, to int) Slice { return Slice{Buffer: b, From: int32(from), To: int32(to)} }

// All returns the whole buffer as a slice.
func (b *Buffer) All() Slice { return Slice{Buffer: b, To: int32(b.Len())} }

// Retain adds an owner.
func (b *Buffer) Retain() *Buffer { b.refs++; return b }

// Release ends one ownership; with the last one the memory is reused.
func (b *Buffer) Release() {
	b.refs--
	if b.refs > 0 {
		return
	}
	if b.refs < 0 {
		panic(fmt.Sprintf("edge: buffer of %d bytes released %d times too often", b.Len(), -b.refs))
	}
	switch {
	case b.pieces != nil:
		b.putPieces()
	case b.pool != nil:
		b.pool.put(b)
	}
}

const (
	minClassBits = 8  // 256 B
	maxClassBits = 22 // 4 MiB; larger buffers are left to the garbage collector
	// classes counts the size classes: four to each doubling, so that a buffer is
	// at most a quarter larger than what it holds.
	classes = 4*(maxClassBits-minClassBits) + 1
	// freeBytesMax bounds what a pool keeps of all size classes together, unless
	// Keep says otherwise.
	freeBytesMax = 16 << 20
)

// Pool reuses buffers in size classes, last in, first out.
type Pool struct {
	guard     Guard // nil in one thread of execution
	free      [classes][]*Buffer
	bytes     int // of all lists
	bytesMax  int // 0: freeBytesMax
	scattered []*Buffer
}

// Guard lets one thread of a real host at a time touch a pool: a mutex of the
// host's, since the core has none.
type Guard interface {
	Lock()
	Unlock()
}

// NewSharedPool returns a pool from which several threads of a real host get
// buffers, while the core releases them.
func NewSharedPool(g Guard) *Pool { return &Pool{guard: g} }

// Keep lets a pool keep so many bytes for reuse. Where memory comes back in bursts, a
// pool that cannot hold one of them allocates as much anew each time.
func (p *Pool) Keep(bytes int) { p.bytesMax = bytes }

// sizeClass returns the class for n bytes, and how many bytes its buffers have.
func sizeClass(n int) (class, size int) {
	if n <= 1<<minClassBits {
		return 0, 1 << minClassBits
	}
	top := bits.Len(uint(n-1)) - 1
	quarter := (n - 1 - 1<<top) >> (top - 2)
	return 4*(top-minClassBits) + quarter + 1, 1<<top + (quarter+1)<<(top-2)
}

// Get returns a buffer of n bytes with unspecified contents and one owner.
func (p *Pool) Get(n int) *Buffer {
	if n > 1<<maxClassBits {
		return NewBuffer(make([]byte, n))
	}
	class, size := sizeClass(n)
	if p.guard != nil {
		p.guard.Lock()
		defer p.guard.Unlock()
	}
	if list := p.free[class]; len(list) > 0 {
		b := list[len(list)-1]
		p.free[class] = list[:len(list)-1]
		p.bytes -= size
		b.data, b.sums = b.data[:n], b.sums[:0]
		b.refs = 1
		return b
	}
	return &Buffer{data: make([]byte, n, size), refs: 1, class: int8(class), pool: p}
}

func (p *Pool) put(b *Buffer) {
	if p.guard != nil {
		p.guard.Lock()
		defer p.guard.Unlock()
	}
	size := cap(b.data)
	most := p.bytesMax
	if most == 0 {
		most = freeBytesMax
	}
	if size > most/2 {
		b.data = nil // a list may still name the buffer, behind its end
		return
	}
	for p.bytes+size > most {
		p.drop()
	}
	p.bytes += size
	p.free[b.class] = append(p.free[b.class], b)
}

// drop takes a buffer out of the class that has the most bytes: sizes change in the
// course of time, and the pool would stay full of those that nobody asks for.
func (p *Pool) drop() {
	class, most := 0, 0
	for c, list := range p.free {
		if n := len(list); n > 0 && n*cap(list[0].data) > most {
			class, most = c, n*cap(list[0].data)
		}
	}
	list := p.free[class]
	last := len(list) - 1
	p.bytes -= cap(list[last].data)
	list[last].data = nil
	p.free[class] = list[:last]
}
