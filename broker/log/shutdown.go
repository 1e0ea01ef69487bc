package log

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

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
		if m.checkpointing() {
			return
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
