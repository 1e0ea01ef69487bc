package real

import (
	"context"
	"sync"
	"time"

	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/scenarios/runner"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cleanerPass is how much longer than in the simulation one pass of a cleaner may
// take here, where it shares two cores with everybody.
const cleanerPass = 10 * time.Second

// configurationOf is what the claims are a function of, with cleaners that take
// their time.
func configurationOf(s *scenarios.Scenario) *lin.Configuration {
	c := runner.ConfigurationOf(s)
	c.Compaction.PassMillis += cleanerPass.Milliseconds()
	return c
}

// compactionOf is what the cleaners of a topic may do.
func compactionOf(s *scenarios.Scenario, t *scenarios.Topic) lin.Compaction {
	rules := runner.CompactionOf(s, t)
	rules.PassMillis += cleanerPass.Milliseconds()
	return rules
}

// sighting is when and by whom a record was served, as its reader's client knows it.
// It travels in the record's context.
type sighting struct{}

// sightings watches what a reader's client fetches, for the judge of compaction:
// franz-go hands records out long after it was given them.
type sightings struct {
	workload *workload
	mu       sync.Mutex
	client   *kgo.Client
	longest  time.Duration // of the fetches so far
	leaders  map[lin.Partition]leadership
	strange  int64 // a replica that is none of those seen before or later
}

// leadership is who leads a partition as far as a client knows, and when it was
// first seen to know it. Its epochs only grow: what it knew then and knows now it
// has known all the time.
type leadership struct {
	replica     int64
	sinceMillis int64
}

func newSightings(w *workload) *sightings {
	return &sightings{workload: w, leaders: map[lin.Partition]leadership{}}
}

// OnNewClient implements kgo.HookNewClient.
func (s *sightings) OnNewClient(cl *kgo.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client = cl
}

const fetchKey = 1

// OnBrokerE2E implements kgo.HookBrokerE2E; it comes before what an answer holds.
func (s *sightings) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key != fetchKey {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.longest = max(s.longest, e2e.DurationE2E())
}

// OnFetchRecordBuffered implements kgo.HookFetchRecordBuffered.
func (s *sightings) OnFetchRecordBuffered(r *kgo.Record) {
	topic := s.workload.topic(r.Topic)
	if topic < 0 || !s.workload.scenario.Topics[topic].Compacted() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := lin.Partition{Topic: topic, Index: r.Partition}
	now := s.workload.ledger.now()
	seen := lin.Seen{AskedMillis: (now - s.longest).Milliseconds(), FetchedMillis: now.Milliseconds()}
	leader, epoch, err := s.client.PartitionLeader(r.Topic, r.Partition)
	replica := int64(epoch)<<32 | int64(uint32(leader))
	known, ok := s.leaders[at]
	if err == nil && (!ok || known.replica != replica) {
		known = leadership{replica, seen.FetchedMillis}
		s.leaders[at] = known
	}
	// Whoever led when the request was sent leads now, or it is unknown who answered.
	if seen.Replica = replica; err != nil || known.sinceMillis >= seen.AskedMillis {
		s.strange--
		seen.Replica = s.strange
	}
	r.Context = context.WithValue(context.Background(), sighting{}, seen)
}

// seenOf is where a record comes from.
func seenOf(r *kgo.Record) (seen lin.Seen) {
	if r.Context != nil {
		seen, _ = r.Context.Value(sighting{}).(lin.Seen)
	}
	return seen
}

// startWitness reads compacted topics along with the load: it sees what the auditor
// will not find any more.
func (w *workload) startWitness(ctx context.Context) error {
	var topics []string
	for i := range w.scenario.Topics {
		if t := &w.scenario.Topics[i]; t.Compacted() {
			topics = append(topics, t.Name)
		}
	}
	if len(topics) == 0 {
		return nil
	}
	reader := w.readers
	w.readers++
	at := &positions{at: map[lin.Partition]int64{}}
	cl, err := w.reader("witness", kgo.ConsumeTopics(topics...), kgo.MetadataMaxAge(time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	w.consuming.Go(func() {
		for ctx.Err() == nil {
			w.hand(reader, "", at, cl.PollFetches(ctx))
		}
	})
	return nil
}
