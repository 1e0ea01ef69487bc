// Package layout prints records the way a format such as "%t %p %o %k %v\n"
// asks for. The verbs are those of rpk, which franz-go formats, and of kcat
// where rpk has no such letter or another meaning that nobody needs:
//
//	%t topic          %p partition       %o offset        %e leader epoch
//	%k key            %K its length      %v %s value      %V %S its length
//	%h headers        %H their number    %T timestamp in milliseconds
//	%d timestamp, as in %d{strftime[%F %T]} or %d{go#RFC3339#}
//	%a attributes, as in %a{compression} %x producer id   %y producer epoch
//	%i number of the line                %% percent sign
//
// A key or value that is null prints as the word chosen for it, and its length
// as 0.
package layout

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// fromKcat are kcat's letters and what franz-go calls the same.
var fromKcat = map[byte]string{'T': "%d", 's': "%v", 'S': "%V"}

// verbs are the letters that may stand after a percent sign.
const verbs = "tkKvVsShHpoedTaxyi"

// lengthMax bounds a format: it comes from outside and every piece costs.
const lengthMax = 4096

// Layout is a format that has been read.
type Layout struct {
	pieces []piece
	null   string
	cut    int
}

// piece is one verb with its modifier, or text between verbs.
type piece struct {
	verb      byte // 0 for text
	formatter *kgo.RecordFormatter
}

// New reads a format. null is what a null key or value prints as; keys and
// values are cut after cut characters, where 0 is never.
func New(format, null string, cut int) (*Layout, error) {
	if len(format) > lengthMax {
		return nil, fmt.Errorf("the format has %d bytes; %d are the most", len(format), lengthMax)
	}
	l := &Layout{null: null, cut: cut}
	text := 0
	for i := 0; i < len(format); {
		if format[i] == '\\' {
			i += 2
			continue
		}
		if format[i] != '%' {
			i++
			continue
		}
		if i+1 == len(format) {
			return nil, fmt.Errorf("the format ends with a percent sign; %%%% prints one")
		}
		verb := format[i+1]
		if strings.IndexByte("%{}[]|", verb) >= 0 {
			i += 2
			continue
		}
		if strings.IndexByte(verbs, verb) < 0 {
			return nil, fmt.Errorf("unknown %%%c at byte %d of the format; known are %%t %%p %%o %%k %%K %%v %%V %%h %%H %%T %%d %%e %%a %%x %%y %%i and %%%%", verb, i+1)
		}
		modifier := modifierLength(format[i+2:])
		if err := l.add(0, format[text:i]); err != nil {
			return nil, err
		}
		name, ok := fromKcat[verb]
		if !ok {
			name = format[i : i+2]
		}
		if verb == 'h' && modifier == 0 {
			l.pieces = append(l.pieces, piece{verb: 'h'})
		} else if err := l.add(name[1], name+format[i+2:i+2+modifier]); err != nil {
			return nil, err
		}
		i += 2 + modifier
		text = i
	}
	return l, l.add(0, format[text:])
}

// modifierLength is how long the braces are with which text begins. Braces in
// them are counted, as franz-go wants them balanced.
func modifierLength(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			if i == 0 {
				return 0
			}
			return i + 1
		}
	}
	return len(text)
}

func (l *Layout) add(verb byte, format string) error {
	if format == "" {
		return nil
	}
	formatter, err := kgo.NewRecordFormatter(format)
	if err != nil {
		return fmt.Errorf("format %q: %w", format, err)
	}
	l.pieces = append(l.pieces, piece{verb, formatter})
	return nil
}

// Append writes a record.
func (l *Layout) Append(out []byte, record *kgo.Record) []byte {
	for _, p := range l.pieces {
		switch {
		case p.verb == 'k' && record.Key == nil, p.verb == 'v' && record.Value == nil:
			out = append(out, l.null...)
		case p.verb == 'h' && p.formatter == nil:
			out = append(out, Headers(record.Headers, l.null)...)
		case p.verb == 'k' || p.verb == 'v':
			from := len(out)
			out = p.formatter.AppendRecord(out, record)
			out = cutAfter(out, from, l.cut)
		default:
			out = p.formatter.AppendRecord(out, record)
		}
	}
	return out
}

// Headers writes headers as key=value with commas.
func Headers(headers []kgo.RecordHeader, null string) string {
	var out bytes.Buffer
	for i, h := range headers {
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(h.Key + "=")
		if h.Value == nil {
			out.WriteString(null)
		}
		out.Write(h.Value)
	}
	return out.String()
}

// cutAfter shortens what was appended at from to a number of characters.
func cutAfter(out []byte, from, characters int) []byte {
	if characters == 0 || utf8.RuneCount(out[from:]) <= characters {
		return out
	}
	end := from
	for range characters {
		_, n := utf8.DecodeRune(out[end:])
		end += n
	}
	return out[:end]
}
