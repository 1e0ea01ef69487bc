package partition

import (
	"fmt"
	"unsafe"
)

// PlaceIn is where a part that aliases the whole begins in it: decoders hand out
// parts of a frame, the log wants the frame and a place. A part from elsewhere
// is the caller's bug.
func PlaceIn(whole, part []byte) int {
	n := int(uintptr(unsafe.Pointer(unsafe.SliceData(part))) - uintptr(unsafe.Pointer(unsafe.SliceData(whole))))
	if n < 0 || n+len(part) > len(whole) {
		panic(fmt.Sprintf("partition: %d bytes at %d are not part of a frame of %d bytes", len(part), n, len(whole)))
	}
	return n
}
