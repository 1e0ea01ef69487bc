package runner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// rejoinTime is how long a replica that came back may need to be in sync again;
// faults closer to each other count as simultaneous.
const rejoinTime = 2 * time.Minute

// acked is told of every acknowledgement, for the prediction of loss. It tells
// whether the place is one of the newest leader's log.
func (w *watch) acked(b *client.Batch, base int64) (held bool) {
	return base < 0 || w.predictor.ackedBy(b, base, w.predictor.epochOf(b))
}

// replaced tells whether a delivered batch stands, under another epoch, where one
// was acknowledged that must be lost.
func (w *watch) replaced(d *client.Delivery) bool {
	return w.predictor.parts[d.Topic][d.Partition].replaced(d.BaseOffset-int64(d.FirstIndex), d.LeaderEpoch)
}

// outcome asks the checkers and states the verdict.
func (r *run) outcome() *Outcome {
	report := r.ledger.checker.Finish()
	if !r.partial {
		r.closeStalls()
	}
	res := &reports.Result{
		Scenario: r.scenario.Name, Description: r.scenario.Description, KnownBugs: r.scenario.KnownBugs, File: r.scenario.File, Seed: r.options.Seed,
		Partial: r.partial, TraceHash: fmt.Sprintf("%016x", r.world.Trace().Hash()), Events: r.world.Trace().Events(),
		VirtualSeconds: seconds(r.world.Now()), Replay: "simrun " + r.scenario.File + " --seed " + fmt.Sprintf("0x%x", r.options.Seed),
		Faults: r.faults.report(r.world.Now()), FaultsInjected: len(r.faults.done),
		Elections: int(r.watch.leaders.total()), ControllerElections: int(r.watch.elected.total()),
		ISRShrinks: int(r.watch.shrinks.total()), ISRExpands: int(r.watch.expands.total()), Rebalances: int(r.ledger.rebalances.total()),
		FencedMembers:  r.ledger.fenced,
		ProduceRetries: r.ledger.retries, ProduceErrors: r.ledger.failed + r.ledger.unknown + r.ledger.dropped,
		Latency: reports.Latency{Produce: r.ledger.produce.Report(), E2E: r.ledger.e2e.Report()},
		Series:  r.sampler.series, PeakLagRecords: slices.Max(r.sampler.total.peak[:]),
	}
	if !r.partial {
		r.faults.missed = append(r.faults.missed, r.faults.unfinished()...)
	}
	r.records(res, report)
	r.anomalies(res, report)
	r.violations(res)
	r.loss(res, report)
	r.unavailability(res)
	r.partitionLatencies(res)
	r.clusterPicture(res)
	files := r.checkWindows(res)
	r.judgeClaims(res, report)
	r.judgeThresholds(res)
	r.judgeMinimums(res, report)
	r.verdict(res, report)
	res.Histograms = append(r.ledger.produce.histograms("produce"), r.ledger.e2e.histograms("e2e")...)
	return &Outcome{Result: res, Files: files, Checkpoints: r.world.Trace().Checkpoints()}
}

func (r *run) records(res *reports.Result, report *lin.Report) {
	l := r.ledger
	res.Records = reports.Records{
		Offered: l.offered + l.dropped, Acked: l.acked, Delivered: l.delivered, Lost: report.Lost, Duplicated: report.Duplicated,
		Redelivered: l.redelivered, Reordered: report.Reordered, Unverified: report.Unverified, Unknown: l.unknown, Failed: l.failed + l.dropped,
		Compacted: report.Compacted,
	}
}

// asserted tells whether a kind of finding speaks against a claim that is made, or
// against what holds under every configuration.
func (r *run) asserted(k lin.Kind) bool { return k.Claim() == "" || r.claims.Made(k.Claim()) }

// anomalies lists the findings against claims that were made, from every checker.
func (r *run) anomalies(res *reports.Result, report *lin.Report) {
	add := func(list lin.Findings) {
		for _, f := range list.List {
			if !r.asserted(f.Kind) {
				list.Total--
				continue
			}
			res.Anomalies = append(res.Anomalies, r.anomaly(&f, ""))
		}
		res.AnomaliesTotal += int(list.Total)
	}
	add(report.Findings)
	add(r.ledger.owners.Finish().Findings)
	offsets := r.ledger.offsets.Finish(r.ledger.event())
	add(offsets.Findings)
	if r.claims.Made(lin.ClaimNoOffsetRewind) {
		r.failures = append(r.failures, offsets.Reasons...)
	}
	add(r.ledger.ids.Finish().Findings)
	add(r.watch.versions.Finish().Findings)
	for _, f := range r.ledger.findings {
		res.Anomalies = append(res.Anomalies, reports.Anomaly{
			Kind: f.kind, Claim: f.claim, Partition: f.partition, Offset: f.offset, Text: f.text, AtSeconds: f.at, Event: f.event,
		})
	}
	res.AnomaliesTotal += r.ledger.findingsTotal
}

func porcupineFile(window int) string { return fmt.Sprintf("porcupine-%d.html", window) }

// anomaly is a finding as it reads: what happened when, and who had been elected
// before. picture is porcupine's, if it has found it.
func (r *run) anomaly(f *lin.Finding, picture string) reports.Anomaly {
	name := r.ledger.name(f.Partition)
	at := func(event uint64) float64 { return seconds(r.ledger.times.at(event) - r.origin) }
	a := reports.Anomaly{
		Kind: f.Kind.String(), Claim: f.Kind.Claim(), Partition: name, Offset: f.Offset, Event: f.Second.Event, Picture: picture,
		Text: f.Describe(name, func(event uint64) string { return fmt.Sprintf("t=%.3fs", at(event)) }),
	}
	a.AtSeconds = at(max(f.First.Event, f.Second.Event))
	for _, w := range []lin.Witness{f.First, f.Second} {
		if w.Action != "" {
			a.Witnesses = append(a.Witnesses, reports.Witness{
				Action: w.Action, Batch: w.Batch.String(), Offset: w.Offset, Event: w.Event, AtSeconds: at(w.Event),
			})
		}
	}
	if e := r.watch.predictor.ledBy(f.Partition, r.ledger.times.at(max(f.First.Event, f.Second.Event))); e != nil {
		a.Text += fmt.Sprintf(" broker-%d was elected at t=%.3fs in epoch %d with log end %d.", e.leader, seconds(e.at-r.origin), e.epoch, e.begin)
	}
	return a
}

// loss compares what must be lost with what is.
func (r *run) loss(res *reports.Result, report *lin.Report) {
	predicted, observed := r.drainedLoss(report)
	if report.Lost > 0 {
		from, to := r.watch.predictor.span()
		res.RPO = reports.RPO{
			Records: report.Lost, Bytes: report.Lost * r.ledger.ackedBytes / max(1, r.ledger.acked),
			Seconds: to.Sub(from).Seconds(),
		}
	}
	predictable := !r.unacknowledged() // what acks=0 loses on its way to the broker no election explains
	if predictable && predicted != observed && !r.partial && report.Unverified == 0 {
		res.Reasons = append(res.Reasons, fmt.Sprintf("%d acknowledged records must have been lost by the elections, and %d were", predicted, observed))
	}
	for _, c := range r.claims {
		if c.Name == lin.ClaimNoLostAcks && !c.Made {
			res.PermittedLoss = &reports.PermittedLoss{Predicted: predicted, Observed: observed, Why: c.Why, Unpredictable: !predictable}
		}
	}
}

// drainedLoss sums what was predicted and what was observed, in records, over the
// partitions that were read to their end. Of the others nobody knows what they
// still hold, and the run is inconclusive on their account.
func (r *run) drainedLoss(report *lin.Report) (predicted, observed int64) {
	for i := range report.Partitions {
		if p := &report.Partitions[i]; p.Drained {
			predicted += r.watch.predictor.parts[p.Name.Topic][p.Name.Index].lost()
			observed += p.Lost
		}
	}
	return predicted, observed
}

// unacknowledged tells whether a producer waits for no answer at all.
func (r *run) unacknowledged() bool {
	return slices.ContainsFunc(r.scenario.Workload.Producers, func(p scenarios.Producer) bool {
		return p.Settings.Acks == clientconfig.AcksNone
	})
}

// clusterPicture is the state of the nodes at the end.
func (r *run) clusterPicture(res *reports.Result) {
	leaders, replicas := map[int32]int{}, map[int32]int{}
	for _, t := range r.watch.image.Topics {
		for _, p := range t.Partitions {
			if p.Leader != meta.NoLeader {
				leaders[p.Leader]++
			}
			for _, id := range p.Replicas {
				replicas[id]++
			}
		}
	}
	for i := range r.layout.hosts {
		h := &r.layout.hosts[i]
		if h.role > roleConsumer {
			continue
		}
		node := reports.Node{Name: h.name, Zone: h.zone, Role: h.role.String(), Boots: r.world.Boots(netsim.HostID(i))}
		if h.role == roleBroker {
			node.Leaders, node.Replicas = leaders[h.nodeID], replicas[h.nodeID]
		}
		res.Nodes = append(res.Nodes, node)
	}
	stats := r.world.Network().Stats()
	for i, from := range stats.Zones {
		for j, to := range stats.Zones {
			res.ZoneTraffic = append(res.ZoneTraffic, reports.ZoneTraffic{From: from, To: to, Bytes: stats.BytesByZonePair[i*len(stats.Zones)+j]})
		}
	}
}

// sampleWindows picks the partitions whose whole history porcupine sees as well.
func (r *run) sampleWindows() {
	share := int64(r.scenario.Checks.Porcupine)
	if share == 0 {
		return
	}
	n := int64(0)
	for t := range r.ledger.topics {
		for p := range r.ledger.topics[t].partitions {
			if n*share/1_000_000 != (n+1)*share/1_000_000 || n == 0 {
				r.windows = append(r.windows, r.ledger.checker.Sample(partitionOf(int32(t), int32(p)), lin.WindowConfig{
					Asserted: r.claims.Asserted(), WindowOperations: int(r.scenario.Checks.Window),
				}))
			}
			n++
		}
	}
}

// checkWindows lets porcupine judge what was recorded.
func (r *run) checkWindows(res *reports.Result) map[string][]byte {
	files := map[string][]byte{}
	for i, w := range r.windows {
		got, count := w.Check(), 0
		switch got.Verdict {
		case lin.Violation:
			for _, f := range got.Findings {
				if !r.asserted(f.Kind) {
					continue
				}
				count++
				res.Anomalies = append(res.Anomalies, r.anomaly(&f, porcupineFile(i)))
			}
			if len(got.Findings) == 0 {
				count = 1 // porcupine says no and the preparation has no name for it
				res.Anomalies = append(res.Anomalies, reports.Anomaly{Kind: "not-linearizable", Offset: -1, Text: "porcupine found no order of a window's operations"})
			}
			res.AnomaliesTotal += count
			if got.HTML != nil && count > 0 {
				files[porcupineFile(i)] = got.HTML
			}
		case lin.Inconclusive:
			if !r.partial {
				r.failures = append(r.failures, "porcupine could not decide: "+strings.Join(got.Notes, "; "))
			}
		}
	}
	return files
}

// verdict: a violation or a missed threshold fails; what could not be decided,
// or proves nothing, is inconclusive.
func (r *run) verdict(res *reports.Result, report *lin.Report) {
	res.Reasons = append(res.Reasons, r.stuck...)
	res.Verdict = reports.Pass
	if len(r.failures) > 0 || len(report.Inconclusive) > 0 || len(r.faults.missed) > 0 || r.partial {
		res.Verdict = reports.Inconclusive
	}
	if len(res.Reasons) > 0 || res.AnomaliesTotal > 0 {
		res.Verdict = reports.Fail
	}
	for _, c := range res.Claims {
		if c.Made && !c.Held {
			res.Verdict = reports.Fail
			res.Reasons = append(res.Reasons, "the claim "+c.Name+" was violated")
		}
	}
	for _, t := range res.Thresholds {
		if !t.Held && !r.partial {
			res.Verdict = reports.Fail
			res.Reasons = append(res.Reasons, fmt.Sprintf("%s (%s) was %s", t.Name, t.Phase, t.Measured))
		}
	}
	if len(res.Reasons) == 0 && len(res.Anomalies) > 0 {
		// Nothing that a client could see, yet.
		res.Reasons = append(res.Reasons, "what must hold under every configuration did not: "+strings.TrimPrefix(res.Anomalies[0].Kind, "invariant: "))
	}
	res.Reasons = append(res.Reasons, r.failures...)
	res.Reasons = append(res.Reasons, r.faults.missed...)
	if !r.partial {
		res.Reasons = append(res.Reasons, report.Inconclusive...)
	}
	if r.partial {
		res.Reasons = append(res.Reasons, "the run was interrupted: its figures cover the time up to then")
	}
}
