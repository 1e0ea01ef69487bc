package invariant

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/record"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A cluster of three controllers and three brokers, each in a zone of its own,
// and one client that creates a topic and keeps one batch in flight to every
// partition. The client is told by the checker who leads.

const (
	testTopic      = "t"
	testPartitions = 6
	testRetry      = 300 * time.Millisecond
	testPause      = 20 * time.Millisecond // between an answer and the next batch
	clientHost     = netsim.HostID(6)
)

type cluster struct {
	world   *sim.World
	checker *Checker
	client  *producer
	min     int64
}

// plan varies a cluster.
type plan struct {
	seed      uint64
	flushEach bool
	unclean   bool
	minISR    int64
	timelines []sim.Timeline
	observers func(*cluster) []sim.Observer
	trace     io.Writer
}

func newCluster(p plan) *cluster {
	k := &cluster{min: p.minISR}
	cfg := sim.Config{Seed: p.seed, Start: 1_735_689_600_000, Timelines: p.timelines, TraceTo: p.trace}
	t := &cfg.Topology
	t.Loopback = netsim.Link{Latency: netsim.Constant(20 * time.Microsecond)}
	t.SameZone = netsim.Link{Latency: netsim.Uniform(200*time.Microsecond, 400*time.Microsecond)}
	t.CrossZone = netsim.Link{Latency: netsim.Uniform(500*time.Microsecond, 1500*time.Microsecond)}
	var voters []controller.Voter
	for i := range int32(3) {
		voters = append(voters, controller.Voter{ID: 101 + i, Host: fmt.Sprintf("c%d", i+1), Port: 9093})
	}
	inv := Config{FlushBeforeAck: p.flushEach, SweepEvery: 5_000, MinInsyncReplicas: func(string) int { return int(p.minISR) },
		UncleanElection: func(string) bool { return p.unclean }}
	for i := range int32(6) {
		b := broker.Config{ClusterID: "test", Voters: voters, Broker: testSettings(p)}
		host := netsim.Host{Zone: string(rune('a' + i%3)), Ports: []netsim.Port{{Number: 9092, Listener: edge.ListenerClient}}}
		if i < 3 {
			b.IsController, b.NodeID, host.Name = true, voters[i].ID, voters[i].Host
			host.Ports = []netsim.Port{{Number: 9093, Listener: edge.ListenerController}}
		} else {
			b.IsBroker, b.NodeID, host.Name = true, i-2, fmt.Sprintf("b%d", i-2)
		}
		b.Listeners = listener.Plain(host.Name, 9092)
		t.Hosts = append(t.Hosts, host)
		d := disk.Defaults()
		d.LoseUnsynced = true
		cfg.Hosts = append(cfg.Hosts, sim.HostConfig{Disk: &d, Cost: sim.BrokerCost(), RestartAfterExit: time.Second,
			Boot: func(info sim.BootInfo) edge.Machine {
				boot := b
				boot.Seed = info.Seed
				return broker.New(boot)
			}})
		inv.Nodes = append(inv.Nodes, Node{Host: netsim.HostID(i), Name: host.Name, ID: b.NodeID, Controller: i < 3})
	}
	t.Hosts = append(t.Hosts, netsim.Host{Name: "client", Zone: "a"})
	k.client = &producer{k: k}
	cfg.Hosts = append(cfg.Hosts, sim.HostConfig{Boot: func(sim.BootInfo) edge.Machine { return k.client }})
	k.checker = New(inv, func(h netsim.HostID) *broker.Node {
		n, _ := k.world.Machine(h).(*broker.Node)
		return n
	})
	k.checker.cfg.Events = func() uint64 { return k.world.Trace().Events() }
	cfg.Observers = []sim.Observer{k.checker}
	if p.observers != nil {
		cfg.Observers = append(p.observers(k), cfg.Observers...)
	}
	k.world = sim.New(cfg)
	return k
}

// testSettings are Kafka's, with shorter patience so that short runs see fences,
// shrinks and elections.
func testSettings(p plan) config.Broker {
	b := config.DefaultBroker()
	b.SessionTimeoutMillis, b.HeartbeatIntervalMillis = 2000, 500
	b.ReplicaLagTimeMaxMillis, b.ReplicaFetchWaitMaxMillis = 3000, 200
	b.LeaderImbalanceCheckIntervalSeconds = 5
	b.ReplicaSocketTimeoutMillis = 5000
	b.TopicDefaults.MinInsyncReplicas, b.TopicDefaults.UncleanLeaderElection = p.minISR, p.unclean
	b.TopicDefaults.SegmentBytes = 64 << 10
	if p.flushEach {
		b.TopicDefaults.FlushMessages = 1
	}
	return b
}

func (k *cluster) run(d time.Duration) { k.world.Run(k.world.Now().Add(d)) }

// end sweeps and compares everything; it returns how many batches were compared.
func (k *cluster) end() int64 {
	k.checker.Sweep()
	return k.checker.CompareContents(k.world.Disk, 1<<40)
}

// producer is the test's client.
type producer struct {
	k        *cluster
	now      clock.Instant
	dials    edge.DialID
	conns    [3]edge.ConnID // by broker id - 1
	pending  [3]edge.DialID
	wake     clock.Instant
	created  bool
	asked    bool
	count    int32
	last     int32 // correlation id
	flying   [testPartitions]flight
	epochs   [testPartitions]int16 // each partition has a producer id of its own
	next     [testPartitions]int32 // sequence
	acked    int64
	failures int64
}

type flight struct {
	correlation int32
	broker      int
	records     int32
	sequence    int32         // of the next batch, when this one is acked
	until       clock.Instant // answer or retry
}

func (c *producer) Step(ev *edge.Event, e *edge.Effects) {
	c.now = ev.Now
	switch ev.Kind {
	case edge.EventConnOpened:
		for i := range c.pending {
			if c.pending[i] == ev.Dial {
				c.conns[i], c.pending[i] = ev.Conn, 0
			}
		}
	case edge.EventConnFailed:
		for i := range c.pending {
			if c.pending[i] == ev.Dial {
				c.pending[i] = 0
			}
		}
	case edge.EventConnClosed:
		for i := range c.conns {
			if c.conns[i] == ev.Conn {
				c.lost(i)
			}
		}
	case edge.EventFrame:
		c.answered(ev)
		ev.Frame.Release()
	}
	for i := range c.conns {
		if c.conns[i] == 0 && c.pending[i] == 0 && ev.Kind == edge.EventWake {
			c.dials++
			c.pending[i] = c.dials
			e.Dials = append(e.Dials, edge.Dial{ID: c.dials, Host: fmt.Sprintf("b%d", i+1), Port: 9092})
		}
	}
	c.create(e)
	for p := range c.flying {
		c.produce(p, e)
	}
	if c.wake <= c.now {
		c.wake = c.now.Add(testPause / 2)
	}
	e.Wake = c.wake
}

func (c *producer) lost(i int) {
	c.conns[i] = 0
	for p := range c.flying {
		if c.flying[p].broker == i && c.flying[p].correlation != 0 {
			c.flying[p] = flight{until: c.now.Add(testRetry)}
		}
	}
	c.asked = c.asked && c.created
}

func (c *producer) create(e *edge.Effects) {
	if c.asked || c.conns[0] == 0 || c.now < clock.Instant(6*time.Second) {
		return
	}
	c.asked = true
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.TimeoutMillis = 4, 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = testTopic, testPartitions, 3
	req.Topics = append(req.Topics, t)
	c.send(0, req, e)
}

func (c *producer) send(i int, req kmsg.Request, e *edge.Effects) int32 {
	c.last++
	head := kmsg.NewRequestFormatter(kmsg.FormatterClientID("t")).AppendRequest(nil, req, c.last)
	e.Sends = append(e.Sends, edge.Send{Conn: c.conns[i], Head: head})
	return c.last
}

func (c *producer) produce(p int, e *edge.Effects) {
	f := &c.flying[p]
	if f.until > c.now {
		return
	}
	if f.correlation != 0 && c.conns[f.broker] != 0 {
		e.Close = append(e.Close, c.conns[f.broker])
		c.lost(f.broker)
		return
	}
	*f = flight{until: c.now.Add(testRetry)}
	reg := c.k.checker.newest.Partition(testTopic, int32(p))
	if reg == nil || reg.Leader < 1 || c.conns[reg.Leader-1] == 0 {
		return
	}
	c.created = true
	f.broker, f.until = int(reg.Leader-1), c.now.Add(5*time.Second)
	c.count++
	f.records = 1 + c.count%5
	var b record.Builder
	b.Reset(nil, record.Options{LeaderEpoch: record.NoLeaderEpoch, ProducerID: int64(1000 + p), ProducerEpoch: c.epochs[p], BaseSequence: c.next[p]})
	// Unless the answer says otherwise, the outcome is unknown and a new epoch begins.
	f.sequence, c.next[p] = c.next[p]+f.records, 0
	c.epochs[p]++
	for range f.records {
		b.Append(1_735_689_600_000+int64(c.now)/1e6, nil, fmt.Appendf(nil, "%d of %d, and some more to fill segments", c.count, p), nil)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 8, -1, 4000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = testTopic
	tp := kmsg.NewProduceRequestTopicPartition()
	tp.Partition, tp.Records = int32(p), b.Finish()
	t.Partitions = append(t.Partitions, tp)
	req.Topics = append(req.Topics, t)
	f.correlation = c.send(f.broker, req, e)
}

func (c *producer) answered(ev *edge.Event) {
	b := ev.Frame.Bytes()
	id := int32(binary.BigEndian.Uint32(b))
	for p := range c.flying {
		f := &c.flying[p]
		if f.correlation != id {
			continue
		}
		resp := kmsg.NewPtrProduceResponse()
		resp.Version = 8
		if err := resp.ReadFrom(b[4:]); err != nil || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			panic(fmt.Sprintf("produce response: %v", err))
		}
		r := &resp.Topics[0].Partitions[0]
		if r.ErrorCode != 0 {
			c.failures++
			*f = flight{until: c.now.Add(testRetry)}
			return
		}
		c.acked += int64(f.records)
		c.k.checker.Acked(testTopic, int32(p), r.BaseOffset, f.records, true, c.now)
		c.next[p] = f.sequence
		c.epochs[p]--
		*f = flight{until: c.now.Add(testPause)}
	}
}

// storm does something to a random node every so often: at most one controller
// and, unless all is set, one broker are down at a time.
type storm struct {
	rng   *rand.Rand
	next  clock.Instant
	until clock.Instant
	power bool
	all   bool
	acts  int
	busy  [6]clock.Instant // until when a node is disturbed
}

func newStorm(seed uint64, until time.Duration, power, all bool) *storm {
	return &storm{rng: rand.New(rand.NewPCG(seed, 77)), next: clock.Instant(10 * time.Second), until: clock.Instant(until), power: power, all: all}
}

func (s *storm) Next() clock.Instant { return s.next }

func (s *storm) Act(now clock.Instant, w *sim.World) {
	w.Network().Heal(1)
	w.Network().Heal(2)
	for h := range netsim.HostID(6) {
		w.Resume(h)
		if now >= s.until {
			w.Start(h, 0)
		}
	}
	if now >= s.until {
		s.next = clock.Never
		return
	}
	s.next = now.Add(time.Duration(50+s.rng.IntN(1200)) * time.Millisecond)
	h := netsim.HostID(s.rng.IntN(6))
	down := time.Duration(s.rng.IntN(6000)) * time.Millisecond
	for i := range s.busy {
		if s.busy[i] > now && (int(h) == i || (h < 3) == (i < 3) && !(s.all && h >= 3)) {
			return
		}
	}
	s.acts++
	s.busy[h] = now.Add(down + time.Duration(s.rng.IntN(2000))*time.Millisecond)
	switch what := s.rng.IntN(5); {
	case what == 0 && s.power:
		w.PowerLoss(h)
		w.Start(h, down)
	case what <= 1:
		w.Kill(h)
		w.Start(h, down)
	case what == 2:
		w.Pause(h)
		s.next = now.Add(down)
	case what == 3:
		w.Shutdown(h, down)
	case what == 4:
		var others []netsim.HostID
		for o := range clientHost + 1 {
			if o != h && s.rng.IntN(2) == 0 {
				others = append(others, o)
			}
		}
		w.Network().Cut(1, []netsim.HostID{h}, others)
		if s.rng.IntN(2) == 0 {
			w.Network().Cut(2, others, []netsim.HostID{h})
		}
		s.next = now.Add(down)
	}
}

// Goal: a healthy cluster is silent, and the checker has looked. Method: several
// kinds of storm over real brokers; then everything heals and all is compared.
func TestHealthyClusterIsSilent(t *testing.T) {
	kinds := []struct {
		name       string
		plan       plan
		power, all bool
	}{
		{"kills", plan{minISR: 2}, false, false},
		{"power", plan{minISR: 2}, true, false},
		{"flush", plan{minISR: 2, flushEach: true}, true, true},
		{"all", plan{minISR: 1}, false, true},
		{"ruin", plan{minISR: 2}, true, true}, // more is lost than Kafka can bear
		{"unclean", plan{minISR: 1, unclean: true}, true, true},
	}
	for _, kind := range kinds {
		for seed := range testSeeds() {
			t.Run(fmt.Sprintf("%s/%d", kind.name, seed), func(t *testing.T) {
				p := kind.plan
				p.seed = seed
				s := newStorm(seed, 60*time.Second, kind.power, kind.all)
				p.timelines = []sim.Timeline{s}
				k := newCluster(p)
				k.run(80 * time.Second)
				compared := k.end()
				for _, v := range k.checker.Violations() {
					t.Error(v)
				}
				t.Logf("%d acts, %d records acked, %d failures, %d events, %d checks, %d batches compared", s.acts, k.client.acked,
					k.client.failures, k.world.Trace().Events(), k.checker.Checks(), compared)
				if k.client.acked < 500 || s.acts < 5 || k.checker.Checks() < 1000 || compared < 100 {
					t.Errorf("too little happened")
				}
			})
		}
	}
}

// testSeeds is for every day; WINDTUNNEL_SEEDS asks for more.
func testSeeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("WINDTUNNEL_SEEDS"), 10, 32); err == nil {
		return n
	}
	return 2
}
