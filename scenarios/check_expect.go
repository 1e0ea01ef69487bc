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
	for _, key := range []string{"during_fault", "after_heal"} {
		if l.has("expect/"+key) && len(s.Timeline) == 0 {
			n := l.at("expect/" + key)
			return l.fail(n.line, n.column, key+" has no meaning: the timeline is empty", "", "")
		}
	}
	for i := range x.AfterHeal {
		if err := l.checkRecovery(&x.AfterHeal[i], fmt.Sprintf("expect/after_heal[%d]", i)); err != nil {
			return err
		}
	}
	if l.has("expect/minimums/faults") && x.Minimums.Faults > faults {
		return l.failAt(l.at("expect/minimums/faults"), fmt.Sprintf("the timeline has only %d faults", faults), "")
	}
	if !l.has("expect/minimums/faults") {
		x.Minimums.Faults = faults
	}
	if len(s.Workload.Consumers) == 0 {
		for _, key := range []string{"during_fault", "thresholds"} {
			for _, metric := range []string{"e2e_latency", "consumer_lag", "fetch_unavailability", "group_unavailability", "rebalances", "duplicate_ratio"} {
				if n, ok := l.places["expect/"+key+"/"+metric]; ok {
					return l.failAt(n, "cannot be measured without consumers", "")
				}
			}
		}
	}
	return l.checkClaims(s)
}

func (l *loader) checkRecovery(r *Recovery, path string) *Error {
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
	case r.Baseline:
		return nil
	}
	value, problem, suggestion := units.Parse(r.ReachText, percentUnits, "percentage")
	if problem == "" && (value < 0 || value > 1_000_000) {
		problem = "reach must be from 0% to 100%"
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
	for i, claim := range x.Safety {
		n := l.at(fmt.Sprintf("expect/safety[%d]", i))
		why := ""
		if claim == "no_lost_acks" && x.Loss != "none" {
			why = "loss is " + x.Loss
		}
		if claim == "all_read" && len(s.Workload.Consumers) == 0 {
			why = "there are no consumers"
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
