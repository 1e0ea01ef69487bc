package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The terminal shows the worst and the first of long lists; result.json and the
// page have the rest.
const (
	textAnomaliesMax      = 5
	textFaultsMax         = 12
	textUnavailabilityMax = 3
	textStallsMax         = 8
	textTrafficMax        = 6
	textReasonsMax        = 6
)

// Text is the terminal summary of one run, at most 80 columns wide: the verdict
// first, the command that repeats the run last. Colour is for terminals only and
// changes no character.
func Text(r *Result, color bool) string {
	t := &terminal{color: color}
	t.verdict(r)
	t.claims(r)
	t.thresholds(r)
	t.records(r)
	t.faults(r)
	t.latency(r)
	t.unavailability(r)
	t.churn(r)
	t.zoneTraffic(r)
	t.anomalies(r)
	if r.Replay != "" {
		t.section("Replay", "")
		t.command("  ", clean(r.Replay))
	}
	return t.text.String()
}

// Line is one run in one line of at most 80 columns, for --quiet.
func Line(r *Result, color bool) string {
	t := &terminal{color: color}
	word := pad(strings.ToUpper(string(r.Verdict)), len("INCONCLUSIVE"))
	what := ellipsis(clean(r.Scenario), 24) + " " + seedText(r.Seed)
	var fact string
	switch {
	case len(r.Reasons) > 0:
		fact = clean(r.Reasons[0])
	default:
		made, held := r.claimTally()
		fact = join(fmt.Sprintf("%d/%d claims", held, made), shortCount(r.Records.Acked)+" acked",
			speedText(r.VirtualSeconds, r.CPUSeconds))
	}
	if r.Partial {
		fact = join("partial", fact)
	}
	what = pad(what, 28)
	fact = ellipsis(fact, columnsMax-len("INCONCLUSIVE")-2-textWidth(what)-2)
	return t.paint(verdictStyle(r.Verdict), ellipsis(clean(word), len("INCONCLUSIVE"))) +
		strings.TrimRight("  "+what+"  "+fact, " ") + "\n"
}

func (t *terminal) verdict(r *Result) {
	s := verdictStyle(r.Verdict)
	word := ellipsis(clean(strings.ToUpper(string(r.Verdict))), 20)
	seed := "seed " + seedText(r.Seed)
	name := ellipsis(clean(r.Scenario), columnsMax-textWidth(word)-textWidth(seed)-4)
	t.line(t.paint(s, t.paint(bold, word)), "  ", t.paint(bold, name), "  ", seed)
	if r.Description != "" {
		t.hang("", 0, dim, clean(r.Description))
	}
	if len(r.KnownBugs) > 0 {
		t.hang("", 0, yellow, "The broker is broken on purpose: "+clean(strings.Join(r.KnownBugs, ", ")))
	}
	if r.Partial {
		t.hang("", 0, yellow, "Interrupted: everything below covers the first "+
			clockText(r.VirtualSeconds)+" of virtual time only.")
	}
	for i, reason := range r.Reasons {
		if i == textReasonsMax {
			t.hang("  ", 2, s, fmt.Sprintf("and %s", plural(int64(len(r.Reasons)-i), "more reason", "more reasons")))
			break
		}
		t.hang(t.paint(s, "→ "), 2, plain, clean(reason))
	}
	speed := speedText(r.VirtualSeconds, r.CPUSeconds)
	if speed != "" {
		speed = " (" + speed + ")"
	}
	rss := ""
	if r.PeakRSSBytes > 0 {
		rss = BytesText(r.PeakRSSBytes)
	}
	trace := ""
	if r.TraceHash != "" {
		trace = "trace " + clean(r.TraceHash)
	}
	t.hang("", 0, dim, glued(secondsText(r.VirtualSeconds)+" virtual in "+secondsText(r.CPUSeconds)+" CPU"+speed,
		plural(int64(r.Events), "event", "events"), rss, trace))
}

// claims names the ones that held side by side, and says why for all others.
func (t *terminal) claims(r *Result) {
	if len(r.Claims) == 0 {
		return
	}
	made, held := r.claimTally()
	facts := []string{fmt.Sprintf("%d of %d held", held, made)}
	if n := len(r.Claims) - made; n > 0 {
		facts = append(facts, fmt.Sprintf("%d not made", n))
	}
	t.section("Claims", glued(facts...))
	var names []string
	for i := range r.Claims {
		if c := &r.Claims[i]; c.Made && c.Held {
			names = append(names, clean(c.Name))
		}
	}
	if len(names) > 0 {
		t.marked(markHeld, strings.Join(names, ", "))
	}
	for _, m := range []mark{markFailed, markUndecided, markNotMade} {
		for i := range r.Claims {
			if c := &r.Claims[i]; r.claimMark(c) == m {
				t.marked(m, clean(c.Name)+": "+clean(c.Why))
			}
		}
	}
}

func (t *terminal) thresholds(r *Result) {
	if len(r.Thresholds) == 0 {
		return
	}
	t.section("Thresholds", fmt.Sprintf("%d of %d held", r.thresholdTally(), len(r.Thresholds)))
	const phase, gap = 7, 2
	name := 0
	for i := range r.Thresholds {
		name = max(name, textWidth(clean(r.Thresholds[i].Name)))
	}
	name = min(name, 48)
	for i := range r.Thresholds {
		h := &r.Thresholds[i]
		m := r.thresholdMark(h)
		head := "  " + t.paint(m.style, m.sign) + " "
		names := wrap(clean(h.Name), name)
		for _, line := range names[:len(names)-1] {
			t.line(head, line)
			head = "    "
		}
		// The phase is left of the measured value, so that the values line up.
		head += pad(names[len(names)-1], name+gap) + pad(ellipsis(clean(h.Phase), phase), phase+gap)
		t.hang(head, 4+name+gap+phase+gap, plain, join(clean(h.Measured), clean(h.Why)))
	}
}

func (t *terminal) records(r *Result) {
	n := &r.Records
	t.section("Records", glued(count(n.Acked)+" acked of "+count(n.Offered)+" offered", count(n.Delivered)+" delivered"))
	lost := count(n.Lost) + " lost"
	if r.lossPermitted() {
		lost += ", as permitted"
	}
	if n.Lost > 0 {
		lost += fmt.Sprintf(" (%s, acked within %s)", BytesText(r.RPO.Bytes), secondsText(r.RPO.Seconds))
	}
	t.labelled("", glued(lost, count(n.Duplicated)+" duplicated", count(n.Reordered)+" reordered",
		count(n.Unverified)+" unverified"))
	t.labelled("", glued(count(n.Redelivered)+" redelivered", count(n.Unknown)+" of unknown outcome",
		count(n.Failed)+" failed"))
	if n.Compacted > 0 {
		t.labelled("", count(n.Compacted)+" compacted away")
	}
	if p := r.PermittedLoss; p != nil {
		verb := "as predicted from the elections"
		switch {
		case p.Unpredictable:
			verb = "which cannot be predicted"
		case p.Predicted != p.Observed:
			verb = "but " + count(p.Predicted) + " predicted from the elections"
		}
		t.labelled("permitted", fmt.Sprintf("%s lost, %s: %s", count(p.Observed), verb, clean(p.Why)))
	}
}

func (t *terminal) faults(r *Result) {
	t.section("Faults", plural(int64(r.FaultsInjected), "injected", "injected"))
	for i := range r.Faults {
		if i == textFaultsMax {
			t.line("  and ", plural(int64(len(r.Faults)-i), "more", "more"))
			return
		}
		f := &r.Faults[i]
		when := clockText(f.FromSeconds)
		if f.ToSeconds > f.FromSeconds {
			when += "–" + clockText(f.ToSeconds)
		}
		what := clean(f.Name) + " " + clean(f.Target)
		if f.Detail != "" {
			what += " (" + clean(f.Detail) + ")"
		}
		t.labelled(when, what)
	}
}

// latency is the table of quantiles; the phases that saw nothing are left out.
func (t *terminal) latency(r *Result) {
	if r.Latency.Produce.Whole.Count == 0 && r.Latency.E2E.Whole.Count == 0 {
		return
	}
	t.section("Latency", "in ms, from the intended send")
	t.line(t.paint(dim, fmt.Sprintf("  %-17s %9s %9s %9s %9s %9s %10s",
		"", "p50", "p95", "p99", "p99.9", "max", "records")))
	for _, kind := range []struct {
		name   string
		phases *Phases
	}{{"produce", &r.Latency.Produce}, {"end to end", &r.Latency.E2E}} {
		name := kind.name
		for _, phase := range kind.phases.named() {
			q := phase.Quantiles
			if q.Count == 0 {
				continue
			}
			t.line(fmt.Sprintf("  %-10s %-6s %9s %9s %9s %9s %9s %10s", name, phase.Name, millisText(q.P50),
				millisText(q.P95), millisText(q.P99), millisText(q.P999), millisText(q.Max), shortCount(q.Count)))
			name = ""
		}
	}
}

// namedQuantiles is one row of a latency table.
type namedQuantiles struct {
	Name string
	Quantiles
}

// named lists the phases in the order of time. Without a fault there is one
// phase only, and it is called so.
func (p *Phases) named() []namedQuantiles {
	if p.During.Count == 0 && p.After.Count == 0 {
		return []namedQuantiles{{"whole", p.Whole}}
	}
	return []namedQuantiles{{"before", p.Before}, {"during", p.During}, {"after", p.After}, {"whole", p.Whole}}
}

func (t *terminal) unavailability(r *Result) {
	t.section("Recovery", glued("RTO "+eventually(r.RTOSeconds), "lag recovery "+eventually(r.LagRecoverySeconds),
		"peak lag "+count(r.PeakLagRecords)))
	for _, g := range []gaps{r.produceGaps(), r.fetchGaps()} {
		if len(g.list) == 0 {
			t.labelled(g.name, "no partition was unavailable")
			continue
		}
		facts := []string{fmt.Sprintf("%s, median %s, p99 %s, longest", plural(int64(len(g.list)), "partition", "partitions"),
			secondsText(g.quantile(50)), secondsText(g.quantile(99)))}
		for _, u := range g.list[:min(len(g.list), textUnavailabilityMax)] {
			facts = append(facts, fmt.Sprintf("%s %s at %s", clean(u.partition), secondsText(u.length), clockText(u.from)))
		}
		t.labelled(g.name, facts[0]+": "+glued(facts[1:]...))
	}
	var stalls []string
	for _, s := range r.Stalls {
		if s.LongestSeconds > 0 {
			stalls = append(stalls, fmt.Sprintf("%s %s at %s", clean(s.What), secondsText(s.LongestSeconds), clockText(s.FromSeconds)))
		}
	}
	if len(stalls) > 0 {
		t.labelled("at most", glued(stalls[:min(len(stalls), textStallsMax)]...))
	}
}

func (t *terminal) churn(r *Result) {
	t.section("Churn", glued(plural(int64(r.Elections), "leader election", "leader elections"),
		plural(int64(r.ControllerElections), "controller election", "controller elections"),
		plural(int64(r.Rebalances), "rebalance", "rebalances"),
		fmt.Sprintf("ISR %s out, %s in", count(int64(r.ISRShrinks)), count(int64(r.ISRExpands))),
		plural(r.ProduceRetries, "produce retry", "produce retries"),
		plural(r.ProduceErrors, "error shown to applications", "errors shown to applications")))
}

func (t *terminal) zoneTraffic(r *Result) {
	total, across := zoneBytes(r.ZoneTraffic)
	if total <= 0 {
		return
	}
	pairs := slices.DeleteFunc(slices.Clone(r.ZoneTraffic), func(z ZoneTraffic) bool { return z.From == z.To })
	t.section("Zone traffic", fmt.Sprintf("%s, %.0f%% of it across zones", BytesText(total), 100*float64(across)/float64(total)))
	slices.SortStableFunc(pairs, func(a, b ZoneTraffic) int { return cmp.Compare(b.Bytes, a.Bytes) })
	var facts []string
	for _, z := range pairs[:min(len(pairs), textTrafficMax)] {
		facts = append(facts, fmt.Sprintf("%s→%s %s", clean(z.From), clean(z.To), BytesText(z.Bytes)))
	}
	if n := len(pairs) - textTrafficMax; n > 0 {
		facts = append(facts, plural(int64(n), "smaller", "smaller"))
	}
	if len(facts) > 0 {
		t.labelled("", glued(facts...))
	}
}

func (t *terminal) anomalies(r *Result) {
	total := max(r.AnomaliesTotal, len(r.Anomalies))
	if total == 0 {
		return
	}
	shown := min(len(r.Anomalies), textAnomaliesMax)
	facts := count(int64(total))
	if shown < total {
		facts += fmt.Sprintf(", the first %d below; result.json has %d", shown, len(r.Anomalies))
	}
	t.section("Findings", facts)
	for i := range r.Anomalies[:shown] {
		a := &r.Anomalies[i]
		kind, text := clean(a.Kind), clean(a.sentence())
		t.anomaly(kind, text)
	}
}

// anomaly colours the kind that the sentence opens with.
func (t *terminal) anomaly(kind, text string) {
	for i, l := range wrap(text, columnsMax-4) {
		switch {
		case i > 0:
			t.line("    ", l)
		case strings.HasPrefix(l, kind):
			t.line("  ", t.paint(red, kind), l[len(kind):])
		default:
			t.line("  ", l)
		}
	}
}
