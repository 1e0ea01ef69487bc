package reports

import "strings"

// columnsMax is the width that every terminal text keeps to.
const columnsMax = 80

// style is an ANSI attribute; the plain one writes nothing.
type style string

const (
	plain  style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// terminal builds a text of at most columnsMax columns. Widths are counted
// before colour is applied, so that the coloured text has the same shape.
type terminal struct {
	text  strings.Builder
	color bool
}

func (t *terminal) paint(s style, text string) string {
	if !t.color || s == plain || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

func (t *terminal) line(parts ...string) {
	for _, p := range parts {
		t.text.WriteString(p)
	}
	t.text.WriteByte('\n')
}

// section opens a part: its name in bold, and facts about it beside the name.
func (t *terminal) section(name, facts string) {
	t.line()
	if facts == "" {
		t.line(t.paint(bold, name))
		return
	}
	t.hang(t.paint(bold, pad(name, labelColumns)), labelColumns, plain, facts)
}

// labelColumns is where the text beside a label starts.
const labelColumns = 15

// hang writes a head that takes the given columns, and a text beside it whose
// further lines keep the indentation.
func (t *terminal) hang(head string, columns int, s style, text string) {
	for i, l := range wrap(text, columnsMax-columns) {
		if i > 0 {
			head = strings.Repeat(" ", columns)
		}
		t.line(strings.TrimRight(head+t.paint(s, strings.ReplaceAll(l, glue, " ")), " "))
	}
}

// labelled writes an indented label and a text beside it, below it if the label
// is too long.
func (t *terminal) labelled(label, text string) {
	label = ellipsis(label, columnsMax-4)
	if textWidth(label) > labelColumns-4 {
		t.line("  ", label)
		label = ""
	}
	t.hang("  "+pad(label, labelColumns-2), labelColumns, plain, text)
}

// mark is the sign in front of something that can hold or not.
type mark struct {
	sign  string
	word  string
	style style
}

var (
	markHeld      = mark{"✓", "held", green}
	markFailed    = mark{"✗", "violated", red}
	markUndecided = mark{"?", "undecided", yellow}
	markNotMade   = mark{"–", "not made", dim}
)

func (t *terminal) marked(m mark, text string) {
	head := "  " + t.paint(m.style, m.sign+" "+pad(m.word, labelColumns-4))
	t.hang(head, labelColumns, plain, text)
}

// command writes a shell command, broken where the shell allows it. A word longer
// than a line stays whole: cut, it could not be copied.
func (t *terminal) command(indent, text string) {
	line := indent
	for i, word := range shellWords(text) {
		switch {
		case i == 0:
			line += word
		case textWidth(line)+1+textWidth(word)+2 > columnsMax:
			t.line(line, ` \`)
			line = indent + indent + word
		default:
			line += " " + word
		}
	}
	t.line(line)
}

// shellWords splits at spaces outside quotes and keeps the quotes.
func shellWords(s string) (words []string) {
	var word strings.Builder
	var quote rune
	for _, r := range s {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
		case r == ' ':
			if word.Len() > 0 {
				words = append(words, word.String())
				word.Reset()
			}
			continue
		}
		word.WriteRune(r)
	}
	if word.Len() > 0 {
		words = append(words, word.String())
	}
	return words
}

// join puts facts side by side; empty ones are left out.
func join(facts ...string) string {
	kept := facts[:0:0]
	for _, f := range facts {
		if f != "" {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, " · ")
}

// glue stands for a space at which a line is not broken. No text from outside
// has it, because clean takes control characters away.
const glue = "\x1f"

// glued puts facts side by side and lets lines break between them only.
func glued(facts ...string) string {
	kept := facts[:0:0]
	for i, f := range facts {
		if f == "" {
			continue
		}
		f = strings.ReplaceAll(f, " ", glue)
		if i < len(facts)-1 {
			f += glue + "·"
		}
		kept = append(kept, f)
	}
	return strings.TrimSuffix(strings.Join(kept, " "), glue+"·")
}
