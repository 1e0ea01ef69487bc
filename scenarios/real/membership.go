package real

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"syscall"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addBrokers starts the brokers that an event adds, which have been waiting with a
// port and an empty directory, and waits until the cluster names them.
func (f *faults) addBrokers(index int) action {
	return func(ctx context.Context) (string, func() error, error) {
		var added []*node
		for _, n := range f.cluster.nodes {
			if n.AddedBy != index+1 {
				continue
			}
			if err := f.cluster.start(n); err != nil {
				return "", nil, err
			}
			added = append(added, n)
		}
		return names(added), nil, f.until(ctx, "add_brokers "+names(added), func(_ context.Context, m *kadm.Metadata) (bool, error) {
			missing := slices.ContainsFunc(added, func(n *node) bool {
				return !slices.ContainsFunc(m.Brokers, func(b kadm.BrokerDetail) bool { return b.NodeID == n.ID })
			})
			return !missing, nil
		})
	}
}

// decommission takes a broker out of the cluster as an operator's script does:
// its replicas go to others, then it ends, then it is unregistered.
func (f *faults) decommission(ctx context.Context, nodes []*node) (func() error, error) {
	n := nodes[0]
	err := f.until(ctx, "move the replicas of "+n.Name, func(ctx context.Context, m *kadm.Metadata) (bool, error) {
		return f.empty(ctx, m, n)
	})
	if err != nil {
		return nil, err
	}
	n.leave()
	n.end(syscall.SIGTERM)
	stop, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if err := n.wait(stop); err != nil {
		return nil, err
	}
	// Until its session has ended it may have been given a replica of a new topic.
	err = f.until(ctx, "move the last replicas of "+n.Name, func(ctx context.Context, m *kadm.Metadata) (bool, error) {
		fenced := !slices.ContainsFunc(m.Brokers, func(b kadm.BrokerDetail) bool { return b.NodeID == n.ID })
		empty, err := f.empty(ctx, m, n)
		return fenced && empty, err
	})
	if err != nil {
		return nil, err
	}
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = n.ID
	return nil, f.until(ctx, "unregister "+n.Name, func(ctx context.Context, _ *kadm.Metadata) (bool, error) {
		resp, err := req.RequestWith(ctx, f.admin)
		if err != nil {
			return false, err
		}
		// Its session may not have ended yet; or the answer to an earlier request was lost.
		err = kerr.ErrorForCode(resp.ErrorCode)
		return err == nil || err == kerr.BrokerIDNotRegistered, err //nolint:errorlint // franz-go's own values
	})
}

// empty tells whether a broker holds no replica, and asks for a successor of each
// that it holds and nobody moves yet.
func (f *faults) empty(ctx context.Context, m *kadm.Metadata, n *node) (bool, error) {
	load, held := map[int32]int{}, kadm.TopicsSet{}
	m.Topics.EachPartition(func(p kadm.PartitionDetail) {
		for _, id := range p.Replicas {
			load[id]++
		}
		if slices.Contains(p.Replicas, n.ID) {
			held.Add(p.Topic, p.Partition)
		}
	})
	if len(held) == 0 {
		return true, nil
	}
	moving, err := kadm.NewClient(f.admin).ListPartitionReassignments(ctx, held)
	if err != nil {
		return false, fmt.Errorf("ask what moves: %w", err)
	}
	for _, p := range held.IntoList() {
		for _, index := range p.Partitions {
			if _, under := moving[p.Topic][index]; under {
				continue
			}
			replicas := slices.Clone(m.Topics[p.Topic].Partitions[index].Replicas)
			successor, found := successorOf(n, replicas, m.Brokers, load)
			if !found {
				continue // until somebody is there
			}
			load[successor]++
			replicas[slices.Index(replicas, n.ID)] = successor
			if err := f.assign(ctx, p.Topic, index, replicas); err != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// successorOf is who takes a replica: a broker of the same zone before one of a zone
// that has none, that before any other, and among those the one with the fewest.
func successorOf(n *node, replicas []int32, brokers kadm.BrokerDetails, load map[int32]int) (int32, bool) {
	zone := func(b kadm.BrokerDetail) string {
		if b.Rack == nil {
			return ""
		}
		return *b.Rack
	}
	rank := func(b kadm.BrokerDetail) int {
		if zone(b) == n.Zone {
			return 0
		}
		if slices.ContainsFunc(brokers, func(other kadm.BrokerDetail) bool {
			return zone(other) == zone(b) && slices.Contains(replicas, other.NodeID)
		}) {
			return 2
		}
		return 1
	}
	var others kadm.BrokerDetails
	for _, b := range brokers {
		if !slices.Contains(replicas, b.NodeID) {
			others = append(others, b)
		}
	}
	if len(others) == 0 {
		return 0, false
	}
	return slices.MinFunc(others, func(a, b kadm.BrokerDetail) int {
		return cmp.Or(rank(a)-rank(b), load[a.NodeID]-load[b.NodeID], int(a.NodeID-b.NodeID))
	}).NodeID, true
}

// leave says that a node does not belong to the cluster any more: nothing that
// heals starts it again.
func (one *node) leave() {
	one.mu.Lock()
	defer one.mu.Unlock()
	one.gone = true
}

// belongs tells whether a node is part of the cluster now: not one that is yet to
// be added, nor one that has been decommissioned.
func (one *node) belongs() bool {
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.boots > 0 && !one.gone
}

// members are the nodes that belong to the cluster now.
func (c *cluster) members() []*node {
	return slices.DeleteFunc(slices.Clone(c.nodes), func(n *node) bool { return !n.belongs() })
}

// atStart tells whether a node is there from the start.
func atStart(n scenarios.Node) bool { return n.AddedBy == 0 }
