package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// DefaultTopic returns Kafka's own topic defaults.
func DefaultTopic() Topic { return topicTable.Defaults() }

// DefaultBroker returns Kafka's own broker defaults.
func DefaultBroker() Broker {
	b := brokerTable.Defaults()
	b.TopicDefaults = topicTable.Defaults()
	return b
}

// TopicProperties is the table of topic properties, by name.
func TopicProperties() []*Property { return topicTable.All() }

// BrokerProperties is the table of broker properties, by name.
func BrokerProperties() []*Property { return brokerTable.All() }

// LookupTopic finds a topic property by its exact name.
func LookupTopic(name string) (*Property, bool) { return topicTable.Lookup(name) }

// LookupBroker finds a broker property by its exact name.
func LookupBroker(name string) (*Property, bool) { return brokerTable.Lookup(name) }

// ParseTopic returns defaults changed by overrides. The error is an *Error.
func ParseTopic(overrides []KV, defaults Topic) (Topic, error) {
	out := defaults
	if err := topicTable.Apply(overrides, &out); err != nil {
		return Topic{}, elsewhere(err, brokerTable.index, "broker")
	}
	return out, nil
}

// ParseBroker returns Kafka's defaults changed by overrides, TopicDefaults
// included. The error is an *Error.
func ParseBroker(overrides []KV) (Broker, error) { return UpdateBroker(DefaultBroker(), overrides) }

// UpdateBroker is ParseBroker over settings that may differ from Kafka's
// defaults: a running broker takes up its dynamic properties with it.
func UpdateBroker(out Broker, overrides []KV) (Broker, error) {
	if err := brokerTable.Apply(overrides, &out); err != nil {
		return Broker{}, elsewhere(err, topicTable.index, "topic")
	}
	for i := range topicTable.rows {
		row := &topicTable.rows[i]
		text, name, ok, err := fromSynonyms(&row.Property, overrides)
		if err != nil {
			return Broker{}, err
		}
		if !ok {
			continue
		}
		if err := topicTable.assign(row, text, &out.TopicDefaults); err != nil {
			return Broker{}, rename(err, name)
		}
	}
	return out, checkBroker(&out)
}

// elsewhere turns "unknown" into "belongs to the other table".
func elsewhere(err error, other map[string]int, what string) error {
	var e *Error
	if errors.As(err, &e) && strings.Contains(e.Problem, "unknown") {
		if _, ok := other[e.Name]; ok {
			e.Problem, e.Suggestion = "belongs among the "+what+" properties", ""
		}
	}
	return err
}

func rename(err error, name string) error {
	var e *Error
	if errors.As(err, &e) {
		e.What, e.Name = "broker property", name
	}
	return err
}

// fromSynonyms finds the strongest broker override of a topic property and
// returns it in the topic property's unit.
func fromSynonyms(p *Property, overrides []KV) (text, name string, found bool, err error) {
	for _, synonym := range p.Synonyms {
		for _, kv := range overrides {
			if kv.Name != synonym.Name {
				continue
			}
			if synonym.Scale == 1 {
				return kv.Value, kv.Name, true, nil
			}
			v, err := strconv.ParseInt(strings.TrimSpace(kv.Value), 10, 64)
			if err != nil {
				return "", "", false, fmt.Errorf("parse %s: %w", kv.Name, err) // Apply has checked it
			}
			if v > math.MaxInt64/synonym.Scale {
				return "", "", false, &Error{What: "broker property", Name: kv.Name, Value: kv.Value, Problem: "does not fit in 63 bits of milliseconds"}
			}
			if v >= 0 {
				v *= synonym.Scale
			}
			return strconv.FormatInt(v, 10), kv.Name, true, nil
		}
	}
	return "", "", false, nil
}

// checkBroker holds the rules between two properties.
func checkBroker(b *Broker) error {
	fail := func(name string, value int64, problem string, other int64) error {
		return &Error{What: "broker property", Name: name, Value: strconv.FormatInt(value, 10),
			Problem: fmt.Sprintf("%s (%d)", problem, other)}
	}
	switch {
	case b.HeartbeatIntervalMillis >= b.SessionTimeoutMillis:
		return fail("broker.heartbeat.interval.ms", b.HeartbeatIntervalMillis,
			"must be less than broker.session.timeout.ms", b.SessionTimeoutMillis)
	case b.ReplicaFetchWaitMaxMillis > b.ReplicaLagTimeMaxMillis:
		return fail("replica.fetch.wait.max.ms", b.ReplicaFetchWaitMaxMillis,
			"must not exceed replica.lag.time.max.ms", b.ReplicaLagTimeMaxMillis)
	case b.GroupMinSessionTimeoutMillis > b.GroupMaxSessionTimeoutMillis:
		return fail("group.min.session.timeout.ms", b.GroupMinSessionTimeoutMillis,
			"must not exceed group.max.session.timeout.ms", b.GroupMaxSessionTimeoutMillis)
	}
	return nil
}
