package client

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// namedPartition is a partition as assignments name it.
type namedPartition struct {
	topic     string
	partition int32
}

func comparePartitions(a, b namedPartition) int {
	return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
}

// assignMember is a member as the leader of its group sees it.
type assignMember struct {
	id         string
	instance   string
	topics     []string
	owned      []namedPartition
	generation int32 // of owned
}

func readMember(m *kmsg.JoinGroupResponseMember) (assignMember, error) {
	out := assignMember{id: m.MemberID, generation: -1}
	if m.InstanceID != nil {
		out.instance = *m.InstanceID
	}
	s := kmsg.NewConsumerMemberMetadata()
	if err := s.ReadFrom(m.ProtocolMetadata); err != nil {
		return out, err
	}
	out.topics, out.generation = s.Topics, s.Generation
	for i := range s.OwnedPartitions {
		for _, p := range s.OwnedPartitions[i].Partitions {
			out.owned = append(out.owned, namedPartition{s.OwnedPartitions[i].Topic, p})
		}
	}
	if len(s.UserData) > 0 && len(out.owned) == 0 {
		u := kmsg.NewStickyMemberMetadata()
		if err := u.ReadFrom(s.UserData); err != nil {
			return out, err
		}
		out.generation = u.Generation
		for i := range u.CurrentAssignment {
			for _, p := range u.CurrentAssignment[i].Partitions {
				out.owned = append(out.owned, namedPartition{u.CurrentAssignment[i].Topic, p})
			}
		}
	}
	return out, nil
}

// assign deals partitions to members by one of Kafka's assignors. The result
// stands in the order of members, each part sorted. It does not depend on the
// order of members.
func assign(protocol string, members []assignMember, count func(topic string) int32) ([][]namedPartition, error) {
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	// Static members come first, by their instance, so that their part does
	// not change with the member ids of a restart.
	slices.SortFunc(order, func(a, b int) int {
		x, y := &members[a], &members[b]
		switch {
		case x.instance != "" && y.instance != "":
			return cmp.Compare(x.instance, y.instance)
		case x.instance != "":
			return -1
		case y.instance != "":
			return 1
		}
		return cmp.Compare(x.id, y.id)
	})
	out := make([][]namedPartition, len(members))
	switch protocol {
	case "range":
		assignRange(members, order, count, out)
	case "roundrobin":
		assignRoundRobin(members, order, count, out)
	case "sticky":
		assignSticky(members, order, count, out)
	case "cooperative-sticky":
		owners := assignSticky(members, order, count, out)
		withhold(owners, out)
	default:
		return nil, fmt.Errorf("group chose the assignor %q", protocol)
	}
	for i := range out {
		slices.SortFunc(out[i], comparePartitions)
	}
	return out, nil
}

// topicsOf lists the topics that anybody subscribes to, sorted.
func topicsOf(members []assignMember) []string {
	var topics []string
	for i := range members {
		topics = append(topics, members[i].topics...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}

func assignRange(members []assignMember, order []int, count func(string) int32, out [][]namedPartition) {
	for _, topic := range topicsOf(members) {
		var readers []int
		for _, m := range order {
			if slices.Contains(members[m].topics, topic) {
				readers = append(readers, m)
			}
		}
		n, next := int(count(topic)), 0
		for i, m := range readers {
			share := n / len(readers)
			if i < n%len(readers) {
				share++
			}
			for range share {
				out[m] = append(out[m], namedPartition{topic, int32(next)})
				next++
			}
		}
	}
}

func assignRoundRobin(members []assignMember, order []int, count func(string) int32, out [][]namedPartition) {
	turn := 0
	for _, topic := range topicsOf(members) {
		for p := range count(topic) {
			for !slices.Contains(members[order[turn%len(order)]].topics, topic) {
				turn++
			}
			m := order[turn%len(order)]
			out[m] = append(out[m], namedPartition{topic, p})
			turn++
		}
	}
}

// assignSticky leaves partitions where they are as far as balance allows: no
// member ends with two more than another that could take one of them. It
// returns the present owner of each partition, by member; -1 is none.
func assignSticky(members []assignMember, order []int, count func(string) int32, out [][]namedPartition) map[namedPartition]int {
	owners := presentOwners(members, order, count)
	var loose []namedPartition
	for _, topic := range topicsOf(members) {
		for p := range count(topic) {
			x := namedPartition{topic, p}
			if m, ok := owners[x]; ok {
				out[m] = append(out[m], x)
			} else {
				loose = append(loose, x)
			}
		}
	}
	for _, x := range loose {
		if m := lightest(members, order, out, x.topic); m >= 0 {
			out[m] = append(out[m], x)
		}
	}
	// Each move lowers the sum of squares of the loads, so this ends.
	for moved := true; moved; {
		moved = false
		for _, from := range order {
			for i := len(out[from]) - 1; i >= 0; i-- {
				x := out[from][i]
				to := lightest(members, order, out, x.topic)
				if len(out[to])+1 < len(out[from]) {
					out[from] = slices.Delete(out[from], i, i+1)
					out[to] = append(out[to], x)
					moved = true
				}
			}
		}
	}
	return owners
}

// presentOwners believes, of two members that both claim a partition, the one of
// the later generation; of one generation neither.
func presentOwners(members []assignMember, order []int, count func(string) int32) map[namedPartition]int {
	owners := map[namedPartition]int{}
	disputed := map[namedPartition]int32{}
	for _, m := range order {
		for _, x := range members[m].owned {
			if !slices.Contains(members[m].topics, x.topic) || x.partition >= count(x.topic) || x.partition < 0 {
				continue
			}
			other, ok := owners[x]
			switch {
			case ok && members[other].generation == members[m].generation:
				delete(owners, x)
				disputed[x] = members[m].generation
			case ok && members[other].generation > members[m].generation:
			default:
				if at, was := disputed[x]; !was || at < members[m].generation {
					owners[x] = m
				}
			}
		}
	}
	return owners
}

// lightest is the reader of a topic with the fewest partitions, the first of
// them in order; -1 if there is no reader.
func lightest(members []assignMember, order []int, out [][]namedPartition, topic string) int {
	best := -1
	for _, m := range order {
		if slices.Contains(members[m].topics, topic) && (best < 0 || len(out[m]) < len(out[best])) {
			best = m
		}
	}
	return best
}

// withhold takes out what another member still owns: that one has to revoke it
// first, and the next rebalance deals it (KIP-429).
func withhold(owners map[namedPartition]int, out [][]namedPartition) {
	for m := range out {
		out[m] = slices.DeleteFunc(out[m], func(x namedPartition) bool {
			owner, ok := owners[x]
			return ok && owner != m
		})
	}
}
