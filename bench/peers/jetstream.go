package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/seed-604ea8f1/windtunnel/bench/load"
)

// pendingMax is how many messages of one producer may be unacknowledged. It is
// what franz-go buffers by default, so that no system is given a shorter queue.
const pendingMax = 10_000

// jetStream is a NATS server with streams in files. A topic is a stream with one
// subject; a subscription is a durable consumer that its members share.
type jetStream struct {
	name, url string
	replicas  int
}

var _ load.Target = (*jetStream)(nil)

func newJetStream(name, address string, d *load.Driver) (load.Target, error) {
	if d.ProducerConfig+d.ConsumerConfig+d.CommonConfig+d.TopicConfig != "" {
		return nil, errors.New("a driver's Kafka properties mean nothing to NATS; compare without --driver")
	}
	return &jetStream{name: name, url: address, replicas: d.ReplicationFactor}, nil
}

// Name implements load.Target.
func (j *jetStream) Name() string { return j.name }

func (j *jetStream) connect(options ...jetstream.JetStreamOpt) (*nats.Conn, jetstream.JetStream, error) {
	nc, err := nats.Connect(j.url, nats.Timeout(5*time.Second))
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", j.url, err)
	}
	js, err := jetstream.New(nc, options...)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, js, nil
}

// Prepare implements load.Target. A stream has no partitions.
func (j *jetStream) Prepare(ctx context.Context, topics []string, _ int) error {
	nc, js, err := j.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	for _, topic := range topics {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{
			Name: topic, Subjects: []string{topic}, Storage: jetstream.FileStorage, Replicas: j.replicas,
		})
		if err != nil {
			return fmt.Errorf("create stream %s: %w", topic, err)
		}
	}
	return nil
}

// Remove implements load.Target.
func (j *jetStream) Remove(ctx context.Context, topics []string) error {
	nc, js, err := j.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	for _, topic := range topics {
		if err := js.DeleteStream(ctx, topic); err != nil {
			return fmt.Errorf("delete stream %s: %w", topic, err)
		}
	}
	return nil
}

// stallMax is how long a producer waits for room, Kafka's delivery.timeout.ms.
const stallMax = 2 * time.Minute

type jetStreamProducer struct {
	conn  *nats.Conn
	js    jetstream.JetStream
	topic string
	acked func(payload []byte, err error)
	// fates are the messages whose acknowledgement is awaited, in order.
	fates chan fate
	group sync.WaitGroup
}

type fate struct {
	payload []byte
	future  jetstream.PubAckFuture
}

// Produce implements load.Target.
func (j *jetStream) Produce(topic string, acked func(payload []byte, err error)) (load.Producer, error) {
	nc, js, err := j.connect(jetstream.WithPublishAsyncMaxPending(pendingMax))
	if err != nil {
		return nil, err
	}
	p := &jetStreamProducer{conn: nc, js: js, topic: topic, acked: acked, fates: make(chan fate, pendingMax)}
	p.group.Go(func() {
		for f := range p.fates {
			select {
			case <-f.future.Ok():
				p.acked(f.payload, nil)
			case err := <-f.future.Err():
				p.acked(f.payload, err)
			}
		}
	})
	return p, nil
}

// Send implements load.Producer.
func (p *jetStreamProducer) Send(_, payload []byte) {
	future, err := p.js.PublishAsync(p.topic, payload, jetstream.WithStallWait(stallMax))
	if err != nil {
		p.acked(payload, err)
		return
	}
	p.fates <- fate{payload, future}
}

// Flush implements load.Producer.
func (p *jetStreamProducer) Flush(ctx context.Context) error {
	select {
	case <-p.js.PublishAsyncComplete():
	case <-ctx.Done():
		return ctx.Err()
	}
	// What has been acknowledged has to be counted too.
	close(p.fates)
	p.group.Wait()
	p.fates = make(chan fate)
	return nil
}

// Close implements load.Producer.
func (p *jetStreamProducer) Close() {
	close(p.fates)
	p.conn.Close()
}

type jetStreamConsumer struct {
	conn    *nats.Conn
	consume jetstream.ConsumeContext
}

// Consume implements load.Target. Messages are not acknowledged one by one, as
// Kafka's consumers do not.
func (j *jetStream) Consume(ctx context.Context, topic, subscription string, received func(payload []byte)) (load.Consumer, error) {
	nc, js, err := j.connect()
	if err != nil {
		return nil, err
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, topic, jetstream.ConsumerConfig{
		Durable: subscription, AckPolicy: jetstream.AckNonePolicy, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		nc.Close()
		return nil, err
	}
	consume, err := consumer.Consume(func(m jetstream.Msg) { received(m.Data()) }, jetstream.PullMaxMessages(pendingMax))
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &jetStreamConsumer{conn: nc, consume: consume}, nil
}

// Ready implements load.Consumer.
func (c *jetStreamConsumer) Ready(context.Context) error { return nil }

// Close implements load.Consumer.
func (c *jetStreamConsumer) Close() {
	c.consume.Stop()
	c.conn.Close()
}
