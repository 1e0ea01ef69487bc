package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// drainStallSeconds is how long the consumers may receive nothing, after the
	// last message was acknowledged, before what is missing counts as missing.
	drainStallSeconds = 10
	// catchUpMax is how far a producer may be behind at the end and still send what
	// is due: one that was only just woken has not failed to take the load.
	catchUpMax   = 500 * time.Millisecond
	periodLength = time.Second
)

// Run loads one target with a workload, once.
type Run struct {
	Workload *Workload
	Target   Target
	Repeat   int
	// Report is told of every second as it passes; nil is silence.
	Report func(*Period)
}

// running is a run in progress.
type running struct {
	*Run
	result    Result
	origin    time.Time
	window    atomic.Pointer[window] // nil before the load begins
	topics    []string
	producers []*generator
	consumers []Consumer
	ends      []*recorder // end-to-end latencies, one for each consumer
	acked     atomic.Int64
	failed    atomic.Int64
	received  atomic.Int64
	firstErr  atomic.Pointer[error]
	payloads  sync.Pool
	last      time.Duration // end of the last period, since the load began
}

// window is when messages are sent, and which of them are measured: those that
// are due between warmup and end. All count from the origin.
type window struct{ start, warmup, end time.Duration }

// measures tells whether a message that was due then belongs to the result.
func (w *window) measures(intended time.Duration) bool {
	return w != nil && intended >= w.warmup && intended < w.end
}

// Do carries the run out. An error says that it could not be; a system that lost
// or refused messages is a result that is not OK.
func (r *Run) Do(ctx context.Context) (result *Result, err error) {
	g := &running{Run: r, result: Result{Workload: r.Workload, Target: r.Target.Name(), Repeat: r.Repeat, total: newLatencies()}}
	g.payloads.New = func() any { b := make([]byte, r.Workload.MessageSize); return &b }
	name := time.Now().UnixNano()
	for i := range r.Workload.Topics {
		g.topics = append(g.topics, fmt.Sprintf("bench-%d-%d", name, i))
	}
	if err := r.Target.Prepare(ctx, g.topics, r.Workload.PartitionsPerTopic); err != nil {
		return nil, err
	}
	defer func() {
		// The topics are removed even when the run was interrupted.
		err = errors.Join(err, r.Target.Remove(context.WithoutCancel(ctx), g.topics))
	}()
	defer g.close()
	if err := g.connect(ctx); err != nil {
		return nil, err
	}
	g.load(ctx)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("interrupted: %w", err)
	}
	if err := g.drain(ctx); err != nil {
		return nil, err
	}
	if e := g.firstErr.Load(); e != nil && g.acked.Load() == 0 {
		return nil, fmt.Errorf("%s acknowledged nothing: %w", r.Target.Name(), *e)
	}
	return &g.result, nil
}

// connect starts the consumers, then the producers, which do not yet send.
func (g *running) connect(ctx context.Context) error {
	w := g.Workload
	g.origin = time.Now()
	for _, topic := range g.topics {
		for s := range w.SubscriptionsPerTopic {
			for range w.ConsumerPerSubscripton {
				c, err := g.Target.Consume(ctx, topic, fmt.Sprintf("subscription-%d", s), g.receiver())
				if err != nil {
					return fmt.Errorf("consume %s from %s: %w", topic, g.Target.Name(), err)
				}
				g.consumers = append(g.consumers, c)
			}
		}
		for range w.ProducersPerTopic {
			p := newGenerator(g, len(g.producers))
			var err error
			if p.producer, err = g.Target.Produce(topic, p.fate); err != nil {
				return fmt.Errorf("produce to %s of %s: %w", topic, g.Target.Name(), err)
			}
			g.producers = append(g.producers, p)
		}
	}
	for _, c := range g.consumers {
		if err := c.Ready(ctx); err != nil {
			return fmt.Errorf("wait for the consumers of %s: %w", g.Target.Name(), err)
		}
	}
	return nil
}

func (g *running) close() {
	for _, p := range g.producers {
		p.producer.Close()
	}
	for _, c := range g.consumers {
		c.Close()
	}
}

// now is the time since the run's origin.
func (g *running) now() time.Duration { return time.Since(g.origin) }

func (g *running) receiver() func(payload []byte) {
	end := newRecorder()
	g.ends = append(g.ends, end)
	return func(payload []byte) {
		intended, _, ok := stamps(payload)
		if !ok {
			return
		}
		g.received.Add(1)
		if g.window.Load().measures(intended) {
			end.record(g.now() - intended)
		}
	}
}

// load sends until the end, and collects a period every second.
func (g *running) load(ctx context.Context) {
	start := g.now()
	w := &window{start: start, warmup: start + g.Workload.warmup()}
	w.end = w.warmup + g.Workload.duration()
	g.window.Store(w)
	g.result.Begin = time.Now()
	var group sync.WaitGroup
	for _, p := range g.producers {
		group.Go(func() { p.run(ctx, w) })
	}
	stopped := make(chan struct{})
	go func() { group.Wait(); close(stopped) }()
	ticker := time.NewTicker(periodLength)
	defer ticker.Stop()
	for running := true; running; {
		select {
		case <-ticker.C:
		case <-stopped:
			running = false
		}
		g.period(w)
	}
	for _, p := range g.producers {
		g.result.Unsent += p.unsent
	}
}

// period closes a second.
func (g *running) period(w *window) {
	now, began := g.now(), w.start+g.last
	g.last = now - w.start
	p := Period{At: g.last, latencies: newLatencies(), Warmup: began < w.warmup}
	for _, producer := range g.producers {
		producer.publish.take(p.latencies.publish)
		producer.delay.take(p.latencies.delay)
	}
	for _, end := range g.ends {
		end.take(p.latencies.endToEnd)
	}
	r := &g.result
	acked, failed, received := g.acked.Load(), g.failed.Load(), g.received.Load()
	p.Acked, p.Failed, p.Received = acked-r.Acked, failed-r.Failed, received-r.Received
	p.Backlog = acked*int64(g.Workload.SubscriptionsPerTopic) - received
	r.Acked, r.Failed, r.Received = acked, failed, received
	if !p.Warmup && began < w.end {
		r.published += p.Acked
		r.consumed += p.Received
		r.Seconds += (now - began).Seconds()
	}
	r.total.merge(&p.latencies)
	r.Periods = append(r.Periods, p)
	if g.Report != nil {
		g.Report(&p)
	}
}

// drain waits for the fate of every message and for every acknowledged one to be
// received.
func (g *running) drain(ctx context.Context) error {
	for _, p := range g.producers {
		flush, cancel := context.WithTimeout(ctx, (deliverySeconds+drainStallSeconds)*time.Second)
		err := p.producer.Flush(flush)
		cancel()
		if err != nil {
			return fmt.Errorf("wait for the last acknowledgements of %s: %w", g.Target.Name(), err)
		}
	}
	expected := g.acked.Load() * int64(g.Workload.SubscriptionsPerTopic)
	if g.Workload.ConsumerPerSubscripton == 0 {
		expected = 0
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	last, lastAt := int64(-1), g.now()
	for {
		received := g.received.Load()
		if received >= expected || g.now()-lastAt > drainStallSeconds*time.Second {
			break
		}
		if received != last {
			last, lastAt = received, g.now()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("interrupted: %w", ctx.Err())
		}
	}
	r := &g.result
	r.Acked, r.Failed, r.Received = g.acked.Load(), g.failed.Load(), g.received.Load()
	r.Missing = max(0, expected-r.Received)
	if e := g.firstErr.Load(); e != nil {
		r.FirstError = (*e).Error()
	}
	tail := newLatencies()
	for _, p := range g.producers {
		p.publish.take(tail.publish)
		p.delay.take(tail.delay)
	}
	for _, end := range g.ends {
		end.take(tail.endToEnd)
	}
	r.total.merge(&tail)
	return nil
}

// generator sends the messages of one producer when they are due.
type generator struct {
	of             *running
	producer       Producer
	number         int
	publish, delay *recorder
	payloads       *payloads
	keys           *keys
	unsent         int64
}

func newGenerator(g *running, number int) *generator {
	return &generator{of: g, number: number, publish: newRecorder(), delay: newRecorder(),
		payloads: newPayloads(g.Workload), keys: newKeys(g.Workload.KeyDistributor, number)}
}

// run sends until the end: message i of a producer is due i intervals after the
// start, whatever became of those before it.
func (p *generator) run(ctx context.Context, w *window) {
	g, rate := p.of, int64(p.of.Workload.ProducerRate)
	producers := int64(len(g.producers))
	for i := int64(0); ctx.Err() == nil; i++ {
		now := g.now()
		intended := now
		if rate > 0 {
			// The producers take turns, so that together they are evenly spaced.
			intended = w.start + time.Duration((i*producers+int64(p.number))*int64(time.Second)/rate)
			if intended >= w.end {
				return
			}
			if now >= w.end+catchUpMax {
				p.unsent = max(0, int64((w.end-w.start).Seconds()*float64(rate))/producers-i)
				return
			}
			if intended > now {
				time.Sleep(intended - now)
				now = g.now()
			}
		} else if now >= w.end {
			return
		}
		payload := *g.payloads.Get().(*[]byte)
		p.payloads.fill(payload)
		stamp(payload, intended, now)
		p.producer.Send(p.keys.key(), payload)
	}
}

// fate is told what became of a message.
func (p *generator) fate(payload []byte, err error) {
	g := p.of
	if err != nil {
		g.failed.Add(1)
		g.firstErr.CompareAndSwap(nil, &err)
	} else {
		g.acked.Add(1)
		if intended, sent, ok := stamps(payload); ok && g.window.Load().measures(intended) {
			p.publish.record(g.now() - intended)
			p.delay.record(sent - intended)
		}
	}
	g.payloads.Put(&payload)
}
