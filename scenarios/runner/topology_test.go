package runner

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// Goal: each way to describe a network becomes the distribution and the rates that
// it says, in both directions.
func TestTopology(t *testing.T) {
	const ms = time.Millisecond
	s := load(t, safe, "[]", "{}")
	s.Cluster.Network = scenarios.Network{
		SameZone:  scenarios.Link{Latency: ms, Jitter: 2 * ms, Loss: 50},
		CrossZone: scenarios.Link{Latency: 3 * ms, P99: 9 * ms, Bandwidth: 8000},
		Links: []scenarios.ZoneLink{
			{Between: []string{"a", "c"}, Link: scenarios.Link{Delays: []time.Duration{40 * ms, 41 * ms}}},
			{Between: []string{"b", "b"}, Link: scenarios.Link{Latency: 5 * ms}},
		},
		Interface: 80_000,
	}
	got := newLayout(s).topology(s)
	far := netsim.Link{Latency: netsim.Measured([]time.Duration{40 * ms, 41 * ms})}
	want := netsim.Topology{
		Loopback:  got.Loopback,
		SameZone:  netsim.Link{Latency: netsim.Uniform(ms, 3*ms), LossPPM: 50},
		CrossZone: netsim.Link{Latency: netsim.Lognormal(3*ms, 9*ms), BytesPerSecond: 1000},
		ZoneLinks: []netsim.ZoneLink{{From: "a", To: "c", Link: far}, {From: "c", To: "a", Link: far},
			{From: "b", To: "b", Link: netsim.Link{Latency: netsim.Uniform(5*ms, 5*ms)}}},
		Hosts: got.Hosts,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(netsim.Latency{})); diff != "" {
		t.Error(diff)
	}
	for _, h := range got.Hosts {
		if h.EgressBytesPerSecond != 10_000 || h.IngressBytesPerSecond != 10_000 {
			t.Errorf("%s sends %d B/s and receives %d", h.Name, h.EgressBytesPerSecond, h.IngressBytesPerSecond)
		}
	}
}
