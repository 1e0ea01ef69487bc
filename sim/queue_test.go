package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/clock"
	"pgregory.net/rapid"
)

// Goal: the tree's answer is that of a linear search over (time, order of Set).
func TestQueueAgainstSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "sources")
		q := NewQueue(n)
		at, seq := make([]clock.Instant, n), make([]int, n)
		for i := range at {
			at[i], seq[i] = clock.Never, i-n
		}
		for step := range rapid.IntRange(1, 200).Draw(t, "steps") {
			s := rapid.IntRange(0, n-1).Draw(t, "source")
			when := clock.Instant(rapid.IntRange(0, 9).Draw(t, "at"))
			if when == 9 {
				when = clock.Never
			}
			q.Set(Source(s), when)
			if at[s] != when {
				at[s], seq[s] = when, step
			}
			best := 0
			for i := range at {
				if at[i] < at[best] || at[i] == at[best] && seq[i] < seq[best] {
					best = i
				}
			}
			got, when := q.Next()
			if when != at[best] || when != clock.Never && got != Source(best) {
				t.Fatalf("next is %d at %v, want %d at %v", got, when, best, at[best])
			}
		}
	})
}

func BenchmarkQueue(b *testing.B) {
	for _, n := range []int{20, 200, 2000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			q := NewQueue(n)
			rng := rand.New(rand.NewPCG(1, 1))
			for i := range n {
				q.Set(Source(i), clock.Instant(rng.Int64N(1e6)))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				s, at := q.Next()
				q.Set(s, at+1+clock.Instant(rng.Int64N(1e6)))
			}
		})
	}
}
