package runner

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/clock"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/phase"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/client"
	"github.com/seed-604ea8f1/windtunnel/sim/invariant"
)

const (
	// warmUp is the virtual time in which the cluster boots and the topics are
	// created, before the scenario's own time zero.
	warmUp = 15 * time.Second
	// joinAt is when consumers without start_at join their groups, so that the
	// first rebalance is over when the load begins.
	joinAt = 6 * time.Second
	// drainMax bounds the time after settling in which the last batches are
	// decided (delivery.timeout.ms is 120 s) and the auditor reads to the end.
	drainMax = 5 * time.Minute
	// auditEvery is how often the auditor asks for the end of each partition.
	auditEvery = time.Second
	// auditorMetadataMillis is how often it looks for new partitions.
	auditorMetadataMillis = 5000
)

// run is one run of a scenario.
type run struct {
	scenario *scenarios.Scenario
	options  Options
	layout   *layout
	world    *sim.World
	view     *view
	ledger   *ledger
	watch    *watch
	inside   *invariant.Checker
	faults   *faults
	sampler  *sampler
	claims   lin.Claims
	origin   clock.Instant // the scenario's time zero
	auditor  int32         // its reader number
	// compactionAuditor is the reader number of the one of compacted topics.
	compactionAuditor int32
	audited           [][]audit // by topic, partition
	admin             *client.Admin
	producer          []*client.Producer
	windows           []*lin.Recorder
	failures          []string // reasons why the run proves nothing
	stuck             []string // what never came about, though nothing was in its way
	partial           bool
}

// audit is how far the auditor has come with a partition.
type audit struct {
	end     int64         // of its last strict read
	invoked clock.Instant // when that read was sent; -1 before the first
}

func newRun(s *scenarios.Scenario, o Options) (*run, error) {
	r := &run{scenario: s, options: o, layout: newLayout(s), origin: clock.Instant(warmUp)}
	r.claims = lin.ComputeClaims(ConfigurationOf(s))
	topology := r.layout.topology(s)
	if err := topology.Validate(); err != nil {
		return nil, fmt.Errorf("%s: the network cannot be built: %w", s.File, err)
	}
	cfg := sim.Config{Seed: o.Seed, Topology: topology, Start: startOfTime, TraceTo: o.TraceTo}
	r.view = &view{layout: r.layout}
	r.faults = newFaults(r.view, s, sim.Streams(o.Seed).New("faults", 0), r.origin)
	r.sampler = newSampler(r)
	r.watch = &watch{}
	cfg.Timelines = []sim.Timeline{r.faults, r.sampler, newDeployment(s, r.layout, r.origin)}
	cfg.Observers = []sim.Observer{r}
	for i := range r.layout.hosts {
		cfg.Hosts = append(cfg.Hosts, r.host(netsim.HostID(i)))
	}
	r.world = sim.New(cfg)
	r.view.world = r.world
	r.ledger = newLedger(s, r.world, r.claims)
	minISR := make(map[string]int)
	for i := range s.Topics {
		minISR[s.Topics[i].Name] = int(s.Topics[i].Settings.MinInsyncReplicas)
	}
	r.watch = newWatch(r.view, r.ledger, minISR)
	r.ledger.phaseOf, r.ledger.quiet, r.ledger.faults = r.phaseOf, r.quiet, r
	r.inside = r.newInside()
	r.ledger.inside, r.faults.inside = r.inside, r.inside
	r.ledger.forgot = r.coordinatorsForget
	r.ledger.ackedAt, r.ledger.replaced, r.ledger.placeOf = r.watch.acked, r.watch.replaced, r.placeOf
	r.readers()
	r.measureParts()
	r.sampleWindows()
	return r, nil
}

// Stepped implements sim.Observer.
func (r *run) Stepped(now clock.Instant, h netsim.HostID, ev *edge.Event, e *edge.Effects) {
	r.watch.Stepped(now, h, ev, e)
	r.inside.Stepped(now, h, ev, e)
}

// Changed implements sim.Observer.
func (r *run) Changed(now clock.Instant, h netsim.HostID, s sim.State, why string) {
	r.watch.Changed(now, h, s, why)
	r.inside.Changed(now, h, s, why)
}

// carryOut lets the scenario happen, up to where it can be judged.
func (r *run) carryOut() {
	s := r.scenario
	if !r.until(r.origin) {
		return
	}
	if r.admin == nil || !r.admin.Ready() {
		r.failures = append(r.failures, fmt.Sprintf("the topics were not ready %s after the cluster had been started", warmUp))
		return
	}
	end := r.origin.Add(s.Duration)
	for r.world.Now() < end && !r.loadSpent() {
		if !r.until(min(end, r.world.Now().Add(time.Second))) {
			return
		}
	}
	settled := r.world.Now().Add(s.Settle)
	for _, span := range r.faults.done {
		if span.to != clock.Never {
			settled = max(settled, span.to)
		}
	}
	if !r.until(settled) || !r.awaitRecoveries() {
		return
	}
	r.drain()
	r.awaitLiveness()
}

// awaitRecoveries runs on, second by second, while a state that after_heal waits
// for is not there and may still come in time: a deadline beyond the end of the
// run would otherwise be missed without having been waited for. False if the user
// has ended the run.
func (r *run) awaitRecoveries() bool {
	for r.sampler.awaited(r.world.Now()) {
		if !r.until(r.world.Now().Add(time.Second)) {
			return false
		}
	}
	return true
}

// until runs to an instant; false if the user has ended the run.
func (r *run) until(at clock.Instant) bool {
	for r.world.Now() < at {
		next := r.world.Trace().Events() + ProgressEvents
		for r.world.Next() <= at && r.world.Trace().Events() < next {
			r.world.StepOne()
			if r.options.StopAtEvent != 0 && r.world.Trace().Events() >= r.options.StopAtEvent {
				r.partial = true
				return false
			}
		}
		if r.world.Next() > at {
			r.world.Run(at)
		}
		if r.options.Progress != nil && !r.options.Progress(r.progress()) {
			r.partial = true
			return false
		}
	}
	return true
}

func (r *run) progress() Progress {
	return Progress{
		Events: r.world.Trace().Events(), Virtual: time.Duration(r.world.Now()),
		Total: warmUp + r.scenario.Duration + r.scenario.Settle, Acked: r.ledger.acked,
	}
}

// loadSpent tells whether every producer has a bounded number of records and
// all of them are decided.
func (r *run) loadSpent() bool {
	for i := range r.scenario.Workload.Producers {
		if r.scenario.Workload.Producers[i].Executor != "shared-iterations" {
			return false
		}
	}
	return r.decided()
}

// decided tells whether no batch is under way.
func (r *run) decided() bool {
	for _, p := range r.producer {
		if p == nil || !p.Drained() {
			return false
		}
	}
	return true
}

// drain waits until every batch is decided and the auditor has read everything
// up to an end that it asked for afterwards.
func (r *run) drain() {
	give := r.world.Now().Add(drainMax)
	for !r.decided() && r.world.Now() < give {
		if !r.until(r.world.Now().Add(time.Second)) {
			return
		}
	}
	if !r.decided() {
		r.failures = append(r.failures, fmt.Sprintf("producers still had undecided batches %s after everything had settled", drainMax))
	}
	quiet := r.world.Now()
	for !r.readAll(quiet) && r.world.Now() < give.Add(drainMax) {
		if !r.until(r.world.Now().Add(time.Second)) {
			return
		}
	}
	for t := range r.audited {
		for p := range r.audited[t] {
			if a := &r.audited[t][p]; r.auditDone(t, p, quiet) {
				r.ledger.checker.Drained(r.auditorOf(int32(t)), partitionOf(int32(t), int32(p)), a.end, r.ledger.event())
			} else {
				r.failures = append(r.failures, fmt.Sprintf("%s was not read to its end: %s", partitionName(r.ledger.topics[t].name, int32(p)), r.unread(t, p)))
			}
		}
	}
}

func (r *run) readAll(since clock.Instant) bool {
	for t := range r.audited {
		for p := range r.audited[t] {
			if !r.auditDone(t, p, since) {
				return false
			}
		}
	}
	return true
}

func (r *run) auditDone(t, p int, since clock.Instant) bool {
	a := &r.audited[t][p]
	return a.invoked > since && r.ledger.auditorEnd(t, p) >= a.end && !r.withheld(t, p)
}

// withheld tells whether acknowledged records lie where nobody may read them: a
// leader with fewer than min.insync.replicas takes acks=1 and keeps its high
// watermark where it is (KIP-966). Such a partition has not been read to its end.
func (r *run) withheld(t, p int) bool {
	if r.ledger.part(int32(t), int32(p)).ackedEnd <= r.audited[t][p].end {
		return false
	}
	leader := r.leaderOf(t, p)
	return leader != nil && leader.Log().HighWatermark() < leader.Log().AppendEnd()
}

// leaderOf returns the replica that the metadata names leader, if its process runs
// and it leads.
func (r *run) leaderOf(t, p int) *partition.Partition {
	name := r.ledger.topics[t].name
	registration := r.view.partition(name, int32(p))
	if registration == nil {
		return nil
	}
	host, known := r.layout.broker(registration.Leader)
	if !known || r.view.node(host) == nil || r.view.node(host).Partitions() == nil {
		return nil
	}
	replica := r.view.node(host).Partitions().Get(log.Partition{Topic: name, Index: int32(p)})
	if replica == nil || replica.Role() != partition.Leader {
		return nil
	}
	return replica
}

// unread says why a partition could not be read to its end.
func (r *run) unread(t, p int) string {
	controller, _ := r.view.activeController()
	switch {
	case controller == nil:
		return "there is no active controller"
	case r.leaderOf(t, p) == nil:
		return "it has no leader"
	}
	name := r.ledger.topics[t].name
	if l := r.leaderOf(t, p).Log(); l.HighWatermark() < l.AppendEnd() && len(r.view.partition(name, int32(p)).ISR) < r.watch.minISROf(name) {
		return fmt.Sprintf("fewer than min.insync.replicas are in sync, so that the high watermark stays at %d of %d", l.HighWatermark(), l.AppendEnd())
	}
	return fmt.Sprintf("the auditor stands at %d of %d", r.ledger.auditorEnd(t, p), r.audited[t][p].end)
}

// quietAfter is how long after a fault every broker knows who leads: a session
// (9 s) to be fenced, and the metadata behind it.
const quietAfter = time.Minute

// quiet tells whether no fault has been in force for a while.
func (r *run) quiet() bool {
	now := r.world.Now()
	for i := range r.faults.done {
		if s := &r.faults.done[i]; now >= s.from && (s.to == clock.Never || now <= s.to.Add(quietAfter)) {
			return false
		}
	}
	return true
}

// firstFault is when the first fault began, or Never.
func (r *run) firstFault() clock.Instant {
	for _, a := range r.faults.actions { // sorted by time
		if a.what == begins { // a copy that is taken disturbs nobody
			return a.at
		}
	}
	return clock.Never
}

// lastHeal is when the last fault ended; the scenario's beginning without one.
func (r *run) lastHeal() clock.Instant {
	at := r.origin
	for _, s := range r.faults.done {
		if s.to == clock.Never {
			at = max(at, s.from)
			continue
		}
		at = max(at, s.to)
	}
	return at
}

// phaseOf places an intended send.
func (r *run) phaseOf(t clock.Instant) phase.Phase {
	if t < r.firstFault() {
		return phase.Before
	}
	for i := range r.faults.done {
		if s := &r.faults.done[i]; t >= s.from && t <= r.over(s) {
			return phase.During
		}
	}
	return phase.After
}

// over is when a fault and the recovery from it are.
func (r *run) over(s *span) clock.Instant {
	if s.to == clock.Never {
		return s.to
	}
	return s.to.Add(r.scenario.Expect.Recovery)
}

// faulty implements faultTimes.
func (r *run) faulty(from, to clock.Instant) (sum time.Duration) {
	for i := range r.faults.done { // in the order in which they began
		s := &r.faults.done[i]
		begin, end := max(from, s.from), min(to, r.over(s))
		if end > begin {
			sum += end.Sub(begin)
			from = end
		}
	}
	return sum
}

// begun implements faultTimes.
func (r *run) begun(from, to clock.Instant) clock.Instant {
	for i := range r.faults.done { // in the order in which they began
		if s := &r.faults.done[i]; min(to, r.over(s)) > max(from, s.from) {
			return s.from
		}
	}
	return from
}

// offeredPerSecond is the open models' load at the start, in records.
func (r *run) offeredPerSecond() (n int64) {
	for i := range r.scenario.Workload.Producers {
		if rate := r.scenario.Workload.Producers[i].Rate; rate.Per > 0 {
			n += rate.Count * int64(time.Second) / int64(rate.Per)
		}
	}
	return n
}

// groupForms is how long a group that begins may take to form: the initial delay of
// the rebalance (3 s by default), and a session at most for who is slow.
const groupForms = 15 * time.Second

// groupsStable tells whether every group has an owner for every partition that
// it reads, but for those that are just beginning and those that the scenario has
// stopped or paused as a whole.
func (r *run) groupsStable() bool {
	return !slices.ContainsFunc(r.ledger.groups, func(g groupLedger) bool {
		since, running := g.presence.since(r.world.Now())
		return g.unowned > 0 && running && r.world.Now().Sub(since) >= groupForms
	})
}
