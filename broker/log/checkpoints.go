package log

import (
	"bytes"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// checkpointKind is one of the data directory's offset checkpoints.
type checkpointKind uint8

const (
	checkpointRecovery checkpointKind = iota
	checkpointHighWatermark
	checkpointStart
	checkpointCleaner
	checkpointKinds
)

// checkpointFiles are their names.
var checkpointFiles = [checkpointKinds]string{
	checkpointRecovery:      recoveryPointFile,
	checkpointHighWatermark: highWatermarkFile,
	checkpointStart:         startOffsetFile,
	checkpointCleaner:       cleanerOffsetFile,
}

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

// checkpointedOffsets is what the checkpoints say of one log, by their kind.
type checkpointedOffsets [checkpointKinds]int64

// checkpointOffset is what a checkpoint of the log as it is says.
func (l *Log) checkpointOffset(kind checkpointKind) int64 {
	if l.state == deleted {
		return 0
	}
	switch kind {
	case checkpointRecovery:
		return l.flushed
	case checkpointHighWatermark:
		return l.highWatermark
	case checkpointStart:
		return l.start
	default:
		return l.cleaned
	}
}

// trusted says that the checkpoint of a kind, on disk or on its way, is true of the
// log as it is: all below its recovery point is stable, all below its high watermark
// committed, all that is to be read lies above its log start, and all below the
// cleaner's offset is compacted.
func (l *Log) trusted(kind checkpointKind) bool {
	return max(l.checkpointed[kind], l.checkpointing[kind]) <= l.checkpointOffset(kind)
}

// trustedAll says so of all kinds.
func (l *Log) trustedAll() bool {
	for kind := range checkpointKinds {
		if !l.trusted(kind) {
			return false
		}
	}
	return true
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
		if kind == checkpointCleaner {
			if l.gaps == gapsNone && !l.cfg.CleanupPolicy.Has(config.CleanupCompact) {
				continue
			}
			l.gaps = max(l.gaps, gapsListed)
		}
		offset := l.checkpointOffset(kind)
		l.checkpointing[kind] = offset
		if kind != checkpointStart || offset > l.segments[0].base { // else the first file's name says it, as in Kafka
			lines = append(lines, offsetOf{l.partition, offset})
		}
	}
	for _, l := range m.all {
		if l != nil && l.state == deleted {
			l.checkpointing[kind] = 0
		}
	}
	data := encodeOffsets(lines)
	if bytes.Equal(data, k.written) {
		m.checkpointApplied(c, kind)
		return
	}
	k.writing = data
	m.op(c, replaceOp(checkpointFiles[kind], data), tokenCheckpoint, uint64(kind))
}

func (m *Manager) checkpointWritten(c *step.Context, kind checkpointKind) {
	k := &m.checkpoints[kind]
	k.written, k.writing = k.writing, nil
	m.checkpointApplied(c, kind)
	if k.again {
		k.again = false
		m.writeCheckpoint(c, kind)
	}
	if m.boot.phase == bootCheckpoints && !m.checkpointing() {
		m.bootOver(c)
	}
}

// checkpointing says that a checkpoint is on its way to the disk.
func (m *Manager) checkpointing() bool {
	return slices.ContainsFunc(m.checkpoints[:], func(k checkpoint) bool { return k.writing != nil })
}

func (m *Manager) checkpointApplied(c *step.Context, kind checkpointKind) {
	for _, l := range m.all {
		if l == nil {
			continue
		}
		l.checkpointed[kind] = l.checkpointing[kind]
		if kind == checkpointCleaner && l.gaps == gapsListed {
			l.gaps = gapsKnown
		}
	}
	for _, l := range m.logs {
		l.checkpointsWritten(c)
	}
}
