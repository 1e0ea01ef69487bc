package good

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

var names = [...]string{"a", "b"}

var index = map[string]int{}

func init() {
	for i, n := range names {
		index[n] = i
	}
}

func sum(m map[string]int) (total int) {
	for _, v := range m { //lint:maporder a sum is the same in any order
		total += v
	}
	return total
}

func seeded(seed uint64) int {
	r := rand.New(rand.NewPCG(seed, 1))
	return r.IntN(int(time.Second / time.Millisecond))
}

func share(a, b int) float64 {
	return float64(a) / float64(b) //lint:float shown to people only
}

func inOrder(m map[string]int) []string {
	return slices.Sorted(maps.Keys(m))
}
