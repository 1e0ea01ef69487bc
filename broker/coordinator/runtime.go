// Package coordinator owns the runtime of coordinators that are state machines
// over an internal topic: one shard per partition led here, loading it from the
// log, writing to it, and the order in which both reach the state.
//
// A request becomes records and a pending answer. The records are appended as
// one ordinary acks=all batch; once they are below the high watermark they are
// replayed, and then the answer is due. Replay is the only thing that changes a
// shard's state, so that what a successor rebuilds from the log is what its
// predecessor had shown. The package knows nothing of groups and never speaks to
// clients.
package coordinator

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/bugs"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// Replica is what a coordinator needs to know of this broker's replica of a
// partition of its topic. Offsets are as in log.Log.
type Replica struct {
	Leader        bool
	TopicID       meta.TopicID
	LeaderEpoch   int32
	StartOffset   int64
	AppendEnd     int64 // the next offset to be assigned
	HighWatermark int64
}

// Log is what a coordinator needs of the broker's partitions; the partition
// manager provides all but Replica.
type Log interface {
	// Replica describes a replica; false if this broker has none.
	Replica(key log.Partition) (Replica, bool)
	AppendInternal(c *step.Context, key log.Partition, batch *edge.Buffer, token edge.Token) (baseOffset int64, errorCode int16)
	ReadInternal(c *step.Context, key log.Partition, from int64, maxBytes int, token edge.Token, dst []edge.Slice) log.ReadResult
	TakeInternal(dst []partition.InternalResult) []partition.InternalResult
}

// Record is one record of a coordinator's log. A nil Value is a tombstone. Both
// alias the batch and are valid during the call only.
type Record struct{ Key, Value []byte }

// Machine is the state behind the shards; W is what it wants back with a write.
// All of its methods are called by the runtime only.
type Machine[W any] interface {
	// Loading begins a shard's state anew.
	Loading(c *step.Context, shard int32)
	// Replay applies one record, in the order of the log.
	Replay(c *step.Context, shard int32, r Record)
	// Loaded says that everything in the log has been replayed and committed.
	Loaded(c *step.Context, shard int32)
	// Unloaded ends a shard; its state is to be forgotten. Writes in flight are
	// decided after it.
	Unloaded(c *step.Context, shard int32)
	// Decided ends a write. With code 0 its records have been replayed. Any other
	// code is one that a client understands; unknown says that the records may
	// still reach the log and be replayed later.
	Decided(c *step.Context, shard int32, w *W, code int16, unknown bool)
	// Landed says, just before a shard's Decided or long after it if that was a
	// timeout, that the write is not in flight any more. Unloading spares it.
	Landed(c *step.Context, shard int32, w *W)
}

// State is where a shard stands. Legal transitions:
//
//	Loading -> Active     all of the log up to its end at the start is committed
//	Loading -> Failed     the log cannot be read
//	Active  -> Loading    a write ended so that nobody knows whether it happened
//	any     -> (removed)  leadership is lost, or the topic is another one
type State uint8

// The states.
const (
	Loading State = iota
	Active
	Failed
)

func (s State) String() string { return [...]string{"loading", "active", "failed"}[s] }

// Kinds of token and of timer. A machine that shares the runtime's owner numbers
// its own timers from FirstTimer on.
const (
	tokenWrite uint8 = iota + 1
	tokenLoad
)

const (
	timerWrite uint8 = iota + 1
	// FirstTimer is the first kind of timer that the runtime does not use.
	FirstTimer
)

// Config says which coordinator this is.
type Config struct {
	Owner        uint8 // of tokens and timers, one of step's
	Topic        string
	WriteTimeout time.Duration // offsets.commit.timeout.ms; a later commit still counts
	Bugs         bugs.Set
}

// Runtime drives the shards of one coordinator.
type Runtime[W any] struct {
	cfg     Config
	log     Log
	machine Machine[W]
	shards  []*shard[W] // sorted by index
	loading bool        // one of them may be
	serial  uint64      // of the last token handed out
	results []partition.InternalResult
	slices  []edge.Slice
	builder record.Builder
	reader  record.Reader
	scratch record.Scratch
}

type shard[W any] struct {
	index   int32
	key     log.Partition
	topicID meta.TopicID
	state   State
	// Of a load.
	reading bool   // a cold read is under way
	load    uint64 // token of the load
	next    int64  // offset to read
	target  int64  // end of the log when the load began
	// replayed is the offset after the last record replayed.
	replayed int64
	writes   []write[W] // in flight, in the order of their tokens
}

// New returns a runtime without shards.
func New[W any](cfg Config, l Log, machine Machine[W]) *Runtime[W] {
	return &Runtime[W]{cfg: cfg, log: l, machine: machine}
}

// Apply takes up the partitions of the topic that this broker leads by now, and
// gives up the others. Call it after the partitions have seen the image.
func (r *Runtime[W]) Apply(c *step.Context, image *meta.Image) {
	topic := image.Topic(r.cfg.Topic)
	for i := 0; i < len(r.shards); {
		s := r.shards[i]
		// A new leader epoch does not matter as long as the leader is the same:
		// nobody else can have committed anything.
		if rep, ok := r.log.Replica(s.key); ok && rep.Leader && rep.TopicID == s.topicID && topic != nil {
			i++
			continue
		}
		r.shards = slices.Delete(r.shards, i, i+1)
		r.unload(c, s, errNotCoordinator)
	}
	if topic == nil {
		return
	}
	for index := range topic.Partitions {
		key := log.Partition{Topic: r.cfg.Topic, Index: int32(index)}
		rep, ok := r.log.Replica(key)
		at, known := r.search(key.Index)
		if !ok || !rep.Leader || known {
			continue
		}
		s := &shard[W]{index: key.Index, key: key, topicID: rep.TopicID}
		r.shards = slices.Insert(r.shards, at, s)
		r.beginLoad(c, s, &rep)
	}
}

// State returns where a shard stands; false if it is not led here.
func (r *Runtime[W]) State(index int32) (State, bool) {
	if s := r.find(index); s != nil {
		return s.state, true
	}
	return 0, false
}

// Shards appends the partitions led here, in rising order.
func (r *Runtime[W]) Shards(dst []int32) []int32 {
	for _, s := range r.shards {
		dst = append(dst, s.index)
	}
	return dst
}

// Check returns the code for a client that asks for a shard: 0 if it is active.
func (r *Runtime[W]) Check(index int32) int16 {
	s := r.find(index)
	switch {
	case s == nil, s.state == Failed:
		return errNotCoordinator
	case s.state == Loading:
		return errLoadInProgress
	}
	return errNone
}

// Settle handles what the partitions have decided and goes on with loads; it
// tells whether there was anything to do.
func (r *Runtime[W]) Settle(c *step.Context) bool {
	r.results = r.log.TakeInternal(r.results[:0])
	progress := len(r.results) > 0
	for i := range r.results {
		res := &r.results[i]
		if res.Token.Owner != r.cfg.Owner {
			continue
		}
		s := r.find(int32(res.Token.A))
		switch {
		case s == nil:
		case res.Token.Kind == tokenWrite:
			r.decided(c, s, res)
		case res.Token.Kind == tokenLoad && s.load == res.Token.B:
			s.reading = false
		}
	}
	if !r.loading {
		return progress
	}
	r.loading = false
	for i := 0; i < len(r.shards); i++ {
		s := r.shards[i]
		if s.state == Loading && r.goOn(c, s) {
			progress = true
		}
		r.loading = r.loading || s.state == Loading
	}
	return progress
}

// Timer handles a deadline of the runtime; false if it is the machine's own.
func (r *Runtime[W]) Timer(c *step.Context, id timer.ID) bool {
	if id.Kind != timerWrite {
		return false
	}
	if s := r.find(int32(id.A)); s != nil {
		r.timeOut(c, s)
	}
	return true
}

func (r *Runtime[W]) token(s *shard[W], kind uint8) edge.Token {
	r.serial++
	return edge.Token{Owner: r.cfg.Owner, Kind: kind, A: uint32(s.index), B: r.serial}
}

func (r *Runtime[W]) find(index int32) *shard[W] {
	if i, ok := r.search(index); ok {
		return r.shards[i]
	}
	return nil
}

func (r *Runtime[W]) search(index int32) (int, bool) {
	return slices.BinarySearchFunc(r.shards, index, func(s *shard[W], index int32) int { return int(s.index) - int(index) })
}
