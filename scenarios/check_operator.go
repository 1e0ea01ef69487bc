package scenarios

import (
	"fmt"
	"slices"
	"strings"
)

// checkDecommission holds it to one broker by name, and to leaving enough others to
// take its replicas.
func (l *loader) checkDecommission(s *Scenario, e *Event, path string) *Error {
	n := l.at(path + "/target")
	if e.Target.Kind != TargetNodes || len(e.Target.Nodes) != 1 || !strings.HasPrefix(e.Target.Nodes[0], "broker-") {
		return l.fail(n.line, n.column, "decommission is aimed at one broker by name, like { node: broker-1 }", e.Target.Text, "")
	}
	brokers, leaving := s.Cluster.brokerCount(), int64(0)
	for i := range s.Timeline {
		switch o := &s.Timeline[i]; {
		case o.Operator == "add_brokers" && o.At <= e.At:
			brokers += int64(len(o.Zones))
		case o.Operator == e.Operator && o.At <= e.At:
			leaving++
			if o != e && slices.Equal(o.Target.Nodes, e.Target.Nodes) {
				return l.fail(n.line, n.column, fmt.Sprintf("%s is decommissioned already by line %d", e.Target.Text, o.Line), "", "")
			}
		}
	}
	copies := int64(0)
	if len(s.Workload.Consumers) > 0 {
		copies = s.Cluster.Brokers.Settings.OffsetsTopicReplicationFactor
	}
	for i := range s.Topics {
		copies = max(copies, s.Topics[i].ReplicationFactor)
	}
	if brokers-leaving < copies {
		return l.fail(n.line, n.column, fmt.Sprintf("the %d brokers that are left could not hold %d replicas of a partition", brokers-leaving, copies), "", "")
	}
	return nil
}

// checkGrowth holds a topic to growing: above what it has at the beginning and
// what earlier events have given it.
func (l *loader) checkGrowth(s *Scenario, e *Event, path string) *Error {
	topic, err := l.topic(s, e.Topic, path+"/topic")
	if err != nil {
		return err
	}
	had := topic.Partitions
	for i := range s.Timeline {
		if o := &s.Timeline[i]; o != e && o.Operator == e.Operator && o.Topic == e.Topic && o.At <= e.At {
			had = max(had, o.Partitions)
		}
	}
	if e.Partitions <= had {
		return l.failAt(l.at(path+"/partitions"), fmt.Sprintf("%s has %d partitions by then, and a topic only grows", topic.Name, had), "")
	}
	replicas := int64(0)
	for i := range s.Topics {
		replicas += s.PartitionsAtEnd(&s.Topics[i]) * s.Topics[i].ReplicationFactor
	}
	if replicas > replicasMax {
		return l.failAt(l.at(path+"/partitions"), fmt.Sprintf("more than %d replicas in the cluster", replicasMax), "")
	}
	return nil
}

// checkReplicas holds a reassignment to brokers by name.
func (l *loader) checkReplicas(s *Scenario, e *Event, path string) *Error {
	if e.Operator != "reassign" || e.To.Kind == TargetNone {
		return nil
	}
	if e.To.Kind != TargetNodes {
		return l.failAt(l.at(path+"/to"), "reassign needs brokers by name, like { nodes: [broker-1, broker-4] }", "")
	}
	for _, name := range e.To.Nodes {
		if slices.ContainsFunc(s.Cluster.Nodes(), func(n Node) bool { return n.Name == name && n.Controller }) {
			return l.failAt(l.at(path+"/to"), fmt.Sprintf("%s is a controller and holds no partitions", name), "")
		}
	}
	return nil
}
