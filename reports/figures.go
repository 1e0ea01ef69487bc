package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// How figures are spelled is decided here once, so that the terminal, the page
// and JUnit never disagree about a number.

// count spells an integer with thousands separated: 1,234,567.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// shortCount spells an integer in at most six characters where it can: 12.3M.
func shortCount(n int64) string {
	if n > -10_000 && n < 10_000 {
		return count(n)
	}
	v := float64(n)
	for _, unit := range []string{"k", "M", "G", "T", "P"} {
		v /= 1000
		if math.Abs(v) < 999.95 {
			return threeDigits(v) + unit
		}
	}
	return threeDigits(v/1000) + "E"
}

// threeDigits shows three significant digits without an exponent.
func threeDigits(v float64) string {
	switch a := math.Abs(v); {
	case a < 9.995:
		return fmt.Sprintf("%.2f", v)
	case a < 99.95:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}

// BytesText spells bytes with decimal units, as networks and disks are sold.
func BytesText(n int64) string {
	if n > -1000 && n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		v /= 1000
		if math.Abs(v) < 999.5 {
			return threeDigits(v) + " " + unit
		}
	}
	return threeDigits(v/1000) + " PB"
}

// These bound the figures that are spelled out: nothing measured is beyond them,
// and a column of nine characters stays one whatever is passed in.
const (
	plainMillisMax  = 9_999_999 // nearly three hours
	plainMillisMin  = -999_999
	plainSecondsMax = 1e9
)

// millisText spells milliseconds without the unit.
func millisText(ms float64) string {
	switch a := math.Abs(ms); {
	case math.IsNaN(ms) || ms >= plainMillisMax || ms <= plainMillisMin:
		return fmt.Sprintf("%.2g", ms)
	case a < 100:
		return fmt.Sprintf("%.2f", ms)
	case a < 1000:
		return fmt.Sprintf("%.1f", ms)
	default:
		return count(int64(math.Round(ms)))
	}
}

// secondsText spells a length of time: 310ms, 9.8s, 3m07s, 2h05m.
func secondsText(s float64) string {
	if math.IsNaN(s) || math.IsInf(s, 0) || math.Abs(s) >= plainSecondsMax {
		return fmt.Sprintf("%.2gs", s)
	}
	sign := ""
	if s < 0 {
		sign, s = "-", -s
	}
	switch whole := int64(math.Round(s)); {
	case s == 0:
		return "0s"
	case s < 0.001:
		return sign + threeDigits(s*1e6) + "us"
	case s < 0.9995:
		return sign + threeDigits(s*1e3) + "ms"
	case s < 99.95:
		return sign + strings.TrimSuffix(fmt.Sprintf("%.1f", s), ".0") + "s"
	case whole < 3600:
		return fmt.Sprintf("%s%dm%02ds", sign, whole/60, whole%60)
	default:
		return fmt.Sprintf("%s%dh%02dm", sign, whole/3600, whole%3600/60)
	}
}

// clockText spells a moment of virtual time: 3m00s, 12m34.5s, 1h02m03s.
func clockText(s float64) string {
	if math.IsNaN(s) || math.IsInf(s, 0) || math.Abs(s) >= plainSecondsMax {
		return fmt.Sprintf("%.2gs", s)
	}
	tenths := int64(math.Round(s * 10))
	sign := ""
	if tenths < 0 {
		sign, tenths = "-", -tenths
	}
	whole, tenth := tenths/10, tenths%10
	fraction := ""
	if tenth > 0 {
		fraction = "." + strconv.FormatInt(tenth, 10)
	}
	if whole >= 3600 {
		return fmt.Sprintf("%s%dh%02dm%02d%ss", sign, whole/3600, whole%3600/60, whole%60, fraction)
	}
	return fmt.Sprintf("%s%dm%02d%ss", sign, whole/60, whole%60, fraction)
}

// eventually spells the measures that are 0 without a cause and -1 if never.
func eventually(s float64) string {
	switch {
	case s < 0:
		return "never"
	case s == 0:
		return "none"
	}
	return secondsText(s)
}

// speedText is virtual seconds per CPU second; empty when there is no CPU time.
func speedText(virtual, cpu float64) string {
	if cpu <= 0 || virtual <= 0 {
		return ""
	}
	v := virtual / cpu
	if v >= plainSecondsMax {
		return fmt.Sprintf("%.2gx", v)
	}
	if v < 100 {
		return threeDigits(v) + "x"
	}
	return count(int64(math.Round(v))) + "x"
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// clean makes a text from outside safe for one line of a terminal: control
// characters, which could move the cursor or colour the screen, become spaces.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar:
			return '?'
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
}

// runeWidth is how many columns a terminal gives a rune.
func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= 0x2e80 && r <= 0x303e, r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
		return 2
	}
	return 1
}

func textWidth(s string) (columns int) {
	for _, r := range s {
		columns += runeWidth(r)
	}
	return columns
}

// pad fills to a width, on the right of the text.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-textWidth(s)))
}

// wrap breaks a text at spaces into lines of at most columns; a word longer than
// a line is cut, because a line never is.
func wrap(s string, columns int) (lines []string) {
	columns = max(columns, 2)
	line, used := "", 0
	flush := func() { lines, line, used = append(lines, line), "", 0 }
	for _, word := range strings.Fields(s) {
		width := textWidth(word)
		if used > 0 && used+1+width > columns {
			flush()
		}
		for width > columns {
			head := shorten(word, columns)
			lines = append(lines, head)
			word = word[len(head):]
			width = textWidth(word)
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+width
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// shorten returns the longest beginning that fits.
func shorten(s string, columns int) string {
	used := 0
	for i, r := range s {
		if used += runeWidth(r); used > columns {
			return s[:i]
		}
	}
	return s
}

// ellipsis cuts what does not fit and says so.
func ellipsis(s string, columns int) string {
	if textWidth(s) <= columns {
		return s
	}
	return shorten(s, columns-1) + "…"
}
