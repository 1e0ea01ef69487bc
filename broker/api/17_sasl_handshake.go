package api

import (
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SaslHandshake (key 17, versions 0 and 1) and SaslAuthenticate (key 36, versions 0 to
// 2) are package authn's on a SASL listener. What comes here has come to a
// listener where there is nothing to prove.

func (s *Server) saslHandshake(c *step.Context, r *conn.Request) {
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.SetVersion(r.Version)
	resp.ErrorCode = kerr.IllegalSaslState.Code
	s.responder.Respond(c, r.ID, resp)
}

func (s *Server) saslAuthenticate(c *step.Context, r *conn.Request) {
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(r.Version)
	resp.ErrorCode = kerr.IllegalSaslState.Code
	resp.ErrorMessage = kmsg.StringPtr("the listener asks for no SASL authentication")
	s.responder.Respond(c, r.ID, resp)
}
