package edge

import "fmt"

// Buffer holds bytes that travel: a frame, a stretch of a log. Once handed over
// it is immutable and may be shared.
//
// References are counted so that hot paths can reuse memory, and counting is an
// optimisation only: a buffer that is never released is left to the garbage
// collector. Releasing a buffer that somebody still reads is a bug; hence the
// rule: release only what you retained or own, and when in doubt do not release.
//
// Buffers belong to one thread of execution (a simulation, or one node's core
// with its host's hand-over).
type Buffer struct {
	data  []byte
	refs  int32
	class int8
	pool  *Pool
}

// NewBuffer wraps bytes that stay with the garbage collector. It has one owner.
func NewBuffer(b []byte) *Buffer { return &Buffer{data: b, refs: 1, class: -1} }

// Bytes returns the contents. They must not be changed once shared.
func (b *Buffer) Bytes() []byte { return b.data }

// Len returns the length in bytes.
func (b *Buffer) Len() int { return len(b.data) }

// Slice returns the part [from, to) without retaining the buffer.
func (b *Buffer) Slice(from, to int) Slice { return Slice{Buffer: b, From: int32(from), To: int32(to)} }

// All returns the whole buffer as a slice.
func (b *Buffer) All() Slice { return Slice{Buffer: b, To: int32(len(b.data))} }

// Retain adds an owner.
func (b *Buffer) Retain() *Buffer { b.refs++; return b }

// Release ends one ownership; with the last one the memory is reused.
func (b *Buffer) Release() {
	b.refs--
	if b.refs > 0 {
		return
	}
	if b.refs < 0 {
		panic(fmt.Sprintf("edge: buffer of %d bytes released %d times too often", len(b.data), -b.refs))
	}
	if b.pool != nil {
		b.pool.put(b)
	}
}

const (
	minClassBits = 8  // 256 B
	maxClassBits = 22 // 4 MiB; larger buffers are left to the garbage collector
	// freePerClassBytes bounds what a pool keeps of one size class.
	freePerClassBytes = 8 << 20
)

// Pool reuses buffers in power-of-two size classes, last in, first out.
type Pool struct {
	free [maxClassBits + 1][]*Buffer
}

// Get returns a buffer of n bytes with unspecified contents and one owner.
func (p *Pool) Get(n int) *Buffer {
	class := int8(minClassBits)
	for 1<<class < n {
		class++
	}
	if class > maxClassBits {
		return NewBuffer(make([]byte, n))
	}
	if list := p.free[class]; len(list) > 0 {
		b := list[len(list)-1]
		p.free[class] = list[:len(list)-1]
		b.data = b.data[:n]
		b.refs = 1
		return b
	}
	return &Buffer{data: make([]byte, n, 1<<class), refs: 1, class: class, pool: p}
}

func (p *Pool) put(b *Buffer) {
	if len(p.free[b.class])<<b.class >= freePerClassBytes {
		return
	}
	p.free[b.class] = append(p.free[b.class], b)
}
