package client

import (
	"github.com/seed-604ea8f1/windtunnel/broker/timer"
	"github.com/seed-604ea8f1/windtunnel/clock"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OperationKind says what an Operation asks for.
type OperationKind uint8

// The kinds of Operation.
const (
	ElectPreferred OperationKind = iota // the preferred replicas of the partitions lead (KIP-460)
	Reassign                            // the partitions move to Replicas (KIP-455); none cancels
	AddPartitions                       // the topic gets Count partitions
	Unregister                          // Broker, which is down, is forgotten (KIP-631)
)

// Operation is an operator's request to the cluster, repeated until it is
// answered for good.
type Operation struct {
	At         clock.Instant // not before
	Kind       OperationKind
	Topic      string // ElectPreferred: empty with no partitions is all of the cluster
	Partitions []int32
	Replicas   []int32
	Count      int32
	Broker     int32
}

// Do adds an operation behind those that are still to be done. Whoever calls it
// outside of the administrator's Step wakes its machine.
func (a *Admin) Do(op Operation) { a.cfg.Operations = append(a.cfg.Operations, op) }

// operate sends the next operation that is due: one at a time, in order.
func (a *Admin) operate() {
	if a.operating || a.waits(timerOperate) || a.operation == len(a.cfg.Operations) {
		return
	}
	o := &a.cfg.Operations[a.operation]
	if o.At > a.net.now {
		a.net.timers.Set(timer.ID{Owner: ownerClient, Kind: timerOperate}, o.At)
		return
	}
	p := a.anyBroker()
	if p == nil {
		return
	}
	a.operating = true
	a.net.send(p, o.request(p, int32(a.net.common.RequestTimeoutMillis)), callOperate, 0, a.net.requestTimeout())
}

func (o *Operation) request(p *peer, timeoutMillis int32) kmsg.Request {
	switch o.Kind {
	case Reassign:
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.SetVersion(max(p.version(kmsg.AlterPartitionAssignments), 0))
		req.TimeoutMillis = timeoutMillis
		t := kmsg.NewAlterPartitionAssignmentsRequestTopic()
		t.Topic = o.Topic
		for _, index := range o.Partitions {
			q := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
			q.Partition, q.Replicas = index, o.Replicas
			t.Partitions = append(t.Partitions, q)
		}
		req.Topics = append(req.Topics, t)
		return req
	case AddPartitions:
		req := kmsg.NewPtrCreatePartitionsRequest()
		req.SetVersion(max(p.version(kmsg.CreatePartitions), 0))
		req.TimeoutMillis = timeoutMillis
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = o.Topic, o.Count
		req.Topics = append(req.Topics, t)
		return req
	case Unregister:
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.SetVersion(max(p.version(kmsg.UnregisterBroker), 0))
		req.BrokerID = o.Broker
		return req
	}
	req := kmsg.NewPtrElectLeadersRequest()
	req.SetVersion(max(p.version(kmsg.ElectLeaders), 1))
	req.TimeoutMillis = timeoutMillis
	if o.Topic != "" {
		t := kmsg.NewElectLeadersRequestTopic()
		t.Topic, t.Partitions = o.Topic, o.Partitions
		req.Topics = append(req.Topics, t)
	}
	return req
}

// operated reads the answer: the last error in it stands for the whole.
func (a *Admin) operated(c *call, body []byte) {
	resp := kmsg.ResponseForKey(c.key)
	resp.SetVersion(c.version)
	code := codeUnknownServer
	if resp.ReadFrom(body) == nil {
		code = answerCode(resp)
	}
	a.operationEnded(code)
}

func answerCode(resp kmsg.Response) (code int16) {
	note := func(x int16) {
		if x != codeNone && x != codeElectionNotNeeded {
			code = x
		}
	}
	switch resp := resp.(type) {
	case *kmsg.ElectLeadersResponse:
		note(resp.ErrorCode)
		for i := range resp.Topics {
			for k := range resp.Topics[i].Partitions {
				note(resp.Topics[i].Partitions[k].ErrorCode)
			}
		}
	case *kmsg.AlterPartitionAssignmentsResponse:
		note(resp.ErrorCode)
		for i := range resp.Topics {
			for k := range resp.Topics[i].Partitions {
				note(resp.Topics[i].Partitions[k].ErrorCode)
			}
		}
	case *kmsg.UnregisterBrokerResponse:
		note(resp.ErrorCode)
	case *kmsg.CreatePartitionsResponse:
		for i := range resp.Topics {
			note(resp.Topics[i].ErrorCode)
		}
	}
	return code
}

func (a *Admin) operationEnded(code int16) {
	a.operating = false
	// Partitions cannot be placed while too few brokers are alive: whoever adds them
	// tries again.
	kind := a.cfg.Operations[a.operation].Kind
	unplaced := code == codeInvalidReplicationFactor && kind == AddPartitions
	// What moves has been seen, and the controller knows best: it has been deleted.
	deleted := code == codeUnknownTopicPartition && kind == Reassign
	if (unplaced || retriable(code) && !deleted) && a.tries < adminRetries {
		a.wait(timerOperate, a.tries)
		a.tries++
		return
	}
	if a.cfg.Observer != nil {
		a.cfg.Observer.Operated(&a.cfg.Operations[a.operation], code)
	}
	a.operation++
	a.tries = 0
}
