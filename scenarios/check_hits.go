package scenarios

import "fmt"

// emptyZone is what is wrong with a link or a cut of a zone without anybody.
const emptyZone = "no node and no client is in this zone: what is done to it does nothing"

// checkHits refuses a target that is nobody in every run. Who has no leader, or is
// down, is found when the event begins.
func (l *loader) checkHits(s *Scenario, e *Event, v verb, path string) *Error {
	for _, t := range []struct {
		key    string
		target *Target
	}{{"/target", &e.Target}, {"/from", &e.From}, {"/to", &e.To}} {
		n := l.at(path + t.key)
		switch t.target.Kind {
		case TargetZone:
			zone := t.target.Zone
			switch {
			case !s.Inhabited(zone):
				return l.fail(n.line, n.column, emptyZone, t.target.Text, "")
			case !e.HitsClients() && len(members(s, zone)) == 0:
				return l.fail(n.line, n.column, fmt.Sprintf("only clients are in this zone, and %s is aimed at nodes", v.name), t.target.Text, "")
			}
		case TargetMinority:
			if brokers := s.brokersAt(e); brokers < 3 {
				return l.fail(n.line, n.column, fmt.Sprintf("nobody is a minority of %d brokers", brokers), t.target.Text, "")
			}
		}
	}
	return nil
}

// brokersAt is how many brokers have joined the cluster when an event begins.
func (s *Scenario) brokersAt(e *Event) int64 {
	brokers := s.Cluster.brokerCount()
	for i := range s.Timeline {
		if o := &s.Timeline[i]; o.Operator == "add_brokers" && o.At <= e.At {
			brokers += int64(len(o.Zones))
		}
	}
	return brokers
}
