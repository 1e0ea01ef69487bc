package linearizability

import (
	"testing"

	"pgregory.net/rapid"
)

// Goal: the small structures under the checkers behave like the obvious ones.

func TestTableIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var mine table
		want := map[uint64]int32{}
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			key := rapid.Uint64Range(0, 60).Draw(t, "key") << rapid.SampledFrom([]int{0, 32, 40}).Draw(t, "shift")
			if _, known := want[key]; known {
				mine.remove(key)
				delete(want, key)
			} else {
				value := int32(len(want))
				mine.put(key, value)
				want[key] = value
			}
			mine.remove(1 << 63)
		}
		if mine.used != len(want) {
			t.Fatalf("%d entries, want %d", mine.used, len(want))
		}
		for key, value := range want {
			if got := mine.get(key); got != value {
				t.Fatalf("key %d: %d, want %d", key, got, value)
			}
		}
		if mine.get(1<<62) != -1 {
			t.Fatal("found a key that was never put")
		}
	})
}

func TestIntervalsAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var mine intervals
		var want [64]bool
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			from := rapid.IntRange(0, 63).Draw(t, "from")
			to := rapid.IntRange(from, 64).Draw(t, "to")
			add := rapid.Bool().Draw(t, "add")
			fresh := int64(0)
			for i := from; i < to; i++ {
				if add && !want[i] {
					fresh++
				}
				want[i] = add
			}
			if !add {
				mine.remove(int64(from), int64(to))
			} else if got := mine.add(int64(from), int64(to)); got != fresh {
				t.Fatalf("add [%d,%d): %d fresh, want %d", from, to, got, fresh)
			}
			for i := range want {
				if got := mine.covered(int64(i), int64(i)+1) == 1; got != want[i] {
					t.Fatalf("offset %d: %v, want %v in %v", i, got, want[i], mine.list)
				}
			}
			for i := 1; i < len(mine.list); i++ {
				if mine.list[i-1].to >= mine.list[i].from {
					t.Fatalf("not normal: %v", mine.list)
				}
			}
		}
	})
}

func TestDigestDoesNotDependOnCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := NewBatchID(uint32(rapid.IntRange(0, 9).Draw(t, "producer")), rapid.Uint64Range(1, 1<<30).Draw(t, "sequence"))
		base := rapid.Int64Range(0, 1<<40).Draw(t, "base")
		count := int32(rapid.IntRange(2, 1000).Draw(t, "count"))
		cut := int32(rapid.IntRange(1, int(count)-1).Draw(t, "cut"))
		var whole, parts, other digest
		whole.add(id, base, 0, count)
		parts.add(id, base, cut, count-cut)
		parts.add(id, base, 0, cut)
		if whole != parts {
			t.Fatal("the sum depends on the cut")
		}
		other.add(id, base, 1, count)
		if whole == other {
			t.Fatal("shifted records sum the same")
		}
	})
}
