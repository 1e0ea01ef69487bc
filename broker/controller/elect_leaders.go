package controller

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/meta"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// electionsPerRoundMax bounds one round of rebalancing, as in KRaft; the rest
	// follows after electionsPause.
	electionsPerRoundMax = 1000
	electionsPause       = time.Second
)

// electLeaders is ElectLeaders (43). Without topics it means all partitions,
// and those that need no election are left out of the answer.
func (t *change) electLeaders(req *kmsg.ElectLeadersRequest) kmsg.Response {
	kind := electPreferred
	switch {
	case req.Version == 0 || req.ElectionType == 0:
	case req.ElectionType == 1:
		kind = electUnclean
	default:
		return refuse(req, kerr.InvalidRequest)
	}
	resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
	topics, all := req.Topics, req.Topics == nil
	if all {
		for _, topic := range t.image.Topics {
			rt := kmsg.NewElectLeadersRequestTopic()
			rt.Topic = topic.Name
			for i := range topic.Partitions {
				rt.Partitions = append(rt.Partitions, int32(i))
			}
			topics = append(topics, rt)
		}
	}
	for _, rt := range topics {
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = rt.Topic
		for _, index := range rt.Partitions {
			e := t.electLeader(rt.Topic, index, kind)
			if e == kerr.ElectionNotNeeded && all {
				continue
			}
			p := kmsg.NewElectLeadersResponseTopicPartition()
			p.Partition = index
			if e != nil {
				p.ErrorCode, p.ErrorMessage = e.Code, &e.Description
			}
			out.Partitions = append(out.Partitions, p)
		}
		if len(out.Partitions) > 0 || !all {
			resp.Topics = append(resp.Topics, out)
		}
	}
	return resp
}

func (t *change) electLeader(name string, index int32, kind electionKind) *kerr.Error {
	topic := t.image.Topic(name)
	if topic == nil {
		return kerr.UnknownTopicOrPartition
	}
	t.see(topic.ID, index)
	p := t.image.Partition(name, index)
	switch {
	case p == nil:
		return kerr.UnknownTopicOrPartition
	case kind == electPreferred && p.Leader == p.Replicas[0], kind == electUnclean && p.Leader != meta.NoLeader:
		return kerr.ElectionNotNeeded
	}
	b := t.partitionChange(t.image.Topic(name), index, transition{nobody, nobody, nobody})
	b.election = kind
	r := b.build()
	if r == nil || r.Leader == meta.NoLeaderChange {
		if kind == electPreferred {
			return kerr.PreferredLeaderNotAvailable
		}
		return kerr.EligibleLeadersNotAvailable
	}
	t.later(r)
	return nil
}

// balanceTimer gives leaderships back to preferred leaders.
func (k *Controller) balanceTimer(c *step.Context) {
	if k.active == nil {
		return
	}
	interval := clock.Span(k.cfg.Broker.LeaderImbalanceCheckIntervalSeconds, time.Second)
	t := k.begin(c)
	if k.cfg.Broker.AutoLeaderRebalanceEnable && t.balance() {
		interval = min(interval, electionsPause)
	}
	k.setTimer(c, timerBalance, interval)
	if len(t.records) > 0 {
		c.Logf(edge.Info, "controller: %d leaderships go back to their preferred leaders", len(t.records))
	}
	k.propose(t)
	k.drive(c)
}

// balance tells whether there was more to do than one round may.
func (t *change) balance() (more bool) {
	var records []meta.Record
	for _, topic := range t.image.Topics {
		for i, p := range topic.Partitions {
			if p.Leader == p.Replicas[0] {
				continue
			}
			b := t.partitionChange(topic, int32(i), transition{nobody, nobody, nobody})
			b.election = electPreferred
			if !b.valid(p.Replicas[0]) {
				continue
			}
			if len(records) == electionsPerRoundMax {
				t.add(records...)
				return true
			}
			if r := b.build(); r != nil {
				records = append(records, r)
			}
		}
	}
	t.add(records...)
	return false
}

// uncleanTimer elects leaders for leaderless partitions whose topics have come
// to allow unclean elections.
func (k *Controller) uncleanTimer(c *step.Context) {
	if k.active == nil {
		return
	}
	k.setTimer(c, timerUnclean, millis(k.cfg.Broker.UncleanElectionIntervalMillis))
	t := k.begin(c)
	var records []meta.Record
	for _, topic := range t.image.Topics {
		for i, p := range topic.Partitions {
			if p.Leader != meta.NoLeader || !t.uncleanAllowed(topic.Name) || len(records) == electionsPerRoundMax {
				continue
			}
			if r := t.partitionChange(topic, int32(i), transition{nobody, nobody, nobody}).build(); r != nil {
				records = append(records, r)
			}
		}
	}
	t.add(records...)
	k.propose(t)
	k.drive(c)
}
