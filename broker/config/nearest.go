package config

import "strings"

// nearestLengthMax bounds the words that are compared: edit distance is
// quadratic and the text comes from outside.
const nearestLengthMax = 96

// Nearest returns the candidate that word was most likely meant to be, or ""
// when none is near. Near is at most a third of the letters wrong, counting
// swapped neighbours once; the first of equals wins, so the order of
// candidates decides and the answer is deterministic.
func Nearest(word string, candidates []string) string {
	if word == "" || len(word) > nearestLengthMax {
		return ""
	}
	best, bestDistance := "", min(len(word), 1+max(1, len(word)/3))
	for _, candidate := range candidates {
		if len(candidate) > nearestLengthMax || candidate == word {
			continue
		}
		d := distance(fold(word), fold(candidate))
		if d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// fold makes separators and case equal: min_insync_replicas is close to
// min.insync.replicas.
func fold(s string) string {
	return strings.NewReplacer("_", ".", "-", ".").Replace(strings.ToLower(s))
}

// distance is the optimal-string-alignment edit distance.
func distance(a, b string) int {
	before := make([]int, len(b)+1)
	previous := make([]int, len(b)+1)
	current := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
