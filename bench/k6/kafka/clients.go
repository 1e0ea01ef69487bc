package kafka

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.k6.io/k6/js/modules"
)

const (
	// exitEvent is k6's event of the process's end; its type is internal to k6.
	exitEvent = 6
	// closeTimeout bounds what closing waits for: the last records and commits.
	closeTimeout = 10 * time.Second
)

// clients are those of all VUs: producers and admin clients of one configuration
// share one, a consumer has its own. A client connects when it is first used, so
// that the init context of a thousand VUs costs nothing, and lives until the
// test ends, since a VU cannot know whether another one still needs it.
type clients struct {
	mu     sync.Mutex
	shared map[string]*client
	all    map[*client]bool
	exit   sync.Once
}

func newClients() *clients { return &clients{shared: map[string]*client{}, all: map[*client]bool{}} }

// client is one franz-go client.
type client struct {
	brokers []string
	opts    []kgo.Opt
	once    sync.Once
	kgo     *kgo.Client
	err     error
}

// share returns the client of a configuration, named by its key.
func (c *clients) share(key string, brokers []string, opts []kgo.Opt) *client {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.shared[key]
	if cl == nil {
		cl = &client{brokers: brokers, opts: opts}
		c.shared[key] = cl
		c.all[cl] = true
	}
	return cl
}

// own returns a client that nobody else has.
func (c *clients) own(brokers []string, opts []kgo.Opt) *client {
	cl := &client{brokers: brokers, opts: opts}
	c.mu.Lock()
	c.all[cl] = true
	c.mu.Unlock()
	return cl
}

// get connects at the first call. A cluster that does not answer fails in
// seconds, and always with the same error.
func (c *client) get(ctx context.Context) (*kgo.Client, error) {
	c.once.Do(func() {
		if c.kgo, c.err = kgo.NewClient(c.opts...); c.err != nil {
			return
		}
		reach, cancel := context.WithTimeout(context.WithoutCancel(ctx), reachTimeout)
		defer cancel()
		if err := c.kgo.Ping(reach); err != nil {
			c.kgo.Close()
			c.err = fmt.Errorf("no broker answers at %s within %v: %w", strings.Join(c.brokers, ", "), reachTimeout, err)
		}
	})
	return c.kgo, c.err
}

// close ends a client that was opened: what it holds is sent, what it marked is
// committed, its group is left.
func (c *client) close() {
	c.once.Do(func() { c.err = fmt.Errorf("the client is closed") })
	if c.err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	// The test is over: what cannot be flushed or committed any more has been
	// counted as an error where it was sent.
	_ = c.kgo.Flush(ctx)
	_ = c.kgo.CommitMarkedOffsets(ctx)
	c.kgo.Close()
}

// end closes a client before the test's end.
func (c *clients) end(cl *client) {
	c.mu.Lock()
	known := c.all[cl]
	delete(c.all, cl)
	c.mu.Unlock()
	if known {
		cl.close()
	}
}

// closeAtExit closes every client, and writes the histograms, when k6 ends.
func (c *clients) closeAtExit(vu modules.VU, l *latencies) {
	c.exit.Do(func() {
		id, events := vu.Events().Global.Subscribe(exitEvent)
		global := vu.Events().Global
		go func() {
			event := <-events
			defer event.Done()
			global.Unsubscribe(id)
			c.mu.Lock()
			var group sync.WaitGroup
			for cl := range c.all {
				group.Go(cl.close)
			}
			c.all = map[*client]bool{}
			c.mu.Unlock()
			group.Wait()
			l.writeLogs()
		}()
	})
}
