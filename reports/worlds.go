package reports

import (
	"fmt"
	"slices"
	"strings"
)

// Worlds sets a simulated run beside a real one of the same scenario: claims,
// the shape of the latency and what clients were told. Figures of time differ,
// since one machine stands for a cluster; shapes and claims should not.
func Worlds(simulated, real *Result, note string, color bool) string {
	t := &terminal{color: color}
	t.line(t.paint(bold, ellipsis(clean(simulated.Scenario), columnsMax-30)), "  simulated and real")
	if note != "" {
		t.hang("", 0, dim, clean(note))
	}
	row := func(name, left, right string) {
		t.line(pad(ellipsis(name, worldsName), worldsName), "  ", pad(ellipsis(left, worldsColumn), worldsColumn), "  ", ellipsis(right, worldsColumn))
	}
	row("", "simulated", "real")
	row("verdict", string(simulated.Verdict), string(real.Verdict))
	for i := range simulated.Claims {
		name := simulated.Claims[i].Name
		row(name, claimWord(simulated, name), claimWord(real, name))
	}
	for _, p := range []struct {
		name string
		of   func(*Result) Quantiles
	}{
		{"produce before", func(r *Result) Quantiles { return r.Latency.Produce.Before }},
		{"produce during", func(r *Result) Quantiles { return r.Latency.Produce.During }},
		{"produce after", func(r *Result) Quantiles { return r.Latency.Produce.After }},
		{"end to end whole", func(r *Result) Quantiles { return r.Latency.E2E.Whole }},
	} {
		row(p.name+", ms", shape(p.of(simulated)), shape(p.of(real)))
	}
	row("longest gap of a partition", worstGap(simulated), worstGap(real))
	count := func(name string, of func(*Result) int64) {
		row(name, fmt.Sprint(of(simulated)), fmt.Sprint(of(real)))
	}
	count("records acknowledged", func(r *Result) int64 { return r.Records.Acked })
	count("records lost", func(r *Result) int64 { return r.Records.Lost })
	count("stored twice", func(r *Result) int64 { return r.Records.Duplicated })
	count("reordered", func(r *Result) int64 { return r.Records.Reordered })
	count("delivered again", func(r *Result) int64 { return r.Records.Redelivered })
	count("errors shown", func(r *Result) int64 { return r.ProduceErrors })
	count("rebalances", func(r *Result) int64 { return int64(r.Rebalances) })
	count("faults injected", func(r *Result) int64 { return int64(r.FaultsInjected) })
	t.told("simulated", simulated)
	t.told("real", real)
	return t.text.String()
}

// worldsName and worldsColumn share the width of a terminal.
const (
	worldsName   = 26
	worldsColumn = 25
	worldsErrors = 6
)

func claimWord(r *Result, name string) string {
	for _, c := range r.Claims {
		switch {
		case c.Name != name:
		case !c.Made:
			return "not made"
		case c.Held:
			return "held"
		default:
			return "VIOLATED"
		}
	}
	return "not made"
}

func shape(q Quantiles) string {
	if q.Count == 0 {
		return "–"
	}
	return fmt.Sprintf("%s / %s / %s", compact(q.P50), compact(q.P99), compact(q.Max))
}

// compact writes milliseconds with three digits.
func compact(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.2f", ms)
}

func worstGap(r *Result) string {
	var worst Unavailability
	for _, u := range r.Unavailability {
		if u.LongestSeconds > worst.LongestSeconds {
			worst = u
		}
	}
	if worst.Partition == "" {
		return "–"
	}
	return fmt.Sprintf("%.1fs %s", worst.LongestSeconds, clean(worst.Partition))
}

// told lists why a world did not pass, its findings, and what its clients were
// told, most frequent first.
func (t *terminal) told(world string, r *Result) {
	for i, reason := range r.Reasons {
		if i < worldsErrors {
			t.hang(world+": ", 2, plain, clean(reason))
		}
	}
	for i := range r.Anomalies {
		if i < worldsErrors {
			t.hang(world+": ", 2, plain, clean(r.Anomalies[i].Text))
		}
	}
	texts := make([]string, 0, len(r.ClientErrors))
	for text := range r.ClientErrors {
		texts = append(texts, text)
	}
	slices.SortFunc(texts, func(a, b string) int {
		if d := r.ClientErrors[b] - r.ClientErrors[a]; d != 0 {
			return int(d)
		}
		return strings.Compare(a, b)
	})
	for i, text := range texts {
		if i < worldsErrors {
			t.hang(world+": ", 2, plain, fmt.Sprintf("%d times %s", r.ClientErrors[text], clean(text)))
		}
	}
}
