package client

import (
	"slices"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	callCreate uint8 = callClient + iota
	callOperate
	callProbe
	callStorm
)

const (
	timerCreate uint8 = iota + 1
	timerOperate
	timerPoll
	timerProbe
	timerStorm
)

// adminRetries bounds the tries of one operation; creation goes on until the
// topics are there.
const adminRetries = 100

// Admin is an administrator's client: it creates topics, waits until every
// partition has a leader, and carries out operations when told to.
//
//	creating --every topic exists--> waiting --every partition led--> ready
type Admin struct {
	cfg      AdminConfig
	net      network
	meta     metadata
	exists   []bool
	creating bool
	attempts int32
	ready    bool
	readyAt  clock.Instant

	operation int // the next one
	operating bool
	tries     int32 // of this one

	probe  adminProbe
	storms []*adminStorm
}

// NewAdmin returns an administrator.
func NewAdmin(cfg AdminConfig) *Admin {
	a := &Admin{cfg: cfg, exists: make([]bool, len(cfg.Topics)), readyAt: clock.Never}
	a.net = newNetwork(&a.cfg.Identity, &a.cfg.Common, a)
	var names []string
	for i := range cfg.Topics {
		names = append(names, cfg.Topics[i].Name)
	}
	a.meta = newMetadata(&a.net, cfg.Bootstrap, names)
	return a
}

// Ready tells whether all topics have been seen with a leader in every
// partition. It stays true.
func (a *Admin) Ready() bool { return a.ready }

// ReadyAt is when that was first so; clock.Never before.
func (a *Admin) ReadyAt() clock.Instant { return a.readyAt }

// Step consumes one event.
func (a *Admin) Step(ev *edge.Event, out *edge.Effects) {
	n := &a.net
	n.begin(ev, out)
	n.handle(ev)
	for {
		id, ok := n.timers.Pop(n.now)
		if !ok {
			break
		}
		if id.Owner == ownerNetwork {
			n.due(id)
		}
	}
	a.create()
	a.look()
	a.operate()
	a.probeNow()
	a.blow()
	a.meta.maintain()
	if ev.Kind == edge.EventShutdown {
		out.Stopped = true
	}
	out.Wake = n.timers.Next()
}

// waits tells whether a timer of the administrator's own is still to come.
func (a *Admin) waits(kind uint8) bool {
	_, ok := a.net.timers.Pending(timer.ID{Owner: ownerClient, Kind: kind})
	return ok
}

func (a *Admin) wait(kind uint8, attempts int32) {
	c := a.net.common
	a.net.timers.Set(timer.ID{Owner: ownerClient, Kind: kind}, a.net.now.Add(a.net.backoff(c.RetryBackoffMillis, c.RetryBackoffMaxMillis, attempts)))
}

// anyBroker returns a broker to ask that metadata has listed, if one is ready.
// The brokers pass admin requests on to the controller.
func (a *Admin) anyBroker() *peer {
	if a.meta.updates == 0 {
		return nil
	}
	p, _ := a.net.leastLoaded(a.meta.brokers, 1<<30)
	if p == nil || !a.net.ready(p, 1<<30) {
		return nil
	}
	return p
}

func (a *Admin) create() {
	if a.creating || a.waits(timerCreate) || !slices.Contains(a.exists, false) {
		return
	}
	p := a.anyBroker()
	if p == nil {
		return
	}
	if len(a.meta.brokers) < a.cfg.Brokers {
		a.again()
		return
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	req.SetVersion(max(p.version(kmsg.CreateTopics), 2))
	req.TimeoutMillis = int32(a.net.common.RequestTimeoutMillis)
	for i := range a.cfg.Topics {
		if !a.exists[i] {
			req.Topics = append(req.Topics, newTopicRequest(&a.cfg.Topics[i]))
		}
	}
	a.creating = true
	a.net.send(p, req, callCreate, 0, a.net.requestTimeout())
}

func newTopicRequest(t *NewTopic) kmsg.CreateTopicsRequestTopic {
	r := kmsg.NewCreateTopicsRequestTopic()
	r.Topic, r.NumPartitions, r.ReplicationFactor = t.Name, t.Partitions, t.ReplicationFactor
	for _, kv := range t.Configs {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = kv.Name, kmsg.StringPtr(kv.Value)
		r.Configs = append(r.Configs, c)
	}
	for i, replicas := range t.Assignment {
		x := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
		x.Partition, x.Replicas = int32(i), replicas
		r.ReplicaAssignment = append(r.ReplicaAssignment, x)
		r.NumPartitions, r.ReplicationFactor = -1, -1
	}
	return r
}

func (a *Admin) created(c *call, body []byte) {
	a.creating = false
	resp := kmsg.NewPtrCreateTopicsResponse()
	resp.SetVersion(c.version)
	if resp.ReadFrom(body) == nil {
		for i := range resp.Topics {
			t := &resp.Topics[i]
			at := a.meta.topicByName(t.Topic)
			if at < 0 || a.exists[at] {
				continue
			}
			if a.cfg.Observer != nil {
				a.cfg.Observer.Created(t.Topic, t.ErrorCode)
			}
			a.exists[at] = t.ErrorCode == codeNone || t.ErrorCode == codeTopicExists
		}
	}
	a.meta.request()
	if slices.Contains(a.exists, false) {
		a.wait(timerCreate, a.attempts)
		a.attempts++
	}
}

// look finds out whether all partitions have leaders.
func (a *Admin) look() {
	if a.ready {
		return
	}
	for i := range a.cfg.Topics {
		t := &a.meta.topics[i]
		want := int(a.cfg.Topics[i].Partitions)
		if len(a.cfg.Topics[i].Assignment) > 0 {
			want = len(a.cfg.Topics[i].Assignment)
		}
		if !a.exists[i] || t.code != codeNone || len(t.partitions) < max(want, 1) {
			a.again()
			return
		}
		for k := range t.partitions {
			if a.meta.partition(i, int32(k)).leader < 0 {
				a.again()
				return
			}
		}
	}
	if a.meta.updates > 0 {
		a.ready, a.readyAt = true, a.net.now
	}
}

// again asks for new metadata, now and then.
func (a *Admin) again() {
	if !a.waits(timerPoll) {
		a.meta.request()
		a.wait(timerPoll, 0)
	}
}

func (a *Admin) answered(from *peer, c *call, body []byte, _ *edge.Buffer) {
	switch c.kind {
	case callMetadata:
		if !a.meta.answered(c, body) {
			a.net.hangUp(from, false)
		}
	case callCreate:
		a.created(c, body)
	case callOperate:
		a.operated(c, body)
	case callProbe:
		a.probed(c, body)
	case callStorm:
		a.blown(c, body)
	}
}

func (a *Admin) lost(_ *peer, c *call, _ bool) {
	switch c.kind {
	case callMetadata:
		a.meta.failed()
	case callCreate:
		a.creating = false
		a.wait(timerCreate, a.attempts)
		a.attempts++
	case callOperate:
		a.operationEnded(codeNetworkException)
	case callProbe:
		a.probeEnded(false)
	case callStorm:
		a.blown(c, nil)
	}
}

func (a *Admin) closed(*peer) { a.meta.request() }
