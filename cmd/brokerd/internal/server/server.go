// Package server assembles one real node: settings, data directory, sockets,
// certificates, the core and its host. It decides nothing that Kafka's protocol
// decides.
package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/host"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/admin"
	"github.com/seed-604ea8f1/windtunnel/cmd/brokerd/internal/tlsfiles"
)

// Options are what a node is started with.
type Options struct {
	Settings *config.Settings
	// ClusterID is given to an empty data directory; it must be that of any other.
	// Empty draws one for a node that is its own quorum.
	ClusterID string
	Logger    *slog.Logger
}

// Server is one node that is about to run.
type Server struct {
	options   Options
	node      *broker.Node
	host      *host.Host
	listeners *listener.Set
	files     []*tlsfiles.Files
	keys      []tokenKeys
	tokens    []ownToken
	tokensMu  sync.Mutex    // of tokens, once the node runs
	admin     *admin.Server // nil if there is none
}

// Open binds the node's sockets, takes its data directory and reads its
// certificates. Nothing is served before Run.
func Open(o Options) (s *Server, err error) {
	n := &o.Settings.Node
	isBroker, isController, err := roles(n)
	if err != nil {
		return nil, err
	}
	set, binds, err := listener.Parse(n, isBroker, isController)
	if err != nil {
		return nil, err
	}
	s = &Server{options: o, listeners: set}
	security, err := s.security(binds)
	if err != nil {
		return nil, err
	}
	dir, err := dataDirectory(n)
	if err != nil {
		return nil, err
	}
	sockets, err := bind(set, binds)
	if err != nil {
		return nil, err
	}
	s.host, err = host.Open(host.Config{Dir: dir, Logger: o.Logger, Limits: limits(o.Settings), Listeners: sockets, Security: security})
	if err != nil {
		return nil, errors.Join(err, closeAll(sockets))
	}
	s.host.SetDiskBytes(n.LogDirsBytesMax)
	cfg, err := s.core(dir, isBroker, isController)
	if err != nil {
		return nil, errors.Join(err, s.host.Close())
	}
	s.node = broker.New(*cfg)
	if address := n.AdminListener; address != "" {
		if s.admin, err = admin.Serve(address, s.host, s.node); err != nil {
			return nil, errors.Join(err, s.host.Close())
		}
	}
	return s, nil
}

// core is the configuration of the core.
func (s *Server) core(dir string, isBroker, isController bool) (*broker.Config, error) {
	n := &s.options.Settings.Node
	voters, err := s.voters(isController)
	if err != nil {
		return nil, err
	}
	seed, err := randomSeed()
	if err != nil {
		return nil, err
	}
	cfg := &broker.Config{
		NodeID: int32(n.NodeID), IsBroker: isBroker, IsController: isController,
		Listeners: *s.listeners, LogDir: dir, Voters: voters, Broker: s.options.Settings.Broker,
		Overrides: s.options.Settings.Overrides, Seed: seed, InFlightBytes: n.QueuedMaxRequestBytes,
	}
	if cfg.Security, err = s.sasl(); err != nil {
		return nil, err
	}
	if err := cfg.CheckSecurity(); err != nil {
		return nil, err
	}
	// Last, since a new directory is claimed with it: a start that fails for its
	// settings must leave none taken.
	alone := len(voters) == 1 && isController
	identity, err := identify(dir, cfg.NodeID, s.options.ClusterID, alone)
	if err != nil {
		return nil, err
	}
	cfg.ClusterID = identity.ClusterID
	return cfg, nil
}

// Run serves until ctx ends and the node has shut down. ready is called once,
// when the node does what it is for.
func (s *Server) Run(ctx context.Context, ready func()) error {
	announced := make(chan struct{})
	watching, ended := context.WithCancel(ctx)
	s.followKeys(watching)
	go func() {
		defer close(announced)
		if s.awaitReady(watching) {
			ready()
		}
	}()
	err := s.host.Run(ctx, s.node)
	ended()
	<-announced
	if s.admin != nil {
		err = errors.Join(err, s.admin.Close())
	}
	return err
}

// AdminAddress is where metrics and health are served; empty if they are not.
func (s *Server) AdminAddress() string {
	if s.admin == nil {
		return ""
	}
	return s.admin.Address()
}

// Shutdown asks for a controlled shutdown, as the end of Run's context does; a
// second wish ends the node at once.
func (s *Server) Shutdown() { s.host.Shutdown() }

// Addresses are what clients are told, those of the brokers' own listener first.
func (s *Server) Addresses() (list []string) {
	for _, e := range s.listeners.Endpoints() {
		list = append(list, net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))))
	}
	return list
}

// Reload reads certificates and the keys of tokens again; those of a file that
// cannot be read stay in force. Of settings that were read again it takes what
// can change while the node runs.
func (s *Server) Reload(again *config.Settings) error {
	s.host.SetDiskBytes(again.Node.LogDirsBytesMax)
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Reload())
	}
	return errors.Join(append(errs, s.reloadKeys())...)
}

// readyPoll is how often a starting node is asked whether it is ready.
const readyPoll = 10 * time.Millisecond

// awaitReady waits until the node does what it is for; false if it ends before.
func (s *Server) awaitReady(ctx context.Context) bool {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		ready := false
		if err := s.host.View(ctx, func() { ready = s.node.Ready() }); err != nil {
			return false
		}
		if ready {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-poll.C:
		}
	}
}

func wrong(name, value, problem string) *config.Error {
	return &config.Error{What: "node property", Name: name, Value: value, Problem: problem}
}

func roles(n *config.Node) (isBroker, isController bool, err error) {
	for _, role := range strings.Split(n.ProcessRoles, ",") {
		switch strings.TrimSpace(role) {
		case "broker":
			isBroker = true
		case "controller":
			isController = true
		default:
			return false, false, wrong("process.roles", n.ProcessRoles, "must be broker, controller or broker,controller")
		}
	}
	if n.NodeID < 0 {
		return false, false, wrong("node.id", "", "must be set: a number from 0 up, of its own for each node")
	}
	return isBroker, isController, nil
}

// dataDirectory makes the node's directory if there is none.
func dataDirectory(n *config.Node) (string, error) {
	if strings.Contains(n.LogDirs, ",") {
		return "", wrong("log.dirs", n.LogDirs, "must be one directory")
	}
	dir, err := filepath.Abs(strings.TrimSpace(n.LogDirs))
	if err != nil {
		return "", fmt.Errorf("find the data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the data directory: %w", err)
	}
	return dir, nil
}

// bind listens, and completes what is advertised: a port that the system has
// chosen, and a name where every address is listened on.
func bind(set *listener.Set, binds []listener.Bind) (sockets []host.Listener, err error) {
	for _, b := range binds {
		l := set.Of(b.Number)
		address := net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port)))
		socket, err := net.Listen("tcp", address)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listener %s://%s: %w", l.Name, address, err), closeAll(sockets))
		}
		sockets = append(sockets, host.Listener{Number: b.Number, Name: l.Name, Socket: socket})
		if l.Port == 0 {
			l.Port = int32(socket.Addr().(*net.TCPAddr).Port)
		}
		if l.Host == "" || l.Host == "0.0.0.0" || l.Host == "::" {
			if l.Host, err = os.Hostname(); err != nil {
				return nil, errors.Join(fmt.Errorf("find a name to advertise for %s: %w", l.Name, err), closeAll(sockets))
			}
		}
	}
	return sockets, nil
}

func closeAll(sockets []host.Listener) error {
	var errs []error
	for i := range sockets {
		errs = append(errs, sockets[i].Socket.Close())
	}
	return errors.Join(errs...)
}

// voters reads controller.quorum.voters. A controller without it is a quorum of
// its own.
func (s *Server) voters(isController bool) ([]controller.Voter, error) {
	const property = "controller.quorum.voters"
	n := &s.options.Settings.Node
	self := s.listeners.Of(s.listeners.Controllers)
	if n.QuorumVoters == "" {
		if !isController {
			return nil, wrong(property, "", "must name the controllers, as id@host:port,...")
		}
		return []controller.Voter{{ID: int32(n.NodeID), Host: self.Host, Port: self.Port}}, nil
	}
	var voters []controller.Voter
	for _, item := range strings.Split(n.QuorumVoters, ",") {
		id, address, ok := strings.Cut(strings.TrimSpace(item), "@")
		number, err1 := strconv.ParseInt(id, 10, 32)
		name, port, err2 := net.SplitHostPort(address)
		portNumber, err3 := strconv.ParseUint(port, 10, 16)
		if !ok || err1 != nil || err2 != nil || err3 != nil || number < 0 || name == "" || portNumber == 0 {
			return nil, wrong(property, item, "must be id@host:port")
		}
		if slices.ContainsFunc(voters, func(v controller.Voter) bool { return v.ID == int32(number) }) {
			return nil, wrong(property, n.QuorumVoters, fmt.Sprintf("names node %d twice", number))
		}
		voters = append(voters, controller.Voter{ID: int32(number), Host: name, Port: int32(portNumber)})
	}
	if isController != slices.ContainsFunc(voters, func(v controller.Voter) bool { return v.ID == int32(n.NodeID) }) {
		problem := fmt.Sprintf("has node %d, and its process.roles has no controller", n.NodeID)
		if isController {
			problem = fmt.Sprintf("has no node %d, and its process.roles has controller", n.NodeID)
		}
		return nil, wrong(property, n.QuorumVoters, problem)
	}
	return voters, nil
}

// security loads what the listeners need that are encrypted.
func (s *Server) security(binds []listener.Bind) (map[edge.Listener]*host.Security, error) {
	out := make(map[edge.Listener]*host.Security)
	for i := range s.listeners.All {
		l, number := &s.listeners.All[i], edge.Listener(i)
		if !l.Protocol.TLS() {
			continue
		}
		settings, err := s.options.Settings.TLS(l.Name)
		if err != nil {
			return nil, err
		}
		files, err := tlsfiles.Load(settings)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		ours := slices.ContainsFunc(binds, func(b listener.Bind) bool { return b.Number == number })
		if ours && !files.HasKey() {
			return nil, fmt.Errorf("listener %s is %s: ssl.keystore.location must name a PEM file with its certificate and key", l.Name, l.Protocol)
		}
		s.files = append(s.files, files)
		out[number] = &host.Security{Server: files.Server, Client: files.Client, Principal: files.Principal}
	}
	names, properties := s.options.Settings.ListenersNamed()
	for i, name := range names {
		if !slices.ContainsFunc(s.listeners.All, func(l listener.Listener) bool { return strings.EqualFold(l.Name, name) }) {
			return nil, &config.Error{What: "property", Name: properties[i], NameWrong: true, Problem: "is of a listener that does not exist"}
		}
	}
	return out, nil
}

func limits(s *config.Settings) host.Limits {
	return host.Limits{
		FrameBytes:       int(s.Broker.SocketRequestMaxBytes),
		Connections:      int(s.Node.MaxConnections),
		ConnectionsPerIP: int(s.Node.MaxConnectionsPerIP),
		InFlightBytes:    s.Node.QueuedMaxRequestBytes,
		IdleTime:         clock.Span(s.Broker.ConnectionsMaxIdleMillis, time.Millisecond), // -1: never
	}
}

func randomSeed() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("draw a seed: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}
