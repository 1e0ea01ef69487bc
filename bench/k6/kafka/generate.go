package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/grafana/sobek"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.k6.io/k6/js/promises"
)

const (
	// stampBytes begin the value of a generated record: a mark and the intended
	// time of its send, nanoseconds since 1970.
	stampBytes   = 16
	stampMark    = 0x57696e6454756e6e
	generateMax  = 1 << 40
	generateSize = 16 << 20
)

// load is what generate makes.
type load struct {
	N     int64  `json:"n"`     // how many records
	Size  int    `json:"size"`  // of each value in bytes, at least 16
	Rate  int64  `json:"rate"`  // records a second; 0 is as many as are acknowledged
	Topic string `json:"topic"` // instead of the Producer's
	Keys  int    `json:"keys"`  // how many different keys; 0 is none
}

// Generated is what became of generated records; latencies are milliseconds from
// the intended send.
type Generated struct {
	Acked  int64   `js:"acked"`
	Failed int64   `js:"failed"`
	Max    float64 `js:"max"`
	First  string  `js:"error"` // what the first failed record was told
}

// reportEvery is how often generated records give k6 a sample.
const reportEvery = 100 * time.Millisecond

// Generate makes {n, size, rate} records in Go, each due at its own time, and
// returns when the fate of all is known. A record that had to wait for its turn
// has waited: its latency counts from when it was due.
func (p *Producer) Generate(config sobek.Value) (*Generated, error) {
	l, err := p.load(config)
	if err != nil {
		return nil, err
	}
	return p.generate(p.i.vu.Context(), l)
}

// GenerateAsync is Generate as a promise.
func (p *Producer) GenerateAsync(config sobek.Value) (*sobek.Promise, error) {
	l, err := p.load(config)
	if err != nil {
		return nil, err
	}
	promise, resolve, reject := promises.New(p.i.vu)
	go func() {
		g, err := p.generate(p.i.vu.Context(), l)
		if err != nil {
			reject(err)
			return
		}
		resolve(g)
	}()
	return promise, nil
}

func (p *Producer) load(config sobek.Value) (*load, error) {
	l := &load{Topic: p.cfg.Topic, Size: 100}
	if err := decode([]sobek.Value{config}, "generate", l); err != nil {
		return nil, err
	}
	switch {
	case l.N < 1 || l.N > generateMax:
		return nil, fmt.Errorf("generate: n %d is not in 1..%d", l.N, int64(generateMax))
	case l.Size < stampBytes || l.Size > generateSize:
		return nil, fmt.Errorf("generate: size %d is not in %d..%d", l.Size, stampBytes, generateSize)
	case l.Rate < 0 || l.Keys < 0:
		return nil, errors.New("generate: rate and keys must not be negative")
	case l.Topic == "":
		return nil, errors.New("generate: names no topic, and neither does the Producer")
	}
	return l, nil
}

// generation is a generate call in progress.
type generation struct {
	p       *Producer
	topic   string
	mu      sync.Mutex
	part    batch // since the last sample
	total   Generated
	longest time.Duration
	group   sync.WaitGroup
	values  sync.Pool
}

func (p *Producer) generate(ctx context.Context, l *load) (*Generated, error) {
	cl, err := p.client.get(ctx)
	if err != nil {
		return nil, err
	}
	g := &generation{p: p, topic: l.Topic}
	filler := make([]byte, l.Size)
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for i := range filler {
		filler[i] = byte(random.Uint32())
	}
	g.values.New = func() any { b := append([]byte(nil), filler...); return &b }
	keys := make([][]byte, l.Keys)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key-%d", i)
	}
	begin, reported := time.Now(), time.Now()
	for i := int64(0); i < l.N && ctx.Err() == nil; i++ {
		due := time.Now()
		if l.Rate > 0 {
			due = begin.Add(time.Duration(i * int64(time.Second) / l.Rate))
			if wait := time.Until(due); wait > 0 {
				time.Sleep(wait)
			}
		}
		r := &kgo.Record{Topic: l.Topic, Partition: anyPartition, Value: *g.values.Get().(*[]byte)}
		if l.Keys > 0 {
			r.Key = keys[random.IntN(l.Keys)]
		}
		binary.BigEndian.PutUint64(r.Value, stampMark)
		binary.BigEndian.PutUint64(r.Value[8:], uint64(due.UnixNano()))
		g.group.Add(1)
		cl.Produce(ctx, r, func(r *kgo.Record, err error) { g.fate(r, due, err) })
		if time.Since(reported) >= reportEvery {
			g.sample()
			reported = time.Now()
		}
	}
	g.group.Wait()
	g.sample()
	g.total.Max = milliseconds(g.longest)
	return &g.total, nil
}

func (g *generation) fate(r *kgo.Record, due time.Time, err error) {
	latency := time.Since(due)
	if err == nil {
		g.p.i.root.latencies.produce.record(latency)
	}
	g.part.add(r, latency, err)
	g.mu.Lock()
	if err != nil {
		g.total.Failed++
		if g.total.First == "" {
			g.total.First = err.Error()
		}
	} else {
		g.total.Acked++
		g.longest = max(g.longest, latency)
	}
	g.mu.Unlock()
	value := r.Value
	g.values.Put(&value)
	g.group.Done()
}

// sample gives k6 what came since the last one, as one batch.
func (g *generation) sample() {
	g.part.mu.Lock()
	part := batch{messages: g.part.messages, bytes: g.part.bytes, errors: g.part.errors, longest: g.part.longest}
	g.part.messages, g.part.bytes, g.part.errors, g.part.longest = 0, 0, 0, 0
	g.part.mu.Unlock()
	g.p.report(&part, g.topic)
}

// intended returns when a record was due: the stamp of a generated one, else its
// timestamp, which has milliseconds.
func intended(r *kgo.Record) time.Time {
	if len(r.Value) >= stampBytes && binary.BigEndian.Uint64(r.Value) == stampMark {
		return time.Unix(0, int64(binary.BigEndian.Uint64(r.Value[8:])))
	}
	return r.Timestamp
}
