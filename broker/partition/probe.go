package partition

import (
	"time"

	"github.com/seed-604ea8f1/windtunnel/broker/caller"
	"github.com/seed-604ea8f1/windtunnel/broker/edge"
	"github.com/seed-604ea8f1/windtunnel/broker/step"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A follower whose fetch was out of the leader's range asks where the leader's
// log ends, and if that is not before its own end, where it starts:
//
//	fetching -> probing the end -> truncating to it          (the leader's is shorter)
//	         -> probing the start -> starting anew at it     (the leader's begins later)
//	                              -> fetching                (it was in range after all)
//
// Any failure delays the partition and fetches again.

// probeVersion is the version of ListOffsets between brokers.
const probeVersion = 9

// probeTable finds the replica that a reply to ListOffsets is for.
type probeTable struct {
	next uint32
	list []probe // sorted by id, few
}

type probe struct {
	id          uint32
	p           *Partition
	leaderEpoch int32
	timestamp   int64
}

func (m *Manager) probe(c *step.Context, p *Partition) {
	p.fetch.probing = true
	p.fetch.fetcher.change(p)
	m.sendProbe(c, p, TimestampLatest)
}

func (m *Manager) sendProbe(c *step.Context, p *Partition, timestamp int64) {
	q := &m.probes
	q.next++
	q.list = append(q.list, probe{q.next, p, p.leaderEpoch, timestamp})
	req := kmsg.NewPtrListOffsetsRequest()
	req.Version, req.ReplicaID = probeVersion, m.brokerID
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = p.key.Topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.CurrentLeaderEpoch, rp.Timestamp = p.key.Index, p.leaderEpoch, timestamp
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	token := edge.Token{Owner: step.OwnerFetcher, Kind: tokenEndOffset, A: q.next}
	call := caller.EncodeCall(p.leader, caller.ChannelFetch, req, token)
	call.Timeout = time.Duration(m.cfg.ReplicaSocketTimeoutMillis) * time.Millisecond
	m.sender.Send(c, call)
}

// listReply handles the answer to a probe.
func (m *Manager) listReply(c *step.Context, r *caller.Reply) {
	q := &m.probes
	var found probe
	for i := range q.list {
		if q.list[i].id == r.Token.A {
			found = q.list[i]
			q.list = append(q.list[:i], q.list[i+1:]...)
			break
		}
	}
	p := found.p
	if p == nil || !p.fetch.probing {
		return
	}
	p.fetch.probing = false
	if p.fetch.fetcher == nil || p.role != Follower {
		return
	}
	p.fetch.fetcher.change(p)
	if p.leaderEpoch != found.leaderEpoch {
		return // of an older leader's time
	}
	offset, ok := probed(r)
	switch {
	case !ok:
		m.delay(c, p)
	case found.timestamp == TimestampLatest && offset < p.log.EndOffset():
		m.truncate(c, p, offset) // below the log start the log begins anew there
	case found.timestamp == TimestampLatest:
		p.fetch.probing = true
		m.sendProbe(c, p, TimestampEarliestLocal)
	case offset > p.log.EndOffset():
		m.restartAt(c, p, offset)
	}
}

// probed reads the one offset of a reply.
func probed(r *caller.Reply) (offset int64, ok bool) {
	resp := kmsg.NewPtrListOffsetsResponse()
	resp.Version = r.Version
	if r.Status != caller.OK || resp.ReadFrom(r.Body) != nil ||
		len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, false
	}
	part := &resp.Topics[0].Partitions[0]
	return part.Offset, part.ErrorCode == errNone && part.Offset >= 0
}
