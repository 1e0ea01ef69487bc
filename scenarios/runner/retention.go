package runner

import (
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// retention is what may take the oldest records of a topic away.
type retention struct {
	deletes bool          // cleanup.policy has delete
	age     time.Duration // retention.ms; negative keeps for ever
	bytes   int64         // retention.bytes of a partition; negative is no limit
	// compacted logs shrink by their cleaners too, so that their size proves nothing.
	compacted bool
	// vague: clocks are set, or bytes at rest changed, by which brokers tell the age
	// of records. Then the policy alone is asked for.
	vague bool
}

func retentionOf(s *scenarios.Scenario, t *scenarios.Topic) retention {
	return retention{
		deletes: t.Settings.CleanupPolicy.Has(config.CleanupDelete), age: time.Duration(t.Settings.RetentionMillis) * time.Millisecond,
		bytes: t.Settings.RetentionBytes, compacted: t.Compacted(),
		vague: slices.ContainsFunc(s.Timeline, func(e scenarios.Event) bool { return e.Fault == "clock" || e.BitFlip > 0 || e.Truncate > 0 }),
	}
}

// leaderLog is the log of a leader in an epoch: where it begins now, and its bytes.
type leaderLog struct {
	epoch       int32
	start, size int64
}

// reason says why a leader's log begins at an offset behind the one where it began
// before; zero if nothing permits it. By size a segment goes only if what remains
// still has retention.bytes, by age only if the youngest record in it is older than
// retention.ms: the record's time is that at which it was due. Who has just been
// elected may have deleted as a follower, whose log is not known: of it only the
// policy is asked, and whether anything can be that old yet.
func (x *retention) reason(p *predicted, log leaderLog, now clock.Instant) lin.LogStartReason {
	inTerm := len(p.epochs) > 0 && p.epochs[len(p.epochs)-1].epoch == log.epoch
	big := x.bytes >= 0 && (x.vague || x.compacted || !inTerm || log.size >= x.bytes)
	old := x.age >= 0 && (x.vague || now >= clock.Instant(x.age) && (!inTerm || !p.youngerThan(x.age, log.start, now)))
	if x.deletes && (big || old) {
		return lin.RetentionReason
	}
	return 0
}

// youngerThan tells whether a batch that is acknowledged and stood below an offset
// has a record of less than that age.
func (p *predicted) youngerThan(age time.Duration, offset int64, now clock.Instant) bool {
	return slices.ContainsFunc(p.acked, func(b ackedBatch) bool { return b.base < offset && now.Sub(b.due) < age })
}
