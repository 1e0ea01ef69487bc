package runner

import (
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: how long a replica may be away, and a cleaner take, follows from the timeline.
func TestAwayAndPass(t *testing.T) {
	event := func(at, lasting int, fault string) scenarios.Event {
		return scenarios.Event{At: time.Duration(at) * time.Second, For: time.Duration(lasting) * time.Second, Fault: fault}
	}
	client := event(10, 500, "pause")
	client.Target.Kind = scenarios.TargetClients
	slow := event(10, 10, "disk")
	slow.Latency = 10 * time.Millisecond
	for _, test := range []struct {
		name       string
		events     []scenarios.Event
		away, pass time.Duration
	}{
		{"nothing", nil, 0, cleanerPass},
		{"a kill", []scenarios.Event{event(10, 20, "kill")}, 20*time.Second + returnTime, cleanerPass},
		{"apart", []scenarios.Event{event(200, 5, "kill"), event(10, 20, "kill")}, 20*time.Second + returnTime, cleanerPass},
		{"close together", []scenarios.Event{event(35, 20, "kill"), event(10, 20, "kill")}, 45*time.Second + returnTime, cleanerPass},
		{"a pause", []scenarios.Event{event(10, 20, "pause")}, 20*time.Second + returnTime, cleanerPass + 20*time.Second},
		{"a client's pause", []scenarios.Event{client}, 0, cleanerPass},
		{"a slow disk", []scenarios.Event{slow}, 10*time.Second + returnTime, cleanerPass + slowOperations*10*time.Millisecond},
		{"for good", []scenarios.Event{event(10, 0, "kill")}, 90*time.Second + returnTime, cleanerPass},
	} {
		s := &scenarios.Scenario{Duration: time.Minute, Settle: 40 * time.Second, Timeline: test.events}
		if away, pass := awayOf(s), passOf(s); away != test.away || pass != test.pass {
			t.Errorf("%s: away for %v, a pass of %v; want %v and %v", test.name, away, pass, test.away, test.pass)
		}
	}
}
