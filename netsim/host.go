package netsim

import "github.com/seed-604ea8f1/windtunnel/clock"

// HostUp boots the kernel of a host after a power loss: from now on it answers
// with RST what belongs to earlier connections. The process listens only after
// SetListening.
func (n *Network) HostUp(now clock.Instant, h HostID) {
	n.observe(now)
	n.hosts[h].alive = true
}

// HostDown takes the process of a host down, or all of it. Nothing is delivered
// to the process's connections after that.
func (n *Network) HostDown(now clock.Instant, h HostID, how Down) {
	n.observe(now)
	n.hosts[h].listening = false
	n.hosts[h].epoch++
	if how == PowerLoss {
		n.hosts[h].alive = false
	}
	for e := range int32(len(n.dirs)) {
		r := &n.dirs[e]
		switch {
		case r.from != h:
		case r.end == endDialing:
			n.endDial(e)
		case how == PowerLoss:
			n.vanish(e, now)
		case r.end == endOpen:
			n.closeByKernel(e, now)
		}
	}
}

// closeByKernel is what a kernel does with a dead process's socket: what was
// written is sent, then FIN; but RST if data has come, or is on its way, that
// nobody will read.
func (n *Network) closeByKernel(e int32, now clock.Instant) {
	r := &n.dirs[e]
	r.end = endClosed
	if n.dirs[e^1].count == 0 {
		n.push(e, now, frameFin, nil)
		return
	}
	n.truncate(e, n.onTheWire(e, now))
	n.stopTimer(e)
	n.pushAt(e, now, now+n.latency(&n.paths[r.path]), frameReset)
}

// vanish ends a host's end without a packet. What has left the host arrives.
func (n *Network) vanish(e int32, now clock.Instant) {
	r := &n.dirs[e]
	r.end = endClosed
	n.truncate(e, n.onTheWire(e, now))
	n.stopTimer(e)
	n.rearm(e^1, now)
	n.schedule(e)
	n.freeIfDone(e)
}
