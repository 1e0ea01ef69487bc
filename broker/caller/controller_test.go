package caller

import (
	"testing"
	"time"
)

// Goal: several parts of a node that look for the active controller do not take
// each other past it. In zone-failure-quick's seed 78 heartbeats and metadata
// fetches did for twelve seconds: whoever waited for the dead controller moved the
// search on from the living one when its own time was up.
func TestSearchForTheController(t *testing.T) {
	k := New(1, time.Second)
	k.SetControllers([]NodeID{1001, 1002, 1003})
	k.SetActiveController(1002)
	steps := []struct {
		what string
		do   func()
		want NodeID
	}{
		{"it fails", func() { k.ControllerFailed(1002) }, 1003},
		{"it fails another part, which had asked before", func() { k.ControllerFailed(1002) }, 1003},
		{"the next one is not it", func() { k.ControllerFailed(1003) }, 1001},
		{"a late failure of the first", func() { k.ControllerFailed(1002) }, 1001},
		{"it answers", func() { k.SetActiveController(1001) }, 1001},
		{"a failure of one that was asked before it", func() { k.ControllerFailed(1003) }, 1001},
		{"it fails in its turn", func() { k.ControllerFailed(1001) }, 1002},
	}
	for _, s := range steps {
		s.do()
		if got := k.Controller(); got != s.want {
			t.Fatalf("%s: controller %d is asked next, want %d", s.what, got, s.want)
		}
	}
}
