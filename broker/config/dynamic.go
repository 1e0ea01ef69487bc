package config

import (
	"math"
	"slices"
	"strconv"
)

// Layers are the three places that a broker's properties come from, strongest
// first. Each names a property at most once.
type Layers struct {
	Broker  []KV // dynamic, of this broker alone
	Default []KV // dynamic, of all brokers
	Static  []KV // as the node was started
}

// Dynamic is the dynamic layers in one, each property from the stronger one.
func (l *Layers) Dynamic() []KV {
	out := slices.Clone(l.Broker)
	for _, kv := range l.Default {
		if _, stronger := find(l.Broker, kv.Name); !stronger {
			out = append(out, kv)
		}
	}
	return out
}

// dynamicNames are the broker properties that may change while brokers run.
var dynamicNames = dynamicTable()

// dynamicTable collects Kafka's dynamic log properties, which are the strongest
// synonym of each topic property, and the few others that this broker applies
// without a restart.
func dynamicTable() map[string]struct{} {
	names := map[string]struct{}{
		"log.cleaner.backoff.ms": {}, "log.cleaner.dedupe.buffer.size": {}, "producer.id.expiration.ms": {},
	}
	for i := range topicTable.rows {
		if row := &topicTable.rows[i]; row.Effect && len(row.Synonyms) > 0 {
			names[row.Synonyms[0].Name] = struct{}{}
		}
	}
	return names
}

// Dynamic tells whether a broker property can be changed while the broker runs
// (KIP-226), for one broker or for all.
func Dynamic(name string) bool {
	_, ok := dynamicNames[name]
	return ok
}

// CheckDynamic validates the dynamic properties of one broker or of all: known,
// within bounds, and such that a running broker takes them up. The error is an
// *Error.
func CheckDynamic(overrides []KV) error {
	for _, kv := range overrides {
		if readAtStart(kv.Name) {
			return &Error{What: "broker property", Name: kv.Name, Value: kv.Value, NameWrong: true,
				Problem: "cannot be updated dynamically: brokers read it when they start"}
		}
	}
	_, err := ParseBroker(overrides)
	return err
}

// readAtStart tells whether a property has an effect, but on a node that starts.
func readAtStart(name string) bool {
	if p, ok := brokerTable.Lookup(name); ok && p.Effect {
		return !Dynamic(name)
	}
	for _, names := range [][]string{nodeTable.names, tlsTable.names, saslTable.names} {
		if slices.Contains(names, name) {
			return true
		}
	}
	return false
}

// brokerSynonyms lists the names under which a broker property's value may be
// given, from itself on to the weaker ones: log.retention.minutes also takes
// log.retention.hours. The scale is that to the first topic property's unit.
func brokerSynonyms(name string) []Synonym {
	for i := range topicTable.rows {
		for k, synonym := range topicTable.rows[i].Synonyms {
			if synonym.Name == name {
				return topicTable.rows[i].Synonyms[k:]
			}
		}
	}
	return []Synonym{{name, 1}}
}

// unscaled turns a topic property's default back into its synonym's unit.
func unscaled(text string, scale int64) string {
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil || scale == 1 || v < 0 || v == math.MaxInt64 {
		return text
	}
	return strconv.FormatInt(v/scale, 10)
}
