package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/seed-604ea8f1/windtunnel/units"
)

// Marshal writes a Scenario as a file that Load reads back to the same
// Scenario. Keys that hold their default are left out. It serves the shrinker:
// what it finds is handed over as a file.
func Marshal(s *Scenario) []byte {
	var b bytes.Buffer
	printNode(&b, encodeStruct(reflect.ValueOf(s).Elem()), 0)
	return b.Bytes()
}

func scalar(text string) *node { return &node{text: text} }

func (n *node) add(key string, value *node) {
	n.keys, n.values = append(n.keys, scalar(key)), append(n.values, value)
}

// encodeStruct is decodeStruct backwards.
func encodeStruct(v reflect.Value) *node {
	out := &node{kind: nodeMapping}
	blank := reflect.New(v.Type()).Elem()
	new(loader).setDefaults(blank)
	event, isEvent := v.Addr().Interface().(*Event)
	for _, f := range fieldsOf(v.Type()) {
		value := v.Field(f.index)
		if !f.required && reflect.DeepEqual(value.Interface(), blank.Field(f.index).Interface()) {
			continue
		}
		if !f.required && value.Kind() == reflect.Slice && value.Len() == 0 {
			continue // as left out: the loader refuses a list that asserts nothing
		}
		if isEvent && f.key == "restart_after" && event.For == event.RestartAfter {
			continue // Load has made them equal; they may not both be given
		}
		if encoded := encodeValue(value, f); encoded != nil {
			out.add(f.key, encoded)
		}
	}
	return out
}

func encodeValue(v reflect.Value, f field) *node {
	switch value := v.Addr().Interface().(type) {
	case *time.Duration:
		return scalar(units.Format(int64(*value), units.Durations))
	case *Size:
		return scalar(units.Format(int64(*value), units.Sizes))
	case *Bandwidth:
		return scalar(units.Format(int64(*value), bandwidthUnits))
	case *PPM:
		return scalar(decimal(int64(*value), 4) + "%")
	case *Hundredths:
		return scalar(decimal(int64(*value), 2))
	case *Rate:
		return scalar(strconv.FormatInt(value.Count, 10) + "/" + perText(value.Per))
	case *Seed:
		return scalar(strconv.FormatUint(uint64(*value), 10))
	case *Flush:
		return scalar(value.String())
	case *int64:
		return scalar(strconv.FormatInt(*value, 10))
	case *bool:
		return scalar(strconv.FormatBool(*value))
	case *string:
		return scalar(*value)
	case *[]string:
		return words(*value)
	case *[][]string:
		out := &node{kind: nodeSequence}
		for _, set := range *value {
			out.values = append(out.values, words(set))
		}
		return out
	case *[]KV:
		out := &node{kind: nodeMapping}
		for _, kv := range *value {
			out.add(kv.Name, scalar(kv.Value))
		}
		return out
	case *Target:
		return encodeTarget(value)
	case *[]Assertion:
		return encodeAssertions(*value)
	}
	if v.Kind() != reflect.Slice {
		return encodeStruct(v)
	}
	out := &node{kind: nodeSequence}
	if f.named {
		out.kind = nodeMapping
	}
	for i := range v.Len() {
		item := encodeStruct(v.Index(i))
		if f.named {
			out.keys = append(out.keys, scalar(v.Index(i).FieldByName("Name").String()))
		}
		out.values = append(out.values, item)
	}
	return out
}

func words(list []string) *node {
	out := &node{kind: nodeSequence}
	for _, word := range list {
		out.values = append(out.values, scalar(word))
	}
	return out
}

func perText(per time.Duration) string {
	for _, u := range rateUnits {
		if u.Factor == int64(per) {
			return u.Suffix
		}
	}
	return "s"
}

// String is the policy as written in a file.
func (f Flush) String() string {
	switch f.Mode {
	case FlushEvery:
		return fmt.Sprintf("every %d", f.Every)
	case FlushBeforeAck:
		return "before_ack"
	}
	return "os"
}

// decimal writes value / 10^places without trailing zeros.
func decimal(value int64, places int) string {
	text := fmt.Sprintf("%0*d", places+1, value)
	whole, fraction := text[:len(text)-places], strings.TrimRight(text[len(text)-places:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

func encodeTarget(t *Target) *node {
	value := ""
	switch t.Kind {
	case TargetNone:
		return nil
	case TargetZone:
		value = t.Zone
	case TargetLeaderOf, TargetFollowerOf:
		value = fmt.Sprintf("%s/%d", t.Topic, t.Partition)
	case TargetClients:
		value = t.Clients[0]
	case TargetCoordinatorOf:
		value = t.Group
	case TargetRandom:
		value = strconv.FormatInt(t.Count, 10)
	}
	out := &node{kind: nodeMapping}
	for _, form := range targetForms {
		if form.kind != t.Kind {
			continue
		}
		switch {
		case form.key == "":
			return scalar(form.word)
		case t.Kind == TargetNodes && len(t.Nodes) == 1:
			out.add("node", scalar(t.Nodes[0]))
		case t.Kind == TargetNodes:
			out.add("nodes", words(t.Nodes))
		case t.Kind == TargetClients && len(t.Clients) > 1:
			out.add("clients", words(t.Clients))
		default:
			out.add(form.key, scalar(value))
		}
		break
	}
	return out
}

// encodeAssertions groups assertions by metric and series, in the order of
// their first mention.
func encodeAssertions(list []Assertion) *node {
	out := &node{kind: nodeMapping}
	for i, a := range list {
		first := true
		for _, earlier := range list[:i] {
			first = first && earlier.Metric != a.Metric
		}
		if first {
			out.add(a.Metric, encodeMetric(list[i:], a.Metric))
		}
	}
	return out
}

func encodeMetric(list []Assertion, name string) *node {
	bySeries := &node{kind: nodeMapping}
	for _, a := range list {
		if a.Metric != name {
			continue
		}
		at := -1
		for i, key := range bySeries.keys {
			if key.text == a.Series {
				at = i
			}
		}
		if at < 0 {
			bySeries.add(a.Series, &node{kind: nodeSequence})
			at = len(bySeries.keys) - 1
		}
		bySeries.values[at].values = append(bySeries.values[at].values, scalar(a.Text))
	}
	if len(bySeries.keys) == 1 && bySeries.keys[0].text == "" {
		return bySeries.values[0]
	}
	for _, key := range bySeries.keys {
		if m, ok := findMetric(name); ok && key.text == "" {
			key.text = m.series[len(m.series)-1] // count or total, which come last
		}
	}
	return bySeries
}

// printNode writes block YAML; lists of words are written in one line.
func printNode(b *bytes.Buffer, n *node, indent int) {
	pad := strings.Repeat("  ", indent)
	for i, value := range n.values {
		if n.kind == nodeMapping {
			b.WriteString(pad + quoted(n.keys[i].text) + ":")
		} else {
			b.WriteString(pad + "-")
		}
		if value.kind == nodeScalar || len(value.values) == 0 || flat(value) {
			b.WriteString(" " + inline(value) + "\n")
			continue
		}
		b.WriteString("\n")
		printNode(b, value, indent+1)
	}
}

func flat(n *node) bool {
	for _, value := range n.values {
		if value.kind == nodeMapping || value.kind == nodeSequence && !flat(value) {
			return false
		}
	}
	return n.kind == nodeSequence
}

func inline(n *node) string {
	switch n.kind {
	case nodeMapping:
		return "{}"
	case nodeSequence:
		items := make([]string, len(n.values))
		for i, value := range n.values {
			items[i] = inline(value)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return quoted(n.text)
}

// quoted puts everything in quotes that is not plainly one word.
func quoted(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/%"
	if text != "" && strings.Trim(text, plain) == "" && !strings.ContainsAny(text[:1], "-%./") && text != "null" && text != "Null" && text != "NULL" {
		return text
	}
	out, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string
	}
	return string(out)
}
