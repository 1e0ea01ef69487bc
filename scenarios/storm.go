package scenarios

import (
	"fmt"
	"strings"
)

// StormPrefix is what the names of the topics of an admin_storm begin with.
const StormPrefix = "admin-storm-"

// StormConfig is their configuration: what is deleted shall be gone before the end.
var StormConfig = []KV{{Name: "file.delete.delay.ms", Value: "1000"}}

// StormReplicas is how many replicas they have.
func (c *Cluster) StormReplicas() int64 { return min(3, c.brokerCount()) }

// stormRateMax is more than an administrator's client sends in a second.
const stormRateMax = 1000

// checkStorm bounds the replicas that a storm's topics have at a time, and keeps its
// names from being the scenario's.
func (l *loader) checkStorm(s *Scenario, e *Event, path string) *Error {
	if e.Rate.Count == 0 || e.Rate.PerSecond() > stormRateMax {
		return l.failAt(l.at(path+"/rate"), fmt.Sprintf("a storm has a rate above 0 and of at most %d/s, like 10/s", stormRateMax), "")
	}
	if e.Names*e.Partitions*s.Cluster.StormReplicas() > replicasMax {
		return l.failAt(l.at(path+"/partitions"), fmt.Sprintf("more than %d replicas in the cluster", replicasMax), "")
	}
	for i := range s.Topics {
		if strings.HasPrefix(s.Topics[i].Name, StormPrefix) {
			return l.failAt(l.at(path+"/operator"), fmt.Sprintf("topics that begin with %s are the storm's, and the scenario has %s", StormPrefix, s.Topics[i].Name), "")
		}
	}
	return nil
}
