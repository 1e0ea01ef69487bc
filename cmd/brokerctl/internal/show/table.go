package show

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// columnGap stands between two columns.
const columnGap = "  "

// column is one field of a row's struct.
type column struct {
	head  string
	index []int
	right bool // numbers line up at their last digit
}

// columnsOf reads the tags of a struct, embedded structs in their place.
func columnsOf(row reflect.Type, wide bool) []column {
	var out []column
	for _, field := range reflect.VisibleFields(row) {
		head := field.Tag.Get("head")
		if head == "" || field.Tag.Get("wide") == "yes" && !wide {
			continue
		}
		out = append(out, column{head: head, index: field.Index, right: alignsRight(field.Type)})
	}
	return out
}

func alignsRight(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint64:
		return true
	case reflect.Pointer:
		return alignsRight(t.Elem())
	}
	return false
}

// cell writes a value for people. A nil pointer is something that the cluster
// did not tell, and is a dash.
func cell(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "-"
		}
		v = v.Elem()
	}
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	switch v.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return "yes"
		}
		return "no"
	case reflect.String:
		if v.Len() == 0 {
			return "-"
		}
		return v.String()
	}
	return fmt.Sprint(v.Interface())
}

// untold says whether no row knows a value: such a column says nothing.
func untold(rows reflect.Value, c column) bool {
	for i := range rows.Len() {
		if field := rows.Index(i).FieldByIndex(c.index); field.Kind() != reflect.Pointer || !field.IsNil() {
			return false
		}
	}
	return true
}

// Table writes a slice of structs, one row each under a line of headings. An
// empty slice is one line that says so.
func (t *Text) Table(rows any, whenEmpty string) {
	slice := reflect.ValueOf(rows)
	if slice.Len() == 0 {
		t.Line("%s", whenEmpty)
		return
	}
	columns := slices.DeleteFunc(columnsOf(slice.Type().Elem(), t.wide), func(c column) bool { return untold(slice, c) })
	lines := make([][]string, 0, slice.Len()+1)
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.head
	}
	lines = append(lines, heads)
	for i := range slice.Len() {
		cells := make([]string, len(columns))
		for j, c := range columns {
			cells[j] = cell(slice.Index(i).FieldByIndex(c.index))
		}
		lines = append(lines, cells)
	}
	widths := make([]int, len(columns))
	for _, cells := range lines {
		for i, text := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for _, cells := range lines {
		var line strings.Builder
		for i, text := range cells {
			if i > 0 {
				line.WriteString(columnGap)
			}
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if columns[i].right {
				line.WriteString(padding + text)
			} else {
				line.WriteString(text + padding)
			}
		}
		t.Line("%s", strings.TrimRight(line.String(), " "))
	}
}

// Fields writes a struct, one line for each field that has a heading.
func (t *Text) Fields(value any) {
	v := reflect.Indirect(reflect.ValueOf(value))
	columns := slices.DeleteFunc(columnsOf(v.Type(), t.wide), func(c column) bool {
		field := v.FieldByIndex(c.index)
		return field.Kind() == reflect.Pointer && field.IsNil()
	})
	width := 0
	for _, c := range columns {
		width = max(width, utf8.RuneCountInString(c.head))
	}
	for _, c := range columns {
		t.Line("%-*s%s%s", width, c.head, columnGap, cell(v.FieldByIndex(c.index)))
	}
}
