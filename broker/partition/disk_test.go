package partition

import (
	"sort"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// memoryDisk performs disk operations at once, in memory. It forgets nothing and
// never fails.
type memoryDisk struct {
	files map[string]*[]byte
	dirs  map[string]bool
	open  map[edge.FileID]*[]byte
}

func newMemoryDisk() *memoryDisk {
	return &memoryDisk{files: map[string]*[]byte{}, dirs: map[string]bool{}, open: map[edge.FileID]*[]byte{}}
}

func (d *memoryDisk) do(op *edge.DiskOp) edge.DiskResult {
	r := edge.DiskResult{Token: op.Token, Op: op.Kind}
	switch op.Kind {
	case edge.OpMkdir:
		d.dirs[op.Path] = true
	case edge.OpList:
		r.Entries = d.list(op.Path)
	case edge.OpOpen:
		if d.files[op.Path] == nil {
			d.files[op.Path] = new([]byte)
		}
		d.open[op.File] = d.files[op.Path]
		r.Length = int64(len(*d.files[op.Path]))
	case edge.OpClose:
		delete(d.open, op.File)
	case edge.OpRead:
		b := *d.open[op.File]
		from := min(op.Offset, int64(len(b)))
		to := min(from+op.Length, int64(len(b)))
		r.Data = edge.NewBuffer(append([]byte(nil), b[from:to]...))
	case edge.OpWrite:
		f := d.open[op.File]
		data := take(op.Data)
		r.Length = int64(len(data))
		*f = append((*f)[:op.Offset:op.Offset], data...)
	case edge.OpTruncate:
		f := d.open[op.File]
		*f = (*f)[:op.Length:op.Length]
	case edge.OpRename:
		d.rename(op.Path, op.NewPath)
	case edge.OpRemove:
		d.remove(op.Path)
	case edge.OpReadFile:
		f := d.files[op.Path]
		if f == nil {
			r.Err = edge.ErrNotFound
			break
		}
		r.Data = edge.NewBuffer(append([]byte(nil), *f...))
	case edge.OpReplaceFile:
		data := take(op.Data)
		d.files[op.Path] = &data
	}
	return r
}

func take(slices []edge.Slice) []byte {
	var data []byte
	for _, s := range slices {
		data = append(data, s.Bytes()...)
		s.Buffer.Release()
	}
	return data
}

func (d *memoryDisk) list(dir string) []edge.DirEntry {
	found := map[string]edge.DirEntry{}
	prefix := dir + "/"
	if dir == "" || dir == "." {
		prefix = ""
	}
	for path, f := range d.files {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			name, _, deeper := strings.Cut(rest, "/")
			found[name] = edge.DirEntry{Name: name, Dir: deeper, Size: int64(len(*f))}
		}
	}
	for path := range d.dirs {
		if rest, ok := strings.CutPrefix(path, prefix); ok && rest != "" {
			name, _, _ := strings.Cut(rest, "/")
			found[name] = edge.DirEntry{Name: name, Dir: true}
		}
	}
	var list []edge.DirEntry
	for _, e := range found {
		list = append(list, e)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func (d *memoryDisk) rename(from, to string) {
	if d.dirs[from] {
		delete(d.dirs, from)
		d.dirs[to] = true
	}
	for path, f := range d.files {
		if path == from {
			delete(d.files, path)
			d.files[to] = f
		} else if rest, ok := strings.CutPrefix(path, from+"/"); ok {
			delete(d.files, path)
			d.files[to+"/"+rest] = f
		}
	}
}

func (d *memoryDisk) remove(path string) {
	delete(d.files, path)
	delete(d.dirs, path)
	for p := range d.files {
		if strings.HasPrefix(p, path+"/") {
			delete(d.files, p)
		}
	}
}
