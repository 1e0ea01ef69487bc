package placement

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func threeZones() []Broker {
	return []Broker{{1, "a"}, {2, "a"}, {3, "b"}, {4, "b"}, {5, "c"}, {6, "c"}}
}

func TestResizeKeepsLeaderAndSpreadsRacks(t *testing.T) {
	for _, test := range []struct {
		name   string
		before []int32
		factor int
		want   []int32
	}{
		{"one more goes to another rack", []int32{1}, 2, []int32{1, 3}},
		{"two more go to the two others", []int32{3}, 3, []int32{3, 1, 5}},
		{"the same stays", []int32{6, 1, 3}, 3, []int32{6, 1, 3}},
		{"of three the one that shares a rack goes", []int32{1, 2, 5}, 2, []int32{1, 5}},
		{"a fourth shares", []int32{1, 3, 5}, 4, []int32{1, 3, 5, 2}},
	} {
		got, err := New(threeZones(), nil, 1, test.factor).Resize(Partition{Replicas: test.before}, test.factor)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestTooManyReplicas(t *testing.T) {
	_, err := New(threeZones()[:2], nil, 1, 3).Resize(Partition{Topic: "orders", Partition: 4, Replicas: []int32{1}}, 3)
	if err == nil || err.Error() != "orders/4: 3 replicas do not fit on 2 broker(s)" {
		t.Errorf("got %v", err)
	}
}

// Every plan puts each partition on as many distinct wanted brokers as asked,
// in as many racks as there can be; and a plan for what is even already moves
// nothing.
func TestRebalanceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 9).Draw(t, "brokers")
		racks := rapid.IntRange(1, 4).Draw(t, "racks")
		var brokers []Broker
		var ids []int32
		distinct := map[string]bool{}
		for id := range int32(count) {
			rack := string(rune('a' + int(id)%racks))
			brokers = append(brokers, Broker{id, rack})
			ids = append(ids, id)
			distinct[rack] = true
		}
		factor := rapid.IntRange(1, count).Draw(t, "factor")
		var before []Partition
		for i := range rapid.IntRange(1, 20).Draw(t, "partitions") {
			shuffled := rapid.Permutation(append([]int32{97, 98}, ids...)).Draw(t, "replicas")
			before = append(before, Partition{"t", int32(i), shuffled[:factor]})
		}
		plan := New(brokers, nil, len(before), len(before)*factor)
		var after []Partition
		for _, p := range before {
			replicas, err := plan.Rebalance(p, factor)
			if err != nil {
				t.Fatal(err)
			}
			inRacks := map[string]bool{}
			for i, id := range replicas {
				if !slices.Contains(ids, id) || slices.Contains(replicas[:i], id) {
					t.Fatalf("%v of %v", replicas, ids)
				}
				inRacks[brokers[id].Rack] = true
			}
			if len(replicas) != factor {
				t.Fatalf("%d replicas, not %d", len(replicas), factor)
			}
			if want := min(factor, len(distinct)); count%racks == 0 && len(inRacks) < want {
				t.Fatalf("%v is in %d racks, not %d", replicas, len(inRacks), want)
			}
			after = append(after, Partition{p.Topic, p.Partition, replicas})
		}
		again := New(brokers, nil, len(after), len(after)*factor)
		if !even(after, ids, factor) {
			return
		}
		for _, p := range after {
			replicas, err := again.Rebalance(p, factor)
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(replicas)
			if diff := cmp.Diff(slices.Sorted(slices.Values(p.Replicas)), replicas); diff != "" {
				t.Fatalf("even already, and yet %s", diff)
			}
		}
	})
}

// even says whether no broker has more than its share.
func even(partitions []Partition, ids []int32, factor int) bool {
	counts := map[int32]int{}
	for _, p := range partitions {
		for _, id := range p.Replicas {
			counts[id]++
		}
	}
	for _, n := range counts {
		if n > ceiling(len(partitions)*factor, len(ids)) {
			return false
		}
	}
	return true
}
