package host

import (
	"testing"
	"time"
)

// A frame that has just been given what it waited for is not ended for being slow:
// not before its reader has noticed, since its wait cannot end twice, and not at
// once after that, since the wait was not its client's fault.
func TestAFrameThatHasBeenServedIsSpared(t *testing.T) {
	b := newBudget(400) // of which 300 are common
	slow := &holder{abort: func() { t.Error("the connection was ended") }}
	b.reading(slow, 200, time.Now().Add(-2*pressureTime))
	served := &waiter{n: 100, let: make(chan struct{})}
	slow.waits = served
	b.growing = append(b.growing, served)
	next := &waiter{n: 200, let: make(chan struct{})}
	b.waiting = append(b.waiting, next)
	b.left = 0 // others hold the rest

	b.giveBack(50) // enough for one of them
	select {
	case <-served.let:
	default:
		t.Fatal("nobody was served")
	}
	b.shed(next)
	if err := b.outcome(served, slow); err != nil {
		t.Errorf("the frame ended with %q", err)
	}

	b.shed(next)
	slow.abort = func() {}
	slow.since = slow.since.Add(-pressureTime)
	if b.shed(next); !slow.ended {
		t.Error("a frame that goes on and on keeps its memory")
	}
}
