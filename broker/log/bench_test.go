package log

import (
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// bench is a log in steady state: every round appends a batch, performs the
// write and reads the batch back, as a leader with one follower does.
type bench struct {
	r     *rig
	l     *Log
	src   []byte
	dst   []edge.Slice
	disk  []edge.DiskOp
	taken []Change
}

func newBench(records, bytes int) *bench {
	cfg := testConfig()
	cfg.TopicDefaults.SegmentBytes = 1 << 30
	cfg.TopicDefaults.IndexIntervalBytes = 4096
	r := newRig(cfg)
	l := r.create()
	r.settle()
	b := r.batch(batchOptions{records: records, bytes: bytes})
	return &bench{r: r, l: l, src: append([]byte(nil), b.Bytes()...)}
}

func (x *bench) round(tb testing.TB) {
	c := &x.r.c
	b := x.r.pool.Get(len(x.src))
	copy(b.Bytes(), x.src)
	info, err := x.l.Append(c, b, 0, b.Len(), 0)
	if err != nil {
		tb.Fatal(err)
	}
	b.Release()
	x.perform()
	res := x.l.Read(c, info.BaseOffset, 1<<20, x.l.EndOffset(), true, x.dst[:0])
	x.dst = res.Slices
	if res.Bytes != len(x.src) {
		tb.Fatalf("read %d bytes of %d", res.Bytes, len(x.src))
	}
	for _, s := range x.dst {
		s.Buffer.Release()
	}
	x.taken = x.r.m.TakeChanges(x.taken[:0])
}

// perform ends all disk operations at once, without keeping any data.
func (x *bench) perform() {
	out := &x.r.out
	for len(out.Disk) > 0 {
		x.disk = append(x.disk[:0], out.Disk...)
		out.Reset()
		for i := range x.disk {
			op := &x.disk[i]
			res := edge.DiskResult{Token: op.Token, Op: op.Kind}
			for _, s := range op.Data {
				s.Buffer.Release()
			}
			x.r.m.Disk(&x.r.c, &res)
		}
	}
}

func BenchmarkAppendRead(b *testing.B) {
	for _, shape := range []struct {
		name           string
		records, bytes int
	}{{"1x100B", 1, 100}, {"100x100B", 100, 100}} {
		b.Run(shape.name, func(b *testing.B) {
			b.ReportAllocs()
			x := newBench(shape.records, shape.bytes)
			for range 20000 {
				x.round(b)
			}
			for b.Loop() {
				x.round(b)
			}
		})
	}
}

// Goal: appending and reading do not allocate in steady state, but for the
// index, which grows by one entry per index.interval.bytes.
func TestAppendAndReadDoNotAllocate(t *testing.T) {
	x := newBench(1, 100)
	for range 20000 {
		x.round(t)
	}
	if n := testing.AllocsPerRun(1000, func() { x.round(t) }); n >= 1 {
		t.Fatalf("%v allocations per append, write and read", n)
	}
}
