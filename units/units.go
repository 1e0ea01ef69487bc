// Package units reads and writes numbers with a unit, exactly: durations, sizes
// and whatever else has a table of suffixes. It owns no type and rounds nothing.
package units

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Unit is one suffix and its factor.
type Unit struct {
	Suffix string
	Factor int64
}

// The tables that several programs share, in nanoseconds and in bytes.
var (
	Durations = []Unit{
		{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 24 * 3600e9},
	}
	Sizes = []Unit{
		{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"PiB", 1 << 50},
		{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	}
)

// ParseDuration reads a duration such as 1500us, 1m30s, 36h or 10d.
func ParseDuration(text string) (time.Duration, error) {
	value, problem, suggestion := Parse(text, Durations, "duration")
	return time.Duration(value), asError(problem, suggestion)
}

// ParseSize reads a number of bytes such as 100B, 16KiB or 1GiB.
func ParseSize(text string) (int64, error) {
	value, problem, suggestion := Parse(text, Sizes, "size")
	return value, asError(problem, suggestion)
}

func asError(problem, suggestion string) error {
	switch {
	case problem == "":
		return nil
	case suggestion == "":
		return errors.New(problem)
	}
	return fmt.Errorf("%s; did you mean %s?", problem, suggestion)
}

// Parse reads a decimal number and one of the units, exactly. A bare zero
// needs no unit, and a duration may be a sum such as 1m30s. The problem says what
// is wrong, the suggestion is a unit.
func Parse(text string, units []Unit, what string) (value int64, problem, suggestion string) {
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
		names[i] = u.Suffix
	}
	if what == "duration" && strings.ContainsAny(suffix, "0123456789") {
		if value, ok := sum(text, units); ok {
			return value, "", ""
		}
	}
	example := map[string]string{"duration": "1500us, 30s or 3m", "size": "100B, 16KiB or 1MiB", "bandwidth": "100Mbit or 5Gbit", "percentage": "1% or 0.5%"}[what]
	if number == "" {
		return 0, fmt.Sprintf("not a %s; write it like %s", what, example), ""
	}
	factor := int64(0)
	for _, u := range units {
		if u.Suffix == suffix {
			factor = u.Factor
		}
	}
	if factor == 0 {
		if suffix == "" && strings.Trim(number, "0") == "" {
			return 0, "", ""
		}
		if suffix == "" {
			return 0, fmt.Sprintf("a %s needs a unit, one of: %s", what, strings.Join(names, ", ")), ""
		}
		near := config.Nearest(suffix, names)
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
	value, ok := Scale(number, factor)
	if !ok {
		return 0, fmt.Sprintf("not a %s that can be held exactly; write it like %s", what, example), ""
	}
	return value, "", ""
}

// sum reads parts such as 1h30m, the larger units first and each at most once.
func sum(text string, units []Unit) (total int64, ok bool) {
	const digits = "0123456789."
	rest, negative := strings.CutPrefix(text, "-")
	last := int64(math.MaxInt64)
	for rest != "" {
		suffix := strings.TrimLeft(rest, digits)
		number := rest[:len(rest)-len(suffix)]
		rest = ""
		if next := strings.IndexAny(suffix, digits); next >= 0 {
			suffix, rest = suffix[:next], suffix[next:]
		}
		at := slices.IndexFunc(units, func(u Unit) bool { return u.Suffix == suffix })
		if at < 0 || units[at].Factor >= last {
			return 0, false
		}
		last = units[at].Factor
		part, exact := Scale(number, last)
		if !exact || part > math.MaxInt64-total {
			return 0, false
		}
		total += part
	}
	if negative {
		total = -total
	}
	return total, true
}

// Scale multiplies a decimal number by factor without rounding.
func Scale(number string, factor int64) (int64, bool) {
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

// Format writes a number in the largest unit that divides it.
func Format(value int64, units []Unit) string {
	best := units[0]
	for _, u := range units {
		if u.Factor > best.Factor && value%u.Factor == 0 && value != 0 {
			best = u
		}
	}
	return strconv.FormatInt(value/best.Factor, 10) + best.Suffix
}
