package disk

import (
	"fmt"
	"path"
	"strings"

	"github.com/klauspost/compress/s2"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// Backup is a copy of a disk's files as they were at one moment, the page cache
// included: what a snapshot of a volume under a running process has in it.
type Backup struct{ files []savedFile }

type savedFile struct {
	path   string
	packed []byte
}

// Backup copies the files as they are now. Empty directories are left out.
func (d *Disk) Backup() *Backup {
	b := &Backup{}
	d.Walk(func(f FileInfo) {
		plain, _ := d.Contents(f.Path)
		b.files = append(b.files, savedFile{path: strings.Clone(f.Path), packed: s2.Encode(nil, plain)})
	})
	return b
}

// Restore replaces the disk by a copy that was made of it, or of another one, all of
// it on stable storage. What runs on it must have ended before.
func (d *Disk) Restore(b *Backup) {
	d.Lose()
	for i := range b.files {
		f := &b.files[i]
		plain, err := s2.Decode(nil, f.packed)
		if err != nil {
			panic(fmt.Sprintf("disk: the backup of %s: %v", f.path, err))
		}
		d.plant(f.path, plain)
	}
	d.commitJournal()
	d.cache.forgetAll()
}

// plant makes a file that has always been there.
func (d *Disk) plant(file string, plain []byte) {
	for i, r := range file {
		if r == '/' {
			d.mkdir(0, file[:i])
		}
	}
	n := d.newNode(false)
	n.refs++
	dir, _ := d.parent(file)
	d.link(0, entryChange{dir: dir, name: path.Base(file), target: n})
	d.write(0, n, 0, []edge.Slice{edge.NewBuffer(plain).All()})
	d.settle(n, n.lastSeq)
	d.drop(n)
}
