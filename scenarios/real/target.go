package real

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// resolve turns a target into nodes, from what the cluster says when the event
// begins.
func (f *faults) resolve(ctx context.Context, t *scenarios.Target) ([]*node, error) {
	brokers := f.cluster.brokers()
	switch t.Kind {
	case scenarios.TargetZone:
		return f.where(func(n *node) bool { return n.Zone == t.Zone }), nil
	case scenarios.TargetNodes:
		return f.where(func(n *node) bool { return slices.Contains(t.Nodes, n.Name) || slices.Contains(t.Nodes, n.Zone) }), nil
	case scenarios.TargetLeaderOf, scenarios.TargetFollowerOf:
		id, err := f.replica(ctx, t)
		if err != nil {
			return nil, err
		}
		return f.byID(id)
	case scenarios.TargetCoordinatorOf:
		id, err := f.coordinator(ctx, t.Group)
		if err != nil {
			return nil, err
		}
		return f.byID(id)
	case scenarios.TargetActiveController:
		id, err := f.activeController(ctx)
		if err != nil {
			return nil, err
		}
		return f.byID(id)
	case scenarios.TargetOne:
		return f.draw(1), nil
	case scenarios.TargetRandom:
		return f.draw(int(t.Count)), nil
	case scenarios.TargetMinority:
		return f.draw((len(brokers) - 1) / 2), nil
	case scenarios.TargetMajority:
		return f.draw(len(brokers)/2 + 1), nil
	case scenarios.TargetAll:
		return f.cluster.members(), nil
	case scenarios.TargetControllers:
		return f.where(func(n *node) bool { return n.Controller }), nil
	case scenarios.TargetBrokers, scenarios.TargetPrimaries, scenarios.TargetNone:
		return brokers, nil
	}
	return nil, fmt.Errorf("the target %s is not known here", t.Text)
}

func (f *faults) where(is func(*node) bool) (out []*node) {
	for _, n := range f.cluster.members() {
		if is(n) {
			out = append(out, n)
		}
	}
	return out
}

func (f *faults) byID(id int32) ([]*node, error) {
	if nodes := f.where(func(n *node) bool { return n.ID == id }); len(nodes) > 0 {
		return nodes, nil
	}
	return nil, fmt.Errorf("the cluster names node %d, which is none of the scenario's", id)
}

func (f *faults) draw(n int) []*node {
	out := slices.Clone(f.cluster.brokers())
	f.random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(n, len(out))]
}

// replica is the leader of a partition, or its first follower in sync.
func (f *faults) replica(ctx context.Context, t *scenarios.Target) (int32, error) {
	m, err := f.metadata(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask for the leader of %s/%d: %w", t.Topic, t.Partition, err)
	}
	for _, topic := range m.Topics {
		if topic.Topic == nil || *topic.Topic != t.Topic {
			continue
		}
		for _, p := range topic.Partitions {
			if p.Partition != t.Partition {
				continue
			}
			if t.Kind == scenarios.TargetLeaderOf && p.Leader >= 0 {
				return p.Leader, nil
			}
			for _, id := range p.ISR {
				if id != p.Leader {
					return id, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("%s/%d has no such replica now", t.Topic, t.Partition)
}

func (f *faults) coordinator(ctx context.Context, group string) (int32, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorKeys = group, []string{group}
	resp, err := req.RequestWith(ctx, f.admin)
	if err != nil {
		return 0, fmt.Errorf("find the coordinator of %s: %w", group, err)
	}
	if len(resp.Coordinators) > 0 {
		return resp.Coordinators[0].NodeID, nil
	}
	return resp.NodeID, nil
}

// activeController asks for the leader of the metadata quorum.
func (f *faults) activeController(ctx context.Context) (int32, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	t := kmsg.NewDescribeQuorumRequestTopic()
	t.Topic = "__cluster_metadata"
	t.Partitions = append(t.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, f.admin)
	if err != nil {
		return 0, fmt.Errorf("ask for the active controller: %w", err)
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			return p.LeaderID, nil
		}
	}
	return 0, errors.New("the cluster names no active controller")
}
