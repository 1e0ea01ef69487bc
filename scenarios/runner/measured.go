package runner

import (
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
)

// never is a length of time that has no end.
const never = math.MaxInt64

// asserts tells whether a scenario has an assertion on a metric's series.
func asserts(s *scenarios.Scenario, metric, series string) bool {
	is := func(a scenarios.Assertion) bool { return a.Metric == metric && a.Series == series }
	return slices.ContainsFunc(s.Expect.DuringFault, is) || slices.ContainsFunc(s.Expect.Thresholds, is)
}

// measureParts gives each partition histograms of its own where an assertion
// needs them: they cost memory, and time for every record.
func (r *run) measureParts() {
	produce, e2e := asserts(r.scenario, "produce_latency", "per_partition"), asserts(r.scenario, "e2e_latency", "per_partition")
	for t := range r.ledger.topics {
		for p := range r.ledger.topics[t].partitions {
			part := &r.ledger.topics[t].partitions[p]
			if produce {
				part.produceLatency = &phase.Latency{}
			}
			if e2e {
				part.e2eLatency = &phase.Latency{}
			}
		}
	}
}

// measured returns a statistic in the assertion's unit and, where it is one of
// several partitions or groups, which of them it is about. It is not ok if nothing
// was measured in that part of the run.
func (r *run) measured(a *scenarios.Assertion, part string, res *reports.Result) (value int64, where string, ok bool) {
	if part == partDuring && r.faulty(r.origin, r.world.Now()) == 0 {
		return 0, "", false // zero of nothing would keep any limit
	}
	switch a.Metric {
	case "produce_latency":
		return r.latencyOf(a, part, r.ledger.produce, func(p *partitionLedger) *phase.Latency { return p.produceLatency })
	case "e2e_latency":
		return r.latencyOf(a, part, r.ledger.e2e, func(p *partitionLedger) *phase.Latency { return p.e2eLatency })
	case "produce_unavailability", "fetch_unavailability", "group_unavailability", "admin_unavailability",
		"under_replicated_time", "under_min_isr_time":
		return r.stallsOf(a, part)
	case "recovery_time":
		if res.RTOSeconds < 0 {
			return never, "", true
		}
		return int64(res.RTOSeconds * float64(time.Second)), "", true
	case "consumer_lag":
		amounts := &r.sampler.total
		if a.Series == "per_partition" {
			amounts = &r.sampler.worst
		}
		h, peak := amounts.in(part)
		if h.TotalCount() == 0 {
			return 0, "", false
		}
		if a.Stat == "max" {
			return peak, "", true
		}
		return statistic(h, a.Stat), "", true
	}
	return r.countOf(a.Metric, part, res), "", true
}

func (r *run) countOf(metric, part string, res *reports.Result) int64 {
	switch metric {
	case "produce_errors":
		return r.ledger.errors.in(part)
	case "leader_moves":
		return r.watch.leaders.in(part)
	case "unclean_elections":
		return r.watch.unclean.in(part)
	case "isr_shrinks":
		return r.watch.shrinks.in(part)
	case "isr_expands":
		return r.watch.expands.in(part)
	case "rebalances":
		return r.ledger.rebalances.in(part)
	case "controller_elections":
		return r.watch.elected.in(part)
	case "lost_records":
		return res.Records.Lost
	case "reordered_records":
		return res.Records.Reordered
	case "broker_duplicates":
		return res.Records.Duplicated
	case "duplicate_ratio":
		return res.Records.Redelivered * 1_000_000 / max(1, res.Records.Acked)
	case "cross_zone_bytes":
		var sum int64
		for _, z := range res.ZoneTraffic {
			if z.From != z.To {
				sum += z.Bytes
			}
		}
		return sum
	}
	panic("runner: the loader let the metric " + metric + " pass, which is not measured")
}

// latencyOf is a statistic of a latency, or of the partition whose own violates the
// assertion most.
func (r *run) latencyOf(a *scenarios.Assertion, part string, all *latency, of func(*partitionLedger) *phase.Latency) (int64, string, bool) {
	if a.Series == "" {
		h := latencyIn(part, &all.Latency)
		if h.TotalCount() == 0 {
			return 0, "", false
		}
		return statistic(h.Histogram, a.Stat), "", true
	}
	var list []named
	for t := range r.ledger.topics {
		topic := &r.ledger.topics[t]
		for p := range topic.partitions {
			if h := latencyIn(part, of(&topic.partitions[p])); h.TotalCount() > 0 {
				list = append(list, named{partitionName(topic.name, int32(p)), statistic(h.Histogram, a.Stat)})
			}
		}
	}
	if len(list) == 0 {
		return 0, "", false
	}
	worst := slices.MaxFunc(list, func(x, y named) int { return a.Compare.Worse(x.value, y.value, a.Limit) })
	return worst.value, worst.name, true
}

// named is a value of one partition or group.
type named struct {
	name  string
	value int64
}

var percentiles = map[string]float64{"p50": 50, "p75": 75, "p90": 90, "p95": 95, "p99": 99, "p999": 99.9, "p9999": 99.99}

func statistic(h *hdrhistogram.Histogram, stat string) int64 {
	switch stat {
	case "min":
		return h.Min()
	case "max":
		return h.Max()
	case "mean":
		return int64(h.Mean())
	}
	return h.ValueAtQuantile(percentiles[stat])
}

// stallsOf is a statistic over the longest stalls of all partitions or groups.
func (r *run) stallsOf(a *scenarios.Assertion, part string) (value int64, where string, ok bool) {
	var list []named
	add := func(name string, s *stall) {
		d := s.outside
		if part == partDuring {
			d = s.inFault
		}
		list = append(list, named{name, int64(d)})
	}
	for t := range r.ledger.topics {
		topic := &r.ledger.topics[t]
		for p := range topic.partitions {
			name := partitionName(topic.name, int32(p))
			switch a.Metric {
			case "produce_unavailability":
				add(name, &topic.partitions[p].produce)
			case "fetch_unavailability":
				for g := range r.ledger.groups {
					if g := &r.ledger.groups[g]; g.topics[t] {
						add(name+" of "+g.name, &g.fetch[t][p])
					}
				}
			}
		}
	}
	switch a.Metric {
	case "group_unavailability":
		for g := range r.ledger.groups {
			add(r.ledger.groups[g].name, &r.ledger.groups[g].stable)
		}
	case "admin_unavailability":
		add("", &r.ledger.admin)
	case "under_replicated_time":
		add("", &r.watch.under)
	case "under_min_isr_time":
		add("", &r.watch.underMin)
	}
	if len(list) == 0 {
		return 0, "", false
	}
	slices.SortStableFunc(list, func(x, y named) int { return a.Compare.Worse(x.value, y.value, a.Limit) })
	slices.SortStableFunc(list, func(x, y named) int { return int(min(max(x.value-y.value, -1), 1)) })
	at := len(list) - 1
	switch a.Stat {
	case "max":
	case "min":
		at = 0
	case "mean":
		sum := int64(0)
		for _, x := range list {
			sum += x.value
		}
		return sum / int64(len(list)), "", true
	default:
		at = int(math.Ceil(percentiles[a.Stat]/100*float64(len(list)))) - 1
	}
	return list[at].value, list[at].name, true
}

// closeStalls ends all measurements of stalls.
func (r *run) closeStalls() {
	now := r.world.Now()
	r.ledger.close(now)
	r.watch.under.close(now, r)
	r.watch.underMin.close(now, r)
}

// unavailability reports the longest stalls of everything, and from those in the
// time of faults how long it took until all was served again.
func (r *run) unavailability(res *reports.Result) {
	recovered := func(s *stall) {
		if s.never {
			res.RTOSeconds = -1
		} else if res.RTOSeconds >= 0 {
			res.RTOSeconds = max(res.RTOSeconds, s.recovery.Seconds())
		}
	}
	for t := range r.ledger.topics {
		topic := &r.ledger.topics[t]
		for p := range topic.partitions {
			u := reports.Unavailability{Partition: partitionName(topic.name, int32(p))}
			s := &topic.partitions[p].produce
			recovered(s)
			u.LongestSeconds, u.FromSeconds = r.gap(s)
			for g := range r.ledger.groups {
				if g := &r.ledger.groups[g]; g.topics[t] {
					recovered(&g.fetch[t][p])
					if d, from := r.gap(&g.fetch[t][p]); d > u.FetchLongestSeconds {
						u.FetchLongestSeconds, u.FetchFromSeconds = d, from
					}
				}
			}
			res.Unavailability = append(res.Unavailability, u)
		}
	}
	for g := range r.ledger.groups {
		d, from := r.gap(&r.ledger.groups[g].stable)
		res.Stalls = append(res.Stalls, reports.Stall{What: "group " + r.ledger.groups[g].name + " not stable", LongestSeconds: d, FromSeconds: from})
	}
	for _, x := range []struct {
		what string
		s    *stall
	}{{"a partition under-replicated", &r.watch.under}, {"a partition below min.insync.replicas", &r.watch.underMin}, {"no change by an administrator", &r.ledger.admin}} {
		if d, from := r.gap(x.s); d > 0 {
			res.Stalls = append(res.Stalls, reports.Stall{What: x.what, LongestSeconds: d, FromSeconds: from})
		}
	}
	if len(r.faults.done) > 0 && r.healed() {
		res.LagRecoverySeconds = r.recoveredAfter(&r.sampler.lag).Seconds()
	}
}

// gap is the longest stall and when it began, in seconds of the scenario.
func (r *run) gap(s *stall) (length, from float64) {
	if s.longest <= 0 {
		return 0, 0
	}
	return s.longest.Seconds(), seconds(max(0, s.from-r.origin))
}

// partitionLatencies reports what was measured for each partition.
func (r *run) partitionLatencies(res *reports.Result) {
	for t := range r.ledger.topics {
		topic := &r.ledger.topics[t]
		for p := range topic.partitions {
			for _, kind := range []struct {
				name string
				of   *phase.Latency
			}{{"produce", topic.partitions[p].produceLatency}, {"end to end", topic.partitions[p].e2eLatency}} {
				if kind.of != nil {
					res.PartitionLatency = append(res.PartitionLatency, reports.PartitionLatency{
						Partition: partitionName(topic.name, int32(p)), Kind: kind.name, Phases: kind.of.Report(),
					})
				}
			}
		}
	}
}
