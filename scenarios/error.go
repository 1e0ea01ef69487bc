package scenarios

import (
	"fmt"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Error is what is wrong with a scenario file: one mistake at one place.
type Error struct {
	File       string
	Line       int // from 1
	Column     int // from 1, in characters
	Message    string
	Got        string // the offending text; empty when something is missing
	Suggestion string // the nearest valid word; may be empty
	Source     string // the line that the mistake is on
}

// sourceWidthMax bounds the quoted line, so that a file of one long line still
// gives a readable error.
const sourceWidthMax = 100

// Error is "file:line:col: message; got "x"; did you mean "y"?" followed by the
// line and a caret.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
	if e.Got != "" {
		fmt.Fprintf(&b, "; got %q", clip(e.Got))
	}
	if e.Suggestion != "" {
		fmt.Fprintf(&b, "; did you mean %q?", e.Suggestion)
	}
	if strings.TrimSpace(e.Source) == "" {
		return b.String()
	}
	line, column := []rune(e.Source), max(0, e.Column-1)
	if len(line) > sourceWidthMax {
		start := max(0, min(column-sourceWidthMax/2, len(line)-sourceWidthMax))
		line, column = line[start:start+sourceWidthMax], column-start
	}
	b.WriteString("\n  ")
	for _, r := range line {
		b.WriteRune(printable(r))
	}
	b.WriteString("\n  " + strings.Repeat(" ", min(column, len(line))) + "^")
	return b.String()
}

// printable keeps the caret under its character: one column for each rune, and
// nothing that moves a terminal's cursor.
func printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return ' '
	}
	return r
}

func clip(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}

func nearest(word string, candidates []string) string { return config.Nearest(word, candidates) }
