// Package sasl owns the exchanges by which a client proves who it is: PLAIN
// (RFC 4616), SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677) and
// OAUTHBEARER (RFC 7628), each as a state machine of either side. Tokens come in
// and go out; it never sends anything, never reads a clock and draws no random
// numbers: time and nonces are brought.
package sasl

import "errors"

// Mechanism is the name of a mechanism, as SaslHandshake carries it.
type Mechanism = string

// The mechanisms.
const (
	Plain       Mechanism = "PLAIN"
	ScramSHA256 Mechanism = "SCRAM-SHA-256"
	ScramSHA512 Mechanism = "SCRAM-SHA-512"
	OAuthBearer Mechanism = "OAUTHBEARER"
)

// tokenBytesMax bounds a token before any of it is looked at: a JWT with many
// claims is the largest.
const tokenBytesMax = 64 << 10

// Server is the server's side of one exchange.
type Server interface {
	// Next takes the client's token and returns the answer, which may be empty.
	// An error ends the exchange; it is for the log, and tells the client nothing
	// that a stranger should not know. An error may come with an answer that the
	// mechanism wants to be sent first.
	Next(token []byte) (answer []byte, err error)
	// Result is how the exchange stands.
	Result() Result
}

// Result of a server's exchange.
type Result struct {
	Done bool
	Name string // who the client has proved to be
	// ExpiresMillis is when what it proved ends, in wall-clock milliseconds since
	// the epoch; 0: never by itself.
	ExpiresMillis int64
}

// Client is the client's side of one exchange.
type Client interface {
	// Next takes the server's answer (nil to begin) and returns the next token;
	// done says that no more is expected. An error ends the exchange.
	Next(answer []byte) (token []byte, done bool, err error)
}

var errTooLong = errors.New("the token is too long")

var errOrder = errors.New("a token after the end of the exchange")
