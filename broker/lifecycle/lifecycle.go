// Package lifecycle owns a broker's standing with the controller: it registers,
// sends heartbeats, learns whether the broker is fenced, and walks through a
// controlled shutdown (KIP-631). It never touches partitions.
package lifecycle

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// State is a broker's state, in the words of Kafka's BrokerState.
//
//	NotRunning -> Starting          logs are recovered, Start was called
//	Starting -> Recovery            the controller has answered the registration
//	Recovery -> Running             the controller has unfenced the broker
//	Running -> Recovery             the controller has fenced it
//	any -> PendingControlledShutdown -> ShuttingDown
//	any -> Starting                 the controller no longer knows the registration
type State uint8

// The states.
const (
	NotRunning State = iota
	Starting
	Recovery
	Running
	PendingControlledShutdown
	ShuttingDown
)

func (s State) String() string {
	return [...]string{"not running", "starting", "recovery", "running", "pending controlled shutdown", "shutting down"}[s]
}

const (
	registrationVersion = 4
	heartbeatVersion    = 1
	// retryBackoff is the pause before a failed registration or heartbeat is
	// sent again; the time-out of one attempt is the heartbeat interval.
	retryBackoff = 100 * time.Millisecond
)

const (
	kindRegister uint8 = iota + 1
	kindHeartbeat
)

// Identity is what a broker registers itself as.
type Identity struct {
	NodeID      int32
	ClusterID   string
	Incarnation [16]byte
	Rack        string
	Endpoints   []meta.Endpoint
}

// Controllers is what the lifecycle tells about the controllers that it asks.
type Controllers interface {
	ControllerFailed(id caller.NodeID)
	SetActiveController(id caller.NodeID)
}

// Manager is the broker's side of registration and heartbeats.
type Manager struct {
	id            Identity
	cfg           config.Broker
	sender        caller.Sender
	controllers   Controllers
	state         State
	epoch         int64 // broker epoch; -1 before the registration
	previousEpoch int64 // of the clean shutdown before this boot, or -1
	fenced        bool
	seq           uint64 // of the request that is awaited
	metadata      int64  // highest metadata offset that the broker has applied
	refusal       int16  // error code of the last registration, so that it is logged once
}

// New returns a manager that does nothing before Start.
func New(id Identity, cfg config.Broker, sender caller.Sender, controllers Controllers) *Manager {
	return &Manager{id: id, cfg: cfg, sender: sender, controllers: controllers, epoch: -1, previousEpoch: -1, fenced: true, metadata: -1}
}

// Start begins to register. previousEpoch is the broker epoch that a clean
// shutdown left on disk, or -1: the controller then knows that the broker may
// have lost the tail of its logs (KIP-966).
func (m *Manager) Start(c *step.Context, previousEpoch int64) {
	m.previousEpoch = previousEpoch
	m.register(c)
}

// State returns where the broker stands.
func (m *Manager) State() State { return m.state }

// Epoch returns the broker epoch, -1 before the registration.
func (m *Manager) Epoch() int64 { return m.epoch }

// Fenced tells whether the controller's last word was that the broker is fenced.
func (m *Manager) Fenced() bool { return m.fenced }

// SetMetadataOffset says up to which offset the broker has applied metadata.
// The heartbeat carries it; the controller unfences a broker that has caught up
// with its own registration.
func (m *Manager) SetMetadataOffset(c *step.Context, offset int64) {
	caughtUp := m.metadata < m.epoch && offset >= m.epoch
	m.metadata = offset
	if m.epoch >= 0 && caughtUp && m.fenced && m.state != ShuttingDown {
		m.heartbeat(c) // do not wait an interval to be unfenced
	}
}

// Shutdown begins a controlled shutdown: heartbeats ask for it until the
// controller has moved the leaders away.
func (m *Manager) Shutdown(c *step.Context) {
	if m.state == NotRunning || m.state == Starting || m.epoch < 0 {
		m.state = ShuttingDown
		return
	}
	if m.state != PendingControlledShutdown && m.state != ShuttingDown {
		m.state = PendingControlledShutdown
		m.heartbeat(c)
	}
}

func (m *Manager) register(c *step.Context) {
	if m.state != PendingControlledShutdown {
		m.state = Starting
	}
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.SetVersion(registrationVersion)
	req.BrokerID, req.ClusterID, req.IncarnationID = m.id.NodeID, m.id.ClusterID, m.id.Incarnation
	for _, e := range m.id.Endpoints {
		listener := kmsg.NewBrokerRegistrationRequestListener()
		listener.Name, listener.Host, listener.Port, listener.SecurityProtocol = e.Name, e.Host, uint16(e.Port), e.Protocol
		req.Listeners = append(req.Listeners, listener)
	}
	for _, f := range Features {
		feature := kmsg.NewBrokerRegistrationRequestFeature()
		feature.Name, feature.MinSupportedVersion, feature.MaxSupportedVersion = f.Name, f.Min, f.Max
		req.Features = append(req.Features, feature)
	}
	if m.id.Rack != "" {
		req.Rack = &m.id.Rack
	}
	req.PreviousBrokerEpoch = m.previousEpoch
	m.send(c, req, kindRegister)
}

// Features are the feature levels that a broker supports and advertises.
var Features = []struct {
	Name     string
	Min, Max int16
}{
	{"metadata.version", 7, 33},
	{"group.version", 0, 0},
	{"eligible.leader.replicas.version", 0, 1},
}

func (m *Manager) heartbeat(c *step.Context) {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.SetVersion(heartbeatVersion)
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = m.id.NodeID, m.epoch, m.metadata
	req.WantFence = false
	req.WantShutdown = m.state == PendingControlledShutdown
	m.send(c, req, kindHeartbeat)
}

func (m *Manager) send(c *step.Context, req kmsg.Request, kind uint8) {
	m.seq++
	call := caller.EncodeCall(caller.ActiveController, caller.ChannelControl, req,
		edge.Token{Owner: step.OwnerLifecycle, Kind: kind, B: m.seq})
	call.Timeout = time.Duration(m.cfg.HeartbeatIntervalMillis) * time.Millisecond
	c.Timers.Cancel(timer.ID{Owner: step.OwnerLifecycle})
	m.sender.Send(c, call)
}

func (m *Manager) again(c *step.Context, after time.Duration) {
	c.Timers.Set(timer.ID{Owner: step.OwnerLifecycle}, c.Now.Add(after))
}

// Timer sends the next heartbeat, or the registration again.
func (m *Manager) Timer(c *step.Context, _ timer.ID) {
	switch {
	case m.state == ShuttingDown:
	case m.epoch < 0:
		m.register(c)
	default:
		m.heartbeat(c)
	}
}

// Reply takes the controller's answer.
func (m *Manager) Reply(c *step.Context, r *caller.Reply) {
	// Overtaken by a newer request, or come when the broker is on its way out: an
	// answer then must not make it one that runs again.
	if r.Token.B != m.seq || m.state == ShuttingDown {
		return
	}
	if r.Status != caller.OK {
		m.controllers.ControllerFailed(r.From)
		m.again(c, retryBackoff)
		return
	}
	if r.Token.Kind == kindRegister {
		m.registered(c, r)
		return
	}
	m.heartbeatAnswered(c, r)
}

func (m *Manager) registered(c *step.Context, r *caller.Reply) {
	resp := kmsg.NewPtrBrokerRegistrationResponse()
	resp.SetVersion(r.Version)
	if err := resp.ReadFrom(r.Body); err != nil {
		c.Logf(edge.Error, "broker registration: %v", err)
		m.again(c, retryBackoff)
		return
	}
	if resp.ErrorCode != 0 {
		if resp.ErrorCode == kerr.NotController.Code {
			m.controllers.ControllerFailed(r.From)
		} else if resp.ErrorCode != m.refusal {
			m.refusal = resp.ErrorCode
			c.Logf(edge.Warn, "broker registration refused: %v; trying again", kerr.ErrorForCode(resp.ErrorCode))
		}
		m.again(c, retryBackoff)
		return
	}
	m.controllers.SetActiveController(r.From)
	m.epoch, m.fenced = resp.BrokerEpoch, true
	if m.state == Starting {
		m.state = Recovery
	}
	c.Logf(edge.Info, "registered as broker %d with epoch %d", m.id.NodeID, m.epoch)
	m.heartbeat(c)
}

func (m *Manager) heartbeatAnswered(c *step.Context, r *caller.Reply) {
	resp := kmsg.NewPtrBrokerHeartbeatResponse()
	resp.SetVersion(r.Version)
	if err := resp.ReadFrom(r.Body); err != nil {
		c.Logf(edge.Error, "broker heartbeat: %v", err)
		m.again(c, retryBackoff)
		return
	}
	switch resp.ErrorCode {
	case 0:
	case kerr.NotController.Code:
		m.controllers.ControllerFailed(r.From)
		m.again(c, retryBackoff)
		return
	case kerr.StaleBrokerEpoch.Code, kerr.BrokerIDNotRegistered.Code:
		// The controller has another registration of this broker, or none. The
		// broker may have lost nothing, but cannot know what happened meanwhile.
		c.Logf(edge.Warn, "heartbeat refused (%v), registering again", kerr.ErrorForCode(resp.ErrorCode))
		m.epoch, m.previousEpoch = -1, m.epoch
		m.register(c)
		return
	default:
		c.Logf(edge.Warn, "heartbeat refused: %v", kerr.ErrorForCode(resp.ErrorCode))
		m.again(c, retryBackoff)
		return
	}
	m.controllers.SetActiveController(r.From)
	m.fenced = resp.IsFenced
	switch {
	case m.state == PendingControlledShutdown:
		if resp.ShouldShutdown {
			m.state = ShuttingDown
			return
		}
	case m.fenced:
		m.state = Recovery
	default:
		m.state = Running
	}
	next := time.Duration(m.cfg.HeartbeatIntervalMillis) * time.Millisecond
	if m.state == PendingControlledShutdown {
		next = min(next, 10*retryBackoff) // the leaders move within a few rounds
	}
	m.again(c, next)
}
