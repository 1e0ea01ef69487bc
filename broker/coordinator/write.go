package coordinator

import (
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// writesMax bounds the writes in flight on one shard.
const writesMax = 1 << 14

// write is one batch that is not yet below the high watermark.
type write[W any] struct {
	serial   uint64
	batch    *edge.Buffer // replayed when committed
	want     W
	told     bool // timed out: decided as far as the machine is concerned
	deadline clock.Instant
}

// Encoder is a message of Kafka's own formats; kmsg's types are.
type Encoder interface{ AppendTo(dst []byte) []byte }

// Records collects the records of one write. The zero value is ready.
type Records struct {
	arena []byte
	spans []span
}

// span is a record in the arena: key from..key, value key..to. A tombstone has
// no value, which differs from an empty one.
type span struct {
	from, key, to int
	tombstone     bool
}

// Reset empties the collection and keeps its memory.
func (r *Records) Reset() { r.arena, r.spans = r.arena[:0], r.spans[:0] }

// Len returns the number of records.
func (r *Records) Len() int { return len(r.spans) }

// Put adds a record.
func (r *Records) Put(key, value Encoder) {
	s := span{from: len(r.arena)}
	r.arena = key.AppendTo(r.arena)
	s.key = len(r.arena)
	r.arena = value.AppendTo(r.arena)
	s.to = len(r.arena)
	r.spans = append(r.spans, s)
}

// Delete adds a tombstone.
func (r *Records) Delete(key Encoder) {
	s := span{from: len(r.arena), tombstone: true}
	r.arena = key.AppendTo(r.arena)
	s.key, s.to = len(r.arena), len(r.arena)
	r.spans = append(r.spans, s)
}

// At returns a record; it is valid until the collection changes.
func (r *Records) At(i int) Record {
	s := &r.spans[i]
	if s.tombstone {
		return Record{Key: r.arena[s.from:s.key]}
	}
	return Record{Key: r.arena[s.from:s.key], Value: r.arena[s.key:s.to:s.to]}
}

// Write appends the records to an active shard's log as one batch. Every call
// ends in exactly one Machine.Decided with want, not before it has returned.
func (r *Runtime[W]) Write(c *step.Context, index int32, records *Records, want W) {
	s := r.find(index)
	if s == nil || s.state != Active || records.Len() == 0 {
		panic(fmt.Sprintf("coordinator: write of %d records to shard %d, which is not active", records.Len(), index))
	}
	w := write[W]{batch: r.encode(c, records), want: want, deadline: c.Now.Add(r.cfg.WriteTimeout)}
	token := r.token(s, tokenWrite)
	w.serial = token.B
	s.writes = append(s.writes, w)
	if _, ok := c.Timers.Pending(r.writeTimer(s)); !ok {
		c.Timers.Set(r.writeTimer(s), w.deadline)
	}
	r.log.AppendInternal(c, s.key, w.batch, token)
}

// Full says that a shard takes no more writes for now.
func (r *Runtime[W]) Full(index int32) bool {
	s := r.find(index)
	return s == nil || len(s.writes) >= writesMax
}

func (r *Runtime[W]) encode(c *step.Context, records *Records) *edge.Buffer {
	size := record.HeaderBytes
	for i := range records.spans {
		rec := records.At(i)
		size += record.RecordBytes(int32(i), 0, rec.Key, rec.Value, nil)
	}
	buf := c.Buffers.Get(size)
	opts := record.NoProducer(record.None)
	opts.BaseTimestamp = int64(c.Wall)
	r.builder.Reset(buf.Bytes(), opts)
	for i := range records.spans {
		rec := records.At(i)
		r.builder.Append(int64(c.Wall), rec.Key, rec.Value, nil)
	}
	if batch := r.builder.Finish(); len(batch) != size {
		panic(fmt.Sprintf("coordinator: batch of %d bytes, %d expected", len(batch), size))
	}
	return buf
}

// decided takes in how an append ended.
func (r *Runtime[W]) decided(c *step.Context, s *shard[W], res *partition.InternalResult) {
	i, ok := slices.BinarySearchFunc(s.writes, res.Token.B, func(w write[W], serial uint64) int {
		switch {
		case w.serial < serial:
			return -1
		case w.serial > serial:
			return 1
		}
		return 0
	})
	if !ok {
		return // of an earlier life of the shard
	}
	if res.Error != errNone && res.BaseOffset >= 0 {
		r.reload(c, s)
		return
	}
	w := s.writes[i]
	s.writes = slices.Delete(s.writes, i, i+1)
	if i == 0 {
		r.nextDeadline(c, s)
	}
	if res.Error == errNone {
		if err := r.replay(c, s, record.Batch(w.batch.Bytes())); err != nil {
			panic(fmt.Sprintf("coordinator: %s cannot replay its own batch at %d: %v", s.key, res.BaseOffset, err))
		}
	}
	w.batch.Release()
	r.machine.Landed(c, s.index, &w.want)
	switch {
	case w.told:
	case res.Error == errNone:
		r.machine.Decided(c, s.index, &w.want, errNone, false)
	default:
		r.machine.Decided(c, s.index, &w.want, clientCode(res.Error), false)
	}
}

// timeOut tells the machine of writes that took too long. They stay in flight:
// when they are committed after all they are replayed like any other.
func (r *Runtime[W]) timeOut(c *step.Context, s *shard[W]) {
	for i := 0; i < len(s.writes) && s.writes[i].deadline <= c.Now; i++ {
		if s.writes[i].told {
			continue
		}
		s.writes[i].told = true
		want := s.writes[i].want
		r.machine.Decided(c, s.index, &want, clientCode(errRequestTimedOut), true)
	}
	r.nextDeadline(c, s)
}

func (r *Runtime[W]) nextDeadline(c *step.Context, s *shard[W]) {
	for i := range s.writes {
		if !s.writes[i].told {
			c.Timers.Set(r.writeTimer(s), s.writes[i].deadline)
			return
		}
	}
	c.Timers.Cancel(r.writeTimer(s))
}

func (r *Runtime[W]) writeTimer(s *shard[W]) timer.ID {
	return timer.ID{Owner: r.cfg.Owner, Kind: timerWrite, A: uint32(s.index)}
}
