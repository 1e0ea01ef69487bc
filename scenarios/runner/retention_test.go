package runner

import (
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
)

// Goal: a log start moves for the reasons that its topic's settings give, and for no
// other. Method: the log of a leader in epoch 3 begins at 20 now, 100 s after the
// cluster was started; its records below were due at 40 s at the latest, those behind
// at 60 s.
func TestReasonOfALogStart(t *testing.T) {
	const now = clock.Instant(100 * time.Second)
	at := func(seconds int) clock.Instant { return clock.Instant(time.Duration(seconds) * time.Second) }
	p := &predicted{
		epochs: []epochBegin{{epoch: 3}},
		acked:  []ackedBatch{{base: 0, count: 10, due: at(40)}, {base: 10, count: 10, due: at(30)}, {base: 20, count: 10, due: at(60)}},
	}
	for _, c := range []struct {
		name string
		x    retention
		log  leaderLog
		want lin.LogStartReason
	}{
		{"kept for ever", retention{deletes: true, age: -1, bytes: -1}, leaderLog{3, 20, 0}, 0},
		{"only compacted", retention{age: 0, bytes: 0, compacted: true}, leaderLog{3, 20, 0}, 0},
		{"old enough", retention{deletes: true, age: 60 * time.Second, bytes: -1}, leaderLog{3, 20, 0}, lin.RetentionReason},
		{"too young", retention{deletes: true, age: 61 * time.Second, bytes: -1}, leaderLog{3, 20, 0}, 0},
		{"one batch too far", retention{deletes: true, age: 60 * time.Second, bytes: -1}, leaderLog{3, 30, 0}, 0},
		{"too young, deleted before the election", retention{deletes: true, age: 61 * time.Second, bytes: -1}, leaderLog{4, 20, 0}, lin.RetentionReason},
		{"older than the cluster", retention{deletes: true, age: 101 * time.Second, bytes: -1}, leaderLog{4, 20, 0}, 0},
		{"clocks are set", retention{deletes: true, age: 101 * time.Second, bytes: -1, vague: true}, leaderLog{3, 20, 0}, lin.RetentionReason},
		{"kept for ever, though clocks are set", retention{deletes: true, age: -1, bytes: -1, vague: true}, leaderLog{3, 20, 0}, 0},
		{"too large", retention{deletes: true, age: -1, bytes: 1000}, leaderLog{3, 20, 1000}, lin.RetentionReason},
		{"not too large", retention{deletes: true, age: -1, bytes: 1000}, leaderLog{3, 20, 999}, 0},
		{"too large once, deleted before the election", retention{deletes: true, age: -1, bytes: 1000}, leaderLog{4, 20, 999}, lin.RetentionReason},
		{"too large once, and compacted since", retention{deletes: true, age: -1, bytes: 1000, compacted: true}, leaderLog{3, 20, 999}, lin.RetentionReason},
	} {
		if got := c.x.reason(p, c.log, now); got != c.want {
			t.Errorf("%s: reason %d, want %d", c.name, got, c.want)
		}
	}
}
