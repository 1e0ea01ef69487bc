package record

import "math"

// IncrementSequence adds a count to an idempotent producer's sequence, which
// follows 2^31-1 by 0. Both arguments must be 0 or more.
func IncrementSequence(sequence, by int32) int32 {
	if sequence > math.MaxInt32-by {
		return by - (math.MaxInt32 - sequence) - 1
	}
	return sequence + by
}

// DecrementSequence takes a count from a sequence, and goes from 0 to 2^31-1.
// Both arguments must be 0 or more.
func DecrementSequence(sequence, by int32) int32 {
	if sequence < by {
		return math.MaxInt32 - (by - sequence) + 1
	}
	return sequence - by
}

// InSequence says whether next may follow last without a gap.
func InSequence(last, next int32) bool {
	return next == IncrementSequence(last, 1)
}
