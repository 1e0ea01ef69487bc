package scenarios

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/units"
)

// loader turns a tree into a Scenario and remembers where everything stood.
type loader struct {
	source
	// places maps a path such as "timeline[0]/for" to its value. It is only
	// looked up, for the position of an error and to know what was given.
	places map[string]*node
}

// field is one key of a struct, read from its tags.
type field struct {
	key              string
	index            int
	required         bool
	named            bool // a mapping from names to structs
	repeats          bool // a list that may hold a word twice
	byDefault        string
	hasDefault       bool
	minimum, maximum string
	words            []string // the values allowed
	doc              string
}

// fieldsOf reads the tags of a struct; they are part of the program.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		key := tag.Get("key")
		if key == "" {
			continue
		}
		f := field{key: key, index: i, required: tag.Get("need") == "yes", named: tag.Get("named") == "yes", repeats: tag.Get("repeats") == "yes",
			minimum: tag.Get("min"), maximum: tag.Get("max"), doc: tag.Get("doc")}
		f.byDefault, f.hasDefault = tag.Lookup("default")
		if words := tag.Get("enum"); words != "" {
			f.words = vocabulary(words)
		}
		out = append(out, f)
	}
	return out
}

func (l *loader) at(path string) *node {
	if n, ok := l.places[path]; ok {
		return n
	}
	return &node{line: 1, column: 1}
}

func (l *loader) has(path string) bool {
	_, ok := l.places[path]
	return ok
}

func (l *loader) failAt(n *node, message, suggestion string) *Error {
	return l.fail(n.line, n.column, message, n.text, suggestion)
}

// setDefaults fills in the defaults of a struct and the structs in it.
func (l *loader) setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		target := v.Field(f.index)
		if f.hasDefault {
			if err := l.decode(&node{text: f.byDefault}, "", f, target); err != nil {
				panic("scenarios: default of " + f.key + ": " + err.Message)
			}
		} else if target.Kind() == reflect.Struct && len(fieldsOf(target.Type())) > 0 {
			l.setDefaults(target)
		}
	}
}

func (l *loader) decodeStruct(n *node, path, what string, v reflect.Value) *Error {
	if n.kind != nodeMapping {
		return l.failAt(n, fmt.Sprintf("%s must be a mapping, not %s", what, nodeKindNames[n.kind]), "")
	}
	fields := fieldsOf(v.Type())
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	l.setDefaults(v)
	for i, key := range n.keys {
		at := slices.Index(keys, key.text)
		if at < 0 {
			return l.failAt(key, "unknown key in "+what, nearest(key.text, keys))
		}
		if n.values[i].kind == nodeNull {
			return l.fail(key.line, key.column, fmt.Sprintf("%s has no value", key.text), "", "")
		}
		if err := l.decode(n.values[i], join(path, key.text), fields[at], v.Field(fields[at].index)); err != nil {
			return err
		}
	}
	for _, f := range fields {
		if f.required && !l.has(join(path, f.key)) {
			return l.fail(n.line, n.column, fmt.Sprintf("%s needs the key %q", what, f.key), "", "")
		}
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "/" + key
}

// decode sets one value. An empty path marks a default, which has no place.
func (l *loader) decode(n *node, path string, f field, v reflect.Value) *Error {
	if path != "" {
		l.places[path] = n
	}
	switch out := v.Addr().Interface().(type) {
	case *[]KV:
		return l.decodeProperties(n, path, f.key, out)
	case *Target:
		return l.decodeTarget(n, path, out)
	case *[]Assertion:
		return l.decodeAssertions(n, path, f.key, out)
	case *[]string:
		return l.decodeWords(n, path, f, out)
	case *[][]string:
		return l.decodeSets(n, path, f, out)
	}
	if v.Kind() == reflect.Slice {
		return l.decodeSlice(n, path, f, v)
	}
	if v.Kind() == reflect.Struct && len(fieldsOf(v.Type())) > 0 {
		return l.decodeStruct(n, path, f.key, v)
	}
	if n.kind != nodeScalar {
		return l.failAt(n, fmt.Sprintf("%s must be a single value, not %s", f.key, nodeKindNames[n.kind]), "")
	}
	return l.decodeScalar(n, f, v)
}

func (l *loader) decodeScalar(n *node, f field, v reflect.Value) *Error {
	var problem, suggestion string
	var number int64
	bounded := true
	switch out := v.Addr().Interface().(type) {
	case *time.Duration:
		number, problem, suggestion = units.Parse(n.text, units.Durations, "duration")
		*out = time.Duration(number)
	case *Size:
		number, problem, suggestion = units.Parse(n.text, units.Sizes, "size")
		*out = Size(number)
	case *Bandwidth:
		number, problem, suggestion = units.Parse(n.text, bandwidthUnits, "bandwidth")
		*out = Bandwidth(number)
	case *PPM:
		number, problem, suggestion = units.Parse(n.text, percentUnits, "percentage")
		f.minimum, f.maximum = cmp.Or(f.minimum, "0%"), cmp.Or(f.maximum, "100%")
		*out = PPM(number)
	case *Hundredths:
		var ok bool
		number, ok = units.Scale(n.text, 100)
		if !ok || number < 1 || number > 500 {
			problem = "must be a number from 0.01 to 5.00 with two decimals"
		}
		*out, bounded = Hundredths(number), false
	case *Rate:
		*out, problem, suggestion = parseRate(n.text)
		bounded = false
	case *Flush:
		*out, problem, suggestion = parseFlush(n.text)
		bounded = false
	case *Seed:
		seed, err := ParseSeed(n.text)
		if err != nil {
			problem = err.Error()
		}
		*out, bounded = seed, false
	case *int64:
		var err error
		if number, err = strconv.ParseInt(n.text, 10, 64); err != nil {
			problem = f.key + " must be a whole number"
		}
		*out = number
	case *bool:
		*out, bounded = n.text == "true", false
		if n.text != "true" && n.text != "false" {
			problem, suggestion = f.key+" must be true or false", nearestBool(n.text)
		}
	case *string:
		*out, bounded = n.text, false
		problem, suggestion = checkWord(n.text, f)
	default:
		panic(fmt.Sprintf("scenarios: no decoder for %T of key %s", out, f.key))
	}
	if problem == "" && bounded {
		problem = checkBounds(number, f, v)
	}
	if problem != "" {
		return l.failAt(n, problem, suggestion)
	}
	return nil
}

// nearestBool knows the other words of YAML 1.1 for true and false.
func nearestBool(text string) string {
	switch strings.ToLower(text) {
	case "yes", "on", "y", "1":
		return "true"
	case "no", "off", "n", "0":
		return "false"
	}
	return nearest(text, []string{"true", "false"})
}

// checkWord holds a string to its list of words, if it has one.
func checkWord(text string, f field) (problem, suggestion string) {
	if text == "" {
		return f.key + " must not be empty", ""
	}
	if len(f.words) == 0 || slices.Contains(f.words, text) {
		return "", ""
	}
	if slices.Contains(laterVerbs, text) && (f.key == "fault" || f.key == "operator") {
		return text + " is not available yet", ""
	}
	return fmt.Sprintf("unknown %s; known are: %s", f.key, strings.Join(f.words, ", ")), nearest(text, f.words)
}

// checkBounds holds a number to the min and max of its tag, which are written
// in the unit of the type.
func checkBounds(number int64, f field, v reflect.Value) string {
	limit := func(text string) int64 {
		table := map[reflect.Type][]units.Unit{
			reflect.TypeFor[time.Duration](): units.Durations, reflect.TypeFor[Size](): units.Sizes,
			reflect.TypeFor[Bandwidth](): bandwidthUnits, reflect.TypeFor[PPM](): percentUnits,
		}[v.Type()]
		if table == nil {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				panic("scenarios: bound of " + f.key + ": " + err.Error())
			}
			return n
		}
		n, problem, _ := units.Parse(text, table, "bound")
		if problem != "" {
			panic("scenarios: bound of " + f.key + ": " + problem)
		}
		return n
	}
	low := f.minimum
	if low == "" && v.Type() != reflect.TypeFor[int64]() {
		low = "0"
	}
	if low != "" && number < limit(low) {
		return fmt.Sprintf("%s must be at least %s", f.key, low)
	}
	if f.maximum != "" && number > limit(f.maximum) {
		return fmt.Sprintf("%s must be at most %s", f.key, f.maximum)
	}
	return ""
}

// decodeSlice reads a list of structs, or a mapping from names to structs.
func (l *loader) decodeSlice(n *node, path string, f field, v reflect.Value) *Error {
	want := nodeSequence
	if f.named {
		want = nodeMapping
	}
	if n.kind != want {
		return l.failAt(n, fmt.Sprintf("%s must be %s, not %s", f.key, nodeKindNames[want], nodeKindNames[n.kind]), "")
	}
	out := reflect.MakeSlice(v.Type(), len(n.values), len(n.values))
	for i, value := range n.values {
		itemPath, what := fmt.Sprintf("%s[%d]", path, i), "an entry of "+f.key
		l.places[itemPath] = value
		if f.named {
			l.places[itemPath+"/name"] = n.keys[i]
			out.Index(i).FieldByName("Name").SetString(n.keys[i].text)
			what = f.key + " " + n.keys[i].text
		}
		if err := l.decodeStruct(value, itemPath, what, out.Index(i)); err != nil {
			return err
		}
	}
	if out.Len() > 0 { // an empty list is as none
		v.Set(out)
	}
	return nil
}

// decodeWords reads a list of words; a single word is a list of one.
func (l *loader) decodeWords(n *node, path string, f field, out *[]string) *Error {
	items := n.values
	if n.kind == nodeScalar {
		items = []*node{n}
	} else if n.kind != nodeSequence {
		return l.failAt(n, fmt.Sprintf("%s must be a list, not %s", f.key, nodeKindNames[n.kind]), "")
	}
	*out = nil // and stays so without items: an empty list is as none
	for i, item := range items {
		l.places[fmt.Sprintf("%s[%d]", path, i)] = item
		if item.kind != nodeScalar {
			return l.failAt(item, fmt.Sprintf("%s holds single words, not %s", f.key, nodeKindNames[item.kind]), "")
		}
		if problem, suggestion := checkWord(item.text, f); problem != "" {
			return l.failAt(item, problem, suggestion)
		}
		if !f.repeats && slices.Contains(*out, item.text) {
			return l.failAt(item, f.key+" names it twice", "")
		}
		*out = append(*out, item.text)
	}
	return nil
}

func (l *loader) decodeSets(n *node, path string, f field, out *[][]string) *Error {
	if n.kind != nodeSequence || len(n.values) != 2 {
		return l.failAt(n, f.key+" must be a list of two sets, like [[a], [b, c]]", "")
	}
	for i, item := range n.values {
		var set []string
		if err := l.decodeWords(item, fmt.Sprintf("%s[%d]", path, i), f, &set); err != nil {
			return err
		}
		*out = append(*out, set)
	}
	return nil
}
