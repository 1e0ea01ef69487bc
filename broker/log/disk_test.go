package log

import (
	"math/rand/v2"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// memFile is a file with what has been synced of it.
type memFile struct {
	data   []byte
	stable []byte
}

// memDisk performs disk operations in memory, for tests. A directory entry and
// a file's contents become stable separately, as on a real disk.
type memDisk struct {
	entries map[string]*memFile // by path; nil is a directory
	stable  map[string]*memFile
	open    map[edge.FileID]*memFile
	queues  []edge.QueueID
	pending map[edge.QueueID][]edge.DiskOp
	// submitted describes every operation, for transcripts.
	submitted []string
	fail      edge.DiskOpKind // the next operation of this kind fails
}

func newMemDisk() *memDisk {
	return &memDisk{
		entries: map[string]*memFile{"": nil}, stable: map[string]*memFile{"": nil},
		open: map[edge.FileID]*memFile{}, pending: map[edge.QueueID][]edge.DiskOp{},
	}
}

// submit queues an operation.
func (d *memDisk) submit(op edge.DiskOp) {
	d.submitted = append(d.submitted, describe(&op))
	if len(d.pending[op.Queue]) == 0 {
		d.queues = append(d.queues, op.Queue)
	}
	d.pending[op.Queue] = append(d.pending[op.Queue], op)
}

// step performs the next operation of the i-th busy queue.
func (d *memDisk) step(i int) edge.DiskResult {
	q := d.queues[i]
	op := d.pending[q][0]
	if d.pending[q] = d.pending[q][1:]; len(d.pending[q]) == 0 {
		delete(d.pending, q)
		d.queues = slices.Delete(d.queues, i, i+1)
	}
	r := d.perform(&op)
	for _, s := range op.Data {
		s.Buffer.Release()
	}
	return r
}

func (d *memDisk) perform(op *edge.DiskOp) edge.DiskResult {
	r := edge.DiskResult{Token: op.Token, Op: op.Kind}
	if d.fail != 0 && op.Kind == d.fail {
		d.fail = 0
		r.Err = edge.ErrNoSpace
		return r
	}
	f := d.open[op.File]
	switch op.Kind {
	case edge.OpMkdir:
		if _, ok := d.entries[op.Path]; !ok {
			d.entries[op.Path] = nil
		}
	case edge.OpList:
		r.Entries = d.list(op.Path)
	case edge.OpOpen:
		f := d.entries[op.Path]
		if f == nil {
			if _, ok := d.entries[path.Dir(op.Path)]; !ok {
				r.Err = edge.ErrNotFound
				return r
			}
			f = &memFile{}
			d.entries[op.Path] = f
		}
		if d.open[op.File] != nil {
			panic("file id used twice")
		}
		d.open[op.File] = f
		r.Length = int64(len(f.data))
	case edge.OpClose:
		if f == nil {
			panic("close of a file that is not open")
		}
		delete(d.open, op.File)
	case edge.OpRead:
		if f == nil {
			panic("read of a file that is not open")
		}
		from := min(op.Offset, int64(len(f.data)))
		to := min(op.Offset+op.Length, int64(len(f.data)))
		r.Data = edge.NewBuffer(slices.Clone(f.data[from:to]))
	case edge.OpWrite:
		f.data = slices.Clone(f.data)
		for _, s := range op.Data {
			f.write(op.Offset+r.Length, s.Bytes())
			r.Length += int64(s.Len())
		}
	case edge.OpAllocate:
		f.data = append(slices.Clone(f.data), make([]byte, max(0, op.Length-int64(len(f.data))))...)
	case edge.OpTruncate:
		f.data = slices.Clone(f.data[:op.Length])
	case edge.OpSync:
		f.stable = slices.Clone(f.data)
	case edge.OpSyncDir:
		if f, ok := d.entries[op.Path]; !ok || f != nil {
			r.Err = edge.ErrNotFound
			return r
		}
		d.syncDir(op.Path)
	case edge.OpRename:
		r.Err = d.rename(op.Path, op.NewPath)
	case edge.OpRemove:
		for p := range d.entries {
			if p == op.Path || strings.HasPrefix(p, op.Path+"/") {
				delete(d.entries, p)
			}
		}
	case edge.OpReadFile:
		if f := d.entries[op.Path]; f != nil {
			r.Data = edge.NewBuffer(slices.Clone(f.data))
		} else {
			r.Err = edge.ErrNotFound
		}
	case edge.OpReplaceFile:
		if _, ok := d.entries[dirOf(op.Path)]; !ok {
			r.Err = edge.ErrNotFound
			return r
		}
		f := &memFile{}
		for _, s := range op.Data {
			f.data = append(f.data, s.Bytes()...)
		}
		f.stable = f.data
		d.entries[op.Path] = f
		d.syncDir(dirOf(op.Path))
	}
	return r
}

// write appends, or fills what was allocated; its slice is not shared.
func (f *memFile) write(offset int64, b []byte) {
	end := int64(len(f.data))
	if offset > end || !isZero(f.data[offset:]) {
		panic("write with a gap or overwriting")
	}
	f.data = append(f.data, make([]byte, max(0, offset+int64(len(b))-end))...)
	copy(f.data[offset:], b)
}

func isZero(b []byte) bool { return !slices.ContainsFunc(b, func(x byte) bool { return x != 0 }) }

func dirOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

func (d *memDisk) list(dir string) []edge.DirEntry {
	var out []edge.DirEntry
	for p, f := range d.entries {
		if p != "" && dirOf(p) == dir {
			e := edge.DirEntry{Name: path.Base(p), Dir: f == nil}
			if f != nil {
				e.Size = int64(len(f.data))
			}
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

func (d *memDisk) syncDir(dir string) {
	for p := range d.stable {
		if p != "" && dirOf(p) == dir {
			if _, ok := d.entries[p]; !ok {
				for q := range d.stable { // and what lay in it
					if q == p || strings.HasPrefix(q, p+"/") {
						delete(d.stable, q)
					}
				}
			}
		}
	}
	for p, f := range d.entries {
		if p != "" && dirOf(p) == dir {
			d.stable[p] = f
		}
	}
}

func (d *memDisk) rename(from, to string) edge.DiskError {
	if _, ok := d.entries[from]; !ok {
		return edge.ErrNotFound
	}
	var paths []string
	for p := range d.entries {
		if p == from || strings.HasPrefix(p, from+"/") {
			paths = append(paths, p)
		}
	}
	for _, p := range paths {
		f := d.entries[p]
		delete(d.entries, p)
		d.entries[to+p[len(from):]] = f
		if s, ok := d.stable[p]; ok && p != from { // what lies in a directory moves with it
			d.stable[to+p[len(from):]] = s
		}
	}
	return edge.DiskOK
}

// powerLoss keeps what is stable, any of the changes of entries that are not, and of
// unsynced appends a random prefix, with the zeros behind that had been allocated.
func (d *memDisk) powerLoss(random *rand.Rand) {
	d.keepEntries(random)
	var paths []string
	for p := range d.stable {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	entries := map[string]*memFile{}
	for _, p := range paths {
		f := d.stable[p]
		if f == nil {
			entries[p] = nil
			continue
		}
		data := slices.Clone(f.stable)
		same := 0
		for same < min(len(data), len(f.data)) && data[same] == f.data[same] {
			same++
		}
		if len(f.data) > same && isZero(data[same:]) && random.IntN(3) > 0 {
			cut := same + random.IntN(len(f.data)-same+1)
			data = append(slices.Clone(f.data[:cut]), data[min(cut, len(data)):]...)
		}
		entries[p] = &memFile{data: data, stable: data}
	}
	d.restart(entries)
}

// keepEntries makes a part of the changes of files' entries stable, none of them in
// every second power loss. A file has one name at most: of a rename both sides or none.
func (d *memDisk) keepEntries(random *rand.Rand) {
	if random.IntN(2) == 0 {
		return
	}
	var paths []string
	for p, f := range d.entries {
		if f != nil && d.stable[p] != f {
			paths = append(paths, p)
		}
	}
	for p, f := range d.stable {
		if now, there := d.entries[p]; f != nil && !there && now == nil {
			paths = append(paths, p)
		}
	}
	sort.Strings(paths)
	for _, p := range paths {
		f := d.entries[p]
		if _, ok := d.stable[dirOf(p)]; !ok || random.IntN(2) == 0 {
			continue
		}
		if f == nil {
			delete(d.stable, p) // removed, or renamed to what may be lost
			continue
		}
		for q, g := range d.stable {
			if g == f {
				delete(d.stable, q)
			}
		}
		d.stable[p] = f
	}
}

// kill keeps the page cache: operations not performed are lost.
func (d *memDisk) kill() { d.restart(d.entries) }

func (d *memDisk) restart(entries map[string]*memFile) {
	d.entries = entries
	d.stable = map[string]*memFile{}
	for p, f := range entries {
		d.stable[p] = f
	}
	d.open = map[edge.FileID]*memFile{}
	d.queues, d.pending = nil, map[edge.QueueID][]edge.DiskOp{}
}
