package clock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Goal: a node's wake-ups are never early and never later than they must be,
// monotonic time never goes back, and only the wall jumps. Method: a random
// history of drifts, bumps and strobes; after each step random deadlines.
func TestNodeClockHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := Wall(rapid.Int64Range(0, 4e12).Draw(t, "start"))
		c := NewNodeClock(start)
		now, last := Instant(0), Instant(0)
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			now += Instant(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "elapsed"))
			mono, wall := c.Now(now), c.Wall(now)
			if mono < last {
				t.Fatalf("monotonic time went back from %d to %d", last, mono)
			}
			last = mono
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				c.SetDrift(now, ppm(t, "mono"), ppm(t, "wall"))
				if c.Wall(now) != wall {
					t.Fatalf("wall jumped from %d to %d with a change of drift", wall, c.Wall(now))
				}
			case 1:
				d := rapid.Int64Range(-1e9, 1e9).Draw(t, "bump") // milliseconds
				c.Bump(time.Duration(d) * time.Millisecond)
				if got := c.Wall(now); got != wall+Wall(d) {
					t.Fatalf("wall %d after a bump of %d ms from %d", got, d, wall)
				}
			case 2:
				c.SetStrobe(Strobe{From: now, Until: now.Add(time.Hour), Period: time.Second, Delta: time.Minute})
			}
			if c.Now(now) != mono {
				t.Fatalf("monotonic time jumped from %d to %d", mono, c.Now(now))
			}
			checkTrue(t, &c, now, mono)
		}
	})
}

func checkTrue(t *rapid.T, c *NodeClock, now, mono Instant) {
	at := mono + Instant(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "deadline"))
	due := c.True(at)
	if c.Now(max(due, now)) < at {
		t.Fatalf("woken at true %d the node reads %d, before its deadline %d", due, c.Now(due), at)
	}
	if due > now && c.Now(due-1) >= at {
		t.Fatalf("true %d is later than it must be for deadline %d", due, at)
	}
}

func ppm(t *rapid.T, label string) int32 {
	return rapid.Int32Range(-DriftMaxPPM, DriftMaxPPM).Draw(t, label)
}

func TestNeverIsNever(t *testing.T) {
	c := NewNodeClock(0)
	c.SetDrift(0, -DriftMaxPPM, 0)
	if c.True(Never) != Never || c.True(Never-1) != Never || c.Now(Never) != Never {
		t.Fatal("Never became an instant")
	}
}

func TestStrobeFlipsTheWallOnly(t *testing.T) {
	v := NewVirtual(1000, 1)
	v.Node(0).SetStrobe(Strobe{From: 2e9, Until: 5e9, Period: time.Second, Delta: time.Hour})
	view := v.View(0)
	for _, step := range []struct {
		at   Instant
		wall Wall
	}{{0, 1000}, {2e9, 3000}, {3e9, 4000 + 3600e3}, {4e9 - 1, 4999 + 3600e3}, {4e9, 5000}, {5e9, 6000}} {
		v.Advance(step.at)
		if view.Wall() != step.wall || view.Now() != step.at || v.Wall() != 1000+Wall(step.at/1e6) {
			t.Fatalf("at %v: wall %d, want %d; monotonic %v", step.at, view.Wall(), step.wall, view.Now())
		}
	}
}

func TestCorrectPutsTheWallRight(t *testing.T) {
	c := NewNodeClock(5000)
	c.SetDrift(0, 1000, -1000)
	c.Bump(-time.Hour)
	mono := c.Now(10e9)
	c.Correct(10e9, 5000)
	if c.Wall(20e9) != 25000 || c.Now(10e9) != mono || c.Now(20e9) != mono+10e9 {
		t.Fatalf("wall %d, monotonic %d then %d", c.Wall(20e9), mono, c.Now(20e9))
	}
}

func TestSystemDoesNotGoBack(t *testing.T) {
	s := NewSystem()
	var c Clock = s
	a := c.Now()
	if b := c.Now(); b < a {
		t.Fatalf("monotonic time went back from %d to %d", a, b)
	}
	if c.Wall() < 1.5e12 {
		t.Fatalf("wall clock reads %d ms", c.Wall())
	}
}
