package config

import (
	"slices"
	"strconv"
	"strings"
)

// Source says where a value comes from; its numbers are those of
// DescribeConfigs.
type Source int8

// The sources that this broker has. Dynamic broker settings do not exist yet.
const (
	SourceDynamicTopic Source = 1
	SourceStaticBroker Source = 4
	SourceDefault      Source = 5
)

// SynonymValue is one place that a value could come from, strongest first.
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

// DescribeTopic lists the topic properties that have an effect, by name, with
// the value that is in force and every place that it could come from. names
// nil means all; unknown names are left out, as Kafka does.
func DescribeTopic(topic, broker []KV, names []string) []Entry {
	var out []Entry
	for i := range topicTable.rows {
		p := &topicTable.rows[i].Property
		if !p.Effect || names != nil && !slices.Contains(names, p.Name) {
			continue
		}
		entry := Entry{Property: p}
		if v, ok := find(topic, p.Name); ok {
			entry.Synonyms = append(entry.Synonyms, SynonymValue{p.Name, v, false, SourceDynamicTopic})
		}
		for _, synonym := range p.Synonyms {
			if v, ok := find(broker, synonym.Name); ok {
				entry.Synonyms = append(entry.Synonyms, SynonymValue{synonym.Name, scaled(v, synonym.Scale), false, SourceStaticBroker})
			}
		}
		last := p.Name
		if len(p.Synonyms) > 0 {
			last = p.Synonyms[len(p.Synonyms)-1].Name
		}
		entry.Synonyms = append(entry.Synonyms, SynonymValue{last, p.Default, p.Null, SourceDefault})
		out = append(out, entry.strongest())
	}
	return out
}

// DescribeBroker is DescribeTopic for a node's own properties. All are read
// only: changing them means restarting the node.
func DescribeBroker(broker []KV, names []string) []Entry {
	var out []Entry
	for i := range brokerTable.rows {
		p := &brokerTable.rows[i].Property
		if !p.Effect || names != nil && !slices.Contains(names, p.Name) {
			continue
		}
		entry := Entry{Property: p, ReadOnly: true}
		if v, ok := find(broker, p.Name); ok {
			entry.Synonyms = append(entry.Synonyms, SynonymValue{p.Name, v, false, SourceStaticBroker})
		}
		entry.Synonyms = append(entry.Synonyms, SynonymValue{p.Name, p.Default, p.Null, SourceDefault})
		out = append(out, entry.strongest())
	}
	return out
}

func (e Entry) strongest() Entry {
	first := e.Synonyms[0]
	e.Value, e.Null, e.Source = first.Value, first.Null, first.Source
	return e
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
