package partition

import (
	"slices"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
)

// topicConfig is a topic's effective configuration: its overrides over the
// broker's defaults. The controller has validated them; one that does not parse
// here is our own older or newer self's, and the default stands.
func (m *Manager) topicConfig(topic string) config.Topic {
	i, ok := slices.BinarySearchFunc(m.image.TopicConfigs, topic, func(r meta.ResourceConfig, name string) int {
		return strings.Compare(r.Resource, name)
	})
	if !ok {
		return m.cfg.TopicDefaults
	}
	cfg, err := config.ParseTopic(m.image.TopicConfigs[i].Values, m.cfg.TopicDefaults)
	if err != nil {
		return m.cfg.TopicDefaults
	}
	return cfg
}

// topic returns a topic of the image, or nil.
func (m *Manager) topic(name string) *meta.Topic {
	i, ok := slices.BinarySearchFunc(m.image.Topics, name, func(t *meta.Topic, name string) int {
		return strings.Compare(t.Name, name)
	})
	if !ok {
		return nil
	}
	return m.image.Topics[i]
}
