package conformance

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func TestSarama(t *testing.T) {
	cfg := sarama.NewConfig()
	cfg.Version = sarama.V3_6_0_0
	cfg.Producer.RequiredAcks, cfg.Producer.Idempotent, cfg.Net.MaxOpenRequests = sarama.WaitForAll, true, 1
	cfg.Producer.Return.Successes, cfg.Producer.Return.Errors = true, true
	cfg.Producer.Retry.Max, cfg.Producer.Retry.Backoff = 100, 100*time.Millisecond
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	testLibrary(t, library{
		create: func(_ context.Context, bootstrap []string) error {
			admin, err := sarama.NewClusterAdmin(bootstrap, cfg)
			if err != nil {
				return err
			}
			defer admin.Close()
			return admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 3}, false)
		},
		produce: func(_ context.Context, bootstrap []string, values <-chan string, acked func(string)) error {
			p, err := sarama.NewAsyncProducer(bootstrap, cfg)
			if err != nil {
				return err
			}
			go func() {
				for v := range values {
					p.Input() <- &sarama.ProducerMessage{Topic: topic, Value: sarama.StringEncoder(v)}
				}
				p.AsyncClose()
			}()
			var failed error
			var errs sync.WaitGroup
			errs.Go(func() {
				for e := range p.Errors() {
					failed = e
				}
			})
			for m := range p.Successes() {
				v, _ := m.Value.Encode() // of a string
				acked(string(v))
			}
			errs.Wait()
			return failed
		},
		consume: func(ctx context.Context, bootstrap []string, seen func(string) bool) error {
			g, err := sarama.NewConsumerGroup(bootstrap, "sarama", cfg)
			if err != nil {
				return err
			}
			defer g.Close()
			ctx, done := context.WithCancel(ctx)
			defer done()
			h := &saramaHandler{seen: seen, done: done}
			for !h.all {
				if err := g.Consume(ctx, []string{topic}, h); err != nil {
					return err
				}
				if ctx.Err() != nil && !h.all {
					return ctx.Err()
				}
			}
			return nil
		},
	})
}

type saramaHandler struct {
	mu   sync.Mutex
	seen func(string) bool
	all  bool
	done context.CancelFunc
}

func (h *saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (h *saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h *saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for m := range claim.Messages() {
		h.mu.Lock()
		if h.seen(string(m.Value)) {
			h.all = true
			h.done()
		}
		h.mu.Unlock()
		s.MarkMessage(m, "")
	}
	return nil
}
