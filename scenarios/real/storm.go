package real

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// stormLimit bounds how long the last topics of a storm may take to be gone.
const stormLimit = time.Minute

// storm is topics that are created and deleted without end; see admin_storm.
type storm struct {
	admin   *kadm.Client
	prefix  string
	event   *scenarios.Event
	configs map[string]*string
	topics  chan *stormTopic // those of which no request is under way, the longest at rest first
	copies  int16
}

type stormTopic struct {
	name  string
	there bool
}

// storm begins one; when it heals, nothing of it may be left.
func (f *faults) storm(e *scenarios.Event, index int) action {
	return func(ctx context.Context) (string, func() error, error) {
		s := &storm{
			admin: kadm.NewClient(f.admin), prefix: fmt.Sprintf("%s%d-", scenarios.StormPrefix, index+1), event: e,
			configs: map[string]*string{}, topics: make(chan *stormTopic, e.Names), copies: int16(f.scenario.Cluster.StormReplicas()),
		}
		for _, kv := range scenarios.StormConfig {
			s.configs[kv.Name] = kadm.StringPtr(kv.Value)
		}
		for i := range e.Names {
			s.topics <- &stormTopic{name: fmt.Sprintf("%s%d", s.prefix, i)}
		}
		blowing, stop := context.WithCancel(ctx)
		over := make(chan struct{})
		go func() {
			defer close(over)
			s.blow(blowing)
		}()
		return fmt.Sprintf("%d topics of %d partitions", e.Names, e.Partitions), func() error {
			stop()
			<-over
			ctx, cancel := context.WithTimeout(ctx, stormLimit)
			defer cancel()
			return s.clear(ctx, f.cluster.nodes)
		}, nil
	}
}

// blow sends one request after the other, each for the topic that has rested for the
// longest, until its context ends and the last is answered.
func (s *storm) blow(ctx context.Context) {
	var requests sync.WaitGroup
	defer requests.Wait()
	for sleep(ctx, s.event.Rate.Per/time.Duration(s.event.Rate.Count)) {
		select {
		case t := <-s.topics:
			requests.Go(func() {
				s.turn(ctx, t)
				s.topics <- t
			})
		default: // all of them wait for an answer
		}
	}
}

// turn creates a topic that is not there, and deletes one that is. What has failed is
// tried again when its turn comes.
func (s *storm) turn(ctx context.Context, t *stormTopic) {
	if t.there {
		resp, err := s.admin.DeleteTopic(ctx, t.name)
		if err = errors.Join(err, resp.Err); err == nil || errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.there = false
		}
		return
	}
	resp, err := s.admin.CreateTopic(ctx, int32(s.event.Partitions), s.copies, s.configs, t.name)
	if err = errors.Join(err, resp.Err); err == nil || errors.Is(err, kerr.TopicAlreadyExists) {
		t.there = true
	}
}

// clear deletes what is left, and waits until neither the metadata nor the disk of a
// node that runs knows of it.
func (s *storm) clear(ctx context.Context, nodes []*node) error {
	for {
		left := ""
		topics, err := s.admin.ListTopics(ctx)
		if err != nil {
			left = err.Error()
		}
		for _, name := range topics.Names() {
			if strings.HasPrefix(name, s.prefix) {
				left = name + " was still there"
				_, _ = s.admin.DeleteTopic(ctx, name) // the next look tells
			}
		}
		for _, n := range nodes {
			if left != "" || !n.running() {
				continue
			}
			entries, err := os.ReadDir(n.disk)
			if err != nil {
				return fmt.Errorf("look for what a storm has left: %w", err)
			}
			for _, entry := range entries {
				if strings.HasPrefix(entry.Name(), s.prefix) {
					left = fmt.Sprintf("%s had %s on its disk, of a topic that has been deleted", n.Name, entry.Name())
				}
			}
		}
		if left == "" {
			return nil
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("%s %v after the storm", left, stormLimit)
		}
	}
}
