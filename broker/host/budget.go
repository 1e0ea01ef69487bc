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
	// passTime is how long after memory has come back it counts as on its way to
	// those who wait: quick clients need no longer to fill it.
	passTime = 100 * time.Millisecond
	// tightPart is the part of the common memory below which new frames begin with
	// little.
	tightPart = 4
	// reservePart is the part of all memory that only short frames may take.
	reservePart = 4
	// shortFrameBytes is the longest short frame. A connection may have as much with
	// the machine and still send short ones.
	shortFrameBytes = 16 << 10
)

// budget is the memory that frames may take, of all connections together, from
// their first byte until the machine has settled them. Readers that find it used
// up stop reading, so that their peers' TCP windows fill. Whoever waits is served
// in order, frames that have begun before new ones. Clients that hold it with
// frames that do not come to an end lose them to those who wait.
//
// A part of it is for short frames, each of a connection that has little with the
// machine: requests that move much may have to wait for what such frames ask for,
// a follower's fetch or a heartbeat, which must not wait for them.
type budget struct {
	mu       sync.Mutex
	total    int64
	reserved int64     // of total
	left     int64     // of the common part; below zero by less than one frame, and by what the machine has asked for
	reserve  int64     // left of the reserved part
	short    []*waiter // for short frames
	growing  []*waiter // with frames that have begun
	waiting  []*waiter
	kept     int64     // of whole frames that the machine has not settled
	moved    time.Time // when it last gave back of the common part
	slowest  *holder   // of the frames that are being read, in the order in which they began
	newest   *holder
	closed   bool
}

type waiter struct {
	n      int
	since  time.Time
	let    chan struct{} // closed when the wait has ended
	served bool          // it ended well; its reader may not have noticed yet
	gaveUp bool          // or was made to
}

// holder is a frame that has begun, of one connection.
type holder struct {
	began        time.Time
	waited       time.Duration // for memory, since then
	bytes        int           // of the budget
	waits        *waiter       // for more of it
	abort        func()        // ends the connection
	ended        bool
	older, newer *holder
	linked       bool
}

// waiting tells whether a frame still has to wait for memory.
func (h *holder) waiting() bool { return h.waits != nil && !h.waits.served }

// slow tells whether a frame's client has taken long to send what there was memory for.
func (h *holder) slow(now time.Time) bool {
	if h.waits != nil {
		now = h.waits.since
	}
	return now.Sub(h.began)-h.waited >= pressureTime
}

var errStopped = errors.New("the node has stopped")

var errShed = errors.New("the frame has held memory for long and others wait for it (queued.max.request.bytes)")

func newBudget(total int64) *budget {
	reserved := total / reservePart
	return &budget{total: total, reserved: reserved, left: total - reserved, reserve: reserved}
}

// demand takes n bytes at once, for what the machine itself has asked for: it
// would wait for frames that perhaps wait for just this.
func (b *budget) demand(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left -= int64(n)
}

// grant takes n bytes if it may: in the common part while anything is left there.
func (b *budget) grant(n int, short bool) bool {
	switch {
	case b.left > 0:
		b.left -= int64(n)
	case short && b.reserve >= int64(n):
		b.reserve -= int64(n)
	default:
		return false
	}
	return true
}

// queue returns where to wait, and whether others do so before.
func (b *budget) queue(h *holder, short bool) (q *[]*waiter, behind bool) {
	switch {
	case short:
		return &b.short, next(&b.short) != nil
	case h != nil:
		return &b.growing, next(&b.growing) != nil
	}
	return &b.waiting, next(&b.waiting) != nil || next(&b.growing) != nil
}

// take waits until anything is left, and then takes n bytes, for a frame that
// holds some or, with none, for a new one, which may be a short one. A negative limit waits for ever: right
// for who holds nothing of the budget yet. Whoever does must not, since all that
// is left may be held by those who wait.
func (b *budget) take(n int, short bool, h *holder, limit time.Duration) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errStopped
	}
	q, behind := b.queue(h, short)
	if !behind && b.grant(n, short) {
		b.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, since: time.Now(), let: make(chan struct{})}
	if h != nil {
		h.waits = w
	}
	*q = append(*q, w)
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
	switch {
	case b.closed:
		return errStopped
	case w.gaveUp:
		return errShed
	}
	if h != nil {
		h.waited += time.Since(w.since)
	}
	return nil
}

// close ends every wait: the machine has ended and gives nothing back.
func (b *budget) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, queue := range [...]*[]*waiter{&b.short, &b.growing, &b.waiting} {
		for w := next(queue); w != nil; w = next(queue) {
			w.gaveUp = true
			close(w.let)
		}
	}
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

// shed ends the connections of clients that are slow with their frames, for as much
// as is waited for. A frame that waits for more is spared while the machine has enough
// for the first of those who wait, or has just given it back. If it has not, they may
// wait for each other, and the oldest frames must go, however quick their clients are.
// Of those who wait the first one sees to it.
func (b *budget) shed(w *waiter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.first() != w {
		return
	}
	wanted := -b.left
	for _, queue := range [...][]*waiter{b.short, b.growing, b.waiting} {
		for _, w := range queue {
			if !w.gaveUp {
				wanted += int64(w.n)
			}
		}
	}
	now := time.Now()
	comes := b.left+b.kept > b.reserved-b.reserve || now.Sub(b.moved) < passTime
	wanted = b.end(w, wanted, func(h *holder) bool { return h.slow(now) && !(comes && h.waiting()) })
	if !comes {
		b.end(w, wanted, func(h *holder) bool { return now.Sub(h.began) >= pressureTime })
	}
}

// end ends frames that are being read, but not the one of w, until they have held
// wanted bytes. It returns what is missing.
func (b *budget) end(w *waiter, wanted int64, which func(h *holder) bool) (missing int64) {
	for h := b.slowest; h != nil && wanted > 0; h = h.newer {
		if h.ended || h.waits == w || !which(h) {
			continue
		}
		if h.waiting() {
			h.waits.gaveUp = true
			close(h.waits.let)
		} else {
			h.abort()
		}
		h.ended = true
		wanted -= int64(h.bytes)
	}
	return wanted
}

// reading says that a frame which holds bytes of the budget is not complete.
func (b *budget) reading(h *holder, bytes int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h.bytes = bytes
	if !h.linked {
		b.link(h, now)
	}
}

// hasRead says that it is whole, or never will be.
func (b *budget) hasRead(h *holder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlink(h)
}

// link makes h the newest of the frames that are being read.
func (b *budget) link(h *holder, now time.Time) {
	h.began, h.waited, h.linked, h.older = now, 0, true, b.newest
	if b.newest != nil {
		b.newest.newer = h
	} else {
		b.slowest = h
	}
	b.newest = h
}

func (b *budget) unlink(h *holder) {
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

// keep says that a whole frame is on its way to the machine, with n bytes.
func (b *budget) keep(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept += int64(n)
}

// settle gives back what frames took that the machine had.
func (b *budget) settle(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept -= int64(n)
	if b.put(n) {
		b.moved = time.Now()
	}
}

// giveBack ends the charge of a frame that the machine has not got.
func (b *budget) giveBack(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(n)
}

// put gives n bytes back and serves those who wait. Which part they were taken of
// does not matter: what a short frame holds fills the reserve first. It tells whether
// anything went to the common part.
func (b *budget) put(n int) bool {
	back := int64(n)
	if n <= shortFrameBytes+frameOverheadBytes {
		filled := min(back, b.reserved-b.reserve)
		b.reserve += filled
		back -= filled
	}
	b.left += back
	for _, queue := range [...]*[]*waiter{&b.short, &b.growing, &b.waiting} {
		for w := next(queue); w != nil && b.grant(w.n, queue == &b.short); w = next(queue) {
			w.served = true
			close(w.let)
			*queue = (*queue)[1:]
		}
	}
	return back > 0
}

// first returns who is served next, or nil.
func (b *budget) first() *waiter {
	for _, queue := range [...]*[]*waiter{&b.short, &b.growing, &b.waiting} {
		if w := next(queue); w != nil {
			return w
		}
	}
	return nil
}

// next returns who is served next in a queue, or nil.
func next(queue *[]*waiter) *waiter {
	for len(*queue) > 0 {
		if w := (*queue)[0]; !w.gaveUp {
			return w
		}
		*queue = (*queue)[1:]
	}
	return nil
}

// tight says that little is left, so that a frame of which nothing has come
// should take little.
func (b *budget) tight() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left < (b.total-b.reserved)/tightPart
}

// used returns how many bytes are taken.
func (b *budget) used() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total - b.left - b.reserve
}
