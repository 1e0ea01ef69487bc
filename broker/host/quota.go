package host

import (
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// quota bounds what the data directory may hold. Between two measurements it
// takes every byte that is written for one more, so that the sum is never too
// small; where the limit seems to be reached, the directory is measured, and
// what has been removed or written over meanwhile counts no longer.
type quota struct {
	dir string

	bytesMax atomic.Int64 // 0: no limit

	mu       sync.Mutex
	used     int64 // of the last measurement and what was written since
	measured bool
}

// set replaces the limit.
func (q *quota) set(bytesMax int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytesMax.Store(bytesMax)
	q.measured = false
}

// limited says that there is a limit.
func (q *quota) limited() bool { return q.bytesMax.Load() > 0 }

// take answers as a full disk does if there is no room for n more bytes.
func (q *quota) take(n int64) error {
	bytesMax := q.bytesMax.Load()
	if bytesMax == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.measured || q.used+n > bytesMax {
		if err := q.measure(); err != nil {
			return err
		}
	}
	if q.used+n > bytesMax {
		return syscall.ENOSPC
	}
	q.used += n
	return nil
}

// bytesOf returns how many bytes a write has.
func bytesOf(data []edge.Slice) (n int64) {
	for i := range data {
		n += int64(data[i].Len())
	}
	return n
}

// state returns the limit and, if there is one, what is there now.
func (q *quota) state() (bytesMax, used int64, err error) {
	if bytesMax = q.bytesMax.Load(); bytesMax == 0 {
		return 0, 0, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	err = q.measure()
	return bytesMax, q.used, err
}

// measure adds up the lengths of all files.
func (q *quota) measure() error {
	q.used, q.measured = 0, true
	return filepath.WalkDir(q.dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			var info fs.FileInfo
			if info, err = entry.Info(); err == nil {
				q.used += info.Size()
			}
		}
		if isGone(err) {
			return nil // removed since it was listed
		}
		return err
	})
}
