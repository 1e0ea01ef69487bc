// Package broker is the door of the core: a Node is one Kafka server, broker or
// controller or both, as a state machine. Its host (a simulator or a real
// process) tells it events and performs the effects it asks for; one thread
// drives it. The core never performs I/O, never reads a clock and never imports
// the simulator.
package broker

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/api"
	"github.com/seed-604ea8f1/windtunnel/broker/authn"
	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/conn"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/group"
	"github.com/seed-604ea8f1/windtunnel/broker/lifecycle"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/broker/log"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/partition"
	"github.com/seed-604ea8f1/windtunnel/broker/security"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/broker/wire"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Config is what a node needs to know before it boots.
type Config struct {
	NodeID       int32
	ClusterID    string
	IsBroker     bool
	IsController bool
	Listeners    listener.Set
	LogDir       string // the data directory's path, for DescribeLogDirs only
	Voters       []controller.Voter
	Broker       config.Broker
	Overrides    []config.KV // Broker as it was written, for DescribeConfigs
	Security     Security
	// InFlightBytes is the memory for requests that have not been answered
	// (queued.max.request.bytes), which the host bounds. 0 and less is its default.
	InFlightBytes int64
	// Seed feeds every random choice of the node: election time-outs, placement,
	// ids, jitter. A real host draws it from the system.
	Seed uint64
}

// Node is one Kafka server.
type Node struct {
	cfg     Config
	timers  timer.Queue
	random  *rand.Rand
	buffers edge.Pool
	ctx     step.Context

	conns  *conn.Table
	caller *caller.Caller
	authn  *authn.Authenticator // nil without SASL listeners
	logins logins

	// Set on controllers.
	controller *controller.Controller
	bootstrap  []meta.ScramUser // of a new cluster
	// Set on brokers.
	logs       *log.Manager
	partitions *partition.Manager
	groups     *group.Manager
	lifecycle  *lifecycle.Manager
	metadata   *metadataFetcher
	server     *api.Server

	image    *meta.Image // what the broker acts upon
	started  bool        // recovery is over and registration has begun
	epoch    int64       // broker epoch that the parts have been told
	swept    bool        // logs that are not ours any more have been removed
	stopping bool
	changes  []log.Change
}

var _ edge.Inspected = (*Node)(nil)

// New returns a node that waits for EventBoot.
func New(cfg Config) *Node {
	n := &Node{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.NodeID))), image: meta.Empty(), epoch: -1}
	n.conns = conn.NewTable(cfg.Broker.SocketRequestMaxBytes)
	n.caller = caller.New(cfg.NodeID, time.Duration(cfg.Broker.RequestTimeoutMillis)*time.Millisecond)
	voters := make([]caller.NodeID, 0, len(cfg.Voters))
	for _, v := range cfg.Voters {
		voters = append(voters, v.ID)
		n.caller.SetController(v.ID, caller.Address{Host: v.Host, Port: v.Port})
	}
	n.caller.SetControllers(voters)
	n.caller.SetListeners(cfg.Listeners.InterBroker, cfg.Listeners.Controllers)
	nonces := security.NewNonces(cfg.Security.Secret)
	if cfg.IsController {
		n.bootstrap = cfg.bootstrapUsers(nonces)
		n.controller = controller.New(controller.Config{
			NodeID: cfg.NodeID, ClusterID: cfg.ClusterID, Voters: cfg.Voters, Broker: cfg.Broker, Overrides: cfg.Overrides,
			Listener: cfg.Listeners.Of(cfg.Listeners.Controllers).Name, Users: n.bootstrap,
			InFlightBytes: cfg.InFlightBytes,
		}, n.caller, n.conns)
	}
	if cfg.IsController {
		n.controller.SetGate(cfg.Broker.Authorization.Gate())
	}
	n.secure(nonces)
	if cfg.IsBroker {
		n.newBroker()
		gate := cfg.Broker.Authorization.Gate()
		n.server.SetGate(gate)
		n.partitions.SetGate(gate)
		n.groups.SetGate(gate)
	}
	return n
}

func (n *Node) newBroker() {
	cfg := n.cfg.Broker
	n.logs = log.NewManager(cfg)
	n.partitions = partition.NewManager(cfg, n.cfg.NodeID, n.logs, n.caller)
	n.groups = group.NewManager(cfg, n.partitions, n.conns)
	id := lifecycle.Identity{
		NodeID: n.cfg.NodeID, ClusterID: n.cfg.ClusterID, Rack: cfg.BrokerRack,
		Endpoints: n.cfg.Listeners.Endpoints(),
	}
	for i := range id.Incarnation {
		id.Incarnation[i] = byte(n.random.Uint32())
	}
	n.lifecycle = lifecycle.New(id, cfg, n.caller, n.caller)
	n.metadata = newMetadataFetcher(n.cfg.NodeID, id.Incarnation, n.caller)
	self := api.Self{NodeID: n.cfg.NodeID, ClusterID: n.cfg.ClusterID, LogDir: n.cfg.LogDir, Listeners: n.cfg.Listeners.All}
	n.server = api.NewServer(self, cfg, n.cfg.Overrides, n.conns, n.caller, n.caller,
		api.NewData(n.partitions, n.conns, n.cfg.Listeners.All), n.groups)
	n.server.SetInFlightBytes(n.cfg.InFlightBytes)
}

// NewInspector implements edge.Inspected.
func (n *Node) NewInspector() edge.Inspector { return api.NewInspector() }

// Step implements edge.Machine.
func (n *Node) Step(ev *edge.Event, out *edge.Effects) {
	c := &n.ctx
	*c = step.Context{Now: ev.Now, Wall: ev.Wall, Out: out, Timers: &n.timers, Random: n.random, Buffers: &n.buffers, Verdict: ev.Verdict}
	n.event(c, ev)
	for {
		id, due := n.timers.Pop(ev.Now)
		if !due {
			break
		}
		n.timer(c, id)
		n.settle(c)
	}
	n.settle(c)
	out.Wake = n.timers.Next()
	if n.stopping {
		n.shutdownProgress(c)
		out.Wake = n.timers.Next()
	}
}

func (n *Node) event(c *step.Context, ev *edge.Event) {
	switch ev.Kind {
	case edge.EventBoot:
		n.boot(c)
	case edge.EventWake:
	case edge.EventConnOpened:
		if ev.Dial == 0 {
			n.conns.Opened(ev)
			if n.authn != nil {
				n.authn.Opened(ev)
			}
		} else {
			n.caller.Opened(c, ev)
		}
	case edge.EventConnFailed:
		n.caller.Failed(c, ev.Dial)
	case edge.EventConnClosed:
		if n.conns.Has(ev.Conn) {
			n.conns.Closed(c, ev.Conn)
		} else {
			n.caller.Closed(c, ev.Conn)
		}
	case edge.EventFrame:
		if n.conns.Has(ev.Conn) || ev.Inbound {
			n.conns.Frame(c, ev.Conn, ev.Frame)
		} else if !n.caller.Frame(c, ev.Conn, ev.Frame) {
			ev.Frame.Release() // the connection has been closed from this side
		}
	case edge.EventDisk:
		n.disk(c, &ev.Disk)
	case edge.EventShutdown:
		n.shutdown(c)
	}
}

func (n *Node) boot(c *step.Context) {
	if n.controller != nil {
		n.controller.Boot(c)
	}
	if n.logs != nil {
		n.logs.Boot(c)
		n.metadata.start(c)
	}
}

func (n *Node) disk(c *step.Context, r *edge.DiskResult) {
	switch r.Token.Owner {
	case step.OwnerLog:
		n.logs.Disk(c, r)
	case step.OwnerController:
		n.controller.Disk(c, r)
	case step.OwnerLogDirs:
		n.server.Volume(c, r)
	}
}

func (n *Node) timer(c *step.Context, id timer.ID) {
	switch id.Owner {
	case step.OwnerConn:
		n.authn.Timer(c, id)
	case step.OwnerCaller:
		n.caller.Timer(c, id)
	case step.OwnerLog:
		n.logs.Timer(c, id)
	case step.OwnerPartition, step.OwnerFetcher:
		n.partitions.Timer(c, id)
	case step.OwnerController:
		n.controller.Timer(c, id)
	case step.OwnerLifecycle:
		n.lifecycle.Timer(c, id)
	case step.OwnerMetadata:
		n.metadata.timer(c)
	case step.OwnerGroup:
		n.groups.Timer(c, id)
	case step.OwnerForward:
		n.server.Timer(c, id)
	}
}

// settle hands what has come up to whom it concerns until nothing is left, so
// that one Step shows the outside a consistent whole.
func (n *Node) settle(c *step.Context) {
	for n.settleOnce(c) {
	}
}

func (n *Node) settleOnce(c *step.Context) (progress bool) {
	for {
		reply, ok := n.caller.TakeReply()
		if !ok {
			break
		}
		progress = true
		n.reply(c, &reply)
		reply.Done()
	}
	for {
		r, ok := n.conns.Next()
		if !ok {
			break
		}
		progress = true
		n.request(c, r)
	}
	if n.logs != nil && n.settleBroker(c) {
		progress = true
	}
	return progress
}

func (n *Node) settleBroker(c *step.Context) (progress bool) {
	if !n.started {
		if !n.logs.Ready() {
			return false
		}
		n.start(c)
		progress = true
	}
	if n.changes = n.logs.TakeChanges(n.changes[:0]); len(n.changes) > 0 {
		progress = true
		n.partitions.LogChanges(c, n.changes)
	}
	if n.groups.Settle(c) {
		progress = true
	}
	return progress
}

// start is what a broker does once its logs are recovered: it registers and
// takes up the replicas that the metadata gives it.
func (n *Node) start(c *step.Context) {
	n.started = true
	n.partitions.Start(c)
	previous := int64(-1)
	if n.logs.CleanShutdown() {
		previous = n.logs.PreviousBrokerEpoch()
	}
	n.lifecycle.Start(c, previous)
	n.applyImage(c, n.metadata.image())
}

func (n *Node) reply(c *step.Context, r *caller.Reply) {
	switch r.Token.Owner {
	case step.OwnerLifecycle:
		n.lifecycle.Reply(c, r)
		if epoch := n.lifecycle.Epoch(); epoch >= 0 && epoch != n.epoch {
			n.epoch = epoch
			n.partitions.SetBrokerEpoch(epoch)
			n.logs.SetBrokerEpoch(c, epoch)
			n.lifecycle.SetMetadataOffset(c, n.image.Offset)
			n.applyImage(c, n.metadata.image())
		}
	case step.OwnerMetadata:
		if n.metadata.reply(c, r) {
			n.applyImage(c, n.metadata.image())
		}
	case step.OwnerPartition, step.OwnerFetcher:
		n.partitions.Reply(c, r)
	case step.OwnerForward:
		n.server.Reply(c, r)
	case step.OwnerController: // raft sends again what matters
	}
}

// applyImage makes the broker act upon newer metadata. Before its logs are
// recovered, and before the metadata has its own registration, a broker only
// collects it: what older metadata says of it was meant for the process before,
// which may have led with records that this one no longer has.
func (n *Node) applyImage(c *step.Context, image *meta.Image) {
	if !n.started || n.epoch < 0 || image.Offset < n.epoch || image.Offset <= n.image.Offset {
		return
	}
	old := n.image
	n.image = image
	between := n.cfg.Listeners.Of(n.cfg.Listeners.InterBroker).Name
	for _, b := range image.Brokers {
		if e, ok := b.Endpoint(between); ok {
			n.caller.SetBroker(b.ID, caller.Address{Host: e.Host, Port: e.Port})
		}
	}
	n.reconfigure(c, old, image)
	n.server.SetImage(image)
	n.partitions.Apply(c, old, image)
	n.groups.Apply(c, old, image)
	n.lifecycle.SetMetadataOffset(c, image.Offset)
	if !n.swept && n.serving() {
		// Only now is it certain that a log which the image does not give us is
		// not ours any more.
		n.swept = true
		n.partitions.RemoveStrays(c)
	}
}

// reconfigure takes up dynamic broker properties (KIP-226). The controller has
// validated them; if they do not parse, what is in force stays.
func (n *Node) reconfigure(c *step.Context, old, image *meta.Image) {
	before, after := old.ConfigLayers(n.cfg.NodeID, nil), image.ConfigLayers(n.cfg.NodeID, nil)
	if slices.Equal(before.Broker, after.Broker) && slices.Equal(before.Default, after.Default) {
		return
	}
	cfg, err := config.UpdateBroker(n.cfg.Broker, after.Dynamic())
	if err != nil {
		c.Logf(edge.Error, "dynamic broker configuration: %v", err)
		return
	}
	n.logs.SetConfig(cfg)
	n.partitions.SetConfig(cfg)
}

func (n *Node) request(c *step.Context, r *conn.Request) {
	l := n.cfg.Listeners.Of(r.Listener)
	if !l.Controller && (n.server == nil || !n.serving()) {
		// A broker that does not know the cluster yet would deny topics that
		// exist, and users. Kafka opens its listener only then.
		n.conns.Disconnect(c, r.ID)
		return
	}
	if n.authn != nil && !n.authn.Admits(c, r) {
		return
	}
	if l.Controller {
		if n.controller == nil || r.Key < wire.PrivateKeys && isForwarded(r.Key) && !n.controller.IsActive() {
			// The sender tries the next voter.
			n.conns.Disconnect(c, r.ID)
			return
		}
		n.controller.Handle(c, r)
		return
	}
	n.server.Handle(c, r)
}

// serving tells whether the broker has seen its own registration.
func (n *Node) serving() bool {
	return n.started && n.epoch >= 0 && n.image.Offset >= n.epoch
}

// Ready tells whether the node does what it is for: a broker is known to the
// cluster as alive, a controller knows who leads the quorum.
func (n *Node) Ready() bool {
	if n.controller != nil && n.controller.ActiveController() < 0 {
		return false
	}
	return n.server == nil || n.serving() && !n.lifecycle.Fenced()
}

// isForwarded tells a client's request, forwarded by a broker, from those that
// brokers make on their own account and that answer NOT_CONTROLLER.
func isForwarded(key int16) bool {
	switch key {
	case 56, 62, 63, 67:
		return false
	}
	return true
}

func (n *Node) shutdown(c *step.Context) {
	if n.stopping {
		return
	}
	n.stopping = true
	if n.lifecycle != nil && n.cfg.Broker.ControlledShutdownEnable {
		n.lifecycle.Shutdown(c)
	}
}

// shutdownProgress ends the process once the leaders have moved away and the
// logs are flushed.
func (n *Node) shutdownProgress(c *step.Context) {
	if n.logs == nil {
		c.Out.Stopped = true
		return
	}
	if n.cfg.Broker.ControlledShutdownEnable && n.lifecycle.State() != lifecycle.ShuttingDown {
		return
	}
	if n.started {
		n.logs.Shutdown(c)
	}
	if !n.started || n.logs.Stopped() {
		n.conns.DropAll(c)
		c.Out.Stopped = true
	}
}

// ID returns the node's id.
func (n *Node) ID() int32 { return n.cfg.NodeID }

// Image returns the metadata that the broker acts upon.
func (n *Node) Image() *meta.Image { return n.image }

// Controller returns the controller, or nil on a node that is none. It is for
// those who look at a node from outside; they change nothing.
func (n *Node) Controller() *controller.Controller { return n.controller }

// Partitions returns the replicas, or nil on a node that is no broker.
func (n *Node) Partitions() *partition.Manager { return n.partitions }

// Logs returns the logs, or nil on a node that is no broker.
func (n *Node) Logs() *log.Manager { return n.logs }

// Groups returns the group coordinators, or nil on a node that is no broker.
func (n *Node) Groups() *group.Manager { return n.groups }

// Requests returns the inbound connections and their requests.
func (n *Node) Requests() *conn.Table { return n.conns }

// State returns where a broker stands with the controller.
func (n *Node) State() lifecycle.State {
	if n.lifecycle == nil {
		return lifecycle.NotRunning
	}
	return n.lifecycle.State()
}

// Deadline returns when the node next wants to be woken.
func (n *Node) Deadline() clock.Instant { return n.timers.Next() }
