package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// failedCommitsMax is more commits than one killed broker can make fail.
const failedCommitsMax = 10

func TestKafkaGo(t *testing.T) {
	testLibrary(t, library{
		create: func(ctx context.Context, bootstrap []string) error {
			c := &kafka.Client{Addr: kafka.TCP(bootstrap...)}
			resp, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{
				Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: partitions, ReplicationFactor: 3}},
			})
			if err != nil {
				return err
			}
			return resp.Errors[topic]
		},
		produce: func(ctx context.Context, bootstrap []string, values <-chan string, acked func(string)) error {
			w := &kafka.Writer{
				Addr: kafka.TCP(bootstrap...), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond,
				MaxAttempts: 100, WriteBackoffMin: 100 * time.Millisecond, WriteBackoffMax: 500 * time.Millisecond,
			}
			defer w.Close()
			for batch := []kafka.Message(nil); ; batch = batch[:0] {
				for v := range values {
					if batch = append(batch, kafka.Message{Value: []byte(v)}); len(batch) == 200 {
						break
					}
				}
				if len(batch) == 0 {
					return nil
				}
				if err := w.WriteMessages(ctx, batch...); err != nil {
					return err
				}
				for i := range batch {
					acked(string(batch[i].Value))
				}
			}
		},
		consume: func(ctx context.Context, bootstrap []string, seen func(string) bool) error {
			r := kafka.NewReader(kafka.ReaderConfig{Brokers: bootstrap, GroupID: "kafka-go", Topic: topic,
				StartOffset: kafka.FirstOffset, MaxWait: 100 * time.Millisecond})
			defer r.Close()
			for failed := 0; ; {
				m, err := r.FetchMessage(ctx)
				if err != nil {
					return err
				}
				if seen(string(m.Value)) {
					return nil
				}
				// A commit through a coordinator that was just killed fails at the
				// application: kafka-go does not try it on a new connection. A later
				// one covers the record, or it is delivered again.
				if err := r.CommitMessages(ctx, m); err != nil {
					if failed++; failed > failedCommitsMax {
						return err
					}
				}
			}
		},
	})
}
