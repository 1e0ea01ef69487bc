package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/clock"
)

// eventTimesMax bounds what is kept of when events happened: beyond it every other
// entry goes, so that times become coarser, by milliseconds in the longest runs.
const eventTimesMax = 1 << 16

// eventTimes says when an event of the trace happened, for people.
type eventTimes struct {
	list []eventTime
	step uint64 // events between two entries
}

type eventTime struct {
	event uint64
	at    clock.Instant
}

// note remembers that this event happens now.
func (t *eventTimes) note(event uint64, now clock.Instant) {
	if n := len(t.list); n > 0 && event < t.list[n-1].event+t.step {
		return
	}
	t.list = append(t.list, eventTime{event, now})
	if len(t.list) < eventTimesMax {
		return
	}
	kept := t.list[:0]
	for i := 0; i < len(t.list); i += 2 {
		kept = append(kept, t.list[i])
	}
	t.list, t.step = kept, max(2, 2*t.step)
}

// at is when an event happened, or the last one before it that is known.
func (t *eventTimes) at(event uint64) clock.Instant {
	i, found := slices.BinarySearchFunc(t.list, event, func(e eventTime, event uint64) int {
		return int(min(max(int64(e.event)-int64(event), -1), 1))
	})
	if !found {
		i--
	}
	if i < 0 {
		return 0
	}
	return t.list[i].at
}
