package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security/jwt"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/tokenkeys"
)

// tokenKeys are the keys of the issuer of one listener's tokens.
type tokenKeys struct {
	listener edge.Listener
	source   *tokenkeys.Source
}

const keysProperty = "sasl.oauthbearer.jwks.endpoint.url"

// sasl collects how the peers of SASL listeners prove who they are.
func (s *Server) sasl() (out broker.Security, err error) {
	for i := range s.listeners.All {
		l := &s.listeners.All[i]
		of, err := s.options.Settings.SASL(l.Name)
		if err != nil {
			return out, err
		}
		if l.Protocol.SASL() && of.Keys.URL != "" && of.Keys.KeySet == nil {
			if of.Keys.KeySet, err = s.fetchKeys(edge.Listener(i), &of); err != nil {
				return out, err
			}
		}
		if l.Protocol.SASL() {
			if err := s.ownToken(edge.Listener(i), &of); err != nil {
				return out, err
			}
		}
		out.Sasl = append(out.Sasl, of)
		out.Bootstrap = of.Bootstrap
	}
	if _, err := rand.Read(out.Secret[:]); err != nil {
		return out, fmt.Errorf("draw a secret: %w", err)
	}
	return out, nil
}

// fetchKeys brings the keys of a listener's tokens for the first time. Without
// them nobody could log in, so that a node does not start.
func (s *Server) fetchKeys(l edge.Listener, of *config.Sasl) (*jwt.KeySet, error) {
	source := tokenkeys.New(of)
	ctx, cancel := context.WithTimeout(context.Background(), tokenkeys.StartTime)
	defer cancel()
	keys, err := source.Retry(ctx)
	if err != nil {
		return nil, &config.Error{What: "sasl property", Name: keysProperty, Value: of.Keys.URL, Problem: "cannot be used: " + err.Error()}
	}
	s.keys = append(s.keys, tokenKeys{l, source})
	return keys, nil
}

// followKeys asks for keys that come over the network again until ctx ends, and
// for the node's own tokens.
func (s *Server) followKeys(ctx context.Context) {
	if len(s.tokens) > 0 {
		go s.followTokens(ctx)
	}
	for _, k := range s.keys {
		if !k.source.Remote() {
			continue
		}
		go k.source.Follow(ctx, func(keys *jwt.KeySet) {
			_ = s.setKeys(ctx, k.listener, keys) // a node that has ended needs none
		}, func(err error) {
			s.options.Logger.Warn("keys of tokens were not fetched again; the old ones stay", "cause", err)
		})
	}
}

// reloadKeys reads all keys again, now.
func (s *Server) reloadKeys() error {
	ctx, cancel := context.WithTimeout(context.Background(), tokenkeys.StartTime)
	defer cancel()
	var errs []error
	for _, k := range s.keys {
		keys, err := k.source.Read(ctx)
		if err == nil {
			err = s.setKeys(ctx, k.listener, keys)
		}
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.reloadTokens(ctx))...)
}

func (s *Server) setKeys(ctx context.Context, l edge.Listener, keys *jwt.KeySet) error {
	return s.host.View(ctx, func() { s.node.SetTokenKeys(l, keys) })
}
