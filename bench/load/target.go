package load

import "context"

// A Target is a system under load. Kafka is the one in this package; another
// kind of system is loaded by giving it these four methods.
type Target interface {
	// Name is what the tables call it.
	Name() string
	// Prepare makes the topics; Remove deletes them.
	Prepare(ctx context.Context, topics []string, partitions int) error
	Remove(ctx context.Context, topics []string) error
	// Produce returns a producer to one topic. acked is called for every message
	// that was handed over, with its payload, once its fate is known.
	Produce(topic string, acked func(payload []byte, err error)) (Producer, error)
	// Consume gives each message of the topic to received until Close, every one
	// that is sent after it has returned. The consumers of one subscription share
	// the messages.
	Consume(ctx context.Context, topic, subscription string, received func(payload []byte)) (Consumer, error)
}

// Producer sends messages.
type Producer interface {
	// Send hands one message over. The payload belongs to the producer until
	// acked has been called. It blocks while too many are in flight.
	Send(key, payload []byte)
	// Flush waits until the fate of all that was sent is known.
	Flush(ctx context.Context) error
	Close()
}

// Consumer receives messages.
type Consumer interface {
	// Ready waits until it can receive messages as they are sent. The load begins
	// once all consumers can: how long a group waits for its members is another
	// question than how fast they are served.
	Ready(ctx context.Context) error
	Close()
}
