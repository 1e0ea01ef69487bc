package host

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// largeWriteBytes is from where on a write counts as one that occupies a processor.
const largeWriteBytes = 64 << 10

// files is the data directory and what is open of it.
type files struct {
	dir     string
	buffers *edge.Pool // of reads
	log     *slog.Logger
	quota   quota
	// copying holds a token for each large write under way. To copy into the page
	// cache is work for a processor, and with a write for each of them nobody would
	// be left to answer those who read: consumers would fall behind producers.
	copying chan struct{}
	mu      sync.RWMutex
	open    map[edge.FileID]*os.File
}

func newFiles(dir string, buffers *edge.Pool, log *slog.Logger) *files {
	return &files{dir: dir, buffers: buffers, log: log, quota: quota{dir: dir}, open: make(map[edge.FileID]*os.File),
		copying: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

func (f *files) path(p string) string { return filepath.Join(f.dir, filepath.FromSlash(p)) }

func (f *files) get(id edge.FileID) *os.File {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.open[id]
}

// perform carries out one operation.
func (f *files) perform(op *edge.DiskOp, r *edge.DiskResult) {
	var err error
	switch op.Kind {
	case edge.OpMkdir:
		if err = os.Mkdir(f.path(op.Path), 0o755); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	case edge.OpList:
		r.Entries, err = f.list(op.Path)
	case edge.OpOpen:
		r.Length, err = f.openFile(op.File, op.Path)
	case edge.OpClose:
		err = f.close(op.File)
	case edge.OpRead:
		r.Data, err = f.read(op)
	case edge.OpReadFile:
		r.Data, err = f.readFile(op)
	case edge.OpWrite:
		r.Length, err = f.write(op)
	case edge.OpTruncate:
		err = f.truncate(op)
	case edge.OpSyncDir:
		err = syncPath(f.path(op.Path))
	case edge.OpRename:
		err = os.Rename(f.path(op.Path), f.path(op.NewPath))
	case edge.OpRemove:
		err = os.RemoveAll(f.path(op.Path))
	case edge.OpReplaceFile:
		err = f.replace(op)
	case edge.OpVolume:
		r.Length, r.Total, err = f.volume()
	case edge.OpAllocate:
		err = f.allocate(op)
	}
	r.Err = f.outcome(op, err)
}

// outcome says what the machine may know of an error. It halts for most, and says
// only that there was one: the cause is for people.
func (f *files) outcome(op *edge.DiskOp, err error) edge.DiskError {
	result := diskError(err)
	if result == edge.DiskOK || result == edge.ErrNotFound || errors.Is(err, errNotOpen) {
		return result
	}
	cure := ""
	if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		cure = "; raise the limit of open files (ulimit -n): a partition holds one for each segment"
	}
	f.log.Error(op.Kind.String() + " failed: " + err.Error() + cure)
	return result
}

// errNotOpen is the fate of operations on a file whose open has failed.
var errNotOpen = errors.New("not open")

// diskError says what a machine may know of an error.
func diskError(err error) edge.DiskError {
	switch {
	case err == nil:
		return edge.DiskOK
	case isGone(err):
		return edge.ErrNotFound
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return edge.ErrNoSpace
	}
	return edge.ErrIO
}

// isGone says of an error that there is nothing at a path.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

func (f *files) list(path string) ([]edge.DirEntry, error) {
	entries, err := os.ReadDir(f.path(path)) // in name order
	if err != nil {
		return nil, err
	}
	out := make([]edge.DirEntry, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if isGone(err) {
			continue // since it was listed
		}
		if err != nil {
			return nil, err
		}
		d := edge.DirEntry{Name: e.Name(), Dir: e.IsDir()}
		if !d.Dir {
			d.Size = info.Size()
		}
		out = append(out, d)
	}
	return out, nil
}

func (f *files) openFile(id edge.FileID, path string) (int64, error) {
	file, err := os.OpenFile(f.path(path), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, errors.Join(err, file.Close())
	}
	f.mu.Lock()
	f.open[id] = file
	f.mu.Unlock()
	return info.Size(), nil
}

func (f *files) close(id edge.FileID) error {
	f.mu.Lock()
	file := f.open[id]
	delete(f.open, id)
	f.mu.Unlock()
	if file == nil {
		return nil // its open has failed, and has been reported
	}
	return file.Close()
}

func (f *files) closeAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, file := range f.open {
		_ = file.Close() // what matters has been synced
		delete(f.open, id)
	}
}

func (f *files) read(op *edge.DiskOp) (*edge.Buffer, error) {
	file := f.get(op.File)
	if file == nil {
		return nil, errNotOpen
	}
	b := f.buffers.Get(int(op.Length))
	n, err := file.ReadAt(b.Bytes(), op.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		b.Release()
		return nil, err
	}
	b.Shorten(n)
	return b, nil
}

func (f *files) readFile(op *edge.DiskOp) (*edge.Buffer, error) {
	file, err := os.Open(f.path(op.Path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(file, op.Length))
	if err != nil {
		return nil, err
	}
	return edge.NewBuffer(b), nil
}

// write writes all parts behind each other; the length is what was written.
func (f *files) write(op *edge.DiskOp) (int64, error) {
	file := f.get(op.File)
	if file == nil {
		return 0, errNotOpen
	}
	if f.quota.limited() {
		info, err := file.Stat()
		if err != nil {
			return 0, err
		}
		// What was allocated before counts already.
		end := op.Offset + bytesOf(op.Data)
		if err := f.quota.take(max(0, end-max(op.Offset, info.Size()))); err != nil {
			return 0, err
		}
	}
	if bytesOf(op.Data) >= largeWriteBytes {
		f.copying <- struct{}{}
		defer func() { <-f.copying }()
	}
	return writeAt(file, op.Data, op.Offset)
}

func (f *files) truncate(op *edge.DiskOp) error {
	file := f.get(op.File)
	if file == nil {
		return errNotOpen
	}
	return file.Truncate(op.Length)
}

// allocate makes a file longer, with blocks of its own where the file system can
// reserve them.
func (f *files) allocate(op *edge.DiskOp) error {
	file := f.get(op.File)
	if file == nil {
		return errNotOpen
	}
	info, err := file.Stat()
	if err != nil || info.Size() >= op.Length {
		return err
	}
	if err := f.quota.take(op.Length - info.Size()); err != nil {
		return err
	}
	if err := reserve(file, op.Length); err != nil {
		return errors.Join(err, file.Truncate(info.Size())) // it may have got a part
	}
	return nil
}

func (f *files) sync(op *edge.DiskOp) edge.DiskError {
	file := f.get(op.File)
	if file == nil {
		return edge.ErrIO
	}
	return f.outcome(op, syncData(file))
}

// volume returns what can still be written and what there is altogether, on the
// file system and within the quota.
func (f *files) volume() (left, total int64, err error) {
	if left, total, err = volume(f.dir); err != nil {
		return 0, 0, err
	}
	bytesMax, used, err := f.quota.state()
	if err != nil || bytesMax == 0 {
		return left, total, err
	}
	if room := max(0, bytesMax-used); left < 0 || room < left {
		left = room
	}
	if total < 0 || bytesMax < total {
		total = bytesMax
	}
	return left, total, nil
}

// syncPath makes a directory's entries stable.
func syncPath(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // what matters is the sync
	return dir.Sync()
}

// replace writes a file beside the old one and puts it in its place.
func (f *files) replace(op *edge.DiskOp) error {
	if err := f.quota.take(bytesOf(op.Data)); err != nil {
		return err
	}
	path := f.path(op.Path)
	temporary := path + ".tmp"
	file, err := os.Create(temporary)
	if err != nil {
		return err
	}
	_, err = writeAt(file, op.Data, 0)
	if err == nil {
		err = syncData(file)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}
