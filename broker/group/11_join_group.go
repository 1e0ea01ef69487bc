package group

import (
	"encoding/hex"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// JoinGroup (key 11, versions 0 to 9): a member enters a group, or enters again
// to start or follow a rebalance. The answer comes when all members are in.
//
//   - 0 has no rebalance timeout: it is the session timeout.
//   - 4 and later: a member without an id gets one and joins again with it, so
//     that a client that gives up leaves no ghost (KIP-394).
//   - 5 and later: static members (KIP-345).
//   - 9: a static leader that comes back is told that it need not assign (KIP-814).

const (
	knownIDVersion        = 4
	skipAssignmentVersion = 9
	// newMemberTimeout bounds how long a member that was not told its id is kept:
	// it cannot send heartbeats, and if its client has gone it never will.
	newMemberTimeout = 5 * time.Minute
	// pendingMax bounds the ids handed out in one group and not yet joined with.
	pendingMax = 1 << 16
)

// joinRequest is a JoinGroup on its way through the coordinator.
type joinRequest struct {
	kmsg.JoinGroupRequest
	request  parked
	clientID string
	host     string // as Java prints an address, with a slash before it
}

// JoinGroup answers when the group's next generation is known, or at once.
func (m *Manager) JoinGroup(c *step.Context, r *conn.Request) {
	j := &joinRequest{request: parked{r.ID, r.Version}, clientID: r.ClientID, host: "/" + r.Peer}
	if !m.decode(c, r, &j.JoinGroupRequest) {
		return
	}
	if r.Version < 1 {
		j.RebalanceTimeoutMillis = j.SessionTimeoutMillis
	}
	s, code := m.find(j.Group)
	switch {
	case !m.mayGroup(r, acl.Read, j.Group):
		code = errGroupAuthorization
	case j.Group == "":
		code = errInvalidGroupID
	case code != errNone:
	case int64(j.SessionTimeoutMillis) < m.cfg.GroupMinSessionTimeoutMillis,
		int64(j.SessionTimeoutMillis) > m.cfg.GroupMaxSessionTimeoutMillis:
		code = errInvalidSessionTimeout
	}
	if code != errNone {
		m.answerJoinError(c, &j.request, j.MemberID, code)
		return
	}
	g := s.groups[j.Group]
	if g == nil {
		if j.MemberID != "" {
			m.answerJoinError(c, &j.request, j.MemberID, errUnknownMember)
			return
		}
		g = m.newGroup(c, s, j.Group)
	}
	m.join(c, g, j)
}

func (m *Manager) join(c *step.Context, g *group, j *joinRequest) {
	switch {
	case !g.accepts(j.MemberID, m.cfg.GroupMaxSize):
		if mb := g.member(j.MemberID); mb != nil {
			m.endSession(c, mb.serial)
			g.remove(mb)
		}
		m.removePending(c, g, j.MemberID)
		m.answerJoinError(c, &j.request, "", errGroupMaxSize)
		m.maybeCompleteJoin(c, g) // nobody waits for it any more
	case !g.agrees(j.ProtocolType, j.Protocols):
		m.answerJoinError(c, &j.request, j.MemberID, errInconsistentProtocol)
	case j.MemberID != "":
		m.joinKnown(c, g, j)
	case j.InstanceID != nil:
		id := memberID(c, *j.InstanceID)
		if old := g.static(*j.InstanceID); old != nil {
			m.joinReplacing(c, g, old, id, j)
		} else {
			m.joinNew(c, g, id, j)
		}
	case j.request.version >= knownIDVersion:
		m.handOutID(c, g, j)
	default:
		m.joinNew(c, g, memberID(c, j.clientID), j)
	}
}

// memberID makes a member id as Kafka's coordinator does: whom it is for, and a
// random UUID of version 4.
func memberID(c *step.Context, prefix string) string {
	var u [16]byte
	hi, lo := c.Random.Uint64(), c.Random.Uint64()
	for i := range 8 {
		u[i], u[8+i] = byte(hi>>(8*i)), byte(lo>>(8*i))
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	b := make([]byte, 0, len(prefix)+37)
	b = append(append(b, prefix...), '-')
	for i, part := range [...][]byte{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}

// handOutID gives a new member its id, to join with within its session timeout.
func (m *Manager) handOutID(c *step.Context, g *group, j *joinRequest) {
	if len(g.pending) >= pendingMax {
		m.answerJoinError(c, &j.request, "", errNotAvailable)
		return
	}
	id := memberID(c, j.clientID)
	m.serial++
	g.pending = append(g.pending, pendingMember{id, m.serial})
	m.sessions[m.serial] = session{group: g}
	c.Timers.Set(sessionTimer(m.serial), c.Now.Add(duration(j.SessionTimeoutMillis)))
	m.answerJoinError(c, &j.request, id, errMemberIDRequired)
}

// removePending forgets an id that was handed out, if it was.
func (m *Manager) removePending(c *step.Context, g *group, id string) bool {
	i := g.pendingAt(id)
	if i < 0 {
		return false
	}
	m.endSession(c, g.pending[i].serial)
	g.pending = append(g.pending[:i], g.pending[i+1:]...)
	return true
}

// joinNew adds a member; it is told of its place when the join phase is over.
func (m *Manager) joinNew(c *step.Context, g *group, id string, j *joinRequest) {
	m.serial++
	mb := &member{
		id: id, instance: j.InstanceID, serial: m.serial, clientID: j.clientID, clientHost: j.host, fresh: true,
		rebalanceTimeout: duration(j.RebalanceTimeoutMillis), sessionTimeout: duration(j.SessionTimeoutMillis),
		protocols: copyProtocols(j.Protocols), join: j.request,
	}
	if g.state == PreparingRebalance && g.previous == Empty {
		g.newMember = true // the first rebalance waits for more like it
	}
	g.add(mb, j.ProtocolType)
	m.removePending(c, g, id)
	m.startSession(c, g, mb, newMemberTimeout)
	m.rebalanceOrJoin(c, g)
}

// joinKnown lets a member in that has its id already.
func (m *Manager) joinKnown(c *step.Context, g *group, j *joinRequest) {
	if j.InstanceID == nil && g.pendingAt(j.MemberID) >= 0 {
		m.joinNew(c, g, j.MemberID, j)
		return
	}
	if code := g.validate(j.MemberID, j.InstanceID); code != errNone {
		m.answerJoinError(c, &j.request, j.MemberID, code)
		return
	}
	mb := g.member(j.MemberID)
	same := mb.offersSame(j.Protocols)
	switch {
	case g.state == Empty:
		m.answerJoinError(c, &j.request, j.MemberID, errUnknownMember)
	case g.state == CompletingRebalance && same:
		// It may not have got the first answer.
		m.answerJoin(c, g, mb, &j.request, g.leader == mb.id)
	case g.state == Stable && same && g.leader != mb.id:
		m.answerJoin(c, g, mb, &j.request, false)
	default:
		// A stable group's leader joins because it wants to assign anew: the
		// topics may have changed, which only it watches.
		m.update(c, mb, j)
		m.rebalanceOrJoin(c, g)
	}
}

// update takes in what a member says of itself and lets its request wait.
func (m *Manager) update(c *step.Context, mb *member, j *joinRequest) {
	mb.protocols = copyProtocols(j.Protocols)
	mb.rebalanceTimeout, mb.sessionTimeout = duration(j.RebalanceTimeoutMillis), duration(j.SessionTimeoutMillis)
	// An older request of the same member is void; leaving it open would block
	// its connection.
	m.answerJoinError(c, &mb.join, mb.id, errRebalanceInProgress)
	mb.join = j.request
}

// answerJoin tells a member of the present generation.
func (m *Manager) answerJoin(c *step.Context, g *group, mb *member, to *parked, everybody bool) {
	resp := m.joinResponse(g, mb, to.version, everybody)
	m.responder.Respond(c, to.id, resp)
	*to = parked{}
}

func (m *Manager) joinResponse(g *group, mb *member, version int16, everybody bool) *kmsg.JoinGroupResponse {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(version)
	resp.Generation, resp.ProtocolType, resp.Protocol = g.generation, &g.protocolType, g.protocol
	resp.LeaderID, resp.MemberID = g.leader, mb.id
	if !everybody {
		return resp
	}
	for _, other := range g.members {
		out := kmsg.NewJoinGroupResponseMember()
		out.MemberID, out.InstanceID = other.id, other.instance
		out.ProtocolMetadata = other.metadata(g.protocolName())
		resp.Members = append(resp.Members, out)
	}
	return resp
}

// answerJoinError ends a request, if there is one.
func (m *Manager) answerJoinError(c *step.Context, to *parked, memberID string, code int16) {
	if !to.waiting() {
		return
	}
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.SetVersion(to.version)
	resp.ErrorCode, resp.Generation, resp.MemberID = code, -1, memberID
	m.responder.Respond(c, to.id, resp)
	*to = parked{}
}

// joinReplacing is a static member that has restarted: it knows its instance
// id only and takes the old one's place (KIP-345).
func (m *Manager) joinReplacing(c *step.Context, g *group, mb *member, id string, j *joinRequest) {
	before := &replaced{
		oldID: mb.id, leader: g.leader, serial: mb.serial, protocols: mb.protocols,
		rebalanceTimeout: mb.rebalanceTimeout, sessionTimeout: mb.sessionTimeout,
	}
	m.answerJoinError(c, &mb.join, mb.id, errFencedInstance)
	m.answerSyncError(c, &mb.sync, errFencedInstance)
	m.endSession(c, mb.serial)
	m.rename(g, mb, id)
	before.member = mb.serial
	m.update(c, mb, j)
	mb.fresh = false
	m.heardFrom(c, g, mb)
	c.Logf(edge.Info, "group %s: static member %s comes back as %s", g.id, *mb.instance, id)
	switch {
	case g.state == Stable && g.electProtocol() == g.protocolName():
		// Nothing changes but the id, which must not be forgotten: otherwise the
		// next coordinator would fence the wrong one (KAFKA-13435).
		m.records.Reset()
		putMetadata(&m.records, g, g.assignments())
		m.write(c, g.shard, g, op{kind: opReplace, generation: g.generation, replaced: before})
	case g.state == CompletingRebalance:
		// The leader may be assigning to the old id at this moment.
		m.rebalance(c, g)
	default:
		m.rebalanceOrJoin(c, g)
	}
}

// replaced is what a static member was before it came back.
type replaced struct {
	oldID, leader    string
	serial, member   uint64 // before and after
	protocols        []protocol
	rebalanceTimeout time.Duration
	sessionTimeout   time.Duration
}

// rename gives a member another id and a session timer of its own.
func (m *Manager) rename(g *group, mb *member, id string) {
	if g.leader == mb.id {
		g.leader = id
	}
	m.serial++
	mb.id, mb.serial = id, m.serial
}

// replaceDecided ends what joinReplacing began.
func (m *Manager) replaceDecided(c *step.Context, g *group, w *op, code int16, unknown bool) {
	was := w.replaced
	var mb *member
	if s, ok := m.sessions[was.member]; ok {
		mb = s.member
	} else {
		for _, other := range g.members {
			if other.serial == was.member {
				mb = other // its session has run out while it waited
			}
		}
	}
	if mb == nil || !mb.join.waiting() || g.state != Stable || g.generation != w.generation {
		return // it left, came back once more, or is part of a rebalance by now
	}
	to := mb.join
	mb.join = parked{}
	if code != errNone {
		if !unknown {
			// The log has the old id, so the old id it is.
			m.endSession(c, mb.serial)
			m.rename(g, mb, was.oldID)
			mb.protocols, mb.rebalanceTimeout, mb.sessionTimeout = was.protocols, was.rebalanceTimeout, was.sessionTimeout
		}
		m.heardFrom(c, g, mb)
		m.answerJoinError(c, &to, "", metadataCode(code))
		return
	}
	m.heardFrom(c, g, mb)
	leads := g.leader == mb.id
	skip := to.version >= skipAssignmentVersion
	resp := m.joinResponse(g, mb, to.version, leads && skip)
	resp.SkipAssignment = leads && skip
	if !skip {
		// A leader that has restarted would assign by a stale view of the group.
		// So it is told that its former id leads, which is nobody.
		resp.LeaderID = was.leader
	}
	m.responder.Respond(c, to.id, resp)
}

// metadataCode is what a member hears when its group could not be written.
func metadataCode(code int16) int16 {
	if code == errMessageTooLarge {
		return errUnknownServerError
	}
	return code
}
