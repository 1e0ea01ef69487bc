package conformance

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// librdkafka in the form that Go programs use.
func TestConfluentKafkaGo(t *testing.T) {
	name := topic
	testLibrary(t, library{
		create: func(ctx context.Context, bootstrap []string) error {
			a, err := kafka.NewAdminClient(&kafka.ConfigMap{"bootstrap.servers": strings.Join(bootstrap, ",")})
			if err != nil {
				return err
			}
			defer a.Close()
			results, err := a.CreateTopics(ctx, []kafka.TopicSpecification{{Topic: name, NumPartitions: partitions, ReplicationFactor: 3}})
			if err == nil && results[0].Error.Code() != kafka.ErrNoError {
				err = results[0].Error
			}
			return err
		},
		produce: func(_ context.Context, bootstrap []string, values <-chan string, acked func(string)) error {
			p, err := kafka.NewProducer(&kafka.ConfigMap{"bootstrap.servers": strings.Join(bootstrap, ","), "enable.idempotence": true})
			if err != nil {
				return err
			}
			defer p.Close()
			go func() {
				for v := range values {
					m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &name, Partition: kafka.PartitionAny}, Value: []byte(v)}
					for errors.Is(p.Produce(m, nil), kafka.NewError(kafka.ErrQueueFull, "", false)) {
						p.Flush(10)
					}
				}
			}()
			for n := 0; n < records; {
				m, ok := (<-p.Events()).(*kafka.Message)
				if !ok {
					continue // errors that it recovers from by itself
				}
				if m.TopicPartition.Error != nil {
					return m.TopicPartition.Error
				}
				acked(string(m.Value))
				n++
			}
			return nil
		},
		consume: func(ctx context.Context, bootstrap []string, seen func(string) bool) error {
			c, err := kafka.NewConsumer(&kafka.ConfigMap{"bootstrap.servers": strings.Join(bootstrap, ","), "group.id": "confluent",
				"auto.offset.reset": "earliest"})
			if err != nil {
				return err
			}
			defer c.Close()
			if err := c.Subscribe(name, nil); err != nil {
				return err
			}
			for ctx.Err() == nil {
				m, err := c.ReadMessage(time.Second)
				if err == nil && seen(string(m.Value)) {
					return nil
				}
			}
			return ctx.Err()
		},
	})
}
