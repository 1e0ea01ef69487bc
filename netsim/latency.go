package netsim

import (
	"fmt"
	"time"
)

// LatencyMax bounds any single latency or jitter.
const LatencyMax = time.Hour

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

// Lognormal has the given median and 99th percentile. Its tail ends at the
// 99.95th percentile.
func Lognormal(median, p99 time.Duration) Latency {
	return Latency{kind: latencyLognormal, a: median, b: p99}
}

// Measured draws from the values, each equally likely.
func Measured(values []time.Duration) Latency {
	return Latency{kind: latencyMeasured, values: values}
}

func (l *Latency) validate() error {
	return fmt.Errorf("todo")
}
