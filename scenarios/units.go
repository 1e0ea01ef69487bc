package scenarios

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/units"
)

// Size is a number of bytes.
type Size int64

// Bandwidth is a number of bits a second; 0 is no limit.
type Bandwidth int64

// BytesPerSecond is the same in the unit of the network, rounded up, so that
// little is not no limit.
func (b Bandwidth) BytesPerSecond() int64 { return (int64(b) + 7) / 8 }

// PPM is a share in parts per million: 1 % is 10,000.
type PPM int64

// Hundredths is a decimal number with two places: 0.99 is 99.
type Hundredths int64

// Seed is the seed of a run.
type Seed uint64

// ParseSeed reads a seed, in a file as on the command line: 010 is ten.
func ParseSeed(text string) (Seed, error) {
	digits, base := text, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(text), "0x"); ok {
		digits, base = hex, 16
	}
	value, err := strconv.ParseUint(digits, base, 64)
	if err != nil {
		return 0, errors.New("a seed is a whole number of at most 64 bits, decimal or 0x")
	}
	return Seed(value), nil
}

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

var (
	bandwidthUnits = []units.Unit{{Suffix: "bit", Factor: 1},
		{Suffix: "kbit", Factor: 1e3}, {Suffix: "Mbit", Factor: 1e6}, {Suffix: "Gbit", Factor: 1e9}, {Suffix: "Tbit", Factor: 1e12}}
	rateUnits    = []units.Unit{{Suffix: "s", Factor: 1e9}, {Suffix: "m", Factor: 60e9}, {Suffix: "h", Factor: 3600e9}}
	percentUnits = []units.Unit{{Suffix: "%", Factor: 10_000}}
)

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
		if u.Suffix == strings.TrimSpace(per) {
			if count < 0 || count > 1e9 {
				return Rate{}, "a rate is between 0 and 1000000000", ""
			}
			return Rate{Count: count, Per: time.Duration(u.Factor)}, "", ""
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
