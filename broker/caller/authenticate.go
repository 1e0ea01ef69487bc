package caller

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A connection to a listener that is SASL begins with an exchange, and has
// another one before its session ends (KIP-368):
//
//	handshake --> token --answer--> token ... --> admitted --85 to 95 % of the
//	session's life--> handshake ...
//
// Calls wait meanwhile; what is in flight is answered in its order.

const (
	handshakeVersion    = 1
	authenticateVersion = 2
)

// Login makes this node's side of the exchanges with one kind of listener.
type Login interface {
	Mechanism() sasl.Mechanism
	Begin() sasl.Client
}

// SetLogins says how this node proves to brokers and to controllers who it is;
// nil is not at all.
func (k *Caller) SetLogins(brokers, controllers Login) {
	k.brokerLogin, k.quorumLogin = brokers, controllers
}

func (k *Caller) login(l *link) Login {
	if l.channel.toBrokers() {
		return k.brokerLogin
	}
	return k.quorumLogin
}

// admitted tells whether calls may be sent on an open connection. It begins the
// next exchange when it is time.
func (k *Caller) admitted(c *step.Context, l *link) bool {
	if l.exchange == nil && l.reauthAt != 0 && c.Now >= l.reauthAt && len(l.sent) < maxQueued {
		k.authenticate(c, l, k.login(l))
	}
	return l.exchange == nil
}

func (k *Caller) authenticate(c *step.Context, l *link, login Login) {
	l.exchange = login.Begin()
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.SetVersion(handshakeVersion)
	req.Mechanism = login.Mechanism()
	k.writeExchange(c, l, req)
}

func (k *Caller) writeExchange(c *step.Context, l *link, req kmsg.Request) {
	call := EncodeCall(l.to, l.channel, req, edge.Token{})
	k.write(c, l, &call, c.Now.Add(k.timeout))
	l.sent[len(l.sent)-1].exchange = true
}

// exchanged takes the answer to a part of an exchange.
func (k *Caller) exchanged(c *step.Context, l *link, p *sentCall, body []byte) {
	answer, lifetime, err := exchangeAnswer(p, body)
	var token []byte
	done := false
	if err == nil {
		token, done, err = l.exchange.Next(answer)
	}
	switch {
	case err != nil:
		c.Logf(edge.Error, "node %d does not let this one in: %v", l.to, err)
		c.Out.Close = append(c.Out.Close, l.conn)
		k.lost(c, l, Disconnected)
	case done:
		l.exchange, l.reauthAt = nil, 0
		if lifetime > 0 {
			share := 85 + c.Random.Int64N(11) // not all connections at the same time
			l.reauthAt = c.Now.Add(lifetime / 100 * time.Duration(share))
		}
		k.flush(c, l)
	default:
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SetVersion(authenticateVersion)
		req.SASLAuthBytes = token
		k.writeExchange(c, l, req)
	}
}

// exchangeAnswer returns the server's token, nil if it awaits the first of ours.
func exchangeAnswer(p *sentCall, body []byte) (answer []byte, lifetime time.Duration, err error) {
	if kmsg.Key(p.key) == kmsg.SASLHandshake {
		resp := kmsg.NewPtrSASLHandshakeResponse()
		resp.SetVersion(p.version)
		if err := resp.ReadFrom(body); err != nil {
			return nil, 0, fmt.Errorf("malformed answer to the handshake: %w", err)
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return nil, 0, fmt.Errorf("%w; it speaks %q", err, resp.SupportedMechanisms)
		}
		return nil, 0, nil
	}
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(p.version)
	if err := resp.ReadFrom(body); err != nil {
		return nil, 0, fmt.Errorf("malformed answer to a token: %w", err)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		if resp.ErrorMessage != nil {
			err = errors.Join(err, errors.New(*resp.ErrorMessage))
		}
		return nil, 0, err
	}
	return append([]byte{}, resp.SASLAuthBytes...), clock.Span(resp.SessionLifetimeMillis, time.Millisecond), nil
}
