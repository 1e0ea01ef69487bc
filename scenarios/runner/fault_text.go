package runner

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

// report is what has been carried out, for people.
func (f *faults) report(end clock.Instant) (out []reports.Fault) {
	for i := range f.done {
		s := &f.done[i]
		e := &f.events[s.event]
		out = append(out, reports.Fault{
			Name: e.Verb(), Target: f.whom(s, e), Detail: strings.Join(append(details(e), s.damage...), ", "),
			Nodes: f.nodes(s), FromSeconds: seconds(s.from - f.origin), ToSeconds: seconds(min(s.to, end) - f.origin),
		})
	}
	return out
}

// whom says who was hit, in one phrase.
func (f *faults) whom(s *span, e *scenarios.Event) string {
	switch {
	case e.Operator == "reassign" && len(s.hosts) == 0:
		return e.Partition + " cancelled"
	case e.Operator == "add_brokers":
		return f.listed(s.hosts)
	case e.Operator == "add_partitions":
		return fmt.Sprintf("%s to %d", e.Topic, e.Partitions)
	case e.Operator == "admin_storm":
		return fmt.Sprintf("%d topics of %d partitions", e.Names, e.Partitions)
	case e.Operator == "reassign", e.Operator == "move_leader":
		return e.Partition + " → " + f.listed(s.hosts)
	case e.Fault == "hold_rpc":
		return e.API + " " + e.From.Text + " → " + e.To.Text
	case len(e.Between) == 2:
		return strings.Join(e.Between[0], ", ") + arrow(e.Direction) + strings.Join(e.Between[1], ", ")
	case len(e.Zones) == 2:
		return e.Zones[0] + arrow("both") + e.Zones[1]
	case e.Target.Kind == scenarios.TargetZone:
		return "zone " + e.Target.Zone
	case len(s.hosts) > 0:
		return f.listed(s.hosts)
	}
	return e.Target.Text
}

// arrow points where the packets of a fault would go: "to" hits those to the
// first set.
func arrow(direction string) string {
	switch direction {
	case "to":
		return " ← "
	case "from":
		return " → "
	}
	return " ↔ "
}

// details are what an event's options say, as far as they were given.
func details(e *scenarios.Event) (out []string) {
	if e.Operator == "restore_backup" {
		out = append(out, fmt.Sprintf("%v old", e.Age))
	}
	switch e.Fault {
	case "zone_outage":
		out = append(out, e.Mode)
	case "partition":
		if e.Shape != "" {
			out = append(out, e.Shape)
		}
		if e.Shape == "isolate" && e.Direction != "both" {
			out = append(out, "packets "+e.Direction+" it")
		}
	case "dns":
		if e.ChangeIP {
			out = append(out, "another address")
		} else {
			out = append(out, "lookups get no answer")
		}
	case "disk", "link", "stress":
		out = append(out, optionTexts(e)...)
	case "clock":
		if e.Bump != 0 {
			out = append(out, fmt.Sprintf("bump %+v", e.Bump))
		} else {
			out = append(out, fmt.Sprintf("strobe %v every %v", e.Strobe, e.Period))
		}
	}
	return out
}

func optionTexts(e *scenarios.Event) (out []string) {
	for _, x := range []struct {
		name string
		d    time.Duration
	}{{"latency", e.Latency}, {"jitter", e.Jitter}} {
		if x.d > 0 {
			out = append(out, fmt.Sprintf("%s +%v", x.name, x.d))
		}
	}
	for _, x := range []struct {
		name  string
		share scenarios.PPM
	}{{"loss", e.Loss}, {"duplicate", e.Duplicate}, {"reorder", e.Reorder}, {"corrupt", e.Corrupt}, {"EIO", e.Error}, {"cpu", e.CPU}} {
		if x.share > 0 {
			out = append(out, fmt.Sprintf("%s %g%%", x.name, float64(x.share)/10_000))
		}
	}
	if e.Bandwidth > 0 {
		out = append(out, fmt.Sprintf("%g Mbit/s", float64(e.Bandwidth)/1e6))
	}
	for _, x := range []struct {
		name string
		on   bool
	}{{"full", e.Full}, {"lost", e.Lose}} {
		if x.on {
			out = append(out, x.name)
		}
	}
	return out
}

// nodes are the names of those that were hit, for the picture.
func (f *faults) nodes(s *span) (out []string) {
	for _, h := range s.hosts {
		out = append(out, f.view.layout.hosts[h].name)
	}
	return out
}

// listed is names for people.
func (f *faults) listed(hosts []netsim.HostID) string {
	return strings.ReplaceAll(f.names(hosts), ",", ", ")
}

func (f *faults) names(hosts []netsim.HostID) string {
	out := make([]string, len(hosts))
	for i, h := range hosts {
		out[i] = f.view.layout.hosts[h].name
	}
	return strings.Join(out, ",")
}

func seconds(t clock.Instant) float64 { return float64(t) / float64(time.Second) }
