package partition

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
)

// DeleteToHighWatermark asks DeleteRecords for all that can be deleted.
const DeleteToHighWatermark int64 = -1

// deletesMax bounds the DeleteRecords that wait for followers.
const deletesMax = 1024

// DeleteRecords is one request; the results stand beside what was asked. The
// leader's log start moves at once. The answer comes when that of every live
// replica has followed, since until then any of them may become leader and show
// the records again.
type DeleteRecords struct {
	Request       conn.RequestID
	Version       int16
	TimeoutMillis int32
	Parts         []DeletePart

	serial uint32 // names its timer
}

// DeletePart is one partition of a DeleteRecords request, and its result.
type DeletePart struct {
	Topic     string
	Partition int32
	Offset    int64 // the first that stays, or DeleteToHighWatermark

	ErrorCode    int16
	LowWatermark int64 // the lowest log start of the live replicas; -1 on an error

	decided bool
}

// Refuse decides a part before the request is handed over.
func (part *DeletePart) Refuse(code int16) {
	part.ErrorCode, part.LowWatermark, part.decided = code, -1, true
}

// deleteTable holds the requests that wait.
type deleteTable struct {
	waiting []*DeleteRecords
	serial  uint32
	woken   bool
}

// DeleteRecords moves log starts. It answers through the Answerer, now, when the
// followers have followed, or when the request's time has passed.
func (m *Manager) DeleteRecords(c *step.Context, d *DeleteRecords) {
	for i := range d.Parts {
		if part := &d.Parts[i]; !part.decided {
			m.deletePart(c, part)
		}
	}
	if !m.tryDelete(c, d) {
		if len(m.deletes.waiting) >= deletesMax {
			m.endDelete(c, d, errRequestTimedOut)
		} else {
			m.deletes.serial++
			d.serial = m.deletes.serial
			m.deletes.waiting = append(m.deletes.waiting, d)
			c.Timers.Set(deleteTimer(d), waitFrom(c.Now, d.TimeoutMillis))
		}
	}
	m.settle(c)
}

func deleteTimer(d *DeleteRecords) timer.ID {
	return timer.ID{Owner: step.OwnerPartition, Kind: timerDelete, A: d.serial}
}

// deletePart moves the leader's log start, or refuses.
func (m *Manager) deletePart(c *step.Context, part *DeletePart) {
	p := m.replicas.get(part.Topic, part.Partition)
	switch {
	case IsInternalTopic(part.Topic):
		part.Refuse(errInvalidTopic)
		return
	case p == nil:
		part.Refuse(m.absent(part.Topic, part.Partition))
		return
	case p.role != Leader || !p.log.Usable():
		part.Refuse(errNotLeaderOrFollower)
		return
	case !p.cfg.CleanupPolicy.Has(config.CleanupDelete):
		part.Refuse(errPolicyViolation)
		return
	}
	if part.Offset == DeleteToHighWatermark {
		part.Offset = p.log.HighWatermark()
	}
	if part.Offset < 0 || part.Offset > p.log.HighWatermark() {
		part.Refuse(errOffsetOutOfRange)
		return
	}
	if part.Offset > p.log.StartOffset() {
		m.touch(p)
		p.log.AdvanceStart(c, part.Offset)
		m.logs.CheckpointStarts(c)
	}
}

// lowWatermark is the lowest log start of the replicas whose brokers are live.
func (m *Manager) lowWatermark(p *Partition) int64 {
	low := p.log.StartOffset()
	for i := range p.followers {
		f := &p.followers[i]
		if b := m.image.Broker(f.id); b != nil && !b.Fenced {
			low = min(low, f.startOffset)
		}
	}
	return low
}

// tryDelete decides the parts whose replicas have followed, and answers with the
// last.
func (m *Manager) tryDelete(c *step.Context, d *DeleteRecords) bool {
	all := true
	for i := range d.Parts {
		part := &d.Parts[i]
		if part.decided {
			continue
		}
		p := m.replicas.get(part.Topic, part.Partition)
		if p == nil || p.role != Leader {
			part.Refuse(errNotLeaderOrFollower)
			continue
		}
		part.LowWatermark = m.lowWatermark(p)
		if part.LowWatermark >= part.Offset {
			part.decided = true
			continue
		}
		all = false
	}
	if all {
		m.endDelete(c, d, errNone)
	}
	return all
}

// endDelete answers; what is undecided gets the code.
func (m *Manager) endDelete(c *step.Context, d *DeleteRecords, code int16) {
	for i := range d.Parts {
		if part := &d.Parts[i]; !part.decided {
			part.Refuse(code)
		}
	}
	if d.serial != 0 {
		c.Timers.Cancel(deleteTimer(d))
	}
	m.answerer.AnswerDeleteRecords(c, d)
}

// retryDeletes looks again at what waits, once something has moved.
func (m *Manager) retryDeletes(c *step.Context) {
	if !m.deletes.woken {
		return
	}
	m.deletes.woken = false
	m.deletes.waiting = slices.DeleteFunc(m.deletes.waiting, func(d *DeleteRecords) bool { return m.tryDelete(c, d) })
}

func (m *Manager) deleteTimeout(c *step.Context, serial uint32) {
	for i, d := range m.deletes.waiting {
		if d.serial == serial {
			m.deletes.waiting = append(m.deletes.waiting[:i], m.deletes.waiting[i+1:]...)
			m.endDelete(c, d, errRequestTimedOut)
			return
		}
	}
}

// wakeDeletes has the DeleteRecords that wait looked at before the event is over.
func (m *Manager) wakeDeletes() { m.deletes.woken = len(m.deletes.waiting) > 0 }

// Producers lists what a partition's leader knows of its producers, by id
// (KIP-664).
func (m *Manager) Producers(topic string, index int32) ([]log.Producer, int16) {
	p := m.replicas.get(topic, index)
	switch {
	case p == nil:
		return nil, m.absent(topic, index)
	case p.role != Leader:
		return nil, errNotLeaderOrFollower
	}
	return p.log.Producers(), errNone
}
