package sim

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// echoServer writes every request to its file and echoes it when the write has
// ended; every syncEvery-th write is synced before. It counts over its disk: a
// new boot goes on where the file ends.
type echoServer struct {
	size    int64
	waiting []echoWait // in the order of the disk's queue
	head    int
	ready   bool
	early   []echoWait
	writes  int
}

type echoWait struct {
	conn  edge.ConnID
	frame *edge.Buffer
}

const (
	echoFile    = edge.FileID(1)
	echoFileMax = 1 << 20 // the file starts over, so that memory is bounded
	syncEvery   = 50
)

func (s *echoServer) Step(ev *edge.Event, e *edge.Effects) {
	switch ev.Kind {
	case edge.EventBoot:
		e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpOpen, File: echoFile, Path: "log"}, edge.DiskOp{Kind: edge.OpSyncDir})
	case edge.EventFrame:
		w := echoWait{ev.Conn, ev.Frame}
		if !s.ready {
			s.early = append(s.early, w)
			return
		}
		s.write(w, e)
	case edge.EventShutdown:
		e.Stopped = true
	case edge.EventDisk:
		s.ended(&ev.Disk, e)
	}
}

func (s *echoServer) write(w echoWait, e *edge.Effects) {
	s.waiting = append(s.waiting, w)
	if s.size > echoFileMax {
		s.size = 0
		e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpTruncate, File: echoFile}, edge.DiskOp{Kind: edge.OpSync, File: echoFile})
	}
	e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpWrite, File: echoFile, Offset: s.size, Data: []edge.Slice{w.frame.Retain().All()}})
	s.size += int64(w.frame.Len())
	if s.writes++; s.writes%syncEvery == 0 {
		e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpSync, File: echoFile})
	}
}

func (s *echoServer) ended(r *edge.DiskResult, e *edge.Effects) {
	if r.Err != edge.DiskOK {
		e.Halt = fmt.Sprintf("%v: %v", r.Op, r.Err)
		return
	}
	switch r.Op {
	case edge.OpOpen:
		s.size = r.Length
	case edge.OpSyncDir:
		s.ready = true
		for _, w := range s.early {
			s.write(w, e)
		}
		s.early = nil
	case edge.OpWrite:
		w := s.waiting[s.head]
		s.head++
		if s.head == len(s.waiting) {
			s.waiting, s.head = s.waiting[:0], 0
		}
		head := make([]byte, 0, 4)
		head = binary.BigEndian.AppendUint32(head, uint32(w.frame.Len()))
		// The frame travels without a copy; it was ours and is the host's now.
		e.Sends = append(e.Sends, edge.Send{Conn: w.conn, Head: head, Body: []edge.Slice{w.frame.All()}, Pieces: []int32{4}})
	}
}

// echoClient keeps one request in flight to every server and gives up on a
// connection that does not answer.
type echoClient struct {
	peers  []echoPeer
	length int
	dials  edge.DialID
	now    clock.Instant
	echoes int
	wrong  int
}

type echoPeer struct {
	name     string
	dial     edge.DialID
	conn     edge.ConnID
	sent     uint64
	deadline clock.Instant // of the request; without a connection: of the next attempt
}

const (
	echoTimeout = 500 * time.Millisecond
	echoBackoff = 50 * time.Millisecond
)

func (c *echoClient) Step(ev *edge.Event, e *edge.Effects) {
	c.now = ev.Now
	switch ev.Kind {
	case edge.EventConnOpened:
		for i := range c.peers {
			if p := &c.peers[i]; p.dial == ev.Dial && p.conn == 0 {
				p.conn = ev.Conn
				c.send(p, e)
			}
		}
	case edge.EventConnFailed:
		for i := range c.peers {
			if p := &c.peers[i]; p.dial == ev.Dial {
				p.dial, p.deadline = 0, c.now.Add(echoBackoff)
			}
		}
	case edge.EventConnClosed:
		for i := range c.peers {
			if p := &c.peers[i]; p.conn == ev.Conn {
				p.conn, p.dial, p.deadline = 0, 0, c.now.Add(echoBackoff)
			}
		}
	case edge.EventFrame:
		for i := range c.peers {
			if p := &c.peers[i]; p.conn == ev.Conn {
				b := ev.Frame.Bytes()
				if len(b) != c.length || binary.BigEndian.Uint64(b[len(b)-8:]) != p.sent {
					c.wrong++
				}
				c.echoes++
				c.send(p, e)
			}
		}
		ev.Frame.Release()
	}
	e.Wake = clock.Never
	for i := range c.peers {
		p := &c.peers[i]
		if p.deadline <= c.now {
			if p.conn != 0 {
				e.Close = append(e.Close, p.conn)
			}
			c.dials++
			p.conn, p.dial, p.deadline = 0, c.dials, c.now.Add(echoTimeout)
			e.Dials = append(e.Dials, edge.Dial{ID: p.dial, Host: p.name, Port: 9092})
		}
		e.Wake = min(e.Wake, p.deadline)
	}
}

func (c *echoClient) send(p *echoPeer, e *edge.Effects) {
	p.sent++
	p.deadline = c.now.Add(echoTimeout)
	head := make([]byte, 4+c.length)
	binary.BigEndian.PutUint32(head, uint32(c.length))
	binary.BigEndian.PutUint32(head[4:], 18<<16|3) // reads as an ApiVersions request in traces
	binary.BigEndian.PutUint64(head[len(head)-8:], p.sent)
	e.Sends = append(e.Sends, edge.Send{Conn: p.conn, Head: head})
}

// echoWorld has servers and clients spread over three zones.
func echoWorld(seed uint64, servers, clients, length int) Config {
	cfg := Config{Seed: seed, Start: 1_700_000_000_000}
	t := &cfg.Topology
	t.Loopback = netsim.Link{Latency: netsim.Constant(20 * time.Microsecond)}
	t.SameZone = netsim.Link{Latency: netsim.Lognormal(150*time.Microsecond, 400*time.Microsecond)}
	t.CrossZone = netsim.Link{Latency: netsim.Lognormal(600*time.Microsecond, 1500*time.Microsecond)}
	var names []string
	for i := range servers {
		names = append(names, fmt.Sprintf("server-%d", i))
	}
	for i := range servers + clients {
		zone := string(rune('a' + i%3))
		if i < servers {
			d := disk.Defaults()
			t.Hosts = append(t.Hosts, netsim.Host{Name: names[i], Zone: zone,
				Ports: []netsim.Port{{Number: 9092, Listener: edge.ListenerClient}}})
			cfg.Hosts = append(cfg.Hosts, HostConfig{Disk: &d, Cost: BrokerCost(), RestartAfterExit: time.Second,
				Boot: func(BootInfo) edge.Machine { return &echoServer{} }})
			continue
		}
		t.Hosts = append(t.Hosts, netsim.Host{Name: fmt.Sprintf("client-%d", i-servers), Zone: zone})
		cfg.Hosts = append(cfg.Hosts, HostConfig{Boot: func(BootInfo) edge.Machine {
			c := &echoClient{length: length}
			for _, n := range names {
				c.peers = append(c.peers, echoPeer{name: n})
			}
			return c
		}})
	}
	return cfg
}

// echoFaults does everything that can be done to a host, at random.
type echoFaults struct {
	next    clock.Instant
	random  interface{ Uint64() uint64 }
	servers int
	done    [16]int
}

func newEchoFaults(seed uint64, servers int) *echoFaults {
	return &echoFaults{next: 1e9, servers: servers, random: Streams(seed).New("faults", 0)}
}

func (f *echoFaults) Next() clock.Instant { return f.next }

func (f *echoFaults) Act(now clock.Instant, w *World) {
	f.next = now.Add(time.Duration(50+f.random.Uint64()%200) * time.Millisecond)
	h := netsim.HostID(f.random.Uint64() % uint64(f.servers))
	all := make([]netsim.HostID, w.Hosts())
	for i := range all {
		all[i] = netsim.HostID(i)
	}
	what := f.random.Uint64() % 12
	f.done[what]++
	switch what {
	case 0:
		w.Kill(h)
		w.Start(h, 100*time.Millisecond)
	case 1:
		w.PowerLoss(h)
		w.Start(h, 300*time.Millisecond)
	case 2:
		w.Pause(h)
	case 3, 4:
		w.Resume(h)
	case 5:
		w.Shutdown(h, 50*time.Millisecond)
	case 6:
		w.BumpClock(h, -time.Hour)
		w.SetClockDrift(h, int32(f.random.Uint64()%2000)-1000, 0)
	case 7:
		if !w.Network().Heal(1) {
			w.Network().Cut(1, all[h:h+1], all) // one way
		}
		w.Note("cut or healed")
	case 8:
		w.LoseDisk(h)
		w.Start(h, 0)
	case 9:
		w.Disk(h).SetError(disk.KindsOf(edge.OpSync), edge.ErrIO, 100_000)
	case 10:
		w.Disk(h).SetError(0, 0, 0)
		w.Disk(h).SetLatency(disk.AllKinds, time.Millisecond)
	case 11:
		w.Network().ResetConnections(now, all[h:h+1], all)
		w.Disk(h).SetLatency(0, 0)
	}
}
