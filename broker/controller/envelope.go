package controller

import (
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/acl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// asker is who has sent a request and where the answer goes.
type asker struct {
	id      conn.RequestID
	session *security.Session
	peer    string
	inner   *wire.RequestHeader // of the request inside an envelope; nil: there is none
}

// answer sends a response, in an envelope if the request came in one.
func (k *Controller) answer(c *step.Context, to *asker, resp kmsg.Response) {
	if to.inner == nil {
		k.responder.Respond(c, to.id, resp)
		return
	}
	out := kmsg.NewPtrEnvelopeResponse()
	out.ResponseData = resp.AppendTo(wire.AppendResponseHeader(nil, to.inner.Key, to.inner.Version, to.inner.CorrelationID))
	k.responder.Respond(c, to.id, out)
}

// envelopeHeadMax bounds what an envelope has besides what it forwards: who asked.
const envelopeHeadMax = 64 << 10

// envelope is Envelope (58): a broker forwards a client's request, and with it
// who the client is. The broker must have the right to act for the cluster; what
// the request does is decided on the client's own rights (KIP-590).
func (k *Controller) envelope(c *step.Context, r *conn.Request) {
	var req kmsg.EnvelopeRequest
	req.SetVersion(r.Version)
	if r.Version < 0 || r.Version > req.MaxVersion() || len(r.Body) > wire.StructureBytesMax(k.cfg.InFlightBytes)+envelopeHeadMax || req.ReadFrom(r.Body) != nil {
		c.Logf(edge.Warn, "controller: malformed envelope of %d bytes from %s", len(r.Body), r.Peer)
		k.responder.Disconnect(c, r.ID)
		return
	}
	k.gate.SetBindings(k.image.ACLs)
	if !k.gate.MayCluster(r.Session, acl.ClusterAction) {
		c.Logf(edge.Warn, "controller: %s at %s may not forward requests of others", r.Session.Principal, r.Peer)
		k.refuseEnvelope(c, r.ID, kerr.ClusterAuthorizationFailed)
		return
	}
	inner, body, err := wire.ParseRequestHeader(req.RequestData)
	if err != nil || !forwardable(inner.Key) {
		c.Logf(edge.Warn, "controller: the envelope from %s holds no request to forward: key %d, %v", r.Peer, inner.Key, err)
		k.refuseEnvelope(c, r.ID, kerr.InvalidRequest)
		return
	}
	principal, err := security.DecodePrincipal(req.RequestPrincipal)
	if err != nil {
		c.Logf(edge.Warn, "controller: the envelope from %s: %v", r.Peer, err)
		k.refuseEnvelope(c, r.ID, kerr.PrincipalDeserializationFailure)
		return
	}
	host := string(req.ClientHostAddress)
	to := asker{id: r.ID, session: security.NewSession(principal, host), inner: &inner,
		peer: fmt.Sprintf("%s (forwarded by %s)", host, r.Peer)}
	k.perform(c, &to, inner.Key, inner.Version, body)
}

func (k *Controller) refuseEnvelope(c *step.Context, id conn.RequestID, e *kerr.Error) {
	out := kmsg.NewPtrEnvelopeResponse()
	out.ErrorCode = e.Code
	k.responder.Respond(c, id, out)
}

// unreadable ends a request that cannot be read. The connection of one that was
// forwarded is the broker's, which would forward it again by the next one.
func (k *Controller) unreadable(c *step.Context, to *asker) {
	if to.inner == nil {
		k.responder.Disconnect(c, to.id)
		return
	}
	k.refuseEnvelope(c, to.id, kerr.InvalidRequest)
}

// forwardable tells a client's request from those that brokers make on their
// own account.
func forwardable(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.AlterPartition, kmsg.BrokerRegistration, kmsg.BrokerHeartbeat, kmsg.AllocateProducerIDs:
		return false
	}
	return handled(key)
}
