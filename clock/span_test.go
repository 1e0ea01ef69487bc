package clock

import (
	"math"
	"testing"
	"time"
)

// Goal: a span is never shorter than what was asked for. Method: both sides of the
// longest one, and what is below nothing.
func TestSpan(t *testing.T) {
	const most = math.MaxInt64 / int64(time.Millisecond)
	for _, c := range []struct {
		n    int64
		want time.Duration
	}{
		{0, 0}, {7, 7 * time.Millisecond}, {-7, -7 * time.Millisecond}, {most, time.Duration(most) * time.Millisecond},
		{most + 1, math.MaxInt64}, {math.MaxInt64, math.MaxInt64}, {-most - 1, math.MinInt64}, {math.MinInt64, math.MinInt64},
	} {
		if got := Span(c.n, time.Millisecond); got != c.want {
			t.Errorf("Span(%d) is %d, want %d", c.n, got, c.want)
		}
	}
	if at := Instant(1).Add(Span(math.MaxInt64, time.Second)); at != Never {
		t.Errorf("the longest span ends at %v", at)
	}
}
