// Package tokenkeys brings the public keys of an issuer of tokens from where
// sasl.oauthbearer.jwks.endpoint.url says: a file, or a web server that is asked
// again from time to time. It judges no token.
package tokenkeys

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/security/jwt"
)

const (
	// bytesMax bounds a JWKS.
	bytesMax = 1 << 20
	// attemptTime bounds one fetch, StartTime those of a starting node together.
	attemptTime = 10 * time.Second
	// StartTime is how long a node that starts tries to fetch its keys.
	StartTime = 30 * time.Second
)

// Source is one place of keys.
type Source struct {
	url                          string
	refresh, backoff, backoffMax time.Duration
}

// New is the place that a listener's settings name.
func New(s *config.Sasl) *Source {
	millis := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return &Source{s.Keys.URL, millis(s.KeysRefreshMillis), millis(s.KeysBackoffMillis), millis(s.KeysBackoffMaxMillis)}
}

// Remote tells whether the keys come over the network: then they are asked for
// again and again.
func (s *Source) Remote() bool { return s.path() == "" }

// path is the file's, or empty.
func (s *Source) path() string {
	if u, err := url.Parse(s.url); err == nil && u.Scheme == "file" {
		return u.Path
	}
	return ""
}

// Read brings the keys, once.
func (s *Source) Read(ctx context.Context) (*jwt.KeySet, error) {
	body, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	defer func() { _ = body.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(body, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	if len(text) > bytesMax {
		return nil, fmt.Errorf("read the keys: more than %d bytes", bytesMax)
	}
	return jwt.ParseKeySet(text)
}

func (s *Source) open(ctx context.Context) (io.ReadCloser, error) {
	if path := s.path(); path != "" {
		return os.Open(path)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Client{Timeout: attemptTime}).Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close() // nothing of it is wanted
		return nil, fmt.Errorf("GET %s: %s", s.url, resp.Status)
	}
	return resp.Body, nil
}

// Retry reads the keys until that succeeds or ctx ends. A file is read once: it
// does not come by itself.
func (s *Source) Retry(ctx context.Context) (*jwt.KeySet, error) {
	for wait := s.backoff; ; wait = min(2*wait, s.backoffMax) {
		keys, err := s.Read(ctx)
		if err == nil || !s.Remote() || !sleep(ctx, wait) {
			return keys, err
		}
	}
}

// Follow hands over the keys anew after each refresh interval, until ctx ends.
// Of a series of failures, the first is told.
func (s *Source) Follow(ctx context.Context, keys func(*jwt.KeySet), failed func(error)) {
	wait, failing := s.refresh, false
	for sleep(ctx, wait) {
		set, err := s.Read(ctx)
		switch {
		case err == nil:
			keys(set)
			wait, failing = s.refresh, false
		case failing:
			wait = min(2*wait, s.backoffMax)
		default:
			failed(err)
			wait, failing = s.backoff, true
		}
	}
}

// sleep waits, and tells whether ctx lasted that long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
