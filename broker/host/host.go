// Package host drives one machine of the core (a broker, a controller, or both)
// with the real world: TCP, TLS, files and the system's clock.
//
// One goroutine at a time calls Step and performs the effects: whoever has the
// turn. Readers and writers of connections, dialers and disk workers hand over
// what they have through one inbox; if nobody has the turn, they take it. The package knows no Kafka: it carries length-prefixed frames and disk
// operations. It never decides anything that a machine could decide.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Config is what a host needs to know before it drives a machine.
type Config struct {
	Dir       string // data directory; it exists
	Listeners []Listener
	// Security holds what is not sent in plain text, by the machine's number of
	// the listener: of those above, and of other nodes' that it dials.
	Security map[edge.Listener]*Security
	Limits   Limits
	Logger   *slog.Logger
	// Clock is nil for the system's.
	Clock clock.Clock
}

// Listener is an address on which the host accepts connections.
type Listener struct {
	Number edge.Listener // what the machine knows it by
	Name   string        // for logs
	Socket net.Listener  // bound by the caller, who thereby knows its port; closed by the host
}

// Host is one process's side of a machine. It is made by Open, runs once, and
// is then spent.
type Host struct {
	cfg    Config
	limits Limits
	log    *slog.Logger
	clock  clock.Clock
	unlock func() error
	inbox  inbox
	disk   *disk
	// buffers is what frames and disk reads are read into. Fresh memory would be
	// cleared by the collector and mapped by the kernel before it is overwritten,
	// which costs more than reading does.
	buffers *edge.Pool
	memory  *budget
	unread  atomic.Int64 // bytes that clients have not taken yet
	doors   *doors
	tracked tracker
	machine edge.Machine
	// inspectors are those that no reader uses; nil if the machine has none.
	inspectors chan edge.Inspector

	// turn is held by whoever drives the machine. What follows is of the turn alone.
	turn     sync.Mutex
	round    round
	effects  edge.Effects
	event    edge.Event
	conns    map[edge.ConnID]*connection
	dirty    []*connection // have something to write since the last round
	wake     clock.Instant
	timer    *time.Timer
	armed    clock.Instant // what the timer is set for
	last     clock.Instant
	stopping bool
	ended    bool
	failure  error // why it has ended, nil after a controlled shutdown

	dialing context.Context // ends when the host stops
	giveUp  context.CancelFunc
	tasks   sync.WaitGroup // goroutines of listeners, connections and dials
}

// ErrHalted is wrapped by the error of a machine that ended its process because
// it could not go on, as a broker does whose log directory fails.
var ErrHalted = errors.New("halted")

// ErrForced is the error of a shutdown that did not end by itself.
var ErrForced = errors.New("shutdown was cut short")

// Open takes the data directory for this process. Nothing is accepted or read
// before Run.
func Open(cfg Config) (*Host, error) {
	unlock, err := LockDirectory(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.NewSystem()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	h := &Host{
		cfg: cfg, limits: cfg.Limits.orDefaults(), log: cfg.Logger, clock: cfg.Clock, unlock: unlock,
		conns: make(map[edge.ConnID]*connection), wake: clock.Never, armed: clock.Never, timer: time.NewTimer(time.Hour),
	}
	h.inbox.init()
	h.tracked = tracker{open: make(map[*connection]struct{}), empty: make(chan struct{})}
	h.memory = newBudget(h.limits.InFlightBytes)
	h.doors = newDoors(h.limits)
	h.buffers = edge.NewSharedPool(new(sync.Mutex))
	h.buffers.Keep(int(h.limits.InFlightBytes / pooledPart))
	h.disk = newDisk(newFiles(cfg.Dir, h.buffers, h.log), h.diskDone)
	h.dialing, h.giveUp = context.WithCancel(context.Background())
	return h, nil
}

// Close gives the data directory back if Run was never called.
func (h *Host) Close() error {
	h.closeSockets()
	return h.unlock()
}

// Run boots the machine and drives it until it has stopped. It returns nil
// after a controlled shutdown, or an error that wraps ErrHalted or ErrForced.
// When ctx ends, the machine is asked for a controlled shutdown (see Shutdown).
func (h *Host) Run(ctx context.Context, m edge.Machine) error {
	h.machine = m
	if inspected, ok := m.(edge.Inspected); ok {
		h.inspectors = make(chan edge.Inspector, runtime.GOMAXPROCS(0))
		for range cap(h.inspectors) {
			h.inspectors <- inspected.NewInspector()
		}
	}
	for i := range h.cfg.Listeners {
		l := h.cfg.Listeners[i]
		h.tasks.Go(func() { h.accept(&l) })
	}
	stop := context.AfterFunc(ctx, h.Shutdown)
	defer stop()
	err := h.drive()
	h.giveUp()
	h.closeSockets()
	h.closeConnections(err == nil)
	h.memory.close()
	h.tasks.Wait()
	h.disk.close()
	return errors.Join(err, h.unlock())
}

// Shutdown asks the machine for a controlled shutdown; the second call, and the
// end of Limits.ShutdownTime, end it at once.
func (h *Host) Shutdown() {
	if h.inbox.signal(askedToStop) {
		time.AfterFunc(h.limits.ShutdownTime, func() { h.inbox.signal(forcedToStop) })
		return
	}
	h.inbox.signal(forcedToStop)
}

// View runs look as one who drives the machine does, between two of its steps,
// and waits for it. It must not change the machine, but for settings that the
// machine lets be replaced between two steps. After the end of Run, look is not
// called and the error says so.
func (h *Host) View(ctx context.Context, look func()) error {
	done := make(chan struct{})
	if !h.inbox.view(func() { look(); close(done) }) {
		return errors.New("the node has stopped")
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the node: %w", ctx.Err())
	}
}

// SetDiskBytes bounds what the data directory may hold from now on: further
// writes fail as on a full disk. 0 is no bound.
func (h *Host) SetDiskBytes(bytesMax int64) { h.disk.files.quota.set(bytesMax) }

// Load is what a host carries at the moment.
type Load struct {
	Connections   int   // accepted and open
	InFlightBytes int64 // of frames whose requests have not been answered
	UnreadBytes   int64 // written to clients and not yet taken by them
}

// Load returns what the host carries at the moment.
func (h *Host) Load() Load {
	return Load{Connections: h.doors.count(), InFlightBytes: h.memory.used(), UnreadBytes: h.unread.Load()}
}

func (h *Host) closeSockets() {
	for i := range h.cfg.Listeners {
		// A socket that cannot be closed is closed by the process's end.
		_ = h.cfg.Listeners[i].Socket.Close()
	}
}
