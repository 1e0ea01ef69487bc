package sasl

import (
	"errors"
	"fmt"
	"strings"
)

// TokenValidator checks a bearer token. expiresMillis is when it ends, in
// wall-clock milliseconds.
type TokenValidator interface {
	Validate(token string, nowMillis int64) (name string, expiresMillis int64, err error)
}

// oauthServer:
//
//	first --good token--> done
//	first --bad token / JSON error--> refused --anything--> error
//
// A refusal takes two steps, because RFC 7628 lets the server say why in a
// challenge, which the client must acknowledge.
type oauthServer struct {
	validator TokenValidator
	nowMillis int64
	result    Result
	refused   error
}

// NewOAuthBearerServer returns an exchange that takes place at a wall-clock time.
func NewOAuthBearerServer(v TokenValidator, nowMillis int64) Server {
	return &oauthServer{validator: v, nowMillis: nowMillis}
}

func (s *oauthServer) Result() Result { return s.result }

func (s *oauthServer) Next(token []byte) ([]byte, error) {
	switch {
	case s.refused != nil:
		return nil, s.refused
	case s.result.Done:
		return nil, errOrder
	case len(token) > tokenBytesMax:
		return nil, errTooLong
	}
	as, bearer, err := parseBearer(string(token))
	if err != nil {
		return nil, fmt.Errorf("OAUTHBEARER: %w", err)
	}
	name, expires, err := s.validator.Validate(bearer, s.nowMillis)
	if err != nil {
		s.refused = fmt.Errorf("OAUTHBEARER: %w", err)
		return []byte(`{"status":"invalid_token"}`), nil
	}
	if as != "" && as != name {
		return nil, errors.New("OAUTHBEARER: the client wants to act for somebody else")
	}
	s.result = Result{Done: true, Name: name, ExpiresMillis: expires}
	return nil, nil
}

// parseBearer takes the client's message apart: a GS2 header, then fields that
// each end with the byte 1, then one more.
func parseBearer(text string) (as, token string, err error) {
	const separator = "\x01"
	header, rest, ok := strings.Cut(text, separator)
	if !ok {
		return "", "", errors.New("no GS2 header")
	}
	flag, id, ok := strings.Cut(header, ",")
	id, ok2 := strings.CutSuffix(id, ",")
	if !ok || !ok2 || flag != "n" && flag != "y" {
		return "", "", errors.New("malformed GS2 header")
	}
	if id != "" {
		id, ok = strings.CutPrefix(id, "a=")
		if as, err = unescapeName(id); !ok || err != nil {
			return "", "", errors.New("malformed authorization id")
		}
	}
	fields, ok := strings.CutSuffix(rest, separator+separator)
	if !ok {
		return "", "", errors.New("the message is cut short")
	}
	for _, field := range strings.Split(fields, separator) {
		key, value, ok := strings.Cut(field, "=")
		if !ok || key == "" {
			return "", "", errors.New("malformed field")
		}
		if key != "auth" {
			continue // SASL extensions (KIP-342): nobody here asks for any
		}
		scheme, bearer, ok := strings.Cut(value, " ")
		if bearer = strings.TrimSpace(bearer); !ok || !strings.EqualFold(scheme, "bearer") || bearer == "" || token != "" {
			return "", "", errors.New("malformed authorization")
		}
		token = bearer
	}
	if token == "" {
		return "", "", errors.New("no token")
	}
	return as, token, nil
}

type oauthClient struct{ token string }

// NewOAuthBearerClient returns the exchange of whoever has a token.
func NewOAuthBearerClient(token string) Client { return &oauthClient{token} }

func (k *oauthClient) Next(answer []byte) ([]byte, bool, error) {
	if answer == nil {
		return []byte("n,,\x01auth=Bearer " + k.token + "\x01\x01"), false, nil
	}
	if len(answer) != 0 {
		// The server would fail the exchange anyhow; nothing is gained by
		// acknowledging its challenge first.
		return nil, false, fmt.Errorf("OAUTHBEARER: the token is refused: %.200q", answer)
	}
	return nil, true, nil
}

// CheckBearer says what is wrong with a token of one's own, without showing it.
func CheckBearer(token string) error {
	switch {
	case token == "":
		return errors.New("there is no token")
	case len(token) > tokenBytesMax/2:
		return fmt.Errorf("it has %d bytes, at most %d", len(token), tokenBytesMax/2)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return fmt.Errorf("byte %d is no character of a token; a file holds it and nothing else", i)
		}
	}
	return nil
}
