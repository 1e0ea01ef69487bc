package swarm

import (
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
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
	{"was nobody at", "the target is found at run time: there may be no leader, follower, coordinator or active controller just then"},
	{"faults were injected, the scenario asks for", "follows from a target that was nobody"},
}

// unreadable are reasons that count as explained only when the schedule leaves
// nodes down or data destroyed, so that a partition may have no leader for ever.
var unreadable = []string{"was not drained", "undecided batches", "porcupine could not decide"}

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
	j := Judgement{Result: res, Text: strings.Join(res.Reasons, "\n")}
	for i := range res.Anomalies {
		j.Text += "\n" + res.Anomalies[i].Partition + ": " + res.Anomalies[i].Text
	}
	switch {
	case len(res.Anomalies) > 0:
		j.Failed, j.Kind = true, res.Anomalies[0].Kind
	case res.Verdict == reports.Fail:
		j.Failed, j.Kind = true, kindOf(res.Reasons)
	case res.PermittedLoss != nil && res.PermittedLoss.Predicted != res.PermittedLoss.Observed:
		j.Failed, j.Kind = true, "loss is not the predicted one"
	case res.Verdict == reports.Inconclusive:
		j.Explained = true
		for _, reason := range res.Reasons {
			if !explained(s, reason) {
				j.Failed, j.Explained, j.Kind = true, false, "inconclusive: "+withoutNumbers(reason)
			}
		}
	}
	return j
}

func explained(s *scenarios.Scenario, reason string) bool {
	for _, e := range explanations {
		if strings.Contains(reason, e.text) {
			return true
		}
	}
	for _, text := range unreadable {
		if strings.Contains(reason, text) && !Calm(s) {
			return true
		}
	}
	return false
}

// Calm tells whether the timeline leaves every node up and no data destroyed at
// the end, as far as the file says.
func Calm(s *scenarios.Scenario) bool {
	for i := range s.Timeline {
		e := &s.Timeline[i]
		switch {
		case (e.Fault == "kill" || e.Fault == "power_loss") && e.For == 0:
			return false
		case e.Fault == "disk" && (e.BitFlip > 0 || e.Truncate > 0 || e.Lose):
			return false
		}
	}
	return true
}

// kindOf is the sort of failure, equal for the same failure in other runs: the
// shrinkers must not wander from one failure to another.
func kindOf(reasons []string) string {
	if len(reasons) == 0 {
		return "fail without a reason"
	}
	return withoutNumbers(reasons[0])
}

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
