package real

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	// moveLimit bounds how long a partition may take to move, a leader to change and
	// a broker to come or go.
	moveLimit = 3 * time.Minute
	// lookEvery is how often an operator's tool looks at what it waits for.
	lookEvery = 200 * time.Millisecond
)

// orders counts the reassignments of each partition: a newer one takes the place
// of what an older one was to reach.
type orders map[string]int

// order takes a partition's turn and returns what tells whether another has come.
func (f *faults) order(partition string) (superseded func() bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.orders == nil {
		f.orders = orders{}
	}
	f.orders[partition]++
	mine := f.orders[partition]
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.orders[partition] != mine
	}
}

// until asks the cluster again and again, until what was told to it has come true.
// An error is what has not, and of the last question.
func (f *faults) until(ctx context.Context, what string, holds func(ctx context.Context, m *kadm.Metadata) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, moveLimit)
	defer cancel()
	var last error
	for {
		m, err := kadm.NewClient(f.admin).Metadata(ctx)
		if err == nil {
			var done bool
			if done, err = holds(ctx, &m); done {
				return nil
			}
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if !sleep(ctx, lookEvery) {
			return errors.Join(fmt.Errorf("%s: not within %v", what, moveLimit), last)
		}
	}
}

// nodeIDs are the ids of named nodes, in the order of the names.
func (f *faults) nodeIDs(t *scenarios.Target) (ids []int32, err error) {
	for _, name := range t.Nodes {
		nodes := f.where(func(n *node) bool { return n.Name == name })
		if len(nodes) == 0 {
			return nil, fmt.Errorf("%s does not belong to the cluster now", name)
		}
		ids = append(ids, nodes[0].ID)
	}
	return ids, nil
}

// reassign moves a partition to other replicas, or cancels that, and waits until
// it has come to pass.
func (f *faults) reassign(e *scenarios.Event) action {
	return func(ctx context.Context) (string, func() error, error) {
		to, err := f.nodeIDs(&e.To)
		if err != nil {
			return "", nil, err
		}
		topic, index, _ := scenarios.ParsePartition(e.Partition)
		if err := f.assign(ctx, topic, index, to); err != nil && !(to == nil && errors.Is(err, kerr.NoReassignmentInProgress)) {
			return "", nil, err
		}
		superseded := f.order(e.Partition)
		target := e.Partition + " to " + strings.Join(e.To.Nodes, ",")
		if to == nil {
			return e.Partition + " back", nil, nil
		}
		return target, nil, f.until(ctx, "reassign "+target, func(_ context.Context, m *kadm.Metadata) (bool, error) {
			p := m.Topics[topic].Partitions[index]
			return superseded() || slices.Equal(p.Replicas, to), nil
		})
	}
}

// assign asks for the replicas of a partition; nil cancels.
func (f *faults) assign(ctx context.Context, topic string, index int32, to []int32) error {
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign(topic, index, to)
	resp, err := kadm.NewClient(f.admin).AlterPartitionAssignments(ctx, req)
	if err == nil {
		err = resp.Error()
	}
	if err != nil {
		return fmt.Errorf("ask to move %s/%d to %v: %w", topic, index, to, err)
	}
	return nil
}

// moveLeader lets one of a partition's replicas lead: it is made the preferred one,
// and that is elected.
func (f *faults) moveLeader(e *scenarios.Event) action {
	return func(ctx context.Context) (string, func() error, error) {
		topic, index, _ := scenarios.ParsePartition(e.Partition)
		nodes, err := f.resolve(ctx, &e.To)
		if err != nil {
			return "", nil, err
		}
		leader, superseded, asked := nodes[0].ID, func() bool { return false }, false
		target := e.Partition + " to " + nodes[0].Name
		return target, nil, f.until(ctx, "move_leader "+target, func(ctx context.Context, m *kadm.Metadata) (bool, error) {
			p := m.Topics[topic].Partitions[index]
			switch {
			case superseded() || p.Leader == leader && asked:
				return true, nil
			case asked:
				_, err := kadm.NewClient(f.admin).ElectLeaders(ctx, kadm.ElectPreferredReplica, kadm.TopicsSet{topic: {index: {}}})
				return false, err
			case !slices.Contains(p.Replicas, leader):
				return false, fmt.Errorf("%s is no replica of %s", nodes[0].Name, e.Partition)
			}
			order := append([]int32{leader}, slices.DeleteFunc(slices.Clone(p.Replicas), func(id int32) bool { return id == leader })...)
			if err := f.assign(ctx, topic, index, order); err != nil {
				return false, err
			}
			asked, superseded = true, f.order(e.Partition)
			return false, nil
		})
	}
}
