package client

import (
	"fmt"
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Storm is topics that are created and deleted again and again, one request for each,
// in an open model: what is not answered in time does not hold up the others. A name
// that is free again is used again, for another topic.
type Storm struct {
	From, To          clock.Instant
	Every             time.Duration // between two requests
	Prefix            string        // of the topics' names
	Names             int           // how many of them
	Partitions        int32
	ReplicationFactor int16
	Configs           []clientconfig.KV
}

// Name returns the storm's topic of a number from 0.
func (s *Storm) Name(i int) string { return fmt.Sprintf("%s-%d", s.Prefix, i) }

// stormTopic is what the administrator knows of a name.
//
//	absent --create--> creating --answered--> present --delete--> deleting --answered--> absent
//
// What gets no answer, or one that invites another try, stays where it is and is tried
// again when its turn comes. When the storm is over, all that may be there is deleted.
type stormTopic struct {
	state stormState
	busy  bool // a request is under way
}

type stormState uint8

const (
	stormAbsent stormState = iota
	stormCreating
	stormPresent
	stormDeleting
)

// adminStorm is a storm under way.
type adminStorm struct {
	Storm
	topics           []stormTopic
	next             int // whose turn it is
	due              clock.Instant
	created, deleted int64
}

// Blow begins a storm, and returns its number. Whoever calls it outside of the
// administrator's Step wakes its machine.
func (a *Admin) Blow(s *Storm) int {
	a.storms = append(a.storms, &adminStorm{Storm: *s, topics: make([]stormTopic, s.Names), due: s.From})
	return len(a.storms) - 1
}

// Calm tells whether a storm is over and the cluster has confirmed that each of its
// topics is gone; and how many it has created and deleted.
func (a *Admin) Calm(storm int) (calm bool, created, deleted int64) {
	s := a.storms[storm]
	return s.calm(a.net.now), s.created, s.deleted
}

// Leftover tells the administrator that a topic of a storm is there after all: a
// request to create it that was given up has been carried out late.
func (a *Admin) Leftover(storm, topic int) {
	if t := &a.storms[storm].topics[topic]; t.state == stormAbsent {
		t.state = stormPresent
	}
}

func (s *adminStorm) calm(now clock.Instant) bool {
	if now < s.To {
		return false
	}
	for i := range s.topics {
		if s.topics[i].state != stormAbsent || s.topics[i].busy {
			return false
		}
	}
	return true
}

// blow sends what the storms have due.
func (a *Admin) blow() {
	for i, s := range a.storms {
		if s.calm(a.net.now) {
			continue
		}
		if s.due <= a.net.now {
			a.gust(uint32(i), s)
			for s.due <= a.net.now { // those that fell due while the machine stood still are left out
				s.due = s.due.Add(s.Every)
			}
		}
		a.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerStorm, A: uint32(i)}, s.due)
	}
}

// gust sends one request for the next topic that has none under way.
func (a *Admin) gust(storm uint32, s *adminStorm) {
	p := a.anyBroker()
	if p == nil {
		return
	}
	over := a.net.now >= s.To
	for range s.topics {
		i := s.next
		s.next = (i + 1) % len(s.topics)
		t := &s.topics[i]
		if t.busy || over && t.state == stormAbsent {
			continue
		}
		t.busy = true
		if !over && t.state <= stormCreating {
			t.state = stormCreating
		} else {
			t.state = stormDeleting
		}
		a.net.send(p, a.stormRequest(p, s, i), callStorm, storm<<16|uint32(i), a.net.requestTimeout())
		return
	}
}

func (a *Admin) stormRequest(p *peer, s *adminStorm, i int) kmsg.Request {
	timeoutMillis := int32(a.net.common.RequestTimeoutMillis)
	if s.topics[i].state == stormCreating {
		req := kmsg.NewPtrCreateTopicsRequest()
		req.SetVersion(max(p.version(kmsg.CreateTopics), 2))
		req.TimeoutMillis = timeoutMillis
		req.Topics = append(req.Topics, newTopicRequest(&NewTopic{
			Name: s.Name(i), Partitions: s.Partitions, ReplicationFactor: s.ReplicationFactor, Configs: s.Configs,
		}))
		return req
	}
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.SetVersion(max(p.version(kmsg.DeleteTopics), 1))
	req.TimeoutMillis = timeoutMillis
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = kmsg.StringPtr(s.Name(i))
	req.Topics, req.TopicNames = append(req.Topics, t), append(req.TopicNames, s.Name(i)) // by version
	return req
}

// blown reads the answer to a storm's request; body is nil if there will be none.
func (a *Admin) blown(c *call, body []byte) {
	s := a.storms[c.slot>>16]
	i := int(c.slot & 0xffff)
	t := &s.topics[i]
	t.busy = false
	code := codeNetworkException
	if body != nil {
		code = stormCode(c, body)
	}
	switch {
	case c.key == int16(kmsg.CreateTopics):
		switch {
		case code == codeNone:
			s.created++
			t.state = stormPresent
		case code == codeTopicExists:
			t.state = stormPresent
		// Too few brokers are alive to hold the replicas: nothing was done.
		case code == codeInvalidReplicationFactor:
			t.state = stormAbsent
		case !retriable(code):
			a.stormRefused(s, i, code)
		}
	case code == codeNone:
		s.deleted++
		t.state = stormAbsent
	case code == codeUnknownTopicPartition:
		t.state = stormAbsent
	case !retriable(code):
		a.stormRefused(s, i, code)
	}
}

func (a *Admin) stormRefused(s *adminStorm, i int, code int16) {
	if a.cfg.Observer != nil {
		a.cfg.Observer.Refused(s.Name(i), code)
	}
}

func stormCode(c *call, body []byte) int16 {
	resp := kmsg.ResponseForKey(c.key)
	resp.SetVersion(c.version)
	if resp.ReadFrom(body) == nil {
		switch resp := resp.(type) {
		case *kmsg.CreateTopicsResponse:
			if len(resp.Topics) == 1 {
				return resp.Topics[0].ErrorCode
			}
		case *kmsg.DeleteTopicsResponse:
			if len(resp.Topics) == 1 {
				return resp.Topics[0].ErrorCode
			}
		}
	}
	return codeUnknownServer
}
