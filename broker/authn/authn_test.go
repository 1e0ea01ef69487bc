package authn

import (
	"math"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/security/sasl"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Goal: a session lasts as long as what was proved, and no longer than the listener
// lets it. Method: tokens that end soon, have ended, end in the year 9999, as those do
// that are meant for ever, or at the end of all numbers.
func TestSessionsEndWithWhatWasProved(t *testing.T) {
	const now, year9999 = 1_800_000_000_000, 253_402_300_799_000
	for _, c := range []struct {
		expires, reauth int64
		want            time.Duration
		endless         bool
	}{
		{0, 0, 0, true},
		{0, 60_000, time.Minute, false},
		{now + 5_000, 0, 5 * time.Second, false},
		{now + 5_000, 60_000, 5 * time.Second, false},
		{now - 1, 0, 0, false},
		{year9999, 60_000, time.Minute, false},
		{year9999, 0, math.MaxInt64, true},
		{math.MaxInt64, 0, math.MaxInt64, true},
		{0, math.MaxInt64, math.MaxInt64, true},
	} {
		p := &peer{listener: &Listener{}}
		p.listener.Sasl.MaxReauthMillis = c.reauth
		s := security.NewSession(security.Anonymous, "client")
		ctx := step.Context{Now: 7, Wall: now, Out: &edge.Effects{}}
		got := new(Authenticator).admit(&ctx, p, s, &sasl.Result{Done: true, Name: "alice", ExpiresMillis: c.expires})
		until := clock.Instant(7).Add(c.want)
		if c.endless {
			until = clock.Never
		}
		if got != c.want || s.ExpiresAt != until {
			t.Errorf("a token until %d with connections.max.reauth.ms=%d: %v, until %v; want %v until %v",
				c.expires, c.reauth, got, s.ExpiresAt, c.want, until)
		}
	}
}
