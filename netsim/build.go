package netsim

import "slices"

// buildPaths resolves the link of each ordered pair of hosts.
func (n *Network) buildPaths(t *Topology) {
	zoneOf := make([]int, len(t.Hosts))
	for i := range t.Hosts {
		zone := slices.Index(n.stats.Zones, t.Hosts[i].Zone)
		if zone < 0 {
			zone = len(n.stats.Zones)
			n.stats.Zones = append(n.stats.Zones, t.Hosts[i].Zone)
		}
		zoneOf[i] = zone
	}
	zones := len(n.stats.Zones)
	n.stats.BytesByZonePair = make([]int64, zones*zones)

	loopback := n.compile(&t.Loopback)
	byZones := n.zoneLinks(t)
	egress, ingress := n.interfaces(t)
	n.paths = make([]path, len(t.Hosts)*len(t.Hosts))
	for i := range t.Hosts {
		for j := range t.Hosts {
			p := &n.paths[n.pathIndex(HostID(i), HostID(j))]
			pair := zoneOf[i]*zones + zoneOf[j]
			link := &byZones[pair]
			if i == j {
				link = &loopback
			}
			p.use(link)
			p.zones = int32(pair)
		}
	}
	for i := range t.HostLinks {
		l := &t.HostLinks[i]
		link := n.compile(&l.Link)
		n.paths[n.pathIndex(n.names[l.From], n.names[l.To])].use(&link)
	}
	for i := range t.Hosts {
		for j := range t.Hosts {
			p := &n.paths[n.pathIndex(HostID(i), HostID(j))]
			if i != j {
				p.pipes = joinPipes(p.pipes, egress[i], ingress[j])
			}
			p.linkPipes = int32(len(p.pipes))
		}
	}
}

// compiled is a link ready for use; pipe is -1 when it has no rate.
type compiled struct {
	draws  *draws
	jitter int64
	loss   int32
	pipe   int32
}

func (n *Network) compile(l *Link) compiled {
	d := l.Latency.compile()
	return compiled{draws: &d, jitter: int64(l.Jitter), loss: l.LossPPM, pipe: n.addPipe(l.BytesPerSecond)}
}

func (n *Network) addPipe(bytesPerSecond int64) int32 {
	if bytesPerSecond == 0 {
		return -1
	}
	if last := len(n.idlePipes) - 1; last >= 0 {
		i := n.idlePipes[last]
		n.idlePipes = n.idlePipes[:last]
		n.pipes[i] = newPipe(bytesPerSecond)
		return i
	}
	n.pipes = append(n.pipes, newPipe(bytesPerSecond))
	return int32(len(n.pipes) - 1)
}

// zoneLinks returns a link for each ordered pair of zones.
func (n *Network) zoneLinks(t *Topology) []compiled {
	zones := n.stats.Zones
	links := make([]compiled, len(zones)*len(zones))
	for i, from := range zones {
		for j, to := range zones {
			l := &t.CrossZone
			if i == j {
				l = &t.SameZone
			}
			for k := range t.ZoneLinks {
				if t.ZoneLinks[k].From == from && t.ZoneLinks[k].To == to {
					l = &t.ZoneLinks[k].Link
				}
			}
			links[i*len(zones)+j] = n.compile(l)
		}
	}
	return links
}

func (n *Network) interfaces(t *Topology) (egress, ingress []int32) {
	egress, ingress = make([]int32, len(t.Hosts)), make([]int32, len(t.Hosts))
	for i := range t.Hosts {
		egress[i] = n.addPipe(t.Hosts[i].EgressBytesPerSecond)
		ingress[i] = n.addPipe(t.Hosts[i].IngressBytesPerSecond)
	}
	return egress, ingress
}

func (p *path) use(l *compiled) {
	p.draws, p.jitter, p.linkLoss, p.loss = l.draws, l.jitter, l.loss, l.loss
	p.pipes = joinPipes(nil, l.pipe)
}

func joinPipes(pipes []int32, more ...int32) []int32 {
	for _, i := range more {
		if i >= 0 {
			pipes = append(pipes, i)
		}
	}
	return pipes
}
