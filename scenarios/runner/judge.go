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
func (r *run) judgeClaims(res *reports.Result, report *lin.Report) {
	for _, c := range r.claims {
		held := !slices.ContainsFunc(res.Anomalies, func(a reports.Anomaly) bool { return a.Claim == c.Name })
		why := c.Why
		if n := r.ledger.fenced; n > 0 && c.Name == lin.ClaimSingleOwner {
			why += fmt.Sprintf(" %d static members were fenced by a coordinator that knew them by former ids, and stopped.", n)
		}
		res.Claims = append(res.Claims, reports.Claim{Name: c.Name, Made: c.Made, Held: held, Why: why})
	}
	for _, name := range r.scenario.Expect.Safety {
		if !slices.ContainsFunc(res.Claims, func(c reports.Claim) bool { return c.Name == name }) {
			res.Claims = append(res.Claims, r.derivedClaim(name, res, report))
		}
		if !slices.ContainsFunc(res.Claims, func(c reports.Claim) bool { return c.Name == name && c.Made }) {
			r.failures = append(r.failures, "the scenario expects "+name+", which its configuration does not allow to claim")
		}
	}
}

// derivedClaim judges the claims of the scenario's vocabulary that follow from
// several checks.
func (r *run) derivedClaim(name string, res *reports.Result, report *lin.Report) reports.Claim {
	switch name {
	case lin.ClaimNoPhantomReads:
		claim := lin.NoPhantomReads(ConfigurationOf(r.scenario))
		if claim.Made {
			for i := range report.Phantoms.List {
				res.Anomalies = append(res.Anomalies, r.anomaly(&report.Phantoms.List[i], ""))
			}
			res.AnomaliesTotal += int(report.Phantoms.Total)
		}
		held := r.ledger.phantoms == 0 && !slices.ContainsFunc(res.Anomalies, func(a reports.Anomaly) bool {
			return a.Claim == name || a.Kind == lin.PhantomRecord.String() || a.Kind == lin.InconsistentOffset.String()
		})
		return reports.Claim{Name: name, Made: claim.Made, Held: held, Why: claim.Why}
	case "all_read":
		left, _ := r.ledger.lag()
		return reports.Claim{Name: name, Made: true, Held: left == 0,
			Why: fmt.Sprintf("Every acknowledged record is delivered to every group by the end; %d were not.", left)}
	}
	return reports.Claim{Name: name, Made: false, Why: "This claim is not known."}
}

// judgeThresholds compares what the scenario expects with what was measured.
func (r *run) judgeThresholds(res *reports.Result) {
	for _, a := range r.scenario.Expect.DuringFault {
		r.judge(res, a, partDuring)
	}
	for _, a := range r.scenario.Expect.Thresholds {
		r.judge(res, a, partOutside)
	}
	for i := range r.sampler.recoveries {
		rec := &r.sampler.recoveries[i]
		if !r.healed() {
			res.Thresholds = append(res.Thresholds, reports.Threshold{
				Name: recoveryName(rec), Phase: "after", Measured: "nothing", Why: "the run ended before the last fault had healed",
			})
			continue
		}
		took := r.recoveredAfter(rec)
		t := reports.Threshold{
			Name: recoveryName(rec), Phase: "after", Measured: "never", Held: took >= 0 && took <= rec.want.Within,
		}
		if took >= 0 {
			t.Measured = "after " + took.String()
		}
		if took >= 0 && rec.lapses > 0 {
			t.Why = fmt.Sprintf("%d× worse, below %s", rec.lapses, stallMax)
		}
		res.Thresholds = append(res.Thresholds, t)
	}
}

func recoveryName(rec *recovery) string {
	return fmt.Sprintf("%s reaches %s within %v", rec.want.Name, rec.want.ReachText, rec.want.Within)
}

// healed tells whether the timeline is over, as it is unless the run was interrupted.
func (r *run) healed() bool {
	return !r.partial || r.faults.next == len(r.faults.actions) && r.lastHeal() <= r.world.Now()
}

// recoveredAfter is how long after the last heal a state was reached for good;
// negative if it was not.
func (r *run) recoveredAfter(rec *recovery) time.Duration {
	if rec.reached == clock.Never || rec.missed != clock.Never {
		return -time.Second
	}
	return max(0, rec.reached.Sub(r.lastHeal()))
}

func (r *run) judge(res *reports.Result, a scenarios.Assertion, part string) {
	if a.Whole() {
		part = partWhole
	}
	t := reports.Threshold{Name: a.String(), Phase: part}
	value, where, ok := r.measured(&a, part, res)
	if !ok {
		t.Measured, t.Why = "nothing", "nothing of it happened in that time, so nothing is proved"
	} else {
		t.Held = a.Compare.Holds(value, a.Limit)
		t.Measured = measuredText(value, a.Unit)
		if t.Why = where; value == never {
			t.Measured = "never"
		}
	}
	res.Thresholds = append(res.Thresholds, t)
}

// roundDuration keeps about four digits.
func roundDuration(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 10_000 {
		unit *= 10
	}
	return d.Round(unit)
}

func measuredText(v int64, unit scenarios.UnitKind) string {
	switch unit {
	case scenarios.UnitDuration:
		return roundDuration(time.Duration(v)).String()
	case scenarios.UnitShare:
		return fmt.Sprintf("%d.%04d%%", v/10_000, v%10_000)
	case scenarios.UnitBytes:
		return reports.BytesText(v)
	}
	return fmt.Sprintf("%d", v)
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
	least("records were compacted away", report.Compacted, m.Compacted)
	least("rebalances were completed", int64(res.Rebalances), m.Rebalances)
	switch loss := r.scenario.Expect.Loss; {
	case loss == "none" && report.Lost > 0:
		res.Reasons = append(res.Reasons, fmt.Sprintf("%d acknowledged records were lost, the scenario expects none", report.Lost))
	case loss == "some" && report.Lost == 0:
		r.failures = append(r.failures, "no acknowledged record was lost, the scenario is meant to show some")
	}
}
