package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// summaryFailuresMax is how many failed runs of a scenario a summary names.
const summaryFailuresMax = 10

// Summary is the outcome of many runs, over scenarios and seeds. It keeps a few
// figures of each run and never the run itself. The order of Add changes nothing
// but the order of the scenarios, so that parallel jobs print the same text.
type Summary struct {
	scenarios []*scenarioSummary
}

type scenarioSummary struct {
	name                      string
	runs                      int
	pass, fail, inconclusive  int
	partial                   int
	records                   Records
	permitted                 int64 // of the lost ones
	virtual, cpu              float64
	peakRSS                   int64
	failures                  []failure
	gap, recovery, lag        worst
	produce, endToEnd, during worst
	across                    worst // bytes between zones
	rebalances, errors        worst
}

// worst is the largest value of a measure and the seed that showed it.
type worst struct {
	value float64
	seed  uint64
	known bool
}

// never stands above every time that was measured.
const never = 1e18

func (w *worst) add(value float64, seed uint64) {
	if value < 0 {
		value = never
	}
	if !w.known || value > w.value || value == w.value && seed < w.seed {
		*w = worst{value, seed, true}
	}
}

type failure struct {
	seed    uint64
	verdict Verdict
	reason  string
	replay  string
}

// Add counts a run.
func (s *Summary) Add(r *Result) {
	i := slices.IndexFunc(s.scenarios, func(c *scenarioSummary) bool { return c.name == r.Scenario })
	if i < 0 {
		i = len(s.scenarios)
		s.scenarios = append(s.scenarios, &scenarioSummary{name: r.Scenario})
	}
	s.scenarios[i].add(r)
}

// Verdict is the worst of all runs: a failure, else undecided, else a pass.
// Without any run it is Inconclusive.
func (s *Summary) Verdict() Verdict {
	verdict := Inconclusive
	for i, c := range s.scenarios {
		switch v := c.verdict(); {
		case v == Fail:
			return Fail
		case i == 0:
			verdict = v
		case v == Inconclusive:
			verdict = Inconclusive
		}
	}
	return verdict
}

func (c *scenarioSummary) verdict() Verdict {
	switch {
	case c.fail > 0:
		return Fail
	case c.inconclusive > 0:
		return Inconclusive
	}
	return Pass
}

func (c *scenarioSummary) add(r *Result) {
	c.runs++
	switch r.Verdict {
	case Pass:
		c.pass++
	case Fail:
		c.fail++
	default:
		c.inconclusive++
	}
	if r.Partial {
		c.partial++
	}
	if r.Verdict != Pass {
		reason := ""
		if len(r.Reasons) > 0 {
			reason = r.Reasons[0]
		} else if len(r.Anomalies) > 0 {
			reason = r.Anomalies[0].sentence()
		}
		c.failures = append(c.failures, failure{r.Seed, r.Verdict, reason, r.Replay})
	}
	c.virtual += r.VirtualSeconds
	c.cpu += r.CPUSeconds
	c.peakRSS = max(c.peakRSS, r.PeakRSSBytes)
	c.records.Acked += r.Records.Acked
	c.records.Lost += r.Records.Lost
	if r.lossPermitted() {
		c.permitted += r.Records.Lost
	}
	c.records.Duplicated += r.Records.Duplicated
	c.records.Reordered += r.Records.Reordered
	c.records.Unverified += r.Records.Unverified
	if u, ok := r.worst(); ok {
		c.gap.add(u.length, r.Seed)
	}
	c.recovery.add(r.RTOSeconds, r.Seed)
	c.lag.add(r.LagRecoverySeconds, r.Seed)
	p := &r.Latency.Produce
	if n := p.Before.Count + p.After.Count; n > 0 {
		c.produce.add(max(p.Before.P99, p.After.P99), r.Seed)
	}
	if p.During.Count > 0 {
		c.during.add(p.During.P99, r.Seed)
	}
	if e := &r.Latency.E2E; e.Before.Count+e.After.Count > 0 {
		c.endToEnd.add(max(e.Before.P99, e.After.P99), r.Seed)
	}
	_, across := zoneBytes(r.ZoneTraffic)
	c.across.add(float64(across), r.Seed)
	c.rebalances.add(float64(r.Rebalances), r.Seed)
	c.errors.add(float64(r.ProduceErrors), r.Seed)
}

// Text is the summary in at most 80 columns: one block per scenario with its
// verdicts, the worst values over its seeds, and the seeds that did not pass
// with the command that repeats each; then the scenarios side by side, if there
// are several.
func (s *Summary) Text(color bool) string {
	t := &terminal{color: color}
	for i, c := range s.scenarios {
		if i > 0 {
			t.line()
		}
		t.scenario(c)
	}
	if len(s.scenarios) > 1 {
		t.sideBySide(s.scenarios)
	}
	return t.text.String()
}

// sideBySide compares scenarios, which may be one outage of several layouts: what
// was lost (RPO), how long it took (RTO), and what it costs when all is well.
func (t *terminal) sideBySide(list []*scenarioSummary) {
	const row = "  %-27s %8s %8s %8s %11s %11s"
	t.line()
	t.line(t.paint(bold, "Side by side"), t.paint(dim, "  worst over the seeds; p99 of produce in ms without a fault"))
	t.line(t.paint(dim, fmt.Sprintf(row, "", "lost", "RTO", "outage", "p99", "cross-zone")))
	cell := func(w worst, spell func(float64) string) string {
		if !w.known {
			return "–"
		}
		return spell(w.value)
	}
	for _, c := range list {
		t.line(fmt.Sprintf(row, ellipsis(clean(c.name), 27), count(c.records.Lost), cell(c.recovery, worstSeconds),
			cell(c.gap, secondsText), cell(c.produce, millisText), cell(c.across, func(n float64) string { return BytesText(int64(n)) })))
	}
}

func (t *terminal) scenario(c *scenarioSummary) {
	v := c.verdict()
	word := strings.ToUpper(string(v))
	runs := plural(int64(c.runs), "run", "runs")
	t.line(t.paint(verdictStyle(v), t.paint(bold, word)), "  ",
		t.paint(bold, ellipsis(clean(c.name), columnsMax-textWidth(word)-textWidth(runs)-4)), "  ", runs)
	some := func(n int, what string) string {
		if n == 0 {
			return ""
		}
		return count(int64(n)) + " " + what
	}
	t.hang("  ", 2, plain, glued(count(int64(c.pass))+" passed", some(c.fail, "failed"),
		some(c.inconclusive, "inconclusive"), some(c.partial, "interrupted"),
		secondsText(c.virtual)+" virtual in "+secondsText(c.cpu)+" CPU"))
	n := &c.records
	lost := count(n.Lost) + " lost"
	switch {
	case n.Lost > 0 && c.permitted == n.Lost:
		lost += " as permitted"
	case c.permitted > 0:
		lost += ", " + count(c.permitted) + " of them as permitted"
	}
	t.hang("  ", 2, plain, glued(count(n.Acked)+" acked", lost, count(n.Duplicated)+" duplicated",
		count(n.Reordered)+" reordered", count(n.Unverified)+" unverified"))
	t.line(t.paint(dim, "  worst over the seeds"))
	for _, row := range []struct {
		name string
		worst
		spell func(float64) string
	}{
		{"no produce on a partition", c.gap, secondsText},
		{"RTO", c.recovery, worstSeconds},
		{"lag recovery", c.lag, worstSeconds},
		{"produce p99, no fault", c.produce, worstMillis},
		{"produce p99, fault", c.during, worstMillis},
		{"end to end p99, no fault", c.endToEnd, worstMillis},
		{"rebalances", c.rebalances, worstCount},
		{"errors to applications", c.errors, worstCount},
	} {
		if row.known {
			t.line(fmt.Sprintf("    %-26s %12s   seed %s", row.name, row.spell(row.value), seedText(row.seed)))
		}
	}
	t.failures(c)
}

func worstSeconds(s float64) string {
	if s == never {
		return "never"
	}
	return eventually(s)
}

func worstMillis(ms float64) string { return millisText(ms) + " ms" }

func worstCount(n float64) string { return count(int64(n)) }

func (t *terminal) failures(c *scenarioSummary) {
	if len(c.failures) == 0 {
		return
	}
	list := slices.Clone(c.failures)
	slices.SortStableFunc(list, func(a, b failure) int { return cmp.Compare(a.seed, b.seed) })
	t.line(t.paint(dim, "  did not pass"))
	for i, f := range list {
		if i == summaryFailuresMax {
			t.hang("    ", 4, plain, "and "+plural(int64(len(list)-i), "seed", "seeds")+" more")
			return
		}
		text := "seed " + seedText(f.seed) + " " + string(f.verdict)
		if f.reason != "" {
			text += ": " + clean(f.reason)
		}
		m := markFailed
		if f.verdict == Inconclusive {
			m = markUndecided
		}
		t.hang("    "+t.paint(m.style, m.sign)+" ", 6, plain, clean(text))
		if f.replay != "" {
			t.command("      ", clean(f.replay))
		}
	}
}
