package host

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// pressureTime is how long a frame that has begun may take while others wait
	// for memory.
	pressureTime = time.Second
	// tightPart is the part of all memory below which new frames begin with little.
	tightPart = 4
)

// budget is the memory that frames on their way to the core may take, of all
// connections together. Readers that find it used up stop reading, so that their
// peers' TCP windows fill. Whoever waits is served in order, frames that have
// begun before new ones. Clients that hold it with frames that do not come to an
// end lose them to those who wait.
type budget struct {
	mu      sync.Mutex
	total   int64
	left    int64     // below zero by less than one frame
	growing []*waiter // with frames that have begun
	waiting []*waiter
	slowest *holder // of the frames that are being read, in the order in which they began
	newest  *holder
}

type waiter struct {
	n      int
	let    chan struct{}
	gaveUp bool // or was made to
}

// holder is a frame that has begun, of one connection.
type holder struct {
	since        time.Time
	bytes        int     // of the budget
	waits        *waiter // for more of it
	abort        func()  // ends the connection
	ended        bool
	older, newer *holder
	linked       bool
}

var errShed = errors.New("the frame has held memory for long and others wait for it (queued.max.request.bytes)")

func newBudget(total int64) *budget { return &budget{total: total, left: total} }

// take waits until anything is left, and then takes n bytes, for a frame that
// holds some or, with none, for a new one. A negative limit waits for ever: right
// for who holds nothing of the budget yet. Whoever does must not, since all that
// is left may be held by those who wait.
func (b *budget) take(n int, h *holder, limit time.Duration) error {
	b.mu.Lock()
	if b.left > 0 && len(b.growing)+len(b.waiting) == 0 {
		b.left -= int64(n)
		b.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, let: make(chan struct{})}
	if h != nil {
		h.waits = w
		b.growing = append(b.growing, w)
	} else {
		b.waiting = append(b.waiting, w)
	}
	b.mu.Unlock()
	var expired <-chan time.Time
	if limit >= 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	pressure := time.NewTicker(pressureTime)
	defer pressure.Stop()
	for {
		select {
		case <-w.let:
			return b.outcome(w, h)
		case <-pressure.C:
			b.shed(w)
			continue
		case <-expired:
		}
		if b.giveUp(w, h) {
			return fmt.Errorf("no memory for %d bytes in %v: frames in flight hold all %d (queued.max.request.bytes)", n, limit, b.total)
		}
		return b.outcome(w, h)
	}
}

// outcome is how the wait of one who was let go has ended.
func (b *budget) outcome(w *waiter, h *holder) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h != nil {
		h.waits = nil
	}
	if w.gaveUp {
		return errShed
	}
	return nil
}

// giveUp is false if the waiter has been let go in the same moment.
func (b *budget) giveUp(w *waiter, h *holder) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h != nil {
		h.waits = nil
	}
	select {
	case <-w.let:
		return false
	default:
	}
	w.gaveUp = true
	return true
}

// shed ends the connections whose frames have taken longest, for as much as is
// waited for. Of those who wait the first one sees to it.
func (b *budget) shed(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first() != w {
		return
	}
	wanted := -b.left
	for _, w := range b.growing {
		wanted += int64(w.n)
	}
	for _, w := range b.waiting {
		wanted += int64(w.n)
	}
	now := time.Now()
	for h := b.slowest; h != nil && now.Sub(h.since) >= pressureTime && wanted > 0; h = h.newer {
		switch {
		case h.ended:
			continue
		case h.waits == nil:
			h.abort()
		case h.waits == w:
			continue // it is its turn
		default:
			h.waits.gaveUp = true
			close(h.waits.let)
		}
		h.ended = true
		wanted -= int64(h.bytes)
	}
}

// reading says that a frame which holds bytes of the budget is not complete.
func (b *budget) reading(h *holder, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.bytes = bytes
	if h.linked {
		return
	}
	h.linked, h.older, h.newer = true, b.newest, nil
	if b.newest != nil {
		b.newest.newer = h
	} else {
		b.slowest = h
	}
	b.newest = h
}

// hasRead says that it is, or never will be.
func (b *budget) hasRead(h *holder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !h.linked {
		return
	}
	if h.older != nil {
		h.older.newer = h.newer
	} else {
		b.slowest = h.newer
	}
	if h.newer != nil {
		h.newer.older = h.older
	} else {
		b.newest = h.older
	}
	h.linked, h.older, h.newer = false, nil, nil
}

func (b *budget) giveBack(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left += int64(n)
	for b.left > 0 {
		w := b.first()
		if w == nil {
			return
		}
		b.left -= int64(w.n)
		close(w.let)
		if len(b.growing) > 0 {
			b.growing = b.growing[1:]
		} else {
			b.waiting = b.waiting[1:]
		}
	}
}

// first returns who is served next, or nil.
func (b *budget) first() *waiter {
	for _, queue := range [...]*[]*waiter{&b.growing, &b.waiting} {
		for len(*queue) > 0 {
			if w := (*queue)[0]; !w.gaveUp {
				return w
			}
			*queue = (*queue)[1:]
		}
	}
	return nil
}

// tight says that little is left, so that a frame of which nothing has come
// should take little.
func (b *budget) tight() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left < b.total/tightPart
}

// used returns how many bytes are taken.
func (b *budget) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total - b.left
}
