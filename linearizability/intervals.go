package linearizability

import "sort"

// interval is the half-open range of offsets [from, to).
type interval struct{ from, to int64 }

// intervals is a sorted list of disjoint, non-adjacent ranges. Healthy runs keep
// it at a handful of entries; overflow reports that a bound was hit.
type intervals struct {
	list     []interval
	overflow bool
}

const intervalsMax = 4096

// add joins the range and returns how many offsets were new.
func (s *intervals) add(from, to int64) int64 {
	if from >= to {
		return 0
	}
	if n := len(s.list); n > 0 {
		last := &s.list[n-1]
		if last.from <= from && from <= last.to {
			fresh := max(0, to-last.to)
			last.to += fresh
			return fresh
		}
	}
	first := sort.Search(len(s.list), func(i int) bool { return s.list[i].to >= from })
	end := first
	fresh := to - from
	merged := interval{from, to}
	for end < len(s.list) && s.list[end].from <= to {
		other := s.list[end]
		fresh -= max(0, min(to, other.to)-max(from, other.from))
		merged.from, merged.to = min(merged.from, other.from), max(merged.to, other.to)
		end++
	}
	s.splice(first, end, merged)
	return fresh
}

// remove takes the range out.
func (s *intervals) remove(from, to int64) {
	if from >= to {
		return
	}
	first := sort.Search(len(s.list), func(i int) bool { return s.list[i].to > from })
	end := first
	var kept [2]interval
	parts := kept[:0]
	for end < len(s.list) && s.list[end].from < to {
		if other := s.list[end]; other.from < from {
			parts = append(parts, interval{other.from, from})
		}
		if other := s.list[end]; other.to > to {
			parts = append(parts, interval{to, other.to})
		}
		end++
	}
	if end > first {
		s.splice(first, end, parts...)
	}
}

func (s *intervals) splice(first, end int, parts ...interval) {
	if len(s.list)-(end-first)+len(parts) > intervalsMax {
		s.overflow = true
		return
	}
	tail := len(s.list) - end
	for len(s.list) < first+len(parts)+tail {
		s.list = append(s.list, interval{})
	}
	copy(s.list[first+len(parts):first+len(parts)+tail], s.list[end:end+tail])
	copy(s.list[first:], parts)
	s.list = s.list[:first+len(parts)+tail]
}

// covered counts the offsets of [from, to) that are in the set.
func (s *intervals) covered(from, to int64) int64 {
	var count int64
	first := sort.Search(len(s.list), func(i int) bool { return s.list[i].to > from })
	for i := first; i < len(s.list) && s.list[i].from < to; i++ {
		count += min(to, s.list[i].to) - max(from, s.list[i].from)
	}
	return count
}
