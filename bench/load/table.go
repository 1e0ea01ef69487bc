package load

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// PrintPeriod writes a second of a run as Kafka's producer performance tool
// prints its own.
func PrintPeriod(w io.Writer, r *Run, p *Period) {
	phase := ""
	if p.Warmup {
		phase = " (warm-up)"
	}
	megabytes := float64(p.Acked) * float64(r.Workload.MessageSize) / (1 << 20)
	_, _ = fmt.Fprintf(w, "%s %.0fs: %d records sent, %.1f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms max latency, %d behind%s\n",
		r.Target.Name(), p.At.Seconds(), p.Acked, float64(p.Acked), megabytes,
		p.latencies.publish.Mean()/1000, float64(p.latencies.publish.Max())/1000, p.Backlog, phase)
}

// PrintTotal writes a whole run in the same way.
func PrintTotal(w io.Writer, r *Result) {
	megabytes := r.PublishRate() * float64(r.Workload.MessageSize) / (1 << 20)
	_, _ = fmt.Fprintf(w, "%s run %d: %d records sent, %.1f records/sec (%.2f MB/sec), %.2f ms avg latency, %.2f ms max latency, "+
		"%.2f ms 50th, %.2f ms 95th, %.2f ms 99th, %.2f ms 99.9th.\n",
		r.Target, r.Repeat, r.Acked, r.PublishRate(), megabytes, r.total.publish.Mean()/1000, float64(r.total.publish.Max())/1000,
		r.PublishMillis(50), r.PublishMillis(95), r.PublishMillis(99), r.PublishMillis(99.9))
	_, _ = fmt.Fprintf(w, "%s run %d: %d received, %.1f records/sec, end to end %.2f ms 50th, %.2f ms 99th, %.2f ms 99.9th. %s\n",
		r.Target, r.Repeat, r.Received, r.ConsumeRate(), r.EndToEndMillis(50), r.EndToEndMillis(99), r.EndToEndMillis(99.9), r.remark())
}

// remark says in words what keeps a result from being a good one.
func (r *Result) remark() string {
	var parts []string
	for _, p := range []struct {
		n    int64
		text string
	}{
		{r.Failed, "failed (" + r.FirstError + ")"}, {r.Missing, "acknowledged and NEVER RECEIVED"}, {r.Unsent, "due and never sent: the load was not taken"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
		}
	}
	if len(parts) == 0 {
		return "Every acknowledged record was received."
	}
	return strings.Join(parts, ", ") + "."
}

// PrintTable compares results: a row for each workload and target, the medians
// of its repeats, in Markdown.
func PrintTable(w io.Writer, results []*Result) {
	_, _ = fmt.Fprintln(w, "| workload | target | runs | published/s | MB/s | consumed/s | publish p50 | p99 | p99.9 ms | end to end p50 | p99 | p99.9 ms | remark |")
	_, _ = fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|---|---|")
	for len(results) > 0 {
		first := results[0]
		same := func(r *Result) bool { return r.Workload.Name == first.Workload.Name && r.Target == first.Target }
		var group, rest []*Result
		for _, r := range results {
			if same(r) {
				group = append(group, r)
			} else {
				rest = append(rest, r)
			}
		}
		results = rest
		of := func(value func(*Result) float64) float64 { return median(group, value) }
		publish := func(q float64) float64 { return of(func(r *Result) float64 { return r.PublishMillis(q) }) }
		end := func(q float64) float64 { return of(func(r *Result) float64 { return r.EndToEndMillis(q) }) }
		rate := of((*Result).PublishRate)
		_, _ = fmt.Fprintf(w, "| %s | %s | %d | %.0f | %.1f | %.0f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %s |\n",
			first.Workload.Name, first.Target, len(group), rate, rate*float64(first.Workload.MessageSize)/(1<<20), of((*Result).ConsumeRate),
			publish(50), publish(99), publish(99.9), end(50), end(99), end(99.9), worst(group))
	}
}

// worst is the remark of the first run that is not as it should be.
func worst(group []*Result) string {
	for _, r := range group {
		if !r.OK() {
			return fmt.Sprintf("run %d: %s", r.Repeat, r.remark())
		}
	}
	return ""
}

func median(group []*Result, value func(*Result) float64) float64 {
	values := make([]float64, 0, len(group))
	for _, r := range group {
		values = append(values, value(r))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}
