package scenarios

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/units"
)

// Expect is what a run must show to pass.
type Expect struct {
	Safety      []string    `key:"safety" enum:"@safety" doc:"Claims that the configuration must allow and the run must keep; when left out, every claim that the configuration allows."`
	Loss        string      `key:"loss" default:"none" enum:"none|predicted|some" doc:"none: no acknowledged record is lost. predicted: exactly those are lost that the simulator says must be. some: as predicted, and at least one."`
	DuringFault []Assertion `key:"during_fault" doc:"Assertions about the time from each fault until it has healed."`
	AfterHeal   []Recovery  `key:"after_heal" named:"yes" doc:"What must be reached again after the last fault has healed."`
	Thresholds  []Assertion `key:"thresholds" doc:"Assertions about the time outside the faults."`
	Minimums    Minimums    `key:"minimums" doc:"A run in which less than this happened proves nothing and fails."`
}

// Minimums are the least that must have happened.
type Minimums struct {
	Acked      int64 `key:"acked" default:"1" min:"0" max:"1000000000000" doc:"Records acknowledged."`
	Delivered  int64 `key:"delivered" default:"0" min:"0" max:"1000000000000" doc:"Records delivered to consumers."`
	Faults     int64 `key:"faults" default:"0" min:"0" max:"1000000" doc:"Faults injected; when left out, one for each fault in the timeline."`
	Elections  int64 `key:"elections" default:"0" min:"0" max:"1000000" doc:"Partition leaders elected."`
	Rebalances int64 `key:"rebalances" default:"0" min:"0" max:"1000000" doc:"Group rebalances completed."`
}

// Recovery is a state that must be reached again.
type Recovery struct {
	Name      string        // of the table recoveries
	Reach     PPM           // share of what there is; unused when Baseline
	Baseline  bool          // its value from before the first fault
	ReachText string        `key:"reach" need:"yes" doc:"A percentage, or baseline for the value from before the first fault."`
	Within    time.Duration `key:"within" need:"yes" min:"1ms" max:"24h" doc:"Time from the last heal."`
}

// UnitKind says what a metric is measured in.
type UnitKind uint8

// The kinds of unit. Values are nanoseconds, whole numbers, parts per million
// and bytes.
const (
	UnitDuration UnitKind = iota
	UnitCount
	UnitShare
	UnitBytes
)

var unitNames = [...]string{"duration", "number", "percentage", "size"}

// Comparison is the relation of an Assertion.
type Comparison uint8

// The comparisons.
const (
	Less Comparison = iota
	LessOrEqual
	Equal
	NotEqual
	GreaterOrEqual
	Greater
)

var comparisonTexts = [...]string{"<", "<=", "==", "!=", ">=", ">"}

// String is the operator as written.
func (c Comparison) String() string { return comparisonTexts[c] }

// Holds reports whether measured stands in the relation to limit.
func (c Comparison) Holds(measured, limit int64) bool {
	switch c {
	case Less:
		return measured < limit
	case LessOrEqual:
		return measured <= limit
	case Equal:
		return measured == limit
	case NotEqual:
		return measured != limit
	case GreaterOrEqual:
		return measured >= limit
	}
	return measured > limit
}

// Assertion compares one statistic of one metric with a limit.
type Assertion struct {
	Metric  string // of the table metrics
	Series  string // "per_partition", "count" ...; empty for the metric as a whole
	Stat    string // "p50" .. "p9999", "min", "max", "mean"; empty for a plain count
	Compare Comparison
	Limit   int64 // in the metric's unit
	Unit    UnitKind
	Text    string // "p99<20ms"
}

// String is the assertion in one piece: "produce_latency p99<20ms".
func (a Assertion) String() string {
	if a.Series != "" {
		return a.Metric + " " + a.Series + " " + a.Text
	}
	return a.Metric + " " + a.Text
}

// metric is one row of the table of what can be asserted.
type metric struct {
	name   string
	unit   UnitKind
	series []string // the keys that may stand below it
	doc    string
}

var metrics = []metric{
	{"produce_latency", UnitDuration, []string{"per_partition"}, "From the intended send to the acknowledgement."},
	{"e2e_latency", UnitDuration, []string{"per_partition"}, "From the intended send to the first delivery."},
	{"produce_unavailability", UnitDuration, []string{"per_partition"}, "The longest time in which a partition acknowledged nothing that was offered."},
	{"fetch_unavailability", UnitDuration, []string{"per_partition"}, "The longest time in which a partition delivered nothing that was there."},
	{"group_unavailability", UnitDuration, []string{"per_group"}, "The longest time in which a group was not stable."},
	{"recovery_time", UnitDuration, nil, "From the start of a fault until every partition takes acks=all writes and every group progresses."},
	{"under_replicated_time", UnitDuration, nil, "Time with any partition short of in-sync replicas."},
	{"under_min_isr_time", UnitDuration, nil, "Time with any partition below min.insync.replicas."},
	{"produce_errors", UnitCount, []string{"count"}, "Records whose send failed in the end."},
	{"lost_records", UnitCount, []string{"count"}, "Acknowledged records that were never delivered."},
	{"reordered_records", UnitCount, []string{"count"}, "Records behind a later record of the same producer and partition."},
	{"broker_duplicates", UnitCount, []string{"count"}, "Records that stand in the log twice."},
	{"consumer_lag", UnitCount, []string{"per_partition", "total"}, "Records not yet delivered."},
	{"leader_moves", UnitCount, []string{"count"}, "Changes of partition leaders."},
	{"unclean_elections", UnitCount, []string{"count"}, "Leaders elected from outside the in-sync set."},
	{"isr_shrinks", UnitCount, []string{"count"}, "Replicas taken out of the in-sync set."},
	{"isr_expands", UnitCount, []string{"count"}, "Replicas taken back into the in-sync set."},
	{"rebalances", UnitCount, []string{"count"}, "Group rebalances completed."},
	{"controller_elections", UnitCount, []string{"count"}, "Controllers that became active."},
	{"duplicate_ratio", UnitShare, nil, "Extra deliveries for each acknowledged record."},
	{"cross_zone_bytes", UnitBytes, []string{"total"}, "Bytes that crossed zones."},
}

// recoveries are the states that after_heal can wait for.
var recoveries = []struct{ name, doc string }{
	{"in_sync_replicas", "Share of replicas that are in sync."},
	{"preferred_leaders", "Share of partitions led by their preferred replica."},
	{"online_partitions", "Share of partitions that have a leader."},
	{"stable_groups", "Share of groups that are stable."},
	{"consumer_lag", "Lag; baseline is its p99 from before the fault."},
	{"produce_latency", "Produce latency; baseline is twice its p99 from before the fault."},
}

// safetyClaims are the claims that 'safety' may name.
var safetyClaims = []struct{ name, doc string }{
	{"no_lost_acks", "No acknowledged record is lost."},
	{"no_reorder", "Each producer's records stand in each partition in the order of sending."},
	{"no_broker_duplicates", "No record stands in the log twice."},
	{"no_divergent_replicas", "Replicas are equal below the high watermark."},
	{"no_offset_rewind", "High watermark, log start and committed offsets never go back."},
	{"no_phantom_reads", "What was delivered is still there at the end."},
	{"single_owner", "A partition has one owner in each generation of a group."},
	{"all_read", "Everything acknowledged is delivered by the end."},
}

var stats = []string{"p50", "p75", "p90", "p95", "p99", "p999", "p9999", "min", "max", "mean"}

func findMetric(name string) (metric, bool) {
	i := slices.IndexFunc(metrics, func(m metric) bool { return m.name == name })
	if i < 0 {
		return metric{}, false
	}
	return metrics[i], true
}

// parseAssertion reads "p99<20ms", "max <= 15s" and "==0".
func parseAssertion(m metric, series, text string) (Assertion, string, string) {
	a := Assertion{Metric: m.name, Series: series, Unit: m.unit, Text: strings.ReplaceAll(text, " ", "")}
	at := strings.IndexAny(a.Text, "<>=!")
	if at < 0 {
		return a, "an assertion needs a comparison, for example " + exampleOf(m), ""
	}
	rest := a.Text[at:]
	found := false
	for _, op := range []Comparison{LessOrEqual, GreaterOrEqual, Equal, NotEqual, Less, Greater} { // long ones first
		if strings.HasPrefix(rest, op.String()) {
			a.Compare, rest, found = op, rest[len(op.String()):], true
			break
		}
	}
	if !found {
		return a, "unknown comparison; known are: <, <=, ==, !=, >=, >", a.Text[:at] + "==" + strings.TrimLeft(rest, "=!<>")
	}
	a.Stat = a.Text[:at]
	if a.Stat == "count" {
		a.Stat = ""
	}
	if m.unit == UnitDuration && a.Stat == "" {
		return a, fmt.Sprintf("%s is a distribution; say which statistic, one of: %s", m.name, strings.Join(stats, ", ")), ""
	}
	if a.Stat != "" && !slices.Contains(stats, a.Stat) {
		return a, "unknown statistic; known are: " + strings.Join(stats, ", "), nearest(a.Stat, stats)
	}
	var problem, suggestion string
	switch m.unit {
	case UnitDuration:
		a.Limit, problem, suggestion = units.Parse(rest, units.Durations, "duration")
	case UnitShare:
		a.Limit, problem, suggestion = units.Parse(rest, percentUnits, "percentage")
	case UnitBytes:
		a.Limit, problem, suggestion = units.Parse(rest, units.Sizes, "size")
	case UnitCount:
		var ok bool
		if a.Limit, ok = units.Scale(rest, 1); !ok {
			problem = fmt.Sprintf("%s is compared with a whole number", m.name)
		}
	}
	return a, problem, suggestion
}

func exampleOf(m metric) string {
	switch m.unit {
	case UnitDuration:
		return "p99<20ms"
	case UnitShare:
		return "<=1%"
	case UnitBytes:
		return "<10GiB"
	}
	return "==0"
}
