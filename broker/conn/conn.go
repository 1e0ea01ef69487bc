// Package conn owns the inbound connections of a node: it cuts frames into
// requests, bounds what is in flight, and lets responses leave in the order of
// their requests. It never looks into a request's body.
package conn

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// RequestID names a request in flight; it is never used twice in one boot. A
// handler that cannot answer at once keeps it and answers in a later Step.
type RequestID uint64

// Request is one request in flight. Body aliases Frame, which lives until the
// request has been answered (retain it to keep bytes longer).
type Request struct {
	ID       RequestID
	Conn     edge.ConnID
	Listener edge.Listener
	Peer     string            // the client's host
	Session  *security.Session // who it is, and what it may do
	// From the request's header.
	Key, Version  int16
	CorrelationID int32
	ClientID      string
	Body          []byte
	Frame         *edge.Buffer
	// Token says that the frame had no header and Body is all of it: a token of
	// SASL behind a SaslHandshake of version 0. Its answer has no header either.
	Token    bool
	Received clock.Instant
}

// Responder is what a component needs of the table to answer requests. If the
// connection has gone meanwhile, all of its methods do nothing.
type Responder interface {
	// Respond answers with a message; its version must be the request's.
	Respond(c *step.Context, id RequestID, resp kmsg.Response)
	// RespondEncoded answers with an encoded response. send.Head starts with
	// room for the length prefix and the response header, see ResponseHead.
	// send.Conn is filled in here.
	RespondEncoded(c *step.Context, id RequestID, send edge.Send)
	// ResponseHead appends a placeholder for the length prefix and the response
	// header of the request to dst; the response's body is encoded behind it.
	ResponseHead(id RequestID, dst []byte) []byte
	// NoResponse ends a request that gets none (acks=0).
	NoResponse(c *step.Context, id RequestID)
	// Disconnect closes the request's connection: how an acks=0 produce learns
	// of an error, and what a request that cannot be parsed gets.
	Disconnect(c *step.Context, id RequestID)
}
