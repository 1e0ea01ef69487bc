package scenarios

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/units"
)

// Expect is what a run must show to pass.
type Expect struct {
	Safety      []string      `key:"safety" enum:"@safety" doc:"Claims that the configuration must allow and the run must keep; when left out, every claim that the configuration allows."`
	Loss        string        `key:"loss" default:"none" enum:"none|predicted|some" doc:"none: no acknowledged record is lost. predicted: exactly those are lost that the simulator says must be. some: as predicted, and at least one."`
	DuringFault []Assertion   `key:"during_fault" doc:"Assertions about the time from each fault until it has healed and recovery has passed."`
	Recovery    time.Duration `key:"recovery" default:"0s" min:"0s" max:"1h" doc:"Time after each heal that still counts as the fault's, in during_fault, thresholds and reports: what is sent then may wait for connections that are being made anew."`
	AfterHeal   []Recovery    `key:"after_heal" named:"yes" doc:"What must be reached again after the last fault has healed."`
	Thresholds  []Assertion   `key:"thresholds" doc:"Assertions about the time outside the faults and the recovery from them."`
	Minimums    Minimums      `key:"minimums" doc:"A run in which less than this happened proves nothing and fails."`
}

// Minimums are the least that must have happened.
type Minimums struct {
	Acked      int64 `key:"acked" default:"1" min:"0" max:"1000000000000" doc:"Records acknowledged."`
	Delivered  int64 `key:"delivered" default:"0" min:"0" max:"1000000000000" doc:"Records delivered to consumers."`
	Faults     int64 `key:"faults" default:"0" min:"0" max:"1000000" doc:"Faults injected; when left out, one for each fault in the timeline."`
	Elections  int64 `key:"elections" default:"0" min:"0" max:"1000000" doc:"Partition leaders elected."`
	Compacted  int64 `key:"compacted" default:"0" min:"0" max:"1000000000000" doc:"Records of compacted topics that are gone when everything is read again in the end."`
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

// Worse orders measured values: positive if x is further from holding than y.
func (c Comparison) Worse(x, y, limit int64) int {
	switch c {
	case GreaterOrEqual, Greater:
		return cmp.Compare(y, x)
	case Equal, NotEqual:
		held := func(v int64) int {
			if c.Holds(v, limit) {
				return 0
			}
			return 1
		}
		return held(x) - held(y)
	}
	return cmp.Compare(x, y)
}

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

// Whole tells whether the metric is taken over the whole run wherever it is
// asserted, since what it counts is only known at the end.
func (a Assertion) Whole() bool {
	m, _ := findMetric(a.Metric)
	return m.whole
}

// metric is one row of the table of what can be asserted.
type metric struct {
	name   string
	unit   UnitKind
	series []string // the keys that may stand below it
	stats  []string // one of them must be named; nil for a plain number
	whole  bool     // always over the whole run
	doc    string
}

// longest is the only statistic of what there is one of.
var longest = []string{"max"}

var metrics = []metric{
	{"produce_latency", UnitDuration, []string{"per_partition"}, stats, false, "From the intended send to the acknowledgement."},
	{"e2e_latency", UnitDuration, []string{"per_partition"}, stats, false, "From the intended send to the first delivery to a group."},
	{"produce_unavailability", UnitDuration, []string{"per_partition"}, stats, false, "The longest time in which a partition acknowledged nothing of what was offered; statistics are over partitions."},
	{"fetch_unavailability", UnitDuration, []string{"per_partition"}, stats, false, "The longest time in which a group was given nothing of a partition although acknowledged records were there; statistics are over partitions and groups. A group that its pauses or stop_at have stopped does not count."},
	{"group_unavailability", UnitDuration, []string{"per_group"}, stats, false, "The longest time in which a group that runs had a partition that no member owned; statistics are over groups."},
	{"admin_unavailability", UnitDuration, nil, longest, false, "The longest time in which an administrator in the first zone could change nothing. It is probed, if asserted, by setting a topic's property once a second, with request.timeout.ms of 2 s."},
	{"recovery_time", UnitDuration, nil, longest, true, "From the start of a fault until every partition takes writes and every group is given records again, of the fault for which it took longest; stalls below a second do not count."},
	{"under_replicated_time", UnitDuration, nil, longest, false, "The longest time with any partition short of in-sync replicas."},
	{"under_min_isr_time", UnitDuration, nil, longest, false, "The longest time with any partition below min.insync.replicas."},
	{"produce_errors", UnitCount, []string{"count"}, nil, false, "Records whose send failed in the end, by the intended send."},
	{"lost_records", UnitCount, []string{"count"}, nil, true, "Acknowledged records that are gone."},
	{"reordered_records", UnitCount, []string{"count"}, nil, true, "Records behind a later record of the same producer and partition."},
	{"broker_duplicates", UnitCount, []string{"count"}, nil, true, "Records that stand in the log twice."},
	{"consumer_lag", UnitCount, []string{"per_partition", "total"}, stats, false, "Acknowledged records not yet delivered, looked at every second: of all partitions, or of the one that is worst at the time."},
	{"leader_moves", UnitCount, []string{"count"}, nil, false, "Changes of partition leaders."},
	{"unclean_elections", UnitCount, []string{"count"}, nil, false, "Leaders elected from outside the in-sync set."},
	{"isr_shrinks", UnitCount, []string{"count"}, nil, false, "Replicas taken out of the in-sync set."},
	{"isr_expands", UnitCount, []string{"count"}, nil, false, "Replicas taken back into the in-sync set."},
	{"rebalances", UnitCount, []string{"count"}, nil, false, "Assignments that members of groups were given."},
	{"controller_elections", UnitCount, []string{"count"}, nil, false, "Controllers that became active after the first."},
	{"duplicate_ratio", UnitShare, nil, nil, true, "Extra deliveries for each acknowledged record."},
	{"cross_zone_bytes", UnitBytes, []string{"total"}, nil, true, "Bytes that crossed zones."},
}

// Metric is what can be asserted about one metric.
type Metric struct {
	Name       string
	Unit       UnitKind
	Series     []string
	Statistics []string // none: it is one number
}

// Metrics lists everything that can be asserted.
func Metrics() (out []Metric) {
	for _, m := range metrics {
		out = append(out, Metric{m.name, m.unit, m.series, m.stats})
	}
	return out
}

// recoveries are the states that after_heal can wait for.
var recoveries = []struct{ name, doc string }{
	{"in_sync_replicas", "Share of replicas that are in sync."},
	{"preferred_leaders", "Share of partitions led by their preferred replica."},
	{"online_partitions", "Share of partitions that have a leader."},
	{"stable_groups", "Share of groups that are stable; one that its start_at or a pause has let begin less than 15 s ago counts as stable, and so does one that is stopped or paused as a whole."},
	{"consumer_lag", "Lag; baseline is its p99 from before the fault, or what is offered in a tenth of a second."},
	{"produce_latency", "Produce latency of a second, its p99; baseline is twice the p99 from before the fault."},
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
	{"newest_kept", "Of compacted topics: the newest record of each key stays readable, but for a tombstone whose time is over."},
	{"compaction_lags", "Of compacted topics: no record goes within min.compaction.lag.ms, no tombstone within delete.retention.ms."},
	{"no_resurrected_keys", "Of compacted topics: whoever was given a value is given its tombstone too, if within delete.retention.ms."},
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
	switch {
	case a.Stat == "" && m.stats != nil:
		return a, fmt.Sprintf("%s is a distribution; say which statistic, one of: %s", m.name, strings.Join(m.stats, ", ")), ""
	case a.Stat != "" && m.stats == nil:
		return a, fmt.Sprintf("%s is one number, without statistics; write it like %s", m.name, exampleOf(m)), a.Text[at:]
	case a.Stat != "" && !slices.Contains(m.stats, a.Stat):
		meant := strings.NewReplacer("(", "", ")", "", ".", "").Replace(a.Stat) // as k6 writes p(99.9)
		if !slices.Contains(m.stats, meant) {
			meant = nearest(a.Stat, m.stats)
		}
		return a, fmt.Sprintf("unknown statistic; %s has: %s", m.name, strings.Join(m.stats, ", ")), meant
	}
	if strings.ContainsAny(rest, "<>=!&|") {
		return a, `an assertion is one comparison; write several as a list, like ["p99<20ms", "max<1s"]`, ""
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
	if problem == "" {
		problem = a.pointless()
	}
	return a, problem, suggestion
}

// Latencies are kept between these bounds; what is out of range counts as the bound.
const (
	LatencyMin = time.Microsecond
	LatencyMax = time.Hour
)

// pointless says why an assertion decides nothing: whatever can be measured keeps it,
// or nothing does.
func (a Assertion) pointless() string {
	least, most, bounds := int64(0), int64(math.MaxInt64), "is never negative"
	if strings.HasSuffix(a.Metric, "_latency") {
		least, most = int64(LatencyMin), int64(LatencyMax)
		bounds = fmt.Sprintf("is measured from %s to %s", units.Format(int64(LatencyMin), units.Durations), units.Format(int64(LatencyMax), units.Durations))
	}
	low, high := a.Compare.Holds(least, a.Limit), a.Compare.Holds(most, a.Limit)
	inside := a.Limit >= least && a.Limit <= most
	switch {
	case low && high && !(inside && a.Compare == NotEqual):
		return fmt.Sprintf("cannot fail: %s %s", a.Metric, bounds)
	case !low && !high && !(inside && a.Compare == Equal):
		return fmt.Sprintf("can never hold: %s %s", a.Metric, bounds)
	}
	return ""
}

func exampleOf(m metric) string {
	switch m.unit {
	case UnitDuration:
		if !slices.Contains(m.stats, "p99") {
			return "max<15s"
		}
		return "p99<20ms"
	case UnitShare:
		return "<=1%"
	case UnitBytes:
		return "<10GiB"
	}
	return "==0"
}
