package clock

import "time"

// System is the machine's clock. Only a real host uses it; nothing in the core
// or in a simulation may.
type System struct{ origin time.Time }

// NewSystem returns a clock whose Instant starts at zero now.
func NewSystem() *System { return &System{origin: time.Now()} }

// Now returns the time since the clock was made. The runtime's monotonic
// reading is used, so that setting the wall clock does not move it.
func (s *System) Now() Instant { return Instant(time.Since(s.origin)) }

// Wall returns the machine's wall clock.
func (s *System) Wall() Wall { return Wall(time.Now().UnixMilli()) }
