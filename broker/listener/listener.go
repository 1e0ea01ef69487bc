// Package listener names the addresses at which a node is reached, and how a
// connection to each is secured: Kafka's listeners, advertised.listeners and
// listener.security.protocol.map. It owns no connection.
package listener

import (
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
)

// Protocol is how connections of a listener are secured. Its numbers are those
// of Kafka's SecurityProtocol, which registrations carry.
type Protocol int16

// The protocols.
const (
	Plaintext     Protocol = 0
	SSL           Protocol = 1
	SASLPlaintext Protocol = 2
	SASLSSL       Protocol = 3
)

// Protocols are the names of the protocols, by number.
var Protocols = []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"} //lint:global never changed

func (p Protocol) String() string {
	if p >= 0 && int(p) < len(Protocols) {
		return Protocols[p]
	}
	return "unknown"
}

// TLS tells whether the bytes of a connection are encrypted.
func (p Protocol) TLS() bool { return p == SSL || p == SASLSSL }

// SASL tells whether a client authenticates itself before its first request.
func (p Protocol) SASL() bool { return p == SASLPlaintext || p == SASLSSL }

// Listener is one of a node's listeners. Its number is its place in a Set.
type Listener struct {
	Name     string // in upper case, as in listeners=NAME://host:port
	Protocol Protocol
	// Controller is set of those in controller.listener.names: they serve the
	// metadata quorum, and clients are not told of them.
	Controller bool
	// Host and Port are what is advertised. Port 0 is a listener that this node
	// does not have, and whose protocol it uses to reach those that have it.
	Host string
	Port int32
}

// Set holds what a node knows of listeners. edge.Listener numbers All.
type Set struct {
	All []Listener
	// InterBroker is the listener by which brokers reach each other, Controllers
	// the one by which controllers are reached.
	InterBroker, Controllers edge.Listener
}

// Plain is the set of a node that serves clients and brokers without security
// under one name, and controllers under another.
func Plain(host string, port int32) Set {
	return Set{
		All: []Listener{
			edge.ListenerClient:     {Name: "PLAINTEXT", Host: host, Port: port},
			edge.ListenerController: {Name: "CONTROLLER", Controller: true},
		},
		InterBroker: edge.ListenerClient, Controllers: edge.ListenerController,
	}
}

// Of returns a listener by its number.
func (s *Set) Of(number edge.Listener) *Listener { return &s.All[number] }

// Endpoints returns what a broker registers: its listeners but those for the
// quorum, in their order.
func (s *Set) Endpoints() []meta.Endpoint {
	var out []meta.Endpoint
	for i := range s.All {
		if l := &s.All[i]; !l.Controller && l.Port != 0 {
			out = append(out, meta.Endpoint{Name: l.Name, Host: l.Host, Port: l.Port, Protocol: int16(l.Protocol)})
		}
	}
	return out
}
