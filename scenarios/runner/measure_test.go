package runner

import (
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

func at(d time.Duration) clock.Instant { return clock.Instant(d) }

// A stall that begins a moment before a fault and lasts through it is the
// fault's, and what outlasts a fault is held against the time without, but for the
// recovery that a scenario expects.
func TestStallBelongsToFault(t *testing.T) {
	r := &run{scenario: &scenarios.Scenario{}, faults: &faults{done: []span{
		{from: at(60 * time.Second), to: at(90 * time.Second)},
		{from: at(80 * time.Second), to: at(100 * time.Second)},
		{from: at(200 * time.Second), to: clock.Never},
	}}}
	cases := []struct {
		name                string
		since, now, recover time.Duration
		inFault, outside    time.Duration
	}{
		{"without a fault", 10 * time.Second, 11 * time.Second, 0, 0, time.Second},
		{"begun before it", 59990 * time.Millisecond, 75 * time.Second, 0, 15010 * time.Millisecond, 10 * time.Millisecond},
		{"outlasting both", 70 * time.Second, 104 * time.Second, 0, 34 * time.Second, 4 * time.Second},
		{"within the recovery", 70 * time.Second, 104 * time.Second, 3 * time.Second, 34 * time.Second, time.Second},
		{"in one that lasts", 201 * time.Second, 230 * time.Second, 0, 29 * time.Second, 0},
	}
	for _, c := range cases {
		r.scenario.Expect.Recovery = c.recover
		var s stall
		s.want(at(c.since))
		s.done(at(c.now), r)
		if s.inFault != c.inFault || s.outside != c.outside || s.longest != c.now-c.since {
			t.Errorf("%s: %s in faults, %s outside, %s at all", c.name, s.inFault, s.outside, s.longest)
		}
	}
}

// A short stall late in a fault ends its recovery later than a longer one at its
// beginning, whatever has been seen without a fault.
func TestRecoveryIsTheLastOfAFault(t *testing.T) {
	r := &run{scenario: &scenarios.Scenario{}, faults: &faults{done: []span{{from: at(60 * time.Second), to: at(90 * time.Second)}}}}
	var s stall
	for _, x := range [][2]time.Duration{{10, 20}, {60, 66}, {84, 88}} {
		s.want(at(x[0] * time.Second))
		s.done(at(x[1]*time.Second), r)
	}
	if s.recovery != 28*time.Second || s.inFault != 6*time.Second || s.outside != 10*time.Second {
		t.Errorf("recovery %s, %s in the fault, %s outside", s.recovery, s.inFault, s.outside)
	}
}

// A recovery survives a planned move of leaders, and nothing longer; a share of
// replicas survives nothing.
func TestRecoveryIsForGood(t *testing.T) {
	cases := []struct {
		name    string
		state   string
		samples string // one a second: . holds, x does not
		want    time.Duration
	}{
		{"at once", "consumer_lag", "....", 0},
		{"later", "consumer_lag", "xxx..", 3 * time.Second},
		{"with a move", "consumer_lag", "xx..xx...", 2 * time.Second},
		{"lost within the time", "consumer_lag", "x.x...", 3 * time.Second},
		{"lost within the time, back after it", "produce_latency", "x.xx..", 4 * time.Second},
		{"lost again", "consumer_lag", "xx..xxx..", 7 * time.Second},
		{"lost at the end", "consumer_lag", "xx..x", -time.Second},
		{"never", "consumer_lag", "xxxx", -time.Second},
		{"in sync, lost for one", "in_sync_replicas", "xx..x.", 5 * time.Second},
	}
	for _, c := range cases {
		r := &run{faults: &faults{}}
		rec := recovery{want: scenarios.Recovery{Name: c.state}, reached: clock.Never, missed: clock.Never}
		for i, s := range c.samples {
			rec.sample(at(time.Duration(i)*time.Second), at(3*time.Second), s == '.')
		}
		if got := r.recoveredAfter(&rec); got != c.want {
			t.Errorf("%s: after %s, want %s", c.name, got, c.want)
		}
	}
}
