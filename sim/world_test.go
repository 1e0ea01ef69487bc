package sim

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// stormy runs the echo machines through every fault and returns the world.
func stormy(seed uint64, span time.Duration, change func(*Config)) (*World, *echoFaults) {
	cfg := echoWorld(seed, 6, 3, 200)
	f := newEchoFaults(seed, 6)
	cfg.Timelines = []Timeline{f}
	if change != nil {
		change(&cfg)
	}
	w := New(cfg)
	w.Run(clock.Instant(span))
	return w, f
}

func echoes(w *World) (total, wrong int) {
	for h := range w.Hosts() {
		if c, ok := w.Machine(netsim.HostID(h)).(*echoClient); ok {
			total += c.echoes
			wrong += c.wrong
		}
	}
	return total, wrong
}

// Goal: the same seed gives the same run, whatever is watched or written on
// the way; another seed gives another. Method: 20 seconds of every fault.
func TestSameSeedSameHash(t *testing.T) {
	const span = 20 * time.Second
	a, f := stormy(7, span, nil)
	for what, n := range f.done[:12] {
		if n == 0 {
			t.Errorf("fault %d never happened", what)
		}
	}
	if total, wrong := echoes(a); total < 3_000 || wrong > 0 {
		t.Errorf("%d echoes, %d of them wrong", total, wrong)
	}
	var text bytes.Buffer
	b, _ := stormy(7, span, func(c *Config) {
		c.TraceTo = &text
		c.Observers = []Observer{&counter{}}
	})
	if a.Trace().Hash() != b.Trace().Hash() || a.Trace().Events() != b.Trace().Events() {
		t.Errorf("hash %x after %d events, the second time %x after %d", a.Trace().Hash(), a.Trace().Events(),
			b.Trace().Hash(), b.Trace().Events())
	}
	if text.Len() == 0 {
		t.Error("no trace was written")
	}
	c, _ := stormy(8, span, nil)
	if a.Trace().Hash() == c.Trace().Hash() {
		t.Error("another seed gives the same hash")
	}
}

type counter struct{ steps, changes int }

func (c *counter) Stepped(_ clock.Instant, _ netsim.HostID, ev *edge.Event, _ *edge.Effects) {
	c.steps++
	if ev.Frame != nil {
		_ = ev.Frame.Bytes()[0] // must still be readable
	}
}
func (c *counter) Changed(clock.Instant, netsim.HostID, State, string) { c.changes++ }

const childVariable = "WINDTUNNEL_ECHO_CHILD"

// Goal: neither the process nor its number of threads changes a run. Method:
// this test starts its own binary with GOMAXPROCS 1 and 2.
func TestHashInOtherProcesses(t *testing.T) {
	if os.Getenv(childVariable) != "" {
		w, _ := stormy(99, 5*time.Second, nil)
		fmt.Printf("hash %016x after %d events\n", w.Trace().Hash(), w.Trace().Events())
		return
	}
	var lines []string
	for _, procs := range []string{"1", "2", "1"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHashInOtherProcesses$", "-test.v")
		cmd.Env = append(os.Environ(), childVariable+"=1", "GOMAXPROCS="+procs)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "hash ") {
				lines = append(lines, line)
			}
		}
	}
	w, _ := stormy(99, 5*time.Second, nil)
	here := fmt.Sprintf("hash %016x after %d events\n", w.Trace().Hash(), w.Trace().Events())
	if diff := cmp.Diff([]string{here, here, here}, lines); diff != "" {
		t.Fatal(diff)
	}
}

// Goal: a short run reads as a story. Method: one server, one client, and in
// each file of testdata what happens to the server.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		var w *World
		var text bytes.Buffer
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			text.Reset()
			var micros int64
			td.MaybeScanArgs(t, "micros", &micros)
			d := time.Duration(micros) * time.Microsecond
			switch td.Cmd {
			case "new":
				cfg := echoWorld(1, 1, 1, 40)
				cfg.TraceTo = &text
				for i := range cfg.Hosts {
					if c := cfg.Hosts[i].Disk; c != nil {
						c.Spread = nil
					}
				}
				link := netsim.Link{Latency: netsim.Constant(time.Millisecond)}
				cfg.Topology.SameZone, cfg.Topology.CrossZone = link, link
				w = New(cfg)
			case "run":
				w.Run(w.Now().Add(d))
			case "kill":
				w.Kill(0)
			case "powerloss":
				w.PowerLoss(0)
			case "start":
				w.Start(0, d)
			case "pause":
				w.Pause(0)
			case "resume":
				w.Resume(0)
			case "shutdown":
				w.Shutdown(0, d)
			case "drift":
				w.SetClockDrift(1, -500_000, 0)
			case "error":
				w.Disk(0).SetError(disk.AllKinds, edge.ErrIO, 1_000_000)
			default:
				t.Fatalf("unknown command %s", td.Cmd)
			}
			return text.String()
		})
	})
}

// sleeper wakes every millisecond and writes down when.
type sleeper struct{ seen []string }

func (s *sleeper) Step(ev *edge.Event, e *edge.Effects) {
	s.seen = append(s.seen, fmt.Sprintf("%d at %v", ev.Kind, ev.Now))
	e.Wake = ev.Now.Add(time.Millisecond)
}

// Goal: a drifting machine wakes by its own clock, a pause delays the wake-up
// and does not lose it.
func TestWakeFollowsTheNodesClock(t *testing.T) {
	s := &sleeper{}
	w := New(Config{Topology: netsim.Topology{Hosts: []netsim.Host{{Name: "a"}}},
		Hosts: []HostConfig{{Boot: func(BootInfo) edge.Machine { return s }}}})
	w.Run(1e6)
	w.SetClockDrift(0, -500_000, 0) // half as fast
	w.Run(3e6)
	w.Pause(0)
	w.Run(10e6)
	w.Resume(0)
	w.Run(12e6)
	want := []string{"1 at 0s", "2 at 1ms", "2 at 2ms", "2 at 5.5ms", "2 at 6.5ms"}
	if diff := cmp.Diff(want, s.seen); diff != "" {
		t.Fatal(diff)
	}
}

// Goal: the cost of processing limits what a machine consumes, in order.
func TestCostIsAServerWithAQueue(t *testing.T) {
	cfg := echoWorld(5, 1, 12, 100)
	cfg.Hosts[0].Cost = Cost{Frame: time.Millisecond}
	frames := 0
	cfg.Observers = []Observer{onFrame(func(h netsim.HostID) {
		if h == 0 {
			frames++
		}
	})}
	w := New(cfg)
	w.Run(2e9)
	if frames < 1800 || frames > 2000 {
		t.Fatalf("%d frames of 1 ms in 2 s", frames)
	}
	w.SetStress(0, 750_000)
	frames = 0
	w.Run(4e9)
	if frames < 450 || frames > 500 {
		t.Fatalf("%d frames of 1 ms in 2 s with a quarter of the processor", frames)
	}
	if _, wrong := echoes(w); wrong > 0 {
		t.Fatalf("%d wrong echoes", wrong)
	}
}

type onFrame func(netsim.HostID)

func (f onFrame) Stepped(_ clock.Instant, h netsim.HostID, ev *edge.Event, _ *edge.Effects) {
	if ev.Kind == edge.EventFrame {
		f(h)
	}
}
func (f onFrame) Changed(clock.Instant, netsim.HostID, State, string) {}

// Goal: checkpoints stay few, keep their meaning, and find a difference.
func TestCheckpoints(t *testing.T) {
	run := func(poison uint64) *Trace {
		tr := newTrace(1, false)
		tr.interval = 1
		ev, e := edge.Event{Kind: edge.EventWake}, edge.Effects{}
		for i := range uint64(20_000) {
			e.Reset()
			if i == poison {
				e.Wake = 5
			}
			tr.arrived(clock.Instant(i), 0, &ev)
			tr.answered(clock.Instant(i), 0, &e)
		}
		return &tr
	}
	a, b := run(1<<40), run(13_000)
	if n := len(a.Checkpoints()); n >= checkpointsMax || n < checkpointsMax/4 {
		t.Fatalf("%d checkpoints", n)
	}
	same, differ, ok := FirstDifference(a.Checkpoints(), b.Checkpoints())
	if !ok || same.Events > 13_000 || differ.Events <= 13_000 || differ.Events-same.Events != a.interval {
		t.Fatalf("difference between %v and %v, %v", same, differ, ok)
	}
	if _, _, ok := FirstDifference(a.Checkpoints(), run(1<<40).Checkpoints()); ok {
		t.Fatal("equal runs differ")
	}
}

// Goal: streams are independent of each other and of the order of their use.
func TestStreams(t *testing.T) {
	seen := map[uint64]string{}
	for _, seed := range []Streams{1, 2} {
		for _, name := range []string{"network", "disk", "faults", "a", "aa"} {
			for n := range 3 {
				id := fmt.Sprint(seed, name, n)
				s := seed.Seed(name, n)
				if old, ok := seen[s]; ok {
					t.Fatalf("%s and %s have the same seed", id, old)
				}
				seen[s] = id
			}
		}
	}
}

// Nine machines in three zones; one event is one step of a machine.
func BenchmarkEcho(b *testing.B) {
	for _, length := range []int{100, 10_000} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			w := New(echoWorld(1, 6, 3, length))
			w.Run(1e9)
			b.ReportAllocs()
			b.ResetTimer()
			start := w.Trace().Events()
			for w.Trace().Events()-start < uint64(b.N) {
				w.StepOne()
			}
		})
	}
}

// pinger sends what it gets, wakes, and writes to its disk, in memory of its own.
type pinger struct {
	peer   string
	conn   edge.ConnID
	head   [104]byte
	data   [1]edge.Slice
	offset int64
}

func (p *pinger) Step(ev *edge.Event, e *edge.Effects) {
	e.Wake = ev.Now.Add(time.Millisecond)
	switch ev.Kind {
	case edge.EventBoot:
		e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpOpen, File: 1, Path: "f"})
		if p.peer != "" {
			e.Dials = append(e.Dials, edge.Dial{ID: 1, Host: p.peer, Port: 1})
		}
	case edge.EventConnOpened:
		p.conn = ev.Conn
		p.head[3] = byte(len(p.head) - 4)
		if p.peer != "" {
			e.Sends = append(e.Sends, edge.Send{Conn: p.conn, Head: p.head[:]})
		}
	case edge.EventFrame:
		p.data[0] = ev.Frame.All() // now the disk's
		e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpWrite, File: 1, Offset: p.offset, Data: p.data[:]})
		if p.offset += int64(ev.Frame.Len()); p.offset > 10_000 {
			p.offset = 0
			e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpTruncate, File: 1}, edge.DiskOp{Kind: edge.OpSync, File: 1})
		}
		e.Disk = append(e.Disk, edge.DiskOp{Kind: edge.OpRead, File: 1, Length: 50})
		e.Sends = append(e.Sends, edge.Send{Conn: p.conn, Head: p.head[:]})
	case edge.EventDisk:
		if ev.Disk.Data != nil {
			ev.Disk.Data.Release()
		}
	}
}

// Goal: the kernel, the network and the disk allocate nothing per event.
func TestSteadyStateAllocates(t *testing.T) {
	cfg := echoWorld(1, 2, 0, 0)
	for i, peer := range []string{"server-1", ""} {
		cfg.Topology.Hosts[i].Ports = []netsim.Port{{Number: 1}}
		cfg.Hosts[i].Boot = func(BootInfo) edge.Machine { return &pinger{peer: peer} }
	}
	w := New(cfg)
	w.Run(10e9)
	before := w.Trace().Events()
	allocs := testing.AllocsPerRun(5, func() { w.Run(w.Now().Add(time.Second)) })
	events := (w.Trace().Events() - before) / 6
	if events < 1000 || allocs > 1 {
		t.Fatalf("%v allocations in %d events", allocs, events)
	}
}

// Goal: what has no effect has none, and states follow the table of State.
func TestStates(t *testing.T) {
	w := New(echoWorld(3, 1, 1, 100))
	expect := func(want State, boots int) {
		t.Helper()
		w.Run(w.Now().Add(2 * time.Second))
		if w.State(0) != want || w.Boots(0) != boots {
			t.Fatalf("%v after %d boots, want %v after %d", w.State(0), w.Boots(0), want, boots)
		}
	}
	expect(Running, 1)
	w.Start(0, 0)
	w.Resume(0)
	expect(Running, 1)
	w.Pause(0)
	w.Pause(0)
	w.Start(0, 0)
	expect(Paused, 1)
	w.Kill(0)
	w.Kill(0)
	w.Pause(0)
	w.Resume(0)
	w.Shutdown(0, 0)
	expect(Exited, 1)
	w.PowerLoss(0)
	w.PowerLoss(0)
	w.Kill(0)
	expect(Off, 1)
	w.Start(0, time.Second)
	expect(Running, 2)
	w.Pause(0)
	w.Shutdown(0, 0) // zero: stays down
	w.Resume(0)
	expect(Exited, 2)
	w.Start(0, 0)
	w.PowerLoss(0) // before the process has started
	expect(Off, 2)
	w.Start(0, 0)
	w.Run(w.Now().Add(time.Second))
	w.Shutdown(0, -1) // as configured: a second later
	expect(Running, 4)
	w.LoseDisk(0)
	expect(Exited, 4)
	if used := w.Disk(0).UsedBytes(); used != 0 {
		t.Fatalf("%d bytes on a lost disk", used)
	}
}
