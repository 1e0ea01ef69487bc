package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	kills     = flag.Int("kills", 4, "how often TestKillLoop kills a node")
	restarted = flag.Duration("restart-limit", 0, "how long a restart of TestKillLoop may take; 0 is not judged")
)

const loadPartitions = 6

// load produces numbered records with acks=all and idempotence until it is
// stopped, to its topics in turn, and remembers which were acknowledged.
type load struct {
	cl   *kgo.Client
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	more  sync.Cond
	acked []int
	lost  []error
}

// unacknowledgedMax bounds what the load has in flight: when the cluster stands
// still, so does the load.
const unacknowledgedMax = 500

func startLoad(t *testing.T, cl *kgo.Client, topics ...string) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{cl: cl, stop: stop, done: make(chan struct{})}
	l.more.L = &l.mu
	free := make(chan struct{}, unacknowledgedMax)
	go func() {
		defer close(l.done)
		for i := 0; ctx.Err() == nil; i++ {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return
			}
			cl.Produce(context.Background(), &kgo.Record{Topic: topics[i%len(topics)], Value: numbered(i)}, func(_ *kgo.Record, err error) {
				<-free
				l.mu.Lock()
				defer l.mu.Unlock()
				if err != nil {
					l.lost = append(l.lost, err)
				} else {
					l.acked = append(l.acked, i)
				}
				l.more.Broadcast()
			})
		}
	}()
	return l
}

// progress waits until n further records have been acknowledged.
func (l *load) progress(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for goal := len(l.acked) + n; len(l.acked) < goal && len(l.lost) == 0; {
		l.more.Wait()
	}
}

// end stops producing and waits for what is in flight.
func (l *load) end(t *testing.T) []int {
	t.Helper()
	l.stop()
	<-l.done
	if err := l.cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.lost) > 0 {
		t.Errorf("%d records were not acknowledged, the first: %v", len(l.lost), l.lost[0])
	}
	return l.acked
}

// TestKillLoop kills nodes under load, one after another, and then reads: what was
// acknowledged is there, and nothing is there twice. Half of the load goes to files
// that have their full size from the start, so that where a log ends is nowhere
// but in its records, and that are followed by others often.
func TestKillLoop(t *testing.T) {
	t.Parallel()
	c := devCluster(t)
	cl := c.client(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(time.Millisecond),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	topics := []string{"load", "preallocated"}
	c.createTopic(cl, topics[0], loadPartitions)
	c.createTopic(cl, topics[1], loadPartitions, "preallocate", "true", "segment.bytes", strconv.Itoa(preallocatedBytes), "segment.ms", "2000")
	l := startLoad(t, cl, topics...)
	random := rand.New(rand.NewPCG(1, 2))
	var slowest time.Duration
	for i := range *kills {
		l.progress(1000)
		n := c.nodes[random.IntN(len(c.nodes))]
		c.kill(n)
		l.progress(200) // without it
		took := c.restart(n)
		slowest = max(slowest, took)
		if *restarted > 0 && took > *restarted {
			t.Errorf("restart %d, of node %d, took %v", i, n.id, took)
		}
		for _, topic := range topics {
			c.awaitInSync(cl, topic)
		}
	}
	rolled := c.awaitPreallocated(topics[1])
	acked := l.end(t)
	found := c.everything(topics[0], loadPartitions)
	for value, n := range c.everything(topics[1], loadPartitions) {
		found[value] += n
	}
	lost, twice := 0, 0
	for _, i := range acked {
		switch n := found[string(numbered(i))]; {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 || len(acked) == 0 {
		t.Errorf("of %d acknowledged records %d are lost, %d are there more than once", len(acked), lost, twice)
	}
	t.Logf("%d kills, %d records acknowledged, %d lost, %d twice, slowest restart %v, %d preallocated files", *kills, len(acked), lost, twice, slowest, rolled)
}

const preallocatedBytes = 1 << 20

// awaitPreallocated returns how many segments a topic has on all nodes, once the last one
// of each partition has its full size: a recovery cuts the last one, and under load
// another follows after segment.ms.
func (c *brokers) awaitPreallocated(topic string) int {
	c.t.Helper()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	limit, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for {
		segments, short := c.preallocated(topic)
		if short == "" {
			return segments
		}
		if limit.Err() != nil {
			c.t.Fatalf("%s has not been preallocated for a minute", short)
		}
		<-poll.C
	}
}

// preallocated counts the segments of a topic on all nodes and names one that is the last
// of its partition and does not have its full size, if there is one.
func (c *brokers) preallocated(topic string) (segments int, short string) {
	c.t.Helper()
	for _, n := range c.nodes {
		for p := range loadPartitions {
			dir := filepath.Join(n.dir, "data", fmt.Sprintf("%s-%d", topic, p))
			files, err := filepath.Glob(filepath.Join(dir, "*.log"))
			if err != nil || len(files) == 0 {
				c.t.Fatalf("%s has no segments (%v)", dir, err)
			}
			segments += len(files)
			slices.Sort(files)
			last := files[len(files)-1]
			if info, err := os.Stat(last); err != nil || info.Size() != preallocatedBytes {
				short = last
			}
		}
	}
	return segments, short
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
