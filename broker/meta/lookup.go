package meta

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// Empty returns the image before the first record.
func Empty() *Image { return &Image{Offset: -1} }

// Topic finds a topic by name, or nil.
func (m *Image) Topic(name string) *Topic {
	if i, ok := slices.BinarySearchFunc(m.Topics, name, compareTopicName); ok {
		return m.Topics[i]
	}
	return nil
}

// TopicByID finds a topic by id, or nil.
func (m *Image) TopicByID(id TopicID) *Topic {
	if len(m.topicsByID) == len(m.Topics) {
		if i, ok := slices.BinarySearchFunc(m.topicsByID, id, compareTopicID); ok {
			return m.topicsByID[i]
		}
		return nil
	}
	// An image put together by hand has no index.
	for _, t := range m.Topics {
		if t.ID == id {
			return t
		}
	}
	return nil
}

func (m *Image) idIndex() []*Topic {
	if len(m.topicsByID) == len(m.Topics) {
		return m.topicsByID
	}
	index := slices.Clone(m.Topics)
	slices.SortFunc(index, func(a, b *Topic) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return index
}

// Partition finds a partition, or nil.
func (m *Image) Partition(topic string, index int32) *Partition {
	t := m.Topic(topic)
	if t == nil || index < 0 || int(index) >= len(t.Partitions) {
		return nil
	}
	return t.Partitions[index]
}

// Broker finds a registration, or nil.
func (m *Image) Broker(id int32) *Broker {
	if i, ok := slices.BinarySearchFunc(m.Brokers, id, compareBroker); ok {
		return m.Brokers[i]
	}
	return nil
}

// Active tells whether a broker may lead and join an ISR: it is registered,
// unfenced and not in controlled shutdown (KIP-841).
func (m *Image) Active(id int32) bool {
	b := m.Broker(id)
	return b != nil && !b.Fenced && !b.InControlledShutdown
}

// TopicConfig returns a topic's overrides, sorted by name; nil if it has none.
func (m *Image) TopicConfig(name string) []ConfigValue { return values(m.TopicConfigs, name) }

// BrokerConfig returns the overrides of a broker (its id in decimal) or of all
// brokers (""), sorted by name; nil if there are none.
func (m *Image) BrokerConfig(resource string) []ConfigValue {
	return values(m.BrokerConfigs, resource)
}

// ConfigLayers collects the places that a broker's properties come from; static
// is how it was started.
func (m *Image) ConfigLayers(broker int32, static []config.KV) config.Layers {
	return config.Layers{Broker: m.BrokerConfig(strconv.Itoa(int(broker))), Default: m.BrokerConfig(""), Static: static}
}

// FeatureLevel returns the finalised level of a feature, 0 if it has none.
func (m *Image) FeatureLevel(name string) int16 {
	i, ok := slices.BinarySearchFunc(m.Features, name, func(f Feature, name string) int {
		return strings.Compare(f.Name, name)
	})
	if !ok {
		return 0
	}
	return m.Features[i].Level
}

func values(list []ResourceConfig, name string) []ConfigValue {
	if i, ok := slices.BinarySearchFunc(list, name, compareResource); ok {
		return list[i].Values
	}
	return nil
}

// Lookup returns the value of one override.
func Lookup(values []ConfigValue, name string) (string, bool) {
	if i, ok := slices.BinarySearchFunc(values, name, compareConfigName); ok {
		return values[i].Value, true
	}
	return "", false
}
