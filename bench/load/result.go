package load

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what one run measured, warm-up left out. As JSON it has the fields
// of the OpenMessaging Benchmark's result and, under names of our own, what that
// lacks: whether every acknowledged message was received.
type Result struct {
	Workload   *Workload
	Target     string
	Repeat     int // 1 is the first
	Begin      time.Time
	Seconds    float64  // that were measured
	Periods    []Period // one a second
	total      latencies
	Acked      int64  // of all messages, those of the warm-up too
	Failed     int64  // told the application that they failed
	Received   int64  // by all subscriptions together
	Unsent     int64  // due in the time that was measured, and never sent: the system could not take the load
	Missing    int64  // acknowledged, and not received by some subscription
	FirstError string // what the first failed message was told
	published  int64  // acknowledged in the time that was measured
	consumed   int64
}

// Period is one second of a run.
type Period struct {
	At                      time.Duration // its end, since the load began
	Acked, Failed, Received int64
	Backlog                 int64 // acknowledged and not yet received
	latencies               latencies
	Warmup                  bool
}

// OK tells whether the run may be compared with others: no message was lost, none
// refused, and all that were due were sent.
func (r *Result) OK() bool { return r.Missing == 0 && r.Failed == 0 && r.Unsent == 0 && r.Acked > 0 }

// PublishRate is the messages acknowledged in a second, mean of the run.
func (r *Result) PublishRate() float64 { return float64(r.published) / r.Seconds }

// ConsumeRate is the messages received in a second by all subscriptions.
func (r *Result) ConsumeRate() float64 { return float64(r.consumed) / r.Seconds }

// PublishMillis and EndToEndMillis are quantiles (0 to 100) of the latency from
// the intended send to the acknowledgement and to the receipt.
func (r *Result) PublishMillis(quantile float64) float64  { return millis(r.total.publish, quantile) }
func (r *Result) EndToEndMillis(quantile float64) float64 { return millis(r.total.endToEnd, quantile) }

// Histograms are the latencies of the whole run in microseconds, by name.
func (r *Result) Histograms() map[string]*hdrhistogram.Histogram {
	return map[string]*hdrhistogram.Histogram{"publish": r.total.publish, "publish-delay": r.total.delay, "end-to-end": r.total.endToEnd}
}

// quantiles are those of the OpenMessaging Benchmark, with their names there.
var quantiles = []struct {
	name  string
	value float64
}{{"50pct", 50}, {"75pct", 75}, {"95pct", 95}, {"99pct", 99}, {"999pct", 99.9}, {"9999pct", 99.99}, {"99999pct", 99.999}, {"Max", 100}}

// MarshalJSON implements json.Marshaler.
func (r *Result) MarshalJSON() ([]byte, error) {
	w := r.Workload
	out := map[string]any{
		"workload": w.Name, "driver": r.Target, "messageSize": w.MessageSize, "topics": w.Topics,
		"partitions": w.PartitionsPerTopic, "producersPerTopic": w.ProducersPerTopic, "consumersPerTopic": w.ConsumerPerSubscripton * w.SubscriptionsPerTopic,
		"beginTime": r.Begin.UTC().Format(time.RFC3339), "repeat": r.Repeat, "seconds": r.Seconds,
		"acked": r.Acked, "failed": r.Failed, "received": r.Received, "unsent": r.Unsent, "missing": r.Missing, "firstError": r.FirstError, "ok": r.OK(),
		"aggregatedPublishRate": r.PublishRate(), "aggregatedConsumeRate": r.ConsumeRate(),
	}
	series := func(name string, of func(*Period) any) {
		values := []any{}
		for i := range r.Periods {
			if !r.Periods[i].Warmup {
				values = append(values, of(&r.Periods[i]))
			}
		}
		out[name] = values
	}
	series("publishRate", func(p *Period) any { return p.Acked })
	series("publishErrorRate", func(p *Period) any { return p.Failed })
	series("consumeRate", func(p *Period) any { return p.Received })
	series("backlog", func(p *Period) any { return p.Backlog })
	for _, m := range []struct {
		name, aggregated string
		of               func(*latencies) *hdrhistogram.Histogram
	}{
		{"publishLatency", "aggregatedPublishLatency", func(l *latencies) *hdrhistogram.Histogram { return l.publish }},
		{"publishDelayLatency", "aggregatedPublishDelayLatency", func(l *latencies) *hdrhistogram.Histogram { return l.delay }},
		{"endToEndLatency", "aggregatedEndToEndLatency", func(l *latencies) *hdrhistogram.Histogram { return l.endToEnd }},
	} {
		series(m.name+"Avg", func(p *Period) any { return m.of(&p.latencies).Mean() / 1000 })
		out[m.aggregated+"Avg"] = m.of(&r.total).Mean() / 1000
		table := map[string]float64{}
		for _, q := range quantiles {
			series(m.name+q.name, func(p *Period) any { return millis(m.of(&p.latencies), q.value) })
			out[m.aggregated+q.name] = millis(m.of(&r.total), q.value)
			table[fmt.Sprint(q.value)] = millis(m.of(&r.total), q.value)
		}
		out[m.aggregated+"Quantiles"] = table
	}
	return json.Marshal(out)
}
