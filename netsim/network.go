package netsim

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
)

// Network is the state of all connections. It belongs to one simulation.
type Network struct {
	pool edge.Pool
}

// Delivery is one event for the machine on a host. The world fills in Now and
// Wall.
type Delivery struct {
	To    HostID
	Event edge.Event
}

// Down says how a host goes down.
type Down uint8

const (
	// Killed: the process dies, the kernel lives and closes its connections.
	Killed Down = iota
	// PowerLoss: silence. Peers notice by retransmission limit, or by the RST
	// that the kernel sends once the host is up again.
	PowerLoss
)

// New builds the network. The topology must be valid (Topology.Validate). All
// hosts are up; none listens before SetListening.
func New(t Topology, seed uint64) *Network { return &Network{} }

// Host returns the id of the host with that name.
func (n *Network) Host(name string) (HostID, bool) { return 0, false }

// Pool is where the frames' buffers come from; the world may share it.
func (n *Network) Pool() *edge.Pool { return &n.pool }

// Dial starts an attempt to connect.
func (n *Network) Dial(now clock.Instant, from HostID, d edge.Dial) {}

// CancelDial gives up an attempt in flight; it tells whether there was one.
// After it no event about the attempt is delivered.
func (n *Network) CancelDial(now clock.Instant, from HostID, id edge.DialID) bool { return false }

// Send hands a frame to a connection.
func (n *Network) Send(now clock.Instant, from HostID, s *edge.Send) {}

// Close closes a connection after what was sent; the closer gets no event.
func (n *Network) Close(now clock.Instant, from HostID, c edge.ConnID) {}

// HostUp boots the kernel of a host after a power loss. The process listens
// only after SetListening.
func (n *Network) HostUp(now clock.Instant, h HostID) {}

// HostDown takes the process of a host down, or all of it.
func (n *Network) HostDown(now clock.Instant, h HostID, how Down) {}

// SetListening tells whether the host's process accepts connections.
func (n *Network) SetListening(h HostID, listening bool) {}

// Next returns when Pop has something to do; clock.Never if never.
func (n *Network) Next() clock.Instant { return clock.Never }

// Pop returns the next delivery due at now or before, in the exact order of
// (time, sequence); false if there is none. Call it until it returns false.
func (n *Network) Pop(now clock.Instant) (Delivery, bool) { return Delivery{}, false }

// Stats returns the counters.
func (n *Network) Stats() Stats { return Stats{} }
