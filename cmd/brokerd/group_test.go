package main

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Two members of a group read what a load produces while a node is killed and
// comes back: every acknowledged record is delivered.
func TestGroupReadsEverythingAcrossAKill(t *testing.T) {
	t.Parallel()
	c := devCluster(t)
	cl := c.client(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	c.createTopic(cl, "load", loadPartitions)
	l := startLoad(t, cl, "load")
	seen := &delivered{values: make(map[string]bool)}
	seen.more.L = &seen.mu
	ctx, stop := context.WithCancel(t.Context())
	var members sync.WaitGroup
	for range 2 {
		member := c.client(kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("load"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		members.Go(func() { seen.read(ctx, t, member) })
	}
	l.progress(1000)
	c.kill(c.nodes[1])
	l.progress(1000)
	c.restart(c.nodes[1])
	l.progress(1000)
	for _, i := range l.end(t) {
		seen.await(string(numbered(i)))
	}
	stop()
	members.Wait()
}

// delivered is what the members of a group have read.
type delivered struct {
	mu     sync.Mutex
	more   sync.Cond
	values map[string]bool
	failed bool
}

func (d *delivered) read(ctx context.Context, t *testing.T, cl *kgo.Client) {
	for {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		d.mu.Lock()
		fetches.EachError(func(topic string, p int32, err error) {
			var lost *kgo.ErrDataLoss
			if errors.As(err, &lost) {
				t.Errorf("%s/%d: %v", topic, p, err)
				d.failed = true
			}
		})
		fetches.EachRecord(func(r *kgo.Record) { d.values[string(r.Value)] = true })
		d.mu.Unlock()
		d.more.Broadcast()
	}
}

func (d *delivered) await(value string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.values[value] && !d.failed {
		d.more.Wait()
	}
}
