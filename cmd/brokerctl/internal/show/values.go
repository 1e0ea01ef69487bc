package show

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/units"
)

// Bytes is a number of bytes: a plain number in JSON, 1.5 GiB in text.
type Bytes int64

func (b Bytes) String() string {
	suffixes := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	value, i := float64(b), 0
	for value >= 1024 && i < len(suffixes)-1 {
		value /= 1024
		i++
	}
	if i == 0 || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, suffixes[i])
	}
	return fmt.Sprintf("%.1f %s", value, suffixes[i])
}

// Millis is a duration in milliseconds, the largest exact unit in text. The
// largest number is Kafka's "for ever", and so is -1 as a retention.
type Millis int64

func (m Millis) String() string {
	if m < 0 || m > Millis(1<<63-1)/Millis(time.Millisecond) {
		return "for ever"
	}
	return units.Format(int64(m)*int64(time.Millisecond), units.Durations)
}

// Instant is a moment in milliseconds since 1970; -1 is no moment.
type Instant int64

// instantLayout keeps the milliseconds, which is all that Kafka has.
const instantLayout = "2006-01-02T15:04:05.000Z"

func (i Instant) String() string {
	if i < 0 {
		return "-"
	}
	return time.UnixMilli(int64(i)).UTC().Format(instantLayout)
}

// IDs are the ids of brokers.
type IDs []int32

// MarshalJSON writes a list also when there is none, so that programs can count
// on one.
func (ids IDs) MarshalJSON() ([]byte, error) { return marshalList([]int32(ids)) }

func marshalList[T any](list []T) ([]byte, error) {
	if list == nil {
		list = []T{}
	}
	return json.Marshal(list)
}

func (ids IDs) String() string {
	if len(ids) == 0 {
		return "-"
	}
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.Itoa(int(id))
	}
	return strings.Join(words, ",")
}

// Names are printed with commas.
type Names []string

// MarshalJSON writes a list also when there is none.
func (n Names) MarshalJSON() ([]byte, error) { return marshalList([]string(n)) }

func (n Names) String() string {
	if len(n) == 0 {
		return "-"
	}
	return strings.Join(n, ",")
}

// barWidth is how many cells a bar has.
const barWidth = 10

// Share is how many of how many: a bar in text.
type Share struct {
	Count int64 `json:"count" doc:"how many"`
	Of    int64 `json:"of" doc:"of how many"`
}

func (s Share) String() string {
	return fmt.Sprintf("%s %d/%d", s.bar(), s.Count, s.Of)
}

// bar is never full while something is missing, and never empty while
// something is there. Of nothing, nothing is missing.
func (s Share) bar() string {
	filled := int64(barWidth)
	if s.Of > 0 {
		high, low := bits.Mul64(uint64(min(max(s.Count, 0), s.Of)), barWidth)
		quotient, _ := bits.Div64(high, low, uint64(s.Of))
		filled = int64(quotient)
		if filled == 0 && s.Count > 0 {
			filled = 1
		}
	}
	return "[" + strings.Repeat("#", int(filled)) + strings.Repeat("-", barWidth-int(filled)) + "]"
}

// Volume is a share of a disk, in bytes.
type Volume struct {
	Used Bytes `json:"used" doc:"bytes in use"`
	Of   Bytes `json:"of" doc:"bytes altogether"`
}

func (v Volume) String() string {
	return fmt.Sprintf("%s %s/%s", Share{int64(v.Used), int64(v.Of)}.bar(), v.Used, v.Of)
}

// Pointer is an optional value that is there.
func Pointer[T any](value T) *T { return &value }
