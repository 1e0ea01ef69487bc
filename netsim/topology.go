package netsim

import (
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
)

// HostID is the index of a host in Topology.Hosts.
type HostID int32

// HostsMax bounds a topology: the state of ordered pairs of hosts is a square.
const HostsMax = 1024

// Topology is everything that does not change while a network runs.
type Topology struct {
	Hosts []Host
	// Loopback joins a host with itself, SameZone two hosts of one zone,
	// CrossZone hosts of different zones. Zone links and then host links
	// replace them.
	Loopback  Link
	SameZone  Link
	CrossZone Link
	ZoneLinks []ZoneLink
	HostLinks []HostLink
}

// Host is one machine with one kernel and one process that matters.
type Host struct {
	Name  string // as in edge.Dial.Host
	Zone  string
	Ports []Port
	// EgressBytesPerSecond and IngressBytesPerSecond are the rate of the
	// host's network interface, shared by all its connections; 0 is unlimited.
	EgressBytesPerSecond  int64
	IngressBytesPerSecond int64
}

// Port is a port on which the host's process listens whenever it listens at all.
type Port struct {
	Number   int32
	Listener edge.Listener
}

// Link describes the one-way path from one host to another.
type Link struct {
	Latency Latency
	// Jitter is added to or taken from each latency, uniformly in
	// [-Jitter, +Jitter]; the sum is never below zero.
	Jitter time.Duration
	// BytesPerSecond is the rate shared by everything that uses the link; 0 is
	// unlimited. A zone link (also SameZone and CrossZone) is shared by all pairs
	// of hosts of that ordered pair of zones; a host link belongs to one pair.
	BytesPerSecond int64
	// LossPPM is how many of a million frames, or handshake packets, are lost at
	// each attempt; TCP shows it as delay and, at worst, as a reset.
	LossPPM int32
}

// ZoneLink sets the link for one ordered pair of zones.
type ZoneLink struct {
	From, To string
	Link     Link
}

// HostLink sets the link for one ordered pair of hosts.
type HostLink struct {
	From, To string
	Link     Link
}

// Validate returns the first mistake of the topology.
func (t *Topology) Validate() error {
	if len(t.Hosts) > HostsMax {
		return fmt.Errorf("topology has %d hosts, at most %d are possible", len(t.Hosts), HostsMax)
	}
	hosts, zones := make(map[string]bool, len(t.Hosts)), make(map[string]bool)
	for i := range t.Hosts {
		h := &t.Hosts[i]
		if h.Name == "" || hosts[h.Name] {
			return fmt.Errorf("host %d has an empty or repeated name %q", i, h.Name)
		}
		hosts[h.Name], zones[h.Zone] = true, true
		for j, p := range h.Ports {
			for _, q := range h.Ports[:j] {
				if p.Number == q.Number {
					return fmt.Errorf("host %s lists port %d twice", h.Name, p.Number)
				}
			}
		}
		if h.EgressBytesPerSecond < 0 || h.IngressBytesPerSecond < 0 {
			return fmt.Errorf("host %s has a negative interface rate", h.Name)
		}
	}
	for _, l := range []struct {
		name string
		link *Link
	}{{"loopback", &t.Loopback}, {"same zone", &t.SameZone}, {"cross zone", &t.CrossZone}} {
		if err := l.link.validate(); err != nil {
			return fmt.Errorf("%s link: %w", l.name, err)
		}
	}
	for i := range t.ZoneLinks {
		l := &t.ZoneLinks[i]
		if !zones[l.From] || !zones[l.To] {
			return fmt.Errorf("zone link %q to %q: no host is in such a zone", l.From, l.To)
		}
		if err := l.Link.validate(); err != nil {
			return fmt.Errorf("zone link %s to %s: %w", l.From, l.To, err)
		}
	}
	for i := range t.HostLinks {
		l := &t.HostLinks[i]
		if !hosts[l.From] || !hosts[l.To] {
			return fmt.Errorf("host link %q to %q: no such host", l.From, l.To)
		}
		if err := l.Link.validate(); err != nil {
			return fmt.Errorf("host link %s to %s: %w", l.From, l.To, err)
		}
	}
	return nil
}

func (l *Link) validate() error {
	if l.Jitter < 0 || l.Jitter > LatencyMax {
		return fmt.Errorf("jitter %v is not within [0, %v]", l.Jitter, LatencyMax)
	}
	if l.BytesPerSecond < 0 {
		return fmt.Errorf("%d bytes per second is negative", l.BytesPerSecond)
	}
	if l.LossPPM < 0 || l.LossPPM > million {
		return fmt.Errorf("loss of %d parts per million is not within [0, %d]", l.LossPPM, million)
	}
	return l.Latency.validate()
}

const million = 1_000_000
