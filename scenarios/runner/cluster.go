// Package runner carries out a scenario: it builds the simulated cluster and its
// clients, lets the timeline happen, feeds the checkers and states a verdict.
// It owns no rule of Kafka and no rule of checking.
package runner

import (
	"strconv"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker"
	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/broker/controller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/listener"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/netsim"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
	"github.com/seed-604ea8f1/windtunnel/sim"
	"github.com/seed-604ea8f1/windtunnel/sim/disk"
)

const (
	clientPort     = 9092
	controllerPort = 9093
	clusterID      = "windtunnel"
	// startOfTime is the wall clock at virtual time zero: 2025-01-01T00:00:00Z.
	startOfTime = clock.Wall(1735689600000)
	// RestartAfterExit is systemd's RestartSec of a Kafka unit: a process that
	// halts or stops by itself comes back, a killed one only as the scenario says.
	RestartAfterExit = 5 * time.Second
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
	roleCompactionAuditor
)

func (r role) String() string {
	return [...]string{"controller", "broker", "producer", "consumer", "auditor", "admin", "compaction-auditor"}[r]
}

// hostInfo is what the runner knows about a host.
type hostInfo struct {
	name   string
	zone   string
	role   role
	nodeID int32 // of controllers and brokers
	group  int   // index of the producer or consumer group in the workload
	index  int   // within its group
	// addedBy is 1 + the event that adds a broker to the running cluster; 0: none.
	addedBy int
}

// layout is every host of a scenario: brokers, controllers, then clients.
// The index is the netsim.HostID.
type layout struct {
	hosts       []hostInfo
	controllers []netsim.HostID
	brokers     []netsim.HostID
	voters      []controller.Voter
}

func newLayout(s *scenarios.Scenario) *layout {
	l := &layout{}
	for _, n := range s.Cluster.Nodes() {
		h := hostInfo{name: n.Name, zone: n.Zone, role: roleBroker, nodeID: n.ID, addedBy: n.AddedBy}
		if n.Controller {
			h.role = roleController
		}
		l.add(h)
	}
	for g := range s.Workload.Producers {
		p := &s.Workload.Producers[g]
		for i := range int(p.Count) {
			l.add(hostInfo{name: p.Name + "-" + strconv.Itoa(i+1), zone: s.Cluster.ClientZone(p.Zone, i), role: roleProducer, group: g, index: i})
		}
	}
	for g := range s.Workload.Consumers {
		c := &s.Workload.Consumers[g]
		for i := range int(c.Count) {
			l.add(hostInfo{name: c.Name + "-" + strconv.Itoa(i+1), zone: s.Cluster.ClientZone(c.Zone, i), role: roleConsumer, group: g, index: i})
		}
	}
	l.add(hostInfo{name: "auditor", zone: s.Cluster.Zones[0], role: roleAuditor})
	l.add(hostInfo{name: "admin", zone: s.Cluster.Zones[0], role: roleAdmin})
	if s.Compacts() {
		l.add(hostInfo{name: "compaction-auditor", zone: s.Cluster.Zones[0], role: roleCompactionAuditor})
	}
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

// topology is the network of the scenario.
func (l *layout) topology(s *scenarios.Scenario) netsim.Topology {
	t := netsim.Topology{
		Loopback:  netsim.Link{Latency: netsim.Constant(20 * time.Microsecond)},
		SameZone:  link(&s.Cluster.Network.SameZone),
		CrossZone: link(&s.Cluster.Network.CrossZone),
	}
	for i := range s.Cluster.Network.Links {
		z := &s.Cluster.Network.Links[i]
		t.ZoneLinks = append(t.ZoneLinks, netsim.ZoneLink{From: z.Between[0], To: z.Between[1], Link: link(&z.Link)})
		if z.Between[0] != z.Between[1] {
			t.ZoneLinks = append(t.ZoneLinks, netsim.ZoneLink{From: z.Between[1], To: z.Between[0], Link: link(&z.Link)})
		}
	}
	nic := s.Cluster.Network.Interface.BytesPerSecond()
	for _, h := range l.hosts {
		host := netsim.Host{Name: h.name, Zone: h.zone, EgressBytesPerSecond: nic, IngressBytesPerSecond: nic}
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
// latency and at most latency plus jitter, lognormal, or one of those measured.
func link(l *scenarios.Link) netsim.Link {
	latency := netsim.Uniform(l.Latency, l.Latency+l.Jitter)
	switch {
	case len(l.Delays) > 0:
		latency = netsim.Measured(l.Delays)
	case l.P99 > 0:
		latency = netsim.Lognormal(l.Latency, l.P99)
	}
	return netsim.Link{Latency: latency, LossPPM: int32(l.Loss), BytesPerSecond: l.Bandwidth.BytesPerSecond()}
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

// node makes the configuration of a controller or broker host.
func (l *layout) node(s *scenarios.Scenario, h *hostInfo) broker.Config {
	settings := s.Cluster.Brokers.Settings
	settings.BrokerRack = h.zone
	return broker.Config{
		NodeID: h.nodeID, ClusterID: clusterID, Listeners: listener.Plain(h.name, clientPort), Voters: l.voters,
		IsBroker: h.role == roleBroker, IsController: h.role == roleController, Broker: settings,
		Overrides: append(s.Cluster.Brokers.Config[:len(s.Cluster.Brokers.Config):len(s.Cluster.Brokers.Config)],
			config.KV{Name: "broker.rack", Value: h.zone}),
	}
}

// nodeHost is the simulated machine of a controller or broker.
func (l *layout) nodeHost(s *scenarios.Scenario, h *hostInfo) sim.HostConfig {
	cfg := l.node(s, h)
	return sim.HostConfig{
		Boot: func(info sim.BootInfo) edge.Machine {
			boot := cfg
			boot.Seed = info.Seed
			return broker.New(boot)
		},
		Disk: diskConfig(&s.Cluster.Disks), Cost: sim.BrokerCost(), RestartAfterExit: RestartAfterExit,
		StayDown: h.addedBy > 0,
	}
}
