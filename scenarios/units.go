package scenarios

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes.
type Size int64

// Bandwidth is a number of bits a second; 0 is no limit.
type Bandwidth int64

// PPM is a share in parts per million: 1 % is 10,000.
type PPM int64

// Hundredths is a decimal number with two places: 0.99 is 99.
type Hundredths int64

// Seed is the seed of a run.
type Seed uint64

// Rate is Count events every Per, so that no rate is rounded.
type Rate struct {
	Count int64
	Per   time.Duration
}

// PerSecond is the rate rounded down to whole events a second.
func (r Rate) PerSecond() int64 {
	if r.Per == 0 {
		return 0
	}
	return r.Count * int64(time.Second) / int64(r.Per)
}

// FlushMode says when a node's logs are synced.
type FlushMode uint8

// The modes of Flush.
const (
	FlushOS FlushMode = iota
	FlushEvery
	FlushBeforeAck
)

// Flush is the flush policy of the brokers' disks.
type Flush struct {
	Mode  FlushMode
	Every int64 // records; FlushEvery only
}

// unit is one suffix and its factor.
type unit struct {
	suffix string
	factor int64
}

var (
	durationUnits = []unit{
		{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 24 * 3600e9},
	}
	sizeUnits = []unit{
		{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
		{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	}
	bandwidthUnits = []unit{{"bit", 1}, {"kbit", 1e3}, {"Mbit", 1e6}, {"Gbit", 1e9}, {"Tbit", 1e12}}
	rateUnits      = []unit{{"s", 1e9}, {"m", 60e9}, {"h", 3600e9}}
	percentUnits   = []unit{{"%", 10_000}}
)

// parseUnit reads a decimal number and one of the units, exactly. A bare zero
// needs no unit. The problem says what is wrong, the suggestion is a unit.
func parseUnit(text string, units []unit, what string) (value int64, problem, suggestion string) {
	split := len(text)
	for i, r := range text {
		if (r < '0' || r > '9') && r != '.' && !(i == 0 && r == '-') {
			split = i
			break
		}
	}
	number, suffix := text[:split], strings.TrimSpace(text[split:])
	names := make([]string, len(units))
	for i, u := range units {
		names[i] = u.suffix
	}
	example := map[string]string{"duration": "1500us, 30s or 3m", "size": "100B, 16KiB or 1MiB", "bandwidth": "100Mbit or 5Gbit", "percentage": "1% or 0.5%"}[what]
	if number == "" {
		return 0, fmt.Sprintf("not a %s; write it like %s", what, example), ""
	}
	factor := int64(0)
	for _, u := range units {
		if u.suffix == suffix {
			factor = u.factor
		}
	}
	if factor == 0 {
		if suffix == "" && strings.Trim(number, "0") == "" {
			return 0, "", ""
		}
		if suffix == "" {
			return 0, fmt.Sprintf("a %s needs a unit, one of: %s", what, strings.Join(names, ", ")), ""
		}
		near := nearest(suffix, names)
		for _, name := range names {
			if near == "" && strings.EqualFold(name, suffix) {
				near = name
			}
		}
		if near != "" {
			near = number + near
		}
		return 0, fmt.Sprintf("unknown unit %q in a %s; known are: %s", suffix, what, strings.Join(names, ", ")), near
	}
	value, ok := scale(number, factor)
	if !ok {
		return 0, fmt.Sprintf("not a %s that can be held exactly; write it like %s", what, example), ""
	}
	return value, "", ""
}

// scale multiplies a decimal number by factor without rounding.
func scale(number string, factor int64) (int64, bool) {
	negative := strings.HasPrefix(number, "-")
	whole, fraction, dotted := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	if whole == "" || dotted && fraction == "" || len(fraction) > 9 {
		return 0, false
	}
	digits, err := strconv.ParseUint(whole+fraction, 10, 63)
	if err != nil {
		return 0, false
	}
	divisor := uint64(1)
	for range fraction {
		divisor *= 10
	}
	high, low := bits.Mul64(digits, uint64(factor))
	if high >= divisor {
		return 0, false
	}
	quotient, rest := bits.Div64(high, low, divisor)
	if rest != 0 || quotient > math.MaxInt64 {
		return 0, false
	}
	if negative {
		return -int64(quotient), true
	}
	return int64(quotient), true
}

// parseRate reads "5000/s".
func parseRate(text string) (rate Rate, problem, suggestion string) {
	const like = "write it like 5000/s, 90/m or 10/h"
	number, per, ok := strings.Cut(text, "/")
	count, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil {
		return Rate{}, "not a rate; " + like, ""
	}
	if !ok {
		return Rate{}, "a rate needs a unit of time; " + like, text + "/s"
	}
	for _, u := range rateUnits {
		if u.suffix == strings.TrimSpace(per) {
			if count < 0 || count > 1e9 {
				return Rate{}, "a rate is between 0 and 1000000000", ""
			}
			return Rate{Count: count, Per: time.Duration(u.factor)}, "", ""
		}
	}
	return Rate{}, "unknown unit of time in a rate; " + like, strings.TrimSpace(number) + "/s"
}

// parseFlush reads "os", "every 100" and "before_ack".
func parseFlush(text string) (Flush, string, string) {
	const like = "must be os, 'every N' (records) or before_ack"
	switch {
	case text == "os":
		return Flush{Mode: FlushOS}, "", ""
	case text == "before_ack":
		return Flush{Mode: FlushBeforeAck}, "", ""
	case strings.HasPrefix(text, "every "):
		n, err := strconv.ParseInt(strings.TrimSpace(text[len("every "):]), 10, 64)
		if err != nil || n < 1 {
			return Flush{}, like, ""
		}
		return Flush{Mode: FlushEvery, Every: n}, "", ""
	}
	return Flush{}, like, nearest(text, []string{"os", "before_ack", "every 1"})
}
