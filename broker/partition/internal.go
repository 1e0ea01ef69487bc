package partition

import (
	"errors"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
)

// InternalKind says what an InternalResult ends.
type InternalKind uint8

// The kinds.
const (
	InternalAppended InternalKind = iota + 1 // an AppendInternal is decided
	InternalLoaded                           // read again: what ReadInternal found Loading is in memory, or the replica is gone
)

// InternalResult is how an AppendInternal or a cold ReadInternal ended.
type InternalResult struct {
	Kind  InternalKind
	Token edge.Token
	// Error is a Kafka error code: 0 when the records are below the high
	// watermark; NOT_LEADER_OR_FOLLOWER when nothing was appended, or when the
	// outcome is not known because leadership was lost (BaseOffset tells which).
	Error      int16
	BaseOffset int64 // -1 if nothing was appended
	LastOffset int64
}

// internalQueue holds results to be taken and reads that wait for the disk.
type internalQueue struct {
	results []InternalResult
	loading []internalLoad
}

type internalLoad struct {
	p     *Partition
	token edge.Token
}

func (q *internalQueue) done(r InternalResult) { q.results = append(q.results, r) }

// loaded ends the reads that wait on a partition.
func (q *internalQueue) loaded(p *Partition) {
	n := 0
	for _, l := range q.loading {
		if l.p == p {
			q.done(InternalResult{Kind: InternalLoaded, Token: l.token, BaseOffset: -1, LastOffset: -1})
			continue
		}
		q.loading[n] = l
		n++
	}
	clear(q.loading[n:])
	q.loading = q.loading[:n]
}

// TakeInternal appends what was decided for coordinators since the last call.
func (m *Manager) TakeInternal(dst []InternalResult) []InternalResult {
	dst = append(dst, m.internal.results...)
	m.internal.results = m.internal.results[:0]
	return dst
}

// AppendInternal appends one batch as acks=all for a coordinator of this broker.
// Every call is answered by one InternalResult with the token, errors included;
// the return values tell early where the batch went, so that a coordinator can
// replay it at once (baseOffset is -1 on an error). The buffer holds exactly one
// valid batch; it is patched in place and retained while it is needed.
func (m *Manager) AppendInternal(c *step.Context, key log.Partition, batch *edge.Buffer, token edge.Token) (baseOffset int64, errorCode int16) {
	p, code := m.internalTarget(key)
	if code == errNone {
		code = m.mayAppend(p, -1)
	}
	var info log.AppendInfo
	if code == errNone {
		p.beforeAppend()
		var err error
		info, err = p.log.Append(c, batch, 0, batch.Len(), p.leaderEpoch)
		if err != nil && !errors.Is(err, log.ErrDuplicate) {
			code = appendError(err)
		}
	}
	if code != errNone {
		m.internal.done(InternalResult{Kind: InternalAppended, Token: token, Error: code, BaseOffset: -1, LastOffset: -1})
		return -1, code
	}
	m.touch(p)
	p.acks.push(ackWait{required: info.LastOffset + 1, token: token, base: info.BaseOffset})
	m.answerReplicated(c, p)
	m.settle(c)
	return info.BaseOffset, errNone
}

func (m *Manager) internalTarget(key log.Partition) (*Partition, int16) {
	p := m.Get(key)
	if p == nil {
		return nil, m.absent(key.Topic, key.Index)
	}
	return p, errNone
}

// ReadInternal reads whole batches of a partition that this broker has a replica
// of, from an offset up to the log end: a coordinator replays also what is not
// committed yet, since it leads and its log decides. When the result is Loading,
// an InternalResult of kind InternalLoaded with the token follows.
func (m *Manager) ReadInternal(c *step.Context, key log.Partition, from int64, maxBytes int, token edge.Token, dst []edge.Slice) log.ReadResult {
	p := m.Get(key)
	if p == nil {
		return log.ReadResult{Slices: dst, Next: from, Err: log.ErrDeleted}
	}
	r := p.log.Read(c, from, maxBytes, p.log.EndOffset(), true, dst)
	if r.Loading {
		m.internal.loading = append(m.internal.loading, internalLoad{p, token})
	}
	return r
}
