package api

import (
	"testing"

	"pgregory.net/rapid"
)

// Whether few or many are named: each key keeps the number of its first mention.
func TestOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o once
		for range 2 { // what came before must not matter
			o.reset()
			first := make(map[onceKey]int)
			for range rapid.IntRange(0, 3*fewMax).Draw(t, "keys") {
				key := onceKey{topic: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "topic"), partition: rapid.Int32Range(0, 2*fewMax).Draw(t, "partition")}
				if rapid.Bool().Draw(t, "by id") {
					key.id[15] = 1
				}
				want, again := first[key]
				if !again {
					want = len(first)
					first[key] = want
				}
				if number, was := o.place(key); number != want || was != again {
					t.Fatalf("%v is %d, again %v; want %d, %v", key, number, was, want, again)
				}
			}
		}
	})
}
