package controller

import (
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/meta"
)

// placer puts replicas on brokers in stripes, as KRaft's placer does: leaders go
// round the racks, a partition's replicas are in as many racks as there are, and
// within a rack the brokers take turns. Fenced brokers come last and never lead.
//
// The order of racks and brokers is shuffled anew after each full round, so that
// the load of a broker that fails is spread over all the others.
type placer struct {
	random   *rand.Rand
	racks    []rack
	brokers  int
	unfenced int
	round    int // partitions placed since the last shuffle
}

type rack struct {
	name             string
	unfenced, fenced []int32
}

// newPlacer looks at the brokers of an image; those in controlled shutdown are
// not used.
func newPlacer(image *meta.Image, random *rand.Rand) *placer {
	p := &placer{random: random}
	for _, b := range image.Brokers {
		if b.InControlledShutdown {
			continue
		}
		i, ok := slices.BinarySearchFunc(p.racks, b.Rack, func(r rack, name string) int { return strings.Compare(r.name, name) })
		if !ok {
			p.racks = slices.Insert(p.racks, i, rack{name: b.Rack})
		}
		p.brokers++
		if b.Fenced {
			p.racks[i].fenced = append(p.racks[i].fenced, b.ID)
		} else {
			p.racks[i].unfenced = append(p.racks[i].unfenced, b.ID)
			p.unfenced++
		}
	}
	p.shuffle()
	return p
}

func (p *placer) shuffle() {
	p.round = 0
	p.random.Shuffle(len(p.racks), func(i, j int) { p.racks[i], p.racks[j] = p.racks[j], p.racks[i] })
	for i := range p.racks {
		for _, list := range [][]int32{p.racks[i].unfenced, p.racks[i].fenced} {
			p.random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
}

// place returns the replicas of the next partition, the preferred leader first.
// There must be as many brokers, and one of them unfenced.
func (p *placer) place(replicas int) []int32 {
	if p.round == p.unfenced && p.unfenced > 1 {
		p.shuffle()
	}
	start, turn := p.round%len(p.racks), p.round/len(p.racks)
	p.round++
	placed := make([]int32, 0, replicas)
	taken := make([]int, len(p.racks))
	for i := start; len(placed) < replicas; i++ {
		k := i % len(p.racks)
		r := &p.racks[k]
		n := taken[k]
		switch {
		case n < len(r.unfenced):
			placed = append(placed, r.unfenced[(turn+n)%len(r.unfenced)])
		case len(placed) == 0: // the leader must be unfenced
			continue
		case n < len(r.unfenced)+len(r.fenced):
			placed = append(placed, r.fenced[(turn+n)%len(r.fenced)])
		default:
			continue
		}
		taken[k]++
	}
	return placed
}
