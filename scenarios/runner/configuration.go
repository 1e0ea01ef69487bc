package runner

import (
	"slices"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// ConfigurationOf is what the claims are a function of, the weakest topic and
// client deciding.
func ConfigurationOf(s *scenarios.Scenario) *lin.Configuration {
	c := &lin.Configuration{EligibleLeaders: true, EpochValidation: true}
	for i := range s.Topics {
		t := &s.Topics[i]
		if i == 0 || int(t.ReplicationFactor) < c.ReplicationFactor {
			c.ReplicationFactor = int(t.ReplicationFactor)
		}
		if i == 0 || int(t.Settings.MinInsyncReplicas) < c.MinInsyncReplicas {
			c.MinInsyncReplicas = int(t.Settings.MinInsyncReplicas)
		}
		c.UncleanElection = c.UncleanElection || t.Settings.UncleanLeaderElection
	}
	if s.Cluster.Disks.Flush.Mode == scenarios.FlushBeforeAck {
		c.Flush = lin.FlushBeforeAck
	}
	for i := range s.Workload.Producers {
		p := &s.Workload.Producers[i].Settings
		c.Producers = append(c.Producers, lin.ProducerTraits{
			Acks: int(p.Acks), Idempotent: p.EnableIdempotence, MaxInFlight: int(p.MaxInFlight),
		})
	}
	for i := range s.Workload.Consumers {
		cc := &s.Workload.Consumers[i].Settings
		c.Consumers = append(c.Consumers, lin.ConsumerTraits{
			ReadCommitted: cc.Isolation != clientconfig.ReadUncommitted, AutoCommit: cc.EnableAutoCommit,
			OffsetsExpire: offsetsRetention(s) <= runLimit(s),
		})
	}
	b := &s.Cluster.Brokers.Settings
	c.Groups = lin.GroupTraits{
		ReplicationFactor: int(b.OffsetsTopicReplicationFactor), MinInsyncReplicas: int(b.TopicDefaults.MinInsyncReplicas),
		UncleanElection: b.TopicDefaults.UncleanLeaderElection,
	}
	c.Faults = faultTraits(s, c.ReplicationFactor)
	c.Compaction = compactionTraits(s)
	c.Faults.PartitionsAdded = s.Grows()
	c.Faults.ProducerStateExpires = producersExpire(s)
	return c
}

// runLimit bounds how long a run takes, whatever happens in it.
func runLimit(s *scenarios.Scenario) time.Duration {
	return warmUp + s.Duration + s.Settle + 2*drainMax
}

// producersExpire tells whether a partition may forget a producer during the run: it
// does so once the newest timestamp that it has of it is producer.id.expiration.ms
// old, and a record may be late by all of the run.
func producersExpire(s *scenarios.Scenario) bool {
	return time.Duration(s.Cluster.Brokers.Settings.ProducerIDExpirationMillis)*time.Millisecond <= runLimit(s)
}

// offsetsRetention is how long the offsets of an empty group are kept.
func offsetsRetention(s *scenarios.Scenario) time.Duration {
	return time.Duration(s.Cluster.Brokers.Settings.OffsetsRetentionMinutes) * time.Minute
}

// coordinatorsForget tells whether the configuration lets __consumer_offsets lose
// what was acknowledged, and an event that loses bytes has come to pass.
func (r *run) coordinatorsForget() bool {
	return !r.claims.Made(lin.ClaimSingleOwner) && slices.ContainsFunc(r.faults.done, func(s span) bool {
		return losesBytes(&r.faults.events[s.event])
	})
}

// losesBytes tells whether an event may take away what a broker has written.
func losesBytes(e *scenarios.Event) bool {
	if e.ReplacesDisk() {
		return true
	}
	switch e.Fault {
	case "power_loss":
		return true
	case "zone_outage":
		return e.Mode == "power_loss"
	case "disk":
		return e.BitFlip > 0 || e.Truncate > 0 || e.Error > 0
	}
	return false
}

// faultTraits finds the largest number of replicas of one partition that the
// timeline lets lose acknowledged bytes at the same time. A partition has one
// replica in each zone as far as there are enough zones; where nodes are hit
// one by one, each may hold one.
func faultTraits(s *scenarios.Scenario, replicationFactor int) (f lin.FaultTraits) {
	for i := range s.Timeline {
		e := &s.Timeline[i]
		var losing, wiped, unclean hits
		for j := range s.Timeline {
			o := &s.Timeline[j]
			// Together: begun before e's nodes are back and in sync again, for
			// which an hour is more than enough and a moment too little.
			if o.At < e.At || o.At > e.End()+rejoinTime {
				continue
			}
			n := hitsOf(s, o, replicationFactor)
			switch {
			case o.Fault == "power_loss", o.Fault == "zone_outage" && o.Mode == "power_loss":
				losing.add(n)
				unclean.add(n)
			case o.Fault == "kill", o.Fault == "zone_outage" && o.Mode == "kill":
				unclean.add(n)
			case o.Fault == "disk" && (o.Full || o.Error > 0):
				unclean.add(n) // a broker whose log directory fails halts
				if o.Error > 0 {
					losing.add(n) // a failed sync may lose what it was to save
				}
			case o.ReplacesDisk(), o.BitFlip > 0, o.Truncate > 0:
				losing.add(n)
				wiped.add(n)
				unclean.add(n)
			}
		}
		f.DiskLosingReplicas = max(f.DiskLosingReplicas, min(losing.count(), replicationFactor))
		f.UncleanRestarts = max(f.UncleanRestarts, min(unclean.count(), replicationFactor))
		f.DisksLost = max(f.DisksLost, min(wiped.count(), replicationFactor))
	}
	return f
}

// hits are nodes that events hit: each that is named once, however many events name
// it, and a bound on the others.
type hits struct {
	named  []string
	others int
}

func (h *hits) add(o hits) {
	h.others += o.others
	for _, name := range o.named {
		if !slices.Contains(h.named, name) {
			h.named = append(h.named, name)
		}
	}
}

func (h *hits) count() int { return len(h.named) + h.others }

func hitsOf(s *scenarios.Scenario, e *scenarios.Event, replicationFactor int) hits {
	if e.Target.Kind == scenarios.TargetNodes {
		return hits{named: e.Target.Nodes}
	}
	return hits{others: nodesHit(s, e, replicationFactor)}
}

// nodesHit bounds how many replicas of one partition an event can hit that does not
// name its nodes.
func nodesHit(s *scenarios.Scenario, e *scenarios.Event, replicationFactor int) int {
	brokers := len(s.Cluster.Nodes()) - controllers(s)
	switch e.Target.Kind {
	case scenarios.TargetZone:
		return replicasInZone(s, e.Target.Zone, replicationFactor)
	case scenarios.TargetRandom:
		return int(e.Target.Count)
	case scenarios.TargetMinority:
		return (brokers - 1) / 2
	case scenarios.TargetMajority:
		return brokers/2 + 1
	case scenarios.TargetPrimaries, scenarios.TargetAll, scenarios.TargetBrokers:
		return brokers
	case scenarios.TargetControllers, scenarios.TargetActiveController, scenarios.TargetClients:
		return 0
	}
	return 1
}

// replicasInZone bounds how many replicas of one partition a zone holds. Rack-aware
// placement goes round the zones that have a broker left; an operator who moves
// replicas may put as many there as the zone has brokers.
func replicasInZone(s *scenarios.Scenario, zone string, replicationFactor int) (most int) {
	brokers := map[string]int{} // only looked up
	for _, node := range s.Cluster.Nodes() {
		if !node.Controller {
			brokers[node.Zone]++
		}
	}
	if slices.ContainsFunc(s.Timeline, func(e scenarios.Event) bool { return e.Operator == "reassign" || e.Operator == "decommission" }) {
		return min(replicationFactor, brokers[zone])
	}
	for left := replicationFactor; left > 0 && most < brokers[zone]; {
		most++
		for _, z := range s.Cluster.Zones {
			if brokers[z] >= most {
				left--
			}
		}
	}
	return most
}

func controllers(s *scenarios.Scenario) (n int) {
	for _, node := range s.Cluster.Nodes() {
		if node.Controller {
			n++
		}
	}
	return n
}
