package runner

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
)

// cleanerPass bounds one pass of a cleaner over a log of a scenario's size while
// nothing slows it down; slowOperations is how many disk operations one then takes
// at most, each of which a slow disk delays.
const (
	cleanerPass    = 2 * time.Second
	slowOperations = 200
)

// passOf bounds one pass of a cleaner: it stands still with its broker, and takes
// longer with a slow disk.
func passOf(s *scenarios.Scenario) time.Duration {
	pass := cleanerPass
	for i := range s.Timeline {
		e := &s.Timeline[i]
		switch {
		case e.Target.Kind == scenarios.TargetClients:
		case e.Fault == "pause", e.Fault == "stress":
			pass += e.For
		case e.Fault == "disk":
			pass += slowOperations * e.Latency
		}
	}
	return pass
}

// returnTime is how long a replica may need to follow its leader again and to have
// caught up.
const returnTime = 20 * time.Second

// awayOf bounds how long the timeline keeps a replica from following its leader,
// faults that overlap taken together. One that never returns misses nothing.
func awayOf(s *scenarios.Scenario) (longest time.Duration) {
	events := slices.Clone(s.Timeline)
	slices.SortStableFunc(events, func(a, b scenarios.Event) int { return cmp.Compare(a.At, b.At) })
	var from, to time.Duration
	for i := range events {
		e := &events[i]
		if e.Target.Kind == scenarios.TargetClients || e.Operator == "move_leader" || e.Operator == "add_partitions" || e.Operator == "admin_storm" {
			continue
		}
		end := e.End()
		if end == e.At {
			end = s.Duration + s.Settle // until then, as far as the file tells
		}
		if begin := e.At - e.Age; begin > to { // a restored disk has been away since it was copied
			from = begin
		} else {
			from = min(from, begin)
		}
		to = max(to, end+returnTime)
		longest = max(longest, to-from)
	}
	return longest
}

// CompactionOf is what the cleaners of a topic may do.
func CompactionOf(s *scenarios.Scenario, t *scenarios.Topic) lin.Compaction {
	return lin.Compaction{
		MinLagMillis: t.Settings.MinCompactionLagMillis, DeleteRetentionMillis: t.Settings.DeleteRetentionMillis,
		PassMillis: passOf(s).Milliseconds(),
	}
}

// compactionTraits is what the claims about compaction are a function of.
func compactionTraits(s *scenarios.Scenario) (c lin.CompactionTraits) {
	for i := range s.Topics {
		t := &s.Topics[i]
		if !t.Compacted() {
			continue
		}
		if c.Topics == 0 || t.Settings.MinCompactionLagMillis < c.MinLagMillis {
			c.MinLagMillis = t.Settings.MinCompactionLagMillis
		}
		if c.Topics == 0 || t.Settings.DeleteRetentionMillis < c.DeleteRetentionMillis {
			c.DeleteRetentionMillis = t.Settings.DeleteRetentionMillis
		}
		c.DeletedToo = c.DeletedToo || t.Settings.CleanupPolicy.Has(config.CleanupDelete)
		c.Topics++
	}
	c.PassMillis, c.AwayMillis = passOf(s).Milliseconds(), awayOf(s).Milliseconds()
	for i := range s.Timeline {
		c.ClocksWrong = c.ClocksWrong || s.Timeline[i].Fault == "clock"
	}
	return c
}

// keyedOf is what compaction looks at of records; valid until the next call.
func (l *ledger) keyedOf(keys []client.Key, intended []client.Due) []lin.Keyed {
	l.keyed = l.keyed[:0]
	for _, due := range intended {
		for range due.Count {
			k := client.NoKey // of a payload that lies about its record
			if at := len(l.keyed); at < len(keys) {
				k = keys[at]
			}
			l.keyed = append(l.keyed, lin.Keyed{Key: k.Number(), DueMillis: millisOf(due.At), Tombstone: k.Tombstone()})
		}
	}
	return l.keyed
}

func millisOf(at clock.Instant) int64 { return int64(at) / int64(time.Millisecond) }

// seenIn tells the checker where what it is shown comes from.
func seenIn(a *client.FetchAnswer) lin.Seen {
	return lin.Seen{AskedMillis: millisOf(a.Asked), FetchedMillis: millisOf(a.Fetched), Replica: int64(a.Epoch)<<32 | int64(uint32(a.Broker))}
}

// PassedOver implements client.ConsumerObserver. Only compaction leaves offsets
// without records behind; in other topics the checkers see what is missing by the
// next record, or the end.
func (l *ledger) PassedOver(o *client.PassedOver) {
	if l.topics[o.Topic].compacted {
		l.checker.PassedOver(o.Reader, partitionOf(o.Topic, o.Partition), o.To, seenIn(&o.FetchAnswer), l.event())
	}
}
