package api

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// InitProducerId (key 22, versions 0 to 5) without a transactional id: the next
// id of the block that the controller has given this broker. An id is handed
// out once (KAFKA-15552), so what is left of a block is lost with a restart.

const (
	producerIDRetry = 100 * time.Millisecond
	// maxProducerIDWaiters bounds the requests that wait for a block.
	maxProducerIDWaiters       = 1000
	timerProducerIDs     uint8 = 2
)

type producerIDs struct {
	next, end int64 // what is left of the block
	asking    bool
	waiting   []producerIDWaiter
}

type producerIDWaiter struct {
	request conn.RequestID
	version int16
}

func (s *Server) initProducerID(c *step.Context, r *conn.Request) {
	var req kmsg.InitProducerIDRequest
	if !decode(s.responder, c, r, &req) {
		return
	}
	if req.TransactionalID == nil && !s.gate.MayCluster(r.Session, acl.IdempotentWrite) && !s.gate.MaySome(r.Session, acl.Write, acl.Topic) {
		// Whoever may write to some topic may be idempotent about it (KIP-679).
		s.answerProducerID(c, producerIDWaiter{r.ID, r.Version}, -1, kerr.ClusterAuthorizationFailed.Code)
		return
	}
	if req.TransactionalID != nil {
		s.answerProducerID(c, producerIDWaiter{r.ID, r.Version}, -1, kerr.InvalidRequest.Code)
		return
	}
	if (req.ProducerID == -1) != (req.ProducerEpoch == -1) { // one says nothing without the other (KIP-360)
		s.answerProducerID(c, producerIDWaiter{r.ID, r.Version}, -1, kerr.InvalidRequest.Code)
		return
	}
	if s.producerIDs.next < s.producerIDs.end {
		s.answerProducerID(c, producerIDWaiter{r.ID, r.Version}, s.producerIDs.next, 0)
		s.producerIDs.next++
		return
	}
	if len(s.producerIDs.waiting) >= maxProducerIDWaiters {
		s.answerProducerID(c, producerIDWaiter{r.ID, r.Version}, -1, kerr.CoordinatorLoadInProgress.Code)
		return
	}
	s.producerIDs.waiting = append(s.producerIDs.waiting, producerIDWaiter{r.ID, r.Version})
	s.fetchProducerIDs(c)
}

func (s *Server) answerProducerID(c *step.Context, w producerIDWaiter, producerID int64, code int16) {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.SetVersion(w.version)
	resp.ProducerID, resp.ErrorCode = producerID, code
	if producerID < 0 {
		resp.ProducerEpoch = -1
	}
	s.responder.Respond(c, w.request, resp)
}

func (s *Server) fetchProducerIDs(c *step.Context) {
	image := s.image.Broker(s.self.NodeID)
	if s.producerIDs.asking {
		return
	}
	if image == nil { // not registered yet
		c.Timers.Set(timer.ID{Owner: step.OwnerForward, Kind: timerProducerIDs}, c.Now.Add(producerIDRetry))
		return
	}
	s.producerIDs.asking = true
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID, req.BrokerEpoch = s.self.NodeID, image.Epoch
	s.sender.Send(c, caller.EncodeCall(caller.ActiveController, caller.ChannelControl, req,
		edge.Token{Owner: step.OwnerForward, Kind: tokenProducerIDs}))
}

func (s *Server) producerIDsAllocated(c *step.Context, r *caller.Reply) {
	s.producerIDs.asking = false
	resp := kmsg.NewPtrAllocateProducerIDsResponse()
	resp.SetVersion(r.Version)
	if r.Status == caller.OK && resp.ReadFrom(r.Body) == nil && resp.ErrorCode == 0 {
		s.producerIDs.next = resp.ProducerIDStart
		s.producerIDs.end = resp.ProducerIDStart + int64(resp.ProducerIDLen)
	} else if r.Status == caller.OK && resp.ErrorCode == kerr.NotController.Code {
		s.controllers.ControllerFailed(r.From)
	}
	waiting := s.producerIDs.waiting
	for len(waiting) > 0 && s.producerIDs.next < s.producerIDs.end {
		s.answerProducerID(c, waiting[0], s.producerIDs.next, 0)
		s.producerIDs.next++
		waiting = waiting[1:]
	}
	s.producerIDs.waiting = append(s.producerIDs.waiting[:0], waiting...)
	if len(waiting) > 0 {
		c.Timers.Set(timer.ID{Owner: step.OwnerForward, Kind: timerProducerIDs}, c.Now.Add(producerIDRetry))
	}
}
