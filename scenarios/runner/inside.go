package runner

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/invariant"
)

// compareBytesMax bounds how much of the replicas' segments is compared at the
// end of a run, byte by byte.
const compareBytesMax = 32 << 20

// newInside sets the omniscient invariants upon the cluster.
func (r *run) newInside() *invariant.Checker {
	s := r.scenario
	cfg := invariant.Config{
		SweepEvery: uint64(s.Checks.SweepEvery), Events: r.ledger.event,
		FlushBeforeAck:  s.Cluster.Disks.Flush.Mode == scenarios.FlushBeforeAck,
		ProducersExpire: producersExpire(s),
		MinInsyncReplicas: func(topic string) int {
			if n, ok := r.watch.minISR[topic]; ok {
				return n
			}
			return int(s.Cluster.Brokers.Settings.TopicDefaults.MinInsyncReplicas)
		},
		Compacted: func(topic string) bool {
			return topic == "__consumer_offsets" || slices.ContainsFunc(s.Topics, func(t scenarios.Topic) bool { return t.Name == topic && t.Compacted() })
		},
		Resurrects: func(topic string) bool {
			return topic != "__consumer_offsets" && !r.claims.Made(lin.ClaimNoResurrectedKeys)
		},
		UncleanElection: func(topic string) bool {
			i := slices.IndexFunc(s.Topics, func(t scenarios.Topic) bool { return t.Name == topic })
			if i < 0 {
				return s.Cluster.Brokers.Settings.TopicDefaults.UncleanLeaderElection
			}
			return s.Topics[i].Settings.UncleanLeaderElection
		},
		Touched: func(_ netsim.HostID, p *partition.Partition) {
			if p.Role() == partition.Leader {
				r.watch.predictor.leads(p)
			}
		},
	}
	for i, h := range r.layout.hosts {
		if h.role <= roleBroker {
			cfg.Nodes = append(cfg.Nodes, invariant.Node{
				Host: netsim.HostID(i), Name: h.name, ID: h.nodeID, Controller: h.role == roleController,
			})
		}
	}
	return invariant.New(cfg, func(h netsim.HostID) *broker.Node { return r.view.node(h) })
}

// violations asks the invariants a last time and lists what they have found.
func (r *run) violations(res *reports.Result) {
	r.inside.Sweep()
	r.inside.CompareContents(r.world.Disk, compareBytesMax)
	for _, v := range r.inside.Violations() {
		a := reports.Anomaly{
			Kind: "invariant: " + v.Invariant, Offset: -1, Text: v.Text,
			AtSeconds: seconds(v.Time) - warmUp.Seconds(), Event: v.Event,
		}
		if v.Topic != "" {
			a.Partition = partitionName(v.Topic, v.Partition)
		}
		res.Anomalies = append(res.Anomalies, a)
	}
	res.AnomaliesTotal += int(r.inside.Total())
	if r.inside.Checks() == 0 {
		r.failures = append(r.failures, "no replica was ever looked at from inside: the run proves nothing")
	}
}
