package meta

import "fmt"

// TopicNameMax is the longest topic name in bytes: a log's directory name must
// have room for the partition behind it.
const TopicNameMax = 249

// ValidateTopicName is Kafka's Topic.validate: 1 to 249 ASCII letters, digits,
// '.', '_' and '-', but neither "." nor "..". The error is a sentence for the
// client.
func ValidateTopicName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("Topic name is invalid: the empty string is not allowed") //nolint:staticcheck // Kafka's words
	case name == "." || name == "..":
		return fmt.Errorf("Topic name is invalid: '.' or '..' is not allowed") //nolint:staticcheck // Kafka's words
	case len(name) > TopicNameMax:
		return fmt.Errorf("Topic name is invalid: the length of '%s' is longer than the max allowed length %d", name, TopicNameMax) //nolint:staticcheck // Kafka's words
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-') {
			return fmt.Errorf("Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name) //nolint:staticcheck // Kafka's words
		}
	}
	return nil
}
