//go:build unix

package host

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
)

const lockFile = ".lock" // Kafka's name

// LockDirectory takes a data directory for this process; the kernel gives it
// back when the process ends, however it ends. It excludes Apache Kafka, which
// locks the same file by fcntl, and by flock other holders in this process.
func LockDirectory(dir string) (unlock func() error, err error) {
	path := filepath.Join(dir, lockFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = syscall.FcntlFlock(file.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
	}
	if err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EACCES) {
			err = errors.New("another process uses it; stop that one, or give this one a directory of its own")
		}
		return nil, errors.Join(fmt.Errorf("lock the data directory %s: %w", dir, err), file.Close())
	}
	return file.Close, nil
}

// descriptorsMax is how many files and sockets the process may hold together; 0 is
// not known.
func descriptorsMax() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), math.MaxInt32))
}
