package record

import (
	"bytes"
	"testing"
)

// Goal: a batch is built in the memory that was given for it whenever it fits.
// Method: destinations of exactly the size that RecordBytes foretells, for all
// lengths around the steps of the varints.
func TestBuilderKeepsDestination(t *testing.T) {
	for size := range 300 {
		value := bytes.Repeat([]byte{'v'}, size)
		want := HeaderBytes + RecordBytes(0, 0, nil, value, nil) + RecordBytes(1, 0, nil, value, nil)
		dst := make([]byte, want)
		var b Builder
		b.Reset(dst, NoProducer(None))
		b.Append(0, nil, value, nil)
		b.Append(0, nil, value, nil)
		if batch := b.Finish(); len(batch) != want || &batch[0] != &dst[0] {
			t.Fatalf("values of %d bytes: a batch of %d bytes left its destination of %d bytes", size, len(batch), want)
		}
	}
}
