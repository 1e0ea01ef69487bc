package disk

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"pgregory.net/rapid"
)

// Goal: whatever happens, the page cache shows what was written, and a crash
// leaves a legal outcome. Method: a naive model keeps whole copies of every
// file after every unsynced change, and the list of unsynced directory changes.
// After a power loss all subsets of that list that respect dependencies are
// enumerated; the disk must equal one of them with legal contents in each file.
// Write-back is off, so that only explicit syncs make anything stable.

// modelFile holds the contents after each change since the last sync; states[0]
// is stable. span[i] is the range written by the change that led to states[i+1].
type modelFile struct {
	states [][]byte
	span   [][2]int // from -1: a truncation
}

func (f *modelFile) now() []byte { return f.states[len(f.states)-1] }

func (f *modelFile) change(b []byte, from, to int) {
	f.states = append(f.states, b)
	f.span = append(f.span, [2]int{from, to})
}

func (f *modelFile) sync() { f.states, f.span = [][]byte{f.now()}, nil }

type modelChange struct{ set map[string]*modelFile } // nil: removed

type model struct {
	cur, stable map[string]*modelFile
	journal     []modelChange
}

func (m *model) apply(set map[string]*modelFile) {
	m.journal = append(m.journal, modelChange{set})
	for name, f := range set {
		setName(m.cur, name, f)
	}
}

func setName(names map[string]*modelFile, name string, f *modelFile) {
	if f == nil {
		delete(names, name)
	} else {
		names[name] = f
	}
}

func (m *model) syncDir() {
	m.journal, m.stable = nil, map[string]*modelFile{}
	for n, f := range m.cur {
		m.stable[n] = f
	}
}

// legal tells whether a file may hold got after a power loss.
func (f *modelFile) legal(got []byte) bool {
	for i, s := range f.states {
		if withHoles(s, got, f.states[0], i > 0) {
			return true
		}
		if i == len(f.span) || f.span[i][0] < 0 {
			continue
		}
		for cut := f.span[i][0]/sector*sector + sector; cut < f.span[i][1]; cut += sector {
			torn := append([]byte(nil), f.states[i+1][:cut]...)
			if cut < len(s) {
				torn = append(torn, s[cut:]...)
			}
			if withHoles(torn, got, f.states[0], true) {
				return true
			}
		}
	}
	return false
}

// withHoles compares, forgiving whole sectors of zeros where nothing else was stable.
func withHoles(want, got, stable []byte, forgive bool) bool {
	if len(want) != len(got) {
		return false
	}
	if bytes.Equal(want, got) {
		return true
	}
	for off := 0; off < len(got); off += sector {
		end := min(off+sector, len(got))
		if !bytes.Equal(want[off:end], got[off:end]) &&
			(!forgive || !isZero(stable[min(off, len(stable)):min(end, len(stable))]) || !isZero(got[off:end])) {
			return false
		}
	}
	return true
}

func isZero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

// outcomes calls f with every legal set of names after a power loss.
func (m *model) outcomes(f func(map[string]*modelFile) bool) bool {
next:
	for set := range 1 << len(m.journal) {
		names, lost := map[string]*modelFile{}, map[string]bool{}
		for n, file := range m.stable {
			names[n] = file
		}
		for i, c := range m.journal {
			for n, file := range c.set {
				if set>>i&1 == 0 {
					lost[n] = true
				} else if lost[n] {
					continue next
				} else {
					setName(names, n, file)
				}
			}
		}
		if f(names) {
			return true
		}
	}
	return false
}

func (m *model) matches(d *Disk, names map[string]*modelFile) bool {
	count := 0
	ok := true
	d.Walk(func(info FileInfo) {
		count++
		c, _ := d.Contents(info.Path)
		f := names[info.Path]
		ok = ok && f != nil && f.legal(c)
	})
	return ok && count == len(names)
}

const journalMax = 6 // bounds the enumeration

func TestRandomHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := constant()
		cfg.DirtyExpire, cfg.FlushInterval, cfg.JournalCommit = 0, 0, 0
		cfg.CacheBytes = 1 << 20
		r := newDriver(cfg, rapid.Uint64().Draw(t, "seed"))
		m := &model{cur: map[string]*modelFile{}, stable: map[string]*modelFile{}}
		fill := byte('a')
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			fill++
			if len(m.journal) >= journalMax {
				r.do(edge.DiskOp{Kind: edge.OpSyncDir})
				m.syncDir()
			}
			step(t, r, m, fill)
			for name, f := range m.cur {
				if got, _ := r.d.Contents(name); !bytes.Equal(got, f.now()) {
					t.Fatalf("%s holds %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(f.now()), f.now())
				}
			}
		}
	})
}

func step(t *rapid.T, r *driver, m *model, fill byte) {
	name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
	f := m.cur[name]
	use := func() {
		r.file(name)
		if f == nil {
			f = &modelFile{states: [][]byte{nil}}
			m.apply(map[string]*modelFile{name: f})
		}
	}
	switch what := rapid.IntRange(0, 12).Draw(t, "what"); what {
	case 0, 1, 2: // append
		use()
		writeAt(t, r, name, f, len(f.now()), fill)
	case 3: // overwrite, or leave a hole
		use()
		writeAt(t, r, name, f, rapid.IntRange(0, len(f.now())+600).Draw(t, "at"), fill)
	case 4:
		use()
		n := rapid.IntRange(0, len(f.now())).Draw(t, "size")
		r.do(edge.DiskOp{Kind: edge.OpTruncate, File: r.file(name), Length: int64(n)})
		if n < len(f.now()) {
			f.change(append([]byte(nil), f.now()[:n]...), -1, 0)
		}
	case 5:
		use()
		r.do(edge.DiskOp{Kind: edge.OpSync, File: r.file(name)})
		f.sync()
	case 6:
		r.do(edge.DiskOp{Kind: edge.OpSyncDir})
		m.syncDir()
	case 7: // a read sees what Contents shows
		use()
		off := rapid.IntRange(0, len(f.now())).Draw(t, "off")
		res := r.do(edge.DiskOp{Kind: edge.OpRead, File: r.file(name), Offset: int64(off), Length: 1000})
		if want := f.now()[off:min(len(f.now()), off+1000)]; !bytes.Equal(res.Data.Bytes(), want) {
			t.Fatalf("read %q, want %q", res.Data.Bytes(), want)
		}
		res.Data.Release()
	case 8:
		if f != nil {
			r.do(edge.DiskOp{Kind: edge.OpRemove, Path: name})
			delete(r.files, name)
			m.apply(map[string]*modelFile{name: nil})
		}
	case 9:
		to := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "to")
		if f != nil && to != name {
			r.do(edge.DiskOp{Kind: edge.OpRename, Path: name, NewPath: to})
			delete(r.files, name)
			delete(r.files, to)
			m.apply(map[string]*modelFile{name: nil, to: f})
		}
	case 10: // at its end, a replacement is stable with its whole directory
		r.do(edge.DiskOp{Kind: edge.OpReplaceFile, Path: name, Data: data(string([]byte{fill}))})
		delete(r.files, name)
		m.cur[name] = &modelFile{states: [][]byte{{fill}}}
		m.syncDir()
	case 11:
		crash(t, r, m)
	case 12:
		use()
		old := f.now()
		n := rapid.IntRange(0, len(old)+3000).Draw(t, "allocate")
		r.do(edge.DiskOp{Kind: edge.OpAllocate, File: r.file(name), Length: int64(n)})
		if n > len(old) {
			f.change(append(append([]byte(nil), old...), make([]byte, n-len(old))...), len(old), n)
		}
	}
}

func writeAt(t *rapid.T, r *driver, name string, f *modelFile, at int, fill byte) {
	n := rapid.SampledFrom([]int{1, 100, 511, 513, 1500, 9000}).Draw(t, "length")
	b := bytes.Repeat([]byte{fill}, n)
	parts := []edge.Slice{edge.NewBuffer(b[:n/3]).All(), edge.NewBuffer(b[n/3:]).All()}
	res := r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file(name), Offset: int64(at), Data: parts})
	if res.Err != edge.DiskOK || res.Length != int64(n) {
		t.Fatalf("write: %v", res)
	}
	old := f.now()
	if at > len(old) { // the zeros of the hole are a change of their own
		f.change(append(append([]byte(nil), old...), make([]byte, at-len(old))...), len(old), at)
		old = f.now()
	}
	next := append([]byte(nil), old...)
	next = append(next, make([]byte, max(0, at+n-len(next)))...)
	copy(next[at:], b)
	f.change(next, at, at+n)
}

// crash is a power loss, or a kill, which must not lose anything here.
func crash(t *rapid.T, r *driver, m *model) {
	r.crashed()
	if rapid.Bool().Draw(t, "kill") {
		r.d.Kill()
		return
	}
	r.d.PowerLoss()
	ok := m.outcomes(func(names map[string]*modelFile) bool {
		if !m.matches(r.d, names) {
			return false
		}
		m.cur = names
		return true
	})
	if !ok {
		t.Fatalf("illegal outcome of a power loss: %s", describe(r.d))
	}
	for name, f := range m.cur {
		c, _ := r.d.Contents(name)
		f.states, f.span = [][]byte{c}, nil
	}
	m.syncDir()
	if r.d.DirtyBytes() != 0 {
		t.Fatalf("%d bytes dirty after a power loss", r.d.DirtyBytes())
	}
}

func describe(d *Disk) string {
	var out bytes.Buffer
	d.Walk(func(f FileInfo) { fmt.Fprintf(&out, "%s(%d) ", f.Path, f.Size) })
	return out.String()
}

// Goal: a killed process leaves a prefix of what each of its queues had been
// asked. Method: appends under way in two queues, some of them ended.
func TestKillLeavesPrefix(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newDriver(constant(), rapid.Uint64().Draw(t, "seed"))
		want := map[string][]byte{}
		for q, name := range []string{"a", "b"} {
			id := r.file(name)
			for i := range rapid.IntRange(0, 6).Draw(t, "writes") {
				b := bytes.Repeat([]byte{byte('a' + i)}, rapid.SampledFrom([]int{10, 5000, 20000}).Draw(t, "length"))
				r.submit(edge.DiskOp{Kind: edge.OpWrite, Queue: edge.QueueID(q), File: id,
					Offset: int64(len(want[name])), Data: data(string(b))})
				want[name] = append(want[name], b...)
			}
		}
		for range rapid.IntRange(0, 4).Draw(t, "ended") {
			if at := r.d.Next(); r.d.Pending() > 0 {
				r.d.Pop(at)
			}
		}
		r.d.Kill()
		if r.d.Pending() != 0 {
			t.Fatalf("%d operations pending after a kill", r.d.Pending())
		}
		for name, w := range want {
			if got, _ := r.d.Contents(name); !bytes.HasPrefix(w, got) {
				t.Fatalf("%s holds %d bytes that are no prefix of %d", name, len(got), len(w))
			}
		}
	})
}

// Goal: the same seed and history give the same outcome, another seed another.
func TestSeedDecides(t *testing.T) {
	run := func(seed uint64) string {
		r := newDriver(Defaults(), seed)
		var out bytes.Buffer
		for i := range 20 {
			name := fmt.Sprintf("f%d", i)
			fmt.Fprintln(&out, r.do(edge.DiskOp{Kind: edge.OpWrite, File: r.file(name), Data: data("some bytes")}).Err, r.now)
		}
		r.d.PowerLoss()
		return out.String() + describe(r.d)
	}
	if first, again := run(1), run(1); first != again {
		t.Fatal("two runs with one seed differ")
	}
	if run(1) == run(2) {
		t.Fatal("two seeds give the same run")
	}
}

// segment appends, reads, syncs and drops a file, as a log segment's life.
func (r *driver) segment(pool *edge.Pool, id edge.FileID, op *edge.DiskOp) {
	do := func(kind edge.DiskOpKind) {
		op.Kind = kind
		r.d.Submit(r.now, op)
		for r.d.Pending() > 0 {
			r.now = max(r.now, r.d.Next())
			if res, ok := r.d.Pop(r.now); ok && res.Data != nil {
				res.Data.Release()
			}
		}
	}
	*op = edge.DiskOp{File: id, Path: "segment", Data: op.Data[:0]}
	do(edge.OpOpen)
	for i := range int64(64) {
		length := int64(100)
		if i%2 == 0 {
			length = 2000
		}
		op.Data = append(op.Data[:0], pool.Get(int(length)).All())
		do(edge.OpWrite)
		op.Data = op.Data[:0]
		op.Offset += length
	}
	op.Offset, op.Length = 1000, 4000
	do(edge.OpRead)
	do(edge.OpSync)
	do(edge.OpClose)
	do(edge.OpRemove)
	r.now = r.now.Add(r.d.cfg.JournalCommit)
	for r.d.Next() <= r.now {
		r.d.Pop(r.now)
	}
}

// Goal: no allocation per operation, and a removed file gives its buffers
// back. Method: count allocations over whole lives of segments; what a segment
// may still allocate is the names of its directory entries.
func TestSteadyStateAllocates(t *testing.T) {
	r := newDriver(constant(), 1)
	var op edge.DiskOp
	id := edge.FileID(0)
	allocs := testing.AllocsPerRun(100, func() {
		id++
		r.segment(r.d.pool, id, &op)
	})
	if allocs > 2 {
		t.Fatalf("%v allocations per segment of 69 operations", allocs)
	}
	if r.d.UsedBytes() != 0 {
		t.Fatalf("%d bytes used by removed files", r.d.UsedBytes())
	}
}

func BenchmarkOperation(b *testing.B) {
	r := newDriver(Defaults(), 1)
	var op edge.DiskOp
	b.ReportAllocs()
	for i := 0; i < b.N; i += 69 {
		r.segment(r.d.pool, edge.FileID(i+1), &op)
	}
}

// Goal: with LoseUnsynced exactly what was synced is left, whatever is under
// way and whatever the seed.
func TestLoseUnsynced(t *testing.T) {
	for seed := range uint64(50) {
		cfg := Defaults()
		cfg.LoseUnsynced = true
		r := newDriver(cfg, seed)
		a := r.file("a")
		r.do(edge.DiskOp{Kind: edge.OpWrite, File: a, Data: data("synced")})
		r.do(edge.DiskOp{Kind: edge.OpSync, File: a})
		r.do(edge.DiskOp{Kind: edge.OpSyncDir})
		b := r.file("b")
		for q, file := range []edge.FileID{a, b} {
			r.submit(edge.DiskOp{Kind: edge.OpWrite, Queue: edge.QueueID(q), File: file, Data: data("SYN")})
			r.submit(edge.DiskOp{Kind: edge.OpSync, Queue: edge.QueueID(q), File: file})
		}
		r.submit(edge.DiskOp{Kind: edge.OpReplaceFile, Queue: 9, Path: "c", Data: data("new")})
		r.d.PowerLoss()
		if got, _ := r.d.Contents("a"); string(got) != "synced" || describe(r.d) != "a(6) " {
			t.Fatalf("seed %d leaves %q and %s", seed, got, describe(r.d))
		}
	}
}
