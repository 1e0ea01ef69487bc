package real

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
)

// ledger is what the clients have seen. The checkers want one order of events,
// and so it has one lock: an event is what is told first.
type ledger struct {
	mu         sync.Mutex
	event      uint64
	checker    *lin.Checker
	origin     time.Time
	topics     []topicLedger
	faults     []faultWindow
	recovery   time.Duration // that counts as the fault's
	produce    phase.Latency
	endToEnd   phase.Latency
	frontier   map[groupPartition]int64
	offered    int64
	acked      int64
	failed     int64
	unknown    int64
	delivered_ int64
	again      int64
	errors     map[string]int64 // what applications and clients were told, by text
	rebalances int
	series     []reports.SeriesPoint
	corrupt    []string
}

type groupPartition struct {
	group     string
	topic     int32
	partition int32
}

type topicLedger struct {
	name       string
	compacted  bool
	partitions []gap
}

// gap is the longest time in which a partition had records to acknowledge and
// acknowledged none.
type gap struct {
	last          time.Duration
	longest, from time.Duration
	ackedEnd      int64 // end of the acknowledged records known by offset
	logStart      int64
}

// faultWindow is when a fault was in force; to is -1 while it is.
type faultWindow struct{ from, to time.Duration }

func newLedger(s *scenarios.Scenario, asserted lin.Asserted) *ledger {
	l := &ledger{recovery: s.Expect.Recovery, checker: lin.NewChecker(lin.Config{Asserted: asserted}), errors: map[string]int64{},
		frontier: map[groupPartition]int64{}}
	for i := range s.Topics {
		t := topicLedger{name: s.Topics[i].Name, compacted: s.Topics[i].Compacted(), partitions: make([]gap, s.PartitionsAtEnd(&s.Topics[i]))}
		l.topics = append(l.topics, t)
		for p := range t.partitions {
			if t.compacted {
				l.checker.Compacted(lin.Partition{Topic: int32(i), Index: int32(p)}, compactionOf(s, &s.Topics[i]))
			}
		}
	}
	return l
}

// now is the time since the load began.
func (l *ledger) now() time.Duration { return time.Since(l.origin) }

// tick is the next event.
func (l *ledger) tick() uint64 { l.event++; return l.event }

func (l *ledger) phaseOf(intended time.Duration) phase.Phase {
	for _, f := range l.faults {
		if intended >= f.from && (f.to < 0 || intended < f.to+l.recovery) {
			return phase.During
		}
	}
	if len(l.faults) > 0 && intended >= l.faults[0].from {
		return phase.After
	}
	return phase.Before
}

func (l *ledger) point() *reports.SeriesPoint {
	second := max(0, int64(l.now()/time.Second))
	for int64(len(l.series)) <= second {
		l.series = append(l.series, reports.SeriesPoint{Second: int64(len(l.series))})
	}
	return &l.series[second]
}

// invoked says that a record is about to be sent.
func (l *ledger) invoked(i *identity, acksAll bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offered++
	l.checker.Invoke(i.at, i.id, 1, acksAll, l.tick())
	if l.topics[i.at.Topic].compacted {
		l.checker.SentKeys(i.id, []lin.Keyed{i.Keyed})
	}
}

// logStart says that a leader's log begins at an offset.
func (l *ledger) logStart(p lin.Partition, offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := &l.topics[p.Topic].partitions[p.Index]
	if offset > g.logStart {
		g.logStart = offset
		l.checker.LogStart(p, offset, lin.RetentionReason, l.tick())
	}
}

// answered says what became of it: err nil is an acknowledgement, with the offset
// or -1 where there is none. An error that is not definite leaves a record of unknown
// fate, which may land late if its producer is not idempotent.
func (l *ledger) answered(p lin.Partition, id lin.BatchID, intended time.Duration, offset int64, err error, definite, late bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	event := l.tick()
	if err != nil {
		l.errors["produce: "+err.Error()]++
		l.point().Errors++
		if definite {
			l.failed++
			l.checker.Failed(p, id, event)
			return
		}
		l.unknown++
		l.checker.Unknown(p, id, late, event)
		return
	}
	l.acked++
	l.point().Acked++
	l.checker.Acked(p, id, offset, event)
	now := l.now()
	l.produce.Record(l.phaseOf(intended), now-intended, 1)
	g := &l.topics[p.Topic].partitions[p.Index]
	g.ackedEnd = max(g.ackedEnd, offset+1)
	if since := max(g.last, intended); now-since > g.longest {
		g.longest, g.from = now-since, since
	}
	g.last = now
}

// delivery is a record that a reader was given.
type delivery struct {
	identity
	reader int32
	group  string // empty: the reader belongs to none
	offset int64
	reset  bool // the reader begins here
	seen   lin.Seen
}

func (l *ledger) delivered(d *delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	event := l.tick()
	if d.reset {
		l.checker.ReaderReset(d.reader, d.at, d.offset, event)
	}
	if l.topics[d.at.Topic].compacted {
		l.checker.ReadCompacted(d.reader, d.at, d.offset, d.id, 0, []lin.Keyed{d.Keyed}, d.seen, event)
	} else {
		l.checker.ReadBatch(d.reader, d.at, d.offset, 1, d.id, 0, event)
	}
	if d.group == "" {
		return
	}
	l.delivered_++
	l.point().Delivered++
	key := groupPartition{d.group, d.at.Topic, d.at.Index}
	if d.offset < l.frontier[key] {
		l.again++
		return
	}
	l.frontier[key] = d.offset + 1
	l.endToEnd.Record(l.phaseOf(d.intended), l.now()-d.intended, 1)
}

// broken says that a record is not as it was sent: always a violation.
func (l *ledger) broken(p lin.Partition, offset int64, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.corrupt = append(l.corrupt, fmt.Sprintf("corrupt-record %s@%d: %s", l.name(p), offset, what))
}

// told counts an error of a client that is not a record's.
func (l *ledger) told(what string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors[what+": "+err.Error()]++
}

func (l *ledger) rebalanced() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rebalances++
}

// faultBegins opens a window and returns what closes it.
func (l *ledger) faultBegins() (ends func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := len(l.faults)
	l.faults = append(l.faults, faultWindow{l.now(), -1})
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.faults[i].to < 0 {
			l.faults[i].to = l.now()
		}
	}
}

func (l *ledger) name(p lin.Partition) string {
	if p.Topic < 0 || int(p.Topic) >= len(l.topics) {
		return ""
	}
	return l.topics[p.Topic].name + "-" + strconv.Itoa(int(p.Index))
}

// seen are the claims that can be judged by clients alone.
var seen = []string{lin.ClaimNoLostAcks, lin.ClaimNoBrokerDuplicates, lin.ClaimNoReorder, lin.ClaimPermittedAnomalies,
	lin.ClaimNewestKept, lin.ClaimCompactionLags, lin.ClaimNoResurrectedKeys}

// result judges what was seen.
func (l *ledger) result(s *scenarios.Scenario, claims lin.Claims) *reports.Result {
	l.mu.Lock()
	defer l.mu.Unlock()
	report := l.checker.Finish()
	res := &reports.Result{
		Scenario: s.Name, Description: s.Description, VirtualSeconds: l.now().Seconds(),
		Thresholds: []reports.Threshold{}, Anomalies: []reports.Anomaly{}, Faults: []reports.Fault{}, Series: l.series,
		Rebalances: l.rebalances, ProduceErrors: l.failed + l.unknown, ClientErrors: l.errors,
		Records: reports.Records{
			Offered: l.offered, Acked: l.acked, Delivered: l.delivered_, Lost: report.Lost, Duplicated: report.Duplicated,
			Redelivered: l.again, Reordered: report.Reordered, Unverified: report.Unverified + report.UnverifiedWatermarks,
			Unknown: l.unknown, Failed: l.failed, Compacted: report.Compacted,
		},
		Latency: reports.Latency{Produce: l.produce.Report(), E2E: l.endToEnd.Report()},
	}
	for _, f := range report.Findings.List {
		res.Anomalies = append(res.Anomalies, reports.Anomaly{Kind: f.Kind.String(), Claim: f.Kind.Claim(), Partition: l.name(f.Partition),
			Offset: f.Offset, Text: f.Describe(l.name(f.Partition), nil), Event: f.Second.Event})
	}
	res.AnomaliesTotal = int(report.Findings.Total)
	for _, text := range l.corrupt {
		res.Anomalies = append(res.Anomalies, reports.Anomaly{Kind: "corrupt-record", Text: text, Offset: -1})
		res.AnomaliesTotal++
	}
	l.judge(res, claims, report)
	for t := range l.topics {
		for p, g := range l.topics[t].partitions {
			res.Unavailability = append(res.Unavailability, reports.Unavailability{
				Partition: l.name(lin.Partition{Topic: int32(t), Index: int32(p)}), LongestSeconds: g.longest.Seconds(), FromSeconds: g.from.Seconds()})
		}
	}
	return res
}

func (l *ledger) judge(res *reports.Result, claims lin.Claims, report *lin.Report) {
	res.Verdict = reports.Pass
	for _, c := range claims {
		claim := reports.Claim{Name: c.Name, Made: c.Made, Held: true, Why: c.Why}
		if c.Made && !slices.Contains(seen, c.Name) {
			claim.Made, claim.Why = false, "Clients alone cannot judge it: only the simulator sees inside the cluster."
		}
		claim.Held = claim.Made && !slices.ContainsFunc(res.Anomalies, func(a reports.Anomaly) bool { return a.Claim == c.Name })
		res.Claims = append(res.Claims, claim)
	}
	res.Reasons = append(res.Reasons, report.Inconclusive...)
	if l.acked == 0 {
		res.Reasons = append(res.Reasons, "nothing was acknowledged: the run proves nothing")
	}
	if slices.ContainsFunc(l.topics, func(t topicLedger) bool { return t.compacted }) && report.Compacted == 0 {
		res.Reasons = append(res.Reasons, "nothing was compacted away: the run proves nothing about it")
	}
	if len(res.Reasons) > 0 {
		res.Verdict = reports.Inconclusive
	}
	if res.AnomaliesTotal > 0 {
		res.Verdict = reports.Fail
	}
}
