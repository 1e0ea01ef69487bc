package log

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// recoverParallelMax is how many logs recover at a time.
const recoverParallelMax = 8

// bootPhase is how far a boot has come, in this order.
type bootPhase uint8

const (
	bootNone        bootPhase = iota
	bootReading               // the directory's list and the files beside the logs
	bootMarker                // the clean shutdown file is being removed, durably
	bootLogs                  // logs are being recovered
	bootCheckpoints           // what the checkpoints say too much is being put right
	bootDone
)

// The files that a boot reads first, by their number in the token.
const (
	bootList uint64 = iota
	bootCleanShutdown
	bootProperties
	bootMarkerGone
	bootCheckpoint // and those behind it: the checkpoints by their kind
)

// boot is the manager's part of the recovery.
type boot struct {
	phase         bootPhase
	waiting       int
	clean         bool
	previousEpoch int64
	properties    MetaProperties
	hasProperties bool
	checkpoints   [checkpointKinds]map[Partition]int64 // looked up by partition only
	queue         []*Log                               // still to be recovered
	active        int                                  // being recovered
}

// Boot starts recovery: lists the data directory, reads checkpoints and the
// clean shutdown file, and recovers every log found. Ready tells when it is over.
func (m *Manager) Boot(c *step.Context) {
	b := &m.boot
	b.phase = bootReading
	m.op(c, edge.DiskOp{Kind: edge.OpList, Path: ""}, tokenBoot, bootList)
	b.waiting = 1
	m.bootRead(c, bootCleanShutdown, cleanShutdownFile)
	for kind, path := range checkpointFiles {
		m.bootRead(c, bootCheckpoint+uint64(kind), path)
	}
	m.bootRead(c, bootProperties, metaPropertiesFile)
}

func (m *Manager) bootRead(c *step.Context, id uint64, path string) {
	m.op(c, edge.DiskOp{Kind: edge.OpReadFile, Path: path, Length: checkpointBytesMax}, tokenBoot, id)
	m.boot.waiting++
}

// booted handles the result of one of the boot's operations.
func (m *Manager) booted(c *step.Context, r *edge.DiskResult) {
	b := &m.boot
	if r.Token.B == bootList {
		m.foundDirs(c, r.Entries)
	} else if r.Err == edge.DiskOK && r.Data != nil {
		m.bootFile(c, r.Token.B, r.Data.Bytes())
	}
	if r.Data != nil {
		r.Data.Release()
	}
	if b.waiting--; b.waiting > 0 {
		return
	}
	if b.phase == bootReading {
		b.phase = bootMarker
		if b.clean {
			// The marker must be gone before anything changes: a crash after this
			// must not look like a clean shutdown (KAFKA-10471).
			m.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: cleanShutdownFile}, tokenManagerPlain, 0)
			m.op(c, edge.DiskOp{Kind: edge.OpSyncDir, Path: ""}, tokenBoot, bootMarkerGone)
			b.waiting = 1
			return
		}
	}
	b.phase = bootLogs
	m.recoverNext(c)
}

// bootFile notes what one file says. A checkpoint that cannot be read is no
// checkpoint: everything is then looked at.
func (m *Manager) bootFile(c *step.Context, id uint64, data []byte) {
	b := &m.boot
	var err error
	switch id {
	case bootCleanShutdown:
		b.clean, b.previousEpoch = true, decodeCleanShutdown(data)
	case bootProperties:
		b.properties, err = ParseMetaProperties(data)
		b.hasProperties = err == nil
	default:
		b.checkpoints[id-bootCheckpoint], err = decodeOffsets(data)
	}
	if err != nil {
		c.Logf(edge.Error, "data directory: %v", err)
	}
}

// foundDirs enters a log for every partition's directory and removes what
// deleted ones left behind.
func (m *Manager) foundDirs(c *step.Context, entries []edge.DirEntry) {
	for _, e := range entries {
		if !e.Dir {
			continue
		}
		if isDeletedDir(e.Name) {
			m.op(c, edge.DiskOp{Kind: edge.OpRemove, Path: e.Name}, tokenManagerPlain, 0)
			continue
		}
		p, ok := parsePartitionDir(e.Name)
		if !ok || m.find[p] != nil {
			continue
		}
		m.addLog(p, m.cfg.TopicDefaults)
	}
	m.boot.queue = append(m.boot.queue, m.logs...)
}

// recoverNext starts recoveries up to the limit; after the last one the manager
// is ready.
func (m *Manager) recoverNext(c *step.Context) {
	b := &m.boot
	for b.active < recoverParallelMax && len(b.queue) > 0 {
		l := b.queue[0]
		b.queue = b.queue[1:]
		b.active++
		l.recover(c)
	}
	if b.active > 0 || b.phase != bootLogs {
		return
	}
	// A crash in the middle of a truncation leaves checkpoints that are above what is
	// left of the log, one behind a deletion leaves lines about a log that is gone. The
	// next recovery must not believe them, of this log or one that comes in its place.
	for kind := range checkpointKinds {
		if !m.bootTrusts(kind) {
			m.writeCheckpoint(c, kind)
		}
	}
	if m.checkpointing() {
		b.phase = bootCheckpoints
		return
	}
	m.bootOver(c)
}

// bootTrusts says whether all that a checkpoint says is true of a log that is there.
func (m *Manager) bootTrusts(kind checkpointKind) bool {
	told := 0
	for _, l := range m.logs {
		if _, ok := m.boot.checkpoints[kind][l.partition]; ok {
			told++
		}
		if !l.trusted(kind) {
			return false
		}
	}
	return told == len(m.boot.checkpoints[kind])
}

// bootOver makes the manager ready and starts what it does from time to time.
func (m *Manager) bootOver(c *step.Context) {
	b := &m.boot
	*b = boot{
		phase: bootDone, clean: b.clean, previousEpoch: b.previousEpoch,
		properties: b.properties, hasProperties: b.hasProperties,
	}
	initial := m.cfg.LogInitialTaskDelayMillis
	m.after(c, timerRetention, initial)
	m.after(c, timerRecoveryPoints, initial)
	m.after(c, timerStartOffsets, initial)
	m.after(c, timerHighWatermarks, m.cfg.ReplicaHighWatermarkCheckpointIntervalMillis)
	m.after(c, timerProducers, m.cfg.ProducerIDExpirationCheckIntervalMillis)
	m.armCleaner(c)
}
