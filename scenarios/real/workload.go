package real

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/record"
	lin "github.com/seed-604ea8f1/windtunnel/linearizability"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// workload is the scenario's clients, on franz-go. Where franz-go has no such
// setting, its own way is used: that is the point of another client.
type workload struct {
	scenario  *scenarios.Scenario
	seeds     []string
	ledger    *ledger
	seed      uint64
	names     []string // of every client: the parties of the network, with their zones
	zones     []string
	readers   int32
	consuming sync.WaitGroup
	producing sync.WaitGroup
	clients   []*kgo.Client
	mu        sync.Mutex
}

// metadataAgeMin is how soon a client may ask again for what it was told.
const metadataAgeMin = 100 * time.Millisecond

// metadataAge is metadata.max.age.ms, as far down as franz-go goes.
func metadataAge(c *clientconfig.Common) time.Duration {
	return max(metadataAgeMin, time.Duration(c.MetadataMaxAgeMillis)*time.Millisecond)
}

// client makes a franz-go client that the proxies know by its name.
func (w *workload) client(name string, opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append([]kgo.Opt{kgo.SeedBrokers(w.seeds...), kgo.ClientID(name), kgo.MetadataMinAge(metadataAgeMin)}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("make client %s: %w", name, err)
	}
	w.mu.Lock()
	w.clients = append(w.clients, cl)
	w.mu.Unlock()
	return cl, nil
}

// reader makes a client whose records tell where they come from.
func (w *workload) reader(name string, opts ...kgo.Opt) (*kgo.Client, error) {
	return w.client(name, append(opts, kgo.WithHooks(newSightings(w)))...)
}

func (w *workload) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, cl := range w.clients {
		cl.Close()
	}
}

// party registers a client of the network.
func (w *workload) party(name, zone string) string {
	w.names, w.zones = append(w.names, name), append(w.zones, zone)
	return name
}

// startConsumers lets the consumers join; they read until the context ends.
func (w *workload) startConsumers(ctx context.Context) {
	for g := range w.scenario.Workload.Consumers {
		group := &w.scenario.Workload.Consumers[g]
		for i := range int(group.Count) {
			zone := w.scenario.Cluster.ClientZone(group.Zone, i)
			name := w.party(fmt.Sprintf("%s-%d", group.Name, i+1), zone)
			reader := w.readers
			w.readers++
			w.consuming.Go(func() { w.consumes(ctx, group, name, zone, reader) })
		}
	}
}

// startProducers begins the load, which ends by itself.
func (w *workload) startProducers(ctx context.Context) error {
	number := 0
	for g := range w.scenario.Workload.Producers {
		group := &w.scenario.Workload.Producers[g]
		for i := range int(group.Count) {
			number++
			name := w.party(fmt.Sprintf("%s-%d", group.Name, i+1), w.scenario.Cluster.ClientZone(group.Zone, i))
			p, err := w.newProducer(group, name, number, i)
			if err != nil {
				return err
			}
			w.producing.Go(func() { p.run(ctx) })
		}
	}
	return nil
}

// lag is how many acknowledged records groups that still read have not been given.
func (w *workload) lag() (sum int64) {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for g := range w.scenario.Workload.Consumers {
		group := &w.scenario.Workload.Consumers[g]
		if group.StopAt > 0 {
			continue
		}
		for _, topic := range group.Topics {
			t := w.topic(topic)
			for p := range w.ledger.topics[t].partitions {
				key := groupPartition{group.Group, t, int32(p)}
				g := &w.ledger.topics[t].partitions[p]
				sum += max(0, g.ackedEnd-max(w.ledger.frontier[key], g.logStart))
			}
		}
	}
	return sum
}

// producer is one of a group of producers.
type producer struct {
	*workload
	group      *scenarios.Producer
	client     *kgo.Client
	number     int // of all producers, from 1
	index      int // within its group
	topic      int32
	partitions int64 // of the topic, as far as the client knows
	grown      int64 // and at the end of the scenario
	sent       int64
	random     *rand.Rand
	zipf       []float64 // cumulative shares
	pending    sync.WaitGroup
}

// idShift leaves the low bits of an id to a producer's own count.
const idShift = 40

// compression is a producer's codec at its level.
func compression(s *clientconfig.Producer) kgo.CompressionCodec {
	level := record.Effort(record.Codec(s.Compression), s.CompressionLevels.Of(record.Codec(s.Compression)))
	switch s.Compression {
	case clientconfig.CompressionGzip:
		return kgo.GzipCompression().WithLevel(level)
	case clientconfig.CompressionSnappy:
		return kgo.SnappyCompression()
	case clientconfig.CompressionLZ4:
		return kgo.Lz4Compression().WithLevel(level)
	case clientconfig.CompressionZstd:
		return kgo.ZstdCompression().WithLevel(level)
	}
	return kgo.NoCompression()
}

func (w *workload) newProducer(group *scenarios.Producer, name string, number, index int) (*producer, error) {
	s := &group.Settings
	opts := []kgo.Opt{
		kgo.MetadataMaxAge(metadataAge(&s.Common)), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(group.Topic),
		kgo.ProducerLinger(time.Duration(s.LingerMillis) * time.Millisecond), kgo.ProducerBatchMaxBytes(int32(max(s.BatchSizeBytes, 1<<10) + 1<<10)),
		kgo.RecordDeliveryTimeout(time.Duration(s.DeliveryTimeoutMillis) * time.Millisecond),
		kgo.ProduceRequestTimeout(time.Duration(s.RequestTimeoutMillis) * time.Millisecond),
		kgo.RequestTimeoutOverhead(time.Duration(s.RequestTimeoutMillis) * time.Millisecond),
		kgo.ProducerBatchCompression(compression(s)), kgo.MaxBufferedRecords(1 << 20),
	}
	switch s.Acks {
	case clientconfig.AcksLeader:
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	case clientconfig.AcksNone:
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	}
	if !s.EnableIdempotence {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(int(s.MaxInFlight)))
	}
	cl, err := w.client(name, opts...)
	if err != nil {
		return nil, err
	}
	p := &producer{workload: w, group: group, client: cl, number: number, index: index, random: rand.New(rand.NewPCG(w.seed, uint64(number)))}
	for t := range w.scenario.Topics {
		if w.scenario.Topics[t].Name == group.Topic {
			p.topic, p.partitions = int32(t), w.scenario.Topics[t].Partitions
			p.grown = w.scenario.PartitionsAtEnd(&w.scenario.Topics[t])
		}
	}
	if group.Keys.Distribution == "zipf" {
		p.zipf = zipf(group.Keys.Cardinality, float64(group.Keys.Exponent)/100)
	}
	return p, nil
}

// zipf returns the cumulative shares of keys whose weight falls with their rank.
func zipf(cardinality int64, exponent float64) []float64 {
	out, total := make([]float64, cardinality), 0.0
	for i := range out {
		total += math.Pow(float64(i+1), -exponent)
		out[i] = total
	}
	return out
}

// next chooses the next record's key, -1 for none, and where it goes: by its key,
// or in turn.
func (p *producer) next() (index int32, key int64) {
	for p.partitions < p.grown {
		if leader, _, err := p.client.PartitionLeader(p.group.Topic, int32(p.partitions)); leader < 0 || err != nil {
			break // not added yet, or the client has not heard of it
		}
		p.partitions++
	}
	k := &p.group.Keys
	switch k.Distribution {
	case "none":
		return int32(p.sent % p.partitions), -1
	case "sequential":
		key = p.sent % k.Cardinality
	case "hot":
		if p.random.Int64N(1_000_000) >= int64(k.Share) {
			key = 1 + p.random.Int64N(max(1, k.Cardinality-1))
		}
	case "zipf":
		at := p.random.Float64() * p.zipf[len(p.zipf)-1]
		i, _ := slices.BinarySearch(p.zipf, at)
		key = int64(i)
	default:
		key = p.random.Int64N(k.Cardinality)
	}
	// Spread by a fixed mixing, as a hash of the key would.
	return int32(uint64(key) * 0x9e3779b97f4a7c15 >> 32 % uint64(p.partitions)), key
}

// rateAt is the group's rate at a moment of the load, in records a second.
func (p *producer) rateAt(t time.Duration) float64 {
	rate := float64(p.group.Rate.Count) / p.group.Rate.Per.Seconds()
	if p.group.Executor != "ramping-arrival-rate" {
		return rate
	}
	for _, stage := range p.group.Stages {
		target := float64(stage.Target.Count) / stage.Target.Per.Seconds()
		if t < stage.Duration {
			return rate + (target-rate)*float64(t)/float64(stage.Duration)
		}
		t -= stage.Duration
		rate = target
	}
	return rate
}

// run sends until the load is over and waits for the fate of all.
func (p *producer) run(ctx context.Context) {
	from, to := p.group.StartAt, p.scenario.Duration
	if p.group.For > 0 {
		to = min(to, from+p.group.For)
	}
	defer p.pending.Wait()
	if !sleep(ctx, from-p.ledger.now()) {
		return
	}
	switch p.group.Executor {
	case "constant-vus":
		p.closed(ctx, to)
	case "shared-iterations":
		share := p.group.Records / p.group.Count
		for p.sent < share && ctx.Err() == nil && p.ledger.now() < to {
			p.send(ctx, p.ledger.now())
		}
	default:
		p.open(ctx, from, to)
	}
}

// open sends each record when it is due, whatever became of those before.
func (p *producer) open(ctx context.Context, from, to time.Duration) {
	count := float64(p.group.Count)
	due := from + time.Duration(float64(p.index)/max(p.rateAt(0), 1e-9)*float64(time.Second))
	for due < to && ctx.Err() == nil {
		if wait := due - p.ledger.now(); wait > 0 {
			if !sleep(ctx, wait) {
				return
			}
		}
		p.send(ctx, due)
		rate := p.rateAt(due - from)
		if rate <= 0 {
			due += time.Millisecond
			continue
		}
		due += time.Duration(count / rate * float64(time.Second))
	}
}

// closed keeps so many records in flight, each followed by a pause.
func (p *producer) closed(ctx context.Context, to time.Duration) {
	room := make(chan struct{}, p.group.VUs)
	for range p.group.VUs {
		room <- struct{}{}
	}
	for p.ledger.now() < to {
		select {
		case <-room:
		case <-ctx.Done():
			return
		}
		p.sendThen(ctx, p.ledger.now(), func() {
			time.AfterFunc(p.group.ThinkTime, func() { room <- struct{}{} })
		})
	}
}

func (p *producer) send(ctx context.Context, intended time.Duration) { p.sendThen(ctx, intended, nil) }

func (p *producer) sendThen(ctx context.Context, intended time.Duration, then func()) {
	index, key := p.next()
	at := lin.Partition{Topic: p.topic, Index: index}
	p.sent++
	id := lin.BatchID(uint64(p.number)<<idShift | uint64(p.sent))
	i := identity{id, intended, at, lin.Keyed{Key: key, DueMillis: intended.Milliseconds(), Tombstone: p.random.Int64N(1_000_000) < int64(p.group.Tombstones)}}
	r := newRecord(int(p.group.MessageSize), &i)
	p.ledger.invoked(&i, p.group.Settings.Acks == clientconfig.AcksAll)
	p.pending.Add(1)
	// The records outlive an interruption: their fate is told all the same.
	p.client.Produce(context.WithoutCancel(ctx), r, func(r *kgo.Record, err error) {
		offset := r.Offset
		if p.group.Settings.Acks == clientconfig.AcksNone {
			offset = -1
		}
		p.ledger.answered(at, id, intended, offset, err, definite(err), !p.group.Settings.EnableIdempotence)
		if then != nil {
			then()
		}
		p.pending.Done()
	})
}

// definite tells whether a record that failed can be in no log.
func definite(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.TopicAuthorizationFailed) ||
		errors.Is(err, kgo.ErrMaxBuffered)
}

// sleep waits; it is false if everything ended meanwhile.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
