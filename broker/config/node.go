package config

import (
	"errors"
	"slices"
	"strings"
)

// Node holds what a real process needs besides Broker: who it is, where it
// listens, where its data is, and what its peers may take. In a simulation the
// scenario says all that.
type Node struct {
	NodeID       int64
	ProcessRoles string // "broker", "controller" or both
	LogDirs      string
	QuorumVoters string // id@host:port,...

	LogDirsBytesMax int64 // 0: no bound

	Listeners                   string // NAME://host:port,...
	AdvertisedListeners         string
	ListenerSecurityProtocolMap string // NAME:PROTOCOL,...
	InterBrokerListenerName     string
	ControllerListenerNames     string

	MaxConnections        int64
	MaxConnectionsPerIP   int64
	QueuedMaxRequestBytes int64 // -1: the host's default

	AdminListener string // host:port; empty is none
}

// ClientAuth is ssl.client.auth.
type ClientAuth uint8

// The values of ClientAuth.
const (
	ClientAuthNone ClientAuth = iota
	ClientAuthRequested
	ClientAuthRequired
)

var clientAuthNames = [...]string{"none", "requested", "required"}

// String is the Kafka spelling.
func (c ClientAuth) String() string { return nameOf(clientAuthNames[:], int(c)) }

// Set implements Choice.
func (c *ClientAuth) Set(text string) bool { return setByName(c, clientAuthNames[:], text) }

// TLS holds the ssl properties of one listener.
type TLS struct {
	KeystoreLocation       string // PEM: certificate chain and private key
	KeystoreType           string
	KeyPassword            Password
	TruststoreLocation     string // PEM: certificates of authorities
	TruststoreType         string
	ClientAuth             ClientAuth
	PrincipalMappingRules  string
	EndpointIdentification string // "https" or empty
}

// Password is a text that is never shown.
type Password string

// Parse implements Parser.
func (p *Password) Parse(text string) error {
	*p = Password(text)
	return nil
}

func (p *Password) String() string { return hidden }

var nodeTable = NewTable("node property", []Row[Node]{
	{Property{Name: "node.id", Type: TypeInt, Default: "-1", Min: 0, Max: maxInt, Null: true, Effect: true,
		Doc: "The node's id, unique in the cluster."}, func(n *Node) any { return &n.NodeID }},
	{Property{Name: "broker.id", Type: TypeInt, Default: "-1", Min: 0, Max: maxInt, Null: true, Effect: true,
		Doc: "The older name of node.id."}, func(n *Node) any { return &n.NodeID }},
	{Property{Name: "process.roles", Type: TypeList, Default: "", Null: true, Effect: true,
		Doc: "What the node does: broker, controller, or broker,controller."}, func(n *Node) any { return &n.ProcessRoles }},
	{Property{Name: "log.dirs", Type: TypeString, Null: true, Effect: true,
		Doc: "The data directory. A node has one."}, func(n *Node) any { return &n.LogDirs }},
	{Property{Name: "log.dir", Type: TypeString, Default: "data", Effect: true,
		Doc: "The data directory, if log.dirs is not set."}, func(n *Node) any { return &n.LogDirs }},
	{Property{Name: "windtunnel.log.dirs.max.bytes", Type: TypeLong, Default: "0", Max: maxLong, Effect: true,
		Doc: "What the data directory may hold; when it is reached, writes fail as on a full disk. 0 is no bound. SIGHUP reads it again. " +
			"Not one of Kafka's."},
		func(n *Node) any { return &n.LogDirsBytesMax }},
	{Property{Name: "controller.quorum.voters", Type: TypeList, Null: true, Effect: true,
		Doc: "The controllers, as id@host:port,id@host:port; the same on every node."}, func(n *Node) any { return &n.QuorumVoters }},
	{Property{Name: "listeners", Type: TypeList, Default: "PLAINTEXT://:9092", Effect: true,
		Doc: "Where the node listens, as NAME://host:port,...; no host means every address, port 0 any that is free."},
		func(n *Node) any { return &n.Listeners }},
	{Property{Name: "advertised.listeners", Type: TypeList, Null: true, Effect: true,
		Doc: "What clients and other brokers are told, if that differs from listeners."}, func(n *Node) any { return &n.AdvertisedListeners }},
	{Property{Name: "listener.security.protocol.map", Type: TypeString, Null: true, Effect: true,
		Doc: "How each listener is secured, as NAME:PROTOCOL,...; a listener named like a protocol needs no entry, and that of the " +
			"controllers is PLAINTEXT without one."},
		func(n *Node) any { return &n.ListenerSecurityProtocolMap }},
	{Property{Name: "inter.broker.listener.name", Type: TypeString, Null: true, Effect: true,
		Doc: "The listener by which brokers reach each other; the first of listeners that is not a controller's without it."},
		func(n *Node) any { return &n.InterBrokerListenerName }},
	{Property{Name: "controller.listener.names", Type: TypeString, Default: "CONTROLLER", Effect: true,
		Doc: "The listeners of the metadata quorum; by the first of them controllers are reached."},
		func(n *Node) any { return &n.ControllerListenerNames }},
	{Property{Name: "max.connections", Type: TypeInt, Default: "2147483647", Min: 1, Max: maxInt, Effect: true,
		Doc: "The most connections that are open at a time; further ones are closed at once. A quarter of the files that the process may open (ulimit -n) is kept from them in any case."}, func(n *Node) any { return &n.MaxConnections }},
	{Property{Name: "max.connections.per.ip", Type: TypeInt, Default: "2147483647", Min: 1, Max: maxInt, Effect: true,
		Doc: "The most connections that are open from one address."}, func(n *Node) any { return &n.MaxConnectionsPerIP }},
	{Property{Name: "queued.max.request.bytes", Type: TypeLong, Default: "-1", Min: -1, Max: maxLong, Effect: true,
		Doc: "The memory of requests that have been read and not yet taken up; beyond it nothing is read. A request other than Produce may have a 128th of it, and 2 MiB in any case, since that is what it may decode to. -1 is 256 MiB (in Kafka: no limit)."},
		func(n *Node) any { return &n.QueuedMaxRequestBytes }},
	{Property{Name: "windtunnel.admin.listener", Type: TypeString, Null: true, Effect: true,
		Doc: "host:port of /metrics, /healthz, /readyz and /debug/pprof; off without it. Not one of Kafka's."},
		func(n *Node) any { return &n.AdminListener }},
})

var tlsTable = NewTable("ssl property", []Row[TLS]{
	{Property{Name: "ssl.keystore.location", Type: TypeString, Null: true, Effect: true,
		Doc: "A PEM file with the node's certificate, those between it and the authority, and its private key."},
		func(t *TLS) any { return &t.KeystoreLocation }},
	{Property{Name: "ssl.keystore.type", Type: TypeString, Default: "PEM", Valid: []string{"PEM"}, Effect: true,
		Doc: "The form of the keystore."}, func(t *TLS) any { return &t.KeystoreType }},
	{Property{Name: "ssl.key.password", Type: TypePassword, Null: true, Effect: true,
		Doc: "The password of a private key that is encrypted (-----BEGIN ENCRYPTED PRIVATE KEY-----)."}, func(t *TLS) any { return &t.KeyPassword }},
	{Property{Name: "ssl.truststore.location", Type: TypeString, Null: true, Effect: true,
		Doc: "A PEM file with the authorities that peers' certificates must come from; those of the system without it."},
		func(t *TLS) any { return &t.TruststoreLocation }},
	{Property{Name: "ssl.truststore.type", Type: TypeString, Default: "PEM", Valid: []string{"PEM"}, Effect: true,
		Doc: "The form of the truststore."}, func(t *TLS) any { return &t.TruststoreType }},
	{Property{Name: "ssl.client.auth", Type: TypeString, Default: "none", Valid: clientAuthNames[:], Effect: true,
		Doc: "Whether clients are asked for a certificate, and whether they must have one."}, func(t *TLS) any { return &t.ClientAuth }},
	{Property{Name: "ssl.principal.mapping.rules", Type: TypeString, Default: "DEFAULT", Effect: true,
		Doc: "How the subject of a client's certificate becomes a name: RULE:pattern/replacement/[LU], or DEFAULT for all of it; the first " +
			"that fits counts."},
		func(t *TLS) any { return &t.PrincipalMappingRules }},
	{Property{Name: "ssl.endpoint.identification.algorithm", Type: TypeString, Default: "https", Valid: []string{"https", ""}, Effect: true,
		Doc: "Whether the certificate of a node that this one connects to must name its host; empty turns it off."},
		func(t *TLS) any { return &t.EndpointIdentification }},
})

// NodeProperties is the table of the properties of a real process, by name.
func NodeProperties() []*Property { return nodeTable.All() }

// TLSProperties is the table of the ssl properties, by name.
func TLSProperties() []*Property { return tlsTable.All() }

// listenerPrefix begins a property that holds for one listener only.
const listenerPrefix = "listener.name."

// Settings are all of one node's properties.
type Settings struct {
	Node   Node
	Broker Broker
	// Overrides are those that Broker was made of.
	Overrides []KV
	tls       []KV // those of every listener
	sasl      []KV // those of every listener
	listeners []listenerKV
}

type listenerKV struct {
	listener string
	KV
	full string // the name as it was written
}

// ParseSettings reads the properties of a node. The error is an *Error that has
// the property's name as it was written.
func ParseSettings(properties []KV) (*Settings, error) {
	s := &Settings{Node: nodeTable.Defaults()}
	s.Node.NodeID = -1
	var node []KV
	for _, kv := range properties {
		name, of := kv.Name, ""
		if rest, ok := strings.CutPrefix(kv.Name, listenerPrefix); ok {
			if of, name, ok = strings.Cut(rest, "."); !ok {
				return nil, &Error{What: "property", Name: kv.Name, NameWrong: true, Problem: "names a listener and no property of it"}
			}
		}
		_, ofTLS := tlsTable.Lookup(name)
		_, ofSASL := saslTable.Lookup(name)
		_, ofNode := nodeTable.Lookup(name)
		switch {
		case of != "" && (!ofTLS && !ofSASL || nodeWide(name)):
			return nil, &Error{What: "property", Name: kv.Name, NameWrong: true, Problem: "cannot be set for one listener",
				Suggestion: listenerPrefix + of + "." + Nearest(name, append(slices.Clone(tlsTable.names), saslTable.names...))}
		case of != "":
			s.listeners = append(s.listeners, listenerKV{of, KV{name, kv.Value}, kv.Name})
		case ofTLS:
			s.tls = append(s.tls, kv)
		case strings.HasSuffix(name, jaasSuffix) && ofSASL:
			return nil, &Error{What: "property", Name: kv.Name, NameWrong: true,
				Problem: "must be set for a listener, as " + listenerPrefix + "NAME." + name}
		case ofSASL:
			s.sasl = append(s.sasl, kv)
		case ofNode:
			node = append(node, kv)
		default:
			s.Overrides = append(s.Overrides, kv)
		}
	}
	if err := nodeTable.Apply(node, &s.Node); err != nil {
		return nil, err
	}
	if err := noTwoNames(node); err != nil {
		return nil, err
	}
	if _, err := s.TLS(""); err != nil {
		return nil, err
	}
	if _, err := s.SASL(""); err != nil {
		return nil, err
	}
	broker, err := ParseBroker(s.Overrides)
	if err != nil {
		return nil, nearestOfAll(err)
	}
	s.Broker = broker
	return s, nil
}

// noTwoNames refuses a setting that is given under its old and its new name.
func noTwoNames(node []KV) error {
	for _, pair := range [...][2]string{{"node.id", "broker.id"}, {"log.dirs", "log.dir"}} {
		_, first := find(node, pair[0])
		if value, second := find(node, pair[1]); first && second {
			return &Error{What: "node property", Name: pair[1], Value: value, NameWrong: true, Problem: "is another name of " + pair[0] + ": give one"}
		}
	}
	return nil
}

// nearestOfAll finds the nearest name of an unknown property among those of the
// node too.
func nearestOfAll(err error) error {
	var e *Error
	if errors.As(err, &e) && e.NameWrong && strings.Contains(e.Problem, "unknown") {
		names := slices.Concat(brokerTable.names, nodeTable.names, tlsTable.names, saslTable.names)
		e.Suggestion = Nearest(e.Name, names)
	}
	return err
}

// TLS returns the ssl settings of a listener: those for all, changed by its own.
func (s *Settings) TLS(listener string) (TLS, error) {
	return settingsOf(tlsTable, s.tls, s.listeners, listener)
}

// SASL returns the SASL settings of a listener: those for all, changed by its
// own.
func (s *Settings) SASL(listener string) (Sasl, error) {
	return settingsOf(saslTable, s.sasl, s.listeners, listener)
}

// settingsOf applies what is set for all listeners, and then what is for one.
func settingsOf[T any](table *Table[T], all []KV, own []listenerKV, listener string) (T, error) {
	var none T
	t := table.Defaults()
	if err := table.Apply(all, &t); err != nil {
		return none, err
	}
	for i := range own {
		if _, known := table.Lookup(own[i].Name); !known || !strings.EqualFold(own[i].listener, listener) {
			continue
		}
		if err := table.Apply([]KV{own[i].KV}, &t); err != nil {
			var e *Error
			if errors.As(err, &e) {
				e.Name = own[i].full
			}
			return none, err
		}
	}
	return t, nil
}

// ListenersNamed returns the listeners that have settings of their own, with
// the property that names each, for the check that they exist.
func (s *Settings) ListenersNamed() (names, properties []string) {
	for i := range s.listeners {
		names, properties = append(names, s.listeners[i].listener), append(properties, s.listeners[i].full)
	}
	return names, properties
}
