package host

import (
	"fmt"
	"sync"
	"time"
)

// budget is the memory that frames on their way to the core may take. Readers
// that find it used up stop reading, so that their peers' TCP windows fill.
// Whoever waits is served in order.
type budget struct {
	mu      sync.Mutex
	total   int64
	left    int64 // below zero by less than one frame
	waiting []*waiter
}

type waiter struct {
	n      int
	let    chan struct{}
	gaveUp bool
}

func newBudget(total int64) *budget { return &budget{total: total, left: total} }

// take waits until anything is left, and then takes n bytes. A negative limit
// waits for ever: right for who holds nothing of the budget yet. Whoever does
// must not, since all that is left may be held by those who wait.
func (b *budget) take(n int, limit time.Duration) error {
	b.mu.Lock()
	if b.left > 0 && len(b.waiting) == 0 {
		b.left -= int64(n)
		b.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, let: make(chan struct{})}
	b.waiting = append(b.waiting, w)
	b.mu.Unlock()
	var expired <-chan time.Time
	if limit >= 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-w.let:
		return nil
	case <-expired:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.let:
		return nil // in the same moment
	default:
	}
	w.gaveUp = true
	return fmt.Errorf("no memory for %d bytes in %v: frames in flight hold all %d (queued.max.request.bytes)", n, limit, b.total)
}

func (b *budget) giveBack(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += int64(n)
	for b.left > 0 && len(b.waiting) > 0 {
		w := b.waiting[0]
		b.waiting[0] = nil
		b.waiting = b.waiting[1:]
		if !w.gaveUp {
			b.left -= int64(w.n)
			close(w.let)
		}
	}
}

// used returns how many bytes are taken.
func (b *budget) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total - b.left
}
