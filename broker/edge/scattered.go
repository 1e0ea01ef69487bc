package edge

// scattered is the contents of a frame that arrived in pieces: the Head and Body
// of a Send as its sender handed them over. A simulated host passes batches on in
// this way without copying them, so that the replicas of a cluster share the
// memory of what they all hold.
type scattered struct {
	head   []byte // without the length prefix
	body   []Slice
	at     []int32 // body[i] goes before head[at[i]]
	length int
}

const (
	// scatteredMax and scatteredPiecesMax bound what a pool keeps for reuse.
	scatteredMax       = 1024
	scatteredPiecesMax = 256
)

// Scatter returns a frame in pieces: body[i] is inserted before head[at[i]],
// positions that do not decrease. It takes over the references to the body's
// buffers and copies all else.
func (p *Pool) Scatter(head []byte, body []Slice, at []int32) *Buffer {
	var b *Buffer
	if k := len(p.scattered); k > 0 {
		b = p.scattered[k-1]
		p.scattered = p.scattered[:k-1]
	} else {
		b = &Buffer{class: -1, pool: p, pieces: &scattered{}}
	}
	b.refs = 1
	s := b.pieces
	s.head, s.body, s.at = append(s.head[:0], head...), append(s.body[:0], body...), append(s.at[:0], at...)
	s.length = len(head)
	for i := range body {
		s.length += body[i].Len()
	}
	return b
}

// Pieces returns a frame that is in pieces: a head, and what is inserted before
// which of its bytes. A buffer that is in one place is its own head. The slices
// are valid until the frame is released or its Bytes are asked for.
func (b *Buffer) Pieces() (head []byte, body []Slice, at []int32) {
	if b.pieces == nil {
		return b.data, nil, nil
	}
	return b.pieces.head, b.pieces.body, b.pieces.at
}

// join copies the pieces together; from now on the frame is in one place.
func (b *Buffer) join() []byte {
	s := b.pieces
	whole := b.pool.Get(s.length)
	out := whole.data
	at := int32(0)
	for i := range s.body {
		out = out[copy(out, s.head[at:s.at[i]]):]
		whole.remember(s.body[i], int32(s.length-len(out)))
		out = out[copy(out, s.body[i].Bytes()):]
		at = s.at[i]
	}
	copy(out, s.head[at:])
	*whole, *b = Buffer{class: -1, pool: b.pool, pieces: s}, Buffer{
		data: whole.data, refs: b.refs, class: whole.class, pool: whole.pool, sums: whole.sums,
	}
	whole.putPieces()
	return b.data
}

// putPieces takes back the memory of a frame that is in pieces no more.
func (b *Buffer) putPieces() {
	s := b.pieces
	for i := range s.body {
		s.body[i].Buffer.Release()
		s.body[i].Buffer = nil
	}
	if p := b.pool; len(p.scattered) < scatteredMax && cap(s.body) <= scatteredPiecesMax {
		p.scattered = append(p.scattered, b)
	}
}
