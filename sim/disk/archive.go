package disk

import (
	"encoding/binary"
	"math/bits"

	"github.com/klauspost/compress/s2"
)

// Archive keeps the packed blocks of the disks that share it, equal ones once:
// the replicas of a partition have the same bytes at the same places of their
// files. It is a simulation's memory and no part of any disk: none can tell
// whether another has the same block.
type Archive struct {
	blocks  map[contentHash]*archived // looked up only, never iterated
	scratch []byte
	disks   int64 // that share it
	// plainBytesMax is what they hold together, each an equal part, before
	// anything is packed.
	plainBytesMax int64
}

// archived is one packed block.
type archived struct {
	hash   contentHash
	packed []byte
	refs   int32
}

// NewArchive returns an empty archive.
func NewArchive() *Archive {
	return &Archive{blocks: make(map[contentHash]*archived), plainBytesMax: plainBytesMax}
}

// keep takes in a block, packed unless there is an equal one.
func (a *Archive) keep(plain []byte) *archived {
	h := hashContent(plain)
	b := a.blocks[h]
	if b == nil {
		a.scratch = s2.Encode(a.scratch[:cap(a.scratch)], plain)
		b = &archived{hash: h, packed: append([]byte(nil), a.scratch...)}
		a.blocks[h] = b
	}
	b.refs++
	return b
}

func (a *Archive) release(b *archived) {
	if b.refs--; b.refs == 0 {
		delete(a.blocks, b.hash)
	}
}

// contentHash is wide enough that two different blocks of one run never share it.
type contentHash [2]uint64

// hashContent folds a block, whose length is a multiple of 16, by multiplication
// into two halves, each of which sees every word.
func hashContent(b []byte) contentHash {
	x, y := uint64(len(b)), ^uint64(len(b))
	for ; len(b) >= 16; b = b[16:] {
		u, v := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		hi, lo := bits.Mul64(x^u, v^0xa0761d6478bd642f)
		hi2, lo2 := bits.Mul64(y^v, u^0xe7037ed1a0b428db)
		x, y = hi^lo+0x8ebc6af09c88c6e3, hi2^lo2+0x589965cc75374cc3
	}
	return contentHash{x, y}
}
