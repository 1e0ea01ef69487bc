package sim

import (
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

// Start starts a host's process after a delay, with power if it was off. The
// new process knows nothing but its disk. It has no effect on a host whose
// process runs or is paused.
func (w *World) Start(h netsim.HostID, after time.Duration) {
	x := &w.hosts[h]
	if x.state == Running || x.state == Paused || x.cfg.Boot == nil {
		return
	}
	x.startAt = w.Now().Add(after)
	w.machineMoved(x)
}

// Shutdown asks a running process for a controlled shutdown (SIGTERM). Once it
// has stopped, it is started again after restart; a negative restart means
// HostConfig.RestartAfterExit.
func (w *World) Shutdown(h netsim.HostID, restart time.Duration) {
	x := &w.hosts[h]
	if x.state != Running && x.state != Paused {
		return
	}
	w.happened(x, "shutdown")
	x.shutdown = restart
	ev := edge.Event{Kind: edge.EventShutdown}
	x.inbox.push(w.Now(), &ev)
	w.machineMoved(x)
}

// Kill ends a host's process at once (SIGKILL). The page cache survives, the
// kernel closes the connections. The host stays down until Start.
func (w *World) Kill(h netsim.HostID) {
	x := &w.hosts[h]
	if x.state == Running || x.state == Paused {
		w.exit(w.Now(), x, "killed", 0)
	}
}

// PowerLoss takes a host's power: what is not on stable storage is lost, peers
// hear nothing. The host stays off until Start.
func (w *World) PowerLoss(h netsim.HostID) {
	x := &w.hosts[h]
	if x.state == Off {
		return
	}
	now := w.Now()
	w.forgetProcess(x)
	if x.disk != nil {
		x.disk.PowerLoss()
		w.diskMoved(x)
	}
	w.net.HostDown(now, h, netsim.PowerLoss)
	w.networkMoved()
	w.change(now, x, Off, "power loss")
}

// LoseDisk replaces a host's disk by an empty one. A running process is killed
// first: it would not survive the loss of its files.
func (w *World) LoseDisk(h netsim.HostID) {
	x := &w.hosts[h]
	w.Kill(h)
	if x.disk != nil {
		x.disk.Lose()
		w.diskMoved(x)
		w.happened(x, "disk lost")
	}
}

// RestoreDisk replaces a host's disk by an earlier copy of it. A running process is
// killed first, as by LoseDisk.
func (w *World) RestoreDisk(h netsim.HostID, b *disk.Backup) {
	x := &w.hosts[h]
	w.Kill(h)
	x.disk.Restore(b)
	w.diskMoved(x)
	w.happened(x, "disk restored")
}

// Pause stops a process without its noticing (SIGSTOP, a long pause of a
// garbage collector or a hypervisor). Its kernel goes on: what arrives waits.
func (w *World) Pause(h netsim.HostID) {
	x := &w.hosts[h]
	if x.state == Running {
		x.startAt = clock.Never
		w.change(w.Now(), x, Paused, "paused")
		w.machineMoved(x)
	}
}

// Resume ends a pause. What has arrived meanwhile, and a wake-up that was due,
// are consumed in the order in which they came.
func (w *World) Resume(h netsim.HostID) {
	x := &w.hosts[h]
	if x.state == Paused {
		x.busyUntil = max(x.busyUntil, w.Now())
		w.change(w.Now(), x, Running, "resumed")
		w.machineMoved(x)
	}
}

// Wake lets a process that has been told something from outside have a step
// soon, as a signal would.
func (w *World) Wake(h netsim.HostID) {
	x := &w.hosts[h]
	x.wish, x.wake = x.clock.Now(w.Now()), w.Now()
	w.machineMoved(x)
}

// BumpClock moves a host's wall clock by d. Monotonic time is untouched.
func (w *World) BumpClock(h netsim.HostID, d time.Duration) {
	w.hosts[h].clock.Bump(d)
	w.happened(&w.hosts[h], "clock bumped by "+d.String())
}

// StressMaxPPM is the largest share of a processor that others may take.
const StressMaxPPM = 999_000

// SetStress lets others take a share of a host's processor, in parts per million,
// at most StressMaxPPM; zero gives all of it back. A new process does not change it.
func (w *World) SetStress(h netsim.HostID, sharePPM int64) {
	if sharePPM < 0 || sharePPM > StressMaxPPM {
		panic(fmt.Sprintf("sim: stress of %d parts per million is not within [0, %d]", sharePPM, StressMaxPPM))
	}
	w.hosts[h].stress = sharePPM
	w.happened(&w.hosts[h], fmt.Sprintf("%d ppm of its processor are taken", sharePPM))
}

// SetClockDrift changes the rates of a host's clocks, in parts per million.
func (w *World) SetClockDrift(h netsim.HostID, monoPPM, wallPPM int32) {
	x := &w.hosts[h]
	x.clock.SetDrift(w.Now(), monoPPM, wallPPM)
	x.wake = x.clock.True(x.wish)
	w.happened(x, "clock drifts")
	w.machineMoved(x)
}

// SetClockStrobe makes a host's wall clock flip to and fro.
func (w *World) SetClockStrobe(h netsim.HostID, s clock.Strobe) {
	w.hosts[h].clock.SetStrobe(s)
	w.happened(&w.hosts[h], "clock strobes")
}

// Clock returns a host's clock, to read it.
func (w *World) Clock(h netsim.HostID) *clock.NodeClock { return w.hosts[h].clock }

// Note puts what a timeline does to the network or to a disk into the trace.
func (w *World) Note(what string) { w.trace.happened(w.Now(), -1, what) }

// diskMoved follows what a crash has done to a disk's operations. Latency, errors
// and corruption move none.
func (w *World) diskMoved(x *host) { w.queue.Set(sourceDisk(x.id), x.disk.Next()) }

// boot starts a new process.
func (w *World) boot(now clock.Instant, x *host) {
	if x.state == Off {
		w.net.HostUp(now, x.id)
	}
	x.startAt, x.shutdown = clock.Never, -1
	x.boots++
	x.machine = x.cfg.Boot(BootInfo{Host: x.id, Name: x.name, Number: x.boots,
		Seed: w.streams.Seed(x.name, x.boots)})
	if m, ok := x.machine.(edge.Inspected); ok {
		x.inspector, x.verdict, x.opinion = m.NewInspector(), nil, nil
	}
	x.busyUntil = now
	w.net.SetListening(x.id, true)
	w.change(now, x, Running, "started")
	w.networkMoved()
	w.event = edge.Event{Kind: edge.EventBoot}
	w.consume(now, x)
}

// exit is the end of a process while its kernel lives on. Zero keeps it down.
func (w *World) exit(now clock.Instant, x *host, why string, restart time.Duration) {
	w.forgetProcess(x)
	if x.disk != nil {
		x.disk.Kill()
		w.diskMoved(x)
	}
	w.net.SetListening(x.id, false)
	w.net.HostDown(now, x.id, netsim.Killed)
	w.networkMoved()
	w.change(now, x, Exited, why)
	if restart > 0 {
		x.startAt = now.Add(restart)
		w.machineMoved(x)
	}
}

func (w *World) forgetProcess(x *host) {
	x.inbox.clear()
	x.machine, x.inspector = nil, nil
	x.wish, x.wake, x.startAt = clock.Never, clock.Never, clock.Never
	w.queue.Set(sourceMachine(x.id), clock.Never)
}

func (w *World) change(now clock.Instant, x *host, s State, why string) {
	x.state = s
	w.trace.happened(now, x.id, why)
	for _, o := range w.cfg.Observers {
		o.Changed(now, x.id, s, why)
	}
}

func (w *World) happened(x *host, what string) { w.trace.happened(w.Now(), x.id, what) }
