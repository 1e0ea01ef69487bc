package controller

import (
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// pendingMax bounds the requests that wait for a commit. A controller that
// cannot reach a majority must not collect them without end; the next one gets
// REQUEST_TIMED_OUT, which clients retry.
const pendingMax = 4096

// active is what the active controller has and loses with its leadership.
//
// Requests are decided on head, the image with all that has been proposed,
// committed or not. The answer waits until the offset that it depends on has
// been applied, so that nobody learns of a decision that could be lost.
type active struct {
	term       int32
	head       *meta.Image
	nextOffset int64
	proposed   []speculation // in the order of their offsets
	pending    []pendingResponse
	sessions   sessions
}

// speculation is the image that a proposed batch will lead to.
type speculation struct {
	offset int64
	image  *meta.Image
}

// pendingResponse waits until offset has been applied.
type pendingResponse struct {
	offset  int64
	to      asker
	request kmsg.Request
	resp    kmsg.Response
}

// change is one request, timer or broker's event in progress: it sees the
// effect of its own records, which all get the same offset.
type change struct {
	k       *Controller
	c       *step.Context
	image   *meta.Image
	offset  int64
	records []meta.Record
	// batch holds changes of different partitions that the image does not show
	// yet: previewing them one by one would copy a big topic for each.
	batch   []meta.Record
	inBatch map[partitionKey]struct{}
}

type partitionKey struct {
	topic meta.TopicID
	index int32
}

// later adds a partition's change with the next flush.
func (t *change) later(r *meta.PartitionChangeRecord) {
	t.batch = append(t.batch, r)
	if t.inBatch == nil {
		t.inBatch = make(map[partitionKey]struct{})
	}
	t.inBatch[partitionKey{r.TopicID, r.PartitionID}] = struct{}{}
}

// see makes the image show a partition's change, if there is one.
func (t *change) see(topic meta.TopicID, index int32) {
	if _, ok := t.inBatch[partitionKey{topic, index}]; ok {
		t.flush()
	}
}

func (t *change) flush() {
	batch := t.batch
	t.batch = nil
	clear(t.inBatch)
	t.add(batch...)
}

func (t *change) add(records ...meta.Record) {
	if len(records) == 0 {
		return
	}
	t.records = append(t.records, records...)
	t.image = t.image.Preview(records)
}

// activate makes this node the active controller: its first entry has been
// applied, hence everything that earlier controllers have committed.
func (k *Controller) activate(c *step.Context) {
	k.active = &active{term: int32(k.quorum.term), head: k.image, nextOffset: k.applied + 1}
	c.Logf(edge.Info, "controller: active at term %d, offset %d", k.quorum.term, k.applied)
	k.activateSessions(c)
	k.setTimer(c, timerBalance, clock.Span(k.cfg.Broker.LeaderImbalanceCheckIntervalSeconds, time.Second))
	k.setTimer(c, timerUnclean, millis(k.cfg.Broker.UncleanElectionIntervalMillis))
	if k.image.ClusterID == "" {
		t := k.begin(c)
		bootstrap(t)
		k.propose(t)
	} else if k.image.ClusterID != k.cfg.ClusterID {
		k.halt(c, "controller: the metadata log belongs to cluster %q, this is %q", k.image.ClusterID, k.cfg.ClusterID)
	}
}

// resign ends the active state. What was proposed may or may not be committed
// by the next controller: those who asked have to find out there.
func (k *Controller) resign(c *step.Context) {
	a := k.active
	k.active = nil
	c.Logf(edge.Info, "controller: no longer active at term %d, %d requests unanswered", a.term, len(a.pending))
	for i := range a.pending {
		p := &a.pending[i]
		k.answer(c, &p.to, refuse(p.request, kerr.NotController))
	}
	k.endFetches(c)
	for _, kind := range []uint8{timerSession, timerBalance, timerUnclean, timerFetch} {
		k.cancelTimer(c, kind)
	}
}

func (k *Controller) begin(c *step.Context) *change {
	return &change{k: k, c: c, image: k.active.head, offset: k.active.nextOffset}
}

// propose hands the change's records to raft and moves head forward.
func (k *Controller) propose(t *change) {
	t.flush()
	if len(t.records) == 0 {
		return
	}
	a := k.active
	if err := k.quorum.node.Propose(meta.AppendRecords(nil, t.records)); err != nil {
		// Only a leader proposes, and it has no limit of uncommitted bytes.
		panic(fmt.Sprintf("controller: leader of term %d cannot propose: %v", a.term, err))
	}
	a.head = t.image.At(t.offset, a.term)
	a.proposed = append(a.proposed, speculation{t.offset, a.head})
	a.nextOffset++
	k.sessionsChanged(t.c)
}

// speculated returns the image that was computed when the entry was proposed.
func (a *active) speculated(offset int64) *meta.Image {
	if a == nil || len(a.proposed) == 0 {
		return nil
	}
	s := a.proposed[0]
	if s.offset != offset {
		panic(fmt.Sprintf("controller: offset %d applied, %d was proposed", offset, s.offset))
	}
	a.proposed[0] = speculation{}
	a.proposed = a.proposed[1:]
	return s.image
}

// respond answers when all that has been proposed so far is applied: also an
// answer without records may be about head.
func (k *Controller) respond(c *step.Context, to *asker, req kmsg.Request, resp kmsg.Response) {
	a := k.active
	if last := a.nextOffset - 1; last > k.applied {
		a.pending = append(a.pending, pendingResponse{last, *to, req, resp})
		return
	}
	k.answer(c, to, resp)
}

// committed answers what has waited for the entries just applied.
func (k *Controller) committed(c *step.Context) {
	if k.active == nil {
		return
	}
	a := k.active
	n := 0
	for n < len(a.pending) && a.pending[n].offset <= k.applied {
		k.answer(c, &a.pending[n].to, a.pending[n].resp)
		n++
	}
	if n > 0 {
		a.pending = append(a.pending[:0], a.pending[n:]...)
	}
	k.serveFetches(c)
}

// request handles one of Kafka's own requests.
func (k *Controller) request(c *step.Context, r *conn.Request) {
	k.perform(c, &asker{id: r.ID, session: r.Session, peer: r.Peer}, r.Key, r.Version, r.Body)
}

// perform carries out a request that has come by itself or in an envelope.
func (k *Controller) perform(c *step.Context, to *asker, key, version int16, body []byte) {
	req := kmsg.RequestForKey(key)
	if req == nil || !handled(key) || version < 0 || version > req.MaxVersion() || len(body) > wire.StructureBytesMax(k.cfg.InFlightBytes) {
		k.unreadable(c, to)
		return
	}
	req.SetVersion(version)
	if err := req.ReadFrom(body); err != nil {
		c.Logf(edge.Warn, "controller: request %d from %s: %v", key, to.peer, err)
		k.unreadable(c, to)
		return
	}
	switch {
	case k.active == nil || k.halted:
		k.answer(c, to, refuse(req, kerr.NotController))
		return
	case len(k.active.pending) >= pendingMax:
		k.answer(c, to, refuse(req, kerr.RequestTimedOut))
		return
	}
	t := k.begin(c)
	resp, refused := t.authorize(to.session, req)
	if !refused {
		resp = t.join(to.session, t.dispatch(req), resp)
	}
	k.propose(t)
	k.respond(c, to, req, resp)
	k.drive(c)
}

// handled lists the keys that dispatch knows.
func handled(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.CreateTopics, kmsg.DeleteTopics, kmsg.CreatePartitions, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs,
		kmsg.AlterPartitionAssignments, kmsg.ListPartitionReassignments,
		kmsg.ElectLeaders, kmsg.DescribeQuorum, kmsg.AlterPartition, kmsg.BrokerRegistration, kmsg.BrokerHeartbeat,
		kmsg.UnregisterBroker, kmsg.AllocateProducerIDs, kmsg.UpdateFeatures,
		kmsg.CreateACLs, kmsg.DeleteACLs, kmsg.AlterUserSCRAMCredentials:
		return true
	}
	return false
}

func (t *change) dispatch(req kmsg.Request) kmsg.Response {
	switch req := req.(type) {
	case *kmsg.BrokerRegistrationRequest:
		return t.registerBroker(req)
	case *kmsg.BrokerHeartbeatRequest:
		return t.heartbeat(req)
	case *kmsg.UnregisterBrokerRequest:
		return t.unregisterBroker(req)
	case *kmsg.AlterPartitionRequest:
		return t.alterPartition(req)
	case *kmsg.AllocateProducerIDsRequest:
		return t.allocateProducerIDs(req)
	case *kmsg.CreateTopicsRequest:
		return t.createTopics(req)
	case *kmsg.DeleteTopicsRequest:
		return t.deleteTopics(req)
	case *kmsg.CreatePartitionsRequest:
		return t.createPartitions(req)
	case *kmsg.IncrementalAlterConfigsRequest:
		return t.incrementalAlterConfigs(req)
	case *kmsg.AlterConfigsRequest:
		return t.alterConfigs(req)
	case *kmsg.ElectLeadersRequest:
		return t.electLeaders(req)
	case *kmsg.AlterPartitionAssignmentsRequest:
		return t.alterReassignments(req)
	case *kmsg.ListPartitionReassignmentsRequest:
		return t.listReassignments(req)
	case *kmsg.UpdateFeaturesRequest:
		return t.updateFeatures(req)
	case *kmsg.DescribeQuorumRequest:
		return t.describeQuorum(req)
	case *kmsg.CreateACLsRequest:
		return t.createACLs(req)
	case *kmsg.DeleteACLsRequest:
		return t.deleteACLs(req)
	case *kmsg.AlterUserSCRAMCredentialsRequest:
		return t.alterUserScramCredentials(req)
	}
	panic(fmt.Sprintf("controller: no handler for %T", req))
}
