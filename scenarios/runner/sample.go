package runner

import (
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
	"github.com/seed-604ea8f1/windtunnel/sim"
)

// sampler looks at the run once a virtual second: the time series, and when the
// states were reached that after_heal waits for.
type sampler struct {
	run    *run
	next   clock.Instant
	series []reports.SeriesPoint
	// lags before the first fault, for the baseline.
	lags       []int64
	total      amounts // lag of all partitions
	worst      amounts // lag of the partition that is worst at the time
	recoveries []recovery
	// lag is back at its baseline, whether after_heal waits for it or not.
	lag recovery
}

// amounts is the distribution of a number over the seconds of a run.
type amounts struct {
	byPhase [phase.Count]*hdrhistogram.Histogram
	peak    [phase.Count]int64 // exactly
}

// amountMax is the largest amount that is told from larger ones.
const amountMax = 1_000_000_000_000

func newAmounts() (a amounts) {
	for i := range a.byPhase {
		a.byPhase[i] = hdrhistogram.New(1, amountMax, phase.Digits)
	}
	return a
}

func (a *amounts) record(p phase.Phase, n int64) {
	_ = a.byPhase[p].RecordValue(min(n, amountMax)) // in range by construction
	a.peak[p] = max(a.peak[p], n)
}

// in is the distribution during faults, or outside of them, and its maximum.
func (a *amounts) in(part string) (*hdrhistogram.Histogram, int64) {
	if part == partDuring {
		return a.byPhase[phase.During], a.peak[phase.During]
	}
	h := hdrhistogram.New(1, amountMax, phase.Digits)
	h.Merge(a.byPhase[phase.Before])
	h.Merge(a.byPhase[phase.After])
	return h, max(a.peak[phase.Before], a.peak[phase.After])
}

// recovery is one state that must be reached again.
type recovery struct {
	want    scenarios.Recovery
	reached clock.Instant // and held since; Never while it is not
	missed  clock.Instant // when it was lost again; Never while it holds
	lapses  int           // how often it was lost since and came back within stallMax
}

// stallMax is how long lag or latency may rise again without ending a recovery. A planned
// move (leader.imbalance.check.interval.seconds after the boot) takes leaders and
// coordinators away from clients that are well: a commit that waits finds its new
// coordinator after retry.backoff.ms of 100 ms, doubling up to a second while that
// one loads, and its consumer does not poll meanwhile. That is no part of what
// the fault did, and within two seconds.
const stallMax = 2 * time.Second

// lagWithin is how long after the heal the lag has not been back for good if it rises
// again, where the scenario does not say it.
const lagWithin = time.Minute

func newSampler(r *run) *sampler {
	s := &sampler{run: r, next: r.origin, total: newAmounts(), worst: newAmounts()}
	s.lag = recovery{want: scenarios.Recovery{Name: "consumer_lag", Baseline: true, Within: lagWithin}, reached: clock.Never, missed: clock.Never}
	for _, want := range r.scenario.Expect.AfterHeal {
		s.recoveries = append(s.recoveries, recovery{want: want, reached: clock.Never, missed: clock.Never})
		if want.Name == s.lag.want.Name {
			s.lag.want = want
		}
	}
	return s
}

// Next implements sim.Timeline.
func (s *sampler) Next() clock.Instant { return s.next }

// Act implements sim.Timeline.
func (s *sampler) Act(now clock.Instant, _ *sim.World) {
	s.next = now.Add(time.Second)
	r, l := s.run, s.run.ledger
	health := r.view.healthOf(r.watch.image, r.watch.minISROf)
	p := reports.SeriesPoint{
		Second: int64(now.Sub(r.origin) / time.Second), Acked: l.second.acked, Delivered: l.second.delivered,
		Errors: l.second.errors, UnderReplicated: health.underReplicated,
	}
	p.Lag, p.WorstLag = l.lag()
	p.ProduceP50, p.ProduceP99, p.ProduceMax = l.produce.seconds.end(max(0, p.Second-1))
	_, p.E2EP99, _ = l.e2e.seconds.end(max(0, p.Second-1))
	l.second.acked, l.second.delivered, l.second.errors = 0, 0, 0
	if len(s.series) < secondsMax {
		s.series = append(s.series, p)
	}
	s.total.record(r.phaseOf(now), p.Lag)
	s.worst.record(r.phaseOf(now), p.WorstLag)
	if now <= r.firstFault() {
		s.lags = append(s.lags, p.Lag)
	}
	s.lag.sample(now, r.lastHeal().Add(s.lag.want.Within), s.holds(&s.lag, &health, &p))
	for i := range s.recoveries {
		rec := &s.recoveries[i]
		rec.sample(now, r.lastHeal().Add(rec.want.Within), s.holds(rec, &health, &p))
	}
}

// sample takes in whether the state holds now. What is lost again before the
// deadline has not been reached for good, however soon it is back.
func (r *recovery) sample(now, deadline clock.Instant, holds bool) {
	switch {
	case holds && r.reached == clock.Never:
		r.reached, r.missed, r.lapses = now, clock.Never, 0
	case holds && r.missed <= deadline:
		r.reached, r.missed = now, clock.Never
	case holds && r.missed != clock.Never:
		r.missed = clock.Never
		r.lapses++
	case holds:
	case r.want.Name != "consumer_lag" && r.want.Name != "produce_latency" || r.reached == clock.Never:
		r.reached = clock.Never
	case r.missed == clock.Never:
		r.missed = now
	case now.Sub(r.missed) >= stallMax:
		r.reached = clock.Never
	}
}

// awaited reports whether a state is missing that may still be reached in time.
func (s *sampler) awaited(now clock.Instant) bool {
	heal := s.run.lastHeal()
	return slices.ContainsFunc(s.recoveries, func(rec recovery) bool {
		return rec.reached == clock.Never && now <= heal.Add(rec.want.Within)
	})
}

// baselineLag is the 99th percentile of the lag before the first fault. A lag
// below what arrives in a tenth of a second is none: a sample falls between a
// produce and the poll that follows.
func (s *sampler) baselineLag() int64 {
	if len(s.lags) == 0 {
		return 0
	}
	sorted := slices.Clone(s.lags)
	slices.Sort(sorted)
	return max(sorted[len(sorted)*99/100], s.run.offeredPerSecond()/10)
}

func (s *sampler) holds(rec *recovery, h *replicaHealth, p *reports.SeriesPoint) bool {
	want := &rec.want
	reach := func(have, all int) bool { return int64(have)*1_000_000 >= int64(want.Reach)*int64(all) }
	switch want.Name {
	case "in_sync_replicas":
		return reach(h.inSync, h.replicas)
	case "preferred_leaders":
		return reach(h.preferred, h.partitions)
	case "online_partitions":
		return reach(h.online, h.partitions)
	case "consumer_lag":
		return p.Lag <= s.baselineLag()
	case "produce_latency":
		if r := s.run; p.Second > int64(r.scenario.Duration/time.Second) && r.decided() {
			return rec.reached != clock.Never // nothing is sent any more: as it was
		}
		return p.Acked > 0 && p.ProduceP99 <= 2*s.run.ledger.produce.Sum(phase.Before).Quantiles().P99
	case "stable_groups":
		return s.run.groupsStable()
	}
	return false
}
