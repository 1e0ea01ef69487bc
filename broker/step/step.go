// Package step holds what every part of a node needs while one event is being
// handled: the time, the effects so far, the node's timers and its seeded
// random numbers. It owns no state that outlives the node and decides nothing.
package step

import (
	"fmt"
	"math/rand/v2"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// The components of a node. A timer.ID or edge.Token carries its component as
// Owner, and the node hands it back there.
const (
	OwnerNode uint8 = iota + 1
	OwnerConn
	OwnerCaller
	OwnerLog
	OwnerPartition
	OwnerFetcher
	OwnerController
	OwnerLifecycle
	OwnerMetadata
	OwnerGroup
	OwnerForward
	OwnerLogDirs
)

// Context is one Step in progress. Components receive it as an argument and
// never keep it.
type Context struct {
	Now     clock.Instant
	Wall    clock.Wall
	Out     *edge.Effects
	Timers  *timer.Queue
	Random  *rand.Rand
	Buffers *edge.Pool
	Verdict edge.Verdict // of the event's frame
}

// Logf adds a line to the node's log.
func (c *Context) Logf(severity edge.Severity, format string, args ...any) {
	c.Out.Logs = append(c.Out.Logs, edge.LogLine{Severity: severity, Text: fmt.Sprintf(format, args...)})
}

// Halt ends the process after this Step, as a broker does whose only log
// directory has failed. The first reason stands.
func (c *Context) Halt(format string, args ...any) {
	if c.Out.Halt == "" {
		c.Out.Halt = fmt.Sprintf(format, args...)
	}
}
