package log

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// FileID and QueueID are numbered per machine. A component numbers its own from
// its owner's number in the top bits.
const (
	firstID = uint32(step.OwnerLog) << 24
	idsMax  = 1 << 24
)

// maxMillis is what flush.ms says to leave flushing to the operating system.
const maxMillis = 1<<63 - 1

// Manager holds all logs of one broker, in one data directory. It is made for
// one boot: Boot reads what is on disk, and once Ready, logs can be used.
type Manager struct {
	cfg  config.Broker
	logs []*Log // sorted by partition
	find map[Partition]*Log
	all  []*Log // by id; 0 is the manager's own, nil when gone

	files, queues uint32
	queue         edge.QueueID // of the manager's own files

	boot        boot
	changes     []Change
	checkpoints [checkpointKinds]checkpoint

	brokerEpoch int64 // of this incarnation
	stopping    bool
	stopped     bool
	stop        shutdown

	// Caches, see cache.go.
	newest, oldest *Log
	tailBytes      int64
	chunks         []chunk
	chunkBytes     int // of chunks
	loading        int // cold reads in flight
	uses           uint64

	clean cleaner

	limits  limits
	reader  record.Reader
	scratch record.Scratch
}

// NewManager returns a manager without logs; Boot finds them.
func NewManager(cfg config.Broker) *Manager {
	m := &Manager{cfg: cfg, find: make(map[Partition]*Log), all: make([]*Log, 1), brokerEpoch: -1}
	m.queue = m.takeQueues(1)
	m.limits = limits{tailBytesPerLogMax, tailBytesMax, coldBytes, scanBytes}
	m.boot.previousEpoch = -1
	return m
}

// SetConfig takes up changed dynamic properties; logs keep their topics' own.
func (m *Manager) SetConfig(cfg config.Broker) { m.cfg = cfg }

func (m *Manager) takeQueues(n uint32) edge.QueueID {
	q := firstID + m.queues
	if m.queues += n; m.queues > idsMax {
		panic(fmt.Sprintf("log manager: %d disk queues in one boot", m.queues))
	}
	return edge.QueueID(q)
}

func (m *Manager) nextFile() edge.FileID {
	if m.files++; m.files >= idsMax {
		panic(fmt.Sprintf("log manager: %d files in one boot", m.files))
	}
	return edge.FileID(firstID + m.files)
}

// Ready says that recovery is over.
func (m *Manager) Ready() bool { return m.boot.phase == bootDone }

// CleanShutdown says that the shutdown before this boot was a clean one. Known
// once Ready.
func (m *Manager) CleanShutdown() bool { return m.boot.clean }

// PreviousBrokerEpoch is the broker epoch of the incarnation that shut down
// cleanly, -1 without one (KIP-966). Known once Ready.
func (m *Manager) PreviousBrokerEpoch() int64 { return m.boot.previousEpoch }

// SetBrokerEpoch notes the epoch of this incarnation; Shutdown writes it into
// the clean shutdown file.
func (m *Manager) SetBrokerEpoch(_ *step.Context, epoch int64) { m.brokerEpoch = epoch }

// MetaProperties returns what meta.properties held at boot, if it was there and
// could be read. Known once Ready.
func (m *Manager) MetaProperties() (MetaProperties, bool) {
	return m.boot.properties, m.boot.hasProperties
}

// SetMetaProperties writes meta.properties: a new node's first act.
func (m *Manager) SetMetaProperties(c *step.Context, p MetaProperties) {
	m.boot.properties, m.boot.hasProperties = p, true
	m.op(c, replaceOp(metaPropertiesFile, p.Encode()), tokenManagerPlain, 0)
}

// Logs returns all logs, sorted by topic and index. Do not keep the slice.
func (m *Manager) Logs() []*Log { return m.logs }

// Get returns the log of a partition, or nil.
func (m *Manager) Get(p Partition) *Log { return m.find[p] }

// Create makes a log for a partition that has none. It can be used at once, or, where
// the checkpoints still tell of a deleted log of that name, when Change Truncated says so.
func (m *Manager) Create(c *step.Context, p Partition, id meta.TopicID, cfg config.Topic) *Log {
	if m.find[p] != nil {
		panic(fmt.Sprintf("log manager: create %s, which exists", p))
	}
	l := m.addLog(p, cfg)
	l.topicID = id
	l.state = usable
	l.op(c, edge.DiskOp{Kind: edge.OpMkdir, Path: l.dir}, tokenPlain)
	l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: ""}, tokenPlain)
	l.replace(c, l.dir+"/"+partitionFile, encodePartitionMetadata(id))
	l.openSegment(c, 0)
	l.mayHaveGaps(c)
	if !l.trustedAll() {
		l.state = rebuilding
		l.truncation = &truncation{}
		l.awaitCheckpoint(c)
		l.truncationDone(c)
	}
	return l
}

// addLog enters a log into the tables. A log that is created anew while its
// predecessor's directory is still being renamed shares its queues, so that the
// new directory comes behind the rename, and what the checkpoints say of it.
func (m *Manager) addLog(p Partition, cfg config.Topic) *Log {
	l := &Log{m: m, id: uint32(len(m.all)), partition: p, dir: p.String(), cfg: cfg}
	for _, o := range m.all {
		if o != nil && o.partition == p {
			l.queue, l.checkpointed, l.checkpointing = o.queue, o.checkpointed, o.checkpointing
		}
	}
	if l.queue == 0 {
		l.queue = m.takeQueues(queuesPerLog)
	}
	m.all = append(m.all, l)
	m.find[p] = l
	i := sort.Search(len(m.logs), func(i int) bool { return m.logs[i].partition.Compare(p) > 0 })
	m.logs = slices.Insert(m.logs, i, l)
	return l
}

// Delete removes a partition's log: it is gone at once, its directory renamed
// to *-delete and removed after file.delete.delay.ms.
func (m *Manager) Delete(c *step.Context, p Partition) {
	l := m.find[p]
	if l == nil {
		return
	}
	if m.clean.log == l {
		m.cleanAbort(c)
	}
	delete(m.find, p)
	m.logs = slices.DeleteFunc(m.logs, func(o *Log) bool { return o == l })
	for _, q := range l.pending[l.pendingHead:] {
		q.slice.Buffer.Release()
	}
	l.pending, l.pendingHead = nil, 0
	l.tailCut(-1)
	l.state = deleted
	gone := deletedDir(p, c.Random.Uint64(), c.Random.Uint64())
	l.op(c, edge.DiskOp{Kind: edge.OpRename, Path: l.dir, NewPath: gone}, tokenRename)
	l.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: ""}, tokenPlain)
	l.dir = gone
	at := c.Now.Add(clock.Span(l.cfg.FileDeleteDelayMillis, time.Millisecond))
	for _, s := range l.segments {
		s.closing = at
		m.forget(s.file, -1)
		l.dead = append(l.dead, s)
	}
	l.segments = nil
	m.armTimer(c, timerGone, l.id, at)
	// A log that is created under the same name must not be taken for this one after
	// a crash: the log start of this one would throw its records away, and the
	// recovery point vouch for them.
	m.checkpointNow(c)
	m.writeCheckpoint(c, checkpointHighWatermark)
	if l.gaps != gapsNone {
		m.writeCheckpoint(c, checkpointCleaner)
	}
}

// fileNameBytesMax is what a file system takes.
const fileNameBytesMax = 255

// deletedDir is Kafka's name for a deleted log's directory: the topic is cut
// short where the name would be too long.
func deletedDir(p Partition, unique1, unique2 uint64) string {
	suffix := fmt.Sprintf("-%d.%016x%016x-delete", p.Index, unique1, unique2)
	return p.Topic[:min(len(p.Topic), fileNameBytesMax-len(suffix))] + suffix
}

// removeDir takes a deleted log's directory away once its files are closed.
func (l *Log) removeDir(c *step.Context) {
	l.removeDead(c)
	if len(l.dead) > 0 || l.inflightHead < len(l.inflight) || !l.trustedAll() {
		l.m.armTimer(c, timerGone, l.id, c.Now.Add(time.Second))
		return
	}
	l.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: l.dir}, tokenDirGone)
}

// TakeChanges appends what has happened since the last call to dst, in order.
// A kind is told once per log even if it happened repeatedly.
func (m *Manager) TakeChanges(dst []Change) []Change {
	dst = append(dst, m.changes...)
	for i := range m.changes {
		m.changes[i].Log.changes = 0
	}
	clear(m.changes)
	m.changes = m.changes[:0]
	return dst
}

func (m *Manager) changed(l *Log, kind ChangeKind) {
	if l.changes&(1<<kind) != 0 {
		return
	}
	l.changes |= 1 << kind
	m.changes = append(m.changes, Change{l, kind})
}

// op puts an operation on the manager's own queue.
func (m *Manager) op(c *step.Context, op edge.DiskOp, kind uint8, b uint64) {
	op.Queue = m.queue
	op.Token = edge.Token{Owner: step.OwnerLog, Kind: kind, B: b}
	c.Out.Disk = append(c.Out.Disk, op)
}

// Disk handles the result of a disk operation. An operation that fails ends the
// process, as Kafka halts when its only log directory fails.
func (m *Manager) Disk(c *step.Context, r *edge.DiskResult) {
	missing := r.Err == edge.ErrNotFound && (r.Op == edge.OpReadFile || r.Token.Kind == tokenRename || m.renamedBefore(r))
	if r.Err != edge.DiskOK && !missing {
		if r.Data != nil {
			r.Data.Release()
		}
		c.Halt("log directory failed: %s of %s: %s", r.Op, m.where(r), r.Err)
		return
	}
	if r.Token.Kind == tokenLoad {
		m.loading--
	}
	switch {
	case r.Token.A != 0:
		l := m.all[r.Token.A]
		switch {
		case l == nil:
			if r.Data != nil {
				r.Data.Release()
			}
		case r.Token.Kind == tokenDirGone:
			m.all[r.Token.A] = nil
		default:
			l.disk(c, r)
		}
	case r.Token.Kind == tokenBoot:
		m.booted(c, r)
	case r.Token.Kind == tokenCheckpoint:
		m.checkpointWritten(c, checkpointKind(r.Token.B))
	case r.Token.Kind == tokenShutdown:
		m.stop.waiting--
	}
	if m.stopping && !m.stopped {
		m.shutdownStep(c)
	}
}

// renamedBefore says that a directory, whose sync beside the log's queue was overtaken by
// its deletion, has another name: nobody needs what the sync was for.
func (m *Manager) renamedBefore(r *edge.DiskResult) bool {
	l := m.all[r.Token.A]
	return r.Op == edge.OpSyncDir && l != nil && l.state == deleted
}

// where names what a failed operation was about.
func (m *Manager) where(r *edge.DiskResult) string {
	if r.Token.A == 0 || m.all[r.Token.A] == nil {
		return "the data directory"
	}
	l := m.all[r.Token.A]
	for _, s := range append(l.segments[:len(l.segments):len(l.segments)], l.dead...) {
		if uint64(s.file) == r.Token.B {
			return segmentPath(l.dir, s.base, logSuffix)
		}
	}
	if r.Token.Kind == tokenSync || r.Token.Kind == tokenWrite {
		return segmentPath(l.dir, l.inflight[l.inflightHead].segment.base, logSuffix)
	}
	return l.dir
}

// The kinds of timer.
const (
	timerRecoveryPoints uint8 = iota + 1
	timerHighWatermarks
	timerStartOffsets
	timerRetention
	timerProducers
	timerCleaner
	timerDead  // A: log
	timerFlush // A: log
	timerGone  // A: log
)

// armTimer sets a timer unless it is due earlier already.
func (m *Manager) armTimer(c *step.Context, kind uint8, a uint32, at clock.Instant) {
	id := timer.ID{Owner: step.OwnerLog, Kind: kind, A: a}
	if old, ok := c.Timers.Pending(id); !ok || at < old {
		c.Timers.Set(id, at)
	}
}

func (m *Manager) after(c *step.Context, kind uint8, millis int64) {
	m.armTimer(c, kind, 0, c.Now.Add(clock.Span(millis, time.Millisecond)))
}

// again repeats what a timer was for. An interval of 0 says, as in Kafka, that it is
// done once only.
func (m *Manager) again(c *step.Context, kind uint8, millis int64) {
	if millis > 0 {
		m.after(c, kind, millis)
	}
}

// armFlush makes sure that flush.ms after the oldest unflushed batch the log is
// flushed.
func (m *Manager) armFlush(c *step.Context, l *Log) {
	m.armTimer(c, timerFlush, l.id, c.Now.Add(clock.Span(l.cfg.FlushMillis, time.Millisecond)))
}

// Timer handles a due timer.
func (m *Manager) Timer(c *step.Context, id timer.ID) {
	if m.stopped || m.boot.phase != bootDone {
		return
	}
	switch id.Kind {
	case timerRecoveryPoints:
		m.writeCheckpoint(c, checkpointRecovery)
		m.again(c, id.Kind, m.cfg.LogFlushOffsetCheckpointIntervalMillis)
	case timerHighWatermarks:
		m.writeCheckpoint(c, checkpointHighWatermark)
		m.again(c, id.Kind, m.cfg.ReplicaHighWatermarkCheckpointIntervalMillis)
	case timerStartOffsets:
		m.writeCheckpoint(c, checkpointStart)
		m.again(c, id.Kind, m.cfg.LogFlushStartOffsetCheckpointIntervalMillis)
	case timerRetention:
		for _, l := range m.logs {
			l.Retention(c)
		}
		m.again(c, id.Kind, m.cfg.LogRetentionCheckIntervalMillis)
	case timerProducers:
		for _, l := range m.logs {
			if l.state == usable {
				l.expireProducers(c)
			}
		}
		m.again(c, id.Kind, m.cfg.ProducerIDExpirationCheckIntervalMillis)
	case timerCleaner:
		m.cleanNext(c)
		m.armCleaner(c)
	default:
		m.logTimer(c, id)
	}
}

func (m *Manager) logTimer(c *step.Context, id timer.ID) {
	l := m.all[id.A]
	if l == nil {
		return
	}
	switch id.Kind {
	case timerDead:
		l.removeDead(c)
	case timerGone:
		l.removeDir(c)
	case timerFlush:
		l.Flush(c)
	}
}
