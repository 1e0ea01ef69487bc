package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/seed-604ea8f1/windtunnel/units"
)

func (l *loader) checkExpect(s *Scenario) *Error {
	faults := int64(0)
	for i := range s.Timeline {
		if s.Timeline[i].Fault != "" {
			faults++
		}
	}
	x := &s.Expect
	if err := l.checkPhases(s); err != nil {
		return err
	}
	if l.has("expect/after_heal") && len(x.AfterHeal) == 0 {
		return l.failAt(l.at("expect/after_heal"), "after_heal waits for nothing: name a state, or leave it out", "")
	}
	for i := range x.AfterHeal {
		if err := l.checkRecovery(s, &x.AfterHeal[i], fmt.Sprintf("expect/after_heal[%d]", i)); err != nil {
			return err
		}
	}
	if l.has("expect/minimums/faults") && x.Minimums.Faults > faults {
		return l.failAt(l.at("expect/minimums/faults"), fmt.Sprintf("the timeline has only %d faults", faults), "")
	}
	if !l.has("expect/minimums/faults") {
		x.Minimums.Faults = faults
	}
	if err := l.checkReaders(s); err != nil {
		return err
	}
	if l.has("expect/minimums/compacted") && x.Minimums.Compacted > 0 && !s.Compacts() {
		return l.failAt(l.at("expect/minimums/compacted"), "no topic is compacted", "")
	}
	return l.checkClaims(s)
}

// checkPhases refuses what is about faults where there are none, and what is about
// their time where they take none.
func (l *loader) checkPhases(s *Scenario) *Error {
	for _, key := range []string{"during_fault", "after_heal", "recovery", "thresholds/recovery_time"} {
		if place := "expect/" + key; l.has(place) && len(s.Timeline) == 0 {
			n := l.at(place)
			return l.fail(n.line, n.column, key[strings.LastIndex(key, "/")+1:]+" has no meaning: the timeline is empty", "", "")
		}
	}
	lasts := func(e Event) bool { return e.Lasts() }
	if l.has("expect/during_fault") && s.Expect.Recovery == 0 && !slices.ContainsFunc(s.Timeline, lasts) {
		n := l.at("expect/during_fault")
		return l.fail(n.line, n.column, "during_fault has no meaning: every event is over as it begins; say in 'recovery' how long its effects count", "", "")
	}
	return nil
}

// checkReaders refuses what only readers can show where nobody reads what is written.
func (l *loader) checkReaders(s *Scenario) *Error {
	for _, key := range []string{"during_fault", "thresholds", "minimums"} {
		for _, what := range []string{"e2e_latency", "consumer_lag", "fetch_unavailability", "group_unavailability", "rebalances", "duplicate_ratio", "delivered"} {
			n, ok := l.places["expect/"+key+"/"+what]
			if why := s.unread(what); ok && why != "" {
				return l.fail(n.line, n.column, why, what, "")
			}
		}
	}
	for i := range s.Expect.AfterHeal {
		r, place := &s.Expect.AfterHeal[i], fmt.Sprintf("expect/after_heal[%d]/name", i)
		if why := s.unread(r.Name); why != "" && (r.Name == "consumer_lag" || r.Name == "stable_groups") {
			return l.failAt(l.at(place), why, "")
		}
	}
	return nil
}

// unread says why nothing about readers can be measured; "" if it can. What is about
// groups needs no records.
func (s *Scenario) unread(what string) string {
	groups := slices.Contains([]string{"group_unavailability", "rebalances", "stable_groups"}, what)
	switch {
	case len(s.Workload.Consumers) == 0:
		return "cannot be measured without consumers"
	case !groups && !s.ReadsWhatIsWritten():
		return "cannot be measured: no consumer reads a topic that a producer writes"
	}
	return ""
}

// ReadsWhatIsWritten tells whether records reach a consumer.
func (s *Scenario) ReadsWhatIsWritten() bool {
	return slices.ContainsFunc(s.Workload.Consumers, func(c Consumer) bool {
		return slices.ContainsFunc(s.Workload.Producers, func(p Producer) bool { return slices.Contains(c.Topics, p.Topic) })
	})
}

func (l *loader) checkRecovery(s *Scenario, r *Recovery, path string) *Error {
	names := make([]string, len(recoveries))
	for i := range recoveries {
		names[i] = recoveries[i].name
	}
	if !slices.Contains(names, r.Name) {
		return l.failAt(l.at(path+"/name"), "unknown state; known are: "+strings.Join(names, ", "), nearest(r.Name, names))
	}
	n := l.at(path + "/reach")
	relative := r.Name == "consumer_lag" || r.Name == "produce_latency"
	r.Baseline = r.ReachText == "baseline"
	switch {
	case relative && !r.Baseline:
		return l.failAt(n, r.Name+" can only reach baseline", "baseline")
	case r.Baseline && !relative:
		return l.failAt(n, r.Name+" reaches a percentage", "100%")
	case r.Baseline && slices.ContainsFunc(s.Timeline, func(e Event) bool { return e.At == 0 }):
		return l.failAt(n, "there is no baseline: the first event begins with the scenario", "")
	case r.Baseline:
		return nil
	}
	value, problem, suggestion := units.Parse(r.ReachText, percentUnits, "percentage")
	if problem == "" && (value <= 0 || value > 1_000_000) {
		problem = "reach must be above 0%, which cannot fail, and at most 100%"
	}
	if problem != "" {
		return l.failAt(n, problem, suggestion)
	}
	r.Reach = PPM(value)
	return nil
}

// checkClaims refuses claims that the configuration cannot keep. What else a
// configuration allows is for the checkers to work out; these are the ones
// where the file contradicts itself.
func (l *loader) checkClaims(s *Scenario) *Error {
	x := &s.Expect
	if l.has("expect/safety") && len(x.Safety) == 0 {
		return l.failAt(l.at("expect/safety"), "safety names no claim: leave it out to hold the run to all that the configuration allows", "")
	}
	for i, claim := range x.Safety {
		n := l.at(fmt.Sprintf("expect/safety[%d]", i))
		why := ""
		if claim == "no_lost_acks" && x.Loss != "none" {
			why = "loss is " + x.Loss
		}
		switch {
		case why != "":
		case (claim == "all_read" || claim == "single_owner") && len(s.Workload.Consumers) == 0:
			why = "there are no consumers"
		case claim == "all_read" && !s.ReadsWhatIsWritten():
			why = "no consumer reads a topic that a producer writes"
		case slices.Contains([]string{"newest_kept", "compaction_lags", "no_resurrected_keys"}, claim) && !s.Compacts():
			why = "no topic is compacted"
		}
		for j := range s.Workload.Producers {
			p := &s.Workload.Producers[j]
			if why == "" {
				why = contradicts(claim, p)
			}
		}
		if why != "" {
			return l.failAt(n, "cannot be claimed: "+why, "")
		}
	}
	return nil
}

func contradicts(claim string, p *Producer) string {
	c := &p.Settings
	switch {
	case claim == "no_lost_acks" && c.Acks != clientconfig.AcksAll:
		return fmt.Sprintf("producer %s has acks=%s", p.Name, c.Acks)
	case claim == "no_reorder" && !c.EnableIdempotence && c.MaxInFlight > 1 && c.Retries > 0:
		return fmt.Sprintf("producer %s retries with %d requests in flight and no idempotence", p.Name, c.MaxInFlight)
	case claim == "no_broker_duplicates" && !c.EnableIdempotence && c.Retries > 0:
		return fmt.Sprintf("producer %s retries without idempotence", p.Name)
	}
	return ""
}
