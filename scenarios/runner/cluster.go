// Package runner carries out a scenario: it builds the simulated cluster and its
// clients, lets the timeline happen, feeds the checkers and states a verdict.
// It owns no rule of Kafka and no rule of checking.
package runner

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

const (
	clientPort     = 9092
	controllerPort = 9093
	// controllerIDs is where the node ids of controllers start; brokers count
	// from 1.
	controllerIDs = 1000
	clusterID     = "windtunnel"
	// startOfTime is the wall clock at virtual time zero: 2025-01-01T00:00:00Z.
	startOfTime = clock.Wall(1735689600000)
	// restartAfterExit is systemd's RestartSec of a Kafka unit: a process that
	// halts or stops by itself comes back, a killed one only as the scenario says.
	restartAfterExit = 5 * time.Second
)

// role says what runs on a host.
type role uint8

const (
	roleController role = iota
	roleBroker
	roleProducer
	roleConsumer
	roleAuditor
	roleAdmin
)

func (r role) String() string {
	return [...]string{"controller", "broker", "producer", "consumer", "auditor", "admin"}[r]
}

// hostInfo is what the runner knows about a host.
type hostInfo struct {
	name   string
	zone   string
	role   role
	nodeID int32 // of controllers and brokers
	group  int   // index of the producer or consumer group in the workload
	index  int   // within its group
}

// layout is every host of a scenario: controllers, brokers, then clients.
// The index is the netsim.HostID.
type layout struct {
	hosts       []hostInfo
	controllers []netsim.HostID
	brokers     []netsim.HostID
	voters      []controller.Voter
}

func newLayout(s *scenarios.Scenario) *layout {
	l := &layout{}
	for i, zone := range controllerZones(s) {
		l.add(hostInfo{name: "controller-" + strconv.Itoa(i+1), zone: zone, role: roleController, nodeID: int32(controllerIDs + i + 1)})
	}
	for i, zone := range brokerZones(s) {
		l.add(hostInfo{name: "broker-" + strconv.Itoa(i+1), zone: zone, role: roleBroker, nodeID: int32(i + 1)})
	}
	zones := s.Cluster.Zones
	for g := range s.Workload.Producers {
		p := &s.Workload.Producers[g]
		for i := range int(p.Count) {
			l.add(hostInfo{name: clientName(p.Name, i), zone: clientZone(p.Zone, zones, i), role: roleProducer, group: g, index: i})
		}
	}
	for g := range s.Workload.Consumers {
		c := &s.Workload.Consumers[g]
		for i := range int(c.Count) {
			l.add(hostInfo{name: clientName(c.Name, i), zone: clientZone(c.Zone, zones, i), role: roleConsumer, group: g, index: i})
		}
	}
	l.add(hostInfo{name: "auditor", zone: zones[0], role: roleAuditor})
	l.add(hostInfo{name: "admin", zone: zones[0], role: roleAdmin})
	return l
}

func (l *layout) add(h hostInfo) {
	id := netsim.HostID(len(l.hosts))
	l.hosts = append(l.hosts, h)
	switch h.role {
	case roleController:
		l.controllers = append(l.controllers, id)
		l.voters = append(l.voters, controller.Voter{ID: h.nodeID, Host: h.name, Port: controllerPort})
	case roleBroker:
		l.brokers = append(l.brokers, id)
	}
}

// broker returns the host of a broker id; ok is false if there is none.
func (l *layout) broker(id int32) (netsim.HostID, bool) {
	if id < 1 || int(id) > len(l.brokers) {
		return 0, false
	}
	return l.brokers[id-1], true
}

func clientName(group string, i int) string { return group + "-" + strconv.Itoa(i+1) }

func clientZone(fixed string, zones []string, i int) string {
	if fixed != "" {
		return fixed
	}
	return zones[i%len(zones)]
}

func controllerZones(s *scenarios.Scenario) (out []string) {
	c := &s.Cluster.Controllers
	if len(c.Nodes) > 0 {
		return c.Nodes
	}
	return dealt(s.Cluster.Zones, int(c.PerZone), int(c.Count))
}

func brokerZones(s *scenarios.Scenario) []string {
	return dealt(s.Cluster.Zones, int(s.Cluster.Brokers.PerZone), int(s.Cluster.Brokers.Count))
}

// dealt names a zone for each node: perZone in each, zone after zone, or count
// in all, dealt in turn.
func dealt(zones []string, perZone, count int) (out []string) {
	for _, z := range zones {
		for range perZone {
			out = append(out, z)
		}
	}
	for i := range count {
		out = append(out, zones[i%len(zones)])
	}
	return out
}

// topology is the network of the scenario.
func (l *layout) topology(s *scenarios.Scenario) netsim.Topology {
	t := netsim.Topology{
		Loopback:  netsim.Link{Latency: netsim.Constant(20 * time.Microsecond)},
		SameZone:  link(&s.Cluster.Network.SameZone),
		CrossZone: link(&s.Cluster.Network.CrossZone),
	}
	for _, h := range l.hosts {
		host := netsim.Host{Name: h.name, Zone: h.zone}
		switch h.role {
		case roleBroker:
			host.Ports = []netsim.Port{{Number: clientPort, Listener: edge.ListenerClient}}
		case roleController:
			host.Ports = []netsim.Port{{Number: controllerPort, Listener: edge.ListenerController}}
		}
		t.Hosts = append(t.Hosts, host)
	}
	return t
}

// link turns the file's words into the network's: the delay is at least the
// latency and at most latency plus jitter.
func link(l *scenarios.Link) netsim.Link {
	return netsim.Link{
		Latency:        netsim.Uniform(l.Latency, l.Latency+l.Jitter),
		BytesPerSecond: int64(l.Bandwidth),
	}
}

// diskConfig is the disk of a node.
func diskConfig(d *scenarios.Disks) *disk.Config {
	c := disk.Defaults()
	c.CacheLatency, c.WriteLatency, c.ReadLatency = d.WriteLatency, d.SyncLatency, d.ReadLatency
	c.Capacity = int64(d.Capacity)
	if d.Bandwidth > 0 {
		c.BytesPerMicro = max(1, int64(d.Bandwidth)/1e6)
	}
	return &c
}

// brokerOverrides are the broker's properties as written, with the flush policy
// of the scenario's disks as Kafka's own property.
func brokerOverrides(s *scenarios.Scenario, zone string) []config.KV {
	out := append([]config.KV(nil), s.Cluster.Brokers.Config...)
	out = append(out, config.KV{Name: "broker.rack", Value: zone})
	switch f := s.Cluster.Disks.Flush; f.Mode {
	case scenarios.FlushBeforeAck:
		out = append(out, config.KV{Name: "log.flush.interval.messages", Value: "1"})
	case scenarios.FlushEvery:
		out = append(out, config.KV{Name: "log.flush.interval.messages", Value: strconv.FormatInt(f.Every, 10)})
	}
	return out
}

// node makes the configuration of a controller or broker host.
func (l *layout) node(s *scenarios.Scenario, h *hostInfo) (broker.Config, error) {
	overrides := brokerOverrides(s, h.zone)
	parsed, err := config.ParseBroker(overrides)
	if err != nil {
		return broker.Config{}, fmt.Errorf("%s: %w", h.name, err)
	}
	return broker.Config{
		NodeID: h.nodeID, ClusterID: clusterID, Host: h.name, Port: clientPort, Voters: l.voters,
		IsBroker: h.role == roleBroker, IsController: h.role == roleController,
		Broker: parsed, Overrides: overrides,
	}, nil
}

// nodeHost is the simulated machine of a controller or broker.
func (l *layout) nodeHost(s *scenarios.Scenario, h *hostInfo) (sim.HostConfig, error) {
	cfg, err := l.node(s, h)
	if err != nil {
		return sim.HostConfig{}, err
	}
	return sim.HostConfig{
		Boot: func(info sim.BootInfo) edge.Machine {
			boot := cfg
			boot.Seed = info.Seed
			return broker.New(boot)
		},
		Disk: diskConfig(&s.Cluster.Disks), Cost: sim.BrokerCost(), RestartAfterExit: restartAfterExit,
	}, nil
}
