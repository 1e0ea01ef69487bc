package config

import (
	"slices"
	"strconv"
	"strings"
)

// Source says where a value comes from; its numbers are those of
// DescribeConfigs.
type Source int8

// The sources that this broker has.
const (
	SourceDynamicTopic   Source = 1
	SourceDynamicBroker  Source = 2
	SourceDynamicDefault Source = 3 // dynamic, of all brokers
	SourceStaticBroker   Source = 4
	SourceDefault        Source = 5
)

// SynonymValue is one place that a value could come from, strongest first. The
// value is as it was written there, in that property's own unit.
type SynonymValue struct {
	Name   string
	Value  string
	Null   bool
	Source Source
}

// Entry is one property of a DescribeConfigs response.
type Entry struct {
	Property *Property
	Value    string
	Null     bool
	Source   Source
	ReadOnly bool
	Synonyms []SynonymValue
}

// layered collects what the layers say of a property under its names. Kafka
// goes through the layers first, so that a weak name in a strong layer wins.
// scale is that of the strongest value found.
func layered(names []Synonym, layers *Layers) (found []SynonymValue, scale int64) {
	scale = 1
	for _, layer := range [...]struct {
		values []KV
		source Source
	}{{layers.Broker, SourceDynamicBroker}, {layers.Default, SourceDynamicDefault}, {layers.Static, SourceStaticBroker}} {
		for _, name := range names {
			v, ok := find(layer.values, name.Name)
			if !ok {
				continue
			}
			if len(found) == 0 {
				scale = name.Scale
			}
			found = append(found, SynonymValue{name.Name, v, false, layer.source})
		}
	}
	return found, scale
}

// DescribeTopic lists the topic properties that have an effect, by name, with
// the value that is in force and every place that it could come from. names
// nil means all; unknown names are left out, as Kafka does.
func DescribeTopic(topic []KV, layers *Layers, names []string) []Entry {
	var out []Entry
	for i := range topicTable.rows {
		p := &topicTable.rows[i].Property
		if !p.Effect || len(names) > 0 && !slices.Contains(names, p.Name) {
			continue
		}
		entry := Entry{Property: p, Value: p.Default, Null: p.Null, Source: SourceDefault}
		found, scale := layered(p.Synonyms, layers)
		if len(found) > 0 {
			entry.Value, entry.Null, entry.Source = scaled(found[0].Value, scale), false, found[0].Source
		}
		if v, ok := find(topic, p.Name); ok {
			entry.Value, entry.Null, entry.Source = v, false, SourceDynamicTopic
			entry.Synonyms = append(entry.Synonyms, SynonymValue{p.Name, v, false, SourceDynamicTopic})
		}
		last := Synonym{p.Name, 1}
		if n := len(p.Synonyms); n > 0 {
			last = p.Synonyms[n-1]
		}
		entry.Synonyms = append(append(entry.Synonyms, found...),
			SynonymValue{last.Name, unscaled(p.Default, last.Scale), p.Null, SourceDefault})
		out = append(out, entry)
	}
	return out
}

// DescribeBroker is DescribeTopic for a node's own properties. Those that are
// read only change with a restart of the node.
func DescribeBroker(layers *Layers, names []string) []Entry {
	var out []Entry
	for i := range brokerTable.rows {
		p := &brokerTable.rows[i].Property
		if !p.Effect || len(names) > 0 && !slices.Contains(names, p.Name) {
			continue
		}
		entry := Entry{Property: p, ReadOnly: !Dynamic(p.Name), Value: p.Default, Null: p.Null, Source: SourceDefault}
		found, _ := layered(brokerSynonyms(p.Name), layers)
		for len(found) > 0 && found[0].Name != p.Name {
			found = found[1:] // a weaker name than this
		}
		if entry.Synonyms = found; len(found) > 0 {
			first := found[0]
			entry.Value, entry.Null, entry.Source = first.Value, first.Null, first.Source
		}
		if !p.Null {
			entry.Synonyms = append(entry.Synonyms, SynonymValue{p.Name, p.Default, false, SourceDefault})
		}
		out = append(out, entry)
	}
	return out
}

// DescribeDefault lists the dynamic properties that are set for all brokers.
func DescribeDefault(values []KV, names []string) []Entry {
	var out []Entry
	for _, entry := range DescribeBroker(&Layers{Default: values}, names) {
		if entry.Source == SourceDynamicDefault {
			entry.Synonyms = entry.Synonyms[:1]
			out = append(out, entry)
		}
	}
	return out
}

func find(overrides []KV, name string) (string, bool) {
	for _, kv := range overrides {
		if kv.Name == name {
			return kv.Value, true
		}
	}
	return "", false
}

func scaled(text string, scale int64) string {
	v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || scale == 1 || v < 0 {
		return text
	}
	return strconv.FormatInt(v*scale, 10)
}

// Append is IncrementalAlterConfigs' APPEND: the list current with those words
// of value that it lacks. It reports false when p is not a list.
func Append(p *Property, current, value string) (string, bool) {
	if p.Type != TypeList {
		return "", false
	}
	words := splitList(current)
	for _, word := range splitList(value) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ","), true
}

// Subtract is IncrementalAlterConfigs' SUBTRACT: the list current without the
// words of value. It reports false when p is not a list.
func Subtract(p *Property, current, value string) (string, bool) {
	if p.Type != TypeList {
		return "", false
	}
	gone := splitList(value)
	words := slices.DeleteFunc(splitList(current), func(word string) bool { return slices.Contains(gone, word) })
	return strings.Join(words, ","), true
}
