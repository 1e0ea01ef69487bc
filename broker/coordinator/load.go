package coordinator

import (
	"errors"
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// loadBytesMax is how much of the log is replayed at a time; Kafka's
// offsets.load.buffer.size.
const loadBytesMax = 5 << 20

// beginLoad replays the shard's log from its start. What lies above the high
// watermark is replayed too: the leader's log decides, so it will be committed,
// and the shard serves nobody before it is.
func (r *Runtime[W]) beginLoad(c *step.Context, s *shard[W], rep *Replica) {
	r.serial++
	r.loading = true
	s.state, s.reading, s.load = Loading, false, r.serial
	s.next, s.target, s.replayed = rep.StartOffset, rep.AppendEnd, rep.StartOffset
	r.machine.Loading(c, s.index)
}

// goOn continues a load as far as the log is in memory.
func (r *Runtime[W]) goOn(c *step.Context, s *shard[W]) (progress bool) {
	for !s.reading && s.next < s.target {
		if !r.readOn(c, s) {
			return progress
		}
		progress = true
	}
	if s.state != Loading || s.next < s.target {
		return progress
	}
	rep, ok := r.log.Replica(s.key)
	if !ok || rep.HighWatermark < s.target {
		return progress
	}
	s.state = Active
	r.machine.Loaded(c, s.index)
	return true
}

// readOn replays the next stretch; false if there is none yet.
func (r *Runtime[W]) readOn(c *step.Context, s *shard[W]) bool {
	token := edge.Token{Owner: r.cfg.Owner, Kind: tokenLoad, A: uint32(s.index), B: s.load}
	res := r.log.ReadInternal(c, s.key, s.next, loadBytesMax, token, r.slices[:0])
	r.slices = res.Slices
	switch {
	case res.Loading:
		s.reading = true
		return false
	case errors.Is(res.Err, log.ErrOffsetOutOfRange):
		// Retention may have moved the start since. It never takes what counts
		// when the topic is kept for ever, as a coordinator's must be.
		rep, ok := r.log.Replica(s.key)
		if !ok || rep.StartOffset <= s.next {
			return false
		}
		s.next = rep.StartOffset
		return true
	case errors.Is(res.Err, log.ErrCorrupt):
		r.fail(c, s, res.Err)
		return false
	case res.Err != nil, res.Next == s.next:
		return false // not written yet, or being truncated: Settle asks again
	}
	s.next = res.Next
	for i := range res.Slices {
		if err := r.replayAll(c, s, res.Slices[i].Bytes()); err != nil && s.state == Loading {
			r.fail(c, s, err)
		}
		res.Slices[i].Buffer.Release()
	}
	return s.state == Loading
}

// fail gives a shard up: half a state must not answer anybody.
func (r *Runtime[W]) fail(c *step.Context, s *shard[W], err error) {
	c.Logf(edge.Error, "loading %s failed at offset %d: %v", s.key, s.next, err)
	s.state = Failed
	r.machine.Unloaded(c, s.index)
}

func (r *Runtime[W]) replayAll(c *step.Context, s *shard[W], b []byte) error {
	for len(b) > 0 && s.state != Failed {
		batch, rest, err := record.Next(b)
		if err != nil {
			return err
		}
		if err := r.replay(c, s, batch); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// replay applies one batch. Batches come in the order of the log, each once.
func (r *Runtime[W]) replay(c *step.Context, s *shard[W], batch record.Batch) error {
	if batch.BaseOffset() < s.replayed {
		panic(fmt.Sprintf("coordinator: %s replays offset %d after %d", s.key, batch.BaseOffset(), s.replayed))
	}
	s.replayed = batch.NextOffset()
	if batch.Attributes().Control() || r.cfg.Bugs.Has(bugs.LoadStopsEarly) && batch.BaseOffset() > s.target/2 {
		return nil
	}
	if err := r.reader.Reset(batch, &r.scratch); err != nil {
		return err
	}
	for {
		rec, ok, err := r.reader.Next()
		if !ok {
			return err
		}
		r.machine.Replay(c, s.index, Record{Key: rec.Key, Value: rec.Value})
	}
}

// reload forgets a shard's state and reads it again: a write ended so that only
// the log knows whether it happened.
func (r *Runtime[W]) reload(c *step.Context, s *shard[W]) {
	c.Logf(edge.Warn, "reloading %s: the outcome of a write is unknown", s.key)
	r.unload(c, s, errCoordinatorUnavailable)
	rep, ok := r.log.Replica(s.key)
	if !ok || !rep.Leader {
		s.state = Failed // the image that says so will remove it
		return
	}
	r.beginLoad(c, s, &rep)
}

// unload ends what a shard has going on.
func (r *Runtime[W]) unload(c *step.Context, s *shard[W], code int16) {
	c.Timers.Cancel(r.writeTimer(s))
	if s.state != Failed {
		s.state = Failed
		r.machine.Unloaded(c, s.index)
	}
	writes := s.writes
	s.writes = nil
	for i := range writes {
		w := &writes[i]
		w.batch.Release()
		if !w.told {
			r.machine.Decided(c, s.index, &w.want, code, true)
		}
	}
}
