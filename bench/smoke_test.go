// Package bench measures the simulator as a whole: how fast virtual time and
// records pass, and how much memory they take. It holds no code that ships.
// What single packages cost is measured beside them.
package bench

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
)

// load reads a shipped scenario.
func load(tb testing.TB, name string) *scenarios.Scenario {
	tb.Helper()
	text, err := scenarios.ReadShipped(name)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := scenarios.Load(text, name+".yaml")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// run carries out a scenario in this process; it must pass.
func run(tb testing.TB, s *scenarios.Scenario) *reports.Result {
	tb.Helper()
	out, err := runner.Run(s, runner.Options{Seed: 1})
	if err != nil {
		tb.Fatal(err)
	}
	if out.Result.Verdict != reports.Pass {
		tb.Fatal(reports.Text(out.Result, false))
	}
	return out.Result
}

// BenchmarkSmoke is a whole small run: boot, thirty seconds of little load, settling.
func BenchmarkSmoke(b *testing.B) {
	s := load(b, "smoke")
	var events uint64
	var virtual float64
	for b.Loop() {
		r := run(b, s)
		events += r.Events
		virtual += r.VirtualSeconds
	}
	elapsed := b.Elapsed().Seconds()
	b.ReportMetric(float64(events)/elapsed, "events/s")
	b.ReportMetric(virtual/elapsed, "virtual-s/s")
}

// shapes are the two loads that are counted in records, and the sizes to which
// they are reduced, so that the difference of two runs is what a record costs.
var shapes = []struct {
	name, scenario string
	instructions   [2]int64 // records of the two runs of callgrind.sh
	allocations    int64    // records of the shorter run of BenchmarkAllocations
}{
	{"singles", "ten-million-singles", [2]int64{10_000, 30_000}, 500_000},
	{"batches", "billion", [2]int64{100_000, 500_000}, 5_000_000},
}

// BenchmarkInstructions is for the callgrind gate, which subtracts the smaller
// run from the larger one: instructions of one more record.
func BenchmarkInstructions(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			for _, records := range shape.instructions {
				b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
					s := load(b, shape.scenario)
					reduce(s, records)
					for b.Loop() {
						run(b, s)
					}
				})
			}
		})
	}
}

// BenchmarkAllocations compares a run with one twice as long, so that what boot
// and buffers' growth allocate falls out: what is left is the steady state.
func BenchmarkAllocations(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			var allocations, events float64
			for b.Loop() {
				mallocs1, events1 := allocationsOf(b, shape.scenario, shape.allocations)
				mallocs2, events2 := allocationsOf(b, shape.scenario, 2*shape.allocations)
				allocations += float64(mallocs2) - float64(mallocs1)
				events += float64(events2) - float64(events1)
			}
			b.ReportMetric(allocations/events, "allocs/event")
		})
	}
}

func allocationsOf(b *testing.B, name string, records int64) (mallocs, events uint64) {
	s := load(b, name)
	reduce(s, records)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := run(b, s)
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs, r.Events
}

// reduce gives a load that is counted in records fewer of them, and takes away
// the fault that would come after its end.
func reduce(s *scenarios.Scenario, records int64) {
	s.Workload.Producers[0].Records = records
	s.Timeline = nil
	s.Duration = time.Hour
	s.Expect = scenarios.Expect{Safety: s.Expect.Safety}
}
