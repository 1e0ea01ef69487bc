package client

import (
	"strconv"

	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitState owns the consumer's dealings with committed offsets: one
// OffsetCommit and one OffsetFetch at a time.
type commitState struct {
	questions []question

	inFlight   bool
	pending    bool // commitSync goes on until an outcome that is final
	after      bool // commitSync waits for an asynchronous commit to end
	sync       bool // the one in flight or pending is commitSync's
	deadline   clock.Instant
	attempts   int32
	offsets    []Commit
	fetching   bool
	fetchTries int32
	nextAuto   clock.Instant
	attempt    uint64 // counts attempts of commits, for tokens
	generation int32  // under which the one in flight was sent
	memberID   string
	asked      []place // whose committed offsets are being fetched
}

// token is unique over the run: reader, boot and attempt.
func (c *Consumer) commitToken() uint64 {
	c.commit.attempt++
	return uint64(c.cfg.Index+1)<<40 | uint64(uint8(max(0, c.cfg.Boot-1)))<<32 | c.commit.attempt
}

// commitSync commits the positions; committing tells when it is over.
func (c *Consumer) commitSync() {
	if c.commit.inFlight {
		// An asynchronous one is on its way; the Java client orders them too.
		c.commit.after = true
		return
	}
	c.commit.pending, c.commit.sync, c.commit.attempts = c.gatherCommit(), true, 0
	c.commit.deadline = c.net.now.Add(millis(c.settings.DefaultAPITimeoutMillis))
	c.sendCommit()
}

// committing moves a commitSync on; it returns true when that is over.
func (c *Consumer) committing() bool {
	s := &c.commit
	if s.after {
		return false
	}
	if !s.pending {
		return !s.inFlight || !s.sync
	}
	if !s.inFlight && !c.waits(timerCommitRetry) {
		if c.net.now >= s.deadline {
			c.commitOutcome(false, codeRequestTimedOut)
			return true
		}
		if len(s.offsets) == 0 && !c.gatherCommit() {
			s.pending = false
			return true
		}
		c.sendCommit()
	}
	return !s.pending
}

// gatherCommit notes the positions that are not committed yet.
func (c *Consumer) gatherCommit() bool {
	s := &c.commit
	s.offsets = s.offsets[:0]
	for i := range c.partitions {
		p := &c.partitions[i]
		if p.assigned && (p.state == positionValid || p.state == positionValidating) && p.position != p.committed {
			s.offsets = append(s.offsets, Commit{Reader: c.cfg.Index, Topic: p.topic, Partition: p.number, Offset: p.position,
				Now: c.net.now})
		}
	}
	return len(s.offsets) > 0
}

// sendCommit sends what was gathered, if the coordinator can be reached. A member
// commits in a stable generation only: else what it sends would be a stranger's,
// and a static member would be fenced by itself. The first attempt and each
// repetition look anew.
func (c *Consumer) sendCommit() {
	s := &c.commit
	if len(s.offsets) == 0 || s.inFlight {
		return
	}
	to := c.coordinator()
	if to == nil {
		return
	}
	if !c.cfg.Assign && c.group.state != stable {
		s.offsets = s.offsets[:0] // no attempt is under way of which to tell
		c.commitOutcome(false, codeRebalanceInProgress)
		return
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.SetVersion(max(to.version(kmsg.OffsetCommit), 2))
	s.generation, s.memberID = c.group.generation, c.group.memberID
	req.Group, req.Generation, req.MemberID = c.settings.GroupID, s.generation, s.memberID
	if !c.cfg.Assign {
		req.InstanceID = c.instance()
	}
	for i := range s.offsets {
		o := &s.offsets[i]
		name := c.cfg.Topics[o.Topic].Name
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != name {
			t := kmsg.NewOffsetCommitRequestTopic()
			t.Topic = name
			req.Topics = append(req.Topics, t)
		}
		x := kmsg.NewOffsetCommitRequestTopicPartition()
		o.Token, o.Generation = c.commitToken(), s.generation
		x.Partition, x.Offset, x.Metadata = o.Partition, o.Offset, kmsg.StringPtr(strconv.FormatUint(o.Token, 16))
		if p := c.partition(int(o.Topic), o.Partition); p != nil && p.position == o.Offset {
			x.LeaderEpoch = p.epoch
		}
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, x)
		told := *o
		told.Topic, told.Now = c.cfg.Topics[o.Topic].Index, c.net.now
		c.observer.CommitInvoked(&told)
	}
	s.inFlight = true
	c.stats.Commits++
	c.net.send(to, req, callCommit, 0, c.net.requestTimeout())
}

func (c *Consumer) committed(r *call, body []byte) bool {
	resp := kmsg.NewPtrOffsetCommitResponse()
	resp.SetVersion(r.version)
	if err := resp.ReadFrom(body); err != nil {
		c.commitEnded(codeNetworkException)
		return false
	}
	code := codeNone
	for i := range resp.Topics {
		for k := range resp.Topics[i].Partitions {
			if x := resp.Topics[i].Partitions[k].ErrorCode; x != codeNone && code == codeNone {
				code = x
			}
		}
	}
	c.commitEnded(code)
	return true
}

// commitEnded takes the outcome of one request; a commitSync goes on after
// errors that may pass. An answer to a membership that has been given up since
// says nothing about the present one.
func (c *Consumer) commitEnded(code int16) {
	s := &c.commit
	s.inFlight = false
	unchanged := s.generation == c.group.generation && s.memberID == c.group.memberID
	switch code {
	case codeNotCoordinator, codeCoordinatorNotAvail, codeRequestTimedOut, codeNetworkException:
		c.coordinatorUnknown()
	case codeIllegalGeneration, codeUnknownMember:
		if unchanged {
			c.forgetGeneration(code)
		}
	case codeFencedInstanceID:
		if unchanged {
			c.fatal(code, "another member has the group.instance.id")
		}
	case codeRebalanceInProgress:
		c.group.rejoin = true
	}
	again := retriable(code) && code != codeRebalanceInProgress
	if s.pending && again && c.net.now < s.deadline {
		c.tellCommitted(false, code)
		c.waitRetry(timerCommitRetry, s.attempts)
		s.attempts++
		return
	}
	c.commitOutcome(code == codeNone, code)
}

func (c *Consumer) commitOutcome(ok bool, code int16) {
	c.tellCommitted(ok, code)
	c.commit.pending = false
	c.commit.offsets = c.commit.offsets[:0]
	if c.commit.after {
		c.commit.after = false
		c.commitSync()
	}
}

// tellCommitted reports the outcome of each partition. A lost answer is code 0
// and not ok: nobody knows.
func (c *Consumer) tellCommitted(ok bool, code int16) {
	if code == codeNetworkException || code == codeRequestTimedOut {
		code = codeNone
	}
	for i := range c.commit.offsets {
		o := c.commit.offsets[i]
		if p := c.partition(int(o.Topic), o.Partition); ok && p != nil && p.assigned {
			p.committed = o.Offset
		}
		o.Topic, o.Now = c.cfg.Topics[o.Topic].Index, c.net.now
		c.observer.Committed(&o, ok, code)
	}
}

// autoCommit commits in the background what earlier polls have returned.
func (c *Consumer) autoCommit() {
	s := &c.commit
	if !c.settings.EnableAutoCommit || c.settings.GroupID == "" || s.inFlight || s.pending {
		return
	}
	if c.net.now < s.nextAuto {
		return
	}
	s.nextAuto = c.net.now.Add(millis(c.settings.AutoCommitIntervalMillis))
	c.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerAutoCommit}, s.nextAuto)
	if c.gatherCommit() {
		s.sync = false
		c.sendCommit()
	}
}

// askCommitted fetches the group's offsets for partitions without a position.
func (c *Consumer) askCommitted() {
	s := &c.commit
	if c.settings.GroupID == "" || s.fetching {
		return
	}
	var about []place
	for i := range c.partitions {
		if p := &c.partitions[i]; p.assigned && p.state == positionNone && p.retryAt <= c.net.now {
			about = append(about, place{p.topic, p.number})
		}
	}
	if len(about) == 0 {
		return
	}
	to := c.coordinator()
	if to == nil {
		return
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.SetVersion(max(to.version(kmsg.OffsetFetch), 1))
	req.RequireStable = true
	if req.Version >= 8 {
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group = c.settings.GroupID
		if c.group.memberID != "" && req.Version >= 9 {
			g.MemberEpoch = -1 // classic members are not checked
		}
		for _, x := range about {
			name := c.cfg.Topics[x.topic].Name
			if n := len(g.Topics); n == 0 || g.Topics[n-1].Topic != name {
				t := kmsg.NewOffsetFetchRequestGroupTopic()
				t.Topic = name
				g.Topics = append(g.Topics, t)
			}
			t := &g.Topics[len(g.Topics)-1]
			t.Partitions = append(t.Partitions, x.number)
		}
		req.Groups = append(req.Groups, g)
	} else {
		req.Group = c.settings.GroupID
		for _, x := range about {
			name := c.cfg.Topics[x.topic].Name
			if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != name {
				t := kmsg.NewOffsetFetchRequestTopic()
				t.Topic = name
				req.Topics = append(req.Topics, t)
			}
			t := &req.Topics[len(req.Topics)-1]
			t.Partitions = append(t.Partitions, x.number)
		}
	}
	s.fetching, s.asked = true, about
	for _, x := range about {
		c.observer.FetchInvoked(c.cfg.Index, c.public(c.partition(int(x.topic), x.number)))
	}
	c.net.send(to, req, callOffsetFetch, 0, c.net.requestTimeout())
}

func (c *Consumer) offsetsFetched(r *call, body []byte) bool {
	resp := kmsg.NewPtrOffsetFetchResponse()
	resp.SetVersion(r.version)
	if err := resp.ReadFrom(body); err != nil {
		c.offsetsFailed(codeNetworkException)
		return false
	}
	code := resp.ErrorCode
	if len(resp.Groups) > 0 {
		code = resp.Groups[0].ErrorCode
	}
	if code != codeNone {
		c.offsetsFailed(code)
		return true
	}
	c.commit.fetching, c.commit.fetchTries = false, 0
	for i := range resp.Topics {
		for k := range resp.Topics[i].Partitions {
			x := &resp.Topics[i].Partitions[k]
			c.offsetFetched(resp.Topics[i].Topic, x.Partition, x.Offset, x.LeaderEpoch, x.ErrorCode, x.Metadata)
		}
	}
	for g := range resp.Groups {
		for i := range resp.Groups[g].Topics {
			t := &resp.Groups[g].Topics[i]
			for k := range t.Partitions {
				x := &t.Partitions[k]
				c.offsetFetched(t.Topic, x.Partition, x.Offset, x.LeaderEpoch, x.ErrorCode, x.Metadata)
			}
		}
	}
	c.unanswered() // what the answer left out
	return true
}

// unanswered says of what was asked that there is no answer.
func (c *Consumer) unanswered() {
	for _, x := range c.commit.asked {
		c.tellFetched(x, -1, 0, false)
	}
	c.commit.asked = c.commit.asked[:0]
}

func (c *Consumer) tellFetched(x place, offset int64, token uint64, ok bool) {
	tp := TopicPartition{Topic: c.cfg.Topics[x.topic].Index, Partition: x.number}
	c.observer.FetchAnswered(c.cfg.Index, tp, offset, token, ok)
}

func (c *Consumer) offsetFetched(topic string, number int32, offset int64, epoch int32, code int16, metadata *string) {
	index := c.meta.topicByName(topic)
	for i, x := range c.commit.asked {
		if int(x.topic) == index && x.number == number {
			var token uint64
			if metadata != nil && *metadata != "" {
				// A commit of ours bears our token; a foreign one none.
				token, _ = strconv.ParseUint(*metadata, 16, 64)
			}
			c.commit.asked = append(c.commit.asked[:i], c.commit.asked[i+1:]...)
			c.tellFetched(x, offset, token, code == codeNone)
			break
		}
	}
	p := c.partition(index, number)
	if p == nil || !p.assigned || p.state != positionNone {
		return
	}
	switch {
	case code != codeNone:
		c.positionFailed(p, code)
	case offset < 0:
		c.reset(p, PositionReset)
	default:
		p.committed = offset
		c.seek(p, offset, epoch, PositionCommitted)
	}
}

func (c *Consumer) offsetsFailed(code int16) {
	s := &c.commit
	s.fetching = false
	c.unanswered()
	switch code {
	case codeNotCoordinator, codeCoordinatorNotAvail, codeNetworkException:
		c.coordinatorUnknown()
	}
	wait := c.net.backoff(c.net.common.RetryBackoffMillis, c.net.common.RetryBackoffMaxMillis, s.fetchTries)
	s.fetchTries++
	for i := range c.partitions {
		if p := &c.partitions[i]; p.assigned && p.state == positionNone {
			p.retryAt = c.net.now.Add(wait)
		}
	}
}
