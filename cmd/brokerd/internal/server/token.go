package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
)

const (
	tokenProperty = "sasl.oauthbearer.token.endpoint.url"
	// tokenPoll is how often the file of the node's own token is looked at: whoever
	// renews it has most of the token's life left.
	tokenPoll = 5 * time.Second
	// tokenFileMax bounds that file.
	tokenFileMax = 64 << 10
)

// ownToken is the file of the token by which this node logs in at a listener.
type ownToken struct {
	listener edge.Listener
	path     string
	value    string // read last
}

// ownToken reads the token for a listener for the first time, if one is wanted.
func (s *Server) ownToken(l edge.Listener, of *config.Sasl) error {
	if of.Token.Path == "" {
		return nil
	}
	broken := func(problem string) error {
		return &config.Error{What: "sasl property", Name: tokenProperty, Value: of.Token.String(), Problem: problem}
	}
	if of.InterBrokerMechanism != sasl.OAuthBearer && of.ControllerMechanism != sasl.OAuthBearer {
		return broken("has no effect: neither sasl.mechanism.inter.broker.protocol nor sasl.mechanism.controller.protocol is " + sasl.OAuthBearer)
	}
	token := ownToken{listener: l, path: of.Token.Path}
	var err error
	if token.value, err = token.read(); err != nil {
		return broken("cannot be used: " + err.Error())
	}
	of.Token.Value = token.value
	s.tokens = append(s.tokens, token)
	return nil
}

func (o *ownToken) read() (string, error) {
	file, err := os.Open(o.path)
	if err != nil {
		return "", fmt.Errorf("read the node's token: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, tokenFileMax+1))
	token := strings.TrimSpace(string(text))
	if err == nil {
		err = sasl.CheckBearer(token)
	}
	if err != nil {
		return "", fmt.Errorf("read the node's token in %s: %w", o.path, err)
	}
	return token, nil
}

// reloadTokens reads the node's own tokens again and takes those that are new.
func (s *Server) reloadTokens(ctx context.Context) error {
	s.tokensMu.Lock()
	defer s.tokensMu.Unlock()
	var first error
	for i := range s.tokens {
		o := &s.tokens[i]
		value, err := o.read()
		if err == nil && value != o.value {
			err = s.host.View(ctx, func() { s.node.SetToken(o.listener, value) })
			o.value = value
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// followTokens reads the node's own tokens again and again until ctx ends. Of a
// series of failures, the first is told.
func (s *Server) followTokens(ctx context.Context) {
	again := time.NewTicker(tokenPoll)
	defer again.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		err := s.reloadTokens(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			s.options.Logger.Warn("the node's token was not read again; the old one stays", "cause", err)
		}
		failing = err != nil
	}
}
