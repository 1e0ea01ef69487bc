package host

import (
	"errors"
	"testing"
	"time"
)

// frameThatWaits is one that has been read for so long, holds some of a budget and
// waits for more.
func frameThatWaits(b *budget, held, more int, read time.Duration) *holder {
	now := time.Now()
	h := &holder{abort: func() {}}
	b.reading(h, held, now.Add(-read))
	h.waits = &waiter{n: more, since: now, let: make(chan struct{})}
	b.growing = append(b.growing, h.waits)
	b.left -= int64(held)
	return h
}

// newFrame waits for memory to begin with.
func newFrame(b *budget, n int) *waiter {
	w := &waiter{n: n, since: time.Now(), let: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	return w
}

func hasEnded(w *waiter) bool {
	select {
	case <-w.let:
		return true
	default:
		return false
	}
}

// A frame that has just been given what it waited for is not ended before its reader
// has noticed: its wait cannot end twice.
func TestAFrameThatHasBeenServedIsSpared(t *testing.T) {
	b := newBudget(400) // of which 300 are common
	h := frameThatWaits(b, 250, 100, 2*pressureTime)
	begins := newFrame(b, 200)
	b.left -= 50 // others have the rest
	b.giveBack(50)
	w := h.waits
	if !hasEnded(w) || hasEnded(begins) {
		t.Fatal("memory for one of them did not go to the frame that has begun")
	}
	b.shed(begins)
	if err := b.outcome(w, h); err != nil {
		t.Errorf("the frame ended with %q", err)
	}
}

// Who must wait for memory is not slow: others have it and will give it back.
func TestAQuickFrameWaitsAsLongAsItTakes(t *testing.T) {
	b := newBudget(800)
	first, quick := frameThatWaits(b, 100, 100, 0), frameThatWaits(b, 80, 100, pressureTime/2)
	for _, h := range []*holder{first, quick} {
		h.began, h.waits.since = h.began.Add(-time.Hour), h.waits.since.Add(-time.Hour)
	}
	slow := &holder{abort: func() {}}
	b.reading(slow, 80, time.Now().Add(-pressureTime))
	b.left = 0 // the machine has the rest
	b.keep(340)
	b.shed(first.waits)
	if first.ended || quick.ended || !slow.ended {
		t.Errorf("ended: the first %t, a quick one %t, a slow one %t; want only the last", first.ended, quick.ended, slow.ended)
	}
	w := quick.waits
	b.settle(300)
	if err := b.outcome(w, quick); err != nil || quick.slow(time.Now()) {
		t.Errorf("after an hour the quick one was told %v, and is slow: %t", err, quick.slow(time.Now()))
	}
}

// Frames that hold all there is and wait for more wait for each other. Some go, the
// oldest first, but not the one whose turn it is, nor any while the machine has some of
// the common part, or has just given it back.
func TestFramesThatWaitForEachOther(t *testing.T) {
	b := newBudget(400)
	var all []*holder
	for range 6 {
		h := frameThatWaits(b, 50, 10, 0)
		h.began, h.waits.since = h.began.Add(-pressureTime), h.waits.since.Add(-pressureTime)
		all = append(all, h)
	}
	first := all[0].waits
	nobodyGoes := func(why string) {
		t.Helper()
		b.shed(first)
		for i, h := range all {
			if h.ended {
				t.Errorf("frame %d went although %s", i, why)
			}
		}
	}
	b.keep(50)
	nobodyGoes("the machine has some memory")
	b.left -= 50
	b.settle(50)
	nobodyGoes("the machine has just given some back")
	b.moved = b.moved.Add(-passTime)
	b.keep(20)
	b.reserve -= 20 // that is of no use to them
	b.shed(first)
	for i, h := range all {
		if want := i == 1 || i == 2; h.ended != want { // with 50 bytes each, for 60
			t.Errorf("frame %d: ended %t", i, h.ended)
		}
	}
	if err := b.outcome(all[1].waits, all[1]); !errors.Is(err, errShed) {
		t.Errorf("a frame that went was told %v", err)
	}
	b.giveBack(50)
	if !first.served {
		t.Error("the first frame did not get what another gave back")
	}
}
