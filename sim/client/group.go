package client

import (
	"math"

	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// memberState is Java's AbstractCoordinator.MemberState.
//
//	unjoined --JoinGroup sent--> joining --answered--> syncing --answered--> stable
//	any --error, session lost, left--> unjoined
type memberState uint8

const (
	unjoined memberState = iota
	joining
	syncing
	stable
)

// membership owns a consumer's place in its group (the classic protocol).
type membership struct {
	coordinator int32 // broker; -1 is unknown
	finding     bool
	attempts    int32

	state      memberState
	memberID   string
	generation int32
	leader     bool
	protocol   string
	rejoin     bool
	prepared   bool // revoked and committed for the next join
	committing bool
	attempt    uint32 // number of the JoinGroup or SyncGroup that counts
	forfeited  bool   // the generation is lost: partitions are lost, not revoked
	grown      bool   // a topic has more partitions than at the assignment

	beating   bool // a heartbeat is in flight
	beatAt    clock.Instant
	heardAt   clock.Instant // last sign of life of the coordinator
	leaving   bool
	left      bool
	revoked   bool // while closing
	last      []place
	lastGener int32
}

func newMembership() membership {
	return membership{coordinator: -1, generation: -1, rejoin: true, lastGener: -1}
}

// joinSlack is added to the rebalance time-out of a JoinGroup, as Java does.
const joinSlackMillis = 5000

// closeMillis bounds close().
const closeMillis = 30_000

// coordinator returns a connection to the group's coordinator if there is one,
// and else sees to it.
func (c *Consumer) coordinator() *peer {
	g := &c.group
	if g.coordinator < 0 {
		c.findCoordinator()
		return nil
	}
	p := c.net.find(coordinatorPeer(g.coordinator))
	if !c.net.ready(p, 1<<30) {
		return nil
	}
	return p
}

func (c *Consumer) findCoordinator() {
	g := &c.group
	if g.finding || c.waits(timerGroupRetry) || c.meta.updates == 0 {
		return
	}
	to, _ := c.net.leastLoaded(c.meta.brokers, 1<<30)
	if to == nil || !c.net.ready(to, 1<<30) {
		return
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.SetVersion(max(to.version(kmsg.FindCoordinator), 1))
	req.CoordinatorKey = c.settings.GroupID
	req.CoordinatorKeys = []string{c.settings.GroupID}
	g.finding = true
	c.net.send(to, req, callCoordinator, 0, c.net.requestTimeout())
}

func (c *Consumer) coordinatorFound(r *call, body []byte) bool {
	g := &c.group
	g.finding = false
	resp := kmsg.NewPtrFindCoordinatorResponse()
	resp.SetVersion(r.version)
	if err := resp.ReadFrom(body); err != nil {
		c.retryGroup()
		return false
	}
	code, node, host, port := resp.ErrorCode, resp.NodeID, resp.Host, resp.Port
	if len(resp.Coordinators) > 0 {
		x := &resp.Coordinators[0]
		code, node, host, port = x.ErrorCode, x.NodeID, x.Host, x.Port
	}
	if code != codeNone {
		c.retryGroup()
		return true
	}
	g.coordinator, g.attempts, g.heardAt = node, 0, c.net.now
	c.net.address(coordinatorPeer(node), host, port)
	c.net.connect(c.net.find(coordinatorPeer(node)))
	return true
}

func (c *Consumer) retryGroup() {
	c.waitRetry(timerGroupRetry, c.group.attempts)
	c.group.attempts++
}

// coordinatorUnknown forgets the coordinator; the generation stays.
func (c *Consumer) coordinatorUnknown() {
	if c.group.coordinator >= 0 {
		c.group.coordinator = -1
		c.meta.request()
	}
}

func (c *Consumer) coordinatorLost() { c.coordinatorUnknown() }

// forgetGeneration begins anew as a member that the coordinator does not know.
func (c *Consumer) forgetGeneration(code int16) {
	g := &c.group
	if code != codeIllegalGeneration {
		g.memberID = ""
	}
	if g.generation >= 0 {
		g.forfeited, g.prepared = true, false
	}
	g.generation, g.state, g.rejoin = -1, unjoined, true
}

// pollGroup does the part of a poll that concerns the group: commits in the
// background, and joining when that is needed.
func (c *Consumer) pollGroup() {
	g := &c.group
	c.autoCommit()
	if g.grown && g.state == stable {
		g.grown = false
		g.rejoin = g.rejoin || g.leader
	}
	if g.rejoin && (g.state == unjoined || g.state == stable) && c.meta.updates > 0 {
		if !g.prepared && !c.prepare() {
			return
		}
		c.join()
	}
	if g.state >= syncing {
		c.set(timerPollInterval, c.net.now.Add(millis(c.settings.MaxPollIntervalMillis)))
	}
	if g.state == stable && !c.waits(timerHeartbeat) {
		c.heartbeat()
	}
}

// prepare is onJoinPrepare: commit, then give up what the protocol says.
func (c *Consumer) prepare() bool {
	g := &c.group
	if c.settings.EnableAutoCommit && !g.forfeited {
		if !g.committing {
			g.committing = true
			c.commitSync()
		}
		if !c.committing() {
			return false
		}
	}
	g.committing = false
	switch {
	case g.forfeited:
		c.surrender(true)
	case !c.cooperative():
		c.surrender(false)
	}
	g.forfeited, g.prepared = false, true
	return true
}

// cooperative tells whether every assignor speaks the cooperative protocol,
// which is when Java uses it.
func (c *Consumer) cooperative() bool {
	for _, a := range c.settings.Assignors.All() {
		if !a.Cooperative() {
			return false
		}
	}
	return true
}

// surrender gives up all partitions.
func (c *Consumer) surrender(lost bool) {
	var all []TopicPartition
	for i := range c.partitions {
		if p := &c.partitions[i]; p.assigned {
			all = append(all, c.public(p))
		}
	}
	if len(all) == 0 {
		return
	}
	if lost {
		c.observer.Lost(c.cfg.Index, c.group.generation, c.group.memberID, all)
	} else {
		c.observer.Revoked(c.cfg.Index, c.group.generation, c.group.memberID, all)
	}
	for i := range c.partitions {
		if p := &c.partitions[i]; p.assigned {
			c.end(p)
		}
	}
}

func (c *Consumer) join() {
	g := &c.group
	to := c.coordinator()
	if to == nil || c.waits(timerGroupRetry) {
		return
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.SetVersion(max(to.version(kmsg.JoinGroup), 2))
	req.Group, req.MemberID, req.ProtocolType = c.settings.GroupID, g.memberID, "consumer"
	req.SessionTimeoutMillis = int32(c.settings.SessionTimeoutMillis)
	req.RebalanceTimeoutMillis = int32(min(c.settings.MaxPollIntervalMillis, math.MaxInt32))
	req.InstanceID = c.instance()
	for _, a := range c.settings.Assignors.All() {
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = a.Protocol(), c.subscription(a)
		req.Protocols = append(req.Protocols, p)
	}
	g.state = joining
	g.attempt++
	c.net.send(to, req, callJoin, g.attempt, max(c.net.requestTimeout(), millis(c.settings.MaxPollIntervalMillis+joinSlackMillis)))
}

func (c *Consumer) instance() *string {
	if c.settings.GroupInstanceID == "" {
		return nil
	}
	return kmsg.StringPtr(c.settings.GroupInstanceID)
}

func (c *Consumer) groupAnswered(r *call, body []byte) bool {
	switch r.kind {
	case callCoordinator:
		return c.coordinatorFound(r, body)
	case callJoin:
		return c.joined(r, body)
	case callSync:
		return c.synced(r, body)
	case callHeartbeat:
		return c.beaten(r, body)
	case callLeave:
		c.group.leaving, c.group.left = false, true
	}
	return true
}

func (c *Consumer) groupLost(r *call) {
	g := &c.group
	switch r.kind {
	case callCoordinator:
		g.finding = false
		c.retryGroup()
	case callJoin, callSync:
		c.coordinatorUnknown()
		if g.attempt == r.slot && (g.state == joining || g.state == syncing) {
			g.state, g.rejoin = unjoined, true
			c.retryGroup()
		}
	case callHeartbeat:
		g.beating = false
		c.coordinatorUnknown()
	case callLeave:
		g.leaving, g.left = false, true
	}
}

func (c *Consumer) joined(r *call, body []byte) bool {
	g := &c.group
	if g.state != joining || g.attempt != r.slot {
		return true // an earlier one, or left meanwhile
	}
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(r.version)
	if err := resp.ReadFrom(body); err != nil {
		g.state = unjoined
		c.retryGroup()
		return false
	}
	if resp.ErrorCode != codeNone {
		g.state = unjoined
		c.joinFailed(resp.ErrorCode, resp.MemberID)
		return true
	}
	g.attempts = 0
	g.memberID, g.generation, g.leader = resp.MemberID, resp.Generation, resp.LeaderID == resp.MemberID
	if resp.Protocol != nil {
		g.protocol = *resp.Protocol
	}
	g.state, g.heardAt = syncing, c.net.now
	c.set(timerHeartbeat, c.net.now.Add(millis(c.settings.HeartbeatIntervalMillis)))
	req := kmsg.NewPtrSyncGroupRequest()
	to := c.coordinator()
	if to == nil {
		g.state, g.rejoin = unjoined, true
		return true
	}
	req.SetVersion(max(to.version(kmsg.SyncGroup), 0))
	req.Group, req.Generation, req.MemberID, req.InstanceID = c.settings.GroupID, g.generation, g.memberID, c.instance()
	req.ProtocolType, req.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr(g.protocol)
	if g.leader {
		g.grown = false // what is known now is dealt, or skipped (KIP-814); what is learned before the answer is not
	}
	if g.leader && !resp.SkipAssignment {
		assignment, err := c.assignGroup(resp.Members)
		if err != nil {
			c.fatal(codeUnknownServer, err.Error())
			return true
		}
		req.GroupAssignment = assignment
	}
	g.attempt++
	c.net.send(to, req, callSync, g.attempt, max(c.net.requestTimeout(), millis(c.settings.MaxPollIntervalMillis+joinSlackMillis)))
	return true
}

func (c *Consumer) joinFailed(code int16, memberID string) {
	switch code {
	case codeMemberIDRequired:
		c.group.memberID = memberID
		return // joins again at once
	case codeUnknownMember:
		c.forgetGeneration(code)
		return
	case codeNotCoordinator, codeCoordinatorNotAvail:
		c.coordinatorUnknown()
	case codeCoordinatorLoading, codeRebalanceInProgress:
	case codeIllegalGeneration:
		c.forgetGeneration(code)
	default:
		if !retriable(code) {
			c.fatal(code, codeName(code))
			return
		}
	}
	c.group.rejoin = true
	c.retryGroup()
}

func (c *Consumer) synced(r *call, body []byte) bool {
	g := &c.group
	resp := kmsg.NewPtrSyncGroupResponse()
	resp.SetVersion(r.version)
	var assignment kmsg.ConsumerMemberAssignment
	err := resp.ReadFrom(body)
	if err == nil && resp.ErrorCode == codeNone && len(resp.MemberAssignment) > 0 {
		err = assignment.ReadFrom(resp.MemberAssignment)
	}
	if g.state != syncing || g.attempt != r.slot {
		return true
	}
	if err != nil {
		g.state, g.rejoin = unjoined, true
		c.retryGroup()
		return false
	}
	if resp.ErrorCode != codeNone {
		g.state, g.rejoin = unjoined, true
		c.joinFailed(resp.ErrorCode, g.memberID)
		return true
	}
	g.state, g.rejoin, g.prepared = stable, false, false
	c.stats.Rebalances++
	c.assigned(&assignment)
	return true
}

// assigned is onJoinComplete: what is new is begun, and what the cooperative
// protocol takes away is revoked and asked to be dealt anew.
func (c *Consumer) assigned(a *kmsg.ConsumerMemberAssignment) {
	g := &c.group
	want := make([]bool, len(c.partitions))
	g.last, g.lastGener = g.last[:0], g.generation
	for i := range a.Topics {
		topic := c.meta.topicByName(a.Topics[i].Topic)
		for _, number := range a.Topics[i].Partitions {
			if p := c.partition(topic, number); p != nil {
				want[c.first[topic]+int(number)] = true
				g.last = append(g.last, place{p.topic, p.number})
			} else {
				c.meta.request()
				g.rejoin = true // its metadata is older than the leader's
			}
		}
	}
	var revoked, added []TopicPartition
	for i := range c.partitions {
		p := &c.partitions[i]
		if p.assigned && !want[i] {
			revoked = append(revoked, c.public(p))
		}
	}
	if len(revoked) > 0 {
		c.observer.Revoked(c.cfg.Index, g.generation, g.memberID, revoked)
		g.rejoin = true
	}
	for i := range c.partitions {
		switch p := &c.partitions[i]; {
		case p.assigned && !want[i]:
			c.end(p)
		case !p.assigned && want[i]:
			c.begin(p)
			added = append(added, c.public(p))
		}
	}
	c.observer.Assigned(c.cfg.Index, g.generation, g.memberID, added)
	c.commit.nextAuto = c.net.now.Add(millis(c.settings.AutoCommitIntervalMillis))
}

// heartbeat is what the Java client's heartbeat thread does.
func (c *Consumer) heartbeat() {
	g := &c.group
	if g.state < syncing || g.left || g.leaving {
		return
	}
	now := c.net.now
	if now.Sub(g.heardAt) >= millis(c.settings.SessionTimeoutMillis) {
		c.coordinatorUnknown()
		g.heardAt = now
	}
	next := g.beatAt.Add(millis(c.settings.HeartbeatIntervalMillis))
	if next <= now && !g.beating {
		if to := c.coordinator(); to != nil {
			req := kmsg.NewPtrHeartbeatRequest()
			req.SetVersion(max(to.version(kmsg.Heartbeat), 0))
			req.Group, req.Generation, req.MemberID, req.InstanceID = c.settings.GroupID, g.generation, g.memberID, c.instance()
			g.beating, g.beatAt = true, now
			c.net.send(to, req, callHeartbeat, uint32(g.generation), c.net.requestTimeout())
			next = now.Add(millis(c.settings.HeartbeatIntervalMillis))
		} else {
			next = now.Add(millis(c.net.common.RetryBackoffMillis))
		}
	}
	if next <= now {
		next = now.Add(millis(c.net.common.RetryBackoffMillis))
	}
	c.set(timerHeartbeat, next)
}

func (c *Consumer) beaten(r *call, body []byte) bool {
	g := &c.group
	g.beating = false
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.SetVersion(r.version)
	if err := resp.ReadFrom(body); err != nil {
		return false
	}
	if uint32(g.generation) != r.slot {
		return true // of an earlier generation
	}
	switch resp.ErrorCode {
	case codeNone:
		g.heardAt = c.net.now
	case codeRebalanceInProgress:
		g.heardAt = c.net.now
		if g.state == stable {
			g.rejoin = true
		}
	case codeNotCoordinator, codeCoordinatorNotAvail:
		c.coordinatorUnknown()
	case codeIllegalGeneration, codeUnknownMember:
		c.forgetGeneration(resp.ErrorCode)
	case codeFencedInstanceID:
		c.fatal(resp.ErrorCode, "another member has the group.instance.id")
	}
	return true
}

// pollInterval leaves the group when the application has not polled for
// max.poll.interval.ms.
func (c *Consumer) pollInterval() {
	g := &c.group
	limit := millis(c.settings.MaxPollIntervalMillis)
	if c.app == appPolling && c.stalledUntil() == 0 || g.state == unjoined {
		return
	}
	if c.net.now.Sub(c.lastPoll) < limit {
		c.set(timerPollInterval, c.lastPoll.Add(limit))
		return
	}
	c.leave("consumer poll timeout has expired")
	c.forgetGeneration(codeUnknownMember)
	g.leaving = false
}

// leave sends a LeaveGroup, unless the member is static: that one is expected
// back (KIP-345).
func (c *Consumer) leave(reason string) {
	g := &c.group
	if g.memberID == "" || c.settings.GroupInstanceID != "" {
		return
	}
	to := c.coordinator()
	if to == nil {
		return
	}
	req := kmsg.NewPtrLeaveGroupRequest()
	req.SetVersion(max(to.version(kmsg.LeaveGroup), 0))
	req.Group, req.MemberID = c.settings.GroupID, g.memberID
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.Reason = g.memberID, kmsg.StringPtr(reason)
	req.Members = append(req.Members, m)
	g.leaving = true
	c.net.send(to, req, callLeave, 0, c.net.requestTimeout())
}

// close begins close(): commit, give up the partitions, leave.
func (c *Consumer) close() {
	c.app = appClosing
	c.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerApplication, A: 2}, c.net.now.Add(millis(closeMillis)))
	c.until = c.net.now.Add(millis(closeMillis))
	if c.settings.EnableAutoCommit && c.settings.GroupID != "" && !c.group.forfeited && !c.stopped {
		c.commitSync()
	}
}

func (c *Consumer) closing() {
	g := &c.group
	late := c.net.now >= c.until || c.stopped
	if !late && !c.committing() {
		return
	}
	if !g.revoked {
		g.revoked = true
		c.surrender(g.forfeited)
		if !c.cfg.Assign && g.state != unjoined {
			c.leave("the consumer is being closed")
		}
	}
	if g.leaving && !late {
		return
	}
	c.app, g.state = appClosed, unjoined
	for _, p := range c.net.peers {
		if p.state != peerIdle {
			c.net.hangUp(p, false)
		}
	}
	c.net.timers = timer.Queue{}
}
