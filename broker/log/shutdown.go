package log

import (
	"bytes"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// checkpointKind is one of the data directory's offset checkpoints.
type checkpointKind uint8

const (
	checkpointRecovery checkpointKind = iota
	checkpointStart
	checkpointHighWatermark
	checkpointCleaner
	checkpointKinds
)

// checkpoint is the state of one such file.
type checkpoint struct {
	written []byte // what the file holds
	writing []byte // what is on its way, nil if nothing
	again   bool   // and must be written once more after that
}

// CheckpointStarts writes the log starts now rather than with the next interval:
// what was deleted by request must not come back with a crash.
func (m *Manager) CheckpointStarts(c *step.Context) { m.writeCheckpoint(c, checkpointStart) }

func (m *Manager) checkpointNow(c *step.Context) {
	m.writeCheckpoint(c, checkpointRecovery)
	m.writeCheckpoint(c, checkpointStart)
}

// writeCheckpoint writes one file, unless it says the same already. One write
// of a file is in flight at a time; another one follows it if asked for.
func (m *Manager) writeCheckpoint(c *step.Context, kind checkpointKind) {
	k := &m.checkpoints[kind]
	if k.writing != nil {
		k.again = true
		return
	}
	lines := make([]offsetOf, 0, len(m.logs))
	for _, l := range m.logs {
		switch kind {
		case checkpointRecovery:
			l.checkpointingFlushed = l.flushed
			lines = append(lines, offsetOf{l.partition, l.flushed})
		case checkpointStart:
			l.checkpointingStart = l.start
			if l.start > l.segments[0].base { // else the first file's name says it, as in Kafka
				lines = append(lines, offsetOf{l.partition, l.start})
			}
		case checkpointHighWatermark:
			lines = append(lines, offsetOf{l.partition, l.highWatermark})
		case checkpointCleaner:
			if l.gaps == gapsKnown || l.cfg.CleanupPolicy.Has(config.CleanupCompact) {
				l.gaps = max(l.gaps, gapsListed)
				lines = append(lines, offsetOf{l.partition, l.cleaned})
			}
		}
	}
	data := encodeOffsets(lines)
	if bytes.Equal(data, k.written) {
		m.checkpointApplied(c, kind)
		return
	}
	k.writing = data
	path := [...]string{recoveryPointFile, startOffsetFile, highWatermarkFile, cleanerOffsetFile}[kind]
	m.op(c, replaceOp(path, data), tokenCheckpoint, uint64(kind))
}

func (m *Manager) checkpointWritten(c *step.Context, kind checkpointKind) {
	k := &m.checkpoints[kind]
	k.written, k.writing = k.writing, nil
	m.checkpointApplied(c, kind)
	if k.again {
		k.again = false
		m.writeCheckpoint(c, kind)
	}
}

func (m *Manager) checkpointApplied(c *step.Context, kind checkpointKind) {
	for _, l := range m.logs {
		switch kind {
		case checkpointRecovery:
			l.checkpointedFlushed = l.checkpointingFlushed
		case checkpointStart:
			l.checkpointedStart = l.checkpointingStart
		case checkpointHighWatermark:
			continue
		case checkpointCleaner:
			if l.gaps == gapsListed {
				l.gaps = gapsKnown
			}
			continue
		}
		l.checkpointed(c)
	}
}

// shutdownPhase is how far a controlled shutdown has come: all logs flushed,
// then their small files, then the checkpoints, then the marker.
type shutdownPhase uint8

const (
	stopFlushing shutdownPhase = iota
	stopFiles
	stopCheckpoints
	stopMarker
)

type shutdown struct {
	phase   shutdownPhase
	waiting int
}

// Shutdown flushes everything, keeps indexes, producer snapshots and
// checkpoints, and last writes the clean shutdown file. Appends are refused
// from now on; Stopped tells when it is over. During recovery it stops at once,
// uncleanly.
func (m *Manager) Shutdown(c *step.Context) {
	if m.stopping {
		return
	}
	m.stopping = true
	m.cleanAbort(c)
	if m.boot.phase != bootDone {
		m.stopped = true
		return
	}
	for _, l := range m.logs {
		if l.state == usable {
			l.Flush(c)
		}
	}
	m.shutdownStep(c)
}

// Stopped says that Shutdown is complete.
func (m *Manager) Stopped() bool { return m.stopped }

func (m *Manager) shutdownStep(c *step.Context) {
	s := &m.stop
	switch {
	case s.waiting > 0:
		return
	case s.phase == stopFlushing:
		for _, l := range m.logs {
			if l.state != usable || l.inflightHead < len(l.inflight) {
				return
			}
			if l.flushed < l.appendEnd {
				l.Flush(c)
				return
			}
		}
		s.phase = stopFiles
		for _, l := range m.logs {
			m.closeLog(c, l)
		}
		if s.waiting == 0 {
			m.shutdownStep(c)
		}
	case s.phase == stopFiles:
		s.phase = stopCheckpoints
		m.writeCheckpoint(c, checkpointHighWatermark)
		m.checkpointNow(c)
		m.shutdownStep(c)
	case s.phase == stopCheckpoints:
		for i := range m.checkpoints {
			if m.checkpoints[i].writing != nil {
				return
			}
		}
		s.phase = stopMarker
		s.waiting++
		m.op(c, replaceOp(cleanShutdownFile, encodeCleanShutdown(m.brokerEpoch)), tokenShutdown, 0)
	case s.phase == stopMarker:
		m.stopped = true
	}
}

// closeLog writes what a clean start reads instead of the log. It comes behind
// all of the log's operations; the marker waits for it.
func (m *Manager) closeLog(c *step.Context, l *Log) {
	s := l.active()
	s.seal()
	if l.trim(c, s) {
		l.fileOp(c, s, edge.DiskOp{Kind: edge.OpSync}, tokenFile)
	}
	l.writeIndexes(c, s)
	l.writeSnapshot(c, l.appendEnd)
	m.stop.waiting++
	c.Out.Disk = append(c.Out.Disk, edge.DiskOp{
		Kind: edge.OpSyncDir, Path: l.dir, Queue: l.queue,
		Token: edge.Token{Owner: step.OwnerLog, Kind: tokenShutdown},
	})
}
