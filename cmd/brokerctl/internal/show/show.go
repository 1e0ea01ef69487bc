// Package show prints what a command found: as text for people, or as JSON and
// YAML for programs. A view is one struct; its tags say all that the formats
// need, so that text, JSON, YAML and the reference never disagree:
//
//	json  the key in JSON and YAML
//	head  the heading of the column or the label of the line; without it the
//	      field is not printed as text
//	wide  "yes" when only the wide text has it
//	doc   what it means, with its unit, for the reference
package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
)

// Format is how a command prints.
type Format string

// The formats of every command. Tail is consume's alone.
const (
	FormatText Format = "text"
	FormatWide Format = "wide"
	FormatJSON Format = "json"
	FormatYAML Format = "yaml"
)

// Formats lists the formats of every command.
func Formats() []string {
	return []string{string(FormatText), string(FormatWide), string(FormatJSON), string(FormatYAML)}
}

// View is what a command found.
type View interface {
	// Text writes the view for people.
	Text(t *Text)
}

// Print writes a view to out in one piece.
func Print(out io.Writer, format Format, view View) error {
	var buffer bytes.Buffer
	switch format {
	case FormatJSON, FormatYAML:
		data, err := Encode(format, view)
		if err != nil {
			return err
		}
		buffer.Write(data)
	default:
		t := &Text{wide: format == FormatWide}
		view.Text(t)
		buffer.WriteString(t.String())
	}
	if _, err := out.Write(buffer.Bytes()); err != nil {
		return fmt.Errorf("print to stdout: %w", err)
	}
	return nil
}

// Encode is a value as JSON, or as the YAML of the same JSON: indented, and
// ending with a line break.
func Encode(format Format, value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	if format == FormatJSON {
		return buffer.Bytes(), nil
	}
	data, err := yaml.JSONToYAML(buffer.Bytes())
	if err != nil {
		return nil, fmt.Errorf("encode as YAML: %w", err)
	}
	return data, nil
}

// Text collects what is printed for people.
type Text struct {
	wide   bool
	buffer strings.Builder
}

// Wide says whether everything is wanted, however long the lines get.
func (t *Text) Wide() bool { return t.wide }

// String is what has been collected.
func (t *Text) String() string { return t.buffer.String() }

// Line writes one line.
func (t *Text) Line(format string, args ...any) {
	fmt.Fprintf(&t.buffer, format+"\n", args...)
}

// Gap writes an empty line between two sections.
func (t *Text) Gap() {
	if t.buffer.Len() > 0 {
		t.buffer.WriteByte('\n')
	}
}
