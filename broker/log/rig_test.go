package log

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// rig drives a Manager on a memDisk.
type rig struct {
	m       *Manager
	limits  *limits // instead of the constants
	disk    *memDisk
	c       step.Context
	out     edge.Effects
	timers  timer.Queue
	pool    edge.Pool
	cfg     config.Broker
	changes []Change
	builder record.Builder
	scratch []byte
	random  *rand.Rand
}

var thePartition = Partition{"t", 0}

func testConfig() config.Broker {
	return config.Broker{
		TopicDefaults: config.Topic{
			CleanupPolicy: config.CleanupDelete, RetentionMillis: -1, RetentionBytes: -1,
			SegmentBytes: 1000, SegmentMillis: 1 << 40, SegmentIndexBytes: 1 << 20, IndexIntervalBytes: 150,
			FlushMessages: 1<<63 - 1, FlushMillis: 1<<63 - 1, FileDeleteDelayMillis: 1000,
		},
		ReplicaHighWatermarkCheckpointIntervalMillis: 5000,
		LogFlushOffsetCheckpointIntervalMillis:       60000,
		LogFlushStartOffsetCheckpointIntervalMillis:  60000,
		LogRetentionCheckIntervalMillis:              300000,
		LogInitialTaskDelayMillis:                    30000,
		ProducerIDExpirationMillis:                   86400000,
		ProducerIDExpirationCheckIntervalMillis:      600000,
		LogCleanerBackoffMillis:                      15000,
		LogCleanerDedupeBufferBytes:                  1 << 20,
	}
}

func newRig(cfg config.Broker) *rig {
	r := &rig{disk: newMemDisk(), cfg: cfg, random: rand.New(rand.NewPCG(1, 2))}
	r.c = step.Context{Wall: 1_000_000, Out: &r.out, Random: r.random, Buffers: &r.pool}
	r.out.Reset()
	r.boot()
	r.settle()
	return r
}

// boot starts a new incarnation on the disk as it is.
func (r *rig) boot() {
	r.timers = timer.Queue{}
	r.c.Timers = &r.timers
	r.out.Reset()
	r.m = NewManager(r.cfg)
	if r.limits != nil {
		r.m.limits = *r.limits
	}
	r.m.Boot(&r.c)
	r.collect()
}

// collect hands the operations to the disk and takes the changes.
func (r *rig) collect() {
	for _, op := range r.out.Disk {
		r.disk.submit(op)
	}
	halt := r.out.Halt
	r.out.Reset()
	r.out.Halt = halt
	r.changes = r.m.TakeChanges(r.changes)
}

// one performs one operation of a busy queue and delivers the result.
func (r *rig) one(queue int) {
	res := r.disk.step(queue)
	r.m.Disk(&r.c, &res)
	r.collect()
}

// settle performs everything.
func (r *rig) settle() {
	for n := 0; len(r.disk.queues) > 0 && r.out.Halt == ""; n++ {
		if n > 1_000_000 {
			panic("the disk never comes to rest")
		}
		r.one(n % len(r.disk.queues))
	}
}

// settleBut performs everything that does not lie on one queue.
func (r *rig) settleBut(queue edge.QueueID) {
	for i := 0; i < len(r.disk.queues); {
		if r.disk.queues[i] == queue {
			i++
			continue
		}
		r.one(i)
		i = 0
	}
}

// advance moves both clocks and fires what is due.
func (r *rig) advance(d time.Duration) {
	end := r.c.Now.Add(d)
	r.c.Wall += clock.Wall(d.Milliseconds())
	for r.timers.Next() <= end {
		r.c.Now = r.timers.Next()
		id, _ := r.timers.Pop(r.c.Now)
		r.m.Timer(&r.c, id)
		r.collect()
		r.settle()
	}
	r.c.Now = end
}

func (r *rig) create() *Log {
	l := r.m.Create(&r.c, thePartition, meta.TopicID{1, 2, 3}, r.cfg.TopicDefaults)
	r.collect()
	return l
}

func (r *rig) log() *Log { return r.m.Get(thePartition) }

// batchOptions describe a batch for batch.
type batchOptions struct {
	records   int
	bytes     int // of each value
	producer  int64
	epoch     int16
	sequence  int32
	timestamp int64
	base      int64 // follower
	leader    int32 // follower
}

func (r *rig) batch(o batchOptions) *edge.Buffer {
	opt := record.NoProducer(record.None)
	if o.producer > 0 {
		opt.ProducerID, opt.ProducerEpoch, opt.BaseSequence = o.producer, o.epoch, o.sequence
	}
	opt.BaseOffset, opt.LeaderEpoch = o.base, o.leader
	r.builder.Reset(r.scratch, opt)
	if o.timestamp == 0 {
		o.timestamp = int64(r.c.Wall)
	}
	for i := range max(1, o.records) {
		r.builder.Append(o.timestamp+int64(i), nil, make([]byte, o.bytes), nil)
	}
	r.scratch = r.builder.Finish()
	b := r.pool.Get(len(r.scratch))
	copy(b.Bytes(), r.scratch)
	return b
}

func (r *rig) append(o batchOptions, epoch int32) (AppendInfo, error) {
	b := r.batch(o)
	info, err := r.log().Append(&r.c, b, 0, b.Len(), epoch)
	b.Release()
	r.collect()
	return info, err
}

// fill appends batches of one record.
func (r *rig) fill(t fataler, batches int) {
	t.Helper()
	for range batches {
		if _, err := r.append(batchOptions{bytes: 300}, 0); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
}

func (r *rig) appendFollower(o batchOptions) error {
	b := r.batch(o)
	err := r.log().AppendFollower(&r.c, []edge.Slice{b.All()})
	b.Release()
	r.collect()
	return err
}

// readAll reads everything from an offset, waiting for cold reads.
func (r *rig) readAll(t fataler, from int64, maxBytes int) (batches []record.Batch) {
	t.Helper()
	l := r.log()
	for n := 0; from < l.EndOffset(); n++ {
		if n > 100000 {
			t.Fatalf("read at %d never ends", from)
		}
		res := l.Read(&r.c, from, maxBytes, l.EndOffset(), true, nil)
		r.collect()
		if res.Err != nil {
			t.Fatalf("read at %d: %v", from, res.Err)
		}
		if res.Loading {
			r.settle()
			continue
		}
		if res.Next == from {
			t.Fatalf("read at %d of %d to %d: nothing", from, l.StartOffset(), l.EndOffset())
		}
		for _, s := range res.Slices {
			for rest := append([]byte(nil), s.Bytes()...); len(rest) > 0; {
				b, after, err := record.Next(rest)
				if err != nil {
					t.Fatalf("read at %d: %v", from, err)
				}
				batches = append(batches, b)
				rest = after
			}
			s.Buffer.Release()
		}
		from = res.Next
	}
	return batches
}

// restart ends the incarnation in one of three ways and recovers.
func (r *rig) restart(how string) {
	r.crash(how)
	r.boot()
	r.settle()
	if !r.m.Ready() {
		panic(fmt.Sprintf("recovery after %s did not end: %s", how, r.out.Halt))
	}
}

// crash ends the incarnation.
func (r *rig) crash(how string) {
	switch how {
	case "kill":
		r.disk.kill()
	case "power":
		r.disk.powerLoss(r.random)
	case "clean":
		r.m.Shutdown(&r.c)
		r.collect()
		r.settle()
		if !r.m.Stopped() {
			panic("shutdown did not end")
		}
		r.disk.powerLoss(r.random)
	}
}

// fataler is what a testing.T and a rapid.T have in common here.
type fataler interface {
	Helper()
	Fatalf(string, ...any)
}
