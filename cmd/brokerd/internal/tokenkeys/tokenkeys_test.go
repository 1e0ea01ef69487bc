package tokenkeys

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/security/jwt"
	"github.com/seed-604ea8f1/windtunnel/cmd/internal/trial"
)

// Goal: keys come as soon as their place has them, and what has gone wrong is
// said. Method: a web server that counts how often it was asked.

// server answers with a status and a body, by the number of the request from 1.
func server(t *testing.T, answer func(n int) (status int, body []byte)) *Source {
	n := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		status, body := answer(n)
		w.WriteHeader(status)
		_, _ = w.Write(body) // a reader that has gone learns nothing
	}))
	t.Cleanup(web.Close)
	s, err := config.ParseSasl([]config.KV{
		{Name: "sasl.oauthbearer.jwks.endpoint.url", Value: web.URL + "/jwks"},
		{Name: "sasl.oauthbearer.jwks.endpoint.refresh.ms", Value: "1"},
		{Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Value: "1"},
		{Name: "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Value: "2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(&s)
}

func TestAStartingNodeTriesAgain(t *testing.T) {
	issuer, asked := trial.NewIssuer(t), 0
	s := server(t, func(n int) (int, []byte) {
		if asked = n; n < 4 {
			return http.StatusServiceUnavailable, nil
		}
		return http.StatusOK, issuer.KeySet()
	})
	if keys, err := s.Retry(t.Context()); err != nil || keys == nil || asked != 4 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s = server(t, func(n int) (int, []byte) {
		if n == 3 {
			cancel()
		}
		return http.StatusNotFound, nil
	})
	if _, err := s.Retry(ctx); err == nil {
		t.Error("keys from nowhere")
	}
}

// Each new set is handed over; of failures in a row the first is told.
func TestFollow(t *testing.T) {
	issuer := trial.NewIssuer(t)
	ctx, cancel := context.WithCancel(t.Context())
	var events []string
	s := server(t, func(n int) (int, []byte) {
		if n > 2 && n < 6 || n == 7 {
			return http.StatusInternalServerError, nil
		}
		return http.StatusOK, issuer.KeySet()
	})
	s.Follow(ctx, func(*jwt.KeySet) {
		if events = append(events, "keys"); len(events) == 6 {
			cancel()
		}
	}, func(err error) {
		if !strings.Contains(err.Error(), "500 Internal Server Error") {
			t.Error(err)
		}
		events = append(events, "failed")
	})
	if got := fmt.Sprint(events); got != "[keys keys failed keys failed keys]" {
		t.Error(got)
	}
}

func TestWhatIsNoKeySet(t *testing.T) {
	for body, want := range map[string]string{
		"":                                 "parse the JWKS",
		`{"keys":[]}`:                      "no key for RS256 or ES256",
		strings.Repeat(" ", bytesMax+1):    "more than 1048576 bytes",
		`<html>please log in first</html>`: "parse the JWKS",
	} {
		s := server(t, func(int) (int, []byte) { return http.StatusOK, []byte(body) })
		if _, err := s.Read(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", body, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "jwks.json")
	file := &Source{url: "file://" + path}
	if _, err := file.Retry(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
	if err := os.WriteFile(path, trial.NewIssuer(t).KeySet(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Read(t.Context()); err != nil || file.Remote() {
		t.Error(err)
	}
}
