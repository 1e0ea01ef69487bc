package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// fakeReplica is one partition of the topic, its replication moved by hand.
type fakeReplica struct {
	key     log.Partition
	rep     Replica
	end     int64 // written; AppendEnd may be ahead
	batches []*edge.Buffer
	waiting []partition.InternalResult
	cold    bool // the next read must wait for the disk
	corrupt bool
	readers []edge.Token
}

// world is a runtime whose machine is a map, and the partitions under it.
type world struct {
	r        *Runtime[string]
	replicas []*fakeReplica
	results  []partition.InternalResult
	refuse   int16
	values   map[int32]map[string]string
	topic    meta.TopicID
	now      clock.Instant
	timers   timer.Queue
	pool     edge.Pool
	out      edge.Effects
	records  Records
	lines    []string
}

const owner = step.OwnerGroup

func newWorld(partitions int) *world {
	w := &world{values: make(map[int32]map[string]string), topic: meta.TopicID{1}}
	for i := range partitions {
		w.replicas = append(w.replicas, &fakeReplica{key: log.Partition{Topic: "state", Index: int32(i)}})
	}
	w.r = New[string](Config{Owner: owner, Topic: "state", WriteTimeout: 5 * time.Second}, w, w)
	return w
}

func (w *world) context() *step.Context {
	return &step.Context{Now: w.now, Wall: 1000, Out: &w.out, Timers: &w.timers, Buffers: &w.pool}
}

func (w *world) printf(format string, args ...any) {
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

// settle lets the runtime work until it has nothing to do.
func (w *world) settle() {
	for n := 0; w.r.Settle(w.context()); n++ {
		if n > 100 {
			panic("the runtime never comes to rest")
		}
	}
}

func (w *world) apply() {
	topic := &meta.Topic{Name: "state", ID: w.topic, Partitions: make([]*meta.Partition, len(w.replicas))}
	w.r.Apply(w.context(), &meta.Image{Topics: []*meta.Topic{topic}})
	w.settle()
}

// Replica implements Log.
func (w *world) Replica(key log.Partition) (Replica, bool) {
	p := w.replicas[key.Index]
	return p.rep, p.rep.TopicID != meta.TopicID{}
}

func (w *world) AppendInternal(_ *step.Context, key log.Partition, b *edge.Buffer, token edge.Token) (int64, int16) {
	p := w.replicas[key.Index]
	res := partition.InternalResult{Kind: partition.InternalAppended, Token: token, Error: w.refuse, BaseOffset: -1, LastOffset: -1}
	if w.refuse != 0 {
		w.results = append(w.results, res)
		return -1, w.refuse
	}
	batch := record.Batch(b.Bytes())
	batch.SetBaseOffset(p.rep.AppendEnd)
	if err := batch.CheckCRC(); err != nil {
		panic(err)
	}
	res.BaseOffset, res.LastOffset = batch.BaseOffset(), batch.LastOffset()
	p.rep.AppendEnd = batch.NextOffset()
	p.end = p.rep.AppendEnd
	p.batches = append(p.batches, b.Retain())
	p.waiting = append(p.waiting, res)
	return res.BaseOffset, 0
}

func (w *world) ReadInternal(_ *step.Context, key log.Partition, from int64, _ int, token edge.Token, dst []edge.Slice) log.ReadResult {
	p := w.replicas[key.Index]
	r := log.ReadResult{Slices: dst, Next: from}
	switch {
	case p.cold:
		p.cold, r.Loading = false, true
		p.readers = append(p.readers, token)
		return r
	case p.corrupt:
		r.Err = log.ErrCorrupt
		return r
	case from < p.rep.StartOffset || from > p.end:
		r.Err = fmt.Errorf("%w: %d", log.ErrOffsetOutOfRange, from)
		return r
	}
	for _, b := range p.batches { // one at a time, as if each were its own segment
		if batch := record.Batch(b.Bytes()); batch.BaseOffset() >= from && batch.NextOffset() <= p.end {
			b.Retain()
			r.Slices, r.Bytes, r.Next = append(r.Slices, b.All()), b.Len(), batch.NextOffset()
			return r
		}
	}
	return r
}

func (w *world) TakeInternal(dst []partition.InternalResult) []partition.InternalResult {
	dst = append(dst, w.results...)
	w.results = w.results[:0]
	return dst
}

// Loading implements Machine, and the rest of what follows.
func (w *world) Loading(_ *step.Context, shard int32) {
	w.printf("%d loading", shard)
	w.values[shard] = make(map[string]string)
}

func (w *world) Replay(_ *step.Context, shard int32, r Record) {
	w.printf("%d replay %s=%s", shard, r.Key, value(r.Value))
	if r.Value == nil {
		delete(w.values[shard], string(r.Key))
		return
	}
	w.values[shard][string(r.Key)] = string(r.Value)
}

func value(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

func (w *world) Loaded(_ *step.Context, shard int32) { w.printf("%d loaded", shard) }

func (w *world) Unloaded(_ *step.Context, shard int32) {
	w.printf("%d unloaded", shard)
	delete(w.values, shard)
}

func (w *world) Decided(_ *step.Context, shard int32, want *string, code int16, unknown bool) {
	line := fmt.Sprintf("%d decided %s code=%d", shard, *want, code)
	if unknown {
		line += " unknown"
	}
	w.lines = append(w.lines, line)
}

func (w *world) Landed(_ *step.Context, shard int32, want *string) {
	w.printf("%d landed %s", shard, *want)
}

func (w *world) show() {
	for _, i := range w.r.Shards(nil) {
		state, _ := w.r.State(i)
		var list []string
		for _, k := range slices.Sorted(maps.Keys(w.values[i])) {
			list = append(list, k+"="+w.values[i][k])
		}
		w.printf("%d %s check=%d %s", i, state, w.r.Check(i), strings.Join(list, " "))
	}
}

// text is a record's key or value.
type text string

func (t text) AppendTo(dst []byte) []byte { return append(dst, t...) }
