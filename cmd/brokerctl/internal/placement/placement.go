// Package placement decides which brokers get the replicas of partitions. It is
// pure: it knows numbers and racks, and asks nobody.
package placement

import (
	"cmp"
	"fmt"
	"slices"
)

// Broker may get replicas.
type Broker struct {
	ID   int32
	Rack string // empty for none; brokers without one are a rack of their own each
}

// Partition is one partition with its replicas, the preferred leader first.
type Partition struct {
	Topic     string
	Partition int32
	Replicas  []int32
}

// Plan is the state of one decision: what every broker has so far.
type Plan struct {
	brokers  []Broker
	racks    map[int32]string
	rackSum  int
	replicas map[int32]int
	leaders  map[int32]int
	// replicasMax and leadersMax are even shares, rounded up.
	replicasMax, leadersMax int
}

// New begins a plan for some brokers, where others are the partitions that stay
// as they are and moving counts what will be placed.
func New(brokers []Broker, others []Partition, moving, movingReplicas int) *Plan {
	p := &Plan{brokers: slices.Clone(brokers), racks: map[int32]string{}, replicas: map[int32]int{}, leaders: map[int32]int{}}
	slices.SortFunc(p.brokers, func(a, b Broker) int { return cmp.Compare(a.ID, b.ID) })
	distinct := map[string]bool{}
	for _, b := range p.brokers {
		rack := b.Rack
		if rack == "" {
			rack = fmt.Sprintf("\x00%d", b.ID)
		}
		p.racks[b.ID] = rack
		distinct[rack] = true
	}
	p.rackSum = len(distinct)
	replicas, leaders := movingReplicas, moving
	for _, other := range others {
		for i, id := range other.Replicas {
			if _, ok := p.racks[id]; !ok {
				continue
			}
			p.replicas[id]++
			replicas++
			if i == 0 {
				p.leaders[id]++
				leaders++
			}
		}
	}
	p.replicasMax = ceiling(replicas, len(p.brokers))
	p.leadersMax = ceiling(leaders, len(p.brokers))
	return p
}

func ceiling(a, b int) int { return (a + b - 1) / max(b, 1) }

// Rebalance places a partition anew. A replica stays where it is unless its
// broker is not wanted, has its share already, or shares a rack while another
// rack has none.
func (p *Plan) Rebalance(partition Partition, factor int) ([]int32, error) {
	return p.place(partition, factor, p.replicasMax)
}

// Resize changes the number of replicas of a partition and moves none of those
// that remain. The leader remains; of the others those go that share a rack.
func (p *Plan) Resize(partition Partition, factor int) ([]int32, error) {
	return p.place(partition, factor, int(^uint(0)>>1))
}

func (p *Plan) place(partition Partition, factor, replicasMax int) ([]int32, error) {
	if factor < 1 || factor > len(p.brokers) {
		return nil, fmt.Errorf("%s/%d: %d replicas do not fit on %d broker(s)", partition.Topic, partition.Partition, factor, len(p.brokers))
	}
	var chosen []int32
	used := map[string]bool{}
	take := func(id int32) {
		chosen = append(chosen, id)
		used[p.racks[id]] = true
		p.replicas[id]++
	}
	// First those that bring a rack of their own, then those that share one.
	for _, sharing := range []bool{false, true} {
		for _, id := range partition.Replicas {
			rack, wanted := p.racks[id]
			if !wanted || len(chosen) == factor || slices.Contains(chosen, id) || p.replicas[id] >= replicasMax {
				continue
			}
			if used[rack] != sharing || sharing && len(chosen) < p.rackSum && len(used) < p.rackSum && p.canSpread(used, replicasMax) {
				continue
			}
			take(id)
		}
	}
	for len(chosen) < factor {
		take(p.best(chosen, used))
	}
	return p.leaderFirst(partition, chosen), nil
}

// canSpread says whether a rack without a replica has a broker with room.
func (p *Plan) canSpread(used map[string]bool, replicasMax int) bool {
	for _, b := range p.brokers {
		if !used[p.racks[b.ID]] && p.replicas[b.ID] < replicasMax {
			return true
		}
	}
	return false
}

// best is the broker for one more replica: of a rack that has none if there is
// one, then the one with the fewest replicas, then the lowest id.
func (p *Plan) best(chosen []int32, used map[string]bool) int32 {
	found, foundShares := int32(-1), false
	for _, b := range p.brokers {
		if slices.Contains(chosen, b.ID) {
			continue
		}
		shares := used[p.racks[b.ID]]
		if found < 0 || !shares && foundShares || shares == foundShares && p.replicas[b.ID] < p.replicas[found] {
			found, foundShares = b.ID, shares
		}
	}
	return found
}

// leaderFirst puts the preferred leader in front: the one that it was if that is
// still a replica and has not its share already, else the one that leads least.
func (p *Plan) leaderFirst(partition Partition, chosen []int32) []int32 {
	leader := chosen[0]
	for _, id := range chosen {
		if p.leaders[id] < p.leaders[leader] {
			leader = id
		}
	}
	if len(partition.Replicas) > 0 {
		if before := partition.Replicas[0]; slices.Contains(chosen, before) && p.leaders[before] < p.leadersMax {
			leader = before
		}
	}
	p.leaders[leader]++
	out := []int32{leader}
	for _, id := range chosen {
		if id != leader {
			out = append(out, id)
		}
	}
	return out
}
