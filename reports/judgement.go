package reports

import "fmt"

// How a Result's parts are to be read. Nothing is decided here that the verdict
// has not decided: an undecided run's claim or threshold that did not hold is
// undecided, any other run's is violated.

func (r *Result) claimMark(c *Claim) mark {
	switch {
	case !c.Made:
		return markNotMade
	case c.Held:
		return markHeld
	case r.Verdict == Inconclusive && !r.contradicts(c.Name):
		return markUndecided
	}
	return markFailed
}

// thresholdMark is undecided for what an interrupted run has not come to.
func (r *Result) thresholdMark(h *Threshold) mark {
	switch {
	case h.Held:
		return markHeld
	case r.Partial || r.Verdict == Inconclusive:
		return markUndecided
	}
	return markFailed
}

// contradicts says whether a finding contradicts the claim.
func (r *Result) contradicts(claim string) bool {
	for i := range r.Anomalies {
		if r.Anomalies[i].Claim == claim {
			return true
		}
	}
	return false
}

func (r *Result) claimTally() (made, held int) {
	for i := range r.Claims {
		if r.Claims[i].Made {
			made++
			if r.Claims[i].Held {
				held++
			}
		}
	}
	return made, held
}

func (r *Result) thresholdTally() (held int) {
	for i := range r.Thresholds {
		if r.Thresholds[i].Held {
			held++
		}
	}
	return held
}

// sentence is an anomaly as CHECKS reads it: kind, place, what happened.
func (a *Anomaly) sentence() string {
	if len(a.Text) >= len(a.Kind) && a.Text[:len(a.Kind)] == a.Kind {
		return a.Text
	}
	if a.Partition == "" {
		return a.Kind + ": " + a.Text
	}
	return fmt.Sprintf("%s %s@%d: %s", a.Kind, a.Partition, a.Offset, a.Text)
}

// worst returns the longest time in which a partition took no records, or false
// without one.
func (r *Result) worst() (gap, bool) {
	if g := r.produceGaps(); len(g.list) > 0 {
		return g.list[0], true
	}
	return gap{}, false
}

// lossPermitted tells whether acknowledged records were lost that the configuration
// gives away: exactly as many as the elections explain, if they can explain it.
func (r *Result) lossPermitted() bool {
	p := r.PermittedLoss
	return p != nil && r.Records.Lost > 0 && p.Observed == r.Records.Lost && (p.Predicted == p.Observed || p.Unpredictable)
}

// seedText spells a seed as the command line takes it: short ones decimal.
func seedText(seed uint64) string {
	if seed < 1_000_000 {
		return fmt.Sprint(seed)
	}
	return fmt.Sprintf("0x%x", seed)
}

func verdictStyle(v Verdict) style {
	switch v {
	case Pass:
		return green
	case Fail:
		return red
	}
	return yellow
}
