package reports

import (
	"cmp"
	"math"
	"slices"
)

// gaps are the longest times of one kind in which partitions were unavailable, the
// longest first; partitions that never were are left out.
type gaps struct {
	name string
	list []gap
}

type gap struct {
	partition    string
	length, from float64
}

func (r *Result) produceGaps() gaps {
	return r.gaps("no produce", func(u *Unavailability) gap { return gap{u.Partition, u.LongestSeconds, u.FromSeconds} })
}

func (r *Result) fetchGaps() gaps {
	return r.gaps("no fetch", func(u *Unavailability) gap { return gap{u.Partition, u.FetchLongestSeconds, u.FetchFromSeconds} })
}

func (r *Result) gaps(name string, of func(*Unavailability) gap) gaps {
	g := gaps{name: name}
	for i := range r.Unavailability {
		if x := of(&r.Unavailability[i]); x.length > 0 {
			g.list = append(g.list, x)
		}
	}
	slices.SortStableFunc(g.list, func(a, b gap) int { return cmp.Compare(b.length, a.length) })
	return g
}

// quantile is over the partitions of the list, which is not empty.
func (g *gaps) quantile(percent float64) float64 {
	n := len(g.list)
	return g.list[n-max(1, int(math.Ceil(percent/100*float64(n))))].length
}
