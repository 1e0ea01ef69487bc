package real

import "encoding/binary"

// frameHeadBytes is what must have come of a request before its API is known: its
// length and the key.
const frameHeadBytes = 6

// frames cuts a stream of requests into pieces none of which reaches into the next
// frame, so that one can be held back at its beginning.
type frames struct {
	buffer []byte
	key    int16 // of the frame under way
	left   int64 // bytes of it that are still to come
}

// next takes the next piece off what has been added to the buffer; first says that
// it begins a frame. Without a piece more must come.
func (f *frames) next() (piece []byte, first bool) {
	if len(f.buffer) == 0 {
		return nil, false
	}
	if f.left == 0 {
		if len(f.buffer) < frameHeadBytes {
			return nil, false
		}
		first = true
		f.key = int16(binary.BigEndian.Uint16(f.buffer[4:]))
		f.left = 4 + int64(binary.BigEndian.Uint32(f.buffer))
	}
	n := min(f.left, int64(len(f.buffer)))
	piece, f.buffer = f.buffer[:n], f.buffer[n:]
	f.left -= n
	return piece, first
}

// held is a kind of request that does not get through in a direction.
type held struct {
	direction
	key int16
}

// hold begins to keep back requests of a kind, and all that comes behind them on
// their connections. The release lets them go on and tells how many there were.
func (n *network) hold(directions []direction, key int16) (release func() int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := 0
	for _, d := range directions {
		n.holds[held{d, key}]++
		before += n.heldBack[held{d, key}]
	}
	return func() (count int) {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, d := range directions {
			n.holds[held{d, key}]--
			count += n.heldBack[held{d, key}]
		}
		n.changed.Broadcast()
		return count - before
	}
}

// await waits until requests of a kind get through a direction; it is false once
// everything ends.
func (n *network) await(d direction, key int16) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := held{d, key}
	if n.holds[h] > 0 {
		n.heldBack[h]++
	}
	for n.holds[h] > 0 && n.life.Err() == nil {
		n.changed.Wait()
	}
	return n.life.Err() == nil
}
