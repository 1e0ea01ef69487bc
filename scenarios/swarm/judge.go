package swarm

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// eventsPerRunMax bounds one run: the longest honest ones need a tenth of it. A
// run that needs more is a storm, which is a finding.
const eventsPerRunMax = 40_000_000

// Judgement is what one run of a random scenario comes to.
type Judgement struct {
	Failed    bool
	Explained bool // inconclusive, for reasons of the list below only
	Kind      string
	Text      string // the reasons, one a line
	Result    *reports.Result
}

// explanations are the reasons for which a run may prove nothing without anybody
// being at fault. Everything else that is inconclusive is a failure: in these
// small runs nothing outgrows the checkers' memory, and every log can be read to
// its end once everything has settled.
var explanations = []struct{ text, why string }{
	{"was nobody", "the target is found at run time: there may be no leader, follower, coordinator or active controller just then"},
	{" was down", "the same of a restart: the node that it meant may be down just then"},
	{"faults were injected, the scenario asks for", "follows from a target that was nobody"},
	{"had anything in it", "a bit flip or a truncation hits a segment, and whether one has been written to is known at run time"},
	{"was still waiting for", "a rolling restart goes on when a broker is in sync again, which other faults may put off beyond the end; that it gets there is asked for by itself"},
}

// unreadable are reasons that count as explained only when the schedule leaves
// nodes down or data destroyed, so that a partition may have no leader for ever,
// or too few in-sync replicas. The runner has looked at the cluster for them.
var unreadable = []string{
	"was not read to its end: there is no active controller", "was not read to its end: it has no leader",
	"was not read to its end: fewer than min.insync.replicas are in sync", "partitions with a leader each at the end",
	"was not over at the end", "replicas at the end", "was not unregistered at the end",
}

// consequences are what the checkers say in turn of a partition that was not read
// to its end.
var consequences = []string{"was not drained", "porcupine could not decide: the partition was not drained"}

// neverCame is how the runner ends the reason of a run in which a cluster that nothing
// disturbs has not come to life: that fails whatever the scenario expects.
const neverCame = "after everything had settled"

// Try runs a scenario once and judges it. It never panics: an assertion of the
// simulated system is a finding like any other.
func Try(s *scenarios.Scenario, seed uint64) (j Judgement) {
	defer func() {
		if p := recover(); p != nil {
			j = Judgement{Failed: true, Kind: "panic: " + firstLine(fmt.Sprint(p)), Text: fmt.Sprintf("%v\n%s", p, debug.Stack())}
		}
	}()
	storm := false
	outcome, err := runner.Run(s, runner.Options{Seed: seed, Progress: func(p runner.Progress) bool {
		storm = p.Events > eventsPerRunMax
		return !storm
	}})
	if err != nil {
		return Judgement{Failed: true, Kind: "cannot be built", Text: err.Error()}
	}
	if storm {
		return Judgement{Failed: true, Kind: "storm", Text: fmt.Sprintf("more than %d events", eventsPerRunMax), Result: outcome.Result}
	}
	return Judge(s, outcome.Result)
}

// Judge sorts a result.
func Judge(s *scenarios.Scenario, res *reports.Result) Judgement {
	j := Judgement{Result: res}
	fail := func(kind, text string) {
		if !j.Failed {
			j.Failed, j.Kind = true, kind
		}
		j.Text += text + "\n"
	}
	for i := range res.Anomalies {
		a := &res.Anomalies[i]
		switch {
		case !made(res, a.Claim), damaged(s) && (a.Kind == "corrupt-record" || a.Kind == "skipped-records" || strings.HasPrefix(a.Kind, "invariant")):
			continue // legal in this configuration, or what the fault put there
		case (a.Claim == lin.ClaimNoOffsetRewind || a.Claim == lin.ClaimSingleOwner) && groupsForget(s):
			continue
		}
		fail(a.Kind, a.Partition+": "+a.Text)
	}
	for i := range res.Thresholds {
		if t := &res.Thresholds[i]; !t.Held && !(stopped(res) && strings.HasPrefix(t.Name, "stable_groups")) {
			fail("missed: "+withoutNumbers(t.Name), t.Name+" was "+t.Measured)
		}
	}
	for _, c := range res.Claims {
		if c.Made && !c.Held && c.Name == "all_read" && !stopped(res) { // the others fail by their anomalies
			fail("missed: all_read", c.Why)
		}
	}
	for _, reason := range res.Reasons {
		if strings.Contains(reason, neverCame) && !damaged(s) { // nobody reads past a hole in the only copy
			fail("stuck: "+withoutNumbers(reason), reason)
		}
	}
	if l := res.PermittedLoss; l != nil && l.Predicted != l.Observed && !(l.Predicted < l.Observed && vanish(s)) && !damaged(s) {
		fail("loss is not the predicted one", fmt.Sprintf("%d acknowledged records must have been lost and %d were", l.Predicted, l.Observed))
	}
	if res.Verdict != reports.Inconclusive || j.Failed {
		return j
	}
	j.Explained = true
	for _, reason := range res.Reasons {
		if !explained(s, reason, res.Reasons) {
			j.Explained = false
			fail("inconclusive: "+withoutNumbers(reason), reason)
		}
	}
	return j
}

// made tells whether a claim was made. A finding without a claim contradicts
// every configuration.
func made(res *reports.Result, claim string) bool {
	for _, c := range res.Claims {
		if c.Name == claim {
			return c.Made
		}
	}
	return true
}

// groupsForget tells whether __consumer_offsets, whose min.insync.replicas is 1
// here, may lose what it acknowledged: commits, and the number of a generation.
func groupsForget(s *scenarios.Scenario) bool {
	synced := s.Cluster.Disks.Flush.Mode == scenarios.FlushBeforeAck
	for i := range s.Timeline {
		e := &s.Timeline[i]
		power := e.Fault == "power_loss" || e.Fault == "zone_outage" && e.Mode == "power_loss"
		if power && !synced || e.ReplacesDisk() || e.BitFlip > 0 || e.Truncate > 0 {
			return true
		}
	}
	return false
}

// stopped tells whether consumers stopped as the configuration permits: then
// nobody may be left to own a partition, or to read it.
func stopped(res *reports.Result) bool { return res.FencedMembers > 0 }

// vanish tells whether records may be lost without an election: with acks=0 they
// count as acknowledged when they are sent, and a connection may break.
func vanish(s *scenarios.Scenario) bool {
	return slices.ContainsFunc(s.Workload.Producers, func(p scenarios.Producer) bool { return p.Settings.Acks == clientconfig.AcksNone })
}

// damaged tells whether the timeline destroys data under a running broker, which
// then serves what its disk gives it: a corrupt batch is told to the reader by
// its CRC and never delivered, and what it held is gone without an election.
func damaged(s *scenarios.Scenario) bool {
	for i := range s.Timeline {
		if e := &s.Timeline[i]; e.BitFlip > 0 || e.Truncate > 0 {
			return true
		}
	}
	return false
}

// explained tells whether one of a run's reasons is nobody's fault.
func explained(s *scenarios.Scenario, reason string, all []string) bool {
	for _, e := range explanations {
		if strings.Contains(reason, e.text) {
			return true
		}
	}
	if Calm(s) {
		return false
	}
	for _, text := range consequences {
		if strings.HasSuffix(reason, text) {
			return slices.ContainsFunc(all, func(other string) bool { return isUnreadable(s, other) })
		}
	}
	return isUnreadable(s, reason)
}

func isUnreadable(s *scenarios.Scenario, reason string) bool {
	if strings.Contains(reason, "the auditor stands at") {
		return damaged(s) // at a batch whose CRC is wrong, on every replica that leads
	}
	return slices.ContainsFunc(unreadable, func(text string) bool { return strings.Contains(reason, text) })
}

// Calm tells whether the timeline leaves every node up and no data destroyed at
// the end, as far as the file says.
func Calm(s *scenarios.Scenario) bool {
	for i := range s.Timeline {
		e := &s.Timeline[i]
		switch {
		case (e.Fault == "kill" || e.Fault == "power_loss") && e.For == 0:
			return false
		case e.BitFlip > 0, e.Truncate > 0, e.ReplacesDisk():
			return false
		}
	}
	return true
}

// withoutNumbers makes the same failure of other runs equal: the shrinkers must
// not wander from one failure to another.
func withoutNumbers(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, firstLine(text))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
