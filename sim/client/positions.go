package client

import (
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The timestamps of ListOffsets that mean no time.
const (
	listLatest   int64 = -1
	listEarliest int64 = -2
)

// question is a request about positions in flight: it remembers whom it is
// about, since a lost one has no answer to tell.
type question struct {
	used  bool
	kind  uint8
	about []place
	sent  clock.Instant
}

// place is a partition by the topic's place in the configuration.
type place struct {
	topic  int32
	number int32
}

func (c *Consumer) questionSlot(kind uint8) uint32 {
	for i := range c.commit.questions {
		if !c.commit.questions[i].used {
			c.commit.questions[i] = question{used: true, kind: kind, about: c.commit.questions[i].about[:0], sent: c.net.now}
			return uint32(i)
		}
	}
	c.commit.questions = append(c.commit.questions, question{used: true, kind: kind, sent: c.net.now})
	return uint32(len(c.commit.questions) - 1)
}

// maintainPositions asks what must be known before assigned partitions can be
// fetched.
func (c *Consumer) maintainPositions() {
	next := clock.Never
	ask := false
	for i := range c.partitions {
		p := &c.partitions[i]
		if !p.assigned || p.asking {
			continue
		}
		if p.retryAt > c.net.now {
			next = min(next, p.retryAt)
			continue
		}
		switch p.state {
		case positionNone:
			if c.settings.GroupID == "" {
				c.reset(p, PositionReset)
			}
			ask = true
		case positionResetting, positionValidating:
			ask = true
		}
	}
	if next != clock.Never {
		c.set(timerPositions, next)
	} else {
		c.net.timers.Cancel(timer.ID{Owner: ownerClient, Kind: timerPositions})
	}
	if !ask || c.stopped {
		return
	}
	c.askCommitted()
	for i := range c.meta.brokers {
		c.askOffsets(c.meta.brokers[i].id, positionResetting)
		c.askEpochs(c.meta.brokers[i].id)
	}
}

// of returns the assigned partitions in a state that a broker leads and that
// may be asked about now.
func (c *Consumer) of(leader int32, state positionState) (out []place) {
	for i := range c.partitions {
		p := &c.partitions[i]
		if !p.assigned || p.asking || p.state != state || p.retryAt > c.net.now {
			continue
		}
		switch m := c.meta.partition(int(p.topic), p.number); m.leader {
		case -1:
			c.meta.request()
		case leader:
			out = append(out, place{p.topic, p.number})
		}
	}
	return out
}

func (c *Consumer) resetTimestamp() int64 {
	if c.settings.AutoOffsetReset == clientconfig.ResetEarliest {
		return listEarliest
	}
	return listLatest
}

// askOffsets sends a ListOffsets for the partitions of a broker that have to be
// reset.
func (c *Consumer) askOffsets(leader int32, state positionState) {
	about := c.of(leader, state)
	to := c.net.find(leader)
	if len(about) == 0 || to == nil || !c.net.ready(to, 1<<30) {
		return
	}
	for _, x := range about {
		c.partition(int(x.topic), x.number).asking = true
	}
	c.list(to, about, c.resetTimestamp(), callListOffsets)
}

func (c *Consumer) list(to *peer, about []place, timestamp int64, kind uint8) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(max(to.version(kmsg.ListOffsets), 1))
	req.ReplicaID, req.IsolationLevel = -1, int8(c.settings.Isolation)
	req.TimeoutMillis = int32(c.net.common.RequestTimeoutMillis)
	slot := c.questionSlot(kind)
	for _, x := range about {
		p := c.partition(int(x.topic), x.number)
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != c.cfg.Topics[x.topic].Name {
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = c.cfg.Topics[x.topic].Name
			req.Topics = append(req.Topics, t)
		}
		q := kmsg.NewListOffsetsRequestTopicPartition()
		q.Partition, q.CurrentLeaderEpoch, q.Timestamp = x.number, c.meta.partition(int(x.topic), x.number).epoch, timestamp
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, q)
		if timestamp == listLatest {
			c.observer.ListInvoked(c.cfg.Index, c.public(p), c.net.now)
		}
	}
	c.commit.questions[slot].about = about
	c.net.send(to, req, kind, slot, c.net.requestTimeout())
}

// askEnds asks for the ends of all assigned partitions, as monitoring does.
func (c *Consumer) askEnds() {
	c.set(timerEnds, c.net.now.Add(c.cfg.Ends))
	if c.app == appClosing || c.app == appClosed {
		return
	}
	for i := range c.meta.brokers {
		id := c.meta.brokers[i].id
		var about []place
		for k := range c.partitions {
			if p := &c.partitions[k]; p.assigned && c.meta.partition(int(p.topic), p.number).leader == id {
				about = append(about, place{p.topic, p.number})
			}
		}
		if to := c.net.find(id); len(about) > 0 && to != nil && c.net.ready(to, 1<<30) {
			c.list(to, about, listLatest, callListEnds)
		}
	}
}

// listed takes the answer to a ListOffsets.
func (c *Consumer) listed(r *call, body []byte) bool {
	resp := kmsg.NewPtrListOffsetsResponse()
	resp.SetVersion(r.version)
	q := &c.commit.questions[r.slot]
	if err := resp.ReadFrom(body); err != nil {
		c.questionLost(r)
		return false
	}
	latest := r.kind == callListEnds || c.resetTimestamp() == listLatest
	if r.kind == callListOffsets {
		c.askedNoMore(q)
	}
	for i := range resp.Topics {
		topic := c.meta.topicByName(resp.Topics[i].Topic)
		for k := range resp.Topics[i].Partitions {
			a := &resp.Topics[i].Partitions[k]
			p := c.partition(topic, a.Partition)
			if p == nil {
				continue
			}
			if a.ErrorCode == codeNone && latest {
				c.observer.ListedEnd(&ListedEnd{Reader: c.cfg.Index, Topic: c.cfg.Topics[topic].Index, Partition: a.Partition,
					Offset: a.Offset, Invoked: q.sent, Now: c.net.now})
				p.end = max(p.end, a.Offset)
			}
			if r.kind == callListEnds || !p.assigned || p.state != positionResetting {
				continue
			}
			if a.ErrorCode != codeNone || a.Offset < 0 {
				c.positionFailed(p, a.ErrorCode)
				continue
			}
			c.seek(p, a.Offset, -1, p.reason)
		}
	}
	q.used = false
	return true
}

// askedNoMore ends the wait of the partitions that a question was about.
func (c *Consumer) askedNoMore(q *question) {
	for _, x := range q.about {
		if p := c.partition(int(x.topic), x.number); p != nil {
			p.asking = false
		}
	}
}

func (c *Consumer) questionLost(r *call) {
	q := &c.commit.questions[r.slot]
	if r.kind != callListEnds {
		c.askedNoMore(q)
		for _, x := range q.about {
			if p := c.partition(int(x.topic), x.number); p != nil && p.assigned {
				c.positionFailed(p, codeNetworkException)
			}
		}
	}
	q.used = false
}

// positionFailed lets a partition wait before it is asked about again.
func (c *Consumer) positionFailed(p *readPartition, code int16) {
	p.retryAt = c.net.now.Add(c.net.backoff(c.net.common.RetryBackoffMillis, c.net.common.RetryBackoffMaxMillis, p.attempts))
	p.attempts++
	if staleMetadata(code) || code == codeOffsetNotAvailable {
		c.meta.request()
	}
}

// seek sets a position that was learned elsewhere than by reading.
func (c *Consumer) seek(p *readPartition, offset int64, epoch int32, why PositionReason) {
	p.state, p.position, p.epoch, p.attempts, p.retryAt = positionValid, offset, epoch, 0, 0
	p.leaderEpoch = c.meta.partition(int(p.topic), p.number).epoch
	if why == PositionCommitted && epoch >= 0 {
		p.state = positionValidating
	}
	c.discard(p)
	c.observer.Position(c.cfg.Index, c.public(p), offset, why)
}

// askEpochs sends an OffsetForLeaderEpoch for the partitions of a broker whose
// leader has changed (KIP-320).
func (c *Consumer) askEpochs(leader int32) {
	about := c.of(leader, positionValidating)
	to := c.net.find(leader)
	if len(about) == 0 || to == nil || !c.net.ready(to, 1<<30) {
		return
	}
	version := to.version(kmsg.OffsetForLeaderEpoch)
	if version < 3 { // an old broker: as the Java client, without validation
		for _, x := range about {
			c.partition(int(x.topic), x.number).state = positionValid
		}
		return
	}
	req := kmsg.NewPtrOffsetForLeaderEpochRequest()
	req.SetVersion(version)
	req.ReplicaID = -1
	slot := c.questionSlot(callEpochs)
	for _, x := range about {
		p := c.partition(int(x.topic), x.number)
		p.asking = true
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != c.cfg.Topics[x.topic].Name {
			t := kmsg.NewOffsetForLeaderEpochRequestTopic()
			t.Topic = c.cfg.Topics[x.topic].Name
			req.Topics = append(req.Topics, t)
		}
		q := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
		q.Partition, q.CurrentLeaderEpoch, q.LeaderEpoch = x.number, p.leaderEpoch, p.epoch
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, q)
	}
	c.commit.questions[slot].about = about
	c.net.send(to, req, callEpochs, slot, c.net.requestTimeout())
}

// validated takes the answer to an OffsetForLeaderEpoch.
func (c *Consumer) validated(r *call, body []byte) bool {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	resp.SetVersion(r.version)
	if err := resp.ReadFrom(body); err != nil {
		c.questionLost(r)
		return false
	}
	q := &c.commit.questions[r.slot]
	c.askedNoMore(q)
	q.used = false
	for i := range resp.Topics {
		topic := c.meta.topicByName(resp.Topics[i].Topic)
		for k := range resp.Topics[i].Partitions {
			a := &resp.Topics[i].Partitions[k]
			p := c.partition(topic, a.Partition)
			if p == nil || !p.assigned || p.state != positionValidating {
				continue
			}
			if m := c.meta.partition(topic, a.Partition); m.leader >= 0 && m.epoch > p.leaderEpoch {
				p.leaderEpoch, p.replica = m.epoch, -1
				continue // the leader has changed once more meanwhile: ask the new one
			}
			switch {
			case a.ErrorCode != codeNone:
				c.positionFailed(p, a.ErrorCode)
			case a.EndOffset >= p.position && a.LeaderEpoch >= 0:
				p.state, p.attempts = positionValid, 0
			case c.settings.AutoOffsetReset == clientconfig.ResetNone:
				c.fatal(codeOffsetOutOfRange, "the log was truncated behind the position")
			case a.EndOffset < 0 || a.LeaderEpoch < 0:
				c.reset(p, PositionTruncated)
			default:
				c.seek(p, a.EndOffset, a.LeaderEpoch, PositionTruncated)
			}
		}
	}
	return true
}
