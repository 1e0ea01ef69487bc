// Package shrink owns the reduction of a failing scenario to a small one: fewer
// events, clients, partitions and nodes, shorter times and lower rates. It never
// runs anything itself and never judges; the caller says whether a candidate
// still fails.
package shrink

import (
	"bytes"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// AttemptsMax bounds how many candidates one call tries.
const AttemptsMax = 400

// Shrink returns the smallest scenario that it finds for which stillFails holds
// with the same seed. The caller should let stillFails hold only for the same
// kind of failure. What it returns is as the loader reads it; if nothing smaller
// fails, or s itself cannot be loaded again, it is s.
func Shrink(s *scenarios.Scenario, seed uint64, stillFails func(s *scenarios.Scenario, seed uint64) bool) *scenarios.Scenario {
	k := &shrinker{best: s, seed: seed, stillFails: stillFails, left: AttemptsMax}
	for progress := true; progress && k.left > 0; {
		progress = false
		for _, pass := range []func() bool{k.events, k.clients, k.topics, k.nodes, k.times, k.loads, k.settings} {
			progress = pass() || progress
		}
	}
	return k.best
}

type shrinker struct {
	best       *scenarios.Scenario
	seed       uint64
	stillFails func(*scenarios.Scenario, uint64) bool
	left       int // attempts
}

// try changes a copy of the best and keeps it if it still fails. A copy that the
// loader refuses, or that is no different, costs nothing.
func (k *shrinker) try(change func(*scenarios.Scenario)) bool {
	if k.left <= 0 {
		return false
	}
	before := scenarios.Marshal(k.best)
	candidate, err := scenarios.Load(before, k.best.File)
	if err != nil {
		return false
	}
	change(candidate)
	stayHonest(candidate)
	candidate.Expect.Minimums.Faults = min(candidate.Expect.Minimums.Faults, faults(candidate))
	if len(candidate.Timeline) == 0 {
		candidate.Expect.DuringFault, candidate.Expect.AfterHeal = nil, nil
	}
	after := scenarios.Marshal(candidate)
	if bytes.Equal(before, after) {
		return false
	}
	if candidate, err = scenarios.Load(after, k.best.File); err != nil {
		return false
	}
	k.left--
	if !k.stillFails(candidate, k.seed) {
		return false
	}
	k.best = candidate
	return true
}

// stayHonest withdraws the expectation that everything is read once a consumer
// may start behind what is there already: its failure would prove nothing.
func stayHonest(s *scenarios.Scenario) {
	earliest := scenarios.KV{Name: "auto.offset.reset", Value: "earliest"}
	for i := range s.Workload.Consumers {
		if slices.Contains(s.Workload.Consumers[i].Config, earliest) {
			continue
		}
		s.Expect.Safety = slices.DeleteFunc(slices.Clone(s.Expect.Safety), func(claim string) bool { return claim == "all_read" })
	}
	if len(s.Workload.Consumers) == 0 {
		s.Expect.Safety = slices.DeleteFunc(slices.Clone(s.Expect.Safety), func(claim string) bool { return claim == "all_read" })
	}
}

func faults(s *scenarios.Scenario) (n int64) {
	for i := range s.Timeline {
		if s.Timeline[i].Fault != "" {
			n++
		}
	}
	return n
}

// drop removes items of a list: halves first, then one by one from the end.
func drop[T any](k *shrinker, list func(*scenarios.Scenario) *[]T, least int) (progress bool) {
	for size := len(*list(k.best)) / 2; size > 0; size /= 2 {
		for at := len(*list(k.best)) - size; at >= 0; at -= size {
			if n := len(*list(k.best)); at+size > n || n-size < least {
				continue
			}
			cut := func(s *scenarios.Scenario) { l := list(s); *l = slices.Delete(slices.Clone(*l), at, at+size) }
			progress = k.try(cut) || progress
		}
	}
	if least == 0 && len(*list(k.best)) == 1 {
		progress = k.try(func(s *scenarios.Scenario) { *list(s) = nil }) || progress
	}
	return progress
}

// lower brings a number down: to the least at once, or else by halves.
func lower[N ~int64](k *shrinker, number func(*scenarios.Scenario) *N, least N) (progress bool) {
	if *number(k.best) <= least {
		return false
	}
	if k.try(func(s *scenarios.Scenario) { *number(s) = least }) {
		return true
	}
	for *number(k.best)-least > 1 {
		half := least + (*number(k.best)-least)/2
		if !k.try(func(s *scenarios.Scenario) { *number(s) = half }) {
			break
		}
		progress = true
	}
	return progress
}

// events drops events first as a whole, then narrows what is left.
func (k *shrinker) events() bool {
	progress := drop(k, func(s *scenarios.Scenario) *[]scenarios.Event { return &s.Timeline }, 0)
	for i := range k.best.Timeline {
		progress = drop(k, func(s *scenarios.Scenario) *[]string { return &s.Timeline[i].Target.Nodes }, 1) || progress
		for _, share := range []func(*scenarios.Event) *scenarios.PPM{
			func(e *scenarios.Event) *scenarios.PPM { return &e.Loss }, func(e *scenarios.Event) *scenarios.PPM { return &e.Duplicate },
			func(e *scenarios.Event) *scenarios.PPM { return &e.Reorder },
		} {
			progress = lower(k, func(s *scenarios.Scenario) *scenarios.PPM { return share(&s.Timeline[i]) }, 0) || progress
		}
	}
	return progress
}

func (k *shrinker) clients() bool {
	progress := drop(k, func(s *scenarios.Scenario) *[]scenarios.Consumer { return &s.Workload.Consumers }, 0)
	progress = drop(k, func(s *scenarios.Scenario) *[]scenarios.Producer { return &s.Workload.Producers }, 1) || progress
	for i := range k.best.Workload.Producers {
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return &s.Workload.Producers[i].Count }, 1) || progress
	}
	for i := range k.best.Workload.Consumers {
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return &s.Workload.Consumers[i].Count }, 1) || progress
		progress = drop(k, func(s *scenarios.Scenario) *[]scenarios.Window { return &s.Workload.Consumers[i].Pauses }, 0) || progress
		progress = drop(k, func(s *scenarios.Scenario) *[]scenarios.Window { return &s.Workload.Consumers[i].Stalls }, 0) || progress
	}
	return progress
}

func (k *shrinker) topics() bool {
	progress := drop(k, func(s *scenarios.Scenario) *[]scenarios.Topic { return &s.Topics }, 1)
	for i := range k.best.Topics {
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return &s.Topics[i].Partitions }, 1) || progress
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return &s.Topics[i].ReplicationFactor }, 1) || progress
	}
	return progress
}

func (k *shrinker) nodes() bool {
	progress := drop(k, func(s *scenarios.Scenario) *[]string { return &s.Cluster.Zones }, 1)
	progress = drop(k, func(s *scenarios.Scenario) *[]string { return &s.Cluster.Controllers.Nodes }, 1) || progress
	for _, count := range []func(c *scenarios.Cluster) *int64{
		func(c *scenarios.Cluster) *int64 { return &c.Brokers.PerZone }, func(c *scenarios.Cluster) *int64 { return &c.Brokers.Count },
		func(c *scenarios.Cluster) *int64 { return &c.Controllers.PerZone }, func(c *scenarios.Cluster) *int64 { return &c.Controllers.Count },
	} {
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return count(&s.Cluster) }, 1) || progress
	}
	return progress
}

// times shortens events and then the whole.
func (k *shrinker) times() (progress bool) {
	for i := range k.best.Timeline {
		whole := func(s *scenarios.Scenario) *time.Duration { return &s.Timeline[i].For }
		for *whole(k.best) > 200*time.Millisecond && k.try(func(s *scenarios.Scenario) { halve(&s.Timeline[i]) }) {
			progress = true
		}
		for k.best.Timeline[i].At > time.Second && k.try(func(s *scenarios.Scenario) { s.Timeline[i].At = (s.Timeline[i].At / 2).Round(time.Millisecond) }) {
			progress = true
		}
	}
	for k.best.Duration > 2*time.Second && k.try(func(s *scenarios.Scenario) { s.Duration = (s.Duration / 2).Round(time.Second) }) {
		progress = true
	}
	return progress
}

// halve shortens an event; both spellings of its length stay equal.
func halve(e *scenarios.Event) {
	e.For = (e.For / 2).Round(10 * time.Millisecond)
	if e.RestartAfter > 0 {
		e.RestartAfter = e.For
	}
}

func (k *shrinker) loads() (progress bool) {
	for i := range k.best.Workload.Producers {
		p := func(s *scenarios.Scenario) *scenarios.Producer { return &s.Workload.Producers[i] }
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return &p(s).Rate.Count }, 1) || progress
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return &p(s).Records }, 1) || progress
		progress = lower(k, func(s *scenarios.Scenario) *int64 { return &p(s).VUs }, 1) || progress
		progress = lower(k, func(s *scenarios.Scenario) *scenarios.Size { return &p(s).MessageSize }, 16) || progress
		progress = drop(k, func(s *scenarios.Scenario) *[]scenarios.Stage { return &p(s).Stages }, 1) || progress
	}
	return progress
}

// settings drops Kafka properties: what is left is what the failure needs.
func (k *shrinker) settings() bool {
	type lists = func(*scenarios.Scenario) *[]scenarios.KV
	all := []lists{func(s *scenarios.Scenario) *[]scenarios.KV { return &s.Cluster.Brokers.Config }}
	for i := range k.best.Topics {
		all = append(all, func(s *scenarios.Scenario) *[]scenarios.KV { return &s.Topics[i].Config })
	}
	for i := range k.best.Workload.Producers {
		all = append(all, func(s *scenarios.Scenario) *[]scenarios.KV { return &s.Workload.Producers[i].Config })
	}
	for i := range k.best.Workload.Consumers {
		all = append(all, func(s *scenarios.Scenario) *[]scenarios.KV { return &s.Workload.Consumers[i].Config })
	}
	progress := false
	for _, list := range all {
		progress = drop(k, list, 0) || progress
	}
	return progress
}
