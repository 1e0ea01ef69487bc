package real

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// weather is what one fault adds to the directions that it covers, while it
// lasts. Their bandwidth is shared.
type weather struct {
	latency, jitter time.Duration // the jitter is drawn between zero and this
	loss            scenarios.PPM // of chunks; lost ones are sent again
	bandwidth       scenarios.Bandwidth
	busy            time.Time // until when what has come fills the bandwidth
}

const (
	// retransmission is how long Linux waits at least before it sends again, and
	// retransmissionsMax how often the wait doubles.
	retransmission     = 200 * time.Millisecond
	retransmissionsMax = 6
)

// worsen begins a fault and returns what ends it.
func (n *network) worsen(directions []direction, w *weather) (heal func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range directions {
		n.weather[d] = append(n.weather[d], w)
	}
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, d := range directions {
			n.weather[d] = slices.DeleteFunc(n.weather[d], func(other *weather) bool { return other == w })
		}
	}
}

// due is when bytes that have come now arrive. What comes behind them on their
// connection arrives no sooner.
func (n *network) due(d direction, bytes int) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := time.Now()
	for _, w := range n.weather[d] {
		at = n.through(w, at, bytes)
	}
	return at
}

func (n *network) through(w *weather, at time.Time, bytes int) time.Time {
	if w.bandwidth > 0 {
		if w.busy.Before(at) {
			w.busy = at
		}
		w.busy = w.busy.Add(time.Duration(int64(bytes) * 8 * int64(time.Second) / int64(w.bandwidth)))
		at = w.busy
	}
	at = at.Add(w.latency)
	if w.jitter > 0 {
		at = at.Add(time.Duration(n.random.Int64N(int64(w.jitter))))
	}
	for wait, tries := retransmission, 0; tries < retransmissionsMax && n.random.Int64N(1_000_000) < int64(w.loss); tries++ {
		at = at.Add(wait)
		wait *= 2
	}
	return at
}
