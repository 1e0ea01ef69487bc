package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Type is the type of a property's value. Its numbers are those that
// DescribeConfigs sends (KIP-569).
type Type int8

// The values of Type.
const (
	TypeBoolean  Type = 1
	TypeString   Type = 2
	TypeInt      Type = 3
	TypeShort    Type = 4
	TypeLong     Type = 5
	TypeDouble   Type = 6
	TypeList     Type = 7
	TypeClass    Type = 8
	TypePassword Type = 9
)

var typeNames = [...]string{"unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password"}

// String is the word that Kafka's documentation uses.
func (t Type) String() string { return nameOf(typeNames[:], int(t)) }

// Synonym is a broker property that sets the default of a topic property.
// Scale turns its unit into the topic property's (hours into milliseconds).
type Synonym struct {
	Name  string
	Scale int64
}

// hidden stands for a password in errors.
const hidden = "[hidden]"

// Property is one row of a table.
type Property struct {
	Name    string
	Type    Type
	Default string // as text
	Null    bool   // Kafka's default is null; Default is then empty
	Min     int64  // numbers only
	Max     int64
	Valid   []string // the only texts allowed, when there are any
	NotYet  []string // texts that Kafka allows and this broker does not
	Effect  bool     // false: known to Kafka, without effect here
	Doc     string   // one sentence; for a row without effect, why
	// Synonyms of a topic property, strongest first.
	Synonyms []Synonym
}

// Numeric reports whether the value is a whole number with bounds.
func (p *Property) Numeric() bool {
	return p.Type == TypeInt || p.Type == TypeShort || p.Type == TypeLong
}

// Bounds describes what the property accepts, for errors and references: "1 ..
// 2147483647", "one of: a, b", "true or false" or "" when any text will do.
func (p *Property) Bounds() string {
	valid := slices.DeleteFunc(slices.Clone(p.Valid), func(word string) bool { return slices.Contains(p.NotYet, word) })
	switch {
	case len(valid) > 0 && p.Type == TypeList:
		return "a list of: " + strings.Join(valid, ", ")
	case len(valid) > 0:
		return "one of: " + strings.Join(valid, ", ")
	case p.Type == TypeBoolean:
		return "true or false"
	case p.Type == TypeDouble:
		return "0 .. 1"
	case p.Numeric():
		return boundText(p.Min) + " .. " + boundText(p.Max)
	}
	return ""
}

func boundText(v int64) string {
	switch v {
	case math.MaxInt64:
		return "2^63-1"
	case math.MinInt64:
		return "-2^63"
	}
	return strconv.FormatInt(v, 10)
}

// Error says what is wrong with one property. Its parts are kept apart so that
// a caller with a source file can lay them out in its own way.
type Error struct {
	What       string // "topic property", "producer property" ...
	Name       string
	Value      string
	Problem    string // "unknown", "must be in 1 .. 10" ...
	Suggestion string // the nearest valid name or value; may be empty
	NameWrong  bool   // the name is at fault, not the value
}

// Error names the property, the value, what is allowed and the nearest valid
// name.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s %s=%q %s", e.What, e.Name, e.Value, e.Problem)
	if e.NameWrong {
		text = fmt.Sprintf("%s %q %s", e.What, e.Name, e.Problem)
	}
	if e.Suggestion != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Suggestion)
	}
	return text
}

// Choice is a field whose text is one of a few words. Set reports whether the
// word is known.
type Choice interface {
	Set(text string) bool
	String() string
}

// Parser is a field whose text has a form of its own. The error says what is
// wrong with the text, without repeating it.
type Parser interface {
	Parse(text string) error
	String() string
}

// Row is a property bound to the field that it sets: a *int64, *bool, *string,
// Choice or Parser. A row without effect has no field.
type Row[T any] struct {
	Property
	Field func(*T) any
}

// Table holds the properties of one struct. It is immutable once built.
type Table[T any] struct {
	what  string
	rows  []Row[T]
	index map[string]int // looked up, never walked
	names []string
}

// NewTable sorts rows by name. It panics on a row that contradicts itself,
// since tables are part of the program.
func NewTable[T any](what string, rows ...[]Row[T]) *Table[T] {
	t := &Table[T]{what: what, index: map[string]int{}}
	for _, group := range rows {
		t.rows = append(t.rows, group...)
	}
	slices.SortFunc(t.rows, func(a, b Row[T]) int { return strings.Compare(a.Name, b.Name) })
	for i := range t.rows {
		row := &t.rows[i]
		if _, double := t.index[row.Name]; double {
			panic("config: two rows for " + row.Name)
		}
		t.index[row.Name] = i
		t.names = append(t.names, row.Name)
		if !row.Effect || row.Null || row.Field == nil {
			continue
		}
		var probe T
		if err := t.assign(row, row.Default, &probe); err != nil {
			panic("config: default of " + row.Name + ": " + err.Error())
		}
	}
	return t
}

// Lookup finds a property by its exact name.
func (t *Table[T]) Lookup(name string) (*Property, bool) {
	i, ok := t.index[name]
	if !ok {
		return nil, false
	}
	return &t.rows[i].Property, true
}

// All lists the properties by name.
func (t *Table[T]) All() []*Property {
	all := make([]*Property, len(t.rows))
	for i := range t.rows {
		all[i] = &t.rows[i].Property
	}
	return all
}

// Defaults returns a struct in which every property has its default.
func (t *Table[T]) Defaults() T {
	var out T
	for i := range t.rows {
		row := &t.rows[i]
		if row.Effect && row.Field != nil && !row.Null {
			if err := t.assign(row, row.Default, &out); err != nil {
				panic(err) // NewTable has tried it
			}
		}
	}
	return out
}

// Apply sets the overrides on dst in their order. On error dst is half set and
// must be thrown away; the error is an *Error.
func (t *Table[T]) Apply(overrides []KV, dst *T) error {
	for i, kv := range overrides {
		row, err := t.find(kv)
		if err != nil {
			return err
		}
		for _, earlier := range overrides[:i] {
			if earlier.Name == kv.Name {
				return &Error{What: t.what, Name: kv.Name, Value: kv.Value, Problem: "is given twice", NameWrong: true}
			}
		}
		if row.Field == nil {
			if err := t.check(row, kv.Value); err != nil {
				return err
			}
			continue
		}
		if err := t.assign(row, kv.Value, dst); err != nil {
			return err
		}
	}
	return nil
}

// Text is the current value of a property as Kafka would print it.
func (t *Table[T]) Text(name string, src *T) (string, bool) {
	i, ok := t.index[name]
	if !ok || t.rows[i].Field == nil {
		return "", false
	}
	switch field := t.rows[i].Field(src).(type) {
	case *int64:
		return strconv.FormatInt(*field, 10), true
	case *bool:
		return strconv.FormatBool(*field), true
	case *string:
		return *field, true
	case Choice:
		return field.String(), true
	case Parser:
		return field.String(), true
	}
	return "", false
}

func (t *Table[T]) find(kv KV) (*Row[T], error) {
	i, ok := t.index[kv.Name]
	if !ok {
		return nil, &Error{What: t.what, Name: kv.Name, Value: kv.Value, NameWrong: true,
			Problem: "is unknown to Kafka", Suggestion: Nearest(kv.Name, t.names)}
	}
	row := &t.rows[i]
	if !row.Effect {
		return nil, &Error{What: t.what, Name: kv.Name, Value: kv.Value, NameWrong: true,
			Problem: "is known to Kafka but without effect here: " + row.Doc}
	}
	return row, nil
}

// check validates text against the row without setting anything.
func (t *Table[T]) check(row *Row[T], text string) error {
	text = strings.TrimSpace(text)
	fail := func(problem, suggestion string) error {
		if row.Type == TypePassword {
			text = hidden
		}
		return &Error{What: t.what, Name: row.Name, Value: text, Problem: problem, Suggestion: suggestion}
	}
	if row.Numeric() {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < row.Min || v > row.Max {
			return fail("must be a whole number in "+row.Bounds(), "")
		}
		return nil
	}
	if row.Type == TypeDouble {
		var r Ratio
		if !r.Set(text) {
			return fail("must be a decimal number in 0 .. 1", "")
		}
		return nil
	}
	if row.Type == TypeBoolean && !strings.EqualFold(text, "true") && !strings.EqualFold(text, "false") {
		return fail("must be true or false", Nearest(text, []string{"true", "false"}))
	}
	if len(row.Valid) == 0 {
		return nil
	}
	words := []string{text}
	if row.Type == TypeList {
		words = splitList(text)
		if len(words) == 0 {
			return fail("must name at least one of: "+strings.Join(row.Valid, ", "), "")
		}
	}
	for i, word := range words {
		switch {
		case slices.Contains(row.NotYet, word):
			return fail("is known to Kafka but without effect here; must be "+row.Bounds(), "")
		case !slices.Contains(row.Valid, word):
			return fail("must be "+row.Bounds(), Nearest(word, row.Valid))
		case slices.Contains(words[:i], word):
			return fail("names "+word+" twice", "")
		}
	}
	return nil
}

func (t *Table[T]) assign(row *Row[T], text string, dst *T) error {
	if err := t.check(row, text); err != nil {
		return err
	}
	text = strings.TrimSpace(text)
	switch field := row.Field(dst).(type) {
	case *int64:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("parse %s: %w", row.Name, err) // check has let it pass
		}
		*field = v
	case *bool:
		*field = strings.EqualFold(text, "true")
	case *string:
		*field = text
	case Choice:
		if !field.Set(text) {
			panic("config: " + row.Name + " accepts " + text + " but its field does not")
		}
	case Parser:
		if err := field.Parse(text); err != nil {
			if row.Type == TypePassword {
				text = hidden
			}
			return &Error{What: t.what, Name: row.Name, Value: text, Problem: err.Error()}
		}
	default:
		panic("config: " + row.Name + " is bound to a field of unknown type")
	}
	return nil
}

func splitList(text string) []string {
	var out []string
	for _, word := range strings.Split(text, ",") {
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
	}
	return out
}

// setByName finds text in names; it is what most Choices do.
func setByName[E ~uint8](dst *E, names []string, text string) bool {
	i := slices.Index(names, text)
	if i < 0 {
		return false
	}
	*dst = E(i)
	return true
}

// Set implements Choice.
func (c *CompressionType) Set(text string) bool { return setByName(c, compressionNames[:], text) }

// Set implements Choice.
func (t *TimestampType) Set(text string) bool { return setByName(t, timestampNames[:], text) }

// Set implements Choice.
func (s *ReplicaSelector) Set(text string) bool { return setByName(s, selectorNames[:], text) }

// Set implements Choice: at most six digits behind the point count.
func (r *Ratio) Set(text string) bool {
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "" && fraction == "" || len(whole) > 1 {
		return false
	}
	value := int64(0)
	for i := range 7 {
		digit := byte('0')
		switch {
		case i == 0 && whole != "":
			digit = whole[0]
		case i > 0 && i <= len(fraction):
			digit = fraction[i-1]
		}
		if digit < '0' || digit > '9' {
			return false
		}
		value = value*10 + int64(digit-'0')
	}
	for i := 6; i < len(fraction); i++ {
		if fraction[i] < '0' || fraction[i] > '9' {
			return false
		}
	}
	*r = Ratio(value)
	return value <= ratioOne
}

// Set implements Choice; text is a list.
func (p *CleanupPolicy) Set(text string) bool {
	var set CleanupPolicy
	for _, word := range splitList(text) {
		switch word {
		case "delete":
			set |= CleanupDelete
		case "compact":
			set |= CleanupCompact
		default:
			return false
		}
	}
	*p = set
	return set != 0
}
