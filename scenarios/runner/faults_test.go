package runner

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// glimpse is what a test sees of a world at a moment.
type glimpse struct {
	t *testing.T
	*run
}

func (g glimpse) host(name string) netsim.HostID {
	h, ok := g.world.Host(name)
	if !ok {
		g.t.Fatalf("no host %s", name)
	}
	return h
}

func (g glimpse) state(name string) sim.State { return g.world.State(g.host(name)) }

// stat is a counter of the network or of broker-1's disk.
func (g glimpse) stat(of func(netsim.Stats) int64) int64 { return of(g.world.Network().Stats()) }

// Goal: every verb of the timeline, with each of its keys, does what it says while
// it lasts and not afterwards. Method: one short run each, looked into at 14 s
// within the event, which begins at 10 s, and at 25 s after it.
func TestEveryVerbIsCarriedOut(t *testing.T) {
	up := func(names ...string) func(glimpse) bool {
		return func(g glimpse) bool {
			for _, name := range names {
				if g.state(name) != sim.Running {
					return false
				}
			}
			return true
		}
	}
	is := func(name string, s sim.State) func(glimpse) bool {
		return func(g glimpse) bool { return g.state(name) == s }
	}
	always := func(glimpse) bool { return true }
	retransmits := func(g glimpse) bool {
		return g.stat(func(s netsim.Stats) int64 { return s.Retransmissions }) > 0
	}
	slow := func(least time.Duration) func(glimpse) bool {
		return func(g glimpse) bool {
			return time.Duration(g.ledger.produce.Sum(phase.During).Max()) >= least
		}
	}
	ops := func(g glimpse) bool { return g.world.Disk(g.host("broker-1")).Stats().Errors > 0 }
	for name, c := range map[string]struct {
		timeline      string
		during, later func(glimpse) bool
	}{
		"kill":          {"{ at: 10s, for: 8s, fault: kill, target: { node: broker-1 } }", is("broker-1", sim.Exited), up("broker-1")},
		"restart after": {"{ at: 10s, fault: kill, target: { node: broker-1 }, restart_after: 8s }", is("broker-1", sim.Exited), up("broker-1")},
		"for good":      {"{ at: 10s, fault: kill, target: { node: broker-1 } }", is("broker-1", sim.Exited), is("broker-1", sim.Exited)},
		"power loss":    {"{ at: 10s, for: 8s, fault: power_loss, target: { node: controller-1 } }", is("controller-1", sim.Off), up("controller-1")},
		"restart": {"{ at: 10s, operator: restart, target: { zone: b } }", always, func(g glimpse) bool {
			return g.world.Boots(g.host("broker-2")) == 2 && g.world.Boots(g.host("controller-2")) == 2 && up("broker-2", "controller-2")(g)
		}},
		"pause":       {"{ at: 10s, for: 8s, fault: pause, target: { node: broker-1 } }", is("broker-1", sim.Paused), up("broker-1")},
		"zone":        {"{ at: 10s, for: 8s, fault: zone_outage, target: { zone: b } }", is("broker-2", sim.Off), up("broker-2", "controller-2")},
		"zone killed": {"{ at: 10s, for: 8s, fault: zone_outage, target: { zone: b }, mode: kill }", is("controller-2", sim.Exited), up("broker-2")},
		"zone cut":    {"{ at: 10s, for: 8s, fault: zone_outage, target: { zone: b }, mode: network }", retransmits, up("broker-2")},
		"partition":   {"{ at: 10s, for: 8s, fault: partition, between: [[a], [b, c]] }", retransmits, always},
		"to":          {"{ at: 10s, for: 8s, fault: partition, between: [[a], [b, c]], direction: to }", retransmits, always},
		"from":        {"{ at: 10s, for: 8s, fault: partition, shape: isolate, target: { node: broker-2 }, direction: from }", retransmits, always},
		"halves":      {"{ at: 10s, for: 8s, fault: partition, shape: halves }", retransmits, always},
		"majority":    {"{ at: 10s, for: 8s, fault: partition, shape: majority }", retransmits, always},
		"bridge":      {"{ at: 10s, for: 8s, fault: partition, shape: bridge }", retransmits, always},
		"ring":        {"{ at: 10s, for: 8s, fault: partition, shape: majorities-ring }", retransmits, always},
		"latency":     {"{ at: 10s, for: 8s, fault: link, zones: [a, b], latency: 300ms }", slow(300 * time.Millisecond), always},
		"jitter":      {"{ at: 10s, for: 8s, fault: link, between: [[broker-1], [broker-2, broker-3]], jitter: 400ms }", slow(100 * time.Millisecond), always},
		"loss":        {"{ at: 10s, for: 8s, fault: link, zones: [a, b], loss: 20% }", func(g glimpse) bool { return g.stat(func(s netsim.Stats) int64 { return s.FramesLost }) > 0 }, always},
		"duplicate":   {"{ at: 10s, for: 8s, fault: link, zones: [a, b], duplicate: 100%, bandwidth: 200kbit }", slow(100 * time.Millisecond), always},
		"reorder":     {"{ at: 10s, for: 8s, fault: link, zones: [a, b], latency: 50ms, reorder: 100% }", slow(100 * time.Millisecond), always},
		"bandwidth":   {"{ at: 10s, for: 8s, fault: link, between: [[broker-1], [broker-2, broker-3]], bandwidth: 20kbit }", slow(300 * time.Millisecond), always},
		"resets":      {"{ at: 10s, fault: reset_connections, target: brokers }", func(g glimpse) bool { return g.stat(func(s netsim.Stats) int64 { return s.Resets }) > 10 }, always},
		"hold": {"{ at: 10s, for: 8s, fault: hold_rpc, api: Fetch, from: { node: broker-2 }, to: { node: broker-1 } }",
			func(g glimpse) bool { return g.stat(func(s netsim.Stats) int64 { return s.FramesHeld }) > 0 },
			func(g glimpse) bool { return !strings.HasPrefix(g.faults.done[0].damage[0], "0 ") }},
		"slow disk": {"{ at: 10s, for: 8s, fault: disk, target: { node: broker-1 }, latency: 250ms }", slow(250 * time.Millisecond), always},
		"full disk": {"{ at: 10s, for: 8s, fault: disk, target: { node: broker-1 }, full: true }", ops, up("broker-1")},
		"bad disk":  {"{ at: 10s, for: 8s, fault: disk, target: { node: broker-1 }, error: 50% }", ops, up("broker-1")},
		"bit flip": {"{ at: 10s, fault: disk, target: { node: broker-1 }, bitflip: 2 }", func(g glimpse) bool {
			return g.world.Disk(g.host("broker-1")).Stats().BitsFlipped == 2
		}, always},
		"truncate": {"{ at: 10s, fault: disk, target: { node: broker-1 }, truncate: 7B }", func(g glimpse) bool {
			return g.world.Disk(g.host("broker-1")).Stats().FilesTruncated == 1 && len(g.faults.done[0].damage) == 1
		}, always},
		"lost disk": {"{ at: 9s, for: 9s, fault: kill, target: { node: broker-1 } }, { at: 10s, fault: disk, target: { node: broker-1 }, lose: true }", func(g glimpse) bool {
			_, there := g.world.Disk(g.host("broker-1")).Contents("orders-0/00000000000000000000.log")
			return !there
		}, up("broker-1")},
		"restored disk": {"{ at: 9s, for: 9s, fault: kill, target: { node: broker-1 } }, { at: 12s, operator: restore_backup, target: { node: broker-1 }, age: 10s }", func(g glimpse) bool {
			return logBytes(g, "broker-1") < logBytes(g, "broker-2")/2
		}, up("broker-1")},
		"bump": {"{ at: 10s, fault: clock, target: { node: broker-1 }, bump: -1h }", wallOff(time.Hour), wallOff(time.Hour)},
		"strobe": {"{ at: 10s, for: 8s, fault: clock, target: { node: broker-1 }, strobe: 1h, period: 10s }", always, func(g glimpse) bool {
			return !wallOff(time.Hour)(g)
		}},
		"lookups": {"{ at: 10s, for: 8s, fault: dns, target: { zone: a }, fail: true }, { at: 11s, fault: reset_connections, target: { zone: a } }",
			always, slow(4 * time.Second)},
		"new address": {"{ at: 10s, fault: dns, target: { node: broker-1 }, change_ip: true }", retransmits, up("broker-1")},
		"stress":      {"{ at: 10s, for: 8s, fault: stress, target: brokers, cpu: 99.9% }", slow(50 * time.Millisecond), always},
		"corrupt": {"{ at: 10s, for: 8s, fault: link, zones: [a, b], corrupt: 20% }",
			func(g glimpse) bool { return g.stat(func(s netsim.Stats) int64 { return s.FramesLost }) > 0 }, always},
		"added": {"{ at: 10s, operator: add_brokers, zones: [b, b] }", up("broker-4", "broker-5"), func(g glimpse) bool {
			return g.faults.done[0].over(g.world.Now()) && g.view.image().Broker(5) != nil
		}},
		"all replaced": {"{ at: 9s, operator: add_brokers, zones: [a, b, c] }, { at: 10s, operator: decommission, target: { node: broker-1 } }, { at: 11s, operator: decommission, target: { node: broker-2 } }, { at: 12s, operator: decommission, target: { node: broker-3 } }",
			always, func(g glimpse) bool {
				return is("broker-1", sim.Exited)(g) && is("broker-2", sim.Exited)(g) && is("broker-3", sim.Exited)(g) && len(g.view.image().Brokers) == 3
			}},
		"not added yet": {"{ at: 10s, for: 8s, fault: kill, target: brokers }, { at: 22s, operator: add_brokers, zones: [b] }",
			is("broker-4", sim.Exited), up("broker-1", "broker-2", "broker-3", "broker-4")},
		"decommissioned": {"{ at: 9s, operator: add_brokers, zones: [c] }, { at: 10s, operator: decommission, target: { node: broker-3 } }, { at: 20s, fault: kill, target: brokers, restart_after: 1s }",
			func(g glimpse) bool { return !g.faults.done[1].over(g.world.Now()) || g.view.image().Broker(3) == nil },
			func(g glimpse) bool {
				return is("broker-3", sim.Exited)(g) && up("broker-1", "broker-2", "broker-4")(g)
			}},
		"rolling restart": {"{ at: 10s, operator: rolling_restart, target: { zone: a } }", func(g glimpse) bool {
			return g.state("broker-1") != sim.Running
		}, up("broker-1", "controller-1")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := newRun(load(t, safe, "["+c.timeline+"]", "{}"), Options{Seed: 3})
			if err != nil {
				t.Fatal(err)
			}
			g := glimpse{t, r}
			r.until(r.origin.Add(14 * time.Second))
			if !c.during(g) {
				t.Error("nothing of it is to be seen while it lasts")
			}
			r.until(r.origin.Add(25 * time.Second))
			if !c.later(g) {
				t.Error("it is still to be seen afterwards")
			}
			if len(r.faults.missed) > 0 || len(r.faults.done) == 0 {
				t.Errorf("%d done, missed: %q", len(r.faults.done), r.faults.missed)
			}
		})
	}
}

// logBytes is what the segments of a broker hold.
func logBytes(g glimpse, name string) (sum int64) {
	g.world.Disk(g.host(name)).Walk(func(f disk.FileInfo) {
		if strings.HasSuffix(f.Path, ".log") && strings.HasPrefix(f.Path, "orders-") {
			sum += f.Size
		}
	})
	return sum
}

// wallOff tells whether broker-1's wall clock is off by about d, either way.
func wallOff(d time.Duration) func(glimpse) bool {
	return func(g glimpse) bool {
		own := g.world.Clock(g.host("broker-1")).Wall(g.world.Now())
		other := g.world.Clock(g.host("broker-2")).Wall(g.world.Now())
		off := time.Duration(own-other) * time.Millisecond
		return off.Abs() > d/2
	}
}

// Goal: the end of one fault does not undo another of the same kind that goes on.
func TestOverlappingFaults(t *testing.T) {
	r, err := newRun(load(t, safe, `[
  { at: 2s, for: 20s, fault: disk, target: { node: broker-1 }, latency: 5ms },
  { at: 3s, for: 5s, fault: disk, target: { node: broker-1 }, latency: 50ms },
  { at: 4s, for: 20s, fault: kill, target: { follower_of: orders/0 } },
  { at: 5s, for: 5s, fault: disk, target: brokers, latency: 1ms }]`, "{}"), Options{Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	r.until(r.origin.Add(12 * time.Second))
	latency := time.Duration(0)
	for i := range r.faults.done {
		if s := &r.faults.done[i]; !s.over(r.world.Now()) && r.faults.events[s.event].Fault == "disk" {
			latency = max(latency, r.faults.events[s.event].Latency)
		}
	}
	if latency != 5*time.Millisecond {
		t.Errorf("the slow disk that goes on adds %s", latency)
	}
	for _, s := range r.faults.done {
		if r.faults.events[s.event].Fault == "kill" && r.world.State(s.hosts[0]) != sim.Exited {
			t.Error("the end of a slow disk has started a killed broker")
		}
	}
}

// Goal: what cannot be carried out makes a run inconclusive and says why.
func TestFaultsThatDoNothing(t *testing.T) {
	for name, c := range map[string]struct{ timeline, want string }{
		"nobody to hold": {"{ at: 5s, for: 30s, fault: kill, target: controllers }, { at: 20s, for: 5s, fault: hold_rpc, api: Fetch, from: one, to: active_controller }",
			"hold_rpc at 20s did nothing: active_controller was nobody"},
		"two restarts": {"{ at: 5s, operator: rolling_restart }, { at: 6s, operator: rolling_restart }",
			"rolling_restart at 6s did nothing: another rolling restart was still under way"},
		"nothing to cancel": {"{ at: 2s, operator: reassign, partition: orders/0 }",
			"the cluster refused what an operator wanted of orders [0] with error 85"},
		"never moved": {"{ at: 2s, fault: kill, target: { node: broker-1 } }, { at: 15s, operator: reassign, partition: orders/0, to: { nodes: [broker-2, broker-1] } }",
			"reassign of orders/0 to [2 1] was not complete at the end"},
		"nobody to take over": {"{ at: 2s, operator: add_brokers, zones: [a] }, { at: 10s, fault: kill, target: { node: broker-4 } }, { at: 12s, operator: decommission, target: { node: broker-1 } }",
			"decommission of broker-1: it still held"},
		"never back": {"{ at: 2s, fault: kill, target: { node: broker-1 } }, { at: 5s, operator: rolling_restart, target: { node: broker-1 } }",
			"the rolling restart of broker-1 was still waiting for broker-1 at the end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := runSeed(t, load(t, safe, "["+c.timeline+"]", "{}"), 1)
			if !strings.Contains(strings.Join(res.Reasons, "\n"), c.want) || res.Verdict == "pass" {
				t.Errorf("%s, reasons: %q", res.Verdict, res.Reasons)
			}
		})
	}
}

// Goal: a fault reads well in a report, whatever its verb.
func TestFaultsRead(t *testing.T) {
	s := load(t, safe, `[
  { at: 1s, for: 1s, fault: partition, between: [[a], [b, c]], direction: to },
  { at: 3s, for: 1s, fault: link, zones: [a, b], latency: 20ms, loss: 1.5%, bandwidth: 10Mbit },
  { at: 5s, fault: clock, target: { node: broker-1 }, bump: -5m },
  { at: 7s, for: 1s, fault: hold_rpc, api: AlterPartition, from: { leader_of: orders/0 }, to: active_controller },
  { at: 9s, for: 1s, fault: zone_outage, target: { zone: b }, mode: kill },
  { at: 11s, for: 1s, fault: dns, target: { clients: [writer] }, fail: true },
  { at: 13s, fault: dns, target: { node: broker-1 }, change_ip: true },
  { at: 15s, for: 1s, fault: stress, target: { node: broker-2 }, cpu: 80% }]`, "{}")
	want := []string{
		"partition a ← b, c ()", "link a ↔ b (latency +20ms, loss 1.5%, 10 Mbit/s)", "clock broker-1 (bump -5m0s)",
		"hold_rpc AlterPartition leader_of orders/0 → active_controller (0 held)", "zone_outage zone b (kill)",
		"dns writer-1, writer-2, writer-3 (lookups get no answer)", "dns broker-1 (another address)", "stress broker-2 (cpu 80%)",
	}
	res := runSeed(t, s, 1)
	for i, f := range res.Faults {
		if got := f.Name + " " + f.Target + " (" + f.Detail + ")"; got != want[i] {
			t.Errorf("got %q, want %q", got, want[i])
		}
	}
}
