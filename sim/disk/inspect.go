package disk

// FileInfo describes one file as it is now.
type FileInfo struct {
	Path   string
	Size   int64
	Stable bool // entry and contents would survive a power loss as they are
	Dirty  int  // changes that are not stable
}

// Walk calls f for every file in path order.
func (d *Disk) Walk(f func(FileInfo)) { walk(d.root, "", true, f) }

func walk(dir *node, prefix string, stable bool, f func(FileInfo)) {
	for _, e := range dir.cur {
		i, found := search(dir.stable, e.name)
		entryStable := stable && found && dir.stable[i].node == e.node
		if e.node.isDir {
			walk(e.node, prefix+e.name+"/", entryStable, f)
			continue
		}
		f(FileInfo{Path: prefix + e.name, Size: e.node.size, Dirty: len(e.node.pending),
			Stable: entryStable && len(e.node.pending) == 0})
	}
}

// Contents returns a copy of a file's current contents. It takes no simulated
// time and is meant for checkers and reports.
func (d *Disk) Contents(path string) ([]byte, bool) {
	n := d.lookup(path)
	if n == nil || n.isDir {
		return nil, false
	}
	out := make([]byte, n.size)
	d.copyOut(n, 0, out)
	return out, true
}

// ContentsAt copies what a file holds from an offset on into b and returns how
// much that is: less than b at the end of the file, 0 of a file that is missing.
// It is Contents for those who need not have all at once.
func (d *Disk) ContentsAt(path string, off int64, b []byte) int {
	n := d.lookup(path)
	if n == nil || n.isDir {
		return 0
	}
	return d.copyOut(n, off, b)
}

// Pending returns how many operations have been submitted and have not ended.
func (d *Disk) Pending() int {
	total := 0
	for i := range d.queues.list {
		total += int(d.queues.list[i].length)
	}
	return total
}
