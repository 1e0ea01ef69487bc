package netsim

import (
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// LatencyMax bounds any single latency or jitter.
const LatencyMax = time.Hour

// MeasuredValuesMax bounds the list of a measured distribution.
const MeasuredValuesMax = 1 << 16

// Latency is a distribution of one-way latencies. The zero value is no latency.
type Latency struct {
	kind   latencyKind
	a, b   time.Duration
	values []time.Duration
}

type latencyKind uint8

const (
	latencyConstant latencyKind = iota
	latencyUniform
	latencyLognormal
	latencyMeasured
)

// Constant is always d.
func Constant(d time.Duration) Latency { return Latency{kind: latencyConstant, a: d, b: d} }

// Uniform is spread evenly over [min, max].
func Uniform(min, max time.Duration) Latency { return Latency{kind: latencyUniform, a: min, b: max} }

// Lognormal has the given median and 99th percentile, which is not below it.
// Both tails end: at the 0.05th and the 99.95th percentile.
func Lognormal(median, p99 time.Duration) Latency {
	return Latency{kind: latencyLognormal, a: median, b: p99}
}

// Measured draws from the values, each equally likely.
func Measured(values []time.Duration) Latency {
	return Latency{kind: latencyMeasured, values: slices.Clone(values)}
}

func (l *Latency) validate() error {
	switch {
	case l.kind == latencyMeasured && (len(l.values) == 0 || len(l.values) > MeasuredValuesMax):
		return fmt.Errorf("%d measured latencies, 1 to %d are possible", len(l.values), MeasuredValuesMax)
	case l.kind == latencyLognormal && (l.a <= 0 || l.b < l.a):
		return fmt.Errorf("lognormal latency with median %v and 99th percentile %v: 0 < median <= percentile", l.a, l.b)
	case l.a > l.b:
		return fmt.Errorf("latency from %v to %v", l.a, l.b)
	}
	for _, d := range append([]time.Duration{l.a, l.b}, l.values...) {
		if d < 0 || d > LatencyMax {
			return fmt.Errorf("latency %v is not within [0, %v]", d, LatencyMax)
		}
	}
	return nil
}

// draws is a distribution ready to draw from: low plus an even part of span
// when there is no table, else one of the table's values.
type draws struct {
	low, span int64 // nanoseconds; span counts values, 1 for a constant
	table     []int64
	median    int64
}

func (l *Latency) compile() draws {
	d := draws{low: int64(l.a), span: int64(l.b-l.a) + 1, median: int64(l.a+l.b) / 2}
	switch l.kind {
	case latencyLognormal:
		d.table = lognormalTable(int64(l.a), int64(l.b))
	case latencyMeasured:
		d.table = make([]int64, len(l.values))
		for i, v := range l.values {
			d.table[i] = int64(v)
		}
		slices.Sort(d.table)
	default:
		return d
	}
	d.median = d.table[len(d.table)/2]
	return d
}

// draw consumes one number of the stream unless the latency is constant.
func (d *draws) draw(n *Network) int64 {
	if d.table != nil {
		return d.table[n.below(int64(len(d.table)))]
	}
	if d.span == 1 {
		return d.low
	}
	return d.low + n.below(d.span)
}

// lognormalTable returns the values at 1,024 evenly spaced quantiles:
// median * 2^(z * log2(p99/median) / z99), in integers only, so that it is the
// same on every machine.
func lognormalTable(median, p99 int64) []int64 {
	slope := log2Ratio(uint64(p99), uint64(median)) // Q24
	table := make([]int64, 2*len(normalQuantiles))
	half := len(normalQuantiles)
	for i, z := range normalQuantiles {
		exponent := z * slope / normalP99 // Q24: at most 5 * 2^24 * 42 * 2^24
		table[half+i] = min(scaleExp2(uint64(median), exponent), int64(LatencyMax))
		table[half-1-i] = scaleExp2(uint64(median), -exponent)
	}
	return table
}

// log2Ratio returns log2(a/b) in Q24 for a >= b > 0, both below 2^42.
func log2Ratio(a, b uint64) int64 { return log2Q24(a) - log2Q24(b) }

func log2Q24(a uint64) int64 {
	whole := bits.Len64(a) - 1
	mantissa := a << (63 - whole) // Q63 in [1, 2)
	result := int64(whole)
	for range 24 {
		hi, _ := bits.Mul64(mantissa, mantissa) // Q62 in [1, 4)
		result <<= 1
		if hi>>63 != 0 {
			result |= 1
			mantissa = hi
		} else {
			mantissa = hi << 1
		}
	}
	return result
}

// scaleExp2 returns v * 2^exponent, the exponent in Q24, rounded down.
func scaleExp2(v uint64, exponent int64) int64 {
	whole, fraction := exponent>>24, uint64(exponent&(1<<24-1))
	factor := uint64(1) << 63 // Q63 in [1, 2)
	for i := range 24 {
		if fraction&(1<<(23-i)) != 0 {
			hi, _ := bits.Mul64(factor, rootsOfTwo[i])
			factor = hi << 1
		}
	}
	hi, lo := bits.Mul64(v, factor) // Q63
	switch shift := 63 - whole; {
	case shift <= 0:
		return int64(LatencyMax)
	case shift < 64:
		if hi>>shift != 0 {
			return int64(LatencyMax)
		}
		return int64(min(hi<<(64-shift)|lo>>shift, uint64(LatencyMax)))
	case shift < 128:
		return int64(hi >> (shift - 64))
	}
	return 0
}
