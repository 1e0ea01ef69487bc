package runner

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// judgeClaims: a claim holds if no finding speaks against it. Findings that
// contradict every configuration carry no claim and fail the run by themselves.
func (r *run) judgeClaims(res *reports.Result) {
	for _, c := range r.claims {
		held := !slices.ContainsFunc(res.Anomalies, func(a reports.Anomaly) bool { return a.Claim == c.Name })
		res.Claims = append(res.Claims, reports.Claim{Name: c.Name, Made: c.Made, Held: held, Why: c.Why})
	}
	for _, name := range r.scenario.Expect.Safety {
		if !slices.ContainsFunc(res.Claims, func(c reports.Claim) bool { return c.Name == name }) {
			res.Claims = append(res.Claims, r.derivedClaim(name, res))
			continue
		}
		if !r.claims.Made(name) {
			r.failures = append(r.failures, "the scenario expects "+name+", which its configuration does not allow to claim")
		}
	}
}

// derivedClaim judges the claims of the scenario's vocabulary that follow from
// several checks.
func (r *run) derivedClaim(name string, res *reports.Result) reports.Claim {
	switch name {
	case "no_phantom_reads":
		held := !slices.ContainsFunc(res.Anomalies, func(a reports.Anomaly) bool {
			return a.Kind == lin.PhantomRecord.String() || a.Kind == lin.InconsistentOffset.String()
		})
		return reports.Claim{Name: name, Made: true, Held: held, Why: "What was delivered stays in the log, since only committed records are delivered."}
	case "all_read":
		left := r.ledger.lag()
		return reports.Claim{Name: name, Made: true, Held: left == 0,
			Why: fmt.Sprintf("Every acknowledged record is delivered to every group by the end; %d were not.", left)}
	}
	return reports.Claim{Name: name, Made: false, Why: "This claim is not known."}
}

// judgeThresholds compares what the scenario expects with what was measured.
func (r *run) judgeThresholds(res *reports.Result) {
	for _, a := range r.scenario.Expect.DuringFault {
		r.judge(res, a, "during")
	}
	for _, a := range r.scenario.Expect.Thresholds {
		r.judge(res, a, "outside")
	}
	for i := range r.sampler.recoveries {
		rec := &r.sampler.recoveries[i]
		took := r.recoveredAfter(rec)
		t := reports.Threshold{
			Name: fmt.Sprintf("%s reaches %s within %v", rec.want.Name, rec.want.ReachText, rec.want.Within), Phase: "after",
			Measured: "never", Held: took >= 0 && took <= rec.want.Within,
		}
		if took >= 0 {
			t.Measured = "after " + took.String()
		}
		res.Thresholds = append(res.Thresholds, t)
	}
}

// recoveredAfter is how long after the last heal a state was reached for good;
// negative if it was not.
func (r *run) recoveredAfter(rec *recovery) time.Duration {
	if rec.reached == clock.Never || rec.missed != clock.Never {
		return -time.Second
	}
	return max(0, rec.reached.Sub(r.lastHeal()))
}

func (r *run) judge(res *reports.Result, a scenarios.Assertion, phase string) {
	t := reports.Threshold{Name: a.String(), Phase: phase}
	value, ok := r.measured(&a, phase, res)
	switch {
	case !ok:
		t.Measured, t.Why = "not measured", "this statistic is not measured yet"
	default:
		t.Held = a.Compare.Holds(value, a.Limit)
		t.Measured = measuredText(value, a.Unit)
	}
	res.Thresholds = append(res.Thresholds, t)
}

func measuredText(v int64, unit scenarios.UnitKind) string {
	switch unit {
	case scenarios.UnitDuration:
		return time.Duration(v).Round(10 * time.Microsecond).String()
	case scenarios.UnitShare:
		return fmt.Sprintf("%d.%04d%%", v/10_000, v%10_000)
	case scenarios.UnitBytes:
		return fmt.Sprintf("%d B", v)
	}
	return fmt.Sprintf("%d", v)
}

// measured returns a statistic in the assertion's unit.
func (r *run) measured(a *scenarios.Assertion, phase string, res *reports.Result) (int64, bool) {
	l := r.ledger
	switch a.Metric {
	case "produce_latency":
		return quantile(l.produce, phase, a)
	case "e2e_latency":
		return quantile(l.e2e, phase, a)
	case "produce_unavailability":
		return r.worst(phase, a, func(p *partitionLedger) *stall { return &p.produce })
	case "fetch_unavailability":
		return r.worst(phase, a, func(p *partitionLedger) *stall { return &p.fetch })
	case "recovery_time":
		return int64(res.RTOSeconds * float64(time.Second)), true
	case "under_replicated_time":
		return int64(r.watch.under.longest), a.Stat == "max"
	case "under_min_isr_time":
		return int64(r.watch.underMin.longest), a.Stat == "max"
	case "produce_errors":
		return res.ProduceErrors, true
	case "lost_records":
		return res.Records.Lost, true
	case "reordered_records":
		return res.Records.Reordered, true
	case "broker_duplicates":
		return res.Records.Duplicated, true
	case "consumer_lag":
		return r.sampler.peakLag, a.Series != "per_partition" && a.Stat == "max"
	case "leader_moves":
		return int64(res.Elections), true
	case "unclean_elections":
		return int64(r.watch.unclean), true
	case "isr_shrinks":
		return int64(res.ISRShrinks), true
	case "isr_expands":
		return int64(res.ISRExpands), true
	case "rebalances":
		return int64(res.Rebalances), true
	case "controller_elections":
		return int64(res.ControllerElections), true
	case "duplicate_ratio":
		return res.Records.Redelivered * 1_000_000 / max(1, res.Records.Acked), true
	case "cross_zone_bytes":
		var sum int64
		for _, z := range res.ZoneTraffic {
			if z.From != z.To {
				sum += z.Bytes
			}
		}
		return sum, true
	}
	return 0, false
}

func quantile(l *latency, phase string, a *scenarios.Assertion) (int64, bool) {
	if a.Series != "" {
		return 0, false
	}
	h := l.outside()
	if phase == "during" {
		h = l.byPhase[during]
	}
	if h.TotalCount() == 0 {
		return 0, false // nothing was measured, so nothing is proved
	}
	q := map[string]float64{"p50": 50, "p75": 75, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9, "p9999": 99.99}
	switch a.Stat {
	case "min":
		return h.Min(), true
	case "max":
		return h.Max(), true
	case "mean":
		return int64(h.Mean()), true
	}
	return h.ValueAtQuantile(q[a.Stat]), true
}

// worst is the largest of the longest stalls of all partitions; the other
// statistics are taken over partitions.
func (r *run) worst(phase string, a *scenarios.Assertion, of func(*partitionLedger) *stall) (int64, bool) {
	var all []int64
	for t := range r.ledger.topics {
		for p := range r.ledger.topics[t].partitions {
			s := of(&r.ledger.topics[t].partitions[p])
			if phase == "during" {
				all = append(all, int64(s.inFault))
			} else {
				all = append(all, int64(s.outside))
			}
		}
	}
	slices.Sort(all)
	n := len(all)
	switch a.Stat {
	case "max":
		return all[n-1], true
	case "p99":
		return all[(n-1)*99/100], true
	case "p50":
		return all[(n-1)/2], true
	}
	return 0, false
}

// judgeMinimums: a run in which nothing happened proves nothing.
func (r *run) judgeMinimums(res *reports.Result, report *lin.Report) {
	if r.partial {
		return
	}
	m := &r.scenario.Expect.Minimums
	least := func(what string, have, want int64) {
		if have < want {
			r.failures = append(r.failures, fmt.Sprintf("only %d %s, the scenario asks for %d: the run proves nothing", have, what, want))
		}
	}
	least("records were acknowledged", r.ledger.acked, m.Acked)
	least("records were delivered", r.ledger.delivered, m.Delivered)
	least("faults were injected", int64(res.FaultsInjected), m.Faults)
	least("leaders were elected", int64(res.Elections), m.Elections)
	least("rebalances were completed", int64(res.Rebalances), m.Rebalances)
	switch loss := r.scenario.Expect.Loss; {
	case loss == "none" && report.Lost > 0:
		res.Reasons = append(res.Reasons, fmt.Sprintf("%d acknowledged records were lost, the scenario expects none", report.Lost))
	case loss == "some" && report.Lost == 0:
		r.failures = append(r.failures, "no acknowledged record was lost, the scenario is meant to show some")
	}
}
