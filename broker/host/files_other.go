//go:build !linux

package host

import (
	"os"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

func syncData(f *os.File) error { return f.Sync() }

// volume does not know how large a volume is.
func volume(string) (left, total int64, err error) { return -1, -1, nil }

// reserve gives a file a length, and leaves it to the file system when it takes blocks.
func reserve(f *os.File, length int64) error { return f.Truncate(length) }

func writeAt(f *os.File, data []edge.Slice, offset int64) (written int64, err error) {
	for i := range data {
		n, err := f.WriteAt(data[i].Bytes(), offset+written)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
