package client

import (
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// adminProbe is the probe under way.
//
//	waiting --due--> due --a broker is there--> asking --done--> waiting
//	asking --failed--> due, after a back-off
type adminProbe struct {
	began    bool
	due      bool
	asking   bool
	set      bool          // what the next one does: set the override, or take it back
	intended clock.Instant // of the one that is due
	next     clock.Instant
	attempts int32
}

// probeNow makes the next probe when it is due.
func (a *Admin) probeNow() {
	cfg, p := &a.cfg.Probe, &a.probe
	if cfg.Every == 0 || !a.ready || p.asking || a.waits(timerProbe) {
		return
	}
	if !p.began {
		p.began, p.set, p.next = true, true, cfg.From
	}
	if !p.due {
		if p.next >= cfg.To {
			return
		}
		if p.next > a.net.now {
			a.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerProbe}, p.next)
			return
		}
		p.due, p.intended, p.attempts = true, p.next, 0
		a.observeProbe(false)
	}
	if to := a.anyBroker(); to != nil {
		p.asking = true
		a.net.send(to, a.probeRequest(to), callProbe, 0, a.net.requestTimeout())
	}
}

func (a *Admin) probeRequest(to *peer) kmsg.Request {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.SetVersion(max(to.version(kmsg.IncrementalAlterConfigs), 0))
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, a.cfg.Probe.Topic
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op = a.cfg.Probe.Property, kmsg.IncrementalAlterConfigOpDelete
	if a.probe.set {
		c.Op, c.Value = kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(a.cfg.Probe.Value)
	}
	r.Configs = append(r.Configs, c)
	req.Resources = append(req.Resources, r)
	return req
}

func (a *Admin) probed(c *call, body []byte) {
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	resp.SetVersion(c.version)
	ok := resp.ReadFrom(body) == nil && len(resp.Resources) == 1 && resp.Resources[0].ErrorCode == codeNone
	a.probeEnded(ok)
}

func (a *Admin) probeEnded(ok bool) {
	p := &a.probe
	p.asking = false
	if !ok {
		a.wait(timerProbe, p.attempts)
		p.attempts++
		return
	}
	a.observeProbe(true)
	p.due, p.set = false, !p.set
	for p.next <= a.net.now {
		p.next = p.next.Add(a.cfg.Probe.Every)
	}
}

func (a *Admin) observeProbe(done bool) {
	if a.cfg.Observer != nil {
		a.cfg.Observer.Probed(a.probe.intended, a.net.now, done)
	}
}
