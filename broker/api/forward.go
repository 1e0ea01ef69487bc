package api

import (
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Requests that change metadata, or that only the controller can answer, are
// forwarded to the active one (KIP-590): CreateTopics (19), DeleteTopics (20),
// AlterConfigs (33), CreatePartitions (37), ElectLeaders (43),
// IncrementalAlterConfigs (44), AlterPartitionReassignments (45),
// ListPartitionReassignments (46), DescribeQuorum (55), UpdateFeatures (57),
// UnregisterBroker (64), CreateAcls (30), DeleteAcls (31) and
// AlterUserScramCredentials (51). They travel in an Envelope (58) together with
// who the client is. A controller that is not active closes the connection of a
// forwarded request, and the next one is tried until the request's time has
// passed.

const (
	forwardBackoff = 100 * time.Millisecond
	// maxForwards bounds the forwarded requests of one broker in flight.
	maxForwards = 256

	tokenForward      uint8 = 1 // a client's request
	tokenCreateTopic  uint8 = 2 // automatic creation of a topic
	tokenProducerIDs  uint8 = 3 // a block of producer ids
	timerForwardAgain uint8 = 1
)

type forward struct {
	request      conn.RequestID
	key, version int16
	envelope     []byte // the encoded Envelope that holds the request
	deadline     clock.Instant
	refused      []refusedConfig // of 33 and 44: what this broker adds to the answer
}

type forwards struct {
	byToken map[uint64]*forward
}

func newForwards() forwards { return forwards{byToken: make(map[uint64]*forward)} }

// forward passes a request on as it came. Authorisation is the controller's, for
// the client's principal.
func (s *Server) forward(c *step.Context, r *conn.Request) {
	s.forwardBody(c, r, r.Body, nil)
}

func (s *Server) forwardBody(c *step.Context, r *conn.Request, body []byte, refused []refusedConfig) {
	if len(s.forwards.byToken) >= maxForwards {
		c.Logf(edge.Warn, "closing connection of %s: %d requests are being forwarded already", r.Peer, maxForwards)
		s.responder.Disconnect(c, r.ID)
		return
	}
	s.nextToken++
	s.forwards.byToken[s.nextToken] = &forward{
		request: r.ID, key: r.Key, version: r.Version, envelope: envelope(r, body), refused: refused,
		deadline: c.Now.Add(time.Duration(s.cfg.RequestTimeoutMillis) * time.Millisecond),
	}
	s.sendForward(c, s.nextToken)
}

// envelope encloses a request as a client sent it, but for its body.
func envelope(r *conn.Request, body []byte) []byte {
	header := wire.RequestHeader{Key: r.Key, Version: r.Version, CorrelationID: r.CorrelationID, ClientID: r.ClientID, HasClientID: true}
	out := kmsg.NewPtrEnvelopeRequest()
	out.RequestData = append(wire.AppendRequestHeader(nil, &header, wire.IsFlexible(r.Key, r.Version)), body...)
	out.RequestPrincipal = security.AppendPrincipal(nil, r.Session.Principal)
	out.ClientHostAddress = []byte(r.Session.Host)
	return out.AppendTo(nil)
}

func (s *Server) sendForward(c *step.Context, token uint64) {
	f := s.forwards.byToken[token]
	if f == nil {
		return
	}
	if c.Now >= f.deadline {
		delete(s.forwards.byToken, token)
		s.responder.Disconnect(c, f.request)
		return
	}
	s.sender.Send(c, caller.Call{
		To: caller.ActiveController, Channel: caller.ChannelForward, Key: int16(kmsg.Envelope),
		Body: f.envelope, Token: edge.Token{Owner: step.OwnerForward, Kind: tokenForward, B: token},
		Timeout: f.deadline.Sub(c.Now),
	})
}

// Reply takes the answers of the controller to what this package has sent.
func (s *Server) Reply(c *step.Context, r *caller.Reply) {
	if r.Status != caller.OK {
		s.controllers.ControllerFailed(r.From)
	}
	switch r.Token.Kind {
	case tokenForward:
		s.forwarded(c, r)
	case tokenCreateTopic:
		s.topicCreated(c, r)
	case tokenProducerIDs:
		s.producerIDsAllocated(c, r)
	}
}

// Timer sends a forwarded request again, or asks for producer ids again.
func (s *Server) Timer(c *step.Context, id timer.ID) {
	if id.Kind == timerForwardAgain {
		s.sendForward(c, id.B)
		return
	}
	s.fetchProducerIDs(c)
}

func (s *Server) forwarded(c *step.Context, r *caller.Reply) {
	f := s.forwards.byToken[r.Token.B]
	if f == nil {
		return
	}
	if r.Status != caller.OK {
		c.Timers.Set(timer.ID{Owner: step.OwnerForward, Kind: timerForwardAgain, B: r.Token.B}, c.Now.Add(forwardBackoff))
		return
	}
	delete(s.forwards.byToken, r.Token.B)
	body, err := f.open(r)
	if err != nil {
		// It is this node that may not forward, or that does not understand: the
		// client can do nothing about it.
		c.Logf(edge.Error, "forward %s to controller %d: %v", kmsg.NameForKey(f.key), r.From, err)
		s.responder.Disconnect(c, f.request)
		return
	}
	if len(f.refused) > 0 {
		s.alteredReply(c, f, body)
		return
	}
	head := s.responder.ResponseHead(f.request, c.Out.Head())
	s.responder.RespondEncoded(c, f.request, edge.Send{Head: append(head, body...)})
}

// open takes the response out of its envelope.
func (f *forward) open(r *caller.Reply) (body []byte, err error) {
	resp := kmsg.NewPtrEnvelopeResponse()
	resp.SetVersion(r.Version)
	if err := resp.ReadFrom(r.Body); err != nil {
		return nil, fmt.Errorf("malformed envelope: %w", err)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, fmt.Errorf("the envelope is refused: %w", err)
	}
	_, body, err = wire.ParseResponseHeader(resp.ResponseData, f.key, f.version)
	return body, err
}

// createTopic asks the controller for a topic that a client or a coordinator
// needs, with -1 for the cluster's defaults. One request per topic at a time.
func (s *Server) createTopic(c *step.Context, name string, partitions int32, replicationFactor int16, configs ...config.KV) {
	const maxCreating = 100
	if _, asked := s.creating[name]; asked || len(s.creating) >= maxCreating {
		return
	}
	s.nextToken++
	s.creating[name] = s.nextToken
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(7)
	req.TimeoutMillis = int32(s.cfg.RequestTimeoutMillis)
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, replicationFactor
	for _, kv := range configs {
		override := kmsg.NewCreateTopicsRequestTopicConfig()
		override.Name, override.Value = kv.Name, kmsg.StringPtr(kv.Value)
		t.Configs = append(t.Configs, override)
	}
	req.Topics = append(req.Topics, t)
	s.sender.Send(c, caller.EncodeCall(caller.ActiveController, caller.ChannelForward, req,
		edge.Token{Owner: step.OwnerForward, Kind: tokenCreateTopic, B: s.nextToken}))
}

func (s *Server) topicCreated(c *step.Context, r *caller.Reply) {
	for name, token := range s.creating { //lint:maporder at most one matches
		if token == r.Token.B {
			delete(s.creating, name)
			break
		}
	}
	resp := kmsg.NewPtrCreateTopicsResponse()
	resp.SetVersion(r.Version)
	if r.Status != caller.OK || resp.ReadFrom(r.Body) != nil {
		return // the client asks again
	}
	for i := range resp.Topics {
		if code := resp.Topics[i].ErrorCode; code != 0 && code != kerr.TopicAlreadyExists.Code {
			c.Logf(edge.Warn, "automatic creation of topic %s: %v", resp.Topics[i].Topic, kerr.ErrorForCode(code))
		}
	}
}
