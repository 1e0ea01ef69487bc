package listener

import (
	"slices"
	"strconv"
	"strings"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// Bind is an address on which a node listens. An empty host is every address,
// port 0 any free one.
type Bind struct {
	Number edge.Listener
	Host   string
	Port   int32
}

// listenersMax bounds the listeners of one node: edge.Listener is a byte, and
// nobody has more than a handful.
const listenersMax = 64

// Parse reads the listeners of a node from its properties. Where no port or
// host is advertised, it is left empty for the host to fill in once it has
// bound the socket. The error is a *config.Error.
func Parse(n *config.Node, isBroker, isController bool) (*Set, []Bind, error) {
	p := &parser{node: n, set: &Set{}}
	for _, step := range []func() error{p.controllers, p.listeners, p.protocols, p.advertised, p.interBroker} {
		if err := step(); err != nil {
			return nil, nil, err
		}
	}
	return p.set, p.binds, p.check(isBroker, isController)
}

type parser struct {
	node  *config.Node
	set   *Set
	binds []Bind
	names []string // of controller.listener.names
}

func wrong(name, value, problem string) *config.Error {
	return &config.Error{What: "node property", Name: name, Value: value, Problem: problem}
}

// items splits a list at its commas.
func items(list string) []string {
	var out []string
	for _, item := range strings.Split(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func (p *parser) controllers() error {
	p.names = items(strings.ToUpper(p.node.ControllerListenerNames))
	if len(p.names) == 0 {
		return wrong("controller.listener.names", p.node.ControllerListenerNames, "must name a listener")
	}
	return nil
}

func (p *parser) find(name string) (edge.Listener, bool) {
	i := slices.IndexFunc(p.set.All, func(l Listener) bool { return l.Name == name })
	return edge.Listener(max(i, 0)), i >= 0
}

func (p *parser) listeners() error {
	const property = "listeners"
	for _, item := range items(p.node.Listeners) {
		name, host, port, ok := splitEndpoint(item)
		if !ok {
			return wrong(property, item, "must be NAME://host:port")
		}
		if _, double := p.find(name); double {
			return wrong(property, item, "names "+name+" twice")
		}
		if len(p.set.All) == listenersMax {
			return wrong(property, p.node.Listeners, "has more than "+strconv.Itoa(listenersMax)+" listeners")
		}
		number := edge.Listener(len(p.set.All))
		p.set.All = append(p.set.All, Listener{Name: name, Controller: slices.Contains(p.names, name), Host: host, Port: port})
		p.binds = append(p.binds, Bind{Number: number, Host: host, Port: port})
	}
	if len(p.set.All) == 0 {
		return wrong(property, p.node.Listeners, "must have a listener")
	}
	// A broker that is no controller reaches the controllers by a listener that
	// it does not have.
	if _, ok := p.find(p.names[0]); !ok {
		p.set.All = append(p.set.All, Listener{Name: p.names[0], Controller: true})
	}
	p.set.Controllers, _ = p.find(p.names[0])
	return nil
}

// splitEndpoint takes NAME://host:port apart; the host may be empty or an IPv6
// address in brackets.
func splitEndpoint(item string) (name, host string, port int32, ok bool) {
	name, address, ok := strings.Cut(item, "://")
	i := strings.LastIndexByte(address, ':')
	if !ok || name == "" || i < 0 {
		return "", "", 0, false
	}
	n, err := strconv.ParseUint(address[i+1:], 10, 16)
	host = address[:i]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	} else if strings.Contains(host, ":") {
		return "", "", 0, false
	}
	return strings.ToUpper(name), host, int32(n), err == nil
}

func (p *parser) protocols() error {
	const property = "listener.security.protocol.map"
	given := make(map[string]Protocol)
	for _, item := range items(p.node.ListenerSecurityProtocolMap) {
		name, word, ok := strings.Cut(item, ":")
		protocol := slices.Index(Protocols, strings.ToUpper(strings.TrimSpace(word)))
		if !ok || protocol < 0 {
			e := wrong(property, item, "must be NAME:PROTOCOL with one of "+strings.Join(Protocols, ", "))
			e.Suggestion = config.Nearest(word, Protocols)
			return e
		}
		given[strings.ToUpper(strings.TrimSpace(name))] = Protocol(protocol)
	}
	for i := range p.set.All {
		l := &p.set.All[i]
		protocol, ok := given[l.Name]
		if !ok {
			named := slices.Index(Protocols, l.Name)
			if named < 0 && !l.Controller {
				return wrong(property, p.node.ListenerSecurityProtocolMap, "does not say how the listener "+l.Name+" is secured")
			}
			protocol = Protocol(max(named, 0))
		}
		l.Protocol = protocol
	}
	return nil
}

func (p *parser) advertised() error {
	const property = "advertised.listeners"
	for _, item := range items(p.node.AdvertisedListeners) {
		name, host, port, ok := splitEndpoint(item)
		if !ok || host == "" || host == "0.0.0.0" || host == "::" || port == 0 {
			return wrong(property, item, "must be NAME://host:port with a host and a port that others can reach")
		}
		number, ok := p.find(name)
		if !ok || p.set.All[number].Port == 0 && p.set.All[number].Controller {
			return wrong(property, item, "is not among the listeners")
		}
		p.set.All[number].Host, p.set.All[number].Port = host, port
	}
	return nil
}

func (p *parser) interBroker() error {
	const property = "inter.broker.listener.name"
	name := strings.ToUpper(strings.TrimSpace(p.node.InterBrokerListenerName))
	for i := range p.set.All {
		if l := &p.set.All[i]; !l.Controller && (name == "" || l.Name == name) {
			p.set.InterBroker = edge.Listener(i)
			return nil
		}
	}
	if name == "" { // a controller only; brokers never call it by this
		p.set.InterBroker = p.set.Controllers
		return nil
	}
	return wrong(property, name, "is not among the listeners of brokers")
}

func (p *parser) check(isBroker, isController bool) error {
	clients, quorum := false, false
	for _, b := range p.binds {
		if p.set.Of(b.Number).Controller {
			quorum = true
		} else {
			clients = true
		}
	}
	list := p.node.Listeners
	switch {
	case isBroker && !clients:
		return wrong("listeners", list, "has none for clients, and process.roles has broker")
	case !isBroker && clients:
		return wrong("listeners", list, "has one for clients, and process.roles has no broker")
	case isController && !quorum:
		return wrong("listeners", list, "has none of controller.listener.names ("+strings.Join(p.names, ",")+"), and process.roles has controller")
	case !isController && quorum:
		return wrong("listeners", list, "has one of controller.listener.names, and process.roles has no controller")
	}
	return nil
}
