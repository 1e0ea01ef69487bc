package sim

import "math/rand/v2"

// Streams derives the seeds of a run's parts from the run's seed, so that each
// part has a stream of its own and adding a draw to one leaves the others as
// they are.
type Streams uint64

// Seed returns the seed of the part with that name. n tells several of one
// name apart: hosts, boots.
func (s Streams) Seed(name string, n int) uint64 {
	h := uint64(s)
	for i := range len(name) {
		h = splitmix(h ^ uint64(name[i])<<8)
	}
	return splitmix(h + uint64(n)*0x9e3779b97f4a7c15)
}

// New returns the generator of the part with that name.
func (s Streams) New(name string, n int) *rand.PCG {
	seed := s.Seed(name, n)
	return rand.NewPCG(seed, splitmix(seed))
}

// splitmix is the finaliser of SplitMix64.
func splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
