package scenarios

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// decodeProperties reads a mapping of Kafka properties. A list becomes Kafka's
// comma-separated text.
func (l *loader) decodeProperties(n *node, path, what string, out *[]KV) *Error {
	if n.kind != nodeMapping {
		return l.failAt(n, fmt.Sprintf("%s must be a mapping of Kafka properties, not %s", what, nodeKindNames[n.kind]), "")
	}
	for i, value := range n.values {
		key := n.keys[i]
		text := value.text
		switch value.kind {
		case nodeMapping:
			return l.fail(value.line, value.column, "a Kafka property is one word with dots, its value is not a mapping", key.text, "")
		case nodeSequence:
			words := make([]string, len(value.values))
			for j, item := range value.values {
				if item.kind != nodeScalar {
					return l.failAt(item, "a Kafka list holds single words, not "+nodeKindNames[item.kind], "")
				}
				words[j] = item.text
			}
			text = strings.Join(words, ",")
		case nodeNull:
			return l.fail(key.line, key.column, fmt.Sprintf("%s has no value", key.text), "", "")
		}
		l.places[path+"//"+key.text] = key
		l.places[path+"//"+key.text+"="] = value
		*out = append(*out, KV{Name: key.text, Value: text})
	}
	return nil
}

// decodeTarget reads a bare word or a mapping with one key.
func (l *loader) decodeTarget(n *node, path string, out *Target) *Error {
	keys, words := targetWords()
	switch {
	case n.kind == nodeScalar:
		return l.decodeTargetWord(n, n.text, words, out)
	case n.kind != nodeMapping || len(n.keys) != 1:
		return l.failAt(n, "a target is one word or a mapping with one key, such as { zone: b }", "")
	}
	key, value := n.keys[0], n.values[0]
	if !slices.Contains(keys, key.text) {
		return l.failAt(key, "unknown target; known are: "+strings.Join(keys, ", "), nearest(key.text, keys))
	}
	l.places[path+"/value"] = value
	kind, text := key.text, value.text
	if kind == "role" {
		if value.kind == nodeMapping && len(value.keys) == 1 {
			kind, value = value.keys[0].text, value.values[0]
			text = value.text
		} else if before, after, ok := strings.Cut(text, ":"); ok {
			kind, text = strings.TrimSpace(before), strings.TrimSpace(after)
		} else {
			return l.decodeTargetWord(value, text, words, out)
		}
	}
	if value.kind == nodeSequence && (kind == "nodes" || kind == "clients") {
		names := &out.Nodes
		if out.Kind = TargetNodes; kind == "clients" {
			out.Kind, names = TargetClients, &out.Clients
		}
		err := l.decodeWords(value, path+"/value", field{key: kind}, names)
		if err == nil && len(*names) == 0 {
			return l.failAt(value, kind+" names nobody: the fault is aimed at nothing", "")
		}
		out.Text = strings.Join(*names, ", ")
		return err
	}
	if value.kind != nodeScalar || text == "" {
		return l.failAt(value, fmt.Sprintf("%s must be a single value, not %s", kind, nodeKindNames[value.kind]), "")
	}
	out.Text = kind + " " + text
	return l.decodeTargetValue(value, kind, text, out)
}

func (l *loader) decodeTargetWord(n *node, text string, words []string, out *Target) *Error {
	for _, form := range targetForms {
		if form.key == "" && form.word == text {
			out.Kind, out.Text = form.kind, text
			return nil
		}
	}
	meant := nearest(text, words)
	if nodeName.MatchString(text) {
		meant = "{ node: " + text + " }"
	}
	return l.failAt(n, "unknown target; known words are: "+strings.Join(words, ", ")+"; others are mappings such as { zone: b }", meant)
}

// nodeName is what somebody writes who forgets that a node is not a word.
var nodeName = regexp.MustCompile(`^(broker|controller)-[0-9]+$`)

func (l *loader) decodeTargetValue(n *node, kind, text string, out *Target) *Error {
	switch kind {
	case "zone":
		out.Kind, out.Zone = TargetZone, text
	case "node", "nodes":
		out.Kind, out.Nodes = TargetNodes, []string{text}
	case "clients":
		out.Kind, out.Clients = TargetClients, []string{text}
	case "coordinator_of":
		out.Kind, out.Group = TargetCoordinatorOf, text
	case "random":
		count, err := strconv.ParseInt(text, 10, 64)
		if err != nil || count < 1 {
			return l.failAt(n, "random must be a whole number of at least 1", "")
		}
		out.Kind, out.Count = TargetRandom, count
	case "leader_of", "follower_of":
		topic, partition, ok := ParsePartition(text)
		if !ok {
			return l.failAt(n, kind+" must be topic/partition, like orders/3", "")
		}
		out.Kind, out.Topic, out.Partition = TargetLeaderOf, topic, partition
		if kind == "follower_of" {
			out.Kind = TargetFollowerOf
		}
	default:
		roles := []string{"leader_of", "follower_of", "coordinator_of", "active_controller"}
		return l.fail(n.line, n.column, "unknown role; known are: "+strings.Join(roles, ", "), kind, nearest(kind, roles))
	}
	return nil
}

// ParsePartition reads topic/partition, such as orders/3.
func ParsePartition(text string) (topic string, partition int32, ok bool) {
	topic, number, found := strings.Cut(text, "/")
	value, err := strconv.ParseInt(number, 10, 32)
	return topic, int32(value), found && err == nil && value >= 0 && topic != ""
}

// decodeAssertions reads { metric: "p99<20ms" }, { metric: [..] } and
// { metric: { series: "max<=15s" } }.
func (l *loader) decodeAssertions(n *node, path, what string, out *[]Assertion) *Error {
	if n.kind != nodeMapping {
		return l.failAt(n, fmt.Sprintf("%s must be a mapping from metrics to assertions, not %s", what, nodeKindNames[n.kind]), "")
	}
	names := make([]string, len(metrics))
	for i, m := range metrics {
		names[i] = m.name
	}
	if len(n.keys) == 0 {
		return l.failAt(n, what+" asserts nothing: name a metric, or leave it out", "")
	}
	for i, key := range n.keys {
		m, ok := findMetric(key.text)
		if !ok {
			return l.failAt(key, "unknown metric; known are: "+strings.Join(names, ", "), nearest(key.text, names))
		}
		l.places[path+"/"+key.text] = key
		value := n.values[i]
		if value.kind != nodeMapping {
			if err := l.decodeAssertionTexts(value, m, "", out); err != nil {
				return err
			}
			continue
		}
		if len(value.keys) == 0 {
			return l.failAt(value, m.name+" has no assertion, such as "+exampleOf(m), "")
		}
		for j, series := range value.keys {
			if !slices.Contains(m.series, series.text) {
				return l.failAt(series, fmt.Sprintf("%s has no such series; it has: %s", m.name, strings.Join(m.series, ", ")), nearest(series.text, m.series))
			}
			name := series.text
			if name == "count" || name == "total" {
				name = ""
			}
			if err := l.decodeAssertionTexts(value.values[j], m, name, out); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) decodeAssertionTexts(n *node, m metric, series string, out *[]Assertion) *Error {
	items := []*node{n}
	if n.kind == nodeSequence {
		items = n.values
	}
	if len(items) == 0 {
		return l.failAt(n, m.name+" has no assertion, such as "+exampleOf(m), "")
	}
	for _, item := range items {
		if item.kind != nodeScalar || item.text == "" {
			return l.failAt(item, fmt.Sprintf("an assertion is a text such as %q", exampleOf(m)), "")
		}
		a, problem, suggestion := parseAssertion(m, series, item.text)
		if problem != "" {
			return l.failAt(item, problem, suggestion)
		}
		*out = append(*out, a)
	}
	return nil
}
