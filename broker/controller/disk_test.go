package controller

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// toyDisk keeps two contents of everything: what the process sees, and what a
// power loss leaves.
type toyDisk struct {
	files  map[string]*toyFile // as seen
	stable map[string]*toyFile // directory entries that are on stable storage
	open   map[edge.FileID]*toyFile
	queued []queuedOp
	fail   edge.DiskOpKind // fails with EIO when set
}

type toyFile struct{ seen, synced []byte }

type queuedOp struct {
	seq int
	op  edge.DiskOp
}

func newToyDisk() toyDisk {
	return toyDisk{files: map[string]*toyFile{}, stable: map[string]*toyFile{}, open: map[edge.FileID]*toyFile{}}
}

// powerLoss keeps what was synced, and of an unsynced append perhaps a part.
func (d *toyDisk) powerLoss(random *rand.Rand) {
	d.queued = nil
	d.open = map[edge.FileID]*toyFile{}
	d.files = map[string]*toyFile{}
	names := make([]string, 0, len(d.stable))
	for name := range d.stable {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := d.stable[name]
		if n := len(f.seen) - len(f.synced); n > 0 && random.IntN(2) == 0 {
			tail := slices.Clone(f.seen[len(f.synced) : len(f.synced)+random.IntN(n+1)])
			for i := range tail {
				if i > 8 && random.IntN(40) == 0 {
					tail[i] = 0
				}
			}
			f.synced = append(slices.Clone(f.synced), tail...)
		}
		f.seen = slices.Clone(f.synced)
		d.files[name] = f
	}
}

func (d *toyDisk) perform(seq int, r *edge.DiskResult) {
	i := slices.IndexFunc(d.queued, func(q queuedOp) bool { return q.seq == seq })
	op := d.queued[i].op
	d.queued = slices.Delete(d.queued, i, i+1)
	if d.fail == op.Kind {
		r.Err = edge.ErrIO
		return
	}
	switch op.Kind {
	case edge.OpMkdir:
	case edge.OpList:
		for name, f := range d.files {
			if rest, ok := strings.CutPrefix(name, op.Path+"/"); ok {
				r.Entries = append(r.Entries, edge.DirEntry{Name: rest, Size: int64(len(f.seen))})
			}
		}
		slices.SortFunc(r.Entries, func(a, b edge.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	case edge.OpOpen:
		f := d.files[op.Path]
		if f == nil {
			f = &toyFile{}
			d.files[op.Path] = f
		}
		d.open[op.File] = f
		r.Length = int64(len(f.seen))
	case edge.OpClose:
		delete(d.open, op.File)
	case edge.OpWrite:
		f := d.open[op.File]
		var data []byte
		for _, s := range op.Data {
			data = append(data, s.Bytes()...)
		}
		f.seen = append(slices.Clone(f.seen[:op.Offset]), data...)
		r.Length = int64(len(data))
	case edge.OpTruncate:
		f := d.open[op.File]
		f.seen = slices.Clone(f.seen[:op.Length])
		if len(f.synced) > len(f.seen) {
			f.synced = slices.Clone(f.seen)
		}
	case edge.OpSync:
		f := d.open[op.File]
		f.synced = slices.Clone(f.seen)
	case edge.OpSyncDir:
		if op.Path != Dir {
			return // our one directory is taken to exist
		}
		d.stable = map[string]*toyFile{}
		for name, f := range d.files {
			d.stable[name] = f
		}
	default:
		d.performPath(&op, r)
	}
}

// performPath carries out the operations that name no open file.
func (d *toyDisk) performPath(op *edge.DiskOp, r *edge.DiskResult) {
	switch op.Kind {
	case edge.OpRemove:
		delete(d.files, op.Path)
	case edge.OpReadFile:
		f := d.files[op.Path]
		if f == nil {
			r.Err = edge.ErrNotFound
			return
		}
		r.Data = edge.NewBuffer(slices.Clone(f.seen[:min(int64(len(f.seen)), op.Length)]))
	case edge.OpReplaceFile:
		var data []byte
		for _, s := range op.Data {
			data = append(data, s.Bytes()...)
		}
		f := &toyFile{seen: data, synced: slices.Clone(data)}
		d.files[op.Path], d.stable[op.Path] = f, f
	default:
		panic(op.Kind.String())
	}
}
