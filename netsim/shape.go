package netsim

import (
	"cmp"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// Shape is a way to divide hosts.
type Shape uint8

// The shapes, in Jepsen's words.
const (
	// Halves cuts a random half (the smaller one) from the rest.
	Halves Shape = iota
	// Majority cuts a random minority of 1 to (n-1)/2 hosts from the rest.
	Majority
	// Isolate cuts one random host from all others.
	Isolate
	// Bridge cuts the hosts in two halves, except one that reaches both.
	Bridge
	// MajoritiesRing lets each host hear a majority, and each another one. With
	// an even majority some pairs are cut in one direction only.
	MajoritiesRing
)

func (s Shape) String() string {
	names := [...]string{"halves", "majority", "isolate", "bridge", "majorities-ring"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Pairs returns the ordered pairs to cut, sorted. The choice of hosts is drawn
// from rng; the order in which they are given matters.
func (s Shape) Pairs(hosts []HostID, rng rand.Source) []Pair {
	h := slices.Clone(hosts)
	for i := len(h) - 1; i > 0; i-- {
		j := drawBelow(rng, int64(i)+1)
		h[i], h[j] = h[j], h[i]
	}
	var pairs []Pair
	switch s {
	case Halves:
		pairs = between(h[:len(h)/2], h[len(h)/2:])
	case Majority:
		if most := (len(h) - 1) / 2; most > 0 {
			minority := 1 + drawBelow(rng, int64(most))
			pairs = between(h[:minority], h[minority:])
		}
	case Isolate:
		if len(h) > 1 {
			pairs = between(h[:1], h[1:])
		}
	case Bridge:
		if len(h) > 2 {
			rest := h[1:]
			pairs = between(rest[:len(rest)/2], rest[len(rest)/2:])
		}
	case MajoritiesRing:
		pairs = majoritiesRing(h)
	default:
		panic(fmt.Sprintf("netsim: shape %d", s))
	}
	slices.SortFunc(pairs, comparePairs)
	return pairs
}

func between(a, b []HostID) []Pair {
	pairs := make([]Pair, 0, 2*len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			pairs = append(pairs, Pair{x, y}, Pair{y, x})
		}
	}
	return pairs
}

// majoritiesRing puts the hosts on a ring; each hears the majority of which it
// is the middle.
func majoritiesRing(h []HostID) []Pair {
	var pairs []Pair
	majority := len(h)/2 + 1
	before := (majority - 1) / 2
	for i, to := range h {
		for k := majority - before; k < len(h)-before; k++ {
			pairs = append(pairs, Pair{h[(i+k)%len(h)], to})
		}
	}
	return pairs
}

func comparePairs(a, b Pair) int {
	if c := cmp.Compare(a.From, b.From); c != 0 {
		return c
	}
	return cmp.Compare(a.To, b.To)
}

// drawBelow returns a number in [0, n). The bias is below n/2^64.
func drawBelow(rng rand.Source, n int64) int64 {
	hi, _ := bits.Mul64(rng.Uint64(), uint64(n))
	return int64(hi)
}
