package netsim

import "math/rand/v2"

// Shape is a way to divide hosts.
type Shape uint8

// The shapes, in Jepsen's words.
const (
	// Halves cuts a minority of (n-1)/2 hosts, or n/2 if n is even, from the rest.
	Halves Shape = iota
	// Majority cuts a random minority of 1..(n-1)/2 hosts from the rest.
	Majority
	// Isolate cuts one random host from all others.
	Isolate
	// Bridge cuts the hosts in two halves, except one that reaches both.
	Bridge
	// MajoritiesRing lets each host reach a majority, no two hosts the same one.
	MajoritiesRing
)

// Pairs returns the ordered pairs to cut, sorted: both directions of each.
func (s Shape) Pairs(hosts []HostID, rng rand.Source) []Pair { return nil }
