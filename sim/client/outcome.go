package client

import (
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// complete decides what an answer, or the loss of one, means for a batch.
func (p *Producer) complete(b *batch, code int16, baseOffset, logStart int64) {
	q := &p.partitions[b.view.Partition]
	b.flying = false
	q.flying--
	b.view.Now = p.net.now
	if staleMetadata(code) {
		p.meta.request()
	}
	if b.done { // its delivery time was over before
		if code == codeNone || code == codeDuplicateSequence {
			if p.settings.EnableIdempotence && b.hasSequence() {
				q.acked(b, baseOffset) // whatever epoch the partition has by now, as Java's
			}
		}
		p.recycle(b)
		return
	}
	b.maybe = b.maybe || code != codeNone && mayBeAppended(code)
	switch {
	case code == codeNone || code == codeDuplicateSequence && !p.again(q, b, code, logStart):
		p.ack(q, b, baseOffset)
	case code == codeMessageTooLarge && b.view.Count > 1:
		p.splitBatch(q, b)
	case p.again(q, b, code, logStart):
		p.retry(q, b, code)
	default:
		p.fail(q, b, code, codeName(code), int64(b.view.Attempts-1) < p.settings.Retries)
	}
}

// again tells whether the batch is sent once more.
func (p *Producer) again(q *partitionQueue, b *batch, code int16, logStart int64) bool {
	if p.net.now.Sub(b.created) >= millis(p.settings.DeliveryTimeoutMillis) || int64(b.view.Attempts-1) >= p.settings.Retries {
		return false
	}
	if p.settings.EnableIdempotence {
		return p.mayRetry(q, b, code, logStart)
	}
	return retriable(code)
}

func (p *Producer) ack(q *partitionQueue, b *batch, baseOffset int64) {
	if p.settings.EnableIdempotence {
		q.acked(b, baseOffset)
	}
	p.stats.Acked += int64(b.view.Count)
	p.observer.Acked(&b.view, baseOffset)
	p.finish(b)
}

func (p *Producer) retry(q *partitionQueue, b *batch, code int16) {
	b.retried = true
	b.lastAttempt = p.net.now
	// A batch whose leader has changed meanwhile need not wait (KIP-951).
	if now := p.meta.partition(0, b.view.Partition); now.leader < 0 || now.epoch <= b.leaderEpoch {
		b.backoffUntil = p.net.now.Add(p.net.backoff(p.settings.RetryBackoffMillis, p.settings.RetryBackoffMaxMillis, int32(b.view.Attempts-1)))
	} else {
		b.backoffUntil = p.net.now
	}
	p.stats.RetriedBatches++
	p.observer.Retried(&b.view, code)
	p.insert(q, b)
}

// fail gives a batch up. bump says that its gap must be closed by a new epoch.
func (p *Producer) fail(q *partitionQueue, b *batch, code int16, reason string, bump bool) {
	if p.settings.EnableIdempotence && b.hasSequence() {
		q.remove(b)
		switch {
		case code == codeUnknownProducerID:
			q.fromZero(q.id, q.epoch)
		case bump || code == codeOutOfOrderSequence:
			p.requestBump(b.view.Partition)
		}
	}
	definite := !b.maybe && p.settings.Acks != clientconfig.AcksNone
	b.view.Now = p.net.now
	switch {
	case !b.invoked:
		p.stats.Dropped += int64(b.view.Count)
		p.observer.Dropped(int(b.view.Count), reason)
	case definite:
		p.stats.Failed += int64(b.view.Count)
		p.observer.Failed(&b.view, code, reason, true)
	default:
		p.stats.Unknown += int64(b.view.Count)
		p.observer.Failed(&b.view, code, reason, false)
	}
	p.finish(b)
}

// setExpiry sets the timer for the end of a batch's time.
func (p *Producer) setExpiry(created clock.Instant) {
	p.expiring = true
	p.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerExpiry}, created.Add(millis(p.settings.DeliveryTimeoutMillis)))
}

// expire gives up what has had delivery.timeout.ms.
func (p *Producer) expire() {
	p.expiring = false
	limit := millis(p.settings.DeliveryTimeoutMillis)
	oldest := clock.Never
	for i := range p.requests {
		for k := 0; k < len(p.requests[i].batches); k++ {
			b := p.requests[i].batches[k]
			if b.done || !b.flying {
				continue
			}
			if p.net.now.Sub(b.created) < limit {
				oldest = min(oldest, b.created)
				continue
			}
			b.maybe = true
			p.giveUp(b)
		}
	}
	for i := range p.partitions {
		q := &p.partitions[i]
		kept := q.queue[:0]
		for _, b := range q.queue {
			if p.net.now.Sub(b.created) < limit {
				oldest = min(oldest, b.created)
				kept = append(kept, b)
				continue
			}
			p.queued--
			p.giveUp(b)
		}
		clear(q.queue[len(kept):])
		q.queue = kept
	}
	if oldest != clock.Never {
		p.setExpiry(oldest)
	}
}

func (p *Producer) giveUp(b *batch) {
	if p.settings.EnableIdempotence && b.retried {
		p.markUnresolved(b)
	}
	p.fail(&p.partitions[b.view.Partition], b, codeRequestTimedOut, "delivery.timeout.ms", false)
}

// splitBatch replaces a batch that the broker found too large by smaller ones
// with ids between its own and the next batch's; with idempotence they take over its
// sequences.
func (p *Producer) splitBatch(q *partitionQueue, b *batch) {
	limit := int(p.settings.BatchSizeBytes)
	if b.split || b.size <= limit {
		limit = b.size / 2
	}
	if p.settings.EnableIdempotence {
		q.remove(b)
	}
	p.observer.Split(&b.view, !b.maybe)
	var parts []*batch
	sequence := b.view.Sequence
	i := 0
	for run, due := range b.view.Intended {
		for range due.Count {
			n := len(parts)
			if n == 0 || parts[n-1].size+p.sizeIn(parts[n-1], due.At, 1, b.key(i)) > limit {
				part := p.newBatch(b.view.Partition, b.created)
				part.wall = clock.Wall(b.timestamp(run))
				part.split = true
				parts = append(parts, part)
				n++
			}
			part := parts[n-1]
			part.size += p.sizeIn(part, due.At, 1, b.key(i))
			part.view.Intended = appendDue(part.view.Intended, due.At, 1)
			if len(b.keys) > 0 {
				part.keys = append(part.keys, b.keys[i])
				part.tombstones = part.tombstones || b.keys[i].Tombstone()
			}
			part.view.Count++
			i++
		}
	}
	id := b.view.ID + 1
	for _, part := range parts {
		part.closed, part.view.ID = true, id
		id += idsOf(part)
		p.stats.Batches++
		part.retried, part.maybe = true, false
		part.reserved = b.reserved / int64(len(parts))
		p.buffered += part.reserved
		if b.hasSequence() {
			part.view.ProducerID, part.view.Epoch, part.view.Sequence = b.view.ProducerID, b.view.Epoch, sequence
			sequence = record.IncrementSequence(sequence, part.view.Count)
			q.add(part)
		}
	}
	for i := len(parts) - 1; i >= 0; i-- {
		p.insert(q, parts[i])
	}
	b.done = true
	p.outstanding--
	p.recycle(b)
}
