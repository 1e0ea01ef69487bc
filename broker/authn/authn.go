// Package authn owns how the peers of SASL listeners prove who they are: the
// requests SaslHandshake (17) and SaslAuthenticate (36), and when what was proved
// ends. Until a peer has proved it, nothing else but ApiVersions is let through.
// What a peer may do then is not its business.
package authn

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/jwt"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// After a handshake of version 0 tokens come and go without headers. Clients
	// have not sent it since 2017, but librdkafka logs in nowhere where the range
	// of SaslHandshake does not begin with it.
	handshakeVersionMax    = 1
	authenticateVersionMax = 2
	// reauthIntervalMin is how soon a peer may prove again who it is.
	reauthIntervalMin = time.Second
)

// Connections is what is needed of the table of connections.
type Connections interface {
	conn.Responder
	Session(id edge.ConnID) *security.Session
	// Tokens says whether frames are tokens without headers from now on.
	Tokens(id edge.ConnID, on bool)
	// Mute takes nothing more from a connection that is about to be closed.
	Mute(c *step.Context, id edge.ConnID)
	// Close closes a connection once what has been answered is sent.
	Close(c *step.Context, id edge.ConnID)
}

// Listener is what the peers of one SASL listener must prove.
type Listener struct {
	Sasl  config.Sasl
	Users sasl.ScramUsers // who may use SCRAM
}

// Authenticator admits the peers of all SASL listeners of a node.
type Authenticator struct {
	conns     Connections
	listeners map[edge.Listener]*Listener
	nonces    *security.Nonces
	failures  map[uint64]*peer // whose answer is held back, by serial
	serial    uint64
}

// peer is the other end of one connection:
//
//	handshake --SaslHandshake--> tokens --SaslAuthenticate--> ... --> admitted
//	admitted --SaslHandshake, a second later at the earliest--> tokens
//	handshake, tokens --anything else, a wrong token--> failed --delay--> closed
type peer struct {
	conn      edge.ConnID
	listener  *Listener
	state     state
	mechanism sasl.Mechanism
	exchange  sasl.Server
	admitted  bool          // once before: it may prove only to be the same
	since     clock.Instant // when it was admitted last

	request conn.RequestID // held back
	answer  kmsg.Response
}

type state uint8

const (
	handshake state = iota
	tokens
	admitted
	failed
)

// New returns an authenticator without peers.
func New(conns Connections, listeners map[edge.Listener]*Listener, nonces *security.Nonces) *Authenticator {
	return &Authenticator{
		conns: conns, listeners: listeners, nonces: nonces,
		failures: make(map[uint64]*peer),
	}
}

// SetKeys replaces the keys by which tokens of a listener are judged from now
// on. Sessions that are open go on until their tokens end.
func (a *Authenticator) SetKeys(l edge.Listener, keys *jwt.KeySet) {
	a.listeners[l].Sasl.Keys.KeySet = keys
}

// Opened takes a new connection. One to a SASL listener is not admitted yet.
func (a *Authenticator) Opened(ev *edge.Event) {
	l := a.listeners[ev.Listener]
	if l == nil {
		return
	}
	s := a.conns.Session(ev.Conn)
	s.Admitted, s.Proof = false, &peer{conn: ev.Conn, listener: l}
}

// Admits tells whether a request is to be handled. If not, it has been answered
// here or will be.
func (a *Authenticator) Admits(c *step.Context, r *conn.Request) bool {
	p, _ := r.Session.Proof.(*peer)
	switch {
	case p == nil:
		return true // of a listener that asks for nothing
	case p.state == failed:
		a.conns.NoResponse(c, r.ID)
		return false
	}
	switch kmsg.Key(r.Key) {
	case kmsg.SASLHandshake, kmsg.SASLAuthenticate:
		a.prove(c, p, r)
		return false
	}
	s := r.Session
	switch {
	case s.Admitted && c.Now < s.ExpiresAt:
		return true
	case s.Admitted:
		c.Logf(edge.Info, "closing connection of %s at %s: the session has ended and was not renewed", s.Principal, r.Peer)
	case p.state == handshake && kmsg.Key(r.Key) == kmsg.ApiVersions && len(r.Body) <= int(p.listener.Sasl.ReceiveBytesMax):
		return true
	default:
		c.Logf(edge.Info, "closing connection of %s: request %s before authentication", r.Peer, kmsg.NameForKey(r.Key))
	}
	a.conns.Disconnect(c, r.ID)
	return false
}

// prove handles a part of an exchange.
func (a *Authenticator) prove(c *step.Context, p *peer, r *conn.Request) {
	key := kmsg.Key(r.Key)
	req := kmsg.RequestForKey(r.Key)
	req.SetVersion(r.Version)
	switch {
	case key == kmsg.SASLHandshake && (r.Version < 0 || r.Version > handshakeVersionMax),
		key == kmsg.SASLAuthenticate && (r.Version < 0 || r.Version > authenticateVersionMax),
		len(r.Body) > int(p.listener.Sasl.ReceiveBytesMax), read(req, r) != nil,
		(p.state == tokens) != (key == kmsg.SASLAuthenticate) && p.state != admitted:
		c.Logf(edge.Info, "closing connection of %s: %s version %d is malformed, or out of place in an exchange", r.Peer, kmsg.NameForKey(r.Key), r.Version)
		a.conns.Disconnect(c, r.ID)
		return
	}
	switch req := req.(type) {
	case *kmsg.SASLHandshakeRequest:
		a.begin(c, p, r, req)
	case *kmsg.SASLAuthenticateRequest:
		a.token(c, p, r, req)
	}
}

// read decodes a request; a token without a header is what SaslAuthenticate
// would have wrapped.
func read(req kmsg.Request, r *conn.Request) error {
	if token, ok := req.(*kmsg.SASLAuthenticateRequest); ok && r.Token {
		token.SASLAuthBytes = r.Body
		return nil
	}
	return req.ReadFrom(r.Body)
}

// begin is SaslHandshake (key 17, versions 0 and 1): the client names a
// mechanism. After version 0 its tokens come without headers, until one decides.
func (a *Authenticator) begin(c *step.Context, p *peer, r *conn.Request, req *kmsg.SASLHandshakeRequest) {
	resp := kmsg.NewPtrSASLHandshakeResponse()
	resp.SetVersion(r.Version)
	resp.SupportedMechanisms = p.listener.Sasl.EnabledMechanisms
	switch {
	case p.state == admitted && c.Now < p.since.Add(reauthIntervalMin):
		resp.ErrorCode = kerr.IllegalSaslState.Code
		a.conns.Respond(c, r.ID, resp)
		return
	case p.admitted && req.Mechanism != p.mechanism:
		// Whoever it has proved to be, it has proved it in one way (KIP-368).
		a.fail(c, p, r, fmt.Errorf("mechanism %s instead of %s", req.Mechanism, p.mechanism), nil)
		return
	}
	exchange := a.exchange(c, p.listener, req.Mechanism)
	if exchange == nil {
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		a.fail(c, p, r, fmt.Errorf("mechanism %q is not enabled", req.Mechanism), resp)
		return
	}
	p.state, p.mechanism, p.exchange = tokens, req.Mechanism, exchange
	a.conns.Tokens(p.conn, r.Version == 0)
	a.conns.Respond(c, r.ID, resp)
}

func (a *Authenticator) exchange(c *step.Context, l *Listener, mechanism sasl.Mechanism) sasl.Server {
	enabled := false
	for _, m := range l.Sasl.EnabledMechanisms {
		enabled = enabled || m == mechanism
	}
	if !enabled {
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(l.Sasl.Plain.Users)
	case sasl.OAuthBearer:
		s := &l.Sasl
		return sasl.NewOAuthBearerServer(&jwt.Validator{
			Keys: s.Keys.KeySet, Audiences: s.ExpectedAudience, Issuer: s.ExpectedIssuer,
			SubClaim: s.SubClaim, ScopeClaim: s.ScopeClaim, SkewSeconds: s.ClockSkewSeconds,
		}, int64(c.Wall))
	}
	if m, ok := sasl.ScramMechanismOf(mechanism); ok {
		return sasl.NewScramServer(m, l.Users, a.nonces.Nonce())
	}
	return nil
}

// token is SaslAuthenticate (key 36, versions 0 to 2): 1 and later tell how long
// the session lasts.
func (a *Authenticator) token(c *step.Context, p *peer, r *conn.Request, req *kmsg.SASLAuthenticateRequest) {
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(r.Version)
	if p.state == admitted {
		resp.ErrorCode = kerr.IllegalSaslState.Code
		resp.ErrorMessage = kmsg.StringPtr("SaslAuthenticate request received after successful authentication")
		a.conns.Respond(c, r.ID, resp)
		return
	}
	answer, err := p.exchange.Next(req.SASLAuthBytes)
	result := p.exchange.Result()
	if err == nil && result.Done && p.admitted && r.Session.Principal != security.User(result.Name) {
		err = fmt.Errorf("it was %s before", r.Session.Principal)
	}
	if err != nil {
		a.fail(c, p, r, err, nil)
		return
	}
	resp.SASLAuthBytes = answer
	if result.Done {
		lifetime := a.admit(c, p, r.Session, &result)
		if r.Version >= 1 {
			resp.SessionLifetimeMillis = lifetime.Milliseconds()
		}
		a.conns.Tokens(p.conn, false)
	}
	if r.Token {
		head := append(a.conns.ResponseHead(r.ID, c.Out.Head()), answer...)
		a.conns.RespondEncoded(c, r.ID, edge.Send{Head: head})
		return
	}
	a.conns.Respond(c, r.ID, resp)
}

// admit ends an exchange well. It returns how long the session lasts, 0 if it
// does not end.
func (a *Authenticator) admit(c *step.Context, p *peer, s *security.Session, result *sasl.Result) time.Duration {
	lifetime := clock.Span(p.listener.Sasl.MaxReauthMillis, time.Millisecond)
	ends := lifetime > 0
	if result.ExpiresMillis != 0 {
		left := max(clock.Span(result.ExpiresMillis-int64(c.Wall), time.Millisecond), 0)
		if !ends || left < lifetime {
			lifetime, ends = left, true
		}
	}
	expiresAt := clock.Never
	if ends {
		expiresAt = c.Now.Add(lifetime)
	}
	p.state, p.admitted, p.since, p.exchange = admitted, true, c.Now, nil
	s.Admit(security.User(result.Name), expiresAt)
	return lifetime
}

// fail ends an exchange badly: after a delay the client is told, and its
// connection closed. Nothing that it sends meanwhile is read.
func (a *Authenticator) fail(c *step.Context, p *peer, r *conn.Request, why error, answer kmsg.Response) {
	c.Logf(edge.Info, "authentication of a client at %s failed: %v", r.Peer, why)
	if answer == nil && !r.Token { // without a header there is no place for an error
		answer = refusal(p, r)
	}
	p.state, p.exchange, p.request, p.answer = failed, nil, r.ID, answer
	r.Session.Admitted = false
	a.conns.Mute(c, p.conn)
	delay := clock.Span(p.listener.Sasl.FailureDelayMillis, time.Millisecond)
	a.serial++
	a.failures[a.serial] = p
	c.Timers.Set(timer.ID{Owner: step.OwnerConn, B: a.serial}, c.Now.Add(delay))
}

// refusal tells a client no more than that it has failed.
func refusal(p *peer, r *conn.Request) kmsg.Response {
	if kmsg.Key(r.Key) == kmsg.SASLHandshake {
		resp := kmsg.NewPtrSASLHandshakeResponse()
		resp.SetVersion(r.Version)
		resp.ErrorCode, resp.SupportedMechanisms = kerr.SaslAuthenticationFailed.Code, p.listener.Sasl.EnabledMechanisms
		return resp
	}
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	resp.SetVersion(r.Version)
	resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
	resp.ErrorMessage = kmsg.StringPtr("Authentication failed during authentication due to invalid credentials with SASL mechanism " + p.mechanism)
	return resp
}

// Timer tells a client that it has failed.
func (a *Authenticator) Timer(c *step.Context, id timer.ID) {
	p := a.failures[id.B]
	delete(a.failures, id.B)
	if p.answer != nil {
		a.conns.Respond(c, p.request, p.answer)
	} else {
		a.conns.NoResponse(c, p.request)
	}
	a.conns.Close(c, p.conn) // none of them does anything if it has gone
}

// Check says what is missing of the settings of a SASL listener.
func Check(name string, s *config.Sasl) error {
	property := func(of string) string { return "listener.name." + strings.ToLower(name) + "." + of }
	if len(s.EnabledMechanisms) == 0 {
		return fmt.Errorf("listener %s is SASL: sasl.enabled.mechanisms must name at least one mechanism", name)
	}
	for _, m := range s.EnabledMechanisms {
		switch {
		case m == sasl.Plain && (s.Plain.Entry == nil || len(s.Plain.Users) == 0):
			return fmt.Errorf("listener %s has PLAIN enabled: %s must name its users, as user_NAME=\"password\"", name, property("plain.sasl.jaas.config"))
		case m == sasl.OAuthBearer && s.Keys.KeySet == nil:
			return fmt.Errorf("listener %s has OAUTHBEARER enabled: sasl.oauthbearer.jwks.endpoint.url must name the keys of the issuer", name)
		}
	}
	return nil
}
