package host

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// syncData makes what has been written to a file stable, with as much of its
// metadata as is needed to read it.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// volume returns what a user may still write to a directory's file system, and how
// large that is.
func volume(dir string) (left, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, fmt.Errorf("ask for the size of the volume of %s: %w", dir, err)
	}
	return int64(s.Bavail) * s.Frsize, int64(s.Blocks) * s.Frsize, nil
}

// reserve gives a file blocks for its first length bytes, and that length. File
// systems that cannot reserve give it the length alone, as Kafka does.
func reserve(f *os.File, length int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, length)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOSYS):
			return f.Truncate(length)
		default:
			return err
		}
	}
}

// partsMax bounds one pwritev: IOV_MAX.
const partsMax = 1024

// writeAt writes parts behind each other at an offset.
func writeAt(f *os.File, data []edge.Slice, offset int64) (written int64, err error) {
	if len(data) == 1 {
		n, err := f.WriteAt(data[0].Bytes(), offset)
		return int64(n), err
	}
	parts := make([][]byte, 0, min(len(data), partsMax))
	for len(data) > 0 || len(parts) > 0 {
		for len(data) > 0 && len(parts) < partsMax {
			if data[0].Len() > 0 {
				parts = append(parts, data[0].Bytes())
			}
			data = data[1:]
		}
		if len(parts) == 0 {
			break
		}
		n, err := unix.Pwritev(int(f.Fd()), parts, offset+written)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return written, err
		}
		written += int64(n)
		parts = behind(parts, n)
	}
	return written, nil
}
